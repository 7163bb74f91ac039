//! The transformer configuration: the built-in fields, those that `configurations` and `crds` add, and how they merge.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::decode::{Reading, decode, record};
use crate::error::{Error, ErrorKind, Result};
use crate::fieldspec::{FieldSpec, merge};
use crate::id::Gvk;
use crate::sort::kind_rank;
use crate::yaml;

const BUILTIN: &str = include_str!("tables/fieldspecs.txt");
/// Columns of its lines.
const COLUMNS: usize = 6;

record! {
    /// Fields by transformer.
    Config as "builtinconfig.TransformerConfig" {
        name_prefix: Vec<FieldSpec> = "namePrefix",
        name_suffix: Vec<FieldSpec> = "nameSuffix",
        namespace: Vec<FieldSpec> = "namespace",
        common_labels: Vec<FieldSpec> = "commonLabels",
        labels: Vec<FieldSpec> = "labels",
        template_labels: Vec<FieldSpec> = "templateLabels",
        common_annotations: Vec<FieldSpec> = "commonAnnotations",
        name_reference: Vec<NameReference> = "nameReference",
        var_reference: Vec<FieldSpec> = "varReference",
        images: Vec<FieldSpec> = "images",
        replicas: Vec<FieldSpec> = "replicas",
    }
}

record! {
    /// The fields that hold names of objects of a type.
    NameReference as "builtinconfig.NameBackReferences" {
        group: Cow<'static, str> = "group",
        version: Cow<'static, str> = "version",
        kind: Cow<'static, str> = "kind",
        referrers: Vec<FieldSpec> = "fieldSpecs",
    }
}

impl NameReference {
    pub(crate) fn gvk(&self) -> Gvk {
        Gvk {
            group: self.group.to_string(),
            version: self.version.to_string(),
            kind: self.kind.to_string(),
        }
    }
}

impl Config {
    /// The fields that kustomize knows by itself.
    pub(crate) fn builtin() -> Arc<Config> {
        static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
        // The table is merged and sorted already.
        let read = || Arc::new(Config::from_table(BUILTIN));
        CONFIG.get_or_init(read).clone()
    }

    fn from_table(text: &'static str) -> Config {
        let mut config = Config::default();
        for line in text.lines() {
            let mut columns = [""; COLUMNS];
            for (column, text) in columns.iter_mut().zip(line.splitn(COLUMNS, '\t')) {
                *column = text;
            }
            match columns {
                ["target", group, version, kind, ..] => config.name_reference.push(NameReference {
                    group: group.into(),
                    version: version.into(),
                    kind: kind.into(),
                    referrers: Vec::new(),
                }),
                [section, group, version, kind, create, path] => {
                    let spec = FieldSpec {
                        group: group.into(),
                        version: version.into(),
                        kind: kind.into(),
                        path: path.into(),
                        create: create == "true",
                    };
                    config.section(section).push(spec);
                }
            }
        }
        config
    }

    fn section(&mut self, name: &str) -> &mut Vec<FieldSpec> {
        match name {
            "namePrefix" => &mut self.name_prefix,
            "nameSuffix" => &mut self.name_suffix,
            "namespace" => &mut self.namespace,
            "commonLabels" => &mut self.common_labels,
            "labels" => &mut self.labels,
            "templateLabels" => &mut self.template_labels,
            "commonAnnotations" => &mut self.common_annotations,
            "varReference" => &mut self.var_reference,
            "images" => &mut self.images,
            "replicas" => &mut self.replicas,
            "nameReference" => {
                &mut self
                    .name_reference
                    .last_mut()
                    .expect("a target line comes first")
                    .referrers
            }
            _ => unreachable!("the table is generated with these sections only"),
        }
    }

    /// Reads a file that `configurations` names.
    pub(crate) fn read(content: &str) -> Result<Config> {
        let invalid = |reason: String, line| Error::new(ErrorKind::Invalid, reason).at_line(line);
        let value = yaml::to_json_strict(content)
            .map_err(|e| invalid(format!("error converting YAML to JSON: {e}"), e.line()))?;
        let mut config: Config =
            decode(&value, "TransformerConfig", Reading::YamlStrict).map_err(|e| {
                invalid(
                    format!("error unmarshaling JSON: while decoding JSON: {e}"),
                    None,
                )
            })?;
        config.sort();
        Ok(config)
    }

    /// Adds what `other` has and this has not.
    pub(crate) fn merge(&mut self, other: &Config) -> Result<()> {
        let sections = [
            ("NamePrefix", &mut self.name_prefix, &other.name_prefix),
            ("NameSuffix", &mut self.name_suffix, &other.name_suffix),
            ("NameSpace", &mut self.namespace, &other.namespace),
            (
                "CommonAnnotations",
                &mut self.common_annotations,
                &other.common_annotations,
            ),
            (
                "CommonLabels",
                &mut self.common_labels,
                &other.common_labels,
            ),
            ("Labels", &mut self.labels, &other.labels),
            (
                "TemplateLabels",
                &mut self.template_labels,
                &other.template_labels,
            ),
            (
                "VarReference",
                &mut self.var_reference,
                &other.var_reference,
            ),
            ("Images", &mut self.images, &other.images),
            ("Replicas", &mut self.replicas, &other.replicas),
        ];
        for (name, into, from) in sections {
            merge(into, from)
                .map_err(|e| e.context(format_args!("failed to merge {name} fieldSpec")))?;
        }
        for reference in &other.name_reference {
            self.merge_reference(reference)
                .map_err(|e| e.context("failed to merge NameReference fieldSpec"))?;
        }
        self.sort();
        Ok(())
    }

