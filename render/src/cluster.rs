//! Everything that one cluster should be: its root units, and the units that rendering them yields, to a fixpoint.

mod roots;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use capstan_core::{
    ClusterName, Object, Origin, Revision, SourceKey, UnitKey, UnitKind, desired::MAX_UNITS,
};
use capstan_kustomize::Tree;

pub use roots::{RootUnit, roots};

use crate::{
    artifact::{self, Artifacts},
    fleet::{DEFAULT_NAMESPACE, source_key},
    flux::{GitRepository, HELM_GROUP, KUSTOMIZE_GROUP, Kustomization, SOURCE_GROUP, SourceRef},
    memo::Memo,
    problem::{Level, Problem},
    unit::{FluxObject, RenderedUnit, UnitInput, render_unit},
};

/// Units that may lie above each other: deeper ones are a cycle or a mistake.
const MAX_UNIT_DEPTH: usize = 16;

/// A source at the revision that a cluster follows.
#[derive(Clone)]
pub struct PinnedTree {
    /// The revision.
    pub revision: Revision,
    /// Names the content, the same for equal content: the tree's Git hash.
    pub tree_id: String,
    /// The files.
    pub tree: Arc<dyn Tree + Send + Sync>,
}

/// What one cluster is rendered from.
pub struct ClusterInput<'a> {
    /// The cluster.
    pub name: &'a ClusterName,
    /// Its root units, from [`roots`].
    pub roots: &'a [RootUnit],
    /// The sources that the fleet path grants.
    pub sources: &'a BTreeMap<SourceKey, GitRepository>,
    /// Their content at the cluster's pins, or why it cannot be read. One that was not fetched yet is missing.
    pub trees: &'a BTreeMap<SourceKey, Result<PinnedTree, String>>,
    /// The cluster's own key, with which sensitive content is addressed.
    pub digest_key: &'a [u8; 32],
}

/// What rendering a cluster gave.
#[derive(Default)]
pub struct RenderedCluster {
    /// Every unit that should be there, rendered or not.
    pub units: BTreeMap<UnitKey, UnitOutcome>,
    /// What is not as people may expect and keeps no unit from being rendered.
    pub warnings: Vec<Problem>,
}

/// What became of one unit.
#[derive(Clone, Debug)]
pub enum UnitOutcome {
    /// It was rendered.
    Rendered(RenderedUnit),
    /// It could not be rendered: it keeps its last good state, and what it would have yielded does too.
    Failed {
        /// Where it came from.
        origin: Origin,
        /// The source that it would be rendered from.
        source: Option<SourceKey>,
        /// Why.
        problems: Vec<Problem>,
    },
}

struct Task {
    key: UnitKey,
    origin: Origin,
    depth: usize,
    /// The source of the root above, for which bootstrap's `flux-system` stands.
    root_source: SourceKey,
    spec: Result<Kustomization, Problem>,
    /// A source that it names may still be made; it has been waited for.
    waited: bool,
}

/// Renders a cluster. The result names every unit exactly once; a unit that two parents yield belongs to the first and is
/// a warning on the second. A unit whose source another unit makes comes after that one.
pub fn render_cluster(input: &ClusterInput<'_>, memo: &Memo) -> RenderedCluster {
    let mut out = RenderedCluster::default();
    let mut artifacts = Artifacts::new();
    let mut queue: VecDeque<Task> = input.roots.iter().map(root_task).collect();
    let (mut waiting, mut known) = (Vec::new(), 0);
    loop {
        let Some(task) = queue.pop_front() else {
            // Without anything new, what is waited for does not come.
            let in_vain = artifacts.len() == known;
            known = artifacts.len();
            queue.extend(waiting.drain(..).map(|it| Task {
                waited: in_vain,
                ..it
            }));
            if queue.is_empty() {
                return out;
            }
            continue;
        };
        // Bootstrap's root declares itself: the placement says the same, and where not, it is what counts.
        let declares_itself = matches!(&task.origin, Origin::Parent { unit } if *unit == task.key);
        if declares_itself {
            continue;
        }
        if let Some(warning) = refused(&out, &task) {
            out.warnings.push(warning);
            continue;
        }
        if waits_for_artifact(&task, &artifacts) {
            waiting.push(task);
            continue;
        }
        let key = task.key.clone();
        let outcome = match render(input, memo, &task, &artifacts) {
            Ok(rendered) => {
                queue.extend(children(input, &task, &rendered, &mut out.warnings));
                make_artifacts(input, &task, &rendered, &mut artifacts, &mut out.warnings);
                UnitOutcome::Rendered(rendered)
            }
            Err((source, problems)) => UnitOutcome::Failed {
                origin: task.origin,
                problems: problems
                    .into_iter()
                    .map(|it| it.of_unit(&key, source.as_ref()))
                    .collect(),
                source,
            },
        };
        out.units.insert(key, outcome);
    }
}

