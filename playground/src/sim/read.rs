//! Getting and listing: consistent pages, selectors, and the forms in which objects are shown.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::selector::Selector;
use super::state::{State, Target};
use super::status::Status;
use super::storage::Key;

/// In which form the caller wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The objects themselves.
    Full,
    /// Only their metadata.
    Metadata,
}

/// What a list asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) selector: Selector,
    pub(crate) limit: usize,
    pub(crate) token: String,
    pub(crate) resource_version: String,
    pub(crate) exact: bool,
}

impl Shape {
    /// One object in this form.
    pub(crate) fn show(self, object: Value) -> Value {
        match self {
            Shape::Full => object,
            Shape::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
            }
        }
    }
}

impl State {
    /// Gets one object.
    pub(crate) fn get(&self, target: &Target) -> Result<Value, Status> {
        let stored = self
            .store
            .get(&target.resource.id(), &target.key())
            .ok_or_else(|| Status::not_found(&target.about()))?;
        Ok(self.convert_out(target, stored))
    }

    /// Lists objects; pages of one list all show the version of the first.
    pub(crate) fn list(
        &self,
        target: &Target,
        options: &ListOptions,
        shape: Shape,
    ) -> Result<Value, Status> {
        let namespace = (target.resource.namespaced && !target.namespace.is_empty())
            .then_some(target.namespace.as_str());
        let id = target.resource.id();
        let (at, after) = match (options.token.as_str(), options.resource_version.as_str()) {
            ("", "" | "0") => (self.store.version(), None),
            ("", version) => {
                let version: u64 = version.parse().map_err(|_| Status::bad_request(format!("invalid resource version: resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax")))?;
                if version > self.store.version() {
                    return Err(Status::too_large_version(version, self.store.version()));
                }
                (
                    if options.exact {
                        version
                    } else {
                        self.store.version()
                    },
                    None,
                )
            }
            (token, _) => {
                let (version, key) = read_token(token)?;
                (version, Some(key))
            }
        };
        let objects: Vec<(Key, Arc<Value>)> = if at == self.store.version() {
            self.store
                .list(&id, namespace)
                .map(|(k, v)| (k.clone(), Arc::clone(v)))
                .collect()
        } else {
            let expired = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
            self.store
                .list_at(&id, namespace, at)
                .map_err(|_| Status::expired(expired))?
                .into_iter()
                .collect()
        };
        let mut selected = objects
            .into_iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|a| key > a))
            .filter(|(_, o)| options.selector.matches(o));
        // A list from the cache, which any version will do for, comes whole.
        let whole =
            options.limit == 0 || (options.resource_version == "0" && options.token.is_empty());
        let limit = if whole { usize::MAX } else { options.limit };
        let page: Vec<(Key, Arc<Value>)> = selected.by_ref().take(limit).collect();
        let remaining = selected.count();
        let mut metadata = json!({"resourceVersion": at.to_string()});
        if target.resource.custom && shape == Shape::Full {
            metadata["continue"] = "".into();
        }
        if remaining > 0
            && let Some((last, _)) = page.last()
        {
            metadata["continue"] = write_token(at, last).into();
            if options.selector.is_empty() {
                metadata["remainingItemCount"] = remaining.into();
            }
        }
        let items = page
            .into_iter()
            .map(|(_, object)| self.list_item(target, &object, shape));
        let items: Vec<Value> = items.collect();
        Ok(match shape {
            Shape::Full => {
                json!({"kind": target.resource.list_kind, "apiVersion": target.api_version(), "metadata": metadata, "items": items})
            }
            Shape::Metadata => {
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})
            }
        })
    }

    pub(crate) fn list_item(&self, target: &Target, object: &Value, shape: Shape) -> Value {
        let mut item = shape.show(self.convert_out(target, object));
        // Items of typed lists do not repeat their kind.
        if shape == Shape::Full
            && !target.resource.custom
            && let Some(map) = item.as_object_mut()
        {
            map.shift_remove("kind");
            map.shift_remove("apiVersion");
        }
        item
    }
}

fn write_token(version: u64, key: &Key) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{}/{}", key.namespace, key.name)});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(token: &str) -> Result<(u64, Key), Status> {
    let invalid = |why: &str| {
        Status::bad_request(format!(
            "invalid continue token: continue key is not valid: {why}"
        ))
    };
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|error| invalid(&error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| invalid(&super::identity::go_error(&error)))?;
    let wrong = || invalid("incorrect encoded start");
    let version = value["rv"].as_u64().ok_or_else(wrong)?;
    let (namespace, name) = value["start"]
        .as_str()
        .and_then(|s| s.split_once('/'))
        .ok_or_else(wrong)?;
    Ok((version, Key::new(namespace, name)))
}
