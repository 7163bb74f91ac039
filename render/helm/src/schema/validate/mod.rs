//! Checks a value against compiled schemas.
//!
//! Rules run in the order in which Helm's validator runs them, because the violations are listed in that order.

mod array;
mod object;

use std::collections::BTreeSet;

use serde_json::Value;

use super::decimal::Decimal;
use super::document::escape_token;
use super::draft::Draft;
use super::equal::equal;
use super::error::{Kind, Violation, counts, display, numbers, quote};
use super::node::{Node, NodeId, Types};

/// How deep schemas may be applied inside each other: values and schemas nest far less, and the stack holds more than this.
const MAX_DEPTH: usize = 200;
/// Schemas applied in one validation. The largest public schema needs some ten thousand; `anyOf` inside `anyOf` can double at each level.
const MAX_STEPS: usize = 200_000;

/// What no rule has looked at yet, where a rule asks for it.
#[derive(Clone, Default)]
struct Unevaluated {
    properties: BTreeSet<String>,
    items: BTreeSet<usize>,
}

impl Unevaluated {
    fn of(value: &Value, node: &Node, caller_asks: bool) -> Self {
        let mut left = Self::default();
        match value {
            Value::Object(object)
                if !node.evaluates_all_properties()
                    && (caller_asks || node.object.unevaluated.is_some()) =>
            {
                left.properties = object.keys().cloned().collect();
            }
            Value::Array(items) if caller_asks || node.array.unevaluated.is_some() => {
                if let Some(evaluated) = node.evaluated_items() {
                    left.items = (evaluated..items.len()).collect();
                }
            }
            _ => {}
        }
        left
    }

    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.items.is_empty()
    }

    fn keep_common(&mut self, other: &Self) {
        self.properties
            .retain(|name| other.properties.contains(name));
        self.items.retain(|index| other.items.contains(index));
    }
}

/// Which schemas are being applied, innermost last.
struct Scope<'s> {
    node: NodeId,
    /// Distinguishes values: the same node twice on the same value is a cycle.
    value: usize,
    parent: Option<&'s Scope<'s>>,
    depth: usize,
}

impl Scope<'_> {
    fn cycle(&self) -> bool {
        let mut scope = self.parent;
        while let Some(outer) = scope.filter(|outer| outer.value == self.value) {
            if outer.node == self.node {
                return true;
            }
            scope = outer.parent;
        }
        false
    }
}

/// Checks a value and gives what is wrong with it.
pub(super) fn validate(nodes: &[Node], root: NodeId, value: &Value) -> Result<(), Violation> {
    let mut run = Run {
        nodes,
        at: String::new(),
        steps: 0,
    };
    let scope = Scope {
        node: root,
        value: 0,
        parent: None,
        depth: 0,
    };
    let left = Unevaluated::of(value, &nodes[root], false);
    run.node(value, &scope, left).map(|_| ())
}

struct Run<'a> {
    nodes: &'a [Node],
    /// Where the value is that is being checked, as a JSON pointer.
    at: String,
    steps: usize,
}

/// One schema on one value: the violations so far, and what is left unevaluated.
struct Pass<'v, 's> {
    value: &'v Value,
    scope: &'s Scope<'s>,
    left: Unevaluated,
    violations: Vec<Violation>,
}

impl<'a> Run<'a> {
    fn violation(&self, message: impl Into<String>) -> Violation {
        Violation::new(&self.at, message)
    }

    fn node(
        &mut self,
        value: &Value,
        scope: &Scope<'_>,
        left: Unevaluated,
    ) -> Result<Unevaluated, Violation> {
        let node = &self.nodes[scope.node];
        match node.always {
            Some(true) => return Ok(left),
            Some(false) => return Err(self.violation("false schema")),
            None => {}
        }
        self.steps += 1;
        if scope.depth > MAX_DEPTH {
            return Err(self.violation(format!("schemas nest deeper than {MAX_DEPTH}")));
        }
        if self.steps > MAX_STEPS {
            return Err(self.violation(format!("checking takes more than {MAX_STEPS} steps; simplify the schema or skip schema validation")));
        }
        if scope.cycle() {
            return Err(self.violation(format!(
                "{:?} refers to itself, causing reference cycle",
                node.location
            )));
        }
        if let Some(message) = own_type(node, value) {
            return Err(self.violation(message));
        }
        let mut pass = Pass {
            value,
            scope,
            left,
            violations: Vec::new(),
        };
        if let Some(target) = node.reference {
            let result = self.referred(&mut pass, target);
            if node.draft < Draft::V2019 {
                return result.map(|()| pass.left);
            }
            pass.violations.extend(result.err());
        }
        match value {
            Value::Object(object) => self.object(&mut pass, node, object),
            Value::Array(items) => self.array(&mut pass, node, items),
            Value::String(text) => self.text(&mut pass, node, text),
            Value::Number(number) => self.number(&mut pass, node, &Decimal::new(number)),
            _ => {}
        }
        self.dynamic(&mut pass, node);
        self.combinations(&mut pass, node);
        self.unevaluated(&mut pass, node);
        let Pass {
            left,
            mut violations,
            ..
        } = pass;
        match violations.len() {
            0 => Ok(left),
            1 => Err(violations.remove(0)),
            _ => Err(Violation {
                at: self.at.clone(),
                kind: Kind::Group,
                causes: violations,
            }),
        }
    }

