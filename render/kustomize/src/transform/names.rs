//! `namePrefix` and `nameSuffix`.

use capstan_goyaml::{Node, Tag};

use crate::error::Result;
use crate::fieldspec::FieldSpec;
use crate::id::Gvk;
use crate::node::{self, Create};
use crate::resource::Note;
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::transform::set_fields;

/// Where a text is added to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// Adds `text` to the names of all objects but those whose names are their meaning.
pub(crate) fn affix(
    kind: Affix,
    text: &str,
    specs: &[FieldSpec],
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    for resource in list.items_mut() {
        let id = resource.original_id();
        if keeps_its_name(&id.gvk) {
            continue;
        }
        for spec in specs.iter().filter(|spec| id.gvk.is_selected(&spec.gvk())) {
            if spec.path == "metadata/name" && !text.is_empty() {
                let (affixes, note) = if kind == Affix::Prefix {
                    (&mut resource.memory.prefixes, Note::Prefixes)
                } else {
                    (&mut resource.memory.suffixes, Note::Suffixes)
                };
                affixes.push(text.to_owned());
                resource.note(note);
                resource.remember_id(schema)?;
            }
            let mut set = |field: &mut Node| {
                node::expect_kind(field, capstan_goyaml::Kind::Scalar)?;
                let value = match kind {
                    Affix::Prefix => format!("{text}{}", field.value),
                    Affix::Suffix => format!("{}{text}", field.value),
                };
                node::replace_keeping_style(field, Node::scalar(value));
                Ok(())
            };
            set_fields(
                resource,
                &[spec],
                Some((Create::Scalar, Tag::Str)),
                schema,
                &mut set,
            )?;
        }
    }
    Ok(())
}

fn keeps_its_name(gvk: &Gvk) -> bool {
    matches!(&*gvk.kind, "CustomResourceDefinition" | "Namespace")
        || (gvk.kind == "APIService" && gvk.group == "apiregistration.k8s.io")
}
