//! One document: its named parts (`$id`) and anchors, and lookup by JSON pointer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::Draft;
use super::error::SchemaError;
use super::uri;

/// A document, read once.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) url: String,
    pub(super) value: Value,
    /// Parts with an address of their own, by pointer; the whole document is at the empty pointer.
    resources: BTreeMap<String, Resource>,
}

/// A part of a document with an address of its own.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) pointer: String,
    pub(super) id: String,
    pub(super) draft: Draft,
    /// Anchor name to pointer.
    pub(super) anchors: BTreeMap<String, String>,
    /// Those anchors that are dynamic.
    pub(super) dynamic: Vec<String>,
}

impl Document {
    pub(super) fn new(url: &str, value: Value, fallback: Draft) -> Self {
        let mut document = Self {
            url: url.to_owned(),
            value: Value::Null,
            resources: BTreeMap::new(),
        };
        document.collect(&value, url, "", fallback);
        document.value = value;
        document
    }

    /// The innermost part that contains the pointer.
    pub(super) fn resource(&self, pointer: &str) -> &Resource {
        let mut pointer = pointer;
        loop {
            if let Some(resource) = self.resources.get(pointer) {
                return resource;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return &self.resources[""],
            }
        }
    }

    /// The pointer that an address and a fragment lead to, or `None` if the address is not in this document.
    pub(super) fn resolve(
        &self,
        address: &str,
        fragment: &str,
    ) -> Option<Result<String, SchemaError>> {
        let resource = if address == self.url {
            &self.resources[""]
        } else {
            self.resources
                .values()
                .find(|resource| resource.id == address)?
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            return Some(Ok(format!("{}{fragment}", resource.pointer)));
        }
        let found = resource.anchors.get(fragment).cloned();
        Some(found.ok_or_else(|| SchemaError::AnchorNotFound {
            reference: format!("{}#{fragment}", resource.id),
            url: self.url.clone(),
        }))
    }

    /// What a pointer points at.
    pub(super) fn lookup(&self, pointer: &str) -> Result<&Value, SchemaError> {
        self.value
            .pointer(pointer)
            .ok_or_else(|| SchemaError::PointerNotFound(format!("{}#{pointer}", self.url)))
    }

    /// Recursion is bounded because JSON is only read to 128 levels.
    fn collect(&mut self, value: &Value, base: &str, pointer: &str, fallback: Draft) {
        let Some(object) = value.as_object() else {
            if pointer.is_empty() {
                self.add_resource(pointer, base, fallback);
            }
            return;
        };
        let stated = object
            .get("$schema")
            .and_then(Value::as_str)
            .map(Draft::from_url);
        let mut draft = stated.flatten().unwrap_or(fallback);
        let mut id = own_id(value, draft);
        if id.is_none() && !pointer.is_empty() {
            draft = fallback;
            id = own_id(value, draft);
        }
        let base = match id {
            Some(id) => uri::resolve(base, &id),
            None => base.to_owned(),
        };
        if id_is_new(&self.resources, &base)
            && (own_id(value, draft).is_some() || pointer.is_empty())
        {
            self.add_resource(pointer, &base, draft);
        }
        self.collect_anchors(value, &base, pointer);
        for (child, below) in subschemas(value, draft) {
            self.collect(child, &base, &format!("{pointer}{below}"), draft);
        }
    }

    fn add_resource(&mut self, pointer: &str, id: &str, draft: Draft) {
        let resource = Resource {
            pointer: pointer.to_owned(),
            id: id.to_owned(),
            draft,
            anchors: BTreeMap::new(),
            dynamic: Vec::new(),
        };
        self.resources.insert(pointer.to_owned(), resource);
    }

    fn collect_anchors(&mut self, value: &Value, base: &str, pointer: &str) {
        let Some(resource) = self
            .resources
            .values_mut()
            .find(|resource| resource.id == base)
        else {
            return;
        };
        let text = |keyword: &str| value.get(keyword).and_then(Value::as_str);
        if resource.draft < Draft::V2019 {
            if value.get("$ref").is_none()
                && let Some(id) = text(resource.draft.id_keyword())
            {
                let (_, fragment) = uri::split_fragment(id);
                if !fragment.is_empty() && !fragment.starts_with('/') {
                    resource.anchors.insert(fragment, pointer.to_owned());
                }
            }
            return;
        }
        if let Some(anchor) = text("$anchor") {
            resource
                .anchors
                .insert(anchor.to_owned(), pointer.to_owned());
        }
        if resource.draft >= Draft::V2020
            && let Some(anchor) = text("$dynamicAnchor")
        {
            resource
                .anchors
                .insert(anchor.to_owned(), pointer.to_owned());
            resource.dynamic.push(anchor.to_owned());
        }
    }
}

fn id_is_new(resources: &BTreeMap<String, Resource>, id: &str) -> bool {
    resources.values().all(|resource| resource.id != id)
}

/// The `$id` without its fragment. Before 2019-09 everything beside `$ref` is ignored.
fn own_id(value: &Value, draft: Draft) -> Option<String> {
    if draft < Draft::V2019 && value.get("$ref").is_some() {
        return None;
    }
    let id = value.get(draft.id_keyword())?.as_str()?;
    let (id, _) = uri::split_fragment(id);
    (!id.is_empty()).then(|| id.to_owned())
}

/// The schemas directly below a schema, with the pointers that lead to them.
fn subschemas(value: &Value, draft: Draft) -> Vec<(&Value, String)> {
    let mut found = Vec::new();
    for keyword in draft.schema_keywords() {
        if let Some(child) = value.get(keyword).filter(|child| !child.is_array()) {
            found.push((child, format!("/{keyword}")));
        }
    }
    for keyword in draft.list_keywords() {
        for (index, child) in value
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            found.push((child, format!("/{keyword}/{index}")));
        }
    }
    for keyword in draft.map_keywords() {
        for (name, child) in value
            .get(keyword)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            found.push((child, format!("/{keyword}/{}", escape_token(name))));
        }
    }
    found
}

/// A name as a step of a JSON pointer.
pub(super) fn escape_token(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
