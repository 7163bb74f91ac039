//! Generators, and the built-in plugins that objects of their own configure.

use serde_json::Value;

use crate::charts;
use crate::decode::{Decode, Reading, decode, record};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::fieldspec::FieldSpec;
use crate::generate::{self, Generated, merge_options};
use crate::kustomization::{
    GeneratorArgs, HelmChart, Image, Metadata, Patch, PatchOptions, Replacement, Replica, Selector,
};
use crate::metadata::Provenance;
use crate::node;
use crate::patch::{Json6902Transformer, PatchTransformer, StrategicMergeTransformer};
use crate::resource::{Origin, Resource, parse};
use crate::target::Target;
use crate::transform::names::Affix;
use crate::transform::namespace::{NamespaceTransformer, Subjects};
use crate::transform::value_add::ValueAdd;
use crate::transformer::{Change, Transformer, read_replacements};
use crate::yaml;

/// The `apiVersion` of built-in plugins.
const BUILTIN: &str = "builtin";

/// A generator, configured.
pub(crate) struct Generator {
    name: &'static str,
    source: Source,
    provenance: Option<Provenance>,
}

enum Source {
    ConfigMap(GeneratorArgs),
    Secret(GeneratorArgs),
    Chart(Box<HelmChart>),
    IamPolicy(IamPolicy),
}

record! {
    /// A service account for a cloud's identities.
    IamPolicy as "types.IAMPolicyGeneratorArgs" {
        cloud: String = "cloud",
        kubernetes_service: KubernetesService = "kubernetesService",
        service_account: CloudAccount = "serviceAccount",
    }
}

