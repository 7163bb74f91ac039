//! One kustomization: what it gathers, generates and changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{self, Config};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::kustomization::{KUSTOMIZATION_FILES, Kustomization, Var, deprecation_warnings};
use crate::limits::{MAX_DEPTH, MAX_KUSTOMIZATIONS};
use crate::loader::Loader;
use crate::metadata::Provenance;
use crate::patch::{go_quoted, in_file};
use crate::plugin;
use crate::resource::list::ResourceList;
use crate::resource::{Origin, Resource, parse};
use crate::session::Session;
use crate::transform::variables;
use crate::transformer::{self, Transformer};

/// What has been gathered so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accumulator {
    pub(crate) list: ResourceList,
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) vars: BTreeMap<String, Var>,
}

impl Accumulator {
    fn merge_config(&mut self, other: &Arc<Config>) -> Result<()> {
        match &mut self.config {
            None if Arc::ptr_eq(other, &Config::builtin()) => self.config = Some(other.clone()),
            None => {
                // Merged into nothing rather than taken as it is: a specification that a more special one precedes is lost on the way,
                // and kustomizations rely on it.
                let mut merged = Config::default();
                merged.merge(other)?;
                self.config = Some(Arc::new(merged));
            }
            Some(own) if Arc::ptr_eq(own, other) => {}
            Some(own) => Arc::make_mut(own).merge(other)?,
        }
        Ok(())
    }

    fn merge_vars(&mut self, vars: impl IntoIterator<Item = Var>) -> Result<()> {
        for var in vars {
            let name = var.name.clone();
            if self.vars.insert(name.clone(), var).is_some() {
                return Err(Error::invalid(format!("var '{name}' already encountered")));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Accumulator) -> Result<()> {
        self.list.append_all(other.list.into_items())?;
        if let Some(config) = &other.config {
            self.merge_config(config)?;
        }
        self.merge_vars(other.vars.into_values())
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.clone().unwrap_or_else(Config::builtin)
    }
}

/// One kustomization, read.
pub(crate) struct Target<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) loader: Loader<'a>,
    pub(crate) kustomization: Kustomization,
    /// The kustomization file's path in the tree.
    pub(crate) file: String,
    /// Where it is as `buildMetadata` shows it, where that is asked for.
    pub(crate) provenance: Option<Provenance>,
    /// The namespace that charts get from the kustomizations above.
    pub(crate) chart_namespace: String,
}

