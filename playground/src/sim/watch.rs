//! Watches: the log of changes as a stream of events, with bookmarks and streaming lists.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::read::Shape;
use super::selector::Selector;
use super::state::{State, Target};
use super::status::Status;
use super::storage::Change;

/// How often a quiet watch that asked for bookmarks gets one. The real server does so about once a minute.
pub(crate) const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);

/// A watch that is under way.
pub(crate) struct Watch {
    target: Target,
    selector: Selector,
    shape: Shape,
    pub(crate) bookmarks: bool,
    /// The newest version that was looked at.
    version: u64,
    ready: VecDeque<Value>,
    ended: bool,
}

/// What a watch asks for.
pub(crate) struct WatchOptions {
    pub(crate) selector: Selector,
    pub(crate) shape: Shape,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial: Option<bool>,
    pub(crate) resource_version: String,
}

impl Watch {
    /// Starts a watch at the version that was asked for.
    pub(crate) fn start(
        state: &State,
        target: Target,
        options: WatchOptions,
    ) -> Result<Watch, Status> {
        let asked = match options.resource_version.as_str() {
            "" => None,
            text => Some(text.parse::<u64>().map_err(|_| {
                Status::plain_error(format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            })?),
        };
        let current = state.store.version();
        let mut watch = Watch {
            target,
            selector: options.selector,
            shape: options.shape,
            bookmarks: options.bookmarks,
            version: current,
            ready: VecDeque::new(),
            ended: false,
        };
        // Only a streaming list has to show a state; another watch from the future just waits for what comes after.
        if let Some(version) = asked.filter(|v| *v > current && options.send_initial == Some(true))
        {
            return Err(Status::too_large_version(version, current));
        }
        match (asked, options.send_initial) {
            (_, Some(true)) => {
                watch.initial(state);
                if watch.bookmarks {
                    let mut bookmark = watch.bookmark();
                    bookmark["object"]["metadata"]["annotations"] =
                        json!({"k8s.io/initial-events-end": "true"});
                    watch.ready.push_back(bookmark);
                }
            }
            (None | Some(0), None) => watch.initial(state),
            (None | Some(0), Some(false)) => {}
            (Some(version), _) => watch.version = version,
        }
        Ok(watch)
    }

    fn initial(&mut self, state: &State) {
        let namespace = self.namespace().map(str::to_owned);
        for (_, object) in state
            .store
            .list(&self.target.resource.id(), namespace.as_deref())
        {
            if self.selector.matches(object) {
                let event = self.event(state, "ADDED", Value::clone(object));
                self.ready.push_back(event);
            }
        }
    }

    fn namespace(&self) -> Option<&str> {
        (self.target.resource.namespaced && !self.target.namespace.is_empty())
            .then_some(self.target.namespace.as_str())
    }

    fn event(&self, state: &State, kind: &str, object: Value) -> Value {
        json!({"type": kind, "object": self.shape.show(state.convert_out(&self.target, &object))})
    }

    /// Says how far the watch has come.
    pub(crate) fn bookmark(&self) -> Value {
        let (kind, version) = match self.shape {
            Shape::Full => (self.target.resource.kind.clone(), self.target.api_version()),
            Shape::Metadata => (
                "PartialObjectMetadata".to_owned(),
                "meta.k8s.io/v1".to_owned(),
            ),
        };
        json!({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": self.version.to_string()}}})
    }

    /// The events since the last call; nothing once the watch has ended.
    pub(crate) fn poll(&mut self, state: &State) -> Option<Vec<Value>> {
        if self.ended {
            return None;
        }
        let id = self.target.resource.id();
        let mut events: Vec<Value> = self.ready.drain(..).collect();
        if state.kinds.find(&id.group, &id.plural).is_none() {
            // The definition of the kind is gone.
            self.ended = true;
            return Some(events);
        }
        let changes = match state.store.since(self.version) {
            Ok(changes) => changes,
            Err(_) => {
                let message = format!(
                    "too old resource version: {} ({})",
                    self.version,
                    state.store.compacted()
                );
                events.push(json!({"type": "ERROR", "object": Status::expired(message).to_json()}));
                self.ended = true;
                return Some(events);
            }
        };
        let namespace = self.namespace();
        let relevant = changes
            .filter(|c| *c.resource == id && namespace.is_none_or(|ns| c.key.namespace == ns));
        events.extend(relevant.filter_map(|change| self.translate(state, change)));
        self.version = self.version.max(state.store.version());
        Some(events)
    }

    /// What a change is to somebody who sees only what the selector matches.
    fn translate(&self, state: &State, change: &Change) -> Option<Value> {
        let before = change
            .old
            .as_ref()
            .is_some_and(|o| self.selector.matches(o));
        let after = change.new.as_ref().filter(|o| self.selector.matches(o));
        match (before, after) {
            (false, Some(object)) => Some(self.event(state, "ADDED", Value::clone(object))),
            (true, Some(object)) => Some(self.event(state, "MODIFIED", Value::clone(object))),
            (true, None) => Some(self.event(state, "DELETED", change.last_state()?)),
            (false, None) => None,
        }
    }
}

/// A line of the stream.
pub(crate) fn line(event: &Value) -> Vec<u8> {
    let mut bytes = event.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}