fn waits_for_artifact(task: &Task, artifacts: &Artifacts) -> bool {
    let Ok(spec) = &task.spec else {
        return false;
    };
    let source = resolve(&spec.source_ref, &task.key.namespace);
    source.kind == artifact::KIND && !task.waited && !artifacts.contains_key(&source)
}

/// Makes the sources that the generators among what was rendered declare.
fn make_artifacts(
    input: &ClusterInput<'_>,
    task: &Task,
    rendered: &RenderedUnit,
    artifacts: &mut Artifacts,
    warnings: &mut Vec<Problem>,
) {
    let is_generator =
        |it: &&Object| it.key().group == artifact::GROUP && it.key().kind == "ArtifactGenerator";
    let complete = rendered.flux.iter().filter(|it| it.problem.is_none());
    for object in complete.map(|it| &it.object).filter(is_generator) {
        let find = |reference: &SourceRef| {
            let key = granted(input, task, reference, &object.key().namespace);
            match input.trees.get(&key) {
                Some(Ok(it)) => Ok((key, it.clone())),
                Some(Err(why)) => Err(format!("{key} cannot be read: {why}")),
                None => Err(format!(
                    "{key} is not there: it is not granted in the fleet path, not fetched, or not of a kind that is there yet"
                )),
            }
        };
        match artifact::generate(object, find) {
            Ok(made) => artifacts.extend(made),
            Err(problem) => {
                warnings.push(problem.of_unit(&task.key, Some(&rendered.source)));
            }
        }
    }
}

fn root_task(root: &RootUnit) -> Task {
    Task {
        key: root.key.clone(),
        origin: Origin::Placement {
            name: root.placement.clone(),
        },
        depth: 0,
        root_source: resolve(&root.spec.source_ref, &root.key.namespace),
        spec: Ok(root.spec.clone()),
        waited: false,
    }
}

fn refused(out: &RenderedCluster, task: &Task) -> Option<Problem> {
    let message = if out.units.contains_key(&task.key) {
        "is yielded twice; the first one counts".to_owned()
    } else if out.units.len() >= MAX_UNITS {
        format!("the cluster has more than {MAX_UNITS} units; this one is left out")
    } else if task.depth > MAX_UNIT_DEPTH {
        format!("lies more than {MAX_UNIT_DEPTH} units deep; it is left out")
    } else {
        return None;
    };
    Some(
        Problem::warning(message)
            .about(&task.key)
            .of_unit(&task.key, None),
    )
}

type Failure = (Option<SourceKey>, Vec<Problem>);

fn render(
    input: &ClusterInput<'_>,
    memo: &Memo,
    task: &Task,
    artifacts: &Artifacts,
) -> Result<RenderedUnit, Failure> {
    let spec = task
        .spec
        .as_ref()
        .map_err(|problem| (None, vec![problem.clone()]))?;
    let (source, pinned) = find_source(input, task, &spec.source_ref, artifacts)?;
    let unit = UnitInput {
        key: &task.key,
        origin: &task.origin,
        spec,
        source: &source,
        pinned,
        digest_key: input.digest_key,
    };
    let rendered = contained(&task.key, || render_unit(&unit, memo));
    rendered.map_err(|problems| (Some(source.clone()), problems))
}

/// The source that a unit is rendered from, and its content. What was made from another source goes by that one's name
/// and revision, so that it is pinned and promoted with it.
fn find_source<'a>(
    input: &'a ClusterInput<'_>,
    task: &Task,
    reference: &SourceRef,
    artifacts: &'a Artifacts,
) -> Result<(SourceKey, &'a PinnedTree), Failure> {
    let source = granted(input, task, reference, &task.key.namespace);
    let failed = |problem: Problem| (Some(source.clone()), vec![problem]);
    if source.kind == artifact::KIND {
        return match artifacts.get(&source) {
            Some(Ok(it)) => Ok((it.origin.clone(), &it.pinned)),
            Some(Err(problem)) => Err(failed(problem.clone())),
            None => Err(failed(Problem::error(format!(
                "spec.sourceRef: no ArtifactGenerator of this cluster makes {source}"
            )))),
        };
    }
    if source.kind != "GitRepository" {
        return Err(failed(Problem::error(format!(
            "spec.sourceRef: {} sources are not there yet",
            source.kind
        ))));
    }
    if !input.sources.contains_key(&source) {
        return Err(failed(Problem::error(format!(
            "spec.sourceRef: {source} is not granted; declare the source in the fleet path"
        ))));
    }
    match input.trees.get(&source) {
        Some(Ok(pinned)) => Ok((source, pinned)),
        Some(Err(why)) => Err(failed(Problem::error(format!(
            "spec.sourceRef: {source} cannot be read: {why}"
        )))),
        None => Err(failed(Problem::error(format!(
            "spec.sourceRef: {source} has not been fetched yet"
        )))),
    }
}

