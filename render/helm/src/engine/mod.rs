//! A render from end to end: dependencies, values, schemas, templates, objects.

mod errors;
mod scope;
mod twin;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use capstan_gotemplate::{Ctx, Funcs, Map, MissingKey, TemplateSet, Value};

use crate::chart::Chart;
use crate::context::{HelmVersion, Lookup, RenderContext};
use crate::error::{Error, TemplateError};
use crate::inputs::{Lookups, RenderInput};
use crate::rendered::{Crd, Rendered};
use crate::semver::is_compatible;
use crate::tree::{Tree, to_json};
use crate::values::{Coalescing, Values, coalesce_values};
use crate::watch::Watch;
use crate::work::{ChartId, ROOT, Work};
use crate::{dependencies, funcs, functions, manifest};
use scope::Renderable;

/// The longest name of a release, in bytes: Helm's own limit.
const MAX_RELEASE_NAME_BYTES: usize = 53;
/// What the files that hold notes are called.
const NOTES: &str = "NOTES.txt";

static FUNCS: LazyLock<[Arc<Funcs>; 2]> = LazyLock::new(|| {
    [HelmVersion::V3, HelmVersion::V4].map(|version| {
        let mut all = Funcs::new();
        funcs::register(&mut all, version);
        all.extend(functions::functions());
        Arc::new(all)
    })
});

/// The functions that templates know in a version of Helm.
pub(crate) fn known_functions(version: HelmVersion) -> Arc<Funcs> {
    Arc::clone(&FUNCS[version as usize])
}

/// Renders a chart with a user's values. Where some of them are secret, it renders twice.
///
/// # Errors
/// When Helm would fail, in its words; and when a limit is passed. Where the render lacked answers to lookups, the error says so. What depends
/// on secrets is not in it.
pub fn render(chart: &Chart, values: &Values, input: &RenderInput) -> Result<Rendered, Error> {
    let run =
        |values: &Values, input: &RenderInput, is_twin| objects(chart, values, input, is_twin);
    let mut rendered = twin::guarded(values, input, run)?;
    if values.has_secrets() {
        let twin = run(&values.twin(), &twin::input(input), true);
        twin::mark(&mut rendered, twin.ok().as_ref());
    }
    Ok(rendered)
}

fn objects(
    chart: &Chart,
    values: &Values,
    input: &RenderInput,
    is_twin: bool,
) -> Result<Rendered, Failure> {
    let mut release = execute(chart, values, input, is_twin)?;
    let mut rendered = Rendered {
        lookups: release.lookups,
        wanted: release.wanted,
        ..Rendered::default()
    };
    let own_notes = format!("{}/templates/{NOTES}", release.work.name(ROOT));
    let notes = take_notes(&mut release.files, &own_notes, input.sub_notes);
    let is_sensitive = |path: &str| release.sensitive.contains(path);
    rendered.notes_are_sensitive = notes.iter().any(|(path, _)| is_sensitive(path));
    for (_, text) in notes {
        if !rendered.notes.is_empty() {
            rendered.notes.push('\n');
        }
        rendered.notes.push_str(&text);
    }
    let heads = &chart.inner().heads;
    let sorted = manifest::sort(&release.files, input.version, heads, is_sensitive);
    (rendered.hooks, rendered.manifests) = sorted.map_err(|error| Failure {
        error: waiting(error, &rendered.wanted, input),
        used_secrets: release.used_secrets,
    })?;
    crds(&release.work, ROOT, &mut rendered.crds);
    Ok(rendered)
}

/// Renders a chart's templates and leaves their texts as they are: by path, notes included, not split into objects.
///
/// # Errors
/// As [`render`].
pub fn render_files(
    chart: &Chart,
    values: &Values,
    input: &RenderInput,
) -> Result<BTreeMap<String, String>, Error> {
    twin::guarded(values, input, |values, input, is_twin| {
        Ok(execute(chart, values, input, is_twin)?.files)
    })
}

/// A release whose templates have been executed.
struct Executed {
    work: Work,
    files: BTreeMap<String, String>,
    sensitive: BTreeSet<String>,
    used_secrets: bool,
    lookups: Vec<Lookup>,
    wanted: Vec<Lookup>,
}

/// Why there is no result, and whether something random or secret was used before.
struct Failure {
    error: Error,
    used_secrets: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            used_secrets: false,
        }
    }
}

