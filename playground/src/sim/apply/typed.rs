//! Objects under their schema: checked, compared, merged, and with paths taken out.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::path::{Element, FieldSet};
use crate::sim::schema::{Node, Relation, Scalar, SchemaRef};

/// What a place holds once an untyped place has taken the form of its value.
enum Form<'a> {
    Leaf,
    Map {
        atomic: bool,
    },
    List {
        element: Option<SchemaRef<'a>>,
        relation: &'a Relation,
    },
}

static ATOMIC: Relation = Relation::Atomic;

fn form<'a>(schema: SchemaRef<'a>, value: &Value) -> Form<'a> {
    match (schema.node(), value) {
        (Node::Any, Value::Object(_)) => Form::Map { atomic: false },
        (Node::Any, Value::Array(_)) => Form::List {
            element: None,
            relation: &ATOMIC,
        },
        (Node::Any | Node::Scalar(_), _) => Form::Leaf,
        (Node::Object { atomic, .. }, _) => Form::Map { atomic: *atomic },
        (Node::List { element, relation }, _) => Form::List {
            element: Some(schema.at(*element)),
            relation,
        },
    }
}

/// The step of a path that names an element of a list.
fn element_of(relation: &Relation, index: usize, item: &Value) -> Result<Element, String> {
    match relation {
        Relation::Atomic => Ok(Element::Index(index)),
        Relation::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".into())
            }
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null".into())
            }
            scalar => Ok(Element::Value(scalar.clone())),
        },
        Relation::Map(keys) => {
            let Value::Object(map) = item else {
                let what = if item.is_null() {
                    "a null element"
                } else {
                    "non-map elements"
                };
                return Err(format!("associative list with keys may not have {what}"));
            };
            let mut found: Vec<(String, Value)> = keys
                .iter()
                .filter_map(|(name, default)| {
                    map.get(name)
                        .or(default.as_ref())
                        .map(|value| (name.clone(), value.clone()))
                })
                .collect();
            if found.is_empty() {
                let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
                let names = serde_json::to_string(&names)
                    .unwrap_or_default()
                    .replace("\",\"", "\" \"");
                return Err(format!(
                    "associative list with keys has an element that omits all key fields {names} (and doesn't have default values for any key fields)"
                ));
            }
            found.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(Element::Key(found))
        }
    }
}

/// Says what in a value does not fit its schema; an applied object must fit.
pub(crate) fn validate(schema: SchemaRef<'_>, value: &Value, duplicates: bool) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, value, duplicates, "", &mut errors);
    errors
}

fn check(
    schema: SchemaRef<'_>,
    value: &Value,
    duplicates: bool,
    path: &str,
    errors: &mut Vec<String>,
) {
    match (schema.node(), value) {
        (Node::Any, _) | (_, Value::Null) => {}
        (Node::Scalar(scalar), value) => {
            if let Some(problem) = scalar_problem(*scalar, value) {
                errors.push(format!("{path}: {problem}"));
            }
        }
        (Node::Object { .. }, Value::Object(map)) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                match schema.child(key) {
                    Some(child) => check(child, value, duplicates, &path, errors),
                    None => errors.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (Node::List { element, relation }, Value::Array(items)) => {
            let mut seen = std::collections::BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let step = match element_of(relation, index, item) {
                    Ok(step) => step,
                    Err(problem) => {
                        errors.push(format!("{path}: element {index}: {problem}"));
                        return;
                    }
                };
                if !matches!(relation, Relation::Atomic)
                    && !seen.insert(step.clone())
                    && !duplicates
                {
                    errors.push(format!("{path}: duplicate entries for key {step}"));
                }
                check(
                    schema.at(*element),
                    item,
                    duplicates,
                    &format!("{path}{step}"),
                    errors,
                );
            }
        }
        (Node::Object { .. }, other) => {
            errors.push(format!("{path}: expected map, got {}", printed(other)))
        }
        (Node::List { .. }, other) => {
            errors.push(format!("{path}: expected list, got {}", printed(other)))
        }
    }
}

