//! Go structs and pointers to them, as templates look into them.

use std::any::Any;

use capstan_gotemplate::{Method, Object, Value};

pub(super) fn struct_field(args: &[Value], name: &str) -> Value {
    args.first()
        .and_then(Value::downcast::<Struct>)
        .and_then(|object| object.field(name))
        .unwrap_or_default()
}

/// A Go struct, or a pointer to one.
#[derive(Debug, Clone, Default)]
pub(super) struct Struct {
    pub(super) type_name: &'static str,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// Fields of an embedded struct, which are found as if they were its own.
    pub(super) embedded: Vec<(&'static str, Value)>,
    /// Under the names that JSON has for them, empty ones left out; the fields themselves where there is nothing here.
    pub(super) json: Option<Vec<(&'static str, Value)>>,
    /// What its pointer can do: a copy, which is what functions get, has neither methods nor text.
    pub(super) methods: &'static [Method],
    pub(super) text: Option<String>,
    /// The fields of a copy, where fields that templates cannot reach are printed too.
    pub(super) printed: Option<Vec<(&'static str, Value)>>,
}

impl Object for Struct {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields.clone()
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields
            .iter()
            .chain(&self.embedded)
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.clone())
    }

    fn methods(&self) -> &'static [Method] {
        self.methods
    }

    fn text(&self) -> Option<String> {
        self.text.clone()
    }

    fn copied(&self) -> Option<Value> {
        self.text.as_ref()?;
        let fields = self.printed.as_ref().unwrap_or(&self.fields).clone();
        Some(Value::object(Self {
            type_name: self.type_name,
            fields,
            json: self.printed.is_some().then(|| self.fields.clone()),
            ..Self::default()
        }))
    }

    fn json(&self) -> Option<Value> {
        // JSON keeps the order of a struct's fields, which a map would lose.
        let fields = self.json.clone()?;
        Some(Value::object(Self {
            fields,
            ..Self::default()
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
