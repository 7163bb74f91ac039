//! What the OpenAPI of Kubernetes says about types: which have a namespace, and which lists merge by which keys.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::id::{Gvk, split_api_version};

const BUILTIN: &str = include_str!("tables/schema.txt");
const DEFINITIONS: &str = "#/definitions/";
/// Columns of the line of a shape; the last holds all its fields.
const SHAPE_COLUMNS: usize = 6;

/// How the values of one place in an object look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// Fields as the built-in table lists them, `NAME=SHAPE` between tabs: looked for where they stand, since few are ever asked for.
    listed: &'static str,
    fields: BTreeMap<Box<str>, u32>,
    additional: Option<u32>,
    items: Option<u32>,
    strategy: Box<str>,
    keys: Vec<Box<str>>,
}

/// A name from the built-in table or from a document.
type Name = Cow<'static, str>;

/// `apiVersion` and kind.
type Type = (Name, Name);

/// What is known of types.
#[derive(Debug, Clone, Default)]
struct Tables {
    /// How objects merge. Many builds never ask, so the built-in part is read when one does.
    merging: OnceLock<Merging>,
    /// Which built-in types have a namespace: kind, group and version, sorted.
    namespaced: Arc<Vec<(Scoped, bool)>>,
    /// The same for types that only the schema of the kustomization knows.
    own_namespaced: BTreeMap<Type, bool>,
}

/// Kind, group and version of a built-in type.
type Scoped = (&'static str, &'static str, &'static str);

/// Which lists merge, and by which keys.
#[derive(Debug, Clone, Default)]
struct Merging {
    shapes: Vec<Shape>,
    /// Shapes by the name that other schemas refer to them with.
    definitions: BTreeMap<Name, u32>,
    types: BTreeMap<Type, u32>,
}

/// The types that a build knows, and what it asked of them so far.
///
/// What a schema that a base or a component brings replaces depends on that: kustomize reads its built-in schema only when it needs it,
/// and what it has read stays.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    tables: Arc<Tables>,
    asked: Cell<Asked>,
}

/// How often a schema was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// Whether a type that is not built in has a namespace.
    unknown_scope: u64,
    /// How objects merge.
    merge: u64,
}

impl Asked {
    /// What was asked after `earlier`.
    pub(crate) fn since(self, earlier: Asked) -> Asked {
        Asked {
            unknown_scope: self.unknown_scope.saturating_sub(earlier.unknown_scope),
            merge: self.merge.saturating_sub(earlier.merge),
        }
    }
}

/// One place in the schema, to walk down from.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    tables: &'a Merging,
    shape: &'a Shape,
}

impl Shape {
    fn field(&self, name: &str) -> Option<u32> {
        let is_it = |field: &'static str| field.strip_prefix(name)?.strip_prefix('=');
        let listed = self.listed.split('\t').find_map(is_it);
        let listed = listed.and_then(|number| number.parse().ok());
        listed.or_else(|| self.fields.get(name).copied())
    }
}

impl<'a> Place<'a> {
    pub(crate) fn field(self, name: &str) -> Option<Place<'a>> {
        let index = self.shape.field(name).or(self.shape.additional)?;
        self.tables.place(index)
    }

    pub(crate) fn items(self) -> Option<Place<'a>> {
        self.tables.place(self.shape.items?)
    }

    /// Whether a list here merges element by element.
    pub(crate) fn merges(self) -> bool {
        self.shape
            .strategy
            .split(',')
            .any(|strategy| strategy == "merge")
    }

    /// The fields by which elements are the same; none for lists of scalars.
    pub(crate) fn merge_keys(self) -> &'a [Box<str>] {
        &self.shape.keys
    }
}

impl Schema {
    /// The OpenAPI that kustomize is built with.
    pub(crate) fn builtin() -> Schema {
        Schema::of(Tables::builtin())
    }

    fn of(tables: Arc<Tables>) -> Schema {
        Schema {
            tables,
            asked: Cell::default(),
        }
    }

    /// This schema with that of a file that a kustomization's `openapi` names.
    pub(crate) fn with_document(&self, document: &Value) -> Schema {
        let asked = self.asked.get();
        let mut tables = if asked != Asked::default() {
            (*self.tables).clone()
        } else {
            Tables {
                namespaced: self.tables.namespaced.clone(),
                merging: Merging::default().into(),
                ..Tables::default()
            }
        };
        // The built-in schema that was only announced is read after the other one.
        let replaces = asked.merge > 0 || asked.unknown_scope == 0;
        tables.add_document(document, replaces);
        Schema::of(Arc::new(tables))
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked.get()
    }

