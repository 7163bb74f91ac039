//! [`Slot`]: a value together with whether Go sees it through an `interface {}`.

use crate::value::{Type, Value};

/// What `reflect.Value` is to Go's evaluator. The three faces of nil are: no value at all (`Nil`, not an interface), a nil
/// `interface {}` (`Nil`, an interface), and the nil map or slice of a type (a value of its own).
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) value: Value,
    pub(crate) interface: bool,
}

impl Slot {
    /// The invalid value: nothing.
    pub(crate) const INVALID: Self = Self {
        value: Value::Nil,
        interface: false,
    };

    /// A value of its own type.
    pub(crate) const fn concrete(value: Value) -> Self {
        Self {
            value,
            interface: false,
        }
    }

    /// A value seen as a type: through an interface if that is one.
    pub(crate) const fn typed(value: Value, ty: Type) -> Self {
        Self {
            value,
            interface: matches!(ty, Type::Any),
        }
    }

    pub(crate) const fn is_valid(&self) -> bool {
        self.interface || !matches!(self.value, Value::Nil)
    }

    /// The static type. `None` for nothing.
    pub(crate) fn ty(&self) -> Option<Type> {
        if self.interface {
            Some(Type::Any)
        } else {
            self.value.ty()
        }
    }

    /// What is inside the interface; a nil one becomes nothing.
    pub(crate) fn decay(mut self) -> Self {
        self.interface = false;
        self
    }

    pub(crate) fn is_nil_interface(&self) -> bool {
        self.interface && matches!(self.value, Value::Nil)
    }
}