    pub(crate) fn merge_reference(&mut self, reference: &NameReference) -> Result<()> {
        match self
            .name_reference
            .iter_mut()
            .find(|known| known.gvk() == reference.gvk())
        {
            Some(known) => merge(&mut known.referrers, &reference.referrers),
            None => {
                self.name_reference.push(reference.clone());
                Ok(())
            }
        }
    }

    fn sort(&mut self) {
        let specs = [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.common_annotations,
            &mut self.var_reference,
            &mut self.images,
            &mut self.replicas,
        ];
        for section in specs {
            section.sort_by_cached_key(|spec| (kind_rank(&spec.kind), spec.gvk().sort_text()));
        }
        self.name_reference.sort_by_cached_key(|reference| {
            (kind_rank(&reference.kind), reference.gvk().sort_text())
        });
    }
}

/// The fields that an OpenAPI document of custom resources (`crds`) marks as references, labels and annotations.
pub(crate) fn from_crds(content: &str, path: &str) -> Result<Config> {
    let parsed = if content.starts_with('{') {
        serde_json::from_str(content).map_err(|e| Error::invalid(e.to_string()))
    } else {
        yaml::to_json(content).map_err(|e| {
            Error::invalid(format!("error converting YAML to JSON: {e}")).at_line(e.line())
        })
    };
    let document: Value = parsed.map_err(|e| {
        e.context(format_args!(
            "unable to parse open API definition from '{path}'"
        ))
    })?;
    let mut config = Config::default();
    for (name, definition) in document.as_object().into_iter().flatten() {
        let Some(properties) = definition
            .pointer("/Schema/properties")
            .and_then(Value::as_object)
        else {
            continue;
        };
        if ["kind", "apiVersion", "metadata"]
            .iter()
            .all(|field| properties.contains_key(*field))
        {
            let kind = name.rsplit('.').next().unwrap_or(name);
            let mut found = Config::default();
            collect_crd_fields(&mut found, kind, &document, name, &mut Vec::new())?;
            config.merge(&found)?;
        }
    }
    Ok(config)
}

/// Depth of references in one definition before it is taken for a circle.
const MAX_CRD_DEPTH: usize = 64;

fn collect_crd_fields(
    config: &mut Config,
    kind: &str,
    document: &Value,
    name: &str,
    path: &mut Vec<String>,
) -> Result<()> {
    if path.len() > MAX_CRD_DEPTH {
        let message = format!(
            "read CRD {name}: its definitions refer to each other more than {MAX_CRD_DEPTH} deep; break the circle"
        );
        return Err(Error::new(ErrorKind::Limit, message));
    }
    let properties = document
        .get(name)
        .and_then(|d| d.pointer("/Schema/properties"))
        .and_then(Value::as_object);
    for (field, property) in properties.into_iter().flatten() {
        path.push(field.clone());
        let text = |key: &str| property.get(key).and_then(Value::as_str);
        let spec = |path: &[String]| FieldSpec {
            kind: kind.to_owned().into(),
            path: path.join("/").into(),
            ..FieldSpec::default()
        };
        if text("x-kubernetes-annotation").is_some() {
            merge(&mut config.common_annotations, &[spec(path)])?;
        }
        if text("x-kubernetes-label-selector").is_some() {
            merge(&mut config.common_labels, &[spec(path)])?;
        }
        if text("x-kubernetes-identity").is_some() {
            merge(&mut config.name_prefix, &[spec(path)])?;
        }
        if let (Some(version), Some(target)) = (
            text("x-kubernetes-object-ref-api-version"),
            text("x-kubernetes-object-ref-kind"),
        ) {
            let name_key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            path.push(name_key.to_owned());
            let referrers = vec![spec(path)];
            path.pop();
            config.merge_reference(&NameReference {
                version: version.to_owned().into(),
                kind: target.to_owned().into(),
                referrers,
                ..NameReference::default()
            })?;
        }
        if let Some(reference) = text("$ref") {
            collect_crd_fields(config, kind, document, reference, path)?;
        }
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_table_holds_every_section() {
        let config = Config::builtin();
        assert_eq!(config.name_prefix[0].path, "metadata/name");
        assert!(
            config
                .replicas
                .iter()
                .any(|spec| spec.kind == "StatefulSet" && spec.create)
        );
        let secret = config
            .name_reference
            .iter()
            .find(|r| r.kind == "Secret")
            .unwrap();
        assert!(
            secret
                .referrers
                .iter()
                .any(|spec| spec.kind == "ServiceAccount" && spec.path == "imagePullSecrets/name")
        );
        assert!(
            !config.var_reference.is_empty()
                && !config.images.is_empty()
                && config.labels.is_empty()
        );
    }

    #[test]
    fn merging_the_builtin_table_changes_nothing() {
        let mut merged = Config::default();
        merged.merge(&Config::builtin()).unwrap();
        assert_eq!(format!("{merged:?}"), format!("{:?}", Config::builtin()));
    }

    #[test]
    fn the_same_field_cannot_both_be_created_and_not() {
        let mut config = (*Config::builtin()).clone();
        let other = Config::read("namePrefix: [{path: metadata/name, create: true}]").unwrap();
        assert_eq!(
            config.merge(&other).unwrap_err().to_string(),
            "failed to merge NamePrefix fieldSpec: conflicting fieldspecs"
        );
        assert!(
            Config::read("nameprefixx: []")
                .unwrap_err()
                .to_string()
                .contains("unknown field")
        );
    }
}
