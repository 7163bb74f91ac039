//! `helmCharts`: `kustomize build --enable-helm` with the real `helm` against ours with our Helm, over every field of an entry.

use capstan_helm::{Now, Secret};
use capstan_playground::toolchest::{Tool, Toolchest};
use capstan_render::Charts;

use crate::{Case, cases, comparable, compare_with, kustomize, ours_with, theirs};

/// How the names of cases begin that are refused.
const ERROR: &str = "error: ";

#[test]
fn charts_give_what_kustomize_and_helm_give() {
    let cases = with_shared_chart(cases(include_str!("cases/charts.txt")));
    assert!(cases.len() > 50, "the file of cases is read");
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case.name.starts_with(ERROR), ours(case), &case.name))
        .filter(|(is_error, ours, _)| ours.is_err() != *is_error)
        .map(|(_, ours, name)| format!("{name}: {ours:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let helm = Toolchest::from_env().unwrap().find(Tool::Helm4);
    let (Some(kustomize), Some(helm)) = (kustomize(), helm) else {
        return;
    };
    let flags = ["--enable-helm", "--helm-command", helm.to_str().unwrap()];
    let theirs = |case: &Case| theirs(&kustomize, &flags, case);
    compare_with(&cases, theirs, ours, |error| comparable(&of_helm(error)));
}

/// Gives all cases the files of the first, unless they have files of that name themselves.
fn with_shared_chart(mut cases: Vec<Case>) -> Vec<Case> {
    let shared = cases.remove(0).files;
    for case in &mut cases {
        for (path, text) in &shared {
            case.files
                .entry(path.clone())
                .or_insert_with(|| text.clone());
        }
    }
    cases
}

fn ours(case: &Case) -> Result<String, String> {
    let charts = Charts::new(Now::default(), Secret::new([7; 32]));
    ours_with(case, Some(&charts))
}

/// Helm's own words: kustomize adds the command line with its temporary folders, we add which chart it was.
fn of_helm(error: &str) -> String {
    let theirs = error.split_once(": unable to run: ").map(|it| it.0);
    let text = theirs.unwrap_or(error).trim();
    let text = text.split_once("Error: ").map_or(text, |it| it.1);
    let text = after(text, "render chart ");
    let text = after(text, "failed to parse ");
    // kustomize means to say where, and says nothing.
    let nowhere = "no repo specified for pull, no chart found at ";
    let text = if text.starts_with(nowhere) {
        nowhere
    } else {
        text
    };
    let advice = "Use --debug flag to render out invalid YAML";
    text.replace(advice, "").trim().to_owned()
}

/// What follows `opening`, a name and a colon, where the text begins so.
fn after<'t>(text: &'t str, opening: &str) -> &'t str {
    let named = text.strip_prefix(opening);
    named
        .and_then(|it| it.split_once(": "))
        .map_or(text, |it| it.1)
}
