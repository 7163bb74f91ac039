//! Field managers: what `metadata.managedFields` records, and how requests change it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::path::FieldSet;
use super::typed;
use crate::sim::schema::{Schema, SchemaRef, decode};

/// Entries of managers that update are folded into one beyond this number, as in Kubernetes, so that objects cannot grow without bound.
const MAX_UPDATE_MANAGERS: usize = 10;
/// What stands for managers that were folded.
const ANCIENT: &str = "ancient-changes";
/// What owns the fields of an object that nobody tracked before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who a manager is. Appliers are the same in every version of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ManagerKey {
    pub(crate) name: String,
    pub(crate) applied: bool,
    /// The version that an updater wrote in; empty for appliers.
    pub(crate) version: String,
    pub(crate) subresource: String,
}

/// What a manager owns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owned {
    pub(crate) version: String,
    pub(crate) fields: FieldSet,
    pub(crate) time: Option<String>,
}

/// All managers of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Managers {
    pub(crate) entries: BTreeMap<ManagerKey, Owned>,
}

/// A field that somebody else owns.
#[derive(Debug, Clone)]
pub(crate) struct Conflict {
    /// How the manager is printed.
    pub(crate) manager: String,
    /// The path.
    pub(crate) field: String,
}

/// Why an apply was refused.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// The object does not fit its schema.
    Typed(String),
    /// The request is malformed.
    BadRequest(String),
    /// Somebody else owns fields.
    Conflicts(Vec<Conflict>),
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) subresource: &'a str,
    /// The version of the request, `apps/v1`.
    pub(crate) version: &'a str,
    /// RFC 3339 with seconds.
    pub(crate) now: &'a str,
    /// Paths that this request cannot own, with all below them.
    pub(crate) reset: &'a FieldSet,
}

impl Writer<'_> {
    fn key(&self, applied: bool) -> ManagerKey {
        ManagerKey {
            name: self.manager.to_owned(),
            applied,
            version: if applied {
                String::new()
            } else {
                self.version.to_owned()
            },
            subresource: self.subresource.to_owned(),
        }
    }
}

impl Managers {
    /// Reads `metadata.managedFields`; entries that cannot be read are an error.
    pub(crate) fn of(object: &Value) -> Result<Managers, String> {
        let mut managers = Managers::default();
        let entries = object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let text = |name: &str| {
                entry
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let applied = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                other => {
                    return Err(format!(
                        "metadata.managedFields: unknown operation {other:?}"
                    ));
                }
            };
            let fields = FieldSet::from_json(entry.get("fieldsV1").unwrap_or(&json!({})))
                .ok_or("metadata.managedFields: fieldsV1 cannot be read")?;
            let version = text("apiVersion");
            let key = ManagerKey {
                name: text("manager"),
                applied,
                version: if applied {
                    String::new()
                } else {
                    version.clone()
                },
                subresource: text("subresource"),
            };
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            managers.entries.insert(
                key,
                Owned {
                    version,
                    fields,
                    time,
                },
            );
        }
        Ok(managers)
    }

    /// Writes `metadata.managedFields`.
    pub(crate) fn write(&self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        if self.entries.is_empty() {
            metadata.shift_remove("managedFields");
            return;
        }
        let mut sorted: Vec<(&ManagerKey, &Owned)> = self.entries.iter().collect();
        sorted.sort_by(|(a, x), (b, y)| {
            (!a.applied, &x.time, &a.name, &x.version, &a.subresource).cmp(&(
                !b.applied,
                &y.time,
                &b.name,
                &y.version,
                &b.subresource,
            ))
        });
        let entries = sorted.into_iter().map(|(key, owned)| {
            let mut entry = Map::new();
            entry.insert("manager".into(), key.name.clone().into());
            entry.insert(
                "operation".into(),
                if key.applied { "Apply" } else { "Update" }.into(),
            );
            entry.insert("apiVersion".into(), owned.version.clone().into());
            if let Some(time) = &owned.time {
                entry.insert("time".into(), time.clone().into());
            }
            entry.insert("fieldsType".into(), "FieldsV1".into());
            entry.insert("fieldsV1".into(), owned.fields.to_json());
            if !key.subresource.is_empty() {
                entry.insert("subresource".into(), key.subresource.clone().into());
            }
            Value::Object(entry)
        });
        let entries: Vec<Value> = entries.collect();
        metadata.insert("managedFields".into(), Value::Array(entries));
    }

    /// The same managers with the same fields, whenever they wrote.
    pub(crate) fn same_fields(&self, other: &Managers) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|(key, owned)| {
                other
                    .entries
                    .get(key)
                    .is_some_and(|o| o.fields == owned.fields && o.version == owned.version)
            })
    }
}

