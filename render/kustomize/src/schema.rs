//! What the OpenAPI of Kubernetes says about types: which have a namespace, and which lists merge by which keys.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::id::Gvk;

const BUILTIN: &str = include_str!("tables/schema.txt");
const DEFINITIONS: &str = "#/definitions/";

/// How the values of one place in an object look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    fields: BTreeMap<Box<str>, u32>,
    additional: Option<u32>,
    items: Option<u32>,
    strategy: Box<str>,
    keys: Vec<Box<str>>,
}

/// The types that a build knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    shapes: Vec<Shape>,
    types: BTreeMap<(Box<str>, Box<str>), u32>,
    namespaced: BTreeMap<(Box<str>, Box<str>), bool>,
}

/// One place in the schema, to walk down from.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    schema: &'a Schema,
    shape: &'a Shape,
}

impl<'a> Place<'a> {
    pub(crate) fn field(self, name: &str) -> Option<Place<'a>> {
        let index = self
            .shape
            .fields
            .get(name)
            .copied()
            .or(self.shape.additional)?;
        self.schema.place(index)
    }

    pub(crate) fn items(self) -> Option<Place<'a>> {
        self.schema.place(self.shape.items?)
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
    pub(crate) fn builtin() -> Arc<Schema> {
        static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
        SCHEMA
            .get_or_init(|| Arc::new(Schema::from_table(BUILTIN)))
            .clone()
    }

    fn from_table(text: &str) -> Schema {
        let mut schema = Schema::default();
        let number = |text: &str| text.parse::<u32>().ok();
        for line in text.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            match columns[..] {
                ["scope", api_version, kind, namespaced] => {
                    schema
                        .namespaced
                        .insert((api_version.into(), kind.into()), namespaced == "true");
                }
                ["type", api_version, kind, shape] => {
                    schema
                        .types
                        .extend(number(shape).map(|n| ((api_version.into(), kind.into()), n)));
                }
                ["shape", strategy, keys, items, additional, ref fields @ ..] => {
                    schema.shapes.push(Shape {
                        fields: fields
                            .iter()
                            .filter_map(|f| f.split_once('='))
                            .filter_map(|(f, n)| Some((f.into(), number(n)?)))
                            .collect(),
                        additional: number(additional),
                        items: number(items),
                        strategy: strategy.into(),
                        keys: keys
                            .split(',')
                            .filter(|k| !k.is_empty())
                            .map(Into::into)
                            .collect(),
                    })
                }
                _ => unreachable!("the table is generated with these lines only"),
            }
        }
        schema
    }

    fn place(&self, index: u32) -> Option<Place<'_>> {
        self.shapes.get(index as usize).map(|shape| Place {
            schema: self,
            shape,
        })
    }

    pub(crate) fn of_type(&self, api_version: &str, kind: &str) -> Option<Place<'_>> {
        let index = self.types.get(&(api_version.into(), kind.into()))?;
        self.place(*index)
    }

    /// Whether the type is known to have no namespace. Unknown types count as having one.
    pub(crate) fn is_cluster_scoped(&self, gvk: &Gvk) -> bool {
        let key = (gvk.api_version().into(), gvk.kind.as_str().into());
        self.namespaced.get(&key) == Some(&false)
    }

    /// The schema of a file that a kustomization's `openapi` names. What says which types have a namespace stays as built in,
    /// since kustomize asks its own table of them first.
    pub(crate) fn custom(document: &Value) -> Schema {
        let builtin = Schema::builtin();
        let mut schema = Schema {
            namespaced: builtin.namespaced.clone(),
            ..Schema::default()
        };
        schema.add_document(document);
        schema
    }

    fn add_document(&mut self, document: &Value) {
        let empty = serde_json::Map::new();
        let definitions = document
            .get("definitions")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let mut named = BTreeMap::new();
        for name in definitions.keys() {
            named.insert(name.as_str(), self.reserve());
        }
        for (name, definition) in definitions {
            let index = named[name.as_str()];
            self.fill(index, definition, &named);
            for (api_version, kind) in types_of(definition) {
                self.types.insert((api_version.into(), kind.into()), index);
            }
        }
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
                self.namespaced.insert(key, true);
            } else {
                self.namespaced.entry(key).or_insert(false);
            }
        }
    }

    fn reserve(&mut self) -> u32 {
        self.shapes.push(Shape::default());
        u32::try_from(self.shapes.len() - 1)
            .expect("limits on files keep schemas far below 2^32 shapes")
    }

    fn fill(&mut self, index: u32, definition: &Value, named: &BTreeMap<&str, u32>) {
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
                .insert(field.as_str().into(), self.add(property, named));
        }
        if let Some(additional) = definition
            .get("additionalProperties")
            .filter(|a| a.is_object())
        {
            shape.additional = Some(self.add(additional, named));
        }
        if text("type") == Some("array") {
            shape.items = definition
                .get("items")
                .filter(|i| i.is_object())
                .map(|items| self.add(items, named));
        }
        self.shapes[index as usize] = shape;
    }

    fn add(&mut self, schema: &Value, named: &BTreeMap<&str, u32>) -> u32 {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix(DEFINITIONS).unwrap_or(reference);
            return named.get(name).copied().unwrap_or_else(|| self.reserve());
        }
        let index = self.reserve();
        self.fill(index, schema, named);
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
        let schema = Schema::custom(&document);
        let mut place = schema.of_type("g/v1", "K").unwrap();
        for _ in 0..100 {
            place = place.field("self").unwrap();
        }
        assert!(!place.merges());
    }
}