    /// Notes what was asked for a result that is used again.
    pub(crate) fn repeat(&self, asked: Asked) {
        let own = self.asked.get();
        self.asked.set(Asked {
            unknown_scope: own.unknown_scope.saturating_add(asked.unknown_scope),
            merge: own.merge.saturating_add(asked.merge),
        });
    }

    pub(crate) fn of_type(&self, api_version: &str, kind: &str) -> Option<Place<'_>> {
        self.repeat(Asked {
            merge: 1,
            ..Asked::default()
        });
        let merging = self.tables.merging();
        let index = merging.type_of(api_version, kind)?;
        merging.place(index)
    }

    /// Whether the type is known to have no namespace. Unknown types count as having one.
    pub(crate) fn is_cluster_scoped(&self, gvk: &Gvk) -> bool {
        let key = (&*gvk.kind, &*gvk.group, &*gvk.version);
        let scopes = &self.tables.namespaced;
        if let Ok(at) = scopes.binary_search_by(|(known, _)| known.cmp(&key)) {
            return !scopes[at].1;
        }
        self.repeat(Asked {
            unknown_scope: 1,
            ..Asked::default()
        });
        if self.tables.own_namespaced.is_empty() {
            return false;
        }
        let key = (gvk.api_version().into(), gvk.kind.clone().into());
        self.tables.own_namespaced.get(&key) == Some(&false)
    }
}

impl Tables {
    fn builtin() -> Arc<Tables> {
        static TABLES: OnceLock<Arc<Tables>> = OnceLock::new();
        TABLES
            .get_or_init(|| Arc::new(Tables::from_text(BUILTIN)))
            .clone()
    }

    fn from_text(text: &'static str) -> Tables {
        // They are the first lines of the table.
        let scopes = text.lines().map_while(|line| line.strip_prefix("scope\t"));
        let mut namespaced: Vec<(Scoped, bool)> = scopes
            .filter_map(|line| {
                let (api_version, rest) = line.split_once('\t')?;
                let (kind, namespaced) = rest.split_once('\t')?;
                let (group, version) = split_api_version(api_version);
                Some(((kind, group, version), namespaced == "true"))
            })
            .collect();
        namespaced.sort_unstable();
        Tables {
            namespaced: namespaced.into(),
            ..Tables::default()
        }
    }

    /// How objects merge: the built-in rules where no others were set.
    fn merging(&self) -> &Merging {
        self.merging.get_or_init(|| Merging::from_text(BUILTIN))
    }

    /// Adds what a document says of types. Its definitions replace those of the same name where `replaces`.
    fn add_document(&mut self, document: &Value, replaces: bool) {
        let mut merging = match self.merging.take() {
            Some(merging) => merging,
            None => Merging::from_text(BUILTIN),
        };
        merging.add_document(document, replaces);
        self.merging = merging.into();
        let empty = serde_json::Map::new();
        let paths = document
            .get("paths")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        for (path, operations) in paths {
            let Some((api_version, kind)) = operations
                .get("get")
                .and_then(|get| type_of(get.get(GVK_EXTENSION)?))
            else {
                continue;
            };
            let key = (api_version.into(), kind.into());
            if path.contains("namespaces/{namespace}") {
                self.own_namespaced.insert(key, true);
            } else {
                self.own_namespaced.entry(key).or_insert(false);
            }
        }
    }
}

impl Merging {
    fn from_text(text: &'static str) -> Merging {
        let mut schema = Merging::default();
        let number = |text: &str| text.parse::<u32>().ok();
        for line in text.lines() {
            let mut columns = [""; SHAPE_COLUMNS];
            for (column, text) in columns.iter_mut().zip(line.splitn(SHAPE_COLUMNS, '\t')) {
                *column = text;
            }
            match columns {
                ["scope", ..] => {}
                ["type", api_version, kind, shape, ..] => {
                    schema
                        .types
                        .extend(number(shape).map(|n| ((api_version.into(), kind.into()), n)));
                }
                ["definition", name, shape, ..] => {
                    schema
                        .definitions
                        .extend(number(shape).map(|n| (name.into(), n)));
                }
                ["shape", strategy, keys, items, additional, listed] => schema.shapes.push(Shape {
                    listed,
                    fields: BTreeMap::new(),
                    additional: number(additional),
                    items: number(items),
                    strategy: strategy.into(),
                    keys: keys
                        .split(',')
                        .filter(|k| !k.is_empty())
                        .map(Into::into)
                        .collect(),
                }),
                _ => unreachable!("the table is generated with these lines only"),
            }
        }
        schema
    }

    fn type_of(&self, api_version: &str, kind: &str) -> Option<u32> {
        // The keys own what they hold: a borrowed one lives as long as this call.
        let key: (Cow<'_, str>, Cow<'_, str>) = (api_version.into(), kind.into());
        self.types.get(&key).copied()
    }