/// What nobody owns, in any kind.
fn strip_set() -> &'static FieldSet {
    static STRIP: std::sync::LazyLock<FieldSet> = std::sync::LazyLock::new(|| {
        FieldSet::of_fields(&[
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ])
    });
    &STRIP
}

/// The object as managers see it.
fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    object
}

/// The empty object of a kind, from which a new one starts.
pub(crate) fn empty_object(schema: &Schema, identity: &Value) -> Value {
    let mut empty = match schema {
        Schema::BuiltIn(_) => decode::zero(schema.root()),
        Schema::Custom(_) => json!({}),
    };
    if let Some(map) = empty.as_object_mut() {
        for key in ["apiVersion", "kind"] {
            map.insert(key.into(), identity.get(key).cloned().unwrap_or_default());
        }
    }
    empty
}

/// Takes from the other managers what a change touches. Without force, touching what another owns is a conflict.
fn settle(
    schema: SchemaRef<'_>,
    old: &Value,
    new: &Value,
    managers: &mut Managers,
    own: &ManagerKey,
    force: bool,
    reset: &FieldSet,
) -> Result<typed::Comparison, ApplyError> {
    let mut comparison = typed::compare(schema, old, new);
    comparison.added = comparison.added.difference_deep(reset);
    comparison.modified = comparison.modified.difference_deep(reset);
    comparison.removed = comparison.removed.difference_deep(reset);
    let touched = comparison.modified.union(&comparison.added);
    let mut conflicts = Vec::new();
    for (key, owned) in managers.entries.iter().filter(|(key, _)| *key != own) {
        let manager = printed(key, owned);
        conflicts.extend(
            owned
                .fields
                .intersection(&touched)
                .paths()
                .into_iter()
                .map(|field| Conflict {
                    manager: manager.clone(),
                    field,
                }),
        );
    }
    if !force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    for (_, owned) in managers.entries.iter_mut().filter(|(key, _)| *key != own) {
        owned.fields = owned
            .fields
            .difference(&touched)
            .difference(&comparison.removed);
    }
    managers
        .entries
        .retain(|key, owned| key == own || !owned.fields.is_empty());
    Ok(comparison)
}

fn printed(key: &ManagerKey, owned: &Owned) -> String {
    let mut text = format!("{:?}", key.name);
    if !key.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", key.subresource));
    }
    if !key.applied {
        text.push_str(&format!(" using {}", owned.version));
    }
    text
}

/// Records what an update, a patch or a creation changed.
pub(crate) fn update(
    schema: &Schema,
    live: &Value,
    new: &Value,
    managers: &mut Managers,
    writer: &Writer<'_>,
) {
    let root = schema.root();
    let (old, new) = (without_managed_fields(live), without_managed_fields(new));
    let current = ManagerKey {
        name: "\u{0}current".into(),
        applied: false,
        version: writer.version.to_owned(),
        subresource: String::new(),
    };
    let Ok(comparison) = settle(root, &old, &new, managers, &current, true, writer.reset) else {
        return;
    };
    let taken = comparison
        .modified
        .union(&comparison.added)
        .difference(strip_set());
    if taken.is_empty() {
        return;
    }
    let key = writer.key(false);
    let entry = managers.entries.entry(key).or_insert_with(|| Owned {
        version: writer.version.to_owned(),
        fields: FieldSet::default(),
        time: None,
    });
    entry.fields = entry.fields.union(&taken);
    entry.time = Some(writer.now.to_owned());
    cap(managers);
}

