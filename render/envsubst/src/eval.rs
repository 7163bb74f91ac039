//! What expressions come to. Values are bytes here, as in Go: a substring may cut a character that a later one completes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::error::Error;
use crate::functions;
use crate::glob::Steps;
use crate::limits::MAX_RESULT_BYTES;
use crate::parse::{Expression, Part};

pub(crate) struct Evaluator<'v, L> {
    lookup: L,
    strict: bool,
    pub(crate) used: BTreeSet<String>,
    pub(crate) missing: BTreeSet<String>,
    /// Bytes made so far, in all intermediate results.
    made: usize,
    steps: Steps,
    values: std::marker::PhantomData<&'v str>,
}

impl<'v, L: FnMut(&str) -> Option<Cow<'v, str>>> Evaluator<'v, L> {
    pub(crate) fn new(lookup: L, strict: bool) -> Self {
        let (used, missing) = (BTreeSet::new(), BTreeSet::new());
        Evaluator {
            lookup,
            strict,
            used,
            missing,
            made: 0,
            steps: Steps::new(),
            values: std::marker::PhantomData,
        }
    }

    pub(crate) fn parts(&mut self, parts: &[Part]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Expression(expression) => out.extend(self.expression(expression)?),
            }
        }
        Ok(out)
    }

    fn expression(&mut self, expression: &Expression) -> Result<Vec<u8>, Error> {
        // Arguments come first: what is wrong in a default is an error even where it is not needed.
        let mut arguments = Vec::with_capacity(expression.arguments.len());
        for argument in &expression.arguments {
            arguments.push(self.parts(std::slice::from_ref(argument))?);
        }
        let value = (self.lookup)(&expression.name);
        let names = if value.is_some() {
            &mut self.used
        } else {
            &mut self.missing
        };
        if !names.contains(&expression.name) {
            names.insert(expression.name.clone());
        }
        if value.is_none() && self.strict && !has_default(&expression.operator) {
            return Err(Error::NotSet(expression.name.clone()));
        }
        let value = value.unwrap_or_default();
        let operator = &expression.operator;
        let result = functions::apply(operator, value.as_bytes(), &arguments, &mut self.steps)?;
        self.made += result.len();
        if self.made > MAX_RESULT_BYTES {
            return Err(Error::TooLarge {
                limit: MAX_RESULT_BYTES,
            });
        }
        Ok(result)
    }
}

fn has_default(operator: &str) -> bool {
    matches!(operator, "=" | ":=" | ":-" | ":?" | ":+")
}