fn printed(value: &Value) -> String {
    format!(
        "&{{{}}}",
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    )
}

fn scalar_problem(scalar: Scalar, value: &Value) -> Option<String> {
    let fits = match scalar {
        Scalar::Integer | Scalar::Float => value.is_number(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Quantity | Scalar::IntOrString => {
            value.is_number() || value.is_string() || value.is_boolean()
        }
        Scalar::String | Scalar::Bytes | Scalar::Time | Scalar::MicroTime => value.is_string(),
    };
    if fits {
        return None;
    }
    Some(match scalar {
        Scalar::Integer | Scalar::Float => {
            let go = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Array(_) => "[]interface {}",
                _ => "map[string]interface {}",
            };
            format!("expected numeric (int or float), got {go}")
        }
        Scalar::Boolean => format!("expected boolean, got {}", printed(value)),
        Scalar::Quantity | Scalar::IntOrString => {
            format!("expected any scalar, got {}", printed(value))
        }
        _ => format!("expected string, got &value.valueUnstructured{{Value:{value}}}"),
    })
}

/// The paths that a value sets.
pub(crate) fn field_set(schema: SchemaRef<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(schema, value, &mut Vec::new(), &mut set);
    set
}

fn collect(schema: SchemaRef<'_>, value: &Value, path: &mut Vec<Element>, set: &mut FieldSet) {
    match (form(schema, value), value) {
        (Form::Leaf, _)
        | (Form::Map { atomic: true }, _)
        | (
            Form::List {
                relation: Relation::Atomic,
                ..
            },
            _,
        )
        | (_, Value::Null) => set.insert(path),
        (Form::Map { .. }, Value::Object(map)) => {
            for (key, value) in map {
                let Some(child) = schema.child(key) else {
                    continue;
                };
                path.push(Element::Field(key.clone()));
                collect(child, value, path, set);
                if value.is_null()
                    || value.as_object().is_some_and(Map::is_empty)
                    || !schema.has_field(key)
                {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (
            Form::List {
                element: Some(element),
                relation,
            },
            Value::Array(items),
        ) => {
            for (index, item) in items.iter().enumerate() {
                let Ok(step) = element_of(relation, index, item) else {
                    continue;
                };
                path.push(step);
                collect(element, item, path, set);
                set.insert(path);
                path.pop();
            }
        }
        _ => set.insert(path),
    }
}

/// How two versions of an object differ.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

/// Compares two values of the same kind.
pub(crate) fn compare(schema: SchemaRef<'_>, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    difference(
        schema,
        Some(old),
        Some(new),
        &mut Vec::new(),
        &mut comparison,
    );
    comparison
}

fn difference(
    schema: SchemaRef<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    let Some(shape) = new.or(old) else { return };
    if is_leaf(schema, old, new, shape) {
        match (old, new) {
            (None, _) => out.added.insert(path),
            (_, None) => out.removed.insert(path),
            (Some(a), Some(b)) if !equal(a, b) => out.modified.insert(path),
            _ => {}
        }
        return;
    }
    match form(schema, shape) {
        Form::Map { .. } => {
            static EMPTY: std::sync::LazyLock<Map<String, Value>> =
                std::sync::LazyLock::new(Map::new);
            let a = old.and_then(Value::as_object).unwrap_or(&EMPTY);
            let b = new.and_then(Value::as_object).unwrap_or(&EMPTY);
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let Some(child) = schema.child(key) else {
                    continue;
                };
                path.push(Element::Field(key.clone()));
                difference(child, a.get(key), b.get(key), path, out);
                path.pop();
            }
        }
        Form::List {
            element: Some(element),
            relation,
        } => {
            let a = indexed(relation, old);
            let b = indexed(relation, new);
            for (step, item) in &a.order {
                path.push(step.clone());
                difference(element, Some(item), b.first(step), path, out);
                path.pop();
            }
            for (step, item) in b.order.iter().filter(|(step, _)| a.first(step).is_none()) {
                path.push(step.clone());
                difference(element, None, Some(item), path, out);
                path.pop();
            }
        }
        Form::Leaf | Form::List { element: None, .. } => {}
    }
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => {}
    }
}

