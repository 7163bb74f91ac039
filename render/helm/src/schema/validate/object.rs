//! Rules about objects.

use serde_json::{Map, Value};

use super::super::error::{Kind, Violation, counts, quote, quote_all};
use super::super::node::{Additional, Dependency, Node, ObjectRules};
use super::{Pass, Run, Scope, Unevaluated};

impl<'a> Run<'a> {
    pub(super) fn object(
        &mut self,
        pass: &mut Pass<'_, '_>,
        node: &'a Node,
        object: &Map<String, Value>,
    ) {
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
        self.names(pass, rules, object);
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

    fn names(&mut self, pass: &mut Pass<'_, '_>, rules: &ObjectRules, object: &Map<String, Value>) {
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
}

fn missing(object: &Map<String, Value>, required: &[String]) -> Vec<String> {
    required
        .iter()
        .filter(|name| !object.contains_key(*name))
        .cloned()
        .collect()
}
