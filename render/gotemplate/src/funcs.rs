//! [`Funcs`]: the functions that templates know.

use std::collections::BTreeMap;

use crate::builtins;
use crate::value::Function;

/// The functions that a set of templates may call, besides Go's own: `and`, `call`, `eq`, `ge`, `gt`, `html`, `index`, `js`, `le`,
/// `len`, `lt`, `ne`, `not`, `or`, `print`, `printf`, `println`, `slice`, `urlquery`.
///
/// One that has the name of one of Go's replaces it. A function named `break` or `continue` turns that keyword off, as in Go.
#[derive(Debug, Clone, Default)]
pub struct Funcs {
    functions: BTreeMap<&'static str, Function>,
}

impl Funcs {
    /// Go's own functions only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function under its name, in place of one that was there.
    pub fn add(&mut self, function: Function) -> &mut Self {
        self.functions.insert(function.name(), function);
        self
    }

    /// Adds functions under their names.
    pub fn extend(&mut self, functions: impl IntoIterator<Item = Function>) -> &mut Self {
        for function in functions {
            self.add(function);
        }
        self
    }

    /// Takes a function away. Go's own stay.
    pub fn remove(&mut self, name: &str) -> Option<Function> {
        self.functions.remove(name)
    }

    /// The added function of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// The names of the added functions, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.functions.keys().copied()
    }

    /// The function that a template means by a name.
    pub(crate) fn find(&self, name: &str) -> Option<Function> {
        self.get(name).copied().or_else(|| builtins::find(name))
    }
}