/// Whether a place is compared as a whole: scalars, what is atomic, what is empty on both sides, and what changes its form.
fn is_leaf(schema: SchemaRef<'_>, old: Option<&Value>, new: Option<&Value>, shape: &Value) -> bool {
    let length = |v: Option<&Value>| match v {
        Some(Value::Array(a)) => a.len(),
        Some(Value::Object(o)) => o.len(),
        _ => 0,
    };
    let other_form = matches!((old, new), (Some(a), Some(b)) if schema.is_any() && a.is_object() != b.is_object());
    other_form
        || match form(schema, shape) {
            Form::Leaf
            | Form::Map { atomic: true }
            | Form::List {
                relation: Relation::Atomic,
                ..
            } => true,
            _ => length(old) == 0 && length(new) == 0,
        }
}

/// Equality of JSON values: numbers by value, maps in any order.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

/// The elements of a list by their step; a step that comes twice keeps its first element.
struct Indexed<'v> {
    order: Vec<(Element, &'v Value)>,
    by_step: HashMap<String, usize>,
}

impl<'v> Indexed<'v> {
    fn first(&self, step: &Element) -> Option<&'v Value> {
        self.by_step
            .get(&step.to_string())
            .map(|i| self.order[*i].1)
    }
}

fn indexed<'v>(relation: &Relation, list: Option<&'v Value>) -> Indexed<'v> {
    let mut out = Indexed {
        order: Vec::new(),
        by_step: HashMap::new(),
    };
    for (index, item) in list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        if let Ok(step) = element_of(relation, index, item) {
            out.by_step
                .entry(step.to_string())
                .or_insert(out.order.len());
            out.order.push((step, item));
        }
    }
    out
}

/// Lays an applied configuration over the live object.
pub(crate) fn merge(
    schema: SchemaRef<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Option<Value> {
    let (live, applied) = match (live, applied) {
        (None, None) => return None,
        (Some(only), None) | (None, Some(only)) => return Some(only.clone()),
        (Some(live), Some(applied)) => (live, applied),
    };
    Some(match (form(schema, applied), live, applied) {
        (Form::Map { atomic: false }, Value::Object(a), Value::Object(b)) => {
            let mut out = Map::new();
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let merged = match schema.child(key) {
                    Some(child) => merge(child, a.get(key), b.get(key)),
                    None => b.get(key).or(a.get(key)).cloned(),
                };
                if let Some(value) = merged {
                    out.insert(key.clone(), value);
                }
            }
            Value::Object(out)
        }
        (
            Form::List {
                element: Some(element),
                relation: relation @ (Relation::Set | Relation::Map(_)),
            },
            Value::Array(_),
            Value::Array(_),
        ) => Value::Array(merge_lists(element, relation, live, applied)),
        _ => applied.clone(),
    })
}

