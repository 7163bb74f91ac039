//! Go's `text/template`, in Rust.
//!
//! The same syntax, the same evaluation down to the three faces of nil, the same printing (`fmt` with all its verbs and error forms),
//! and the same error texts. No IO, no clock, no randomness: the result depends on the templates and the data alone.
//!
//! ```
//! use std::sync::Arc;
//! use capstan_gotemplate::{Ctx, Funcs, Limits, Map, TemplateSet, Value};
//!
//! let mut set = TemplateSet::new(Arc::new(Funcs::new()));
//! set.parse("hello", "{{ range $i, $who := .people }}{{ if $i }}, {{ end }}{{ printf \"%q\" $who }}{{ end }}")?;
//! let data: Map = [("people", Value::list(vec!["Ada".into(), "Grace".into()]))].into_iter().collect();
//!
//! let mut host = ();
//! let mut ctx = Ctx::new(Arc::new(set), Limits::default(), &mut host);
//! assert_eq!(ctx.execute("hello", &data.into())?, r#""Ada", "Grace""#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! - [`Value`] is what templates compute with: Go's types as far as templates can meet them. Maps are shared by reference, as in Go.
//! - [`Funcs`] holds the functions that the host adds, as [`Function`]s with a Go signature: it decides how literals are typed and
//!   in what words wrong arguments are refused.
//! - [`TemplateSet`] holds parsed templates. It is immutable once shared, and any number of threads can render from it.
//! - [`Ctx`] is one render: it executes templates, meters them against [`Limits`], and is what functions are given.
//!
//! # What is different from Go
//!
//! - Limits, each with its own error: see [`limits`]. Recursion never overflows the stack.
//! - Addresses (`%p`, and pointers inside other values) are always the same number.
//! - Maps have string keys. Channels and iterator functions do not exist.
//! - The delimiters are `{{` and `}}`.

mod builtins;
mod exec;
pub mod format;
mod funcs;
pub mod limits;
mod parse;
mod stack;
pub mod strconv;
mod template;
mod value;

pub use builtins::{html_escape, js_escape, query_escape};
pub use exec::{Ctx, ExecError, MissingKey};
pub use funcs::Funcs;
pub use limits::{LimitError, Limits};
pub use parse::ParseError;
pub use template::{ParsedFile, TemplateSet};
pub use value::{
    FloatKind, FuncError, Function, IntKind, Kind, List, Map, Method, NamedType, NativeFn, Object,
    Str, Type, UintKind, Value,
};

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
