//! From a folder of a source to the objects that it holds, as Flux builds it: kustomize, then substitution.

use std::sync::Arc;

use capstan_kustomize::{Options, Tree, flux::FluxSpec};
use serde_json::Value;

use crate::{
    base::Part,
    flux::Kustomization,
    problem::Problem,
    substitute::{Variables, complete, parse},
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
) -> Result<Arc<capstan_kustomize::Build>, Vec<Problem>> {
    let path = spec.path.trim_start_matches("./").trim_matches('/');
    let options = Options {
        cache: Some(cache),
        ..Options::default()
    };
    let fields = serde_json::to_value(spec).map_err(|it| vec![Problem::error(it.to_string())])?;
    let flux = FluxSpec::from_json(&fields).map_err(|it| vec![from_kustomize(&it)])?;
    capstan_kustomize::flux::build(tree, path, &flux, &options)
        .map_err(|it| vec![from_kustomize(&it)])
}

/// One object with its variables replaced.
pub(crate) fn one(part: &Part, substitution: Option<&Substitution>) -> Result<Built, Problem> {
    let at = |message: String| part.problem(message);
    let (value, text) = match substitution.filter(|_| part.varies) {
        Some(it) => it.apply(&part.yaml).map_err(at)?,
        None => (parse(&part.yaml).map_err(|it| at(it.to_string()))?, None),
    };
    Ok(Built {
        value,
        text,
        file: part.file().to_owned(),
        line: part.line(),
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
pub(crate) struct Substitution {
    /// Those whose values Git gives.
    variables: Variables,
    /// There may be more, which the cluster alone knows.
    more: bool,
}

impl Substitution {
    /// Nothing where no variable is ever replaced.
    pub(crate) fn new(spec: &Kustomization) -> Result<Option<Self>, Problem> {
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
    fn apply(&self, text: &Arc<str>) -> Result<(Value, Option<Arc<str>>), String> {
        let known =
            || Ok::<_, String>(self.variables.is_active() && self.variables.know_all_of(text)?);
        if self.more && !known()? {
            let value = parse(text).map_err(|it| it.to_string())?;
            return Ok((value, Some(text.clone())));
        }
        Ok((complete(text, &self.variables)?.value, None))
    }
}
