//! [`Map`]: a Go map with string keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::{NamedType, Str, Type, Value, dismantle};

/// A Go map with string keys. Cloning shares it, and a change is seen by everyone who has it, as in Go.
///
/// Keys are kept in the order in which Go's `range` and `fmt` visit them: byte by byte.
#[derive(Clone)]
pub struct Map {
    storage: Rc<Storage>,
    /// The defined type through which this handle sees the storage. A conversion in Go changes the type and shares the entries.
    name: Option<&'static NamedType>,
}

struct Storage {
    /// The type without a name.
    ty: Type,
    nil: Cell<bool>,
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl Map {
    /// An empty `map[string]interface {}`.
    #[must_use]
    pub fn new() -> Self {
        Self::typed(Type::MAP)
    }

    /// An empty map of a map type, which may have a name.
    #[must_use]
    pub fn typed(ty: Type) -> Self {
        Self::build(ty, false, BTreeMap::new())
    }

    /// The nil map of a type: empty, and JSON writes it as `null`.
    #[must_use]
    pub fn nil(ty: Type) -> Self {
        Self::build(ty, true, BTreeMap::new())
    }

    /// A map of a type with these entries.
    #[must_use]
    pub fn from_entries(ty: Type, entries: impl IntoIterator<Item = (Str, Value)>) -> Self {
        Self::build(ty, false, entries.into_iter().collect())
    }

    fn build(ty: Type, nil: bool, entries: BTreeMap<Str, Value>) -> Self {
        let name = if let Type::Named(named) = ty {
            Some(named)
        } else {
            None
        };
        let storage = Storage {
            ty: ty.underlying(),
            nil: Cell::new(nil),
            entries: RefCell::new(entries),
        };
        Self {
            storage: Rc::new(storage),
            name,
        }
    }

    /// The same entries seen through a defined type, as by a conversion in Go.
    #[must_use]
    pub fn named(&self, name: &'static NamedType) -> Self {
        Self {
            storage: Rc::clone(&self.storage),
            name: Some(name),
        }
    }

    /// The same entries seen through the type without a name.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self {
            storage: Rc::clone(&self.storage),
            name: None,
        }
    }

    /// Its type.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.name.map_or(self.storage.ty, Type::Named)
    }

    /// The type of its values.
    #[must_use]
    pub fn elem(&self) -> Type {
        self.storage.ty.elem().unwrap_or(Type::Any)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.storage.entries.borrow().get(key.as_ref()).cloned()
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        self.storage.entries.borrow().contains_key(key.as_ref())
    }

    /// Sets a key for everyone who has the map. Go panics where the map is nil: a function that follows Go asks [`Map::is_nil`] first;
    /// here the map just stops being nil.
    pub fn insert(&self, key: impl Into<Str>, value: Value) -> Option<Value> {
        self.storage.nil.set(false);
        self.storage.entries.borrow_mut().insert(key.into(), value)
    }

    /// Removes a key for everyone who has the map.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.storage.entries.borrow_mut().remove(key.as_ref())
    }

    /// Removes all keys. Also the way to free a map that contains itself.
    pub fn clear(&self) {
        let entries = std::mem::take(&mut *self.storage.entries.borrow_mut());
        drop(entries);
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.storage.entries.borrow().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is the nil map.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.storage.nil.get()
    }

    /// The keys in order.
    #[must_use]
    pub fn keys(&self) -> Vec<Str> {
        self.storage.entries.borrow().keys().cloned().collect()
    }

    /// Keys and values in order, as they are now: what happens to the map meanwhile does not matter.
    #[must_use]
    pub fn entries(&self) -> Vec<(Str, Value)> {
        self.storage
            .entries
            .borrow()
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Looks at all entries without copying them. The closure must not change this map (that panics), and should be short.
    pub fn with<R>(&self, look: impl FnOnce(&BTreeMap<Str, Value>) -> R) -> R {
        look(&self.storage.entries.borrow())
    }

    /// A new map of the same type with the same values (which are shared, as in Go).
    #[must_use]
    pub fn shallow_copy(&self) -> Self {
        Self::build(self.ty(), false, self.storage.entries.borrow().clone())
    }

    /// Whether both are the same map in memory, whatever their types.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.storage, &other.storage)
    }

    /// An identity for `%p`, and for finding out what was seen before.
    #[must_use]
    pub fn address(&self) -> usize {
        if self.is_nil() {
            0
        } else {
            Rc::as_ptr(&self.storage).cast::<()>() as usize
        }
    }

    /// The values, if nobody else has the map.
    pub(super) fn take_if_last(self) -> Option<Vec<Value>> {
        Rc::try_unwrap(self.storage).ok().map(|mut inner| {
            std::mem::take(inner.entries.get_mut())
                .into_values()
                .collect()
        })
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        if entries.values().any(Value::is_container) {
            dismantle(entries.into_values().collect());
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values are left out: a map may contain itself, and may hold secrets.
        f.debug_set().entries(self.keys()).finish()
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Self::from_entries(
            Type::MAP,
            entries.into_iter().map(|(key, value)| (key.into(), value)),
        )
    }
}
