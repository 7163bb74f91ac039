//! What changes objects besides patches.

pub(crate) mod images;
pub(crate) mod labels;
pub(crate) mod name_reference;
pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod replacement;
pub(crate) mod replicas;
pub(crate) mod structured;
pub(crate) mod value_add;
pub(crate) mod variables;

use capstan_goyaml::{Node, Tag};

use crate::error::Result;
use crate::fieldspec::{self, FieldSpec, Walk};
use crate::node::Create;
use crate::resource::Resource;
use crate::schema::Schema;

/// Changes the fields of an object that these specifications reach.
pub(crate) fn set_fields(
    resource: &mut Resource,
    specs: &[&FieldSpec],
    create: Option<(Create, Tag)>,
    schema: &Schema,
    set: &mut dyn FnMut(&mut Node) -> Result<()>,
) -> Result<()> {
    if !specs
        .iter()
        .any(|spec| fieldspec::reaches(spec, resource.node()))
    {
        return Ok(());
    }
    let id = resource.id().clone();
    let changed = resource.edit(schema, |node| {
        specs.iter().try_for_each(|spec| {
            fieldspec::apply(
                spec,
                node,
                &mut Walk {
                    create: create.clone(),
                    set,
                },
            )
        })
    });
    changed.map_err(|e| e.about(id))
}