/// Folds the oldest updaters into one entry where there are too many.
fn cap(managers: &mut Managers) {
    let mut updaters: Vec<(Option<String>, ManagerKey)> = managers
        .entries
        .iter()
        .filter(|(key, _)| !key.applied && key.subresource.is_empty())
        .map(|(key, owned)| (owned.time.clone(), key.clone()))
        .collect();
    if updaters.len() <= MAX_UPDATE_MANAGERS {
        return;
    }
    updaters.sort();
    let fold = updaters.len() + 1 - MAX_UPDATE_MANAGERS;
    for (_, key) in updaters.into_iter().take(fold) {
        let Some(owned) = managers.entries.remove(&key) else {
            continue;
        };
        let bucket = ManagerKey {
            name: ANCIENT.into(),
            applied: false,
            version: owned.version.clone(),
            subresource: String::new(),
        };
        let entry = managers.entries.entry(bucket).or_insert_with(|| Owned {
            version: owned.version.clone(),
            fields: FieldSet::default(),
            time: None,
        });
        entry.fields = entry.fields.union(&owned.fields);
        entry.time = entry.time.take().max(owned.time);
    }
}

/// Applies a configuration. Gives the new object, without its `managedFields`, or nothing where the live one stays as it is.
pub(crate) fn apply(
    schema: &Schema,
    live: &Value,
    config: &Value,
    managers: &mut Managers,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Option<Value>, ApplyError> {
    let root = schema.root();
    if config
        .pointer("/metadata/managedFields")
        .is_some_and(|m| !m.is_null())
    {
        return Err(ApplyError::BadRequest(
            "metadata.managedFields must be nil".into(),
        ));
    }
    if let Some(first) = typed::validate(root, config, false)
        .into_iter()
        .reduce(|a, b| format!("{a}\n  {b}"))
    {
        return Err(ApplyError::Typed(first));
    }
    let live = without_managed_fields(live);
    if managers.entries.is_empty() {
        let before = Writer {
            manager: BEFORE_FIRST_APPLY,
            subresource: "",
            ..writer.clone()
        };
        update(
            schema,
            &empty_object(schema, config),
            &live,
            managers,
            &before,
        );
    }
    let own = writer.key(true);
    let last = managers.entries.get(&own).cloned();
    let merged = typed::merge(root, Some(&live), Some(config)).unwrap_or_default();
    let fields = typed::field_set(root, config).difference_deep(writer.reset);
    managers.entries.insert(
        own.clone(),
        Owned {
            version: writer.version.to_owned(),
            fields,
            time: last.as_ref().and_then(|l| l.time.clone()),
        },
    );
    let new = prune(root, merged, managers, last.as_ref());
    settle(root, &live, &new, managers, &own, force, writer.reset)?;
    if let Some(owned) = managers.entries.get_mut(&own) {
        owned.fields = owned.fields.difference(strip_set());
    }
    managers.entries.retain(|_, owned| !owned.fields.is_empty());
    let changed = !typed::equal(&live, &new);
    // An apply that leaves the object as it is does not count as a write, also where it makes its manager a co-owner.
    if changed && let Some(owned) = managers.entries.get_mut(&own) {
        owned.time = Some(writer.now.to_owned());
    }
    Ok(changed.then_some(new))
}

/// Removes what the applier set last time, sets no more, and nobody else owns.
fn prune(schema: SchemaRef<'_>, merged: Value, managers: &Managers, last: Option<&Owned>) -> Value {
    let Some(last) = last.filter(|l| !l.fields.is_empty()) else {
        return merged;
    };
    let named = |set: &FieldSet| set.with_named_fields(Some(schema));
    let last_fields = named(&last.fields);
    let pruned = typed::remove(schema, &merged, &last_fields);
    let managed = managers
        .entries
        .values()
        .fold(FieldSet::default(), |all, owned| all.union(&owned.fields));
    let merged_set = named(&typed::field_set(schema, &merged));
    let pruned_set = named(&typed::field_set(schema, &pruned));
    let pruned = typed::remove(
        schema,
        &merged,
        &merged_set.difference(&pruned_set.union(&named(&managed))),
    );
    let pruned_set = named(&typed::field_set(schema, &pruned));
    typed::remove(
        schema,
        &merged,
        &merged_set
            .difference(&pruned_set)
            .intersection(&last_fields),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schema::built_in;

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

    fn writer<'a>(manager: &'a str, reset: &'a FieldSet) -> Writer<'a> {
        Writer {
            manager,
            subresource: "",
            version: "v1",
            now: "2026-01-01T00:00:00Z",
            reset,
        }
    }

    fn config(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "d"}, "data": data})
    }

    #[test]
    fn fields_that_are_no_longer_applied_go_unless_somebody_owns_them() {
        let (schema, reset) = (schema("ConfigMap"), FieldSet::default());
        let mut managers = Managers::default();
        let empty = empty_object(&schema, &config(json!({})));
        let first = apply(
            &schema,
            &empty,
            &config(json!({"a": "1", "b": "2", "c": "3"})),
            &mut managers,
            &writer("one", &reset),
            false,
        )
        .unwrap()
        .unwrap();
        let both = apply(
            &schema,
            &first,
            &config(json!({"b": "2"})),
            &mut managers,
            &writer("two", &reset),
            false,
        )
        .unwrap();
        assert!(both.is_none(), "the same value is owned together");
        let last = apply(
            &schema,
            &first,
            &config(json!({"a": "1"})),
            &mut managers,
            &writer("one", &reset),
            false,
        )
        .unwrap()
        .unwrap();
        assert_eq!(last["data"], json!({"a": "1", "b": "2"}));
    }

    #[test]
    fn a_value_of_somebody_else_is_a_conflict_until_it_is_forced() {
        let (schema, reset) = (schema("ConfigMap"), FieldSet::default());
        let mut managers = Managers::default();
        let empty = empty_object(&schema, &config(json!({})));
        let live = config(json!({"a": "1"}));
        update(
            &schema,
            &empty,
            &live,
            &mut managers,
            &writer("kubectl-edit", &reset),
        );
        let refused = apply(
            &schema,
            &live,
            &config(json!({"a": "2"})),
            &mut managers.clone(),
            &writer("one", &reset),
            false,
        );
        let Err(ApplyError::Conflicts(conflicts)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            (conflicts[0].manager.as_str(), conflicts[0].field.as_str()),
            ("\"kubectl-edit\" using v1", ".data.a")
        );
        let forced = apply(
            &schema,
            &live,
            &config(json!({"a": "2"})),
            &mut managers,
            &writer("one", &reset),
            true,
        )
        .unwrap()
        .unwrap();
        assert_eq!(forced["data"]["a"], "2");
        let names: Vec<&str> = managers.entries.keys().map(|k| k.name.as_str()).collect();
        assert_eq!(
            names,
            ["kubectl-edit", "one"],
            "the editor keeps what was not forced: the map itself"
        );
    }

    #[test]
    fn managed_fields_round_trip() {
        let (schema, reset) = (schema("ConfigMap"), FieldSet::default());
        let mut managers = Managers::default();
        let mut object = config(json!({"a": "1"}));
        update(
            &schema,
            &empty_object(&schema, &object),
            &object,
            &mut managers,
            &writer("x", &reset),
        );
        managers.write(&mut object);
        assert_eq!(Managers::of(&object).unwrap(), managers);
        assert_eq!(
            object["metadata"]["managedFields"][0]["fieldsV1"],
            json!({"f:data": {".": {}, "f:a": {}}})
        );
    }
}
