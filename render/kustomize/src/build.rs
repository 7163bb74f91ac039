//! A build from beginning to end, and what it gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_goyaml::Node;

use crate::cache::{BuildKey, Cache};
use crate::charts::ChartRenderer;
use crate::error::{Context, Error, Result};
use crate::fieldspec::FieldSpec;
use crate::id::ResId;
use crate::loader::{Loader, Reader};
use crate::metadata::{self, Provenance};
use crate::node;
use crate::resource::{Layer, Origin, Resource};
use crate::session::Session;
use crate::sort;
use crate::target::{Accumulator, Target};
use crate::transform::{labels, name_reference, variables};
use crate::transformer::add_hashes;
use crate::tree::Tree;

/// The version of kustomize whose results these are.
pub const KUSTOMIZE_VERSION: &str = "v5.8.1";
const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// In which order objects come where `sortOptions` say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Namespaces and definitions first, webhooks last, as the command does without `--reorder`.
    #[default]
    Legacy,
    /// As they were added, as with `--reorder none`.
    Fifo,
}

/// How to build.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// The order of the result.
    pub order: Order,
    /// What the root of the tree is called in error messages; empty shows paths as `/path`.
    pub display_root: &'a str,
    /// What was fetched for this build: remote resource, as written, to its path in the tree.
    pub remotes: Option<&'a BTreeMap<String, String>>,
    /// Renders charts; without one `helmCharts` are an error.
    pub charts: Option<&'a dyn ChartRenderer>,
    /// What `managedByLabel` calls the version; empty for [`KUSTOMIZE_VERSION`].
    pub version: &'a str,
    /// What earlier builds left.
    pub cache: Option<&'a Cache>,
}

/// One object of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its identity.
    pub id: ResId,
    /// Its fields.
    pub node: Arc<Node>,
    /// Its text as kustomize prints it, without a separator.
    pub yaml: Arc<str>,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// What changed it on the way, innermost first.
    pub layers: Vec<Arc<Layer>>,
}

/// What a build gives.
#[derive(Debug, Default)]
pub struct Build {
    /// The objects, in order.
    pub objects: Vec<Built>,
    /// What kustomize would print to its standard error.
    pub warnings: Vec<String>,
}

impl Build {
    /// The text that `kustomize build` prints.
    pub fn to_yaml(&self) -> String {
        let mut out = String::with_capacity(self.yaml_bytes());
        for (at, object) in self.objects.iter().enumerate() {
            if at > 0 {
                out.push_str("---\n");
            }
            out.push_str(&object.yaml);
        }
        out
    }

    pub(crate) fn yaml_bytes(&self) -> usize {
        self.objects
            .iter()
            .map(|object| object.yaml.len() + 4)
            .sum()
    }
}

/// Builds the kustomization in the folder at `path` of the tree.
pub fn build(tree: &dyn Tree, path: &str, options: &Options<'_>) -> Result<Arc<Build>> {
    let none = BTreeMap::new();
    let remotes = options.remotes.unwrap_or(&none);
    let cache = options.cache.filter(|_| options.charts.is_none());
    let key = BuildKey {
        path: path.to_owned(),
        options: format!("{:?} {} {remotes:?}", options.order, options.version),
    };
    if let Some(known) = cache.and_then(|cache| cache.build(&key, tree)) {
        return Ok(known);
    }
    let reader = Reader::new(tree, remotes, options.display_root);
    let session = Session::new(options, &reader);
    let objects = run(&session, path)?;
    let built = Arc::new(Build {
        objects,
        warnings: session.take_warnings(),
    });
    if let Some(cache) = cache {
        cache.keep_build(key, &built, reader.since(0));
    }
    Ok(built)
}

fn run<'a>(session: &'a Session<'a>, path: &str) -> Result<Vec<Built>> {
    let loader = Loader::open(session.reader, path)?;
    let mut target = Target::load(session, loader)?;
    target.set_schema()?;
    if !target.kustomization.build_metadata.is_empty() {
        target.provenance = Some(Provenance::default());
    }
    let acc = target.accumulate(Accumulator::default())?;
    finish(session, &target, acc).in_file(&target.file)
}

/// What is done once, for the whole result.
fn finish(session: &Session<'_>, target: &Target<'_>, mut acc: Accumulator) -> Result<Vec<Built>> {
    let schema = session.schema();
    let config = acc.config();
    let list = &mut acc.list;
    list.items_mut().iter_mut().for_each(Resource::start_layer);
    add_hashes(list, &schema)?;
    end_layer(list.items_mut(), target, "HashTransformer");
    name_reference::fix(list, &config, &schema)?;
    end_layer(list.items_mut(), target, "NameReferenceTransformer");
    let unused = variables::resolve(&acc.vars, &config.var_reference, list, &schema)?;
    end_layer(list.items_mut(), target, "RefVarTransformer");
    if !unused.is_empty() {
        session.warn(format!(
            "well-defined vars that were never replaced: {}",
            unused.join(",")
        ));
    }
    for resource in list.items() {
        check_metadata(resource)?;
    }
    list.retain(|resource| {
        !resource.is_gone()
            && resource
                .annotation(LOCAL_CONFIG)
                .is_none_or(|value| value == "false")
    });
    let sort_options = target.kustomization.sort_options.as_ref();
    if sort_options.is_some() || session.options.order == Order::Legacy {
        sort::sort(list, sort_options)?;
        list.check_unique()
            .context("SortOrderTransformer: Failed to append to resources")?;
    }
    let wants = |option: &str| {
        target
            .kustomization
            .build_metadata
            .iter()
            .any(|o| o == option)
    };
    if wants("managedByLabel") {
        let version = if session.options.version.is_empty() {
            KUSTOMIZE_VERSION
        } else {
            session.options.version
        };
        let label = BTreeMap::from([(
            "app.kubernetes.io/managed-by".to_owned(),
            format!("kustomize-{version}"),
        )]);
        labels::set_entries(
            &label,
            &[FieldSpec::new("metadata/labels", true)],
            list,
            &schema,
        )?;
    }
    for resource in list.items_mut() {
        metadata::clean(
            resource,
            wants("originAnnotations"),
            wants("transformerAnnotations"),
            &schema,
        )?;
    }
    std::mem::take(list)
        .into_items()
        .into_iter()
        .map(built)
        .collect()
}

fn built(resource: Resource) -> Result<Built> {
    let yaml = resource.to_yaml()?;
    Ok(Built {
        id: resource.id().clone(),
        node: resource.shared_node(),
        yaml,
        origin: resource.origin.clone(),
        layers: resource.layers,
    })
}

fn end_layer(resources: &mut [Resource], target: &Target<'_>, transformer: &str) {
    let layer = Arc::new(Layer {
        file: target.file.clone(),
        transformer: transformer.to_owned(),
    });
    for resource in resources {
        resource.end_layer(&layer);
        resource.start_layer();
    }
}

/// A patch may have taken away what an object needs.
fn check_metadata(resource: &Resource) -> Result<()> {
    if resource.is_gone() {
        return Ok(());
    }
    let problem = if resource.kind().is_empty() {
        "missing kind"
    } else if resource.id().name.is_empty() && !resource.kind().ends_with("List") {
        "missing metadata.name"
    } else {
        return Ok(());
    };
    let version = node::top_text(resource.node(), "apiVersion");
    let message = format!(
        "{problem} in object {{{{{version} {}}} {{{{{} {}}} map[] map[]}}}}",
        resource.kind(),
        resource.id().name,
        resource.id().namespace
    );
    Err(Error::invalid(message).about(resource.id()))
}
