//! `.helmignore`: which files of a folder are no part of the chart.

use crate::pattern::{BadPattern, path_matches};

/// The most rules in one file: each is tried on each path.
pub const MAX_IGNORE_RULES: usize = 1000;

/// Why a `.helmignore` cannot be used, in Helm's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `**` has no meaning here.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// A class in a pattern is not closed, or the like.
    #[error("syntax error in pattern")]
    Syntax,
    /// More than [`MAX_IGNORE_RULES`].
    #[error(".helmignore has more than {MAX_IGNORE_RULES} rules")]
    TooManyRules,
}

/// The rules of one `.helmignore`, with Helm's own rule for dot files in `templates/`. [`Chart::load`](super::Chart::load) goes by them; who
/// reads a folder for it can ask them too, and need not read what is left out.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: String,
    negated: bool,
    directories_only: bool,
    /// The pattern has no `/`, so it is about the last segment alone.
    base_name_only: bool,
}

impl IgnoreRules {
    /// Reads the rules; where there is no `.helmignore`, an empty text stands for it.
    ///
    /// # Errors
    /// When a pattern is malformed or has `**` in it, or there are too many.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for line in text
            .trim_start_matches('\u{feff}')
            .lines()
            .chain(["templates/.?*"])
        {
            if let Some(rule) = Rule::parse(line.trim())? {
                if rules.len() == MAX_IGNORE_RULES {
                    return Err(IgnoreError::TooManyRules);
                }
                rules.push(rule);
            }
        }
        Ok(Self { rules })
    }

    /// Whether the file is left out, be it for itself or for a folder above it.
    pub(crate) fn ignores_file(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.into_iter().any(|folder| self.ignores(folder, true)) || self.ignores(path, false)
    }

    /// Whether a file or folder is left out for itself. The folders above it have been asked before.
    ///
    /// The first rule that matches decides. A negated rule that does *not* match also ignores: that is Helm's reading, and charts rely on it.
    #[must_use]
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        for rule in &self.rules {
            if rule.negated {
                if (rule.directories_only && !is_directory) || !rule.matches(path) {
                    return true;
                }
            } else if (!rule.directories_only || is_directory) && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Option<Self>, IgnoreError> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        path_matches(line, "abc").map_err(|BadPattern| IgnoreError::Syntax)?;
        let (line, negated) = line
            .strip_prefix('!')
            .map_or((line, false), |rest| (rest, true));
        let (line, directories_only) = line
            .strip_suffix('/')
            .map_or((line, false), |rest| (rest, true));
        let (pattern, base_name_only) = match line.strip_prefix('/') {
            Some(rest) => (rest, false),
            None => (line, !line.contains('/')),
        };
        Ok(Some(Self {
            pattern: pattern.to_owned(),
            negated,
            directories_only,
            base_name_only,
        }))
    }

    fn matches(&self, path: &str) -> bool {
        let subject = if self.base_name_only {
            path.rsplit('/').next().unwrap_or(path)
        } else {
            path
        };
        path_matches(&self.pattern, subject).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &str, path: &str, ignored: bool) {
        assert_eq!(
            IgnoreRules::parse(rules).unwrap().ignores_file(path),
            ignored,
            "{rules:?} {path}"
        );
    }

    #[test]
    fn rules_are_helms() {
        check("helm.txt", "helm.txt", true);
        check("helm.*", "helm.txt", true);
        check("helm.*", "rudder.txt", false);
        check("*.txt", "tiller.txt", true);
        check("*.txt", "cargo/a.txt", true);
        check("cargo/*.txt", "cargo/a.txt", true);
        check("cargo/*.*", "cargo/a.txt", true);
        check("ru[c-e]?er.txt", "rudder.txt", true);
        check("templates/.?*", "templates/.dotfile", true);
        check("", "templates/.dotfile", true);
        check("", "templates/dotfile", false);
        check("cargo/", "cargo/a.txt", true);
        check("cargo", "cargo/a.txt", true);
        check("mast/", "mast/a.txt", true);
        check("mast/", "other/mast", false);
        check("helm.txt/", "helm.txt", false);
        check("/a.txt", "a.txt", true);
        check("/a.txt", "cargo/a.txt", false);
        check("/cargo/a.txt", "cargo/a.txt", true);
        check("!helm.txt", "helm.txt", false);
        check("!helm.txt", "tiller.txt", true);
        check("!*.txt", "cargo", true);
        check("!cargo/", "mast/a.txt", true);
        check("# comment\n\n  a.txt  ", "a.txt", true);
        check("\u{feff}a.txt", "a.txt", true);
    }

    #[test]
    fn mistakes_are_reported() {
        assert_eq!(
            IgnoreRules::parse("a/**").unwrap_err(),
            IgnoreError::DoubleStar
        );
        assert_eq!(IgnoreRules::parse("[a").unwrap_err(), IgnoreError::Syntax);
        assert_eq!(
            IgnoreRules::parse(&"a\n".repeat(MAX_IGNORE_RULES + 1)).unwrap_err(),
            IgnoreError::TooManyRules
        );
    }
}
