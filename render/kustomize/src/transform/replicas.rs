//! `replicas`: how many there are of a workload.

use capstan_goyaml::{Kind, Node, Tag};

use crate::error::{Error, Result};
use crate::fieldspec::FieldSpec;
use crate::kustomization::Replica;
use crate::node::{self, Create, NodeExt};
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::transform::set_fields;

pub(crate) fn set(
    replica: &Replica,
    specs: &[FieldSpec],
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<()> {
    let mut found = false;
    for spec in specs {
        let gvk = spec.gvk();
        for at in list.positions_by_any_id(|id| id.name == replica.name && id.gvk.is_selected(&gvk))
        {
            found = true;
            let mut set = |field: &mut Node| {
                node::expect_kind(field, Kind::Scalar)?;
                node::replace_keeping_style(
                    field,
                    Node::scalar(replica.count.to_string()).tagged(Tag::Int),
                );
                Ok(())
            };
            set_fields(
                &mut list.items_mut()[at],
                &[spec],
                Some((Create::Scalar, Tag::Int)),
                schema,
                &mut set,
            )?;
        }
    }
    if found {
        return Ok(());
    }
    let types: Vec<String> = specs.iter().map(|spec| spec.gvk().to_string()).collect();
    let message = format!(
        "resource with name {} does not match a config with the following GVK [{}]",
        replica.name,
        types.join(" ")
    );
    Err(Error::invalid(message))
}
