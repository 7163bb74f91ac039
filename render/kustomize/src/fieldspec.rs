//! Which fields of which types a transformer reaches, and how it walks to them.

use std::borrow::Cow;

use capstan_goyaml::{Kind, Node, Tag};

use crate::decode::record;
use crate::error::{Error, Result};
use crate::id::{Gvk, ResId, split_api_version};
use crate::node::{self, Create};

record! {
    /// A field of the objects of a type. Empty parts of the type match all. Nearly all of them stand in the built-in table, and are not
    /// copied from there.
    FieldSpec as "types.FieldSpec" {
        group: Cow<'static, str> = "group",
        version: Cow<'static, str> = "version",
        kind: Cow<'static, str> = "kind",
        path: Cow<'static, str> = "path",
        create: bool = "create",
    }
}

impl FieldSpec {
    pub(crate) fn new(path: &str, create: bool) -> FieldSpec {
        FieldSpec {
            path: path.to_owned().into(),
            create,
            ..FieldSpec::default()
        }
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk {
            group: self.group.to_string(),
            version: self.version.to_string(),
            kind: self.kind.to_string(),
        }
    }

    /// Whether the type is one that `selector` names.
    fn is_of_type(&self, selector: &FieldSpec) -> bool {
        let same = |mine: &str, wanted: &str| wanted.is_empty() || mine == wanted;
        same(&self.group, &selector.group)
            && same(&self.version, &selector.version)
            && same(&self.kind, &selector.kind)
    }

    fn matches(&self, object: &Node) -> bool {
        let (group, version) = split_api_version(node::top_text(object, "apiVersion"));
        let same = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        same(&self.kind, node::top_text(object, "kind"))
            && same(&self.group, group)
            && same(&self.version, version)
    }
}

/// Adds field specifications that are not there yet; the same field with another `create` is an error.
pub(crate) fn merge(into: &mut Vec<FieldSpec>, specs: &[FieldSpec]) -> Result<()> {
    for spec in specs {
        let same = into
            .iter()
            .find(|known| known.path == spec.path && known.is_of_type(spec));
        match same {
            Some(known) if known.create != spec.create => {
                return Err(Error::invalid("conflicting fieldspecs"));
            }
            Some(_) => {}
            None => into.push(spec.clone()),
        }
    }
    Ok(())
}

/// What a walk does: what it creates on its way, and what it does at the end.
pub(crate) struct Walk<'w> {
    /// What to create at the end of the path, where the specification says `create`.
    pub(crate) create: Option<(Create, Tag)>,
    /// Changes the node at the end.
    pub(crate) set: &'w mut dyn FnMut(&mut Node) -> Result<()>,
}

/// Walks to the field in `object`, if the object is of the right type.
pub(crate) fn apply(spec: &FieldSpec, object: &mut Node, walk: &mut Walk<'_>) -> Result<()> {
    if !spec.matches(object) {
        return Ok(());
    }
    let path = node::split_path(&spec.path, '/');
    let create = if spec.create {
        walk.create.clone()
    } else {
        None
    };
    let walked = descend(object, &path, create.as_ref(), walk.set);
    walked.map_err(|e| {
        e.context(format_args!(
            "considering field '{}' of object {}",
            spec.path,
            textual_id(object)
        ))
    })
}

/// Whether [`apply`] would reach anything: saves copying objects that stay as they are.
pub(crate) fn reaches(spec: &FieldSpec, object: &Node) -> bool {
    spec.matches(object)
        && (spec.create || any(&node::split_path(&spec.path, '/'), object, &mut |_| true))
}

/// Whether `test` holds for any node at a path. Where the walk would fail, it holds: the walk has to say why.
pub(crate) fn any(path: &[String], node: &Node, test: &mut dyn FnMut(&Node) -> bool) -> bool {
    let Some((part, rest)) = path.split_first() else {
        return test(node);
    };
    if node::is_null(node) {
        return false;
    }
    match node.kind {
        Kind::Sequence => node.content.iter().any(|element| any(path, element, test)),
        Kind::Mapping => {
            let name = part.strip_suffix("[]").unwrap_or(part);
            // A null where the path wants a list becomes an empty one.
            let becomes_list = |field: &Node| name != part && node::is_null(field);
            !matches!(node::step(name), Ok(node::Step::Field(_)))
                || node
                    .get(name)
                    .is_some_and(|field| becomes_list(field) || any(rest, field, test))
        }
        Kind::Scalar | Kind::Alias => true,
    }
}

