//! JSON patches (RFC 6902) as the library that kustomize uses applies them, oddities included.

use capstan_goyaml::Node;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::yaml;

/// Operations, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

/// How much one patch may copy within an object, in values.
const MAX_COPIED_VALUES: usize = 1_000_000;

impl Patch {
    /// Reads a list of operations, JSON if it starts with `[`, else YAML.
    pub(crate) fn read(text: &str) -> Result<Patch> {
        if text.is_empty() {
            return Err(Error::invalid("empty json patch operations"));
        }
        let value: Value = if text.starts_with('[') {
            serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?
        } else {
            yaml::to_json(text).map_err(|e| Error::invalid(e.to_string()).at_line(e.line()))?
        };
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            other => {
                let found = match other {
                    Value::Object(_) => "object",
                    Value::String(_) => "string",
                    Value::Bool(_) => "bool",
                    _ => "number",
                };
                return Err(Error::invalid(format!(
                    "json: cannot unmarshal {found} into Go value of type jsonpatch.Patch"
                )));
            }
        };
        let operations = items
            .into_iter()
            .map(Operation::read)
            .collect::<Result<_>>()?;
        Ok(Patch { operations })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The object with all operations applied. `annotated` says that there are annotations even where none are written.
    pub(crate) fn apply(&self, object: &Node, annotated: bool) -> Result<Node> {
        let mut document =
            yaml::object_to_json(object).map_err(|e| Error::invalid(e.to_string()))?;
        if annotated {
            ensure_annotations(&mut document);
        }
        let mut copied = 0;
        for operation in &self.operations {
            operation.apply(&mut document, &mut copied)?;
        }
        if !document.is_object() {
            return Err(Error::invalid(
                "json: cannot unmarshal array into Go value of type map[string]interface {}",
            ));
        }
        Ok(yaml::json_to_node_with_floats(&document))
    }
}

fn ensure_annotations(document: &mut Value) {
    let Some(object) = document.as_object_mut() else {
        return;
    };
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if annotations.is_null() {
            *annotations = Value::Object(Map::new());
        }
    }
}

