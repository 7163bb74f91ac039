//! Functions and methods that templates can call.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{Type, Value};
use crate::builtins::Builtin;
use crate::exec::{Ctx, ExecError};
use crate::limits::LimitError;

/// The Rust side of a function. The arguments have been checked against the parameter types: their number is right and each has the
/// type that the signature says (`interface {}` and `reflect.Value` parameters take anything, also [`Value::Nil`]).
pub type NativeFn = fn(&mut Ctx<'_>, &[Value]) -> Result<Value, FuncError>;

/// Why a function failed.
#[derive(Debug, Clone)]
pub enum FuncError {
    /// The function's own words; the evaluator puts `error calling NAME: ` and the place before them.
    Message(String),
    /// A template that the function ran failed.
    Exec(Box<ExecError>),
    /// A limit was hit. Not to be caught.
    Limit(LimitError),
    /// The host's own error, which [`ExecError::host`] gives back unchanged.
    Host(Arc<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for FuncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(text) => f.write_str(text),
            Self::Exec(error) => fmt::Display::fmt(error, f),
            Self::Limit(error) => fmt::Display::fmt(error, f),
            Self::Host(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for FuncError {}

impl From<String> for FuncError {
    fn from(text: String) -> Self {
        Self::Message(text)
    }
}

impl From<&str> for FuncError {
    fn from(text: &str) -> Self {
        Self::Message(text.to_owned())
    }
}

impl From<ExecError> for FuncError {
    fn from(error: ExecError) -> Self {
        Self::Exec(Box::new(error))
    }
}

impl From<LimitError> for FuncError {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

/// A function with the signature that Go would see: it decides how literals are typed, which arguments are refused, and in what words.
#[derive(Clone, Copy)]
pub struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Type],
    pub(crate) variadic: bool,
    pub(crate) result: Type,
    pub(crate) body: Body,
}

#[derive(Clone, Copy)]
pub(crate) enum Body {
    Native(NativeFn),
    Builtin(Builtin),
}

impl Function {
    /// A function of a fixed number of parameters.
    #[must_use]
    pub const fn new(
        name: &'static str,
        params: &'static [Type],
        result: Type,
        body: NativeFn,
    ) -> Self {
        Self {
            name,
            params,
            variadic: false,
            result,
            body: Body::Native(body),
        }
    }

    /// A function whose last parameter may be repeated, or left out. `params` ends with the type of one such argument.
    #[must_use]
    pub const fn variadic(
        name: &'static str,
        params: &'static [Type],
        result: Type,
        body: NativeFn,
    ) -> Self {
        Self {
            name,
            params,
            variadic: true,
            result,
            body: Body::Native(body),
        }
    }

    pub(crate) const fn builtin(
        name: &'static str,
        params: &'static [Type],
        variadic: bool,
        result: Type,
        body: Builtin,
    ) -> Self {
        Self {
            name,
            params,
            variadic,
            result,
            body: Body::Builtin(body),
        }
    }

    /// Its name in templates.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many parameters are not the repeated one.
    pub(crate) const fn fixed(&self) -> usize {
        if self.variadic {
            self.params.len() - 1
        } else {
            self.params.len()
        }
    }

    /// The type of parameter `index`, the repeated one included. `None` beyond the end.
    pub(crate) fn param(&self, index: usize) -> Option<Type> {
        match self.params.get(index) {
            Some(param) => Some(*param),
            None if self.variadic => self.params.last().copied(),
            None => None,
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "func {}({:?}{}) {}",
            self.name,
            self.params,
            if self.variadic { "..." } else { "" },
            self.result
        )
    }
}

/// A method of an object or a named type. Its body gets the receiver as first argument; `params` does not list it.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub(crate) function: Function,
}

impl Method {
    /// A method of a fixed number of parameters.
    #[must_use]
    pub const fn new(
        name: &'static str,
        params: &'static [Type],
        result: Type,
        body: NativeFn,
    ) -> Self {
        Self {
            function: Function::new(name, params, result, body),
        }
    }

    /// A method whose last parameter may be repeated.
    #[must_use]
    pub const fn variadic(
        name: &'static str,
        params: &'static [Type],
        result: Type,
        body: NativeFn,
    ) -> Self {
        Self {
            function: Function::variadic(name, params, result, body),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.function.name
    }
}

/// A struct or pointer of the host's that templates can look into.
pub trait Object: fmt::Debug + Any {
    /// The type as Go prints it, for example `*semver.Version`. A name that starts with `*` is a pointer.
    fn type_name(&self) -> &'static str;

    /// The exported fields in the order of declaration: what `.Name` finds.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// One exported field. Override it where building all is dear.
    fn field(&self, name: &str) -> Option<Value> {
        self.fields()
            .into_iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }

    /// The fields that printing shows: also those that are not exported.
    fn printed(&self) -> Vec<(&'static str, Value)> {
        self.fields()
    }

    /// The methods.
    fn methods(&self) -> &'static [Method] {
        &[]
    }

    /// What `String()` or `Error()` gives, where the type has one.
    fn text(&self) -> Option<String> {
        None
    }

    /// The basic value that it is underneath, where Go's type is a defined one, as `time.Duration` is an `int64`: what comparisons, truth
    /// and the verbs of numbers see.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// What a function gets of it, where that is less: Go copies a struct, and a copy lacks the methods of the pointer to it.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// What JSON makes of it: a value without objects. `None` means that its fields are written as they are.
    fn json(&self) -> Option<Value> {
        None
    }

    /// Go's `==`. Pointers are equal when they are the same one.
    fn equals(&self, _other: &dyn Object) -> bool {
        false
    }

    /// For the host to get its own type back.
    fn as_any(&self) -> &dyn Any;
}
