//! `replacements`: values that are copied from one field to others.

use capstan_goyaml::{Kind, Node};

use crate::error::{Error, Result};
use crate::id::ResId;
use crate::kustomization::{FieldOptions, Replacement, ReplacementTarget, Selector, Source};
use crate::node::{self, Create};
use crate::resource::Resource;
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::select::Matcher;
use crate::transform::structured;

/// Copies what each replacement says.
pub(crate) fn apply(
    replacements: &[Replacement],
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    for replacement in replacements {
        let (Some(targets), true) = (
            &replacement.targets,
            replacement.source.is_some() || replacement.source_value.is_some(),
        ) else {
            return Err(Error::invalid(
                "replacements must specify a source and at least one target",
            ));
        };
        let value = match (&replacement.source_value, &replacement.source) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "value and resource selectors are mutually exclusive",
                ));
            }
            (Some(value), None) => Node::scalar(&**value),
            (None, Some(source)) => read(source, list)?,
            (None, None) => unreachable!("one of both was asked for above"),
        };
        targets
            .iter()
            .try_for_each(|target| write(target, &value, list, schema))?;
    }
    list.drop_gone();
    Ok(())
}

/// Identities as text: the one that the object has, then those that it had.
fn ids(resource: &Resource) -> Vec<ResId> {
    let id = resource.id();
    std::iter::once(ResId::textual(id.gvk.clone(), &id.name, &id.namespace))
        .chain(resource.previous_ids())
        .collect()
}

fn read(source: &Source, list: &ResourceList) -> Result<Node> {
    let selector = source.id();
    let mut matches = list
        .items()
        .iter()
        .filter(|r| ids(r).iter().any(|id| id.is_selected_by(&selector)));
    let resource = matches
        .next()
        .ok_or_else(|| Error::invalid(format!("nothing selected by {}", shown(source))))?;
    if matches.next().is_some() {
        return Err(Error::invalid(format!(
            "multiple matches for selector {}",
            shown(source)
        )));
    }
    let path = if source.field_path.is_empty() {
        "metadata.name"
    } else {
        &source.field_path
    };
    let field = node::lookup(resource.node(), &node::split_bracketed_path(path));
    let field = field.map_err(|e| {
        e.context("error looking up replacement source")
            .about(resource.id())
    })?;
    let Some(field) = field.filter(|f| !node::is_nil_or_empty(f)) else {
        let message = format!("fieldPath `{path}` is missing for replacement source {selector}");
        return Err(Error::invalid(message).about(resource.id()));
    };
    refine(source.options.as_ref(), field)
}

/// How kustomize prints a source.
fn shown(source: &Source) -> String {
    let mut parts = vec![source.id().to_string()];
    if !source.field_path.is_empty() {
        parts.push(source.field_path.clone());
    }
    if let Some(options) = source
        .options
        .as_ref()
        .filter(|o| !o.delimiter.is_empty() || o.create)
    {
        parts.push(format!(
            "{}({}), create={}",
            options.delimiter, options.index, options.create
        ));
    }
    parts.join(":")
}

/// The part of the value that is meant.
fn refine(options: Option<&FieldOptions>, field: &Node) -> Result<Node> {
    let Some(options) = options.filter(|o| !o.delimiter.is_empty()) else {
        return Ok(field.clone());
    };
    if field.kind != Kind::Scalar {
        return Err(Error::invalid(
            "delimiter option can only be used with scalar nodes",
        ));
    }
    let text = node::text(field);
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| text.split(&*options.delimiter).nth(index));
    let Some(part) = part else {
        return Err(Error::invalid(format!(
            "options.index {} is out of bounds for value {text}",
            options.index
        )));
    };
    let mut refined = field.clone();
    refined.value = part.into();
    Ok(refined)
}

fn write(
    target: &ReplacementTarget,
    value: &Node,
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    let Some(select) = &target.select else {
        return Err(Error::invalid("target must specify resources to select"));
    };
    let wrap = |e: Error| e.context("error creating target selector");
    let selected = Matcher::new(select).map_err(wrap)?;
    let rejected = target
        .reject
        .iter()
        .map(|r| Ok((r, Matcher::new(r)?)))
        .collect::<Result<Vec<_>>>()
        .map_err(wrap)?;
    for resource in list.items_mut() {
        if !selected.matches_metadata(resource)? || is_rejected_by_metadata(&rejected, resource)? {
            continue;
        }
        let ids = ids(resource);
        let names_id = |selector: &Selector| selector.id() != ResId::default();
        let is_rejected = rejected
            .iter()
            .filter(|(s, _)| names_id(s))
            .any(|(_, m)| ids.iter().any(|id| m.matches_id(id)));
        if is_rejected || !ids.iter().any(|id| selected.matches_id(id)) {
            continue;
        }
        let id = resource.id().clone();
        resource
            .edit(schema, |node| copy(node, value, target))
            .map_err(|e| e.about(id))?;
    }
    Ok(())
}

fn is_rejected_by_metadata(rejected: &[(&Selector, Matcher)], resource: &Resource) -> Result<bool> {
    for (selector, matcher) in rejected {
        let says_nothing =
            selector.annotation_selector.is_empty() && selector.label_selector.is_empty();
        if !says_nothing && matcher.matches_metadata(resource)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy(object: &mut Node, value: &Node, target: &ReplacementTarget) -> Result<()> {
    let default = ["metadata.name".to_owned()];
    let paths = if target.field_paths.is_empty() {
        &default[..]
    } else {
        &target.field_paths
    };
    let options = target.options.as_ref();
    let create = options
        .is_some_and(|o| o.create)
        .then(|| Create::like(value));
    for path in paths {
        let parts = node::split_bracketed_path(path);
        if structured::set_in_text(object, value, &parts, create) {
            continue;
        }
        let verb = if create.is_some() {
            "find or create"
        } else {
            "find"
        };
        let missing = format!("unable to {verb} field {path:?} in replacement target");
        let found = structured::find(object, &parts, create).map_err(|e| e.context(&missing))?;
        if found.places.is_empty() && found.in_texts == 0 {
            return Err(Error::invalid(missing));
        }
        for place in &found.places {
            set(structured::at(object, place), value, options)?;
        }
    }
    Ok(())
}

fn set(field: &mut Node, value: &Node, options: Option<&FieldOptions>) -> Result<()> {
    let mut value = value.clone();
    if let Some(options) = options.filter(|o| !o.delimiter.is_empty()) {
        if field.kind != Kind::Scalar {
            return Err(Error::invalid(
                "delimiter option can only be used with scalar nodes",
            ));
        }
        let mut parts: Vec<&str> = field.value.split(&*options.delimiter).collect();
        let new = node::text(&value).to_owned();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, &new),
            Ok(index) if index >= parts.len() => parts.push(&new),
            Ok(index) => parts[index] = &new,
        }
        let joined = parts.join(&options.delimiter);
        value.value = joined.into();
    }
    if field.kind == Kind::Scalar {
        // The field keeps its type: what is written into a number has to be one.
        field.value = value.value;
    } else {
        *field = value;
    }
    Ok(())
}
