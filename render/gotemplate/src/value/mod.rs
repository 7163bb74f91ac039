//! Go values: what templates compute with.

mod func;
mod list;
mod map;
mod string;
mod types;

use std::rc::Rc;

pub(crate) use func::Body;
pub use func::{FuncError, Function, Method, NativeFn, Object};
pub use list::List;
pub use map::Map;
pub use string::Str;
pub use types::{FloatKind, IntKind, Kind, NamedType, Type, UintKind};

/// A Go value, cheap to clone: scalars are copied, everything else is shared.
///
/// Values belong to one thread. A parsed template and its functions do not: each render builds its own values.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// `nil` without a type: a nil `interface {}`, or no value at all. (The evaluator itself tells the two apart.)
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// A signed integer.
    Int(IntKind, i64),
    /// An unsigned integer.
    Uint(UintKind, u64),
    /// A floating-point number.
    Float(FloatKind, f64),
    /// `complex128`: real and imaginary part.
    Complex(Rc<(f64, f64)>),
    /// `string`
    String(Str),
    /// `[]byte`
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map.
    Map(Map),
    /// A struct or pointer of the host's.
    Object(Rc<dyn Object>),
    /// A function, for `call`.
    Func(Function),
}

impl Value {
    /// An `int`.
    #[must_use]
    pub const fn int(number: i64) -> Self {
        Self::Int(IntKind::Int, number)
    }

    /// An `int64`.
    #[must_use]
    pub const fn int64(number: i64) -> Self {
        Self::Int(IntKind::Int64, number)
    }

    /// A `float64`.
    #[must_use]
    pub const fn float64(number: f64) -> Self {
        Self::Float(FloatKind::Float64, number)
    }

    /// A `string`.
    #[must_use]
    pub fn string(text: impl Into<Str>) -> Self {
        Self::String(text.into())
    }

    /// A `string` that lives in the program: no allocation.
    #[must_use]
    pub const fn static_string(text: &'static str) -> Self {
        Self::String(Str::from_static(text))
    }

    /// An `[]interface {}`.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(items))
    }

    /// An object of the host's.
    #[must_use]
    pub fn object(object: impl Object) -> Self {
        Self::Object(Rc::new(object))
    }

    /// The zero value of a type, as Go's `reflect.Zero`.
    #[must_use]
    pub fn zero(ty: Type) -> Self {
        match ty.underlying() {
            Type::Bool => Self::Bool(false),
            Type::Int(kind) => Self::Int(kind, 0),
            Type::Uint(kind) => Self::Uint(kind, 0),
            Type::Float(kind) => Self::Float(kind, 0.0),
            Type::Complex => Self::Complex(Rc::new((0.0, 0.0))),
            Type::String => Self::String(Str::default()),
            Type::Slice(elem) if *elem == Type::UINT8 => Self::Bytes(Str::default()),
            Type::Slice(_) => Self::List(List::nil(ty)),
            Type::Map(_) => Self::Map(Map::nil(ty)),
            Type::Any | Type::Reflect | Type::Named(_) | Type::Object(_) | Type::Func => Self::Nil,
        }
    }

    /// The dynamic type; `None` for nil.
    #[must_use]
    pub fn ty(&self) -> Option<Type> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(_) => Type::Bool,
            Self::Int(kind, _) => Type::Int(*kind),
            Self::Uint(kind, _) => Type::Uint(*kind),
            Self::Float(kind, _) => Type::Float(*kind),
            Self::Complex(_) => Type::Complex,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::BYTES,
            Self::List(list) => list.ty(),
            Self::Map(map) => map.ty(),
            Self::Object(object) => Type::Object(object.type_name()),
            Self::Func(_) => Type::Func,
        })
    }

    /// `reflect.Kind` of the dynamic value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(kind, _) => Kind::Int(*kind),
            Self::Uint(kind, _) => Kind::Uint(*kind),
            Self::Float(kind, _) => Kind::Float(*kind),
            Self::Complex(_) => Kind::Complex,
            Self::String(_) => Kind::String,
            Self::Bytes(_) | Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) if object.type_name().starts_with('*') => Kind::Ptr,
            Self::Object(object) => object
                .underlying()
                .map_or(Kind::Struct, |value| value.kind()),
            Self::Func(_) => Kind::Func,
        }
    }

    /// The type as `%T` prints it: `<nil>` for nil.
    #[must_use]
    pub fn type_name(&self) -> String {
        self.ty()
            .map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string())
    }

    /// Whether it is nil, or the nil value of its type.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.is_nil(),
            Self::Map(map) => map.is_nil(),
            _ => false,
        }
    }

    /// Go templates' truth: not the zero value of its type, and not empty. Structs and pointers are true.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(yes) => *yes,
            Self::Int(_, number) => *number != 0,
            Self::Uint(_, number) => *number != 0,
            Self::Float(_, number) => *number != 0.0,
            Self::Complex(number) => number.0 != 0.0 || number.1 != 0.0,
            Self::String(text) | Self::Bytes(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.underlying().is_none_or(|value| value.truth()),
            Self::Func(_) => true,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&Str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// The list, if it is one. (`[]byte` is no [`List`].)
    #[must_use]
    pub fn as_list(&self) -> Option<&List> {
        if let Self::List(list) = self {
            Some(list)
        } else {
            None
        }
    }

    /// The number of any integer type, if it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(_, number) => Some(*number),
            Self::Uint(_, number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The host's object of a type, if it is one.
    #[must_use]
    pub fn downcast<T: Object>(&self) -> Option<&T> {
        if let Self::Object(object) = self {
            object.as_any().downcast_ref()
        } else {
            None
        }
    }

    /// The method of a name that the dynamic type has.
    pub(crate) fn method(&self, name: &str) -> Option<&'static Method> {
        let methods = match self {
            Self::Object(object) => object.methods(),
            Self::Map(map) => named_methods(map.ty()),
            Self::List(list) => named_methods(list.ty()),
            _ => return None,
        };
        methods.iter().find(|method| method.name() == name)
    }

    /// Whether it holds other values that may have to be freed.
    pub(crate) fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }
}

fn named_methods(ty: Type) -> &'static [Method] {
    if let Type::Named(named) = ty {
        named.methods
    } else {
        &[]
    }
}

/// Frees values without recursion: a template can nest lists a million deep, and the stack is not.
fn dismantle(mut values: Vec<Value>) {
    if !values.iter().any(Value::is_container) {
        return;
    }
    while let Some(value) = values.pop() {
        let children = match value {
            Value::List(list) => list.take_if_last(),
            Value::Map(map) => map.take_if_last(),
            _ => None,
        };
        values.extend(children.unwrap_or_default());
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::int64(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::float64(value)
    }
}

impl From<Str> for Value {
    fn from(value: Str) -> Self {
        Self::String(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::string(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::string(value)
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Self::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}

#[cfg(test)]
mod tests;
