//! [`TemplateSet`]: parsed templates that can call one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exec::MissingKey;
use crate::funcs::Funcs;
use crate::parse::ast::Template;
use crate::parse::{self, ParseError};
use crate::value::Str;

/// Named templates that were parsed with the same functions. Immutable once shared, so that any number of renders, in any number of
/// threads, can use it at once.
///
/// A set may stand on another: what it does not define itself is looked up there. This is how a template that is parsed during a
/// render sees all others without changing them.
#[derive(Debug, Clone)]
pub struct TemplateSet {
    funcs: Arc<Funcs>,
    templates: BTreeMap<Str, Arc<Template>>,
    parent: Option<Arc<TemplateSet>>,
    missing_key: MissingKey,
}

impl TemplateSet {
    /// An empty set.
    #[must_use]
    pub fn new(funcs: Arc<Funcs>) -> Self {
        Self {
            funcs,
            templates: BTreeMap::new(),
            parent: None,
            missing_key: MissingKey::Invalid,
        }
    }

    /// An empty set on top of another.
    #[must_use]
    pub fn over(parent: Arc<Self>) -> Self {
        Self {
            funcs: Arc::clone(&parent.funcs),
            templates: BTreeMap::new(),
            missing_key: parent.missing_key,
            parent: Some(parent),
        }
    }

    /// Says what a missing map key gives (Go's `missingkey` option).
    pub fn set_missing_key(&mut self, missing_key: MissingKey) -> &mut Self {
        self.missing_key = missing_key;
        self
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.missing_key
    }

    /// The functions that the templates know.
    #[must_use]
    pub fn funcs(&self) -> &Arc<Funcs> {
        &self.funcs
    }

    /// Parses a file and adds the templates that it defines: `name` itself, and each `define` and `block`. As in Go, one that was there
    /// before is replaced, unless the new one has nothing but space.
    ///
    /// The text need not be UTF-8.
    ///
    /// # Errors
    /// The text is no template. The set is as it was.
    pub fn parse(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<(), ParseError> {
        let parsed = ParsedFile::parse(name, text, &self.funcs)?;
        self.add(&parsed);
        Ok(())
    }

    /// Adds what a file defines, parsed before with functions of the same names.
    pub fn add(&mut self, file: &ParsedFile) {
        for (name, template) in &file.templates {
            if template.empty && self.find(name.as_bytes()).is_some() {
                continue;
            }
            self.templates.insert(name.clone(), Arc::clone(template));
        }
    }

    /// Adds what a file defines to a set that was just made on top of another.
    pub(crate) fn add_over(&mut self, file: &ParsedFile) {
        self.add(file);
        // The file's own name stands for it even where it has nothing but definitions.
        for (name, template) in &file.templates {
            if template.source.name == *name {
                self.templates.insert(name.clone(), Arc::clone(template));
            }
        }
    }

    /// Whether there is a template of a name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.find(name.as_ref()).is_some()
    }

    /// The names of all templates, those of the sets below included, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Str> {
        let mut names = self
            .parent
            .as_ref()
            .map(|parent| parent.names())
            .unwrap_or_default();
        names.extend(self.templates.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Template>> {
        let mut set = self;
        loop {
            if let Some(template) = set.templates.get(name) {
                return Some(template);
            }
            set = set.parent.as_deref()?;
        }
    }
}

/// What one file defines. Parse it once, add it to many sets.
#[derive(Debug, Clone)]
pub struct ParsedFile {
    templates: BTreeMap<Str, Arc<Template>>,
}

impl ParsedFile {
    /// Parses a file.
    ///
    /// # Errors
    /// The text is no template.
    pub fn parse(name: &str, text: impl AsRef<[u8]>, funcs: &Funcs) -> Result<Self, ParseError> {
        Ok(Self {
            templates: parse::parse(name, text.as_ref(), funcs)?,
        })
    }
}
