//! From a folder of a source to the objects that it holds, as Flux builds it: kustomize, then substitution.

use std::sync::Arc;

use capstan_kustomize::{Options, Tree, flux::FluxSpec};
use serde_json::Value;

use crate::{
    flux::Kustomization,
    problem::Problem,
    substitute::{Variables, complete, is_excepted, parse},
};

/// One object as it came from a build.
pub(crate) struct Built {
    /// The object; with its variables where [`Self::text`] is there.
    pub(crate) value: Value,
    /// The object's text, where only the cluster knows some of its variables.
    pub(crate) text: Option<Arc<str>>,
    /// The file that it came from; empty where it was generated.
    pub(crate) file: String,
    /// The line that it begins at.
    pub(crate) line: Option<u32>,
}

/// Builds the folder that `spec.path` names. With a cache, only what changed since is built again.
pub(crate) fn build(
    tree: &dyn Tree,
    spec: &Kustomization,
    cache: &capstan_kustomize::Cache,
) -> Result<Vec<Built>, Vec<Problem>> {
    let path = spec.path.trim_start_matches("./").trim_matches('/');
    let options = Options {
        cache: Some(cache),
        ..Options::default()
    };
    let fields = serde_json::to_value(spec).map_err(|it| vec![Problem::error(it.to_string())])?;
    let flux = FluxSpec::from_json(&fields).map_err(|it| vec![from_kustomize(&it)])?;
    let build = capstan_kustomize::flux::build(tree, path, &flux, &options)
        .map_err(|it| vec![from_kustomize(&it)])?;
    let substitution = Substitution::new(spec).map_err(|it| vec![it])?;
    let (mut built, mut problems) = (Vec::new(), Vec::new());
    for object in &build.objects {
        match one(object, substitution.as_ref()) {
            Ok(one) => built.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(built)
    } else {
        Err(problems)
    }
}

fn one(
    object: &capstan_kustomize::Built,
    substitution: Option<&Substitution>,
) -> Result<Built, Problem> {
    let file = object.origin.file.clone();
    let line = Some(object.origin.line).filter(|it| *it > 0);
    let at = |message: String| {
        let problem =
            Problem::error(message).about(format!("{}/{}", object.id.gvk.kind, object.id.name));
        problem.in_file(&file, line)
    };
    let value = parse(&object.yaml).map_err(|it| at(it.to_string()))?;
    let (value, text) = match substitution {
        Some(it) if object.yaml.contains('$') && !is_excepted(&value) => {
            it.apply(value, &object.yaml).map_err(at)?
        }
        _ => (value, None),
    };
    Ok(Built {
        value,
        text,
        file,
        line,
    })
}

fn from_kustomize(error: &capstan_kustomize::Error) -> Problem {
    let mut problem = Problem::error(error.to_string());
    problem.file = error.file().map(str::to_owned);
    problem.line = error.line();
    problem.object = error.object().map(str::to_owned);
    problem
}

/// What is done about variables.
struct Substitution {
    /// Those whose values Git gives.
    variables: Variables,
    /// There may be more, which the cluster alone knows.
    more: bool,
}

impl Substitution {
    /// Nothing where no variable is ever replaced.
    fn new(spec: &Kustomization) -> Result<Option<Self>, Problem> {
        let Some(post_build) = &spec.post_build else {
            return Ok(None);
        };
        let mut variables = Variables::new(post_build.always());
        for (name, value) in post_build.variables() {
            variables
                .set(&name, &value, false)
                .map_err(|it| Problem::error(format!("spec.postBuild.substitute: {it}")))?;
        }
        let more = !post_build.substitute_from.is_empty();
        Ok((more || variables.is_active()).then_some(Self { variables, more }))
    }

    /// The object completed, or as it is with the text that is left for the agent.
    fn apply(&self, value: Value, text: &Arc<str>) -> Result<(Value, Option<Arc<str>>), String> {
        let known =
            || Ok::<_, String>(self.variables.is_active() && self.variables.know_all_of(text)?);
        if self.more && !known()? {
            return Ok((value, Some(text.clone())));
        }
        Ok((complete(text, &self.variables)?.value, None))
    }
}