    fn place(&self, index: u32) -> Option<Place<'_>> {
        self.shapes.get(index as usize).map(|shape| Place {
            tables: self,
            shape,
        })
    }

    /// Adds the definitions of a document, which replace those of the same name where `replaces`.
    fn add_document(&mut self, document: &Value, replaces: bool) {
        let empty = serde_json::Map::new();
        let definitions = document
            .get("definitions")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let known = self.definitions.clone();
        let is_kept = |name: &String| replaces || !known.contains_key(name.as_str());
        for name in definitions.keys() {
            if !known.contains_key(name.as_str()) {
                let index = self.reserve();
                self.definitions.insert(name.clone().into(), index);
            }
        }
        for (name, definition) in definitions.iter().filter(|(name, _)| is_kept(name)) {
            let index = self.definitions[name.as_str()];
            self.fill(index, definition);
            for (api_version, kind) in types_of(definition) {
                let key = (api_version.into(), kind.into());
                if replaces {
                    self.types.insert(key, index);
                } else {
                    self.types.entry(key).or_insert(index);
                }
            }
        }
    }

    fn reserve(&mut self) -> u32 {
        self.shapes.push(Shape::default());
        u32::try_from(self.shapes.len() - 1)
            .expect("limits on files keep schemas far below 2^32 shapes")
    }

    fn fill(&mut self, index: u32, definition: &Value) {
        let text = |key: &str| definition.get(key).and_then(Value::as_str);
        let mut shape = Shape {
            strategy: text("x-kubernetes-patch-strategy")
                .unwrap_or_default()
                .into(),
            ..Shape::default()
        };
        if !shape.strategy.is_empty() {
            let listed = definition
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array);
            shape.keys = match listed {
                Some(keys) => keys
                    .iter()
                    .filter_map(Value::as_str)
                    .map(Into::into)
                    .collect(),
                None => text("x-kubernetes-patch-merge-key")
                    .map(Into::into)
                    .into_iter()
                    .collect(),
            };
        }
        for (field, property) in definition
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            shape
                .fields
                .insert(field.as_str().into(), self.add(property));
        }
        if let Some(additional) = definition
            .get("additionalProperties")
            .filter(|a| a.is_object())
        {
            shape.additional = Some(self.add(additional));
        }
        if text("type") == Some("array") {
            shape.items = definition
                .get("items")
                .filter(|i| i.is_object())
                .map(|items| self.add(items));
        }
        self.shapes[index as usize] = shape;
    }

    fn add(&mut self, schema: &Value) -> u32 {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix(DEFINITIONS).unwrap_or(reference);
            return match self.definitions.get(name) {
                Some(index) => *index,
                None => self.reserve(),
            };
        }
        let index = self.reserve();
        self.fill(index, schema);
        index
    }
}

const GVK_EXTENSION: &str = "x-kubernetes-group-version-kind";

fn types_of(definition: &Value) -> impl Iterator<Item = (String, String)> {
    definition
        .get(GVK_EXTENSION)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(type_of)
}

fn type_of(value: &Value) -> Option<(String, String)> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let (version, kind) = (text("version")?, text("kind")?);
    let api_version = match text("group") {
        Some(group) if !group.is_empty() => format!("{group}/{version}"),
        _ => version.to_owned(),
    };
    Some((api_version, kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_merge_by_name_and_ports_by_port_and_protocol() {
        let schema = Schema::builtin();
        let pod = schema
            .of_type("apps/v1", "Deployment")
            .and_then(|d| d.field("spec")?.field("template")?.field("spec"))
            .unwrap();
        let containers = pod.field("containers").unwrap();
        assert!(containers.merges());
        assert_eq!(containers.merge_keys(), [Box::from("name")]);
        let ports = containers.items().and_then(|c| c.field("ports")).unwrap();
        assert_eq!(
            ports.merge_keys(),
            [Box::from("containerPort"), Box::from("protocol")]
        );
        assert!(
            !containers
                .items()
                .and_then(|c| c.field("args"))
                .is_some_and(Place::merges)
        );
    }

    #[test]
    fn a_definition_that_refers_to_itself_is_walked_as_far_as_asked() {
        let document = serde_json::json!({"definitions": {"a": {
            "properties": {"self": {"$ref": "#/definitions/a"}},
            "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "K"}],
        }}});
        let schema = Schema::builtin().with_document(&document);
        let mut place = schema.of_type("g/v1", "K").unwrap();
        for _ in 0..100 {
            place = place.field("self").unwrap();
        }
        assert!(!place.merges());
    }
}
