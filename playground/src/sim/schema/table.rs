//! Reads `kubernetes.table`: the built-in kinds and types, parsed once per process and shared by every cluster.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::{Arena, Field, Fields, Node, NodeId, Patch, Relation, Scalar, TypeNames};

/// A kind that every API server has.
#[derive(Debug, Clone)]
pub(crate) struct BuiltInKind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<&'static str>,
    pub(crate) categories: Vec<&'static str>,
    pub(crate) verbs: Vec<&'static str>,
    pub(crate) subresources: Vec<BuiltInSubresource>,
    pub(crate) node: NodeId,
}

/// A subresource as discovery names it.
#[derive(Debug, Clone)]
pub(crate) struct BuiltInSubresource {
    pub(crate) name: &'static str,
    pub(crate) group: Option<&'static str>,
    pub(crate) version: Option<&'static str>,
    pub(crate) kind: &'static str,
    pub(crate) verbs: Vec<&'static str>,
}

/// All that the table says.
pub(crate) struct BuiltIn {
    pub(crate) arena: Arena,
    pub(crate) kinds: Vec<BuiltInKind>,
    /// The types by name.
    #[cfg(test)]
    pub(crate) types: TypeNames,
    /// `metadata` of every object.
    pub(crate) object_meta: NodeId,
}

static TABLE: &str = include_str!("kubernetes.table");

static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| parse(TABLE));

/// The shared table.
pub(crate) fn built_in() -> &'static BuiltIn {
    &BUILT_IN
}

