//! `vars`: `$(NAME)` in the fields that the configuration lists.

use std::collections::{BTreeMap, BTreeSet};

use capstan_goyaml::{Kind, Node, Style, Tag, format_float};

use crate::error::{Error, Result};
use crate::fieldspec::{self, FieldSpec, Walk};
use crate::id::{Gvk, ResId};
use crate::kustomization::Var;
use crate::node;
use crate::resource::list::ResourceList;
use crate::schema::Schema;

/// The value of a variable.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A list or a map, which stands in no text.
    Composite,
}

impl Value {
    fn text(&self, name: &str) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Int(int) => int.to_string(),
            Value::Float(float) => format_float(*float),
            Value::Bool(truth) => truth.to_string(),
            Value::Composite => format!("$({name})"),
        }
    }
}

/// Fills in what kustomize defaults.
pub(crate) fn with_defaults(var: &Var) -> Var {
    let mut var = var.clone();
    if var.field.path.is_empty() {
        var.field.path = "metadata.name".to_owned();
    }
    let gvk = target_type(&var);
    (var.object.group, var.object.version, var.object.kind) = (gvk.group, gvk.version, gvk.kind);
    var
}

fn target_type(var: &Var) -> Gvk {
    let object = &var.object;
    let mut gvk = Gvk {
        group: object.group.clone(),
        version: object.version.clone(),
        kind: object.kind.clone(),
    };
    let parts: Vec<&str> = object.api_version.split('/').collect();
    match parts[..] {
        [""] => {}
        [version] => version.clone_into(&mut gvk.version),
        [group, version] => {
            group.clone_into(&mut gvk.group);
            version.clone_into(&mut gvk.version);
        }
        _ => {}
    }
    gvk
}

/// How Go prints a variable.
fn shown(var: &Var) -> String {
    shown_as(var, &target_type(var))
}

fn shown_as(var: &Var, object: &Gvk) -> String {
    format!("{{{} {object} {{{}}}}}", var.name, var.field.path)
}

