//! Renders one unit: builds the folder that its spec names, and makes entries of the objects.

use std::sync::Arc;

use capstan_core::{
    Digest, Entries, Entry, MediaType, Object, ObjectError, Origin, Revision, Role, SourceKey,
    UnitKey, UnitSpec,
    desired::{MAX_ENTRIES, ObjectRef},
    object::MAX_OBJECT_BYTES,
};
use serde_json::{Value, json};

use crate::{
    base::Base,
    build::{self, Built, Substitution},
    cluster::PinnedTree,
    fleet::DEFAULT_NAMESPACE,
    flux::{HELM_GROUP, KUSTOMIZE_GROUP, Kustomization},
    memo::Memo,
    problem::Problem,
};

/// Endings of the API groups of Flux's own kinds, its extensions and its operator.
const FLUX_GROUPS: [&str; 3] = [
    ".toolkit.fluxcd.io",
    ".extensions.fluxcd.io",
    "fluxcd.controlplane.io",
];
/// The label that Flux's own manifests carry. Its controllers are not installed: the agent does their work, and two
/// owners of one object would fight.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "flux");

/// What one unit is rendered from.
pub struct UnitInput<'a> {
    /// The unit.
    pub key: &'a UnitKey,
    /// Where it came from.
    pub origin: &'a Origin,
    /// Its spec.
    pub spec: &'a Kustomization,
    /// The source that the spec means.
    pub source: &'a SourceKey,
    /// Its content.
    pub pinned: &'a PinnedTree,
    /// The cluster's own key for sensitive content.
    pub digest_key: &'a [u8; 32],
}

/// A unit as it should be.
#[derive(Clone, Debug)]
pub struct RenderedUnit {
    /// How it is applied.
    pub spec: UnitSpec,
    /// Where it came from.
    pub origin: Origin,
    /// The source that it was rendered from.
    pub source: SourceKey,
    /// The revision of it.
    pub revision: Revision,
    /// What is applied, shared with every cluster that renders the same.
    pub entries: Arc<Vec<RenderedEntry>>,
    /// The same without their bytes, shared likewise.
    pub listed: Entries,
    /// The Flux objects among what was built: they are units and sources of their own, not applied.
    pub flux: Arc<Vec<FluxObject>>,
}

/// A Flux object among what was built.
#[derive(Clone, Debug)]
pub struct FluxObject {
    /// The object.
    pub object: Object,
    /// Why it is not acted upon: it has variables that only the cluster knows.
    pub problem: Option<Box<Problem>>,
}

/// An entry with its bytes.
#[derive(Clone)]
pub struct RenderedEntry {
    /// The entry.
    pub entry: Entry,
    /// What the digest names.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for RenderedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RenderedEntry({})", self.entry.key)
    }
}

/// What a build gave, before anything that differs between clusters.
#[derive(Debug)]
pub(crate) struct Build {
    entries: Arc<Vec<RenderedEntry>>,
    listed: Entries,
    flux: Arc<Vec<FluxObject>>,
}

/// Renders a unit.
///
/// # Errors
/// Everything that is wrong with it, with file and line. Nothing of a unit with an error is used.
pub fn render_unit(input: &UnitInput<'_>, memo: &Memo) -> Result<RenderedUnit, Vec<Problem>> {
    let spec = input.spec;
    let unsupported = spec.unsupported();
    if !unsupported.is_empty() {
        let message = format!("{} is not there yet", unsupported.join(", "));
        return Err(vec![Problem::error(message)]);
    }
    let unit_spec = spec
        .unit_spec(&input.key.namespace)
        .map_err(|it| vec![Problem::error(it)])?;
    let base_key = base_key(spec, &input.pinned.tree_id);
    let memo_key = with_variables(&base_key, spec);
    let build = match memo.builds.get(&memo_key) {
        Some(build) => build,
        None => {
            let base = base(input, memo, base_key)?;
            let built = Arc::new(build_unit(input, &base)?);
            if built.entries.iter().all(|it| !it.entry.sensitive) {
                memo.builds.put(memo_key, built.clone(), 1);
            }
            built
        }
    };
    let unit_spec = UnitSpec {
        health_checks: waited_for(spec, unit_spec.health_checks, input.key, &build.flux),
        ..unit_spec
    };
    Ok(RenderedUnit {
        spec: unit_spec,
        origin: input.origin.clone(),
        source: input.source.clone(),
        revision: input.pinned.revision.clone(),
        entries: build.entries.clone(),
        listed: build.listed.clone(),
        flux: build.flux.clone(),
    })
}

