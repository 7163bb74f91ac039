//! What templates can change and later ones see: whether it changed after something secret was used.
//!
//! A template can put a password into the values, where later templates find it. So once a file that used something secret leaves the values
//! or anything else that files share changed, every file after it counts as sensitive too.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use capstan_gotemplate::{Map, Value};

/// Values nested deeper than this are taken for changed: only a template can make them, and perhaps with themselves inside.
const MAX_DEPTH: usize = 200;
/// So are more values than this: what is shared is looked at wherever it is found.
const MAX_VALUES: usize = 1_000_000;
/// The entry of a scope that the engine changes itself, for each file.
const TEMPLATE: &str = "Template";

/// Watches the scope of a release's chart, in which those of the charts below it lie.
pub(crate) struct Watch {
    root: Map,
    /// Addresses of the scopes.
    scopes: BTreeSet<usize>,
    before: Option<Fingerprint>,
}

/// How things are; `None` if they are too many, or nested too deep.
type Fingerprint = Option<u64>;

impl Watch {
    /// A watch over the root's scope; `scopes` are all of them.
    pub(crate) fn new(root: Map, scopes: impl IntoIterator<Item = Map>) -> Self {
        Self {
            root,
            scopes: scopes.into_iter().map(|scope| scope.address()).collect(),
            before: None,
        }
    }

    /// Notes how things are before the first secret of a file is used.
    pub(crate) fn begin(&mut self) {
        self.before = Some(self.fingerprint());
    }

    /// Whether anything has changed since.
    pub(crate) fn changed(&mut self) -> bool {
        self.before
            .take()
            .is_some_and(|before| before.is_none() || before != self.fingerprint())
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut walk = Walk {
            scopes: &self.scopes,
            hasher: DefaultHasher::new(),
            left: MAX_VALUES,
        };
        walk.add_map(&self.root, 0)?;
        Some(walk.hasher.finish())
    }
}

/// A walk over all values.
struct Walk<'w> {
    scopes: &'w BTreeSet<usize>,
    hasher: DefaultHasher,
    left: usize,
}

impl Walk<'_> {
    fn add(&mut self, value: &Value, depth: usize) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let hasher = &mut self.hasher;
        match value {
            Value::Bool(value) => (1, value).hash(hasher),
            Value::Int(_, number) => (2, number).hash(hasher),
            Value::Uint(_, number) => (3, number).hash(hasher),
            Value::Float(_, number) => (4, number.to_bits()).hash(hasher),
            Value::String(text) => (5, text).hash(hasher),
            // The files of a chart, which no template can change.
            Value::Bytes(bytes) => (6, bytes.len()).hash(hasher),
            Value::List(list) => {
                (7, list.len()).hash(hasher);
                for item in list.items() {
                    self.add(item, deeper(depth)?)?;
                }
            }
            Value::Map(map) => self.add_map(map, deeper(depth)?)?,
            Value::Nil => 8.hash(hasher),
            // Chart and capabilities, and what templates put there: certificates above all.
            Value::Object(object) => (9, Rc::as_ptr(object).addr()).hash(hasher),
            Value::Complex(_) | Value::Func(_) => 10.hash(hasher),
        }
        Some(())
    }

    fn add_map(&mut self, map: &Map, depth: usize) -> Option<()> {
        11.hash(&mut self.hasher);
        let is_scope = self.scopes.contains(&map.address());
        map.with(|entries| {
            for (key, value) in entries {
                if !(is_scope && *key == *TEMPLATE) {
                    key.hash(&mut self.hasher);
                    self.add(value, depth)?;
                }
            }
            // So that an entry does not count as one of the map above.
            entries.len().hash(&mut self.hasher);
            Some(())
        })
    }
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < MAX_DEPTH).then_some(depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_show_except_those_of_the_engine() {
        let inner: Map = [("a", Value::int(1))].into_iter().collect();
        let root: Map = [
            ("Values", Value::Map(inner.clone())),
            (TEMPLATE, Value::Nil),
        ]
        .into_iter()
        .collect();
        let mut watch = Watch::new(root.clone(), [root.clone()]);
        assert!(!watch.changed(), "nothing was begun");
        watch.begin();
        root.insert(TEMPLATE, Value::string("x"));
        assert!(!watch.changed());
        watch.begin();
        inner.insert("password", Value::string("x"));
        assert!(watch.changed());
        watch.begin();
        root.insert("password", Value::string("x"));
        assert!(watch.changed() && !watch.changed());
    }

    #[test]
    fn values_that_contain_themselves_end() {
        let values = Map::new();
        values.insert("self", Value::Map(values.clone()));
        let mut watch = Watch::new(values.clone(), []);
        watch.begin();
        assert!(watch.changed(), "nobody knows");
        values.clear();
    }

    #[test]
    fn values_that_are_shared_again_and_again_end() {
        let mut value = Value::int(1);
        for _ in 0..60 {
            value = Value::list(vec![value.clone(), value]);
        }
        let root: Map = [("a", value)].into_iter().collect();
        let mut watch = Watch::new(root, []);
        watch.begin();
        assert!(watch.changed());
    }
}
