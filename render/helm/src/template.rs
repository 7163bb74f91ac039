//! [`template()`]: `helm template` as a function.

use std::sync::LazyLock;

use capstan_gotemplate::{Ctx, Limits, TemplateSet, Value};
use regex::Regex;

use crate::chart::Chart;
use crate::context::{HelmVersion, Lookup, Now, RenderContext, Secret};
use crate::engine::{known_functions, render};
use crate::error::Error;
use crate::facts::{Facts, KubeVersion};
use crate::inputs::{Release, RenderInput};
use crate::manifest::split;
use crate::pattern::path_matches;
use crate::rendered::TextOptions;
use crate::values::Values;

/// The flags of `helm template`. What they name has been read already.
#[derive(Clone, Debug)]
pub struct TemplateOptions {
    /// `--helm-version`
    pub version: HelmVersion,
    /// The release's name.
    pub release_name: String,
    /// `--name-template`, which goes before the name.
    pub name_template: Option<String>,
    /// `--namespace`
    pub namespace: String,
    /// `--is-upgrade`
    pub is_upgrade: bool,
    /// What `--values` and the `--set` flags give together.
    pub values: Values,
    /// `--kube-version`
    pub kube_version: Option<String>,
    /// `--api-versions`, beside those that are always there.
    pub api_versions: Vec<String>,
    /// `--include-crds`, `--no-hooks`, `--skip-tests`
    pub text: TextOptions,
    /// `--show-only`: paths below the chart, or patterns.
    pub show_only: Vec<String>,
    /// `--skip-schema-validation`
    pub skip_schema_validation: bool,
    /// What `now` answers.
    pub now: Now,
    /// What random values come from.
    pub secret: Secret,
}

impl TemplateOptions {
    /// The defaults of `helm template`.
    #[must_use]
    pub fn new(version: HelmVersion, now: Now, secret: Secret) -> Self {
        Self {
            version,
            release_name: "release-name".to_owned(),
            name_template: None,
            namespace: "default".to_owned(),
            is_upgrade: false,
            values: Values::new(),
            kube_version: None,
            api_versions: Vec::new(),
            text: TextOptions::default(),
            show_only: Vec::new(),
            skip_schema_validation: false,
            now,
            secret,
        }
    }

    fn input(&self) -> Result<RenderInput, Error> {
        let mut facts = Facts::offline();
        if let Some(version) = &self.kube_version {
            facts.kube_version = KubeVersion::parse(version)?;
        }
        facts.api_versions.extend(self.api_versions.iter().cloned());
        let name = match &self.name_template {
            Some(template) => self.name(template)?,
            None => self.release_name.clone(),
        };
        let release = Release {
            is_upgrade: self.is_upgrade,
            ..Release::install(name, &self.namespace)
        };
        let mut input = RenderInput::offline(self.version, release, self.now, self.secret.clone());
        input.facts = facts;
        input.skip_schema_validation = self.skip_schema_validation;
        Ok(input)
    }

    fn name(&self, template: &str) -> Result<String, Error> {
        let error =
            |reason: String| Error::UserValues(format!("invalid --name-template: {reason}"));
        let mut set = TemplateSet::new(known_functions(self.version));
        set.parse("name-template", template)
            .map_err(|reason| error(reason.to_string()))?;
        let mut host = RenderContext::new(
            self.version,
            "",
            &self.namespace,
            self.now,
            self.secret.clone(),
        );
        let mut ctx = Ctx::new(set.into(), Limits::default(), &mut host);
        ctx.execute("name-template", &Value::Nil)
            .map(|name| name.to_string())
            .map_err(|reason| error(reason.to_string()))
    }
}

/// Renders a chart to the text that `helm template` prints.
///
/// # Errors
/// When Helm would fail, in its words.
pub fn template(chart: &Chart, options: &TemplateOptions) -> Result<String, Error> {
    template_with_lookups(chart, options).map(|(text, _)| text)
}

/// The same, and what the chart looked up: there is no cluster, so it found nothing of that.
///
/// # Errors
/// When Helm would fail, in its words.
pub fn template_with_lookups(
    chart: &Chart,
    options: &TemplateOptions,
) -> Result<(String, Vec<Lookup>), Error> {
    let rendered = render(chart, &options.values, &options.input()?)?;
    let mut text = rendered.to_text(&options.text);
    if !options.show_only.is_empty() {
        text = show_only(&text, options)?;
    }
    Ok((text, rendered.wanted))
}

static SOURCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("# Source: [^/]+/(.+)").expect("the pattern is fixed"));

/// The documents of some templates.
fn show_only(text: &str, options: &TemplateOptions) -> Result<String, Error> {
    let documents = split(text, options.version);
    let mut out = String::new();
    for wanted in &options.show_only {
        let is_wanted = |document: &&String| {
            SOURCE
                .captures(document)
                .is_some_and(|found| path_matches(wanted, &found[1]).unwrap_or(false))
        };
        let mut found = documents.iter().filter(is_wanted).peekable();
        if found.peek().is_none() {
            return Err(Error::NoSuchTemplate(wanted.clone()));
        }
        found.for_each(|document| out.push_str(&format!("---\n{document}\n")));
    }
    Ok(out)
}
