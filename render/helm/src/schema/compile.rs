//! From documents to nodes: reads keywords, resolves references, checks the schema itself first.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::document::{Document, escape_token};
use super::draft::Draft;
use super::error::SchemaError;
use super::format::Format;
use super::node::{Additional, Dependency, Items, Node, NodeId, Types};
use super::{meta, uri, validate};

/// Reads documents as they are referred to.
pub(super) struct Compiler<'a> {
    others: &'a BTreeMap<String, Vec<u8>>,
    documents: BTreeMap<String, Document>,
    nodes: Vec<Node>,
    /// Where each node comes from: document and pointer.
    places: Vec<(String, String)>,
    index: BTreeMap<(String, String), NodeId>,
    /// Schemas of schemas need no check against themselves.
    trusted: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(others: &'a BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            others,
            documents: BTreeMap::new(),
            nodes: Vec::new(),
            places: Vec::new(),
            index: BTreeMap::new(),
            trusted: false,
        }
    }

    /// A compiler for the schemas of schemas themselves.
    pub(super) fn trusted(others: &'a BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            trusted: true,
            ..Self::new(others)
        }
    }

    /// Compiles a document and all that it refers to.
    pub(super) fn compile(
        mut self,
        url: &str,
        document: Value,
    ) -> Result<(Vec<Node>, NodeId), SchemaError> {
        self.add_document(url, document)?;
        let root = self.enqueue(url, "");
        let mut next = 0;
        while next < self.nodes.len() {
            self.compile_node(next)?;
            next += 1;
        }
        Ok((self.nodes, root))
    }

    fn add_document(&mut self, url: &str, value: Value) -> Result<(), SchemaError> {
        let stated = value.get("$schema").and_then(Value::as_str);
        if let Some(stated) = stated
            && Draft::from_url(stated).is_none()
        {
            let (meta, _) = uri::split_fragment(stated);
            if !self.others.contains_key(meta) {
                return Err(SchemaError::NotLoaded(meta.to_owned()));
            }
        }
        let document = Document::new(url, value, Draft::V2020);
        if !self.trusted {
            check_meta(&document, "")?;
        }
        self.documents.insert(url.to_owned(), document);
        Ok(())
    }

    /// The node of a place, made if it is new.
    fn enqueue(&mut self, url: &str, pointer: &str) -> NodeId {
        let place = (url.to_owned(), pointer.to_owned());
        if let Some(&id) = self.index.get(&place) {
            return id;
        }
        let id = self.nodes.len();
        self.nodes
            .push(Node::new(format!("{url}#{pointer}"), Draft::V2020, id));
        self.places.push(place.clone());
        self.index.insert(place, id);
        id
    }

    fn compile_node(&mut self, id: NodeId) -> Result<(), SchemaError> {
        let (url, pointer) = self.places[id].clone();
        let document = &self.documents[&url];
        let value = document.lookup(&pointer)?.clone();
        let resource = document.resource(&pointer).clone();
        let owner = self.enqueue(&url, &resource.pointer);
        let node = &mut self.nodes[id];
        node.draft = resource.draft;
        node.resource = owner;
        if resource.draft >= Draft::V2020 && owner == id {
            for name in &resource.dynamic {
                let target = self.enqueue(&url, &resource.anchors[name]);
                self.nodes[id].dynamic_anchors.insert(name.clone(), target);
            }
        }
        match value {
            Value::Bool(allowed) => self.nodes[id].always = Some(allowed),
            Value::Object(object) if object.is_empty() => self.nodes[id].always = Some(true),
            Value::Object(object) => {
                let reader = Reader {
                    object: &object,
                    url: &url,
                    pointer: &pointer,
                    base: &resource.id,
                    draft: resource.draft,
                };
                self.read(id, &reader)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, id: NodeId, reader: &Reader<'_>) -> Result<(), SchemaError> {
        self.nodes[id].reference = self.reference(reader, "$ref")?;
        if reader.draft < Draft::V2019 && self.nodes[id].reference.is_some() {
            return Ok(());
        }
        self.read_combinations(id, reader)?;
        self.read_object(id, reader)?;
        self.read_array(id, reader);
        self.read_scalars(id, reader)
    }

    fn read_combinations(&mut self, id: NodeId, reader: &Reader<'_>) -> Result<(), SchemaError> {
        let all_of = self.list(reader, "allOf");
        let any_of = self.list(reader, "anyOf");
        let one_of = self.list(reader, "oneOf");
        let not = self.child(reader, "not");
        let conditional = reader.draft >= Draft::V7 && reader.object.contains_key("if");
        let [condition, then, otherwise] = ["if", "then", "else"].map(|keyword| {
            if conditional {
                self.child(reader, keyword)
            } else {
                None
            }
        });
        let recursive_ref = if reader.draft >= Draft::V2019 {
            self.reference(reader, "$recursiveRef")?
        } else {
            None
        };
        let dynamic_ref = if reader.draft >= Draft::V2020 {
            self.reference(reader, "$dynamicRef")?
        } else {
            None
        };
        let anchor = reader
            .text("$dynamicRef")
            .map(|reference| uri::split_fragment(reference).1);
        let node = &mut self.nodes[id];
        (node.all_of, node.any_of, node.one_of, node.not) = (all_of, any_of, one_of, not);
        (node.condition, node.then, node.otherwise) = (condition, then, otherwise);
        node.recursive_ref = recursive_ref;
        node.recursive_anchor =
            reader.draft >= Draft::V2019 && reader.flag("$recursiveAnchor") == Some(true);
        node.dynamic_ref = dynamic_ref.map(|target| {
            (
                target,
                anchor.filter(|anchor| !anchor.is_empty() && !anchor.starts_with('/')),
            )
        });
        if reader.draft >= Draft::V2020 {
            node.dynamic_anchor = reader.text("$dynamicAnchor").map(str::to_owned);
        }
        Ok(())
    }

    fn read_object(&mut self, id: NodeId, reader: &Reader<'_>) -> Result<(), SchemaError> {
        let properties = self.map(reader, "properties");
        let mut patterns = Vec::new();
        for (pattern, target) in self.map(reader, "patternProperties") {
            patterns.push((reader.regex("patternProperties", &pattern)?, target));
        }
        let additional = self.additional(reader, "additionalProperties");
        let mut dependencies = BTreeMap::new();
        for (name, value) in reader.members("dependencies") {
            let dependency = match value {
                Value::Array(names) => Dependency::Required(strings(names)),
                _ => Dependency::Schema(
                    self.enqueue(reader.url, &reader.below("dependencies", name)),
                ),
            };
            dependencies.insert(name.clone(), dependency);
        }
        let names = if reader.draft >= Draft::V6 {
            self.child(reader, "propertyNames")
        } else {
            None
        };
        let recent = reader.draft >= Draft::V2019;
        let dependent_schemas = if recent {
            self.map(reader, "dependentSchemas")
        } else {
            BTreeMap::new()
        };
        let unevaluated = if recent {
            self.child(reader, "unevaluatedProperties")
        } else {
            None
        };
        let rules = &mut self.nodes[id].object;
        (rules.properties, rules.patterns, rules.additional) = (properties, patterns, additional);
        (
            rules.dependencies,
            rules.names,
            rules.dependent_schemas,
            rules.unevaluated,
        ) = (dependencies, names, dependent_schemas, unevaluated);
        if recent {
            let lists = reader
                .members("dependentRequired")
                .filter_map(|(name, value)| Some((name.clone(), strings(value.as_array()?))));
            rules.dependent_required = lists.collect();
        }
        rules.min = reader.count("minProperties");
        rules.max = reader.count("maxProperties");
        rules.required = reader
            .object
            .get("required")
            .and_then(Value::as_array)
            .map(|names| strings(names))
            .unwrap_or_default();
        Ok(())
    }

    fn read_array(&mut self, id: NodeId, reader: &Reader<'_>) {
        let newest = reader.draft >= Draft::V2020;
        let tuple = reader.object.get("items").is_some_and(Value::is_array);
        let items = match (newest, tuple) {
            (true, _) => None,
            (false, true) => Some(Items::Tuple(self.list(reader, "items"))),
            (false, false) => self.child(reader, "items").map(Items::Each),
        };
        let additional = if !newest && tuple {
            self.additional(reader, "additionalItems")
        } else {
            None
        };
        let prefix = if newest {
            self.list(reader, "prefixItems")
        } else {
            Vec::new()
        };
        let rest = if newest {
            self.child(reader, "items")
        } else {
            None
        };
        let contains = if reader.draft >= Draft::V6 {
            self.child(reader, "contains")
        } else {
            None
        };
        let unevaluated = if reader.draft >= Draft::V2019 {
            self.child(reader, "unevaluatedItems")
        } else {
            None
        };
        let rules = &mut self.nodes[id].array;
        (rules.items, rules.additional, rules.prefix, rules.rest) =
            (items, additional, prefix, rest);
        (rules.contains, rules.unevaluated) = (contains, unevaluated);
        if reader.draft >= Draft::V2019 && contains.is_some() {
            rules.min_contains = reader.count("minContains");
            rules.max_contains = reader.count("maxContains");
        }
        rules.min = reader.count("minItems");
        rules.max = reader.count("maxItems");
        rules.unique = reader.flag("uniqueItems") == Some(true);
    }

    fn read_scalars(&mut self, id: NodeId, reader: &Reader<'_>) -> Result<(), SchemaError> {
        let node = &mut self.nodes[id];
        node.types = reader.object.get("type").map(|value| match value {
            Value::String(name) => Types::named(name),
            Value::Array(names) => strings(names).iter().fold(Types::default(), |types, name| {
                types.union(Types::named(name))
            }),
            _ => Types::default(),
        });
        node.types = node.types.filter(|types| *types != Types::default());
        node.enumeration = reader.object.get("enum").and_then(Value::as_array).cloned();
        if reader.draft >= Draft::V6 {
            node.constant = reader.object.get("const").cloned();
        }
        // From 2019-09 on a format is a remark, not a rule.
        if reader.draft < Draft::V2019 || self.trusted {
            node.format = reader.text("format").and_then(Format::named);
        }
        let numbers = &mut node.number;
        numbers.multiple_of = reader.number("multipleOf");
        let bounds = |keyword: &str, exclusive: &str| match reader.flag(exclusive) {
            Some(true) => (None, reader.number(keyword)),
            _ => (reader.number(keyword), reader.number(exclusive)),
        };
        (numbers.maximum, numbers.exclusive_maximum) = bounds("maximum", "exclusiveMaximum");
        (numbers.minimum, numbers.exclusive_minimum) = bounds("minimum", "exclusiveMinimum");
        node.text.min = reader.count("minLength");
        node.text.max = reader.count("maxLength");
        if let Some(pattern) = reader.text("pattern") {
            node.text.pattern = Some((reader.regex("pattern", pattern)?, pattern.to_owned()));
        }
        Ok(())
    }

    fn child(&mut self, reader: &Reader<'_>, keyword: &str) -> Option<NodeId> {
        reader
            .object
            .contains_key(keyword)
            .then(|| self.enqueue(reader.url, &format!("{}/{keyword}", reader.pointer)))
    }

    fn list(&mut self, reader: &Reader<'_>, keyword: &str) -> Vec<NodeId> {
        let count = reader
            .object
            .get(keyword)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        (0..count)
            .map(|index| self.enqueue(reader.url, &format!("{}/{keyword}/{index}", reader.pointer)))
            .collect()
    }

    fn map(&mut self, reader: &Reader<'_>, keyword: &str) -> BTreeMap<String, NodeId> {
        reader
            .members(keyword)
            .map(|(name, _)| {
                (
                    name.clone(),
                    self.enqueue(reader.url, &reader.below(keyword, name)),
                )
            })
            .collect()
    }

    fn additional(&mut self, reader: &Reader<'_>, keyword: &str) -> Option<Additional> {
        match reader.flag(keyword) {
            Some(allowed) => Some(Additional::Allowed(allowed)),
            None => self.child(reader, keyword).map(Additional::Schema),
        }
    }

    /// The node that a reference leads to; the document is read and checked if it is a new one.
    fn reference(
        &mut self,
        reader: &Reader<'_>,
        keyword: &str,
    ) -> Result<Option<NodeId>, SchemaError> {
        let Some(reference) = reader.text(keyword) else {
            return Ok(None);
        };
        let (address, fragment) = uri::split_fragment(reference);
        let address = uri::resolve(reader.base, address);
        if let Some(pointer) = self.documents[reader.url].resolve(&address, &fragment) {
            return self.checked(reader.url, &pointer?).map(Some);
        }
        if !self.documents.contains_key(&address) {
            let document = self.load(&address)?;
            self.add_document(&address, document)?;
        }
        let pointer = self.documents[&address]
            .resolve(&address, &fragment)
            .ok_or_else(|| SchemaError::NotLoaded(address.clone()))??;
        self.checked(&address, &pointer).map(Some)
    }

    /// A place may be outside what is known to be a schema; it is checked as one then.
    fn checked(&mut self, url: &str, pointer: &str) -> Result<NodeId, SchemaError> {
        let known = self
            .index
            .contains_key(&(url.to_owned(), pointer.to_owned()));
        if !known && !self.trusted {
            check_meta(&self.documents[url], pointer)?;
        }
        Ok(self.enqueue(url, pointer))
    }

    fn load(&self, url: &str) -> Result<Value, SchemaError> {
        if let Some(draft) = Draft::from_url(url) {
            return Ok(meta::schema(draft));
        }
        // Helm takes what it cannot find under `urn:` for a schema that allows everything.
        if url.starts_with("urn:") && !self.others.contains_key(url) {
            return Ok(Value::Bool(true));
        }
        let text = self
            .others
            .get(url)
            .ok_or_else(|| SchemaError::NotLoaded(url.to_owned()))?;
        serde_json::from_slice(text).map_err(|error| SchemaError::Json(error.to_string()))
    }
}

/// Checks a part of a document against the schema of its draft.
fn check_meta(document: &Document, pointer: &str) -> Result<(), SchemaError> {
    let value = document.lookup(pointer)?;
    let draft = document.resource(pointer).draft;
    let (nodes, root) = meta::compiled(draft);
    validate::validate(nodes, *root, value).map_err(|violation| SchemaError::Meta {
        url: format!("{}#{pointer}", document.url),
        meta: draft.url(),
        violations: violation.lines(),
    })
}

fn strings(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The keywords of one schema object.
struct Reader<'a> {
    object: &'a Map<String, Value>,
    url: &'a str,
    pointer: &'a str,
    base: &'a str,
    draft: Draft,
}

impl Reader<'_> {
    fn text(&self, keyword: &str) -> Option<&str> {
        self.object.get(keyword)?.as_str()
    }

    fn flag(&self, keyword: &str) -> Option<bool> {
        self.object.get(keyword)?.as_bool()
    }

    fn number(&self, keyword: &str) -> Option<Decimal> {
        match self.object.get(keyword)? {
            Value::Number(number) => Some(Decimal::new(number)),
            _ => None,
        }
    }

    /// A whole number that is not negative; `2.0` is one.
    fn count(&self, keyword: &str) -> Option<u64> {
        let value = self.object.get(keyword)?;
        value.as_u64().or_else(|| {
            let number = value
                .as_f64()
                .filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number))?;
            format!("{number:.0}").parse().ok()
        })
    }

    fn members(&self, keyword: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.object
            .get(keyword)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn below(&self, keyword: &str, name: &str) -> String {
        format!("{}/{keyword}/{}", self.pointer, escape_token(name))
    }

    fn regex(&self, keyword: &str, pattern: &str) -> Result<Arc<Regex>, SchemaError> {
        crate::regexp::compile(pattern).map_err(|reason| SchemaError::Regex {
            regex: pattern.to_owned(),
            at: format!("{}#{}/{keyword}", self.url, self.pointer),
            reason: reason.to_string(),
        })
    }
}
