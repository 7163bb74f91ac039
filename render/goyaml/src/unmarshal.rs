//! `sigs.k8s.io/yaml.Unmarshal`: how Helm reads values, manifests and metadata, and kustomize its own files.

use crate::decode::{DecodeOptions, decode};
use crate::error::Error;
use crate::node::{Kind, Node};
use crate::value::Build;
use crate::{Dialect, parse_first};

/// The Go type that an object is decoded into where no other is named.
pub const GO_MAP: &str = "map[string]interface {}";
/// The Go type of a list.
pub const GO_SLICE: &str = "[]interface {}";

/// Decodes the first document, whatever it is; nothing at all is `null`.
///
/// Go's `interface{}` holds every number of this as float64: a caller who needs that converts integers.
pub fn unmarshal<B: Build>(input: &[u8], build: &mut B) -> Result<B::Value, Error> {
    from_root(read(input)?.as_ref(), build)
}

/// Decodes the first document into a map. `None` where there is no document or it is `null`, for which Go leaves the map as it is.
pub fn unmarshal_object<B: Build>(input: &[u8], build: &mut B) -> Result<Option<B::Value>, Error> {
    of_kind(input, build, Kind::Mapping, GO_MAP)
}

/// Decodes the first document into a list. `None` where there is no document or it is `null`.
pub fn unmarshal_array<B: Build>(input: &[u8], build: &mut B) -> Result<Option<B::Value>, Error> {
    of_kind(input, build, Kind::Sequence, GO_SLICE)
}

fn of_kind<B: Build>(
    input: &[u8],
    build: &mut B,
    kind: Kind,
    go_type: &'static str,
) -> Result<Option<B::Value>, Error> {
    let Some(root) = read(input)? else {
        return Ok(None);
    };
    // Decoded whatever it is: what is wrong inside is reported first.
    let value = from_root(Some(&root), build)?;
    let found = json_type(&root)?;
    match (found, kind) {
        ("null", _) => Ok(None),
        ("object", Kind::Mapping) | ("array", Kind::Sequence) => Ok(Some(value)),
        _ => Err(Error::Target { found, go_type }),
    }
}

fn read(input: &[u8]) -> Result<Option<Node>, Error> {
    let document = parse_first(input, Dialect::V2).map_err(convert)?;
    Ok(document.map(|document| document.root))
}

fn from_root<B: Build>(root: Option<&Node>, build: &mut B) -> Result<B::Value, Error> {
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    match root {
        Some(root) => decode(root, options, build).map_err(convert),
        None => Ok(build.null()),
    }
}

fn convert(error: Error) -> Error {
    Error::Convert(Box::new(error))
}

/// What the node is in JSON, in the words of Go's errors.
fn json_type(node: &Node) -> Result<&'static str, Error> {
    use crate::resolve::{Resolved, resolve_tagged};
    let node = node.target()?;
    Ok(match node.kind {
        Kind::Mapping => "object",
        Kind::Sequence => "array",
        Kind::Scalar | Kind::Alias if crate::decode::is_string(node) => "string",
        Kind::Scalar | Kind::Alias => match resolve_tagged(Dialect::V2, &node.tag, &node.value)? {
            Resolved::Null => "null",
            Resolved::Bool(_) => "bool",
            Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_) => "number",
            Resolved::Timestamp(_) | Resolved::Merge | Resolved::Str => "string",
        },
    })
}