fn execute(
    chart: &Chart,
    values: &Values,
    input: &RenderInput,
    is_twin: bool,
) -> Result<Executed, Failure> {
    check(chart, input)?;
    let mut work = Work::new(chart, input.version)?;
    let values = coalesced(&mut work, values, input)?;
    check_kube_version(&work, input)?;
    let scopes = scope::scopes(&work, &values, input);
    let set = parse(chart, &scopes.renderables, input)?;
    let mut host = host(input);
    host.is_twin = is_twin;
    host.watch = Some(scopes.watch());
    let result = run(&set, &scopes.renderables, input, &mut host);
    scopes.free();
    let wanted: Vec<Lookup> = host
        .lookups
        .iter()
        .filter(|(_, answer)| answer.is_none())
        .map(|(lookup, _)| lookup.clone())
        .collect();
    let used_secrets = host.used_secrets;
    let (files, sensitive) = result.map_err(|error| Failure {
        error: waiting(error.into(), &wanted, input),
        used_secrets,
    })?;
    let asked = host
        .lookups
        .into_keys()
        .filter(|lookup| host.asked.contains(lookup))
        .collect();
    Ok(Executed {
        work,
        files,
        sensitive,
        used_secrets,
        lookups: asked,
        wanted,
    })
}

/// Decides which dependencies are on, and gives the values of all charts, checked against their schemas.
fn coalesced(work: &mut Work, values: &Values, input: &RenderInput) -> Result<Map, Error> {
    let given = values.tree().to_map();
    dependencies::process(work, &given).map_err(|error| Error::Dependencies {
        reason: Box::new(error),
        version: input.version,
    })?;
    let values = coalesce_values(work, ROOT, &given, Coalescing::Coalesce)?;
    if !input.skip_schema_validation {
        let violations = check_schemas(work, ROOT, &values, input);
        if !violations.is_empty() {
            return Err(Error::Schema(violations));
        }
    }
    Ok(values)
}

/// An error of a render that lacked answers may be due to just that.
fn waiting(error: Error, wanted: &[Lookup], input: &RenderInput) -> Error {
    let could_get_more = matches!(input.lookups, Lookups::Given(_)) && !wanted.is_empty();
    if could_get_more {
        Error::Lookups {
            lookups: wanted.to_vec(),
            source: Box::new(error),
        }
    } else {
        error
    }
}

fn check(chart: &Chart, input: &RenderInput) -> Result<(), Error> {
    let metadata = chart.metadata();
    let is_known = matches!(metadata.api_version.as_str(), "v1" | "v2");
    if input.version == HelmVersion::V4 && !is_known {
        return Err(Error::ApiVersion(metadata.api_version.clone()));
    }
    if !matches!(metadata.chart_type.as_str(), "" | "application") {
        return Err(Error::NotInstallable {
            chart_type: metadata.chart_type.clone(),
        });
    }
    let names: Vec<String> = chart
        .missing_dependencies()
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !names.is_empty() {
        return Err(Error::MissingDependencies {
            names,
            version: input.version,
        });
    }
    let name = &input.release.name;
    let reason = if name.is_empty() {
        "no name provided"
    } else if name.len() > MAX_RELEASE_NAME_BYTES || !is_release_name(name) {
        "invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
    } else {
        return Ok(());
    };
    Err(Error::ReleaseName {
        name: name.clone(),
        reason,
        version: input.version,
    })
}

/// Whether a name is one or more labels as DNS has them, by hand: a process that renders one chart would compile the pattern for it alone.
fn is_release_name(name: &str) -> bool {
    let is_inner = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn check_kube_version(work: &Work, input: &RenderInput) -> Result<(), Error> {
    let wanted = &work.inner(ROOT).metadata.kube_version;
    let kube = &input.facts.kube_version;
    if wanted.is_empty() || is_compatible(wanted, kube.normalized()) {
        return Ok(());
    }
    Err(Error::KubeVersion {
        wanted: wanted.clone(),
        found: kube.shown(input.version).to_owned(),
    })
}

/// The violations of a chart's schema and of those of the charts below it.
fn check_schemas(work: &Work, chart: ChartId, values: &Map, input: &RenderInput) -> String {
    let mut out = String::new();
    let result = work
        .inner(chart)
        .with_schema(&input.schema_documents, |schema| {
            schema.validate(&to_json(&Value::Map(values.clone())))
        });
    if let Some(Err(error)) = result {
        out.push_str(&format!("{}:\n{error}\n", work.name(chart)));
    }
    for &child in work.dependencies(chart) {
        match values.get(work.name(child)) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(inner)) => out.push_str(&check_schemas(work, child, &inner, input)),
            Some(other) => out.push_str(&format!(
                "{}:\ninvalid type for values: expected object (map), got {}\n",
                work.name(child),
                other.type_name()
            )),
        }
    }
    out
}

