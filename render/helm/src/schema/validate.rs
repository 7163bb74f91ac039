//! Checks a value against compiled schemas.
//!
//! Rules run in the order in which Helm's validator runs them, because the violations are listed in that order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::document::escape_token;
use super::draft::Draft;
use super::error::{Kind, Violation, counts, display, numbers, quote, quote_all};
use super::node::{Additional, ArrayRules, Dependency, Items, Node, NodeId, ObjectRules, Types};

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

    fn object(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node, object: &Map<String, Value>) {
        let rules = &node.object;
        if let Some(min) = rules.min.filter(|min| (object.len() as u64) < *min) {
            pass.violations
                .push(self.violation(counts("minProperties", object.len(), min)));
        }
        if let Some(max) = rules.max.filter(|max| (object.len() as u64) > *max) {
            pass.violations
                .push(self.violation(counts("maxProperties", object.len(), max)));
        }
        match missing(object, &rules.required).as_slice() {
            [] => {}
            [one] => pass
                .violations
                .push(self.violation(format!("missing property {}", quote(one)))),
            several => pass
                .violations
                .push(self.violation(format!("missing properties {}", quote_all(several)))),
        }
        for (name, dependency) in rules
            .dependencies
            .iter()
            .filter(|(name, _)| object.contains_key(*name))
        {
            match dependency {
                Dependency::Required(needed) => self.needed(pass, object, name, needed),
                Dependency::Schema(target) => {
                    let result = self.same(pass, *target);
                    pass.violations.extend(result.err());
                }
            }
        }
        self.properties(pass, rules, object);
        if let Some(target) = rules.names {
            for name in object.keys() {
                let subject = Value::String(name.clone());
                let scope = Scope {
                    node: target,
                    value: pass.scope.value + 1,
                    parent: Some(pass.scope),
                    depth: pass.scope.depth + 1,
                };
                if let Err(violation) = self.node(&subject, &scope, Unevaluated::default()) {
                    let causes = if matches!(violation.kind, Kind::Group) {
                        violation.causes
                    } else {
                        vec![violation]
                    };
                    let causes = causes
                        .into_iter()
                        .map(|cause| Violation {
                            at: String::new(),
                            ..cause
                        })
                        .collect();
                    self.caused(
                        pass,
                        &format!("invalid propertyName {}", quote(name)),
                        causes,
                    );
                }
            }
        }
        for (_, target) in rules
            .dependent_schemas
            .iter()
            .filter(|(name, _)| object.contains_key(*name))
        {
            let result = self.same(pass, *target);
            pass.violations.extend(result.err());
        }
        for (name, needed) in rules
            .dependent_required
            .iter()
            .filter(|(name, _)| object.contains_key(*name))
        {
            self.needed(pass, object, name, needed);
        }
    }

    fn needed(
        &self,
        pass: &mut Pass<'_, '_>,
        object: &Map<String, Value>,
        name: &str,
        needed: &[String],
    ) {
        let missing = missing(object, needed);
        if !missing.is_empty() {
            pass.violations.push(self.violation(format!(
                "properties {} required, if {} exists",
                quote_all(&missing),
                quote(name)
            )));
        }
    }

    fn properties(
        &mut self,
        pass: &mut Pass<'_, '_>,
        rules: &ObjectRules,
        object: &Map<String, Value>,
    ) {
        let mut unwanted = Vec::new();
        for (name, value) in object {
            let mut evaluated = false;
            if let Some(target) = rules.properties.get(name) {
                evaluated = true;
                self.inner(pass, *target, value, name);
            }
            for (pattern, target) in &rules.patterns {
                if pattern.is_match(name) {
                    evaluated = true;
                    self.inner(pass, *target, value, name);
                }
            }
            if !evaluated {
                match &rules.additional {
                    Some(Additional::Allowed(false)) => unwanted.push(name.clone()),
                    Some(Additional::Schema(target)) => self.inner(pass, *target, value, name),
                    Some(Additional::Allowed(true)) | None => {}
                }
                evaluated = rules.additional.is_some();
            }
            if evaluated {
                pass.left.properties.remove(name);
            }
        }
        if !unwanted.is_empty() {
            pass.violations.push(self.violation(format!(
                "additional properties {} not allowed",
                quote_all(&unwanted)
            )));
        }
    }

    fn array(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node, items: &[Value]) {
        let rules = &node.array;
        if let Some(min) = rules.min.filter(|min| (items.len() as u64) < *min) {
            pass.violations
                .push(self.violation(counts("minItems", items.len(), min)));
        }
        if let Some(max) = rules.max.filter(|max| (items.len() as u64) > *max) {
            pass.violations
                .push(self.violation(counts("maxItems", items.len(), max)));
        }
        if rules.unique
            && let Some((first, second)) = duplicates(items)
        {
            pass.violations
                .push(self.violation(format!("items at {first} and {second} are equal")));
        }
        if node.draft < Draft::V2020 {
            self.old_items(pass, rules, items);
        } else {
            for (index, (item, target)) in items.iter().zip(&rules.prefix).enumerate() {
                self.inner(pass, *target, item, &index.to_string());
            }
            if let Some(target) = rules.rest {
                for (index, item) in items.iter().enumerate().skip(rules.prefix.len()) {
                    self.inner(pass, target, item, &index.to_string());
                }
            }
        }
        if let Some(target) = rules.contains {
            self.contains(pass, node, target, items);
        }
    }

    fn old_items(&mut self, pass: &mut Pass<'_, '_>, rules: &ArrayRules, items: &[Value]) {
        let evaluated = match &rules.items {
            Some(Items::Each(target)) => {
                for (index, item) in items.iter().enumerate() {
                    self.inner(pass, *target, item, &index.to_string());
                }
                items.len()
            }
            Some(Items::Tuple(targets)) => {
                for (index, (item, target)) in items.iter().zip(targets).enumerate() {
                    self.inner(pass, *target, item, &index.to_string());
                }
                items.len().min(targets.len())
            }
            None => 0,
        };
        match &rules.additional {
            Some(Additional::Allowed(false)) if evaluated != items.len() => {
                pass.violations.push(self.violation(format!(
                    "last {} additionalItem(s) not allowed",
                    items.len() - evaluated
                )));
            }
            Some(Additional::Schema(target)) => {
                for (index, item) in items.iter().enumerate().skip(evaluated) {
                    self.inner(pass, *target, item, &index.to_string());
                }
            }
            Some(Additional::Allowed(_)) | None => {}
        }
    }

    fn contains(
        &mut self,
        pass: &mut Pass<'_, '_>,
        node: &'a Node,
        target: NodeId,
        items: &[Value],
    ) {
        let rules = &node.array;
        let mut failed = Vec::new();
        let mut matched = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match self.try_inner(pass, target, item, &index.to_string()) {
                Err(violation) => failed.push(violation),
                Ok(()) => {
                    matched.push(index.to_string());
                    if node.draft >= Draft::V2020 {
                        pass.left.items.remove(&index);
                    }
                }
            }
        }
        let count = matched.len() as u64;
        match rules.min_contains {
            Some(min) if count < min && matched.is_empty() => {
                self.caused(
                    pass,
                    &format!("min {min} items required to match contains schema, but none matched"),
                    failed,
                );
            }
            Some(min) if count < min => {
                let message = format!(
                    "min {min} items required to match contains schema, but matched {count} items at {}",
                    matched.join(" ")
                );
                self.caused(pass, &message, failed);
            }
            None if matched.is_empty() => {
                self.caused(pass, "no items match contains schema", failed)
            }
            _ => {}
        }
        if let Some(max) = rules.max_contains.filter(|max| count > *max) {
            let message = format!(
                "max {max} items required to match contains schema, but matched {count} items at {}",
                matched.join(" ")
            );
            pass.violations.push(self.violation(message));
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
        if !types.contains(actual) && !(types.contains(Types::named("integer")) && whole()) {
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

fn missing(object: &Map<String, Value>, required: &[String]) -> Vec<String> {
    required
        .iter()
        .filter(|name| !object.contains_key(*name))
        .cloned()
        .collect()
}

/// Equality in the sense of JSON Schema: 1 equals 1.0.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Decimal::new(left).compare(&Decimal::new(right)).is_eq()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, l)| right.get(name).is_some_and(|r| equal(l, r)))
        }
        _ => left == right,
    }
}

/// The first two items that are equal; they are compared by a text that equal values share, so that long lists stay cheap.
fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen = BTreeMap::new();
    items.iter().enumerate().find_map(|(index, item)| {
        seen.insert(canonical(item), index)
            .map(|first| (first, index))
    })
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.to_string(),
            None => number
                .as_f64()
                .map_or_else(|| number.to_string(), |float| format!("{float}")),
        },
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(canonical).collect::<Vec<_>>().join(",")
        ),
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().collect();
            let members: Vec<_> = sorted
                .into_iter()
                .map(|(name, value)| format!("{name:?}:{}", canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}
