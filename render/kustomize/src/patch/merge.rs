//! The strategic merge of a patch into an object, with the rules of kyaml: what wins, what is cleared, what order lists get.

use capstan_goyaml::{Kind, Node};

use crate::error::{Error, ErrorKind, Result};
use crate::node;
use crate::patch::elements;
use crate::schema::{Place, Schema};

/// Nesting at which a merge gives up, below that at which the stack would end.
const MAX_DEPTH: usize = 512;

/// Which of both sides is the result. Both were changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Neither: the field goes.
    Clear,
    /// What was there, with the patch merged in.
    Dest,
    /// The patch.
    Patch,
    /// A null that stays, as it was written.
    Null,
}

/// What a patch says about itself with `$patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

const DIRECTIVE: &str = "$patch";

/// Merges `patch` into `dest`; false if nothing is to be left of it.
pub(crate) fn merge(dest: &mut Node, patch: &mut Node, schema: &Schema) -> Result<bool> {
    let walker = Walker { schema };
    Ok(
        match walker.walk(Some(&mut *dest), Some(&mut *patch), None, 0)? {
            Outcome::Clear => false,
            Outcome::Dest | Outcome::Null => true,
            Outcome::Patch => {
                *dest = std::mem::take(patch);
                true
            }
        },
    )
}

pub(crate) struct Walker<'s> {
    schema: &'s Schema,
}