impl<'a> Target<'a> {
    /// Reads the kustomization file in the folder of the loader.
    pub(crate) fn load(session: &'a Session<'a>, loader: Loader<'a>) -> Result<Target<'a>> {
        if loader.depth() > MAX_DEPTH {
            let message = format!(
                "enter {}: bases go more than {MAX_DEPTH} deep; flatten them",
                loader.shown_root()
            );
            return Err(Error::new(ErrorKind::Limit, message));
        }
        if session.enter() > MAX_KUSTOMIZATIONS {
            let message = format!(
                "enter {}: a build may enter {MAX_KUSTOMIZATIONS} kustomizations; share bases instead",
                loader.shown_root()
            );
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let mut found = Vec::new();
        for name in KUSTOMIZATION_FILES {
            match loader.load(name) {
                Ok(file) => found.push(file),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let shown = loader.shown_root();
        let file = match found.len() {
            1 => found.remove(0),
            0 => {
                let names = "'kustomization.yaml', 'kustomization.yml' or 'Kustomization'";
                let message = format!("unable to find one of {names} in directory '{shown}'");
                return Err(
                    Error::new(ErrorKind::MissingKustomization, message).in_file(loader.root())
                );
            }
            _ => {
                let message = format!("Found multiple kustomization files under: {shown}\n");
                return Err(
                    Error::new(ErrorKind::InvalidKustomization, message).in_file(loader.root())
                );
            }
        };
        let text = file.text();
        let kustomization = Kustomization::read(&text, &shown).in_file(&file.path)?;
        deprecation_warnings(&text)
            .into_iter()
            .for_each(|warning| session.warn(warning));
        Ok(Target {
            session,
            loader,
            kustomization,
            file: file.path,
            provenance: None,
            chart_namespace: String::new(),
        })
    }

    /// Sets the schema that `openapi` names: the root's counts, of bases the first.
    pub(crate) fn set_schema(&self) -> Result<()> {
        let openapi = &self.kustomization.openapi;
        let content = openapi
            .get("path")
            .map(|path| self.loader.load(path))
            .transpose()?;
        self.session
            .set_schema(openapi, content.as_ref())
            .in_file(&self.file)
    }

    pub(crate) fn accumulate(&self, into: Accumulator) -> Result<Accumulator> {
        let mut acc = self
            .accumulate_resources(into, &self.kustomization.resources)
            .context("accumulating resources")
            .in_file(&self.file)?;
        let config = self.own_config().in_file(&self.file)?;
        acc.merge_config(&config)
            .context("merging config")
            .in_file(&self.file)?;
        let crds = self.crd_config()?;
        if let Some(crds) = crds {
            acc.merge_config(&Arc::new(crds))
                .context("merging CRDs")
                .in_file(&self.file)?;
        }
        self.run_generators(&mut acc).in_file(&self.file)?;
        let mut acc = self
            .accumulate_components(acc)
            .context("accumulating components")
            .in_file(&self.file)?;
        self.run_transformers(&mut acc).in_file(&self.file)?;
        self.run_validators(&mut acc).in_file(&self.file)?;
        let vars = &self.kustomization.vars;
        variables::attach(vars, &mut acc.list)
            .and_then(|()| acc.merge_vars(vars.iter().map(variables::with_defaults)))
            .context(format_args!("merging vars {}", variables::shown_all(vars)))
            .in_file(&self.file)?;
        Ok(acc)
    }

    fn own_config(&self) -> Result<Arc<Config>> {
        let builtin = Config::builtin();
        if self.kustomization.configurations.is_empty() {
            return Ok(builtin);
        }
        let mut added = Config::default();
        for path in &self.kustomization.configurations {
            let file = self.loader.load(path)?;
            added.merge(&Config::read(&file.text()).in_file(&file.path)?)?;
        }
        let mut merged = (*builtin).clone();
        merged.merge(&added)?;
        Ok(Arc::new(merged))
    }

    fn crd_config(&self) -> Result<Option<Config>> {
        if self.kustomization.crds.is_empty() {
            return Ok(None);
        }
        let mut all = Config::default();
        let paths = &self.kustomization.crds;
        let mut read = || -> Result<()> {
            for path in paths {
                let file = self.loader.load(path)?;
                all.merge(&config::from_crds(&file.text(), path).in_file(&file.path)?)?;
            }
            Ok(())
        };
        read()
            .context(format_args!("loading CRDs [{}]", paths.join(" ")))
            .in_file(&self.file)?;
        Ok(Some(all))
    }

    /// Adds files and bases, in order.
    pub(crate) fn accumulate_resources(
        &self,
        mut acc: Accumulator,
        paths: &[String],
    ) -> Result<Accumulator> {
        for path in paths {
            let Err(as_file) = self.accumulate_file(&mut acc, path) else {
                continue;
            };
            if matches!(as_file.kind(), ErrorKind::Limit | ErrorKind::Tree) {
                return Err(as_file);
            }
            let wrap = |error: Error| error.context(format_args!("accumulation err='{as_file}'"));
            match self.loader.child(path) {
                Err(error) if error.kind() == ErrorKind::Tree => return Err(error),
                Err(_) if as_file.kind() == ErrorKind::MalformedYaml => return Err(as_file),
                Err(error) if as_file.kind() == ErrorKind::Invalid => {
                    // What is wrong is in the file; that it is no folder either is only said.
                    let shown = wrap(error).to_string();
                    return Err(as_file.reworded(|_| shown));
                }
                Err(error) => return Err(wrap(error)),
                Ok(child) => {
                    acc = self
                        .accumulate_folder(acc, child, path, false)
                        .map_err(wrap)?
                }
            }
        }
        Ok(acc)
    }

    fn accumulate_file(&self, acc: &mut Accumulator, path: &str) -> Result<()> {
        let read = || -> Result<Vec<Resource>> {
            let file = self.loader.load(path)?;
            let parsed = self.session.objects(&file).and_then(|objects| {
                ResourceList::from_unique(objects.as_ref().clone()).map(ResourceList::into_items)
            });
            let mut objects = parsed.map_err(|e| in_file(e, path, &file.path))?;
            for object in &mut objects {
                let line = object.node().line;
                object.origin = Arc::new(Origin {
                    file: file.path.clone(),
                    line,
                    generator: None,
                });
            }
            Ok(objects)
        };
        let mut objects = read().context(format_args!("accumulating resources from '{path}'"))?;
        if let Some(provenance) = &self.provenance {
            let provenance = provenance.append(path);
            for object in &mut objects {
                provenance.annotate_origin(object, &self.session.schema())?;
            }
        }
        acc.list
            .append_all(objects)
            .context(format_args!("merging resources from '{path}'"))
    }

    fn accumulate_components(&self, mut acc: Accumulator) -> Result<Accumulator> {
        for path in &self.kustomization.components {
            let child = self
                .loader
                .child(path)
                .map_err(|e| e.reworded(|text| format!("loader.New {}", go_quoted(text))))?;
            let added = self.accumulate_folder(acc, child, path, true);
            acc = added.map_err(|e| {
                e.reworded(|text| format!("accumulateDirectory: {}", go_quoted(text)))
            })?;
        }
        Ok(acc)
    }

    fn accumulate_folder(
        &self,
        mut acc: Accumulator,
        child: Loader<'a>,
        path: &str,
        is_component: bool,
    ) -> Result<Accumulator> {
        let shown = child.shown_root();
        let chart_namespace = [&self.kustomization.namespace, &self.chart_namespace]
            .into_iter()
            .find(|n| !n.is_empty());
        let chart_namespace = chart_namespace.cloned().unwrap_or_default();
        let may_share = !is_component && self.provenance.is_none();
        let added = if may_share {
            let build = |child| self.accumulate_child(child, None, path, &chart_namespace);
            self.session.shared_folder(child, &chart_namespace, build)?
        } else {
            let target = self.accumulate_child(
                child,
                is_component.then(|| std::mem::take(&mut acc)),
                path,
                &chart_namespace,
            )?;
            if is_component {
                acc = Accumulator::default();
            }
            target
        };
        acc.merge(added)
            .context(format_args!("recursed merging from path '{shown}'"))?;
        Ok(acc)
    }

    /// Builds a base, or a component on top of what it changes.
    fn accumulate_child(
        &self,
        child: Loader<'a>,
        component: Option<Accumulator>,
        path: &str,
        chart_namespace: &str,
    ) -> Result<Accumulator> {
        let shown = child.shown_root();
        let mut target = Target::load(self.session, child)
            .context(format_args!("couldn't make target for path '{shown}'"))?;
        target
            .kustomization
            .build_metadata
            .clone_from(&self.kustomization.build_metadata);
        target.provenance = self.provenance.as_ref().map(|p| p.append(path));
        chart_namespace.clone_into(&mut target.chart_namespace);
        target.set_schema()?;
        match (component.is_some(), target.kustomization.is_component()) {
            (true, false) => {
                let kind = &target.kustomization.kind;
                let message =
                    format!("expected kind 'Component' for path '{shown}' but got '{kind}'");
                return Err(
                    Error::new(ErrorKind::InvalidKustomization, message).in_file(&target.file)
                );
            }
            (false, true) => {
                let message = format!("expected kind != 'Component' for path '{shown}'");
                return Err(
                    Error::new(ErrorKind::InvalidKustomization, message).in_file(&target.file)
                );
            }
            _ => {}
        }
        target
            .accumulate(component.unwrap_or_default())
            .context(format_args!("recursed accumulation of path '{shown}'"))
    }

    fn run_generators(&self, acc: &mut Accumulator) -> Result<()> {
        let mut generators = plugin::own_generators(self)?;
        let configured = self
            .plugin_resources(&self.kustomization.generators)
            .context("loading generator plugins")?;
        for resource in configured {
            generators.push(
                plugin::generator(&resource, self)
                    .context("loading generator plugins: failed to load generator")?,
            );
        }
        let schema = self.session.schema();
        for generator in generators {
            let made = generator.run(self)?;
            acc.list
                .absorb_all(made, &schema)
                .context("merging from generator")?;
        }
        Ok(())
    }

    fn run_transformers(&self, acc: &mut Accumulator) -> Result<()> {
        let mut all = transformer::own(self, &acc.config())?;
        for resource in self.plugin_resources(&self.kustomization.transformers)? {
            all.push(plugin::transformer(&resource, self)?);
        }
        self.transform(&all, acc)
    }

    fn transform(&self, all: &[Transformer], acc: &mut Accumulator) -> Result<()> {
        let schema = self.session.schema();
        for transformer in all {
            acc.list
                .items_mut()
                .iter_mut()
                .for_each(Resource::start_layer);
            transformer.apply(&mut acc.list, &schema)?;
            let layer = Arc::new(transformer.layer(&self.file));
            acc.list
                .items_mut()
                .iter_mut()
                .for_each(|resource| resource.end_layer(&layer));
            if let Some(provenance) = transformer.provenance.as_ref() {
                for resource in acc.list.items_mut() {
                    provenance.annotate_transformation(resource, &schema)?;
                }
            }
            acc.list.drop_gone();
        }
        Ok(())
    }

    fn run_validators(&self, acc: &mut Accumulator) -> Result<()> {
        for resource in self.plugin_resources(&self.kustomization.validators)? {
            let validator = plugin::transformer(&resource, self)?;
            let before: Vec<_> = acc.list.items().to_vec();
            validator.apply(&mut acc.list, &self.session.schema())?;
            let unchanged = before.len() == acc.list.items().len()
                && before
                    .iter()
                    .zip(acc.list.items())
                    .all(|(before, after)| before.node() == after.node());
            if !unchanged {
                return Err(Error::invalid(
                    "validator shouldn't modify the resource map: nodes unequal",
                ));
            }
        }
        Ok(())
    }

    /// The configurations of plugins: written inline, in files, or built.
    fn plugin_resources(&self, entries: &[String]) -> Result<Vec<Resource>> {
        let schema = self.session.schema();
        let mut acc = Accumulator::default();
        let mut paths = Vec::new();
        for entry in entries {
            match parse::objects(entry, &schema) {
                Ok(mut objects) => {
                    if let Some(provenance) = &self.provenance {
                        let name = self.file.rsplit('/').next().unwrap_or_default();
                        for object in &mut objects {
                            provenance.append(name).annotate_origin(object, &schema)?;
                        }
                    }
                    acc.list.append_all(objects)?;
                }
                Err(_) => paths.push(entry.clone()),
            }
        }
        Ok(self.accumulate_resources(acc, &paths)?.list.into_items())
    }
}
