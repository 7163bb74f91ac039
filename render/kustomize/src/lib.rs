//! Kustomize, natively: what `kustomize build --load-restrictor LoadRestrictionsNone` of version 5.8.1 prints, byte for byte, as a pure
//! function of a [`Tree`].
//!
//! ```
//! use capstan_kustomize::{MemoryTree, Options, build};
//!
//! let tree = MemoryTree::new([
//!     ("kustomization.yaml", "resources: [cm.yaml]\nnamePrefix: dev-\n"),
//!     ("cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"),
//! ]);
//! let built = build(&tree, "", &Options::default())?;
//! assert_eq!(built.to_yaml(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: dev-settings\n");
//! assert_eq!(built.objects[0].origin.file, "cm.yaml");
//! assert_eq!(built.objects[0].layers[0].transformer, "PrefixTransformer");
//! # Ok::<(), capstan_kustomize::Error>(())
//! ```
//!
//! How a build goes: [`target`](self) reads a kustomization file and gathers its resources, bases first; then come generators,
//! components, transformers and validators. Only at the very top names get their hashes, fields that hold names are fixed, variables are
//! resolved, and the result is sorted. Facts about types (merge keys, fields that hold names) are tables under `tables/`, generated from
//! the modules of kustomize.
//!
//! Nothing outside of the tree is read, nothing is fetched and nothing is run: what is remote is a declared input ([`Options::remotes`]),
//! charts are rendered by what the caller brings ([`ChartRenderer`]). Everything is bounded: see [`limits`].
//!
//! With a [`Cache`], files are parsed once, bases that did not change are not built again, and a build of which nothing changed is
//! known. [`flux`] has what Flux adds around a build.

mod build;
mod cache;
mod charts;
mod config;
mod decode;
mod error;
mod fieldspec;
pub mod flux;
mod generate;
mod gojson;
mod gonode;
mod hash;
mod id;
mod kustomization;
pub mod limits;
mod loader;
mod metadata;
mod node;
mod output;
mod patch;
mod plugin;
mod remote;
mod resource;
mod schema;
mod select;
mod session;
mod sort;
mod target;
mod transform;
mod transformer;
pub mod tree;
mod yaml;

pub use build::{Build, Built, KUSTOMIZE_VERSION, Options, Order, build};
pub use cache::{Cache, DEFAULT_CACHE_BYTES};
pub use charts::{ChartRenderer, ChartRequest};
pub use error::{Error, ErrorKind};
pub use id::{Gvk, ResId};
pub use kustomization::KUSTOMIZATION_FILES;
pub use resource::{Layer, Origin};
pub use tree::{Entry, Hash, MemoryTree, Tree, TreeError};
