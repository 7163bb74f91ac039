//! Rules about lists.

use serde_json::Value;

use super::super::draft::Draft;
use super::super::equal::duplicates;
use super::super::error::counts;
use super::super::node::{Additional, ArrayRules, Items, Node, NodeId};
use super::{Pass, Run};

impl<'a> Run<'a> {
    pub(super) fn array(&mut self, pass: &mut Pass<'_, '_>, node: &'a Node, items: &[Value]) {
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
}