impl<'s> Walker<'s> {
    pub(crate) fn walk(
        &self,
        dest: Option<&mut Node>,
        patch: Option<&mut Node>,
        place: Option<Place<'s>>,
        depth: usize,
    ) -> Result<Outcome> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("merge patch: more than {MAX_DEPTH} levels of nesting; flatten the object"),
            ));
        }
        let set = |node: &Option<&mut Node>| {
            node.as_deref()
                .filter(|n| !node::is_null(n))
                .map(|n| n.kind)
        };
        let place = place.or_else(|| {
            self.place_of_type(dest.as_deref())
                .or_else(|| self.place_of_type(patch.as_deref()))
        });
        let Some(kind) = set(&dest).or(set(&patch)) else {
            return self.walk_map(dest, patch, place, depth);
        };
        for side in [dest.as_deref(), patch.as_deref()].into_iter().flatten() {
            node::expect_kind(side, kind)?;
        }
        match kind {
            Kind::Mapping => self.walk_map(dest, patch, place, depth),
            Kind::Sequence if place.is_some_and(Place::merges) => {
                self.walk_list(dest, patch, place, depth)
            }
            Kind::Sequence => {
                adopt_style(dest, patch.as_deref());
                Ok(if patch.is_some() {
                    Outcome::Patch
                } else {
                    Outcome::Dest
                })
            }
            Kind::Scalar => Ok(if patch.is_some() {
                Outcome::Patch
            } else {
                Outcome::Dest
            }),
            Kind::Alias => Ok(Outcome::Clear),
        }
    }

    /// An object within an object brings its own schema.
    fn place_of_type(&self, node: Option<&Node>) -> Option<Place<'s>> {
        let node = node.filter(|n| n.kind == Kind::Mapping)?;
        let (api_version, kind) = (
            node::top_text(node, "apiVersion"),
            node::top_text(node, "kind"),
        );
        if api_version.is_empty() || kind.is_empty() {
            None
        } else {
            self.schema.of_type(api_version, kind)
        }
    }

    fn walk_map(
        &self,
        mut dest: Option<&mut Node>,
        patch: Option<&mut Node>,
        place: Option<Place<'s>>,
        depth: usize,
    ) -> Result<Outcome> {
        adopt_style(dest.as_deref_mut(), patch.as_deref());
        let is_absent = dest.as_deref().is_none_or(node::is_null);
        match (dest, patch) {
            (Some(null), None) if is_absent && !null.value.is_empty() => Ok(Outcome::Null),
            (_, None) if is_absent => Ok(Outcome::Clear),
            (_, Some(patch)) if is_absent => {
                let directive = if patch.kind == Kind::Mapping {
                    take_map_directive(patch)
                } else {
                    Ok(Directive::Merge)
                };
                if node::is_null(patch) || matches!(directive, Ok(Directive::Delete)) {
                    return Ok(Outcome::Clear);
                }
                self.merge_with_itself(patch, place, depth)
            }
            (Some(dest), None) => self.merge_fields(dest, None, place, depth),
            (Some(_), Some(patch)) if node::is_null(patch) => Ok(Outcome::Clear),
            (Some(dest), Some(patch)) => match take_map_directive(patch)? {
                Directive::Delete => Ok(Outcome::Clear),
                Directive::Replace => self.merge_with_itself(patch, place, depth),
                Directive::Merge => self.merge_fields(dest, Some(patch), place, depth),
            },
            (None, _) => Ok(Outcome::Clear),
        }
    }

    /// What a patch adds is itself walked as if it were merged into itself, so that what it clears in itself goes.
    fn merge_with_itself(
        &self,
        patch: &mut Node,
        place: Option<Place<'s>>,
        depth: usize,
    ) -> Result<Outcome> {
        let mut twin = patch.clone();
        match patch.kind {
            Kind::Mapping => self.merge_fields(patch, Some(&mut twin), place, depth)?,
            Kind::Sequence => elements::merge(self, patch, Some(&mut twin), place, depth)?,
            Kind::Scalar | Kind::Alias => Outcome::Dest,
        };
        Ok(Outcome::Patch)
    }

    fn merge_fields(
        &self,
        dest: &mut Node,
        mut patch: Option<&mut Node>,
        place: Option<Place<'s>>,
        depth: usize,
    ) -> Result<Outcome> {
        let names = |node: &Node| -> Vec<String> {
            node.entries()
                .map(|(key, _)| key.value.to_string())
                .collect()
        };
        let mut keys = names(dest);
        keys.extend(patch.as_deref().map(names).unwrap_or_default());
        keys.sort();
        keys.dedup();
        for key in &keys {
            let field_place = place.and_then(|p| p.field(key));
            let theirs = patch.as_deref_mut().and_then(|p| p.get_mut(key));
            match self.walk(dest.get_mut(key), theirs, field_place, depth + 1)? {
                Outcome::Clear => {
                    node::clear(dest, key);
                }
                Outcome::Null => {}
                Outcome::Dest => {
                    if let Some(field) = dest.get_mut(key) {
                        node::quote_if_ambiguous(field);
                    }
                }
                Outcome::Patch => {
                    let patch = patch.as_deref_mut().expect("a patch that wins is there");
                    let at = node::position(patch, key)
                        .expect("the field of a patch that wins is there");
                    let key_style = patch.content[at].style;
                    let value = std::mem::take(&mut patch.content[at + 1]);
                    node::set_field_with_key_style(dest, key, value, key_style);
                }
            }
        }
        Ok(Outcome::Dest)
    }

    fn walk_list(
        &self,
        mut dest: Option<&mut Node>,
        patch: Option<&mut Node>,
        place: Option<Place<'s>>,
        depth: usize,
    ) -> Result<Outcome> {
        adopt_style(dest.as_deref_mut(), patch.as_deref());
        match (dest.filter(|d| !node::is_null(d)), patch) {
            (None, None) => Ok(Outcome::Clear),
            (None, Some(patch)) => self.merge_with_itself(patch, place, depth),
            (Some(dest), None) => elements::merge(self, dest, None, place, depth),
            (Some(_), Some(patch)) if node::is_null(patch) => Ok(Outcome::Clear),
            (Some(dest), Some(patch)) => match take_list_directive(patch)? {
                Directive::Delete => Ok(Outcome::Clear),
                Directive::Replace => self.merge_with_itself(patch, place, depth),
                Directive::Merge => elements::merge(self, dest, Some(patch), place, depth),
            },
        }
    }
}

/// An empty collection takes the style of what is merged into it.
fn adopt_style(dest: Option<&mut Node>, patch: Option<&Node>) {
    if let (Some(dest), Some(patch)) = (dest, patch)
        && dest.kind != Kind::Scalar
        && dest.content.is_empty()
    {
        dest.style = patch.style;
    }
}

fn directive(text: &str) -> Result<Directive> {
    match text {
        "delete" => Ok(Directive::Delete),
        "replace" => Ok(Directive::Replace),
        "merge" => Ok(Directive::Merge),
        other => Err(Error::invalid(format!("unknown patch strategy '{other}'"))),
    }
}

fn take_map_directive(patch: &mut Node) -> Result<Directive> {
    let Some(value) = patch.get(DIRECTIVE) else {
        return Ok(Directive::Merge);
    };
    let found = directive(&value.value)?;
    node::clear(patch, DIRECTIVE);
    Ok(found)
}