impl Operation {
    fn read(item: Value) -> Result<Operation> {
        let Value::Object(mut map) = item else {
            return Err(Error::invalid(
                "json: cannot unmarshal a value that is no object into Go value of type jsonpatch.Operation",
            ));
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Ok(Operation {
            op: text(map.get("op")).unwrap_or_else(|| "unknown".to_owned()),
            path: text(map.get("path")),
            from: text(map.get("from")),
            value: map.remove("value"),
        })
    }

    fn apply(&self, document: &mut Value, copied: &mut usize) -> Result<()> {
        let path = |name: &str| {
            let problem = || {
                Error::invalid(format!(
                    "{name} operation failed to decode path: missing value"
                ))
            };
            self.path.as_deref().ok_or_else(problem)
        };
        match &*self.op {
            "add" => self.add(
                document,
                path("add")?,
                self.value.clone().unwrap_or_default(),
            ),
            "remove" => remove(document, path("remove")?).map(|_| ()),
            "replace" => self.replace(document, path("replace")?),
            "move" => {
                let from = self.from("move")?;
                let missing = || {
                    Error::invalid(format!(
                        "move operation does not apply: doc is missing from path: {from}: missing value"
                    ))
                };
                let (container, key) = find(document, from).ok_or_else(missing)?;
                let wrap =
                    |e: String| Error::invalid(format!("error in move for path: '{key}': {e}"));
                let value = get(container, &key)
                    .map_err(wrap)?
                    .cloned()
                    .unwrap_or_default();
                take(container, &key).map_err(wrap)?;
                self.add_moved(document, path("move")?, value, "move")
            }
            "test" => self.test(document, path("test")?),
            "copy" => {
                let from = self.from("copy")?;
                let missing = || {
                    Error::invalid(format!(
                        "copy operation does not apply: doc is missing from path: {from}: missing value"
                    ))
                };
                let (container, key) = find(document, from).ok_or_else(missing)?;
                let value = get(container, &key).map_err(|e| {
                    Error::invalid(format!("error in copy for from: '{from}': {e}"))
                })?;
                let value = value.cloned().unwrap_or_default();
                *copied += count(&value);
                if *copied > MAX_COPIED_VALUES {
                    let message = format!(
                        "apply patch: it copies more than {MAX_COPIED_VALUES} values; write them out"
                    );
                    return Err(Error::new(crate::error::ErrorKind::Limit, message));
                }
                self.add_moved(document, path("copy")?, value, "copy")
            }
            other => Err(Error::invalid(format!("Unexpected kind: {other}"))),
        }
    }

    fn from(&self, name: &str) -> Result<&str> {
        let problem = format!(
            "{name} operation failed to decode from: operation, missing from field: missing value"
        );
        self.from.as_deref().ok_or_else(|| Error::invalid(problem))
    }

    fn add(&self, document: &mut Value, path: &str, value: Value) -> Result<()> {
        let missing = || {
            Error::invalid(format!(
                "add operation does not apply: doc is missing path: \"{path}\": missing value"
            ))
        };
        let (container, key) = find(document, path).ok_or_else(missing)?;
        insert(container, &key, value)
            .map_err(|e| Error::invalid(format!("error in add for path: '{path}': {e}")))
    }

    fn add_moved(&self, document: &mut Value, path: &str, value: Value, name: &str) -> Result<()> {
        let missing = || {
            Error::invalid(format!(
                "{name} operation does not apply: doc is missing destination path: {path}: missing value"
            ))
        };
        let (container, key) = find(document, path).ok_or_else(missing)?;
        let problem = if name == "copy" {
            "error while adding value during copy".to_owned()
        } else {
            format!("error in move for path: '{path}'")
        };
        insert(container, &key, value).map_err(|e| Error::invalid(format!("{problem}: {e}")))
    }

    fn replace(&self, document: &mut Value, path: &str) -> Result<()> {
        if path.is_empty() {
            match &self.value {
                Some(value @ (Value::Object(_) | Value::Array(_))) => *document = value.clone(),
                _ => {
                    return Err(Error::invalid(
                        "replace operation value must be object or array: %!w(<nil>)",
                    ));
                }
            }
            return Ok(());
        }
        let missing = |what: &str| {
            Error::invalid(format!(
                "replace operation does not apply: doc is missing {what}: {path}: missing value"
            ))
        };
        let (container, key) = find(document, path).ok_or_else(|| missing("path"))?;
        get(container, &key).map_err(|_| missing("key"))?;
        match container {
            // A key that is not there is added: the library only looks for the map.
            Value::Object(map) => {
                map.insert(key, self.value.clone().unwrap_or_default());
            }
            Value::Array(items) => {
                if let Some(slot) = index(&key, items.len())
                    .ok()
                    .and_then(|at| items.get_mut(at))
                {
                    *slot = self.value.clone().unwrap_or_default();
                }
            }
            _ => return Err(missing("path")),
        }
        Ok(())
    }

    fn test(&self, document: &mut Value, path: &str) -> Result<()> {
        let failed = || Error::invalid(format!("testing value {path} failed: test failed"));
        let wanted = self.value.as_ref().unwrap_or(&Value::Null);
        if path.is_empty() {
            return if same(document, wanted) {
                Ok(())
            } else {
                Err(failed())
            };
        }
        let missing = || {
            Error::invalid(format!(
                "test operation does not apply: is missing path: {path}: missing value"
            ))
        };
        let (container, key) = find(document, path).ok_or_else(missing)?;
        let found = get(container, &key)
            .map_err(|e| Error::invalid(format!("error in test for path: '{path}': {e}")))?;
        if same(found.unwrap_or(&Value::Null), wanted) {
            Ok(())
        } else {
            Err(failed())
        }
    }
}

fn remove(document: &mut Value, path: &str) -> Result<Value> {
    let missing = || {
        Error::invalid(format!(
            "remove operation does not apply: doc is missing path: \"{path}\": missing value"
        ))
    };
    let (container, key) = find(document, path).ok_or_else(missing)?;
    take(container, &key)
        .map_err(|e| Error::invalid(format!("error in remove for path: '{path}': {e}")))
}

/// The container that the last part of a path is in, and that part.
fn find<'d>(document: &'d mut Value, path: &str) -> Option<(&'d mut Value, String)> {
    let mut parts: Vec<String> = path
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    let key = parts.pop()?;
    let mut container = document;
    for part in parts {
        container = match container {
            Value::Object(map) => map.get_mut(&part)?,
            Value::Array(items) => {
                let at = index(&part, items.len()).ok()?;
                items.get_mut(at)?
            }
            _ => return None,
        };
    }
    (container.is_object() || container.is_array()).then_some((container, key))
}