fn host(input: &RenderInput) -> RenderContext {
    let mut host = RenderContext::new(
        input.version,
        &input.release.name,
        &input.release.namespace,
        input.now,
        input.secret.clone(),
    );
    host.keys.clone_from(&input.keys);
    if let Lookups::Given(objects) = &input.lookups {
        for (lookup, object) in objects {
            let answer = object
                .as_ref()
                .map_or_else(Map::new, |object| Tree::from(object).to_map());
            host.lookups
                .insert(lookup.clone(), Some(Value::Map(answer)));
        }
    }
    host
}

/// The parsed templates: kept with the chart, so most renders find them there.
fn parse(
    chart: &Chart,
    renderables: &[Renderable],
    input: &RenderInput,
) -> Result<Arc<TemplateSet>, Error> {
    let shape = renderables
        .iter()
        .map(|file| (file.path.clone(), file.text.as_bytes().as_ptr().addr()))
        .collect();
    chart.inner().cache.get(input.version, &shape, || {
        let mut set = TemplateSet::new(known_functions(input.version));
        set.set_missing_key(MissingKey::Zero);
        for file in renderables {
            set.parse(&file.path, &file.text).map_err(|error| {
                Error::Template(errors::parse_error(&file.path, &error.to_string()))
            })?;
        }
        Ok(set)
    })
}

/// Texts by their files, and which of the files are sensitive.
type Files = (BTreeMap<String, String>, BTreeSet<String>);

fn run(
    set: &Arc<TemplateSet>,
    renderables: &[Renderable],
    input: &RenderInput,
    host: &mut RenderContext,
) -> Result<Files, TemplateError> {
    let (mut files, mut sensitive) = Files::default();
    let mut spread = false;
    let mut ctx = Ctx::new(Arc::clone(set), input.limits.clone(), host);
    for file in renderables.iter().filter(|file| !file.is_partial()) {
        file.enter(input.version);
        if let Some(host) = ctx.host::<RenderContext>() {
            host.template.clone_from(&file.path);
            host.sensitive = false;
        }
        let result = ctx.execute(&file.path, &Value::Map(file.scope.clone()));
        let text = result.map_err(|error| errors::exec_error(&file.path, &error, input.version))?;
        if let Some(host) = ctx.host::<RenderContext>() {
            if host.sensitive || spread {
                sensitive.insert(file.path.clone());
            }
            if host.sensitive && host.watch.as_mut().is_some_and(Watch::changed) {
                spread = true;
                host.watch = None;
            }
        }
        files.insert(
            file.path.clone(),
            functions::without_no_value(text).to_string(),
        );
    }
    Ok((files, sensitive))
}

/// Takes the notes out of the files: the chart's own, or those of all charts.
fn take_notes(files: &mut BTreeMap<String, String>, own: &str, all: bool) -> Vec<(String, String)> {
    let notes = files.extract_if(.., |path, _| path.ends_with(NOTES));
    notes.filter(|(path, _)| all || path == own).collect()
}

/// What lies in `crds/`, a chart's own first.
fn crds(work: &Work, chart: ChartId, out: &mut Vec<Crd>) {
    let is_manifest = |path: &str| {
        path.rsplit_once('.').is_some_and(|(_, extension)| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
    };
    let full_path = work.full_path(chart);
    let files = work
        .inner(chart)
        .files
        .iter()
        .map(|(path, data)| (path.to_str(), data));
    let mut found: Vec<_> = files
        .filter(|(path, _)| path.starts_with("crds/") && is_manifest(path))
        .collect();
    // A folder is walked before the files that come after its name.
    found.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    out.extend(found.into_iter().map(|(path, data)| Crd {
        source: format!("{full_path}/{path}"),
        text: data.to_string(),
    }));
    for &child in work.dependencies(chart) {
        crds(work, child, out);
    }
}
