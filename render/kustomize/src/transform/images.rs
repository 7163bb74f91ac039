//! `images`: other names, tags and digests.

use capstan_goyaml::{Kind, Node};
use regex::Regex;

use crate::error::Result;
use crate::fieldspec::FieldSpec;
use crate::kustomization::Image;
use crate::node;
use crate::resource::list::ResourceList;
use crate::schema::Schema;
use crate::select::pattern;
use crate::transform::set_fields;

/// One entry of `images`, its name compiled.
pub(crate) struct ImageTransformer<'i> {
    image: &'i Image,
    pattern: Regex,
}

impl<'i> ImageTransformer<'i> {
    /// The name is a regular expression in kustomize, though it is written as a name.
    pub(crate) fn new(image: &'i Image) -> Result<ImageTransformer<'i>> {
        let pattern = pattern::compile(&format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            image.name
        ))?;
        Ok(ImageTransformer { image, pattern })
    }

    pub(crate) fn apply(
        &self,
        specs: &[FieldSpec],
        list: &mut ResourceList,
        schema: &Schema,
    ) -> Result<()> {
        for resource in list
            .items_mut()
            .iter_mut()
            .filter(|r| r.kind() != "CustomResourceDefinition")
        {
            if self.is_in_containers(resource.node()) {
                let id = resource.id().clone();
                resource
                    .edit(schema, |node| self.set_in_containers(node))
                    .map_err(|e| e.about(id))?;
            }
        }
        let mut set = |field: &mut Node| self.set(field);
        for resource in list
            .items_mut()
            .iter_mut()
            .filter(|r| r.kind() != "CustomResourceDefinition")
        {
            for spec in specs {
                if self.is_at(spec, resource.node()) {
                    set_fields(resource, &[spec], None, schema, &mut set)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the field is there at all, so that objects without images are not copied.
    fn is_at(&self, spec: &FieldSpec, object: &Node) -> bool {
        crate::fieldspec::reaches(
            &FieldSpec {
                create: false,
                ..spec.clone()
            },
            object,
        )
    }

    /// Whether an image in any list of containers is to be changed, or is none, which is an error.
    fn is_in_containers(&self, node: &Node) -> bool {
        match node.kind {
            Kind::Mapping => node.entries().any(|(key, value)| {
                let here = is_containers(key, value)
                    && value.content.iter().any(|c| match c.kind {
                        Kind::Mapping => c.get("image").is_some_and(|i| {
                            i.kind != Kind::Scalar || self.pattern.is_match(&i.value)
                        }),
                        _ => !node::is_null(c),
                    });
                here || self.is_in_containers(value)
            }),
            Kind::Sequence => node
                .content
                .iter()
                .any(|element| self.is_in_containers(element)),
            Kind::Scalar | Kind::Alias => false,
        }
    }

    fn set_in_containers(&self, node: &mut Node) -> Result<()> {
        match node.kind {
            Kind::Mapping => {
                for at in (0..node.content.len()).step_by(2) {
                    self.set_in_containers(&mut node.content[at + 1])?;
                    let (keys, values) = node.content.split_at_mut(at + 1);
                    if !is_containers(&keys[at], &values[0]) {
                        continue;
                    }
                    for container in &mut values[0].content {
                        node::expect_kind(container, Kind::Mapping)?;
                        if let Some(image) = container.get_mut("image") {
                            self.set(image)?;
                        }
                    }
                }
                Ok(())
            }
            Kind::Sequence => node
                .content
                .iter_mut()
                .try_for_each(|element| self.set_in_containers(element)),
            Kind::Scalar | Kind::Alias => Ok(()),
        }
    }

    fn set(&self, field: &mut Node) -> Result<()> {
        node::expect_kind(field, Kind::Scalar)?;
        if !self.pattern.is_match(&field.value) {
            return Ok(());
        }
        let value = self.changed(&field.value);
        node::replace_keeping_style(field, Node::scalar(value));
        Ok(())
    }

    fn changed(&self, value: &str) -> String {
        let (mut name, mut tag, mut digest) = split(value);
        let image = self.image;
        if !image.new_name.is_empty() {
            name.clone_from(&image.new_name);
        }
        match (image.new_tag.is_empty(), image.digest.is_empty()) {
            (false, false) => (tag, digest) = (image.new_tag.clone(), image.digest.clone()),
            (false, true) => (tag, digest) = (image.new_tag.clone(), String::new()),
            (true, false) => (tag, digest) = (String::new(), image.digest.clone()),
            (true, true) if !image.tag_suffix.is_empty() => {
                tag += &image.tag_suffix;
                digest = String::new();
            }
            (true, true) => {}
        }
        if !tag.is_empty() {
            name = format!("{name}:{tag}");
        }
        if !digest.is_empty() {
            name = format!("{name}@{digest}");
        }
        name
    }
}

fn is_containers(key: &Node, value: &Node) -> bool {
    (key.value == "containers" || key.value == "initContainers") && value.kind == Kind::Sequence
}

/// Name, tag and digest. The port of a registry is before the first slash, and no tag.
fn split(image: &str) -> (String, String, String) {
    let start = image.find('/').filter(|at| *at > 0).unwrap_or(0);
    let at = image[start..].find('@').map(|i| i + start);
    let colon = image[start..].find(':').map(|i| i + start);
    let own = str::to_owned;
    match (colon, at) {
        (None, None) => (own(image), String::new(), String::new()),
        (Some(colon), Some(at)) if colon < at => (
            own(&image[..colon]),
            own(&image[colon + 1..at]),
            own(&image[at + 1..]),
        ),
        (_, Some(at)) => (own(&image[..at]), String::new(), own(&image[at + 1..])),
        (Some(colon), None) => (
            own(&image[..colon]),
            own(&image[colon + 1..]),
            String::new(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tags_and_digests_are_told_apart() {
        let check = |image: &str, name: &str, tag: &str, digest: &str| {
            assert_eq!(
                split(image),
                (name.into(), tag.into(), digest.into()),
                "{image}"
            )
        };
        check("nginx", "nginx", "", "");
        check("nginx:1.19", "nginx", "1.19", "");
        check("host:5000/nginx", "host:5000/nginx", "", "");
        check(
            "host:5000/nginx:1@sha256:abc",
            "host:5000/nginx",
            "1",
            "sha256:abc",
        );
        check("nginx@sha256:abc", "nginx", "", "sha256:abc");
    }

    #[test]
    fn tags_and_digests_replace_each_other() {
        let check = |image: Image, from: &str, to: &str| {
            let image = Image {
                name: "nginx".to_owned(),
                ..image
            };
            assert_eq!(ImageTransformer::new(&image).unwrap().changed(from), to);
        };
        let own = str::to_owned;
        check(
            Image {
                new_tag: own("2"),
                ..Image::default()
            },
            "nginx:1@sha256:a",
            "nginx:2",
        );
        check(
            Image {
                digest: own("sha256:b"),
                ..Image::default()
            },
            "nginx:1",
            "nginx@sha256:b",
        );
        check(
            Image {
                new_name: own("x"),
                ..Image::default()
            },
            "nginx:1@sha256:a",
            "x:1@sha256:a",
        );
        check(
            Image {
                new_tag: own("2"),
                digest: own("sha256:b"),
                ..Image::default()
            },
            "nginx",
            "nginx:2@sha256:b",
        );
        check(
            Image {
                tag_suffix: own("-x"),
                ..Image::default()
            },
            "nginx:1",
            "nginx:1-x",
        );
    }
}