/// A position in a list; negative ones count from its end.
fn index(key: &str, length: usize) -> std::result::Result<usize, String> {
    let at: i64 = key
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let out_of_bounds =
        || format!("Unable to access invalid index: {at}: invalid index referenced");
    let length = i64::try_from(length).map_err(|_| out_of_bounds())?;
    let position = if at < 0 { at + length } else { at };
    usize::try_from(position).map_err(|_| out_of_bounds())
}

fn out_of_bounds(key: &str) -> String {
    format!("Unable to access invalid index: {key}: invalid index referenced")
}

fn get<'d>(container: &'d Value, key: &str) -> std::result::Result<Option<&'d Value>, String> {
    match container {
        Value::Object(map) => Ok(map.get(key)),
        Value::Array(items) => items
            .get(index(key, items.len())?)
            .map(Some)
            .ok_or_else(|| out_of_bounds(key)),
        _ => Ok(None),
    }
}

fn insert(container: &mut Value, key: &str, value: Value) -> std::result::Result<(), String> {
    match container {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            if key.parse::<i64>().is_err() {
                return Err(format!(
                    "value was not a proper array index: '{key}': strconv.Atoi: parsing {key:?}: invalid syntax"
                ));
            }
            let at = index(key, items.len() + 1)?;
            if at > items.len() {
                return Err(out_of_bounds(key));
            }
            items.insert(at, value);
        }
        _ => {}
    }
    Ok(())
}

fn take(container: &mut Value, key: &str) -> std::result::Result<Value, String> {
    match container {
        Value::Object(map) => map
            .shift_remove(key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
        Value::Array(items) => {
            let at = index(key, items.len())?;
            if at >= items.len() {
                Err(out_of_bounds(key))
            } else {
                Ok(items.remove(at))
            }
        }
        _ => Ok(Value::Null),
    }
}

/// Equal as JSON text, whatever the order of keys.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            crate::gojson::to_string(&a.clone().into())
                == crate::gojson::to_string(&b.clone().into())
        }
        _ => a == b,
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(object: &str, patch: &str) -> String {
        let object = yaml::parse_one(object).unwrap().unwrap();
        match Patch::read(patch).and_then(|p| p.apply(&object, false)) {
            Ok(node) => yaml::to_output(&node).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn operations_apply_as_in_the_library() {
        let check = |object: &str, patch: &str, expected: &str| {
            assert_eq!(patched(object, patch), expected, "{patch}")
        };
        check(
            "a: [1, 2]",
            r#"[{"op": "add", "path": "/a/-", "value": 3}]"#,
            "a:\n- 1\n- 2\n- 3\n",
        );
        check(
            "a: [1, 2]",
            "- {op: add, path: /a/0, value: 3}",
            "a:\n- 3\n- 1\n- 2\n",
        );
        check("a: {b/c: 1}", "- {op: remove, path: /a/b~1c}", "a: {}\n");
        check(
            "a: 1",
            "- {op: replace, path: /b, value: x}",
            "a: 1\nb: x\n",
        );
        check("a: 1", "- {op: move, from: /a, path: /b}", "b: 1\n");
        check(
            "a: [1]",
            "- {op: copy, from: /a, path: /b}",
            "a:\n- 1\nb:\n- 1\n",
        );
        check(
            "a: 1",
            "- {op: test, path: /a, value: 2}",
            "testing value /a failed: test failed",
        );
        check(
            "a: 1",
            "- {op: add, path: /b/c, value: 2}",
            "add operation does not apply: doc is missing path: \"/b/c\": missing value",
        );
        check(
            "a: 1",
            "- {op: remove, path: /b}",
            "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
        );
        check(
            "a: [1]",
            "- {op: remove, path: /a/4}",
            "error in remove for path: '/a/4': Unable to access invalid index: 4: invalid index referenced",
        );
        check("a: 1", "- {op: jump, path: /a}", "Unexpected kind: jump");
        check("a: 1", "- {op: add, path: /b}", "a: 1\nb: null\n");
    }

    #[test]
    fn numbers_go_through_floating_point_and_dates_become_texts() {
        assert_eq!(
            patched(
                "a: 9007199254740993\nb: 1000000\nd: 2001-01-01",
                "- {op: add, path: /c, value: 1.0}"
            ),
            "a: 9007199254740992\nb: 1000000\nc: 1\nd: \"2001-01-01T00:00:00Z\"\n"
        );
    }
}
