//! Go's types, as far as templates can meet them.

use std::fmt;

use super::func::Method;

/// A signed integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IntKind {
    /// `int`, 64 bits wide as on every server that runs Go today.
    Int,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
}

/// An unsigned integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UintKind {
    /// `uint`, 64 bits wide.
    Uint,
    /// `uint8`, which is `byte`.
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `uintptr`
    Uintptr,
}

/// A floating-point type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FloatKind {
    /// `float32`
    Float32,
    /// `float64`
    Float64,
}

/// A Go type. Small and copyable: composite types refer to their parts by `&'static`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: a parameter that takes whatever is there, also nothing at all.
    Reflect,
    /// `bool`
    Bool,
    /// `int` and its sized relatives
    Int(IntKind),
    /// `uint` and its sized relatives
    Uint(UintKind),
    /// `float64` or `float32`
    Float(FloatKind),
    /// `complex128`
    Complex,
    /// `string`
    String,
    /// `[]T`
    Slice(&'static Type),
    /// `map[string]T`; templates meet no other key type that could not be one of these.
    Map(&'static Type),
    /// A defined type with a name and, perhaps, methods.
    Named(&'static NamedType),
    /// A struct or a pointer that the host gives, known by the name that Go prints.
    Object(&'static str),
    /// A function.
    Func,
}

/// A defined type: a name for an underlying map or slice type, with methods.
#[derive(Debug)]
pub struct NamedType {
    /// As Go prints it: package and name.
    pub name: &'static str,
    /// What it is underneath.
    pub underlying: Type,
    /// Its methods. A method hides a map key of the same name.
    pub methods: &'static [Method],
}

impl PartialEq for NamedType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for NamedType {}

/// `reflect.Kind`: what a type is underneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value at all.
    Invalid,
    /// `bool`
    Bool,
    /// Signed integers.
    Int(IntKind),
    /// Unsigned integers.
    Uint(UintKind),
    /// Floating-point numbers.
    Float(FloatKind),
    /// `complex128`
    Complex,
    /// `string`
    String,
    /// Slices.
    Slice,
    /// Maps.
    Map,
    /// Structs.
    Struct,
    /// Pointers.
    Ptr,
    /// Functions.
    Func,
    /// Interfaces.
    Interface,
}

impl Kind {
    /// The name as Go's `Kind.String` gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int(kind) => kind.name(),
            Self::Uint(kind) => kind.name(),
            Self::Float(kind) => kind.name(),
            Self::Complex => "complex128",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Ptr => "ptr",
            Self::Func => "func",
            Self::Interface => "interface",
        }
    }
}

impl IntKind {
    /// The name in Go.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        }
    }
}

impl UintKind {
    /// The name in Go.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uint => "uint",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Uintptr => "uintptr",
        }
    }
}

impl FloatKind {
    /// The name in Go.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }
}

impl Type {
    /// `int`
    pub const INT: Self = Self::Int(IntKind::Int);
    /// `int64`
    pub const INT64: Self = Self::Int(IntKind::Int64);
    /// `uint8`
    pub const UINT8: Self = Self::Uint(UintKind::Uint8);
    /// `float64`
    pub const FLOAT64: Self = Self::Float(FloatKind::Float64);
    /// `[]interface {}`
    pub const LIST: Self = Self::Slice(&Self::Any);
    /// `[]string`
    pub const STRINGS: Self = Self::Slice(&Self::String);
    /// `[]uint8`
    pub const BYTES: Self = Self::Slice(&Self::UINT8);
    /// `map[string]interface {}`
    pub const MAP: Self = Self::Map(&Self::Any);
    /// `map[string]string`
    pub const STRING_MAP: Self = Self::Map(&Self::String);

    /// The type without its name.
    #[must_use]
    pub const fn underlying(self) -> Self {
        match self {
            Self::Named(named) => named.underlying,
            other => other,
        }
    }

    /// Element type of a slice or map.
    #[must_use]
    pub const fn elem(self) -> Option<Self> {
        match self.underlying() {
            Self::Slice(elem) | Self::Map(elem) => Some(*elem),
            _ => None,
        }
    }

    /// Whether `nil` is a value of the type.
    #[must_use]
    pub const fn can_be_nil(self) -> bool {
        match self.underlying() {
            Self::Any | Self::Reflect | Self::Slice(_) | Self::Map(_) | Self::Func => true,
            Self::Object(name) => matches!(name.as_bytes().first(), Some(b'*')),
            _ => false,
        }
    }

    /// Go's assignability: the same type, or anything to `interface {}`, or the same underlying type when one of the two has no name.
    #[must_use]
    pub fn assignable_to(self, target: Self) -> bool {
        if self == target || target == Self::Any {
            return true;
        }
        let one_is_unnamed = !(matches!(self, Self::Named(_)) && matches!(target, Self::Named(_)));
        let composite = matches!(target.underlying(), Self::Slice(_) | Self::Map(_));
        one_is_unnamed && composite && self.underlying() == target.underlying()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("interface {}"),
            Self::Reflect => f.write_str("reflect.Value"),
            Self::Bool => f.write_str("bool"),
            Self::Int(kind) => f.write_str(kind.name()),
            Self::Uint(kind) => f.write_str(kind.name()),
            Self::Float(kind) => f.write_str(kind.name()),
            Self::Complex => f.write_str("complex128"),
            Self::String => f.write_str("string"),
            Self::Slice(elem) => write!(f, "[]{elem}"),
            Self::Map(elem) => write!(f, "map[string]{elem}"),
            Self::Named(named) => f.write_str(named.name),
            Self::Object(name) => f.write_str(name),
            Self::Func => f.write_str("func()"),
        }
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
