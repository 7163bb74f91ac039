//! Whole Flux repositories, run as they are through a hub, agents and simulated clusters: what is supported works, what is
//! not says so unit by unit, and nothing dies of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use capstan_integration::harness::{ClusterKind, Fleet, condition, wait_for};
use capstan_playground::git::{GitServer, git};
use serde_json::Value;

use super::{Group, Report, Verdict, say};

/// States that do not last, and states that say nothing.
const UNDECIDED: [&str; 4] = ["Pending", "Unknown", "Applying", "Progressing"];
/// Nothing has changed for this long: it will not.
const SETTLED: Duration = Duration::from_secs(5);

/// Runs every repository below `folder`, or those whose name contains `only`.
pub(crate) async fn run(folder: &Path, only: Option<&str>) -> anyhow::Result<Report> {
    let mut repositories: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|it| Some(it.ok()?.path()))
        .filter(|it| it.is_dir())
        .collect();
    repositories.sort();
    let mut groups = Vec::new();
    for path in repositories {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if only.is_none_or(|it| name.contains(it)) {
            groups.push(one(&name, &path).await.with_context(|| name.clone())?);
        }
    }
    Ok(Report(groups))
}

/// A cluster, and the paths that it gets.
type Placed = (String, Vec<String>);

/// The clusters of a repository with their paths: the folders of `clusters/`; or `hub/`; or, in a repository of
/// components, a cluster for each environment with that of every component.
fn clusters(repository: &Path) -> Vec<Placed> {
    let folders = |path: &str| -> Vec<String> {
        let below = std::fs::read_dir(repository.join(path));
        let below = below.into_iter().flatten().flatten();
        let folders = below.filter(|it| it.path().is_dir());
        let mut names: Vec<_> = folders
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    if repository.join("hub").is_dir() {
        return vec![("hub".to_owned(), vec!["./hub".to_owned()])];
    }
    let clusters = folders("clusters").into_iter();
    let mut found: Vec<Placed> = clusters
        .map(|it| (it.clone(), vec![format!("./clusters/{it}")]))
        .collect();
    let mut by_environment: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut pending = vec!["components".to_owned()];
    while let Some(path) = pending.pop() {
        for name in folders(&path) {
            let below = format!("{path}/{name}");
            if ["staging", "production"].contains(&name.as_str()) {
                by_environment
                    .entry(name)
                    .or_default()
                    .push(format!("./{below}"));
            } else {
                pending.push(below);
            }
        }
    }
    found.extend(by_environment);
    if found.is_empty() {
        found.push(("whole".to_owned(), vec!["./".to_owned()]));
    }
    found
}

fn fleet_path(url: &str, clusters: &[Placed]) -> String {
    let mut out = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: flux-system, namespace: flux-system}}\n\
         spec: {{url: {url:?}, interval: 1m, ref: {{branch: main}}}}\n"
    );
    for (name, paths) in clusters {
        out.push_str(&format!(
            "---\napiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}, labels: {{name: {name}}}}}\n---\n\
             apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {{name: {name}}}\nspec:\n  \
             clusters: {{matchLabels: {{name: {name}}}}}\n  sync:\n"
        ));
        for (at, path) in paths.iter().enumerate() {
            let unit = if paths.len() == 1 {
                "flux-system".to_owned()
            } else {
                format!("component-{at}")
            };
            out.push_str(&format!(
                "  - {{name: {unit}, sourceRef: {{kind: GitRepository, name: flux-system}}, path: {path:?}}}\n"
            ));
        }
    }
    out
}

async fn one(name: &str, path: &Path) -> anyhow::Result<Group> {
    let folder = tempfile::tempdir()?;
    let server = GitServer::start(folder.path(), None).await?;
    server.create("repository.git").await?;
    let url = server.url("repository.git");
    publish(path, folder.path(), &url).await?;
    let clusters = clusters(path);
    let files = fleet_path(&url, &clusters);
    let names: Vec<&str> = clusters.iter().map(|it| it.0.as_str()).collect();
    let fleet = Fleet::start(ClusterKind::Sim, &names, &[("fleet/fleet.yaml", &files)]).await?;
    let units = settled(&fleet).await?;
    say(&format!("{name}:"));
    let mut group = Group::new("fleets");
    for unit in &units {
        let ready = condition(unit, "Ready");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let (key, word) = (text(&unit["metadata"]["key"]), text(&ready["reason"]));
        let message = text(&ready["message"]);
        say(&format!("  {word:<14} {key}  {message}"));
        let decided = ready["status"] == "True" || !message.is_empty();
        let verdict = if decided && !UNDECIDED.contains(&word.as_str()) {
            Verdict::Passed
        } else {
            Verdict::Failed(format!("{word}: says nothing of why"))
        };
        group.record(&format!("{name}/{key}"), verdict);
    }
    let problems = fleet.api.get("/problems", &[]).await?;
    for problem in problems["items"].as_array().into_iter().flatten() {
        if problem["unit"].is_null() {
            say(&format!("  problem: {}", problem["message"]));
        }
    }
    let processes = [("hub", &fleet.hub)].into_iter();
    let agents = fleet.agents.iter().map(|(name, it)| (name.as_str(), it));
    for (who, process) in processes.chain(agents) {
        let panicked = process.log()?.contains("panicked at");
        let verdict = match process.ended() {
            Some(ended) => Verdict::Failed(format!("it ended: {ended}")),
            None if panicked => Verdict::Failed("it panicked; its log says where".to_owned()),
            None => Verdict::Passed,
        };
        group.record(&format!("{name}/process {who}"), verdict);
    }
    Ok(group)
}

/// Copies the repository, and pushes it as one commit.
async fn publish(from: &Path, folder: &Path, url: &str) -> anyhow::Result<()> {
    let work = folder.join("copy");
    copy(from, &work)?;
    git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(&work, &["add", "--all", "--force"]).await?;
    git(&work, &["commit", "--quiet", "--message", "as it is"]).await?;
    git(&work, &["push", "--quiet", url, "main"]).await?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The units once nothing has changed for a while.
async fn settled(fleet: &Fleet) -> anyhow::Result<Vec<Value>> {
    let mut last = Value::Null;
    let mut since = std::time::Instant::now();
    wait_for("the fleet to come to rest", async || {
        let units = fleet.api.get("/units", &[]).await?;
        let items = units["items"].as_array().cloned().unwrap_or_default();
        let states: Vec<Value> = items.iter().map(|it| condition(it, "Ready")).collect();
        let now = Value::from(states);
        if now != last {
            last = now;
            since = std::time::Instant::now();
        }
        let busy = items.iter().any(|it| {
            let ready = condition(it, "Ready");
            UNDECIDED.iter().any(|word| ready["reason"] == *word)
        });
        let rested = since.elapsed() > SETTLED && !items.is_empty();
        Ok(match rested && (!busy || since.elapsed() > SETTLED * 6) {
            true => Ok(items),
            false => Err(format!("{} units, busy: {busy}", items.len())),
        })
    })
    .await
}
