//! YAML exactly as Go's libraries read and write it.
//!
//! Kubernetes tools do not agree on what YAML is, but each of them is a Go program over one of three libraries. This crate is those
//! libraries' behaviour, errors included:
//!
//! | Go | here | used by |
//! |---|---|---|
//! | `yaml.v3`, `go.yaml.in/yaml/v3` and kyaml over them: a tree that keeps styles, comments and positions | [`parse`], [`Node`], [`emit`] with [`Dialect::V3`] | kustomize |
//! | `sigs.k8s.io/yaml.Unmarshal`: `yaml.v2`, then JSON | [`unmarshal`] | Helm's values and manifests, kustomization files |
//! | `sigs.k8s.io/yaml.Marshal`: JSON, then `yaml.v2` | [`marshal`] | Helm's `toYaml`, the output of `kustomize build` |
//!
//! The scanner, parser and emitters follow the algorithms of libyaml and of its Go ports, since only the same algorithm accepts, folds
//! and quotes the same. The two dialects differ in what plain scalars mean (`yes` is a boolean in [`Dialect::V2`] and a string in
//! [`Dialect::V3`]), in merge keys, in key order, in comments and in layout; the versions that Helm 3, Helm 4 and kustomize pin do not
//! differ from each other.
//!
//! Everything is bounded: see [`limits`].

mod chars;
mod compose;
mod decode;
mod emit;
mod encode;
mod error;
pub mod limits;
mod marshal;
mod node;
mod order;
mod parse;
mod reader;
mod resolve;
mod scan;
mod strconv;
mod timestamp;
mod unmarshal;
mod value;

use std::borrow::Cow;

pub use compose::Documents;
pub use decode::{DecodeOptions, decode};
pub use emit::EmitOptions;
pub use encode::{emit, emit_documents};
pub use error::Error;
pub use marshal::{Marshal, ValueWriter, marshal, marshal_v3};
pub use node::{Comments, Document, Kind, Node, Style, Tag, Text};
pub use order::{compare_keys, sort_keys};
pub use resolve::{Resolved, resolve};
pub use strconv::{format_float, format_float32};
pub use timestamp::Timestamp;
pub use unmarshal::{GO_MAP, GO_SLICE, unmarshal, unmarshal_array, unmarshal_object};
pub use value::{Build, JsonBuilder};

/// Which of the Go libraries' rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `yaml.v2`, and with it `sigs.k8s.io/yaml`.
    V2,
    /// `yaml.v3`, and with it kyaml.
    V3,
}

/// Decodes an input to text: UTF-8, or UTF-16 with a byte order mark; no control characters.
pub fn decode_input(input: &[u8]) -> Result<Cow<'_, str>, Error> {
    reader::decode(input)
}

/// Reads all documents of a stream.
pub fn parse(input: &[u8], dialect: Dialect) -> Result<Vec<Document>, Error> {
    Documents::new(&decode_input(input)?, dialect).collect()
}

/// Reads the first document of a stream and does not look at the others, as Go's `Unmarshal` does. Nothing where there is none.
pub fn parse_first(input: &[u8], dialect: Dialect) -> Result<Option<Document>, Error> {
    Documents::new(&decode_input(input)?, dialect)
        .next()
        .transpose()
}