/// A list says how it merges with an element that holds nothing but `$patch`.
fn take_list_directive(patch: &mut Node) -> Result<Directive> {
    let Some(element) = patch.content.iter().find(|e| e.get(DIRECTIVE).is_some()) else {
        return Ok(Directive::Merge);
    };
    if element.content.len() > 2 {
        return Ok(Directive::Merge);
    }
    let text = element
        .get(DIRECTIVE)
        .map(|v| v.value.clone())
        .unwrap_or_default();
    let found = directive(&text)?;
    patch
        .content
        .retain(|e| !(node::is_null(e) || e.kind == Kind::Mapping && e.content.is_empty()));
    patch
        .content
        .retain(|e| e.get(DIRECTIVE).is_none_or(|v| v.value != text));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn merged(dest: &str, patch: &str) -> String {
        let parse = |text: &str| yaml::parse_one(text).unwrap().unwrap();
        let (mut dest, mut patch) = (parse(dest), parse(patch));
        if !merge(&mut dest, &mut patch, &Schema::builtin()).unwrap() {
            return "gone".to_owned();
        }
        yaml::to_output(&dest).unwrap()
    }

    const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";

    fn containers(dest: &str, patch: &str) -> String {
        let text = merged(
            &format!("{HEAD}spec: {{containers: {dest}}}"),
            &format!("{HEAD}spec: {{containers: {patch}}}"),
        );
        let value = yaml::to_json(&text).unwrap();
        value["spec"]["containers"].to_string()
    }

    #[test]
    fn maps_merge_and_null_deletes() {
        assert_eq!(
            merged("a: {b: 1, c: 2}", "a: {c: 3, d: 4}"),
            "a:\n  b: 1\n  c: 3\n  d: 4\n"
        );
        assert_eq!(merged("a: {b: 1}\nx: 1", "a: null"), "x: 1\n");
        assert_eq!(merged("a: [1, 2]", "a: [3]"), "a:\n- 3\n");
        assert_eq!(
            merged("x: 1", "a: {b: null, c: 1}"),
            "a:\n  c: 1\nx: 1\n",
            "a null in what is added goes"
        );
        assert_eq!(
            merged("a: null\nb:\n", "x: 1"),
            "a: null\nx: 1\n",
            "a written null stays, an empty one goes"
        );
    }

    #[test]
    fn directives_replace_and_delete() {
        assert_eq!(
            merged("a: {b: 1}", "a: {$patch: replace, c: 2}"),
            "a:\n  c: 2\n"
        );
        assert_eq!(merged("a: {b: 1}\nx: 1", "a: {$patch: delete}"), "x: 1\n");
        assert_eq!(merged("a: 1", "$patch: delete"), "gone");
        let mut dest = yaml::parse_one("a: {b: 1}").unwrap().unwrap();
        let mut patch = yaml::parse_one("a: {$patch: remove}").unwrap().unwrap();
        let error = merge(&mut dest, &mut patch, &Schema::builtin()).unwrap_err();
        assert_eq!(error.to_string(), "unknown patch strategy 'remove'");
    }

    #[test]
    fn lists_with_a_merge_key_merge_by_element_and_new_ones_come_first() {
        assert_eq!(
            containers(
                "[{name: a, image: x}, {name: b}]",
                "[{name: c}, {name: b, image: y}]"
            ),
            r#"[{"name":"c"},{"image":"y","name":"b"},{"image":"x","name":"a"}]"#
        );
        assert_eq!(
            containers("[{name: a}, {name: b}]", "[{name: a, $patch: delete}]"),
            r#"[{"name":"b"}]"#
        );
        assert_eq!(
            containers("[{name: a}]", "[{$patch: replace}, {name: z}]"),
            r#"[{"name":"z"}]"#
        );
        assert_eq!(
            containers(
                "[{name: a, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}]",
                "[{name: a, ports: [{containerPort: 443}]}]"
            ),
            r#"[{"name":"a","ports":[{"containerPort":443},{"containerPort":80},{"containerPort":80,"protocol":"UDP"}]}]"#
        );
    }

    #[test]
    fn a_scalar_keeps_the_quotes_of_what_it_replaces() {
        assert_eq!(merged("a: '1'", "a: 2"), "a: \"2\"\n");
        assert_eq!(merged("a: 1", "a: '2'"), "a: \"2\"\n");
        assert_eq!(merged("a: 1", "a: 2"), "a: 2\n");
    }

    #[test]
    fn kinds_that_do_not_fit_are_an_error() {
        let mut dest = yaml::parse_one("a: {b: 1}").unwrap().unwrap();
        let mut patch = yaml::parse_one("a: [1]").unwrap().unwrap();
        let error = merge(&mut dest, &mut patch, &Schema::builtin()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("wrong node kind: expected MappingNode but got SequenceNode"),
            "{error}"
        );
    }
}
