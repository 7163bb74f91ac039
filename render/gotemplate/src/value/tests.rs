//! Values: sharing, types, truth, and freeing.

use super::*;

static NAMED: NamedType = NamedType {
    name: "pkg.Values",
    underlying: Type::MAP,
    methods: &[],
};

#[test]
fn a_map_is_shared_by_its_clones_and_conversions() {
    let map = Map::new();
    let alias = map.named(&NAMED);
    alias.insert("a", Value::int(1));
    assert_eq!(map.len(), 1);
    assert!(map.same(&alias.unnamed()));
    assert_eq!(
        map.shallow_copy().named(&NAMED).ty().to_string(),
        "pkg.Values"
    );
    assert!(!map.same(&map.shallow_copy()));
}

#[test]
fn type_names_are_gos() {
    for (value, name, kind) in [
        (Value::Nil, "<nil>", "invalid"),
        (Value::int(1), "int", "int"),
        (Value::int64(1), "int64", "int64"),
        (Value::float64(1.0), "float64", "float64"),
        (Value::Bytes(Str::from("x")), "[]uint8", "slice"),
        (Value::list(vec![]), "[]interface {}", "slice"),
        (List::strings(["a"]).into(), "[]string", "slice"),
        (Map::new().into(), "map[string]interface {}", "map"),
        (
            Map::typed(Type::STRING_MAP).into(),
            "map[string]string",
            "map",
        ),
        (Map::typed(Type::Named(&NAMED)).into(), "pkg.Values", "map"),
    ] {
        assert_eq!(value.type_name(), name);
        assert_eq!(value.kind().name(), kind);
    }
}

#[test]
fn assignability_is_gos() {
    assert!(Type::Named(&NAMED).assignable_to(Type::MAP));
    assert!(Type::MAP.assignable_to(Type::Named(&NAMED)));
    assert!(Type::STRING_MAP.assignable_to(Type::Any));
    assert!(!Type::STRING_MAP.assignable_to(Type::MAP));
    assert!(!Type::INT.assignable_to(Type::INT64));
    assert!(!Type::Any.assignable_to(Type::String));
}

#[test]
fn deep_values_are_freed_without_recursion() {
    let mut value = Value::Nil;
    for depth in 0..200_000 {
        value = if depth % 2 == 0 {
            Value::list(vec![value])
        } else {
            Map::from_iter([("a", value)]).into()
        };
    }
    drop(value);
}

#[test]
fn a_string_may_be_any_bytes() {
    let cut = Str::from(&"é".as_bytes()[..1]);
    assert_eq!(cut.len(), 1);
    assert_eq!(cut.to_str(), "\u{fffd}");
    let (a, b) = (Str::from_static("a"), Str::from("b"));
    assert!(a < b);
}
