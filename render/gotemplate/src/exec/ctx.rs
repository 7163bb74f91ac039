//! [`Ctx`]: one render.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::State;
use super::{ExecError, Slot};
use crate::format;
use crate::funcs::Funcs;
use crate::limits::{LimitError, Limits, Meter};
use crate::strconv::quote;
use crate::template::{ParsedFile, TemplateSet};
use crate::value::{FuncError, Str, Value};

/// What a missing map key gives: Go's `missingkey` option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// Nothing, printed as `<no value>` (`missingkey=default`).
    #[default]
    Invalid,
    /// The zero value of the map's value type (`missingkey=zero`), which is what Helm sets.
    Zero,
    /// An error (`missingkey=error`).
    Error,
}

/// One render: executes templates of a set, counts what they use, and is what functions get to work with.
///
/// All templates that are executed through one `Ctx` share its limits.
pub struct Ctx<'h> {
    host: &'h mut dyn Any,
    pub(super) meter: Meter,
    pub(super) out: Vec<u8>,
    pub(super) set: Arc<TemplateSet>,
    pub(super) depth: usize,
    /// Texts that this render parsed before, by name and text.
    parsed: BTreeMap<(Str, Str), ParsedFile>,
}

impl<'h> Ctx<'h> {
    /// A render of a set's templates. `host` is for the functions that the host added: they get it back with [`Ctx::host`].
    #[must_use]
    pub fn new(set: Arc<TemplateSet>, limits: Limits, host: &'h mut dyn Any) -> Self {
        Self {
            host,
            meter: Meter::new(limits),
            out: Vec::new(),
            set,
            depth: 0,
            parsed: BTreeMap::new(),
        }
    }

    /// What the host gave to [`Ctx::new`], if it is a `T`.
    pub fn host<T: Any>(&mut self) -> Option<&mut T> {
        self.host.downcast_mut()
    }

    /// The functions that the templates know.
    #[must_use]
    pub fn funcs(&self) -> &Arc<Funcs> {
        self.set.funcs()
    }

    /// The templates.
    #[must_use]
    pub fn templates(&self) -> &Arc<TemplateSet> {
        &self.set
    }

    /// Executes a template and gives what it writes.
    ///
    /// # Errors
    /// The template failed, or there is none of this name.
    pub fn execute(&mut self, name: impl AsRef<[u8]>, data: &Value) -> Result<Str, ExecError> {
        let name = name.as_ref();
        let set = Arc::clone(&self.set);
        let Some(template) = set.find(name) else {
            let quoted = quote(name);
            let shown = String::from_utf8_lossy(&quoted);
            let message = format!("template: no template {shown} associated with template {shown}");
            return Err(ExecError::plain(Str::from(name), message));
        };
        let outer = std::mem::take(&mut self.out);
        let result = crate::stack::with_stack(|| {
            State::new(self, template, Slot::concrete(data.clone())).run()
        });
        let written = std::mem::replace(&mut self.out, outer);
        result.map(|()| Str::from(written))
    }

    /// Parses a text on top of the templates that are there and executes it. What it defines is seen by nothing else.
    ///
    /// # Errors
    /// The text is no template, or executing it failed.
    pub fn execute_text(&mut self, name: &str, text: &Str, data: &Value) -> Result<Str, FuncError> {
        let key = (Str::from(name), text.clone());
        let file = match self.parsed.get(&key) {
            Some(file) => file.clone(),
            None => {
                self.charge_values(text.len() as u64)?;
                let file = ParsedFile::parse(name, text, self.set.funcs())
                    .map_err(|error| FuncError::Message(error.to_string()))?;
                self.parsed.insert(key, file.clone());
                file
            }
        };
        let mut set = TemplateSet::over(Arc::clone(&self.set));
        set.add_over(&file);
        let outer = std::mem::replace(&mut self.set, Arc::new(set));
        let result = self.execute(name, data);
        self.set = outer;
        Ok(result?)
    }

    /// How many templates are running inside one another.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// To be called by functions that loop on a caller's number, before they do.
    ///
    /// # Errors
    /// The render has used up its steps.
    pub fn charge_steps(&mut self, steps: u64) -> Result<(), LimitError> {
        self.meter.steps(steps)
    }

    /// To be called by functions that allocate by a caller's number, before they do. What a function returns is counted anyway.
    ///
    /// # Errors
    /// The render has used up its memory.
    pub fn charge_values(&mut self, bytes: u64) -> Result<(), LimitError> {
        self.meter.values(bytes)
    }

    /// `fmt.Sprint` within the limits.
    ///
    /// # Errors
    /// The text would be too long, or a value contains itself.
    pub fn sprint(&mut self, args: &[Value]) -> Result<Str, LimitError> {
        let left = self.meter.values_left();
        format::sprint(args, left)
            .map(Str::from)
            .map_err(|error| self.meter.value_error(error))
    }

    /// `fmt.Sprintf` within the limits.
    ///
    /// # Errors
    /// The text would be too long, or a value contains itself.
    pub fn sprintf(&mut self, format: impl AsRef<[u8]>, args: &[Value]) -> Result<Str, LimitError> {
        let left = self.meter.values_left();
        format::sprintf(format, args, left)
            .map(Str::from)
            .map_err(|error| self.meter.value_error(error))
    }

    /// The error of a text that is a value and did not fit into [`Ctx::values_left`].
    pub(crate) fn value_error(&self, error: LimitError) -> LimitError {
        self.meter.value_error(error)
    }

    /// How many bytes of values the render may still make.
    #[must_use]
    pub fn values_left(&self) -> usize {
        self.meter.values_left()
    }

    /// Counts what a function returned.
    pub(super) fn charge_result(&mut self, value: &Value) -> Result<(), LimitError> {
        /// A small value or map entry.
        const BASE_BYTES: u64 = 64;
        let size = match value {
            Value::String(text) | Value::Bytes(text) => text.len() as u64,
            Value::List(list) => (list.len() * size_of::<Value>()) as u64,
            _ => 0,
        };
        self.meter.values(BASE_BYTES + size)
    }
}
