//! Paths into objects and sets of them, with the `fieldsV1` form in which they are stored.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    /// A field or a key of a map.
    Field(String),
    /// An element of a list of maps, by the values of its keys in the order of their names.
    Key(Vec<(String, Value)>),
    /// An element of a set, by its value.
    Value(Value),
    /// An element by its place.
    Index(usize),
}

impl Eq for Element {}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => compare_keys(a, b),
            (Element::Value(a), Element::Value(b)) => compare_values(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

fn compare_keys(a: &[(String, Value)], b: &[(String, Value)]) -> Ordering {
    for ((name_a, value_a), (name_b, value_b)) in a.iter().zip(b) {
        let order = name_a
            .cmp(name_b)
            .then_with(|| compare_values(value_a, value_b));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Floats and integers come before strings, these before booleans, lists, maps and null.
fn compare_values(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a
                .as_f64()
                .partial_cmp(&b.as_f64())
                .unwrap_or(Ordering::Equal),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a)
            .cmp(&rank(b))
            .then_with(|| a.to_string().cmp(&b.to_string())),
    }
}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }

    fn encode(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Key(keys) => {
                let map: Map<String, Value> = keys.iter().cloned().collect();
                format!("k:{}", Value::Object(map))
            }
            Element::Value(value) => format!("v:{value}"),
            Element::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Element> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Element::Field(rest.to_owned())),
            "k" => {
                let Value::Object(map) = serde_json::from_str(rest).ok()? else {
                    return None;
                };
                let mut keys: Vec<(String, Value)> = map.into_iter().collect();
                keys.sort_by(|a, b| a.0.cmp(&b.0));
                Some(Element::Key(keys))
            }
            "v" => serde_json::from_str(rest).ok().map(Element::Value),
            "i" => rest.parse().ok().map(Element::Index),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                let parts: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                write!(f, "[{}]", parts.join(","))
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of paths. A path can be a member and have members below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<Element, SetNode>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SetNode {
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    /// A set of paths given as names of fields.
    pub(crate) fn of_fields(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            let path: Vec<Element> = path
                .iter()
                .map(|name| Element::Field((*name).to_owned()))
                .collect();
            set.insert(&path);
        }
        set
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes
            .values()
            .all(|node| !node.member && node.below.is_empty())
    }

    /// Adds a path; the empty path means the whole object, which nobody owns.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => self.nodes.entry(last.clone()).or_default().member = true,
            [first, rest @ ..] => self
                .nodes
                .entry(first.clone())
                .or_default()
                .below
                .insert(rest),
        }
    }

    /// Whether a single step is a member.
    pub(crate) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// What is below a step.
    pub(crate) fn below(&self, element: &Element) -> Option<&FieldSet> {
        self.nodes
            .get(element)
            .map(|node| &node.below)
            .filter(|set| !set.is_empty())
    }

    fn combine(&self, other: &FieldSet, keep: fn(bool, bool) -> bool) -> FieldSet {
        static EMPTY: SetNode = SetNode {
            member: false,
            below: FieldSet {
                nodes: BTreeMap::new(),
            },
        };
        let mut nodes = BTreeMap::new();
        for element in self
            .nodes
            .keys()
            .chain(other.nodes.keys().filter(|e| !self.nodes.contains_key(e)))
        {
            let a = self.nodes.get(element).unwrap_or(&EMPTY);
            let b = other.nodes.get(element).unwrap_or(&EMPTY);
            let node = SetNode {
                member: keep(a.member, b.member),
                below: a.below.combine(&b.below, keep),
            };
            if node.member || !node.below.nodes.is_empty() {
                nodes.insert(element.clone(), node);
            }
        }
        FieldSet { nodes }
    }

    pub(crate) fn union(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |a, b| a || b)
    }

    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |a, b| a && b)
    }

    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |a, b| a && !b)
    }

    /// Without the members of the other set and everything below them.
    pub(crate) fn difference_deep(&self, other: &FieldSet) -> FieldSet {
        let mut nodes = BTreeMap::new();
        for (element, node) in &self.nodes {
            match other.nodes.get(element) {
                Some(gone) if gone.member => {}
                Some(gone) => {
                    let below = node.below.difference_deep(&gone.below);
                    if node.member || !below.nodes.is_empty() {
                        nodes.insert(
                            element.clone(),
                            SetNode {
                                member: node.member,
                                below,
                            },
                        );
                    }
                }
                None => {
                    nodes.insert(element.clone(), node.clone());
                }
            }
        }
        FieldSet { nodes }
    }

    /// The same set with every declared field that has members below it as a member itself.
    pub(crate) fn with_named_fields(
        &self,
        schema: Option<crate::sim::schema::SchemaRef<'_>>,
    ) -> FieldSet {
        use crate::sim::schema::Node;
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (child, named) = match (element, schema.map(|s| (s, s.node()))) {
                (Element::Field(name), Some((s, _))) => (s.child(name), s.has_field(name)),
                (Element::Key(_), Some((s, Node::List { element, .. }))) => {
                    (Some(s.at(*element)), false)
                }
                _ => (None, false),
            };
            let member = node.member || (named && !node.below.nodes.is_empty());
            (
                element.clone(),
                SetNode {
                    member,
                    below: node.below.with_named_fields(child),
                },
            )
        });
        FieldSet {
            nodes: nodes.collect(),
        }
    }

    /// Calls back with every member, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect(String::new(), &mut out);
        out
    }

    fn collect(&self, prefix: String, out: &mut Vec<String>) {
        for (element, node) in self.nodes.iter().filter(|(_, node)| node.member) {
            let _ = node;
            out.push(format!("{prefix}{element}"));
        }
        for (element, node) in &self.nodes {
            node.below.collect(format!("{prefix}{element}"), out);
        }
    }

    /// The `fieldsV1` form.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.below.to_json();
            if let (true, Value::Object(map)) =
                (node.member && !node.below.nodes.is_empty(), &mut below)
            {
                map.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(element.encode(), below);
        }
        Value::Object(out)
    }

    /// Reads the `fieldsV1` form; nothing where it is none.
    pub(crate) fn from_json(value: &Value) -> Option<FieldSet> {
        let mut set = FieldSet::default();
        for (key, below) in value.as_object()? {
            if key == "." {
                continue;
            }
            let below_map = below.as_object()?;
            let node = SetNode {
                member: below_map.is_empty() || below_map.contains_key("."),
                below: FieldSet::from_json(below)?,
            };
            set.nodes.insert(Element::decode(key)?, node);
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_v1_round_trips_in_order() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                            "f:finalizers": {"v:\"x/y\"": {}}}});
        let set = FieldSet::from_json(&fields).unwrap();
        assert_eq!(set.to_json().to_string().len(), fields.to_string().len());
        assert_eq!(FieldSet::from_json(&set.to_json()), Some(set.clone()));
        let paths = set.paths();
        assert!(
            paths.contains(&".spec.ports[port=80,protocol=\"TCP\"].port".to_owned()),
            "{paths:?}"
        );
    }

    #[test]
    fn set_algebra() {
        let a = FieldSet::of_fields(&[&["a"], &["b", "c"]]);
        let b = FieldSet::of_fields(&[&["b", "c"], &["d"]]);
        assert_eq!(a.intersection(&b), FieldSet::of_fields(&[&["b", "c"]]));
        assert_eq!(a.difference(&b), FieldSet::of_fields(&[&["a"]]));
        assert_eq!(
            a.union(&b),
            FieldSet::of_fields(&[&["a"], &["b", "c"], &["d"]])
        );
        assert_eq!(
            a.difference_deep(&FieldSet::of_fields(&[&["b"]])),
            FieldSet::of_fields(&[&["a"]])
        );
    }
}
