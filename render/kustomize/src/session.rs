//! What holds for a whole build: its options, its schema, what was read and what may be used again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::Options;
use crate::cache::{Cache, Folder, FolderKey};
use crate::error::{Context, Error, Result};
use crate::loader::{File, Loader, Reader};
use crate::resource::{Resource, parse};
use crate::schema::Schema;
use crate::target::Accumulator;
use crate::yaml;

/// The one OpenAPI version that kustomize has built in.
const BUILTIN_VERSION: &str = "v1.21.2";

pub(crate) struct Session<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) reader: &'a Reader<'a>,
    schema: RefCell<Rc<Schema>>,
    /// Whether a kustomization named a schema: only the first counts.
    schema_is_set: Cell<bool>,
    entered: Cell<usize>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(options: &'a Options<'a>, reader: &'a Reader<'a>) -> Session<'a> {
        Session {
            options,
            reader,
            schema: RefCell::new(Rc::new(Schema::builtin())),
            schema_is_set: Cell::new(false),
            entered: Cell::new(0),
            warnings: RefCell::default(),
        }
    }

    pub(crate) fn schema(&self) -> Rc<Schema> {
        self.schema.borrow().clone()
    }

    pub(crate) fn enter(&self) -> usize {
        self.entered.set(self.entered.get() + 1);
        self.entered.get()
    }

    pub(crate) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    pub(crate) fn set_schema(
        &self,
        openapi: &BTreeMap<String, String>,
        content: Option<&File>,
    ) -> Result<()> {
        if self.schema_is_set.get() {
            return Ok(());
        }
        let version = openapi.get("version");
        if let Some(file) = content {
            if version.is_some() {
                return Err(Error::invalid(
                    "builtin version and custom schema provided, cannot use both",
                ));
            }
            let text = file.text();
            let parsed = if text.starts_with('{') {
                serde_json::from_str(&text)
                    .map_err(|e| Error::invalid(format!("invalid schema file: {e}")))
            } else {
                yaml::to_json(&text).map_err(|e| {
                    Error::invalid(format!("invalid schema file: {e}")).at_line(e.line())
                })
            };
            let document = parsed.in_file(&file.path)?;
            let schema = self.schema().with_document(&document);
            self.schema.replace(Rc::new(schema));
            self.schema_is_set.set(true);
        } else if let Some(version) = version.filter(|v| !v.is_empty()) {
            if version != BUILTIN_VERSION {
                return Err(Error::invalid(
                    "the specified OpenAPI version is not built in",
                ));
            }
            self.schema_is_set.set(true);
        }
        Ok(())
    }

    /// The objects in a file, parsed once for equal content.
    pub(crate) fn objects(&self, file: &File) -> Result<Arc<Vec<Resource>>> {
        let cache = self.cache();
        if let Some(known) = cache.and_then(|cache| cache.file(&file.hash)) {
            let schema = self.schema();
            known.iter().for_each(|object| {
                schema.is_cluster_scoped(&object.id().gvk);
            });
            return Ok(known);
        }
        let parsed = Arc::new(parse::objects(&file.text(), &self.schema())?);
        if let Some(cache) = cache {
            cache.keep_file(file.hash, &parsed, file.content.len());
        }
        Ok(parsed)
    }

    /// What a base gives: built, or known from before where everything that it read is as it was.
    pub(crate) fn shared_folder(
        &self,
        child: Loader<'a>,
        chart_namespace: &str,
        build: impl FnOnce(Loader<'a>) -> Result<Accumulator>,
    ) -> Result<Accumulator> {
        let Some(cache) = self.cache() else {
            return build(child);
        };
        let key = FolderKey {
            root: child.root().to_owned(),
            chart_namespace: chart_namespace.to_owned(),
        };
        if let Some(known) = cache.folder(&key, self.reader.tree()) {
            self.reader.repeat(&known.lookups);
            self.entered.set(self.entered.get() + known.entered);
            self.schema().repeat(known.asked);
            known
                .warnings
                .iter()
                .for_each(|warning| self.warn(warning.clone()));
            return Ok(known.result.clone());
        }
        let (mark, entered, warned) = (
            self.reader.mark(),
            self.entered.get(),
            self.warnings.borrow().len(),
        );
        let asked = self.schema().asked();
        let result = build(child)?;
        if self.cache().is_some() {
            let folder = Folder {
                lookups: self.reader.since(mark),
                result: result.clone(),
                warnings: self.warnings.borrow()[warned..].to_vec(),
                entered: self.entered.get() - entered,
                asked: self.schema().asked().since(asked),
            };
            cache.keep_folder(key, folder);
        }
        Ok(result)
    }

    /// The cache, unless a schema of the kustomization's own makes results differ from those of other builds.
    fn cache(&self) -> Option<&'a Cache> {
        self.options
            .cache
            .filter(|_| !self.schema_is_set.get() && self.options.charts.is_none())
    }
}