    /// Another schema on the same value.
    fn same(&mut self, pass: &mut Pass<'_, '_>, target: NodeId) -> Result<(), Violation> {
        let scope = Scope {
            node: target,
            value: pass.scope.value,
            parent: Some(pass.scope),
            depth: pass.scope.depth + 1,
        };
        let left = Unevaluated::of(pass.value, &self.nodes[target], !pass.left.is_empty());
        let left = self.node(pass.value, &scope, left)?;
        pass.left.keep_common(&left);
        Ok(())
    }

    /// A schema on a value inside this one.
    fn inner(&mut self, pass: &mut Pass<'_, '_>, target: NodeId, value: &Value, token: &str) {
        let result = self.try_inner(pass, target, value, token);
        pass.violations.extend(result.err());
    }

    fn try_inner(
        &mut self,
        pass: &Pass<'_, '_>,
        target: NodeId,
        value: &Value,
        token: &str,
    ) -> Result<(), Violation> {
        let length = self.at.len();
        self.at.push('/');
        self.at.push_str(&escape_token(token));
        let scope = Scope {
            node: target,
            value: pass.scope.value + 1,
            parent: Some(pass.scope),
            depth: pass.scope.depth + 1,
        };
        let left = Unevaluated::of(value, &self.nodes[target], false);
        let result = self.node(value, &scope, left);
        self.at.truncate(length);
        result.map(|_| ())
    }

    fn referred(&mut self, pass: &mut Pass<'_, '_>, target: NodeId) -> Result<(), Violation> {
        self.same(pass, target).map_err(|violation| {
            let causes = if matches!(violation.kind, Kind::Group) {
                violation.causes
            } else {
                vec![violation]
            };
            Violation {
                at: self.at.clone(),
                kind: Kind::Reference,
                causes,
            }
        })
    }

    fn dynamic(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node) {
        if let Some(target) = node.recursive_ref {
            let target = if self.nodes[target].recursive_anchor {
                self.outermost(pass.scope, target, |resource| {
                    resource.recursive_anchor.then_some(())
                })
            } else {
                target
            };
            let result = self.referred(pass, target);
            pass.violations.extend(result.err());
        }
        if let Some((target, anchor)) = &node.dynamic_ref {
            let mut target = *target;
            if let Some(anchor) = anchor
                && self.nodes[target].dynamic_anchor.as_ref() == Some(anchor)
            {
                let mut scope = Some(pass.scope);
                while let Some(current) = scope {
                    let resource = self.nodes[current.node].resource;
                    if let Some(found) = self.nodes[resource].dynamic_anchors.get(anchor) {
                        target = *found;
                    }
                    scope = current.parent;
                }
            }
            let result = self.referred(pass, target);
            pass.violations.extend(result.err());
        }
    }

    fn outermost(
        &self,
        scope: &Scope<'_>,
        fallback: NodeId,
        wanted: impl Fn(&Node) -> Option<()>,
    ) -> NodeId {
        let mut found = fallback;
        let mut scope = Some(scope);
        while let Some(current) = scope {
            if wanted(&self.nodes[self.nodes[current.node].resource]).is_some() {
                found = current.node;
            }
            scope = current.parent;
        }
        found
    }

    fn combinations(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node) {
        if let Some(target) = node.not
            && self.same(pass, target).is_ok()
        {
            pass.violations.push(self.violation("'not' failed"));
        }
        let failed: Vec<_> = node
            .all_of
            .iter()
            .filter_map(|target| self.same(pass, *target).err())
            .collect();
        if !failed.is_empty() {
            self.caused(pass, "'allOf' failed", failed);
        }
        if !node.any_of.is_empty() {
            self.any_of(pass, &node.any_of);
        }
        if !node.one_of.is_empty() {
            self.one_of(pass, &node.one_of);
        }
        if let Some(condition) = node.condition {
            let branch = if self.same(pass, condition).is_ok() {
                node.then
            } else {
                node.otherwise
            };
            if let Some(target) = branch {
                let result = self.same(pass, target);
                pass.violations.extend(result.err());
            }
        }
    }

    fn any_of(&mut self, pass: &mut Pass<'_, '_>, targets: &[NodeId]) {
        let mut failed = Vec::new();
        let mut matched = false;
        for target in targets {
            match self.same(pass, *target) {
                Err(violation) => failed.push(violation),
                Ok(()) => {
                    matched = true;
                    if pass.left.is_empty() {
                        break;
                    }
                }
            }
        }
        if !matched {
            self.caused(pass, "'anyOf' failed", failed);
        }
    }

