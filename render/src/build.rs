//! From a folder of a source to the objects that it holds, as Flux builds it: kustomize, then substitution.

use std::borrow::Cow;

use capstan_envsubst::Unset;
use capstan_goyaml::{DecodeOptions, Dialect, JsonBuilder};
use capstan_kustomize::{Options, Tree, flux::FluxSpec};
use serde_json::Value;

use crate::{flux::Kustomization, problem::Problem};

/// Label or annotation that keeps variables of an object from being replaced.
const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// One object as it came from a build.
pub(crate) struct Built {
    /// The object.
    pub(crate) value: Value,
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
    let substitution = Substitution::new(spec)?;
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
    let mut value = parse(&object.yaml).map_err(|it| at(it.to_string()))?;
    if let Some(substitution) = substitution
        && !is_excepted(&value)
    {
        let text = substitution.replace(&object.yaml).map_err(&at)?;
        value = parse(&text).map_err(|it| at(format!("after variables were replaced: {it}")))?;
    }
    Ok(Built { value, file, line })
}

fn parse(text: &str) -> Result<Value, capstan_goyaml::Error> {
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: false,
        object: false,
    };
    let document = capstan_goyaml::parse_first(text.as_bytes(), Dialect::V2)?;
    document.map_or(Ok(Value::Null), |it| {
        capstan_goyaml::decode(&it.root, options, &mut JsonBuilder)
    })
}

fn is_excepted(value: &Value) -> bool {
    ["labels", "annotations"].into_iter().any(|field| {
        let set = value["metadata"][field][SUBSTITUTE].as_str();
        set.is_some_and(|it| it.eq_ignore_ascii_case("disabled"))
    })
}

fn from_kustomize(error: &capstan_kustomize::Error) -> Problem {
    let mut problem = Problem::error(error.to_string());
    problem.file = error.file().map(str::to_owned);
    problem.line = error.line();
    problem.object = error.object().map(str::to_owned);
    problem
}

/// The variables of a unit. It replaces nothing at all where there is none, as Flux has it, unless the strategy is `Always`.
struct Substitution {
    variables: std::collections::BTreeMap<String, String>,
}

impl Substitution {
    fn new(spec: &Kustomization) -> Result<Option<Self>, Vec<Problem>> {
        let Some(post_build) = &spec.post_build else {
            return Ok(None);
        };
        let variables = post_build.variables();
        for name in variables.keys() {
            capstan_envsubst::check_name(name)
                .map_err(|it| vec![Problem::error(format!("spec.postBuild.substitute: {it}"))])?;
        }
        let always = post_build.substitute_strategy.as_deref() == Some("Always");
        Ok((always || !variables.is_empty()).then_some(Self { variables }))
    }

    fn replace(&self, text: &str) -> Result<String, String> {
        let lookup = |name: &str| {
            self.variables
                .get(name)
                .map(|it| Cow::Borrowed(it.as_str()))
        };
        let replaced = capstan_envsubst::substitute(text, Unset::Refuse, lookup);
        replaced.map(|it| it.text).map_err(|it| it.to_string())
    }
}
