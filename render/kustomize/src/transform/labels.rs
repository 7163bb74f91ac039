//! Labels and annotations, wherever the field specifications put them.

use std::collections::BTreeMap;

use capstan_goyaml::{Kind, Node, Tag};

use crate::error::Result;
use crate::fieldspec::FieldSpec;
use crate::node::{self, Create};
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::transform::set_fields;

/// Sets these entries in every map that the specifications reach.
pub(crate) fn set_entries(
    entries: &BTreeMap<String, String>,
    specs: &[FieldSpec],
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let specs: Vec<&FieldSpec> = specs.iter().collect();
    let mut set = |map: &mut Node| {
        node::expect_kind(map, Kind::Mapping)?;
        for (key, value) in entries {
            node::set_field(map, key, Node::string(&**value));
        }
        Ok(())
    };
    for resource in list.items_mut() {
        set_fields(
            resource,
            &specs,
            Some((Create::Mapping, Tag::Map)),
            schema,
            &mut set,
        )?;
    }
    Ok(())
}