    fn one_of(&mut self, pass: &mut Pass<'_, '_>, targets: &[NodeId]) {
        let mut failed = Vec::new();
        let mut matched = None;
        for (index, target) in targets.iter().enumerate() {
            match (self.same(pass, *target), matched) {
                (Err(violation), None) => failed.push(violation),
                (Err(_), Some(_)) => {}
                (Ok(()), None) => matched = Some(index),
                (Ok(()), Some(first)) => {
                    pass.violations.push(self.violation(format!(
                        "'oneOf' failed, subschemas {first}, {index} matched"
                    )));
                    break;
                }
            }
        }
        if matched.is_none() {
            self.caused(pass, "'oneOf' failed, none matched", failed);
        }
    }

    fn caused(&self, pass: &mut Pass<'_, '_>, message: &str, causes: Vec<Violation>) {
        pass.violations.push(Violation {
            causes,
            ..self.violation(message)
        });
    }

    fn unevaluated(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node) {
        if let (Value::Object(object), Some(target)) = (pass.value, node.object.unevaluated) {
            for name in std::mem::take(&mut pass.left.properties) {
                self.inner(pass, target, &object[&name], &name);
            }
        }
        if let (Value::Array(items), Some(target)) = (pass.value, node.array.unevaluated) {
            for index in std::mem::take(&mut pass.left.items) {
                self.inner(pass, target, &items[index], &index.to_string());
            }
        }
    }

    fn text(&self, pass: &mut Pass<'_, '_>, node: &Node, text: &str) {
        let rules = &node.text;
        let length = text.chars().count();
        if let Some(min) = rules.min.filter(|min| (length as u64) < *min) {
            pass.violations
                .push(self.violation(counts("minLength", length, min)));
        }
        if let Some(max) = rules.max.filter(|max| (length as u64) > *max) {
            pass.violations
                .push(self.violation(counts("maxLength", length, max)));
        }
        if let Some((pattern, source)) = &rules.pattern
            && !pattern.is_match(text)
        {
            pass.violations.push(self.violation(format!(
                "{} does not match pattern {}",
                quote(text),
                quote(source)
            )));
        }
    }

    fn number(&self, pass: &mut Pass<'_, '_>, node: &Node, number: &Decimal) {
        let rules = &node.number;
        let checks = [
            (
                "minimum",
                &rules.minimum,
                number_is(number, |order| order.is_ge()),
            ),
            (
                "maximum",
                &rules.maximum,
                number_is(number, |order| order.is_le()),
            ),
            (
                "exclusiveMinimum",
                &rules.exclusive_minimum,
                number_is(number, |order| order.is_gt()),
            ),
            (
                "exclusiveMaximum",
                &rules.exclusive_maximum,
                number_is(number, |order| order.is_lt()),
            ),
        ];
        for (keyword, bound, holds) in checks {
            if let Some(bound) = bound
                && !holds(bound)
            {
                pass.violations
                    .push(self.violation(numbers(keyword, number, bound)));
            }
        }
        if let Some(of) = &rules.multiple_of
            && !number.is_multiple_of(of)
        {
            pass.violations
                .push(self.violation(numbers("multipleOf", number, of)));
        }
    }
}

fn number_is<'n>(
    number: &'n Decimal,
    holds: fn(std::cmp::Ordering) -> bool,
) -> impl Fn(&Decimal) -> bool + 'n {
    move |bound| holds(number.compare(bound))
}

/// Rules that end the check at once: type, constant, enumeration, format.
fn own_type(node: &Node, value: &Value) -> Option<String> {
    let actual = Types::of(value);
    if let Some(types) = node.types {
        let whole = || matches!(value, Value::Number(number) if Decimal::new(number).is_integer());
        let fits = types.contains(actual) || (types.contains(Types::named("integer")) && whole());
        if !fits {
            return Some(format!(
                "got {}, want {}",
                actual.names().join(""),
                types.names().join(" or ")
            ));
        }
    }
    if let Some(constant) = &node.constant
        && !equal(value, constant)
    {
        let nested = constant.is_array() || constant.is_object();
        return Some(if nested {
            "'const' failed".to_owned()
        } else {
            format!("value must be {}", display(constant))
        });
    }
    if let Some(allowed) = &node.enumeration
        && !allowed.iter().any(|one| equal(value, one))
    {
        if allowed.iter().any(|one| one.is_array() || one.is_object()) {
            return Some("'enum' failed".to_owned());
        }
        let list = allowed.iter().map(display).collect::<Vec<_>>().join(", ");
        return Some(if allowed.len() == 1 {
            format!("value must be {list}")
        } else {
            format!("value must be one of {list}")
        });
    }
    node.format.and_then(|format| format.check(value).err())
}