/// What a unit waits for beside its own objects. With `wait` that is the units that it yields, which Flux has as objects
/// among the others; `healthChecks` count only without, as there.
fn waited_for(
    spec: &Kustomization,
    checks: Vec<ObjectRef>,
    own: &UnitKey,
    flux: &[FluxObject],
) -> Vec<ObjectRef> {
    if !spec.wait {
        return checks;
    }
    let is_unit = |it: &&Object| {
        let key = it.key();
        let kinds = [
            (KUSTOMIZE_GROUP, "Kustomization"),
            (HELM_GROUP, "HelmRelease"),
        ];
        let itself = key.kind == own.kind.as_str()
            && (&key.namespace, &key.name) == (&own.namespace, &own.name);
        kinds.contains(&(key.group.as_str(), key.kind.as_str())) && !itself
    };
    let reference = |it: &Object| {
        let mut key = it.key().clone();
        if key.namespace.is_empty() {
            key.namespace = DEFAULT_NAMESPACE.to_owned();
        }
        ObjectRef {
            version: it.version().to_owned(),
            key,
        }
    };
    let objects = flux.iter().map(|it| &it.object);
    objects.filter(is_unit).map(reference).collect()
}

/// The fields that act on the build before variables are replaced, and nothing else, so that units that differ in an
/// interval share it.
fn base_key(spec: &Kustomization, tree_id: &str) -> Digest {
    let fields = json!([
        spec.path,
        spec.target_namespace,
        spec.name_prefix,
        spec.name_suffix,
        spec.common_metadata,
        spec.patches,
        spec.images,
        spec.components,
        spec.ignore_missing_components,
        spec.build_metadata,
    ]);
    Digest::of_parts([tree_id.as_bytes(), fields.to_string().as_bytes()])
}

fn with_variables(base_key: &Digest, spec: &Kustomization) -> Digest {
    let fields = json!(spec.post_build).to_string();
    Digest::of_parts([base_key.to_string().as_bytes(), fields.as_bytes()])
}

fn base(input: &UnitInput<'_>, memo: &Memo, key: Digest) -> Result<Arc<Base>, Vec<Problem>> {
    if let Some(base) = memo.bases.get(&key) {
        return Ok(base);
    }
    let tree = input.pinned.tree.as_ref();
    let built = build::build(tree, input.spec, &memo.kustomize)?;
    let base = Arc::new(Base::new(&built));
    if Base::is_public(&built) {
        memo.bases.put(key, base.clone(), base.bytes);
    }
    Ok(base)
}