record! {
    /// The service account in the cluster.
    KubernetesService as "types.KubernetesService" {
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! {
    /// The account in the cloud.
    CloudAccount as "types.ServiceAccount" {
        name: String = "name",
        project_id: String = "projectId",
    }
}

impl Generator {
    pub(crate) fn run(&self, target: &Target<'_>) -> Result<Vec<Resource>> {
        let schema = target.session.schema();
        let mut objects = match &self.source {
            Source::ConfigMap(args) => vec![generate::object(
                Generated::ConfigMap,
                args,
                &target.loader,
                &schema,
            )?],
            Source::Secret(args) => vec![generate::object(
                Generated::Secret,
                args,
                &target.loader,
                &schema,
            )?],
            Source::Chart(chart) => charts::render(chart, target)?,
            Source::IamPolicy(policy) => iam_policy(policy, target)?,
        };
        let origin = std::sync::Arc::new(Origin {
            file: target.file.clone(),
            line: 0,
            generator: Some(self.name.to_owned()),
        });
        for object in &mut objects {
            object.origin = origin.clone();
            if let Some(provenance) = &self.provenance {
                provenance.annotate_origin(object, &schema)?;
            }
        }
        Ok(objects)
    }
}

/// The generators that the fields of a kustomization ask for.
pub(crate) fn own_generators(target: &Target<'_>) -> Result<Vec<Generator>> {
    let k = &target.kustomization;
    let mut all = Vec::new();
    let file = target.file.rsplit('/').next().unwrap_or_default();
    let mut add = |name: &'static str, source| {
        let provenance = target.provenance.as_ref().map(|p| p.builtin(file, name));
        all.push(Generator {
            name,
            source,
            provenance,
        });
    };
    let args = |args: &GeneratorArgs| GeneratorArgs {
        options: merge_options(args.options.as_ref(), k.generator_options.as_ref()),
        ..args.clone()
    };
    k.config_map_generator
        .iter()
        .for_each(|a| add("ConfigMapGenerator", Source::ConfigMap(args(a))));
    k.secret_generator
        .iter()
        .for_each(|a| add("SecretGenerator", Source::Secret(args(a))));
    for chart in &k.helm_charts {
        let mut chart = chart.clone();
        let globals = k.helm_globals.clone().unwrap_or_default();
        (chart.chart_home, chart.config_home) = (globals.chart_home, globals.config_home);
        if chart.namespace.is_empty() {
            let inherited = [&k.namespace, &target.chart_namespace]
                .into_iter()
                .find(|n| !n.is_empty());
            chart.namespace = inherited.cloned().unwrap_or_default();
        }
        let name = "HelmChartInflationGenerator";
        charts::check(&mut chart, target).map_err(|e| {
            e.context(format_args!(
                "trouble configuring builtin {name} with config: `\n{}`",
                charts::shown(&chart)
            ))
        })?;
        add(name, Source::Chart(Box::new(chart)));
    }
    Ok(all)
}

fn config_of<T: Decode>(resource: &Resource) -> Result<T> {
    let value = yaml::object_to_json(resource.node()).map_err(|e| Error::invalid(e.to_string()))?;
    decode(&value, "plugin", Reading::Yaml)
        .map_err(|e| Error::invalid(format!("error unmarshaling JSON: while decoding JSON: {e}")))
}

fn check_builtin(resource: &Resource) -> Result<()> {
    if node::top_text(resource.node(), "apiVersion") == BUILTIN {
        return Ok(());
    }
    let message = format!(
        "external plugins disabled; unable to load external plugin '{}'",
        resource.kind()
    );
    Err(Error::new(ErrorKind::NotAvailable, message).about(resource.id()))
}

/// The generator that an object configures.
pub(crate) fn generator(resource: &Resource, target: &Target<'_>) -> Result<Generator> {
    check_builtin(resource)?;
    let fails = |e: Error| {
        e.context(format_args!(
            "plugin {} fails configuration",
            resource.original_id()
        ))
        .about(resource.id())
    };
    let named = || -> Result<GeneratorArgs> {
        let mut args: GeneratorArgs = config_of(resource)?;
        let metadata = args.metadata.take().unwrap_or_default();
        args.name = if args.name.is_empty() {
            metadata.name
        } else {
            args.name
        };
        args.namespace = if args.namespace.is_empty() {
            metadata.namespace
        } else {
            args.namespace
        };
        Ok(args)
    };
    let (name, source) = match resource.kind() {
        "ConfigMapGenerator" => (
            "ConfigMapGenerator",
            Source::ConfigMap(named().map_err(fails)?),
        ),
        "SecretGenerator" => ("SecretGenerator", Source::Secret(named().map_err(fails)?)),
        "IAMPolicyGenerator" => (
            "IAMPolicyGenerator",
            Source::IamPolicy(config_of(resource).map_err(fails)?),
        ),
        "HelmChartInflationGenerator" => {
            let mut chart: HelmChart = config_of(resource).map_err(fails)?;
            charts::check(&mut chart, target).map_err(fails)?;
            (
                "HelmChartInflationGenerator",
                Source::Chart(Box::new(chart)),
            )
        }
        _ if transformer(resource, target).is_ok() => {
            return Err(Error::invalid(format!(
                "plugin {} not a generator",
                resource.original_id()
            ))
            .about(resource.id()));
        }
        _ => return Err(unknown(resource)),
    };
    Ok(Generator {
        name,
        source,
        provenance: Provenance::of_plugin(resource),
    })
}

fn unknown(resource: &Resource) -> Error {
    Error::invalid(format!("unable to load builtin {}", resource.id().gvk)).about(resource.id())
}

record! {
    /// The configuration of any transformer: each reads the fields that are its own.
    TransformerConfig as "plugin" {
        metadata: Option<Metadata> = "metadata",
        annotations: std::collections::BTreeMap<String, String> = "annotations",
        labels: std::collections::BTreeMap<String, String> = "labels",
        field_specs: Option<Vec<FieldSpec>> = "fieldSpecs",
        image_tag: Image = "imageTag",
        unset_only: bool = "unsetOnly",
        set_role_binding_subjects: String = "setRoleBindingSubjects",
        target: Option<Selector> = "target",
        path: String = "path",
        json_op: String = "jsonOp",
        paths: Vec<String> = "paths",
        patches: Value = "patches",
        patch: String = "patch",
        options: Option<PatchOptions> = "options",
        prefix: String = "prefix",
        suffix: String = "suffix",
        replacements: Vec<Replacement> = "replacements",
        replica: Replica = "replica",
    }
}

/// The transformer that an object configures.
pub(crate) fn transformer(resource: &Resource, target: &Target<'_>) -> Result<Transformer> {
    check_builtin(resource)?;
    let fails = |e: Error| {
        e.context(format_args!(
            "plugin {} fails configuration",
            resource.original_id()
        ))
        .about(resource.id())
    };
    let known = NAMES
        .iter()
        .find(|name| **name == resource.kind())
        .ok_or_else(|| unknown(resource))?;
    let change = if *known == "ValueAddTransformer" {
        value_add(resource, target)
    } else {
        config_of::<TransformerConfig>(resource)
            .and_then(|config| change(known, config, resource, target))
    };
    Ok(Transformer {
        name: known,
        change: change.map_err(fails)?,
        provenance: Provenance::of_plugin(resource),
    })
}

const NAMES: [&str; 14] = [
    "AnnotationsTransformer",
    "HashTransformer",
    "ImageTagTransformer",
    "LabelTransformer",
    "NamespaceTransformer",
    "PatchJson6902Transformer",
    "PatchStrategicMergeTransformer",
    "PatchTransformer",
    "PrefixSuffixTransformer",
    "PrefixTransformer",
    "SuffixTransformer",
    "ReplacementTransformer",
    "ReplicaCountTransformer",
    "ValueAddTransformer",
];

fn change(
    name: &str,
    config: TransformerConfig,
    resource: &Resource,
    target: &Target<'_>,
) -> Result<Change> {
    let schema = target.session.schema();
    let loader = &target.loader;
    let required = |specs: Option<Vec<FieldSpec>>| {
        specs.ok_or_else(|| Error::invalid("fieldSpecs is not expected to be nil"))
    };
    let specs = config.field_specs.clone();
    Ok(match name {
        "AnnotationsTransformer" => Change::Entries(config.annotations, specs.unwrap_or_default()),
        "LabelTransformer" => Change::Entries(config.labels, specs.unwrap_or_default()),
        "HashTransformer" => Change::Hash,
        "ImageTagTransformer" => Change::Image(config.image_tag, specs.unwrap_or_default()),
        "NamespaceTransformer" => Change::Namespace(NamespaceTransformer {
            namespace: config.metadata.unwrap_or_default().namespace,
            specs: specs.unwrap_or_default(),
            unset_only: config.unset_only,
            subjects: Subjects::parse(&config.set_role_binding_subjects)?,
        }),
        "PatchJson6902Transformer" => {
            let patch = Patch {
                path: config.path,
                patch: config.json_op,
                target: config.target,
                options: None,
            };
            Change::Json6902(Json6902Transformer::read(&patch, loader)?)
        }
        "PatchStrategicMergeTransformer" => {
            let inline = config.patches.as_str().unwrap_or_default();
            Change::StrategicMerge(StrategicMergeTransformer::read(
                &config.paths,
                inline,
                loader,
                &schema,
            )?)
        }
        "PatchTransformer" => {
            let patch = Patch {
                path: config.path,
                patch: config.patch,
                target: config.target,
                options: config.options,
            };
            Change::Patch(PatchTransformer::read(
                &patch,
                &resource.to_yaml()?,
                loader,
                &schema,
            )?)
        }
        "PrefixSuffixTransformer" => Change::Several(vec![
            Change::Affix(Affix::Prefix, config.prefix, required(specs.clone())?),
            Change::Affix(Affix::Suffix, config.suffix, required(specs)?),
        ]),
        "PrefixTransformer" => Change::Affix(Affix::Prefix, config.prefix, required(specs)?),
        "SuffixTransformer" => Change::Affix(Affix::Suffix, config.suffix, required(specs)?),
        "ReplacementTransformer" => {
            Change::Replacements(read_replacements(&config.replacements, target)?)
        }
        "ReplicaCountTransformer" => Change::Replicas(config.replica, specs.unwrap_or_default()),
        other => return Err(Error::invalid(format!("unable to load builtin {other}"))),
    })
}

fn value_add(resource: &Resource, target: &Target<'_>) -> Result<Change> {
    let mut add: ValueAdd = config_of(resource)?;
    add.value = add.value.trim().to_owned();
    if add.value.is_empty() {
        target
            .loader
            .root()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .clone_into(&mut add.value);
    }
    if !add.target_file_path.is_empty() {
        let file = target.loader.load(&add.target_file_path)?;
        let value = yaml::to_json(&file.text()).map_err(|e| {
            Error::invalid(e.to_string())
                .at_line(e.line())
                .in_file(&file.path)
        })?;
        let more: ValueAdd = decode(&value, "targets", Reading::Yaml)
            .map_err(Error::invalid)
            .in_file(&file.path)?;
        add.targets.extend(more.targets);
    }
    add.check()?;
    Ok(Change::ValueAdd(add))
}

fn iam_policy(policy: &IamPolicy, target: &Target<'_>) -> Result<Vec<Resource>> {
    if policy.cloud != "gke" {
        return Err(Error::invalid(format!(
            "cloud provider {} not supported yet",
            policy.cloud
        )));
    }
    let (account, service) = (&policy.service_account, &policy.kubernetes_service);
    let mut text = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    iam.gke.io/gcp-service-account: {}@{}.iam.gserviceaccount.com\n  name: {}\n",
        account.name, account.project_id, service.name
    );
    if !service.namespace.is_empty() {
        text += &format!("  namespace: {}\n", service.namespace);
    }
    parse::objects(&text, &target.session.schema())
}
