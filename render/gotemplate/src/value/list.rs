//! [`List`]: a Go slice.

use std::fmt;
use std::rc::Rc;

use super::{Type, Value, dismantle};

/// A Go slice. Cloning shares it. No template can change an element in place, so neither can this type: functions make new lists.
#[derive(Clone)]
pub struct List(Rc<Inner>);

struct Inner {
    ty: Type,
    nil: bool,
    items: Vec<Value>,
}

impl List {
    /// An `[]interface {}`.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self::typed(Type::LIST, items)
    }

    /// A list of a slice type, which may have a name.
    #[must_use]
    pub fn typed(ty: Type, items: Vec<Value>) -> Self {
        Self(Rc::new(Inner {
            ty,
            nil: false,
            items,
        }))
    }

    /// The nil slice of a type: empty, but JSON writes it as `null`.
    #[must_use]
    pub fn nil(ty: Type) -> Self {
        Self(Rc::new(Inner {
            ty,
            nil: true,
            items: Vec::new(),
        }))
    }

    /// A `[]string`.
    #[must_use]
    pub fn strings<S: Into<super::Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::typed(
            Type::STRINGS,
            items
                .into_iter()
                .map(|item| Value::String(item.into()))
                .collect(),
        )
    }

    /// Its type.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.0.ty
    }

    /// The type of its elements.
    #[must_use]
    pub fn elem(&self) -> Type {
        self.0.ty.elem().unwrap_or(Type::Any)
    }

    /// The elements.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.items.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// Whether it is the nil slice.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// The same elements as a list of another type, as by a conversion in Go.
    #[must_use]
    pub fn converted(&self, ty: Type) -> Self {
        Self(Rc::new(Inner {
            ty,
            nil: self.0.nil,
            items: self.0.items.clone(),
        }))
    }

    /// Whether both are the same slice in memory.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// An identity for `%p`, and for finding out what was seen before.
    #[must_use]
    pub fn address(&self) -> usize {
        if self.0.nil {
            0
        } else {
            Rc::as_ptr(&self.0).cast::<()>() as usize
        }
    }

    /// The elements, if nobody else has the list.
    pub(super) fn take_if_last(self) -> Option<Vec<Value>> {
        Rc::try_unwrap(self.0)
            .ok()
            .map(|mut inner| std::mem::take(&mut inner.items))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        dismantle(std::mem::take(&mut self.items));
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items()).finish()
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        Self::new(items)
    }
}
