//! What a unit consists of: whole objects from the hub, and objects whose text is completed here with variables that only this
//! cluster knows. Content is used whole or not at all.

use std::{collections::BTreeSet, sync::Arc};

use capstan_core::{Digest, Entry, MediaType, Object, Role, Unit};
use capstan_render::substitute::{Variables, complete};
use serde_json::Value;

use crate::{
    held::Held,
    pass::{Completed, Item},
    policy::Policy,
    switches::Switches,
};

/// What content is made with.
pub(super) struct Maker<'a> {
    pub(super) held: &'a Held,
    pub(super) policy: &'a Policy,
    /// The agent's own namespace.
    pub(super) namespace: &'a str,
    /// The key under which sensitive content is addressed.
    pub(super) digest_key: &'a [u8; 32],
}

impl Maker<'_> {
    /// The items of a unit, once its variables are known.
    ///
    /// # Errors
    /// Says which object cannot be completed.
    pub(super) fn items(&self, unit: &Unit, variables: &Variables) -> Result<Vec<Item>, String> {
        let mut seen = BTreeSet::new();
        let mut items = Vec::with_capacity(unit.entries.len());
        for entry in &unit.entries {
            let is_text = entry.role == Role::Object && entry.media_type == MediaType::Text;
            let mut item = if is_text {
                let failed = |why| format!("{}: {}: {why}", entry.path, entry.key);
                self.completed(entry, variables).map_err(failed)?
            } else {
                self.whole(entry)
            };
            if !seen.insert(item.key.clone()) {
                item.refused = Some("it is there twice after variables were replaced".into());
            }
            items.push(item);
        }
        Ok(items)
    }

    /// An entry with what its content says about how it is treated.
    fn whole(&self, entry: &Entry) -> Item {
        let mut item = Item {
            key: entry.key.clone(),
            version: entry.version.clone(),
            digest: entry.digest,
            sensitive: entry.sensitive || entry.key.is_secret(),
            switches: Switches::default(),
            completed: None,
            refused: None,
        };
        if entry.role != Role::Object || entry.media_type != MediaType::Object {
            item.refused = Some(format!(
                "this version of the agent applies whole objects only, not a {:?} of type {:?}",
                entry.role, entry.media_type
            ));
            return item;
        }
        let content: Option<Value> = self
            .held
            .get(&entry.digest)
            .ok()
            .and_then(|it| serde_json::from_slice(&it).ok());
        self.judge(&mut item, &content.unwrap_or(Value::Null));
        item
    }

    fn completed(&self, entry: &Entry, variables: &Variables) -> Result<Item, String> {
        let text = self.held.get(&entry.digest);
        let text = text.map_err(|it| format!("its text cannot be read: {it}"))?;
        let text = String::from_utf8(text).map_err(|_| "its text is not UTF-8".to_owned())?;
        let done = complete(&text, variables)?;
        let secret = entry.sensitive || done.secret;
        // What is wrong with it may be a secret value.
        let unreadable = |it: capstan_core::ObjectError| match secret {
            true => "with its variables it is no object that a cluster takes".to_owned(),
            false => format!("with its variables: {it}"),
        };
        let object = Object::parse(done.value).map_err(unreadable)?;
        let bytes = object.canonical().map_err(unreadable)?;
        let mut item = Item {
            key: object.key().clone(),
            version: object.version().to_owned(),
            digest: Digest::of(&bytes),
            sensitive: secret || object.is_sensitive(),
            switches: Switches::default(),
            completed: Some(Completed(Arc::from(bytes.as_slice()))),
            refused: None,
        };
        if item.sensitive {
            item.digest = Digest::keyed(self.digest_key, &bytes);
        }
        self.judge(&mut item, object.value());
        if done.secret_identity
            && let Some(refusal) = self.policy.refuses_secret_name()
        {
            item.key = entry.key.clone();
            item.refused = Some(refusal);
        }
        Ok(item)
    }

    fn judge(&self, item: &mut Item, content: &Value) {
        item.switches = Switches::of(content.get("metadata").unwrap_or(&Value::Null));
        let secret_type = content.get("type").and_then(Value::as_str);
        let secret_type = secret_type.unwrap_or_default();
        item.refused = self.policy.refuses(self.namespace, &item.key, secret_type);
    }
}