/// Merges two associative lists: the applied order wins among its own elements, others stay where they were.
fn merge_lists(
    element: SchemaRef<'_>,
    relation: &Relation,
    live: &Value,
    applied: &Value,
) -> Vec<Value> {
    let left = indexed(relation, Some(live));
    let right = indexed(relation, Some(applied));
    let mut shared = right
        .order
        .iter()
        .map(|(step, _)| step)
        .filter(|step| left.first(step).is_some());
    let mut next_shared = shared.next();
    let mut merged = std::collections::BTreeSet::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.order.len() || r < right.order.len() {
        if let (Some((left_step, _)), Some((right_step, _))) =
            (left.order.get(l), right.order.get(r))
        {
            if left_step == right_step {
                merged.insert(left_step.clone());
                out.extend(merge(
                    element,
                    left.first(left_step),
                    right.first(right_step),
                ));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if right.first(left_step).is_some() && next_shared.is_some_and(|next| next != left_step)
            {
                l += 1;
                continue;
            }
        }
        if let Some((step, item)) = left.order.get(l) {
            if right.first(step).is_none() {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            if merged.contains(step) {
                l += 1;
            }
        }
        if let Some((step, _)) = right.order.get(r) {
            merged.insert(step.clone());
            out.extend(merge(element, left.first(step), right.first(step)));
            r += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    out
}

/// The value without the members of a set. What becomes empty stays, as an empty map or list.
pub(crate) fn remove(schema: SchemaRef<'_>, value: &Value, gone: &FieldSet) -> Value {
    match (form(schema, value), value) {
        (Form::Map { atomic: false }, Value::Object(map)) => {
            let mut out = Map::new();
            for (key, value) in map {
                let step = Element::Field(key.clone());
                if gone.has(&step) {
                    continue;
                }
                let kept = match (gone.below(&step), schema.child(key)) {
                    (Some(below), Some(child)) => remove(child, value, below),
                    _ => value.clone(),
                };
                out.insert(key.clone(), kept);
            }
            Value::Object(out)
        }
        (
            Form::List {
                element: Some(element),
                relation: relation @ (Relation::Set | Relation::Map(_)),
            },
            Value::Array(items),
        ) => {
            let mut out = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let Ok(step) = element_of(relation, index, item) else {
                    out.push(item.clone());
                    continue;
                };
                if gone.has(&step) {
                    continue;
                }
                out.push(
                    gone.below(&step)
                        .map_or_else(|| item.clone(), |below| remove(element, item, below)),
                );
            }
            Value::Array(out)
        }
        // What is atomic goes as a whole where something below it is to go.
        (Form::Map { atomic: true }, Value::Object(_)) => Value::Object(Map::new()),
        (Form::List { .. }, Value::Array(_)) => Value::Array(Vec::new()),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schema::{Schema, built_in};
    use serde_json::json;

    fn schema(kind: &str) -> Schema {
        Schema::BuiltIn(
            built_in()
                .kinds
                .iter()
                .find(|k| k.kind == kind)
                .unwrap()
                .node,
        )
    }

    #[test]
    fn lists_of_maps_merge_by_key_and_keep_their_order() {
        let schema = schema("Service");
        let live = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}, {"port": 443, "protocol": "TCP"}]}});
        let applied = json!({"spec": {"ports": [{"port": 443, "name": "s"}, {"port": 81}]}});
        let merged = merge(schema.root(), Some(&live), Some(&applied)).unwrap();
        assert_eq!(
            merged["spec"]["ports"],
            json!([{"port": 80, "protocol": "TCP", "nodePort": 30000}, {"port": 443, "protocol": "TCP", "name": "s"}, {"port": 81}])
        );
    }

    #[test]
    fn a_set_of_a_map_has_members_where_keys_are_not_declared() {
        let set = field_set(
            schema("ConfigMap").root(),
            &json!({"data": {"a": "1"}, "metadata": {"labels": {}}}),
        );
        assert_eq!(
            set.to_json(),
            json!({"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {}}})
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let errors = validate(
            schema("Deployment").root(),
            &json!({"spec": {"replicas": "3", "foo": 1, "template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}}),
            false,
        );
        assert_eq!(
            errors,
            [
                ".spec.replicas: expected numeric (int or float), got string",
                ".spec.foo: field not declared in schema",
                ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
            ]
        );
    }

    #[test]
    fn a_comparison_names_leaves_and_whole_elements() {
        let old = json!({"spec": {"ports": [{"port": 80}]}});
        let new = json!({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 81}], "selector": {"a": "b"}}});
        let comparison = compare(schema("Service").root(), &old, &new);
        assert_eq!(
            comparison.added.to_json(),
            json!({"f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}, "k:{\"port\":81,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}})
        );
        assert!(comparison.modified.is_empty() && comparison.removed.is_empty());
    }
}