pub(crate) fn textual_id(object: &Node) -> ResId {
    let gvk = Gvk::new(
        node::top_text(object, "apiVersion"),
        node::top_text(object, "kind"),
    );
    ResId::textual(
        gvk,
        node::meta_text(object, "name"),
        node::meta_text(object, "namespace"),
    )
}

fn descend(
    node: &mut Node,
    path: &[String],
    create: Option<&(Create, Tag)>,
    set: &mut dyn FnMut(&mut Node) -> Result<()>,
) -> Result<()> {
    let Some((part, rest)) = path.split_first() else {
        return set(node);
    };
    if node::is_null(node) {
        return Ok(());
    }
    match node.kind {
        Kind::Mapping => {
            let Some(field) = enter(node, part, rest.is_empty(), create)? else {
                return Ok(());
            };
            descend(field, rest, create, set)
        }
        Kind::Sequence => {
            let all = node
                .content
                .iter_mut()
                .try_for_each(|element| descend(element, path, create, set));
            all.map_err(|e| {
                e.context(format_args!(
                    "visit traversal on path: [{}]",
                    path.join(" ")
                ))
            })
        }
        Kind::Scalar | Kind::Alias => Err(Error::invalid("expected sequence or mapping node")
            .at_line(Some(node.line).filter(|l| *l > 0))),
    }
}

/// The field that a part of the path names: found, or created where that is asked for.
fn enter<'n>(
    map: &'n mut Node,
    part: &str,
    is_last: bool,
    create: Option<&(Create, Tag)>,
) -> Result<Option<&'n mut Node>> {
    let name = part.strip_suffix("[]");
    let is_list = name.is_some();
    let name = name.unwrap_or(part);
    if name.is_empty() {
        return Err(Error::invalid("cannot set or create an empty field name"));
    }
    let wrap = |e: Error| e.context(format_args!("fieldName: {name}"));
    let (field, becomes) = match create {
        Some((kind, tag)) if !is_list => {
            let (kind, tag) = if is_last {
                (*kind, tag.clone())
            } else {
                (Create::Mapping, Tag::Map)
            };
            (
                node::lookup_or_create(map, &[name], kind).map_err(wrap)?,
                Some((kind, tag)),
            )
        }
        _ => {
            let becomes = is_list.then_some((Create::Sequence, Tag::None));
            (
                node::lookup_mut(map, &[name.to_owned()]).map_err(wrap)?,
                becomes,
            )
        }
    };
    let Some(field) = field else { return Ok(None) };
    if let (true, Some((kind, tag))) = (node::is_null(field), becomes) {
        field.kind = kind.node().kind;
        field.tag = tag;
    }
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn set(spec: &FieldSpec, object: &str) -> String {
        let mut object = yaml::parse_one(object).unwrap().unwrap();
        let mut put = |node: &mut Node| {
            node::replace_keeping_style(node, Node::string("new"));
            Ok(())
        };
        apply(
            spec,
            &mut object,
            &mut Walk {
                create: Some((Create::Scalar, Tag::Str)),
                set: &mut put,
            },
        )
        .unwrap();
        yaml::to_v3(&object).unwrap()
    }

    #[test]
    fn fields_are_found_in_lists_and_created_only_where_asked() {
        assert_eq!(
            set(&FieldSpec::new("a/b", false), "a: [{b: 1}, {c: 2}]"),
            "a: [{b: new}, {c: 2}]\n"
        );
        assert_eq!(set(&FieldSpec::new("a/b", false), "x: 1\n"), "x: 1\n");
        assert_eq!(
            set(&FieldSpec::new("a/b", true), "x: 1\n"),
            "x: 1\na:\n  b: new\n"
        );
        assert_eq!(
            set(&FieldSpec::new("a/b", true), "a: null\n"),
            "a:\n  b: new\n"
        );
        assert_eq!(set(&FieldSpec::new("a[]/b", true), "x: 1\n"), "x: 1\n");
        let other = FieldSpec {
            kind: "Other".into(),
            ..FieldSpec::new("a", true)
        };
        assert_eq!(set(&other, "kind: This\n"), "kind: This\n");
    }
}