/// A defect of a renderer is one unit's problem, not the fleet's.
fn contained<T>(
    key: &UnitKey,
    render: impl FnOnce() -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    // What panics leaves nothing behind: the memo keeps whole results alone.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(render)).unwrap_or_else(|_| {
        let message =
            "rendering it ended by a defect of Capstan; please report it, with the unit's files";
        Err(vec![Problem::error(message).about(key)])
    })
}

/// The source that a reference means: bootstrap's `flux-system` stands for the source of the root unit where the fleet
/// path declares none of that name.
fn granted(
    input: &ClusterInput<'_>,
    task: &Task,
    reference: &SourceRef,
    namespace: &str,
) -> SourceKey {
    let key = resolve(reference, namespace);
    let bootstrap = key.namespace == DEFAULT_NAMESPACE
        && key.name == "flux-system"
        && key.kind != artifact::KIND;
    if bootstrap && !input.sources.contains_key(&key) {
        task.root_source.clone()
    } else {
        key
    }
}

fn resolve(reference: &SourceRef, namespace: &str) -> SourceKey {
    SourceKey {
        kind: reference.kind.clone(),
        namespace: reference
            .namespace
            .clone()
            .unwrap_or_else(|| namespace.to_owned()),
        name: reference.name.clone(),
    }
}

/// The units that the Flux objects among what was rendered declare; what the others would do and does not happen yet is
/// said in `warnings`.
fn children(
    input: &ClusterInput<'_>,
    task: &Task,
    rendered: &RenderedUnit,
    warnings: &mut Vec<Problem>,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    for FluxObject { object, problem } in rendered.flux.iter() {
        let about = |problem: Problem| {
            problem
                .about(object.key())
                .of_unit(&task.key, Some(&rendered.source))
        };
        // A unit whose own name is not known yet cannot be shown as one.
        let is_named = !format!("{}{}", object.key().namespace, object.key().name).contains('$');
        match (object.key().group.as_str(), object.key().kind.as_str()) {
            (KUSTOMIZE_GROUP, "Kustomization") if problem.is_none() || is_named => tasks.push(
                child(task, object, UnitKind::Kustomization, problem.as_deref()),
            ),
            (HELM_GROUP, "HelmRelease") if problem.is_none() || is_named => tasks.push(child(
                task,
                object,
                UnitKind::HelmRelease,
                problem.as_deref(),
            )),
            _ if problem.is_some() => {
                let said = problem.iter().map(|it| Problem {
                    level: Level::Warning,
                    ..Problem::clone(it)
                });
                warnings.extend(said.map(about));
            }
            (SOURCE_GROUP, "GitRepository") => {
                let key = source_key(object);
                if !input.sources.contains_key(&key) && key.name != "flux-system" {
                    let message = "is not granted; declare it in the fleet path, or what refers to it is not rendered";
                    warnings.push(about(Problem::warning(message)));
                }
            }
            (artifact::GROUP, "ArtifactGenerator") => {}
            (_, "FluxInstance") => {
                let message = "installs nothing: the agent takes the place of Flux's controllers";
                warnings.push(about(Problem::warning(message)));
            }
            (_, kind) => {
                warnings.push(about(Problem::warning(format!(
                    "{kind} is not acted on yet"
                ))));
            }
        }
    }
    tasks
}

fn child(task: &Task, object: &Object, kind: UnitKind, problem: Option<&Problem>) -> Task {
    let named = object.key();
    let namespace = if named.namespace.is_empty() {
        DEFAULT_NAMESPACE
    } else {
        &named.namespace
    };
    let parse = || match kind {
        UnitKind::Kustomization => Kustomization::parse(object.value()).map_err(Problem::error),
        UnitKind::HelmRelease => Err(Problem::error(
            "rendering a HelmRelease for a cluster is not there yet",
        )),
    };
    let spec = problem.cloned().map_or_else(parse, Err);
    Task {
        key: UnitKey {
            home: task.key.home.clone(),
            kind,
            namespace: namespace.to_owned(),
            name: named.name.clone(),
        },
        origin: Origin::Parent {
            unit: task.key.clone(),
        },
        depth: task.depth + 1,
        root_source: task.root_source.clone(),
        spec: spec.map_err(|it| it.about(named)),
        waited: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_fails_one_unit() {
        let key = "dev/Kustomization/flux-system/apps".parse().unwrap();
        let problems = contained(&key, || -> Result<(), _> { panic!("a defect") }).unwrap_err();
        assert!(
            problems[0].to_string().contains("defect of Capstan"),
            "{problems:?}"
        );
    }
}