fn list(text: &'static str) -> Vec<&'static str> {
    if text == "-" {
        Vec::new()
    } else {
        text.split(',').collect()
    }
}

fn some(text: &'static str) -> Option<&'static str> {
    (text != "-").then_some(text)
}

/// A struct of the table before its fields are resolved.
struct RawType {
    granular: NodeId,
    atomic: NodeId,
    is_atomic: bool,
    fields: Vec<&'static str>,
}

type RawTypes = indexmap::IndexMap<&'static str, RawType>;

fn parse_subresource(line: &'static str) -> BuiltInSubresource {
    let part: Vec<&'static str> = line.split(' ').collect();
    BuiltInSubresource {
        name: part[0],
        group: some(part[1]),
        version: some(part[2]),
        kind: part[3],
        verbs: list(part[4]),
    }
}

fn parse(text: &'static str) -> BuiltIn {
    let mut arena = Arena::default();
    let mut kinds: Vec<(BuiltInKind, &'static str)> = Vec::new();
    let mut raw = RawTypes::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix('!') {
            kinds.push(parse_kind(rest));
        } else if let Some(rest) = line.strip_prefix('+') {
            let (kind, _) = kinds.last_mut().expect("a subresource follows its kind");
            kind.subresources.push(parse_subresource(rest));
        } else if let Some(field) = line.strip_prefix(' ') {
            let (_, ty) = raw.last_mut().expect("a field follows its type");
            ty.fields.push(field);
        } else {
            let (name, is_atomic) = line.strip_suffix(" A").map_or((line, false), |n| (n, true));
            let (granular, atomic) = (arena.push(Node::Any), arena.push(Node::Any));
            raw.insert(
                name,
                RawType {
                    granular,
                    atomic,
                    is_atomic,
                    fields: Vec::new(),
                },
            );
        }
    }
    for ty in raw.values() {
        let fields: Arc<Fields> = Arc::new(
            ty.fields
                .iter()
                .map(|line| parse_field(&mut arena, &raw, line))
                .collect(),
        );
        arena.set(
            ty.granular,
            Node::Object {
                fields: Arc::clone(&fields),
                rest: None,
                atomic: ty.is_atomic,
            },
        );
        arena.set(
            ty.atomic,
            Node::Object {
                fields,
                rest: None,
                atomic: true,
            },
        );
    }
    let types: TypeNames = raw
        .iter()
        .map(|(name, ty)| ((*name).into(), ty.granular))
        .collect();
    let kinds = kinds
        .into_iter()
        .map(|(mut kind, name)| {
            kind.node = types[name];
            kind
        })
        .collect();
    let object_meta = types["meta/v1.ObjectMeta"];
    BuiltIn {
        arena,
        kinds,
        #[cfg(test)]
        types,
        object_meta,
    }
}

fn parse_kind(line: &'static str) -> (BuiltInKind, &'static str) {
    let part: Vec<&'static str> = line.split(' ').collect();
    let kind = BuiltInKind {
        group: some(part[0]).unwrap_or_default(),
        version: part[1],
        plural: part[2],
        singular: part[3],
        kind: part[4],
        namespaced: part[5] == "N",
        short_names: list(part[6]),
        categories: list(part[7]),
        verbs: list(part[8]),
        subresources: Vec::new(),
        node: 0,
    };
    (kind, part[9])
}

/// The attributes that follow the shape of a field.
#[derive(Default)]
struct Attributes {
    pointer: bool,
    omit_empty: bool,
    omit_zero: bool,
    atomic: bool,
    relation: Option<&'static str>,
    patch: Patch,
}

fn parse_field(arena: &mut Arena, raw: &RawTypes, line: &'static str) -> (Box<str>, Field) {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let shape = words.next().expect("a field has a shape");
    let mut attributes = Attributes::default();
    for word in words {
        match word.split_once('=') {
            None if word == "*" => attributes.pointer = true,
            None if word == "o" => attributes.omit_empty = true,
            None if word == "z" => attributes.omit_zero = true,
            None => attributes.atomic = true,
            Some(("L", relation)) => attributes.relation = Some(relation),
            Some(("P", patch)) => {
                let (strategy, key) = patch.split_once(':').unwrap_or((patch, ""));
                attributes.patch = Patch {
                    merge: strategy.split(',').any(|s| s == "merge"),
                    retain_keys: strategy.split(',').any(|s| s == "retainKeys"),
                    key: (!key.is_empty()).then(|| key.to_owned()),
                };
            }
            Some(_) => {}
        }
    }
    let node = shape_node(arena, raw, shape, &attributes);
    let container = shape.starts_with(['[', '{']);
    // A time is a struct too: its zero is written, as null.
    let structure = shape.starts_with('@') || matches!(shape, "t" | "T");
    let field = Field {
        node,
        pointer: attributes.pointer,
        // A pointer that is nil is left out when it is omitted if empty; so are empty values of every other kind but structs.
        optional: if structure && !attributes.pointer {
            attributes.omit_zero
        } else {
            attributes.omit_empty || attributes.omit_zero
        },
        drop_empty: !attributes.pointer
            && (attributes.omit_empty || attributes.omit_zero)
            && (container || !structure),
        patch: attributes.patch,
    };
    (name.into(), field)
}

fn shape_node(
    arena: &mut Arena,
    raw: &RawTypes,
    shape: &'static str,
    attributes: &Attributes,
) -> NodeId {
    if let Some(element) = shape.strip_prefix('[') {
        let relation = relation(raw, element, attributes);
        let element = shape_node(arena, raw, element, &Attributes::default());
        return arena.push(Node::List { element, relation });
    }
    if let Some(element) = shape.strip_prefix('{') {
        let element = shape_node(arena, raw, element, &Attributes::default());
        return arena.push(Node::Object {
            fields: Arc::new(Fields::new()),
            rest: Some(element),
            atomic: attributes.atomic,
        });
    }
    if let Some(name) = shape.strip_prefix('@') {
        let ty = &raw[name];
        return if attributes.atomic {
            ty.atomic
        } else {
            ty.granular
        };
    }
    let scalar = match shape {
        "s" => Scalar::String,
        "i" => Scalar::Integer,
        "f" => Scalar::Float,
        "b" => Scalar::Boolean,
        "y" => Scalar::Bytes,
        "q" => Scalar::Quantity,
        "x" => Scalar::IntOrString,
        "t" => Scalar::Time,
        "u" => Scalar::MicroTime,
        _ => return arena.push(Node::Any),
    };
    arena.push(Node::Scalar(scalar))
}

fn relation(raw: &RawTypes, element: &str, attributes: &Attributes) -> Relation {
    let with_defaults = |keys: &str| {
        let fields = element
            .strip_prefix('@')
            .and_then(|name| raw.get(name))
            .map(|ty| ty.fields.as_slice())
            .unwrap_or_default();
        Relation::Map(
            keys.split(',')
                .map(|key| (key.to_owned(), default_of(fields, key)))
                .collect(),
        )
    };
    match attributes
        .relation
        .map(|r| r.split_once(':').unwrap_or((r, "")))
    {
        Some(("map", keys)) => with_defaults(keys),
        Some(("set", _)) => Relation::Set,
        Some(_) => Relation::Atomic,
        None => match (&attributes.patch.key, attributes.patch.merge) {
            (Some(key), true) => with_defaults(key),
            (None, true) => Relation::Set,
            _ => Relation::Atomic,
        },
    }
}

fn default_of(fields: &[&str], key: &str) -> Option<Value> {
    let line = fields
        .iter()
        .find(|line| line.split(' ').next() == Some(key))?;
    let text = line.split(' ').find_map(|word| word.strip_prefix("D="))?;
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(node: &'a Node, name: &str) -> &'a Field {
        match node {
            Node::Object { fields, .. } => &fields[name],
            other => panic!("{other:?} has no fields"),
        }
    }

    #[test]
    fn the_table_knows_merge_keys_and_their_defaults() {
        let table = built_in();
        let container = table.arena.node(table.types["core/v1.Container"]);
        let Node::List { relation, .. } = table.arena.node(field(container, "ports").node) else {
            panic!("ports is a list")
        };
        assert_eq!(
            *relation,
            Relation::Map(vec![
                ("containerPort".into(), None),
                ("protocol".into(), Some("TCP".into()))
            ])
        );
    }

    #[test]
    fn every_kind_has_a_struct() {
        for kind in &built_in().kinds {
            assert!(
                matches!(built_in().arena.node(kind.node), Node::Object { .. }),
                "{} {}",
                kind.group,
                kind.kind
            );
        }
        assert!(built_in().kinds.len() > 60, "{}", built_in().kinds.len());
    }

    #[test]
    fn atomic_structs_are_atomic_where_they_are_used() {
        let table = built_in();
        let spec = table.arena.node(table.types["apps/v1.DeploymentSpec"]);
        assert!(matches!(
            table.arena.node(field(spec, "selector").node),
            Node::Object { atomic: true, .. }
        ));
        assert!(matches!(
            table.arena.node(field(spec, "template").node),
            Node::Object { atomic: false, .. }
        ));
    }
}
