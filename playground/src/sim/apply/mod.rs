//! Server-side apply: who owns which field, and what an applied configuration changes.
//!
//! The rules are those of Kubernetes' structured merge: objects are compared and merged by path under the schema of their kind; a manager owns
//! the paths that it set; what an applier no longer sets, and nobody else owns, is removed.

pub(crate) mod managers;
pub(crate) mod path;
pub(crate) mod typed;
