//! Helm charts, rendered in process: what `helm template` gives, without the process.
//!
//! The result is that of Helm 3.22 or of Helm 4.3, as the caller chooses, down to the words of the errors. No IO, no clock, no chance: what
//! Helm takes from the cluster, from the time and from a random source is an input here ([`RenderInput`]), so equal inputs give equal results.
//!
//! ```
//! use std::sync::Arc;
//! use capstan_helm::{Chart, Files, HelmVersion, Now, Release, RenderInput, Secret, Values, render};
//!
//! let file = |text: &str| Arc::<[u8]>::from(text.as_bytes());
//! let files = Files::from([
//!     ("Chart.yaml".to_owned(), file("{apiVersion: v2, name: hello, version: 1.0.0}")),
//!     ("values.yaml".to_owned(), file("who: world")),
//!     ("templates/a.yaml".to_owned(), file("kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Release.Name }}-{{ .Values.who }}}\n")),
//! ]);
//! let chart = Chart::load(&files)?;
//! let input = RenderInput::offline(HelmVersion::V4, Release::install("demo", "default"), Now::default(), Secret::new([7; 32]));
//! let rendered = render(&chart, &Values::new().set("who=you")?, &input)?;
//! assert!(rendered.manifests[0].text.contains("name: demo-you"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! - [`Chart`] is a chart read once, from a folder's files or a packed chart. It is immutable and shared between threads; parsed templates and
//!   compiled schemas are kept with it, so further renders cost only what they execute.
//! - [`Values`] are what a user gives: files, JSON, `--set` and its relatives.
//! - [`render`] gives [`Rendered`]: manifests in the order of installation, hooks, CRDs, notes, what the chart looked up, and which manifests
//!   must not be shown. [`Rendered::to_text`] is what `helm template` prints.
//! - [`template`] is the whole of `helm template` behind one options struct, for command lines.
//! - [`semver`], [`regexp`] and [`schema`] are Go's versions, Go's regular expressions and JSON Schema as Helm uses them, useful on their own.
//!
//! # Secrets
//!
//! ```
//! use std::sync::Arc;
//! use capstan_helm::{Chart, Files, HelmVersion, Now, Release, RenderInput, Secret, Values, render};
//!
//! let file = |text: &str| Arc::<[u8]>::from(text.as_bytes());
//! let chart = Chart::load(&Files::from([
//!     ("Chart.yaml".to_owned(), file("{apiVersion: v2, name: hello, version: 1.0.0}")),
//!     ("templates/a.yaml".to_owned(), file("kind: ConfigMap\ndata: {digest: {{ sha256sum .Values.password }}}")),
//!     ("templates/b.yaml".to_owned(), file("kind: ConfigMap\ndata: {user: {{ .Values.user }}}")),
//! ]))?;
//! let secret = Values::new().set("password=hunter2")?;
//! let values = Values::new().set("user=admin")?.merged_secret(&secret);
//! let input = RenderInput::offline(HelmVersion::V4, Release::install("demo", "default"), Now::default(), Secret::new([7; 32]));
//! let rendered = render(&chart, &values, &input)?;
//! let sensitive: Vec<bool> = rendered.manifests.iter().map(|manifest| manifest.sensitive).collect();
//! assert_eq!(sensitive, [true, false]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is different from Helm
//!
//! - Limits on archives, files, nesting, templates and schemas, each a named constant with its own error.
//! - Keys, passwords and certificates are derived from a secret, and so is all that Helm would take from chance.
//! - `lookup` answers from [`Lookups`]; what it lacks is reported in [`Rendered::wanted`]. `getHostByName` never asks anyone.
//! - Links in archives are refused. A schema's `$ref` to another document is never fetched; the caller may give documents.
//! - An index of `--set` that is not closed (`a[0=x`) is a mistake, as in Helm 3; Helm 4 passes over the assignment in silence.
//! - What `fromToml` says of a text that is no TOML has other words, and the fields of a time, which odd verbs of `printf` show, are left out.
//! - Where Go's order is random (dependencies that nothing declares, files of one name in `AsConfig`), the order of names is taken.

pub mod chart;
pub mod context;
mod dependencies;
mod engine;
mod error;
mod facts;
pub mod funcs;
mod functions;
mod head;
mod inputs;
mod manifest;
mod objects;
mod pattern;
pub mod regexp;
mod rendered;
pub mod schema;
pub mod semver;
mod template;
mod tree;
mod values;
mod watch;
mod work;

pub use chart::{Chart, Files};
pub use context::{Derived, HelmVersion, KeyCache, Lookup, Now, RenderContext, Secret};
pub use engine::{render, render_files};
pub use error::{ChartError, Error, TemplateError};
pub use facts::{Facts, KubeVersion};
pub use inputs::{Lookups, Release, RenderInput};
pub use manifest::{Hook, HookEvent, Manifest};
pub use rendered::{Crd, Rendered, TextOptions};
pub use template::{TemplateOptions, template, template_with_lookups};
pub use values::{MAX_SET_INDEX, MAX_SET_INDEXES, MAX_SET_NESTING, StrvalsError, Values};

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
