//! A compiled schema: the keywords of one schema object, references resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::decimal::Decimal;
use super::draft::Draft;
use super::format::Format;

/// Index of a node.
pub(super) type NodeId = usize;

/// The types of JSON, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

/// Type names in the order in which messages list them.
const TYPE_NAMES: [&str; 7] = [
    "null", "boolean", "number", "integer", "string", "array", "object",
];

impl Types {
    pub(super) fn named(name: &str) -> Self {
        Self(
            TYPE_NAMES
                .iter()
                .position(|known| *known == name)
                .map_or(0, |bit| 1 << bit),
        )
    }

    pub(super) fn of(value: &Value) -> Self {
        Self::named(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        })
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn names(self) -> Vec<&'static str> {
        TYPE_NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| *name)
            .collect()
    }
}

/// `additionalProperties` and `additionalItems`.
#[derive(Debug)]
pub(super) enum Additional {
    Allowed(bool),
    Schema(NodeId),
}

/// `items` before 2020-12.
#[derive(Debug)]
pub(super) enum Items {
    Each(NodeId),
    Tuple(Vec<NodeId>),
}

/// `dependencies`.
#[derive(Debug)]
pub(super) enum Dependency {
    Required(Vec<String>),
    Schema(NodeId),
}

/// One schema.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) location: String,
    pub(super) draft: Draft,
    /// A boolean schema, or an empty one.
    pub(super) always: Option<bool>,
    /// The part of a document that it belongs to.
    pub(super) resource: NodeId,
    pub(super) dynamic_anchors: BTreeMap<String, NodeId>,
    pub(super) dynamic_anchor: Option<String>,
    pub(super) recursive_anchor: bool,
    pub(super) reference: Option<NodeId>,
    pub(super) recursive_ref: Option<NodeId>,
    pub(super) dynamic_ref: Option<(NodeId, Option<String>)>,
    pub(super) types: Option<Types>,
    pub(super) constant: Option<Value>,
    pub(super) enumeration: Option<Vec<Value>>,
    pub(super) format: Option<Format>,
    pub(super) all_of: Vec<NodeId>,
    pub(super) any_of: Vec<NodeId>,
    pub(super) one_of: Vec<NodeId>,
    pub(super) not: Option<NodeId>,
    pub(super) condition: Option<NodeId>,
    pub(super) then: Option<NodeId>,
    pub(super) otherwise: Option<NodeId>,
    pub(super) object: ObjectRules,
    pub(super) array: ArrayRules,
    pub(super) text: TextRules,
    pub(super) number: NumberRules,
}

/// Keywords about objects.
#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) required: Vec<String>,
    pub(super) properties: BTreeMap<String, NodeId>,
    pub(super) patterns: Vec<(Arc<Regex>, NodeId)>,
    pub(super) additional: Option<Additional>,
    pub(super) names: Option<NodeId>,
    pub(super) dependencies: BTreeMap<String, Dependency>,
    pub(super) dependent_schemas: BTreeMap<String, NodeId>,
    pub(super) dependent_required: BTreeMap<String, Vec<String>>,
    pub(super) unevaluated: Option<NodeId>,
}

/// Keywords about lists.
#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) unique: bool,
    pub(super) items: Option<Items>,
    pub(super) additional: Option<Additional>,
    pub(super) prefix: Vec<NodeId>,
    pub(super) rest: Option<NodeId>,
    pub(super) contains: Option<NodeId>,
    pub(super) min_contains: Option<u64>,
    pub(super) max_contains: Option<u64>,
    pub(super) unevaluated: Option<NodeId>,
}

/// Keywords about strings.
#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) pattern: Option<(Arc<Regex>, String)>,
}

/// Keywords about numbers.
#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) minimum: Option<Decimal>,
    pub(super) maximum: Option<Decimal>,
    pub(super) exclusive_minimum: Option<Decimal>,
    pub(super) exclusive_maximum: Option<Decimal>,
    pub(super) multiple_of: Option<Decimal>,
}

impl Node {
    pub(super) fn new(location: String, draft: Draft, resource: NodeId) -> Self {
        Self {
            location,
            draft,
            always: None,
            resource,
            dynamic_anchors: BTreeMap::new(),
            dynamic_anchor: None,
            recursive_anchor: false,
            reference: None,
            recursive_ref: None,
            dynamic_ref: None,
            types: None,
            constant: None,
            enumeration: None,
            format: None,
            all_of: Vec::new(),
            any_of: Vec::new(),
            one_of: Vec::new(),
            not: None,
            condition: None,
            then: None,
            otherwise: None,
            object: ObjectRules::default(),
            array: ArrayRules::default(),
            text: TextRules::default(),
            number: NumberRules::default(),
        }
    }

    /// Whether its own keywords look at every property.
    pub(super) fn evaluates_all_properties(&self) -> bool {
        self.object.additional.is_some()
    }

    /// How many items, from the first, its own keywords look at; `None` for all.
    pub(super) fn evaluated_items(&self) -> Option<usize> {
        if self.draft >= Draft::V2020 {
            return if self.array.rest.is_some() {
                None
            } else {
                Some(self.array.prefix.len())
            };
        }
        match &self.array.items {
            Some(Items::Each(_)) => None,
            _ if self.array.additional.is_some() => None,
            Some(Items::Tuple(items)) => Some(items.len()),
            None => Some(0),
        }
    }
}
