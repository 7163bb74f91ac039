//! Which dependencies are on, what they are called, and what a chart takes over from their values.
//!
//! The order of steps is Helm's, because each sees what the ones before did.

use capstan_gotemplate::{Map, Value};
use serde_json::Value as Json;

use crate::error::Error;
use crate::semver::is_compatible;
use crate::tree::deep_copy_map;
use crate::values::{Coalescing, coalesce_values, merge_tables, path_value, table};
use crate::work::{ChartId, ROOT, RequirementId, Work};

/// Decides on all dependencies below the root and imports their values.
pub(crate) fn process(work: &mut Work, values: &Map) -> Result<(), Error> {
    enable(work, ROOT, values, "")?;
    import(work, ROOT)
}

/// Keeps the dependencies that are on, under the names that they go by. `path` is where the chart's values are, with a dot at the end.
fn enable(work: &mut Work, chart: ChartId, values: &Map, path: &str) -> Result<(), Error> {
    let Some(requirements) = work.requirements(chart).map(<[_]>::to_vec) else {
        return Ok(());
    };
    let found = match_requirements(work, chart, &requirements);
    work.set_dependencies(chart, found);
    for &requirement in &requirements {
        work.requirements[requirement].enabled = true;
    }
    let values = coalesce_values(work, chart, values, Coalescing::Coalesce)?;
    apply_tags(work, &requirements, &values);
    apply_conditions(work, &requirements, &values, path);
    let disabled: Vec<String> = requirements
        .iter()
        .map(|id| &work.requirements[*id])
        .filter(|requirement| !requirement.enabled)
        .map(|requirement| requirement.name.clone())
        .collect();
    let is_on = |name: &str| !disabled.iter().any(|off| off == name);
    let kept: Vec<ChartId> = work
        .dependencies(chart)
        .iter()
        .copied()
        .filter(|child| is_on(work.name(*child)))
        .collect();
    for &child in &kept {
        let below = format!("{path}{}.", work.name(child));
        enable(work, child, &values, &below)?;
    }
    let declared: Vec<RequirementId> = requirements
        .into_iter()
        .filter(|id| is_on(&work.requirements[*id].name))
        .collect();
    // In Go an empty list that was built up from nothing is nil again.
    work.set_requirements(chart, (!declared.is_empty()).then_some(declared));
    work.set_dependencies(chart, kept);
    Ok(())
}

/// Charts that nothing declares come first, then one for each declaration, under its alias.
fn match_requirements(
    work: &mut Work,
    chart: ChartId,
    requirements: &[RequirementId],
) -> Vec<ChartId> {
    let fits = |work: &Work, child: ChartId, requirement: RequirementId| {
        let requirement = &work.requirements[requirement];
        work.name(child) == requirement.name
            && is_compatible(&requirement.version, &work.inner(child).metadata.version)
    };
    let there = work.dependencies(chart).to_vec();
    let undeclared = there.iter().copied().filter(|child| {
        !requirements
            .iter()
            .any(|requirement| fits(work, *child, *requirement))
    });
    let mut found: Vec<ChartId> = undeclared.collect();
    for &requirement in requirements {
        let alias = work.requirements[requirement].alias.clone();
        if let Some(child) = there
            .iter()
            .copied()
            .find(|child| fits(work, *child, requirement))
        {
            let name = if alias.is_empty() {
                work.name(child).to_owned()
            } else {
                alias.clone()
            };
            found.push(work.alias(child, &name));
        }
        if !alias.is_empty() {
            work.requirements[requirement].name = alias;
        }
    }
    found
}

/// A tag that is true switches on; else one that is false switches off.
fn apply_tags(work: &mut Work, requirements: &[RequirementId], values: &Map) {
    let Some(tags) = table(values, "tags") else {
        return;
    };
    for &id in requirements {
        let requirement = &mut work.requirements[id];
        let states: Vec<bool> = requirement
            .tags
            .iter()
            .filter_map(|tag| {
                if let Some(Value::Bool(on)) = tags.get(tag) {
                    Some(on)
                } else {
                    None
                }
            })
            .collect();
        requirement.enabled = states.is_empty() || states.contains(&true);
    }
}

/// The first path that leads to a boolean decides, over all tags.
fn apply_conditions(work: &mut Work, requirements: &[RequirementId], values: &Map, path: &str) {
    for &id in requirements {
        let requirement = &mut work.requirements[id];
        let decided = requirement
            .condition
            .trim()
            .split(',')
            .filter(|condition| !condition.is_empty())
            .find_map(
                |condition| match path_value(values, &format!("{path}{condition}")) {
                    Some(Value::Bool(on)) => Some(on),
                    _ => None,
                },
            );
        if let Some(on) = decided {
            requirement.enabled = on;
        }
    }
}

/// Takes values of dependencies over into the charts that declare them, lowest charts first.
fn import(work: &mut Work, chart: ChartId) -> Result<(), Error> {
    for child in work.dependencies(chart).to_vec() {
        import(work, child)?;
    }
    let Some(requirements) = work.requirements(chart).map(<[_]>::to_vec) else {
        return Ok(());
    };
    let values = coalesce_values(work, chart, &Map::new(), Coalescing::Merge)?;
    let imported = Map::new();
    for id in requirements {
        let requirement = &work.requirements[id];
        let mut seen = Vec::new();
        for item in &requirement.import_values {
            let (child, parent) = match item {
                Json::Object(pair) => (go_text(pair.get("child")), go_text(pair.get("parent"))),
                Json::String(name) => (format!("exports.{name}"), ".".to_owned()),
                _ => continue,
            };
            if let Some(found) = table(&values, &format!("{}.{child}", requirement.name)) {
                merge_tables(&imported, &at_path(&parent, found));
            }
            seen.push(Import { child, parent });
        }
        // Helm notes what it read in a form that it does not read again.
        work.requirements[id].import_values = seen.into_iter().map(Import::into_json).collect();
    }
    let values = deep_copy_map(&values);
    merge_tables(&values, &imported);
    work.set_values(chart, values);
    Ok(())
}

struct Import {
    child: String,
    parent: String,
}

impl Import {
    /// As a list, so that it is neither of the two forms that are read.
    fn into_json(self) -> Json {
        Json::Array(vec![self.child.into(), self.parent.into()])
    }
}

/// A value as Go's `%v` prints it.
fn go_text(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => "<nil>".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A map inside maps of these names; `.` stands for the map itself.
fn at_path(path: &str, map: Map) -> Map {
    if path == "." {
        return map;
    }
    path.rsplit('.').fold(map, |inner, name| {
        [(name, Value::Map(inner))].into_iter().collect()
    })
}
