//! The fields of a Flux `Kustomization` that change what is built.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decode::{Reading, decode, record};
use crate::error::{Error, ErrorKind, Result};

record! {
    /// The fields as they are written.
    Raw as "v1.KustomizationSpec" {
        target_namespace: String = "targetNamespace",
        name_prefix: String = "namePrefix",
        name_suffix: String = "nameSuffix",
        patches: Vec<RawPatch> = "patches",
        images: Vec<RawImage> = "images",
        components: Vec<String> = "components",
        ignore_missing_components: bool = "ignoreMissingComponents",
        build_metadata: Vec<String> = "buildMetadata",
        common_metadata: RawMetadata = "commonMetadata",
    }
}

record! {
    /// An entry of `patches`.
    RawPatch as "kustomize.Patch" {
        patch: String = "patch",
        target: Value = "target",
    }
}

record! {
    /// An entry of `images`.
    RawImage as "kustomize.Image" {
        name: String = "name",
        new_name: String = "newName",
        new_tag: String = "newTag",
        digest: String = "digest",
    }
}

record! {
    /// `commonMetadata`.
    RawMetadata as "v1.CommonMetadata" {
        labels: BTreeMap<String, String> = "labels",
        annotations: BTreeMap<String, String> = "annotations",
    }
}

/// The fields of a Flux `Kustomization` that change what is built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FluxSpec {
    /// Overrides `namespace`.
    pub target_namespace: String,
    /// Overrides `namePrefix`.
    pub name_prefix: String,
    /// Overrides `nameSuffix`.
    pub name_suffix: String,
    /// Added to `patches`.
    pub patches: Vec<FluxPatch>,
    /// Merged into `images`.
    pub images: Vec<FluxImage>,
    /// Added to `components`; local and relative.
    pub components: Vec<String>,
    /// Whether a component that is not there is left out.
    pub ignore_missing_components: bool,
    /// Overrides `buildMetadata`.
    pub build_metadata: Vec<String>,
    /// Labels that every object gets in the end.
    pub common_labels: BTreeMap<String, String>,
    /// Annotations that every object gets in the end.
    pub common_annotations: BTreeMap<String, String>,
}

/// A patch, and what it is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FluxPatch {
    /// A strategic merge or a list of JSON operations.
    pub patch: String,
    /// The selector, as written.
    pub target: Option<Value>,
}

/// Another name, tag or digest for an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FluxImage {
    /// The image as objects name it.
    pub name: String,
    /// Its new name; empty keeps the name.
    pub new_name: String,
    /// Its new tag.
    pub new_tag: String,
    /// Its new digest.
    pub digest: String,
}

impl FluxSpec {
    /// Reads the `spec` of a Flux `Kustomization`. Fields that say when and where to apply are not looked at.
    pub fn from_json(spec: &Value) -> Result<FluxSpec> {
        let raw: Raw = decode(spec, "KustomizationSpec", Reading::Yaml)
            .map_err(|e| Error::new(ErrorKind::InvalidKustomization, e))?;
        let patch = |p: RawPatch| FluxPatch {
            patch: p.patch,
            target: Some(p.target).filter(|t| !t.is_null()),
        };
        let image = |i: RawImage| FluxImage {
            name: i.name,
            new_name: i.new_name,
            new_tag: i.new_tag,
            digest: i.digest,
        };
        Ok(FluxSpec {
            target_namespace: raw.target_namespace,
            name_prefix: raw.name_prefix,
            name_suffix: raw.name_suffix,
            patches: raw.patches.into_iter().map(patch).collect(),
            images: raw.images.into_iter().map(image).collect(),
            components: raw.components,
            ignore_missing_components: raw.ignore_missing_components,
            build_metadata: raw.build_metadata,
            common_labels: raw.common_metadata.labels,
            common_annotations: raw.common_metadata.annotations,
        })
    }
}