/// How Go prints a list of variables as they are written.
pub(crate) fn shown_all(vars: &[Var]) -> String {
    let shown = vars.iter().map(|var| {
        let object = Gvk {
            group: var.object.group.clone(),
            version: var.object.version.clone(),
            kind: var.object.kind.clone(),
        };
        shown_as(var, &object)
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(" "))
}

/// Notes on the object that each variable is read from that it is.
pub(crate) fn attach(vars: &[Var], list: &mut ResourceList) -> Result<()> {
    for var in vars {
        let target = ResId::textual(target_type(var), &var.object.name, &var.object.namespace);
        let matches = list.positions_by_any_id(|id| {
            if target.namespace.is_empty() {
                target.same_name_and_type(id)
            } else {
                target.same(id)
            }
        });
        match matches[..] {
            [] => {}
            [at] => list.items_mut()[at].variables.push(var.name.clone()),
            _ => {
                let message = format!(
                    "found {} resId matches for var {} (unable to disambiguate)",
                    matches.len(),
                    shown(var)
                );
                return Err(Error::invalid(message));
            }
        }
    }
    Ok(())
}

/// Replaces all variables. Returns the names of those that occur nowhere.
pub(crate) fn resolve(
    vars: &BTreeMap<String, Var>,
    specs: &[FieldSpec],
    list: &mut ResourceList,
    schema: &Schema,
) -> Result<Vec<String>> {
    let values = vars
        .values()
        .map(|var| Ok((&*var.name, value_of(var, list)?)))
        .collect::<Result<BTreeMap<&str, Value>>>()?;
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let mut replacer = Replacer {
        values: &values,
        used: BTreeSet::new(),
    };
    for resource in list.items_mut() {
        for spec in specs {
            if !fieldspec::reaches(
                &FieldSpec {
                    create: false,
                    ..spec.clone()
                },
                resource.node(),
            ) {
                continue;
            }
            let id = resource.id().clone();
            let mut set = |node: &mut Node| replacer.set(node);
            let changed = resource.edit(schema, |node| {
                fieldspec::apply(
                    spec,
                    node,
                    &mut Walk {
                        create: None,
                        set: &mut set,
                    },
                )
            });
            changed.map_err(|e| e.about(id))?;
        }
    }
    Ok(values
        .keys()
        .filter(|name| !replacer.used.contains(**name))
        .map(|name| (*name).to_owned())
        .collect())
}

fn value_of(var: &Var, list: &ResourceList) -> Result<Value> {
    let Some(resource) = list
        .items()
        .iter()
        .find(|r| r.variables.contains(&var.name))
    else {
        return Err(Error::invalid(format!(
            "var '{}' cannot be mapped to a field in the set of known resources",
            shown(var)
        )));
    };
    let path: Vec<String> = node::split_bracketed_path(&var.field.path)
        .iter()
        .flat_map(|part| split_index(part))
        .collect();
    let field = node::lookup(resource.node(), &path).ok().flatten();
    field.and_then(read).ok_or_else(|| {
        let message = format!(
            "field specified in var '{}' not found in corresponding resource",
            shown(var)
        );
        Error::invalid(message).about(resource.id())
    })
}

/// `a[0]` as `a` and `0`.
fn split_index(part: &str) -> Vec<String> {
    let index = part.strip_suffix(']').and_then(|p| p.rsplit_once('['));
    match index
        .filter(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    {
        Some(("", number)) => vec![number.to_owned()],
        Some((name, number)) => vec![name.to_owned(), number.to_owned()],
        None => vec![part.to_owned()],
    }
}

fn read(field: &Node) -> Option<Value> {
    if field.kind != Kind::Scalar {
        return Some(Value::Composite);
    }
    let text = &*field.value;
    match field.tag {
        Tag::Int => text.parse().ok().map(Value::Int),
        Tag::Float => text.parse().ok().map(Value::Float),
        Tag::Bool => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
        _ => Some(Value::Text(text.to_owned())),
    }
}

struct Replacer<'v> {
    values: &'v BTreeMap<&'v str, Value>,
    used: BTreeSet<String>,
}

impl Replacer<'_> {
    fn set(&mut self, node: &mut Node) -> Result<()> {
        if node::is_null(node) {
            return Ok(());
        }
        match node.kind {
            Kind::Scalar => {
                if node::is_string(node) {
                    self.replace(node);
                }
                Ok(())
            }
            Kind::Mapping => node.content.chunks_exact_mut(2).try_for_each(|entry| {
                if !node::is_string(&entry[0]) {
                    let key = &entry[0];
                    return Err(Error::invalid(format!(
                        "invalid map key: value='{}', tag='{}'",
                        key.value,
                        key.tag.as_str()
                    )));
                }
                if node::is_string(&entry[1]) {
                    self.replace(&mut entry[1]);
                }
                Ok(())
            }),
            Kind::Sequence => node.content.iter_mut().try_for_each(|item| {
                if !node::is_string(item) {
                    return Err(Error::invalid("invalid value type expect a string"));
                }
                self.replace(item);
                Ok(())
            }),
            Kind::Alias => Err(Error::invalid("invalid type encountered: alias")),
        }
    }

    fn replace(&mut self, node: &mut Node) {
        let value = self.expand(&node.value);
        node.tag = match &value {
            Value::Int(_) => Tag::Int,
            Value::Float(_) => Tag::Float,
            Value::Bool(_) => Tag::Bool,
            Value::Text(_) | Value::Composite => Tag::Str,
        };
        node.value = value.text("").into();
        node.style = Style::NONE;
    }

    /// A text that is nothing but one variable becomes its value, type and all.
    fn expand(&mut self, input: &str) -> Value {
        let mut out = String::new();
        let mut rest = input;
        while let Some(at) = rest.find('$').filter(|at| at + 1 < rest.len()) {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(inner) = rest.strip_prefix('(') {
                let Some(end) = inner.find(')') else {
                    out.push_str("$(");
                    rest = inner;
                    continue;
                };
                let name = &inner[..end];
                let value = self.look_up(name);
                if input.len() == name.len() + 3 {
                    return value;
                }
                out.push_str(&value.text(name));
                rest = &inner[end + 1..];
            } else if let Some(escaped) = rest.strip_prefix('$') {
                out.push('$');
                rest = escaped;
            } else {
                out.push('$');
                let next = rest.chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..next]);
                rest = &rest[next..];
            }
        }
        out.push_str(rest);
        Value::Text(out)
    }

    fn look_up(&mut self, name: &str) -> Value {
        match self.values.get(name) {
            Some(value) if *value != Value::Composite => {
                self.used.insert(name.to_owned());
                value.clone()
            }
            _ => Value::Text(format!("$({name})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_expanded_and_escapes_kept() {
        let values = BTreeMap::from([
            ("A", Value::Text("x".into())),
            ("N", Value::Int(5)),
            ("L", Value::Composite),
        ]);
        let mut replacer = Replacer {
            values: &values,
            used: BTreeSet::new(),
        };
        let mut check =
            |input: &str, expected: Value| assert_eq!(replacer.expand(input), expected, "{input}");
        let text = |t: &str| Value::Text(t.to_owned());
        check("a-$(A)-$(N)", text("a-x-5"));
        check("$(N)", Value::Int(5));
        check("$$(A) $(UNKNOWN) $x $", text("$(A) $(UNKNOWN) $x $"));
        check("$(A", text("$(A"));
        check("$(L)", text("$(L)"));
    }
}