fn build_unit(input: &UnitInput<'_>, base: &Base) -> Result<Build, Vec<Problem>> {
    let substitution = Substitution::new(input.spec).map_err(|it| vec![it])?;
    let mut entries = Vec::new();
    let mut flux = Vec::new();
    let mut problems = Vec::new();
    for (number, part) in base.parts.iter().enumerate() {
        let taken = match part.entry() {
            Some(known) => Ok(Taken::Entry(known.clone())),
            None => build::one(part, substitution.as_ref()).and_then(|it| take(input, it)),
        };
        match taken {
            Ok(Taken::Entry(entry)) => {
                part.keep(&entry);
                entries.push((entry, number));
            }
            Ok(Taken::Flux(object)) => flux.push(object),
            Ok(Taken::Nothing) => {}
            Err(problem) => problems.push(problem),
        }
    }
    entries.sort_by(|(a, at), (b, bt)| (&a.entry.key, at).cmp(&(&b.entry.key, bt)));
    for pair in entries.windows(2) {
        let [(before, _), (entry, number)] = pair else {
            continue;
        };
        if before.entry.key == entry.entry.key {
            let problem = Problem::error("is there twice").about(&entry.entry.key);
            let part = &base.parts[*number];
            problems.push(at(part.file(), part.line(), problem));
        }
    }
    if entries.len() > MAX_ENTRIES {
        problems.push(Problem::error(format!(
            "{} objects, more than the {MAX_ENTRIES} of one unit",
            entries.len()
        )));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let entries: Vec<RenderedEntry> = entries.into_iter().map(|(entry, _)| entry).collect();
    Ok(Build {
        listed: entries.iter().map(|it| it.entry.clone()).collect(),
        entries: Arc::new(entries),
        flux: Arc::new(flux),
    })
}

enum Taken {
    Entry(RenderedEntry),
    Flux(FluxObject),
    Nothing,
}

fn at(file: &str, line: Option<u32>, problem: Problem) -> Problem {
    if file.is_empty() {
        problem
    } else {
        problem.in_file(file, line)
    }
}

fn take(input: &UnitInput<'_>, built: Built) -> Result<Taken, Problem> {
    let Built {
        value,
        text,
        file,
        line,
    } = built;
    let at = |problem: Problem| at(&file, line, problem);
    if value.get("sops").is_some_and(Value::is_object) {
        let name = value
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let message = format!(
            "`{name}` is encrypted with SOPS; decryption is not there yet, and it is never applied encrypted"
        );
        return Err(at(Problem::error(message)));
    }
    let value = if text.is_some() {
        with_plain_names(value)
    } else {
        value
    };
    let object = Object::parse(value).map_err(|it| at(Problem::error(it.to_string())))?;
    let key = object.key().clone();
    if FLUX_GROUPS.iter().any(|it| key.group.ends_with(it)) {
        let problem = text.map(|_| {
            let message = "has variables that are not in spec.postBuild.substitute; taking them for Flux's own kinds \
                           from ConfigMaps and Secrets of the cluster is not there yet";
            Box::new(at(Problem::error(message)))
        });
        return Ok(Taken::Flux(FluxObject { object, problem }));
    }
    if is_flux_component(&object) {
        return Ok(Taken::Nothing);
    }
    let (media_type, bytes) = match text {
        Some(text) => (MediaType::Text, bounded(text.as_bytes().to_vec())),
        None => (MediaType::Object, object.canonical()),
    };
    let bytes = bytes.map_err(|it| at(Problem::error(it.to_string()).about(&key)))?;
    // Of a kind that a variable names nobody knows yet whether it is Secret.
    let sensitive = object.is_sensitive() || key.kind.contains('$');
    let digest = if sensitive {
        Digest::keyed(input.digest_key, &bytes)
    } else {
        Digest::of(&bytes)
    };
    let entry = Entry {
        key,
        version: object.version().to_owned(),
        role: Role::Object,
        media_type,
        sensitive,
        digest,
        bytes: bytes.len() as u64,
        path: file,
    };
    Ok(Taken::Entry(RenderedEntry {
        entry,
        bytes: bytes.into(),
    }))
}

/// An object whose names still hold expressions such as `${domain/./-}`, made fit to be shown and sent under them.
fn with_plain_names(mut value: Value) -> Value {
    for field in ["/kind", "/metadata/name", "/metadata/namespace"] {
        let Some(Value::String(name)) = value.pointer_mut(field) else {
            continue;
        };
        if name.contains('$') {
            let plain = |it: char| it.is_ascii_graphic() && !matches!(it, '/' | '%');
            *name = name.replace(|it| !plain(it), "_");
        }
    }
    value
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, ObjectError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(ObjectError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Whether the object is a part of Flux itself: everything of its manifests but the namespace, the definitions, and the
/// service accounts that units may name.
fn is_flux_component(object: &Object) -> bool {
    let kept = ["Namespace", "CustomResourceDefinition", "ServiceAccount"];
    let kept = kept.contains(&object.key().kind.as_str());
    object.label(PART_OF.0) == Some(PART_OF.1) && !kept
}
