//! A second render with other secrets: what comes out the same in both does not depend on them, and may be shown.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use crate::error::{Error, TemplateError};
use crate::inputs::{Lookups, RenderInput};
use crate::rendered::Rendered;
use crate::values::{Values, disguise};

/// What is said instead.
const HIDDEN: &str = "not shown, because it depends on secret values";

/// Renders; the error holds nothing that depends on secrets.
pub(super) fn guarded<T>(
    values: &Values,
    input: &RenderInput,
    run: impl Fn(&Values, &RenderInput, bool) -> Result<T, Failure>,
) -> Result<T, Error> {
    run(values, input, false).map_err(|failure| {
        let has_secrets = failure.used_secrets || values.has_secrets();
        if !has_secrets || is_limit(&failure.error) {
            return failure.error;
        }
        let twin = run(&values.twin(), &self::input(input), true);
        hide(failure.error, twin.err().map(|twin| twin.error).as_ref())
    })
}

/// Input with other secrets. Keys are not kept: they are of no use.
pub(super) fn input(input: &RenderInput) -> RenderInput {
    let lookups = match &input.lookups {
        Lookups::Offline => Lookups::Offline,
        Lookups::Given(objects) => Lookups::Given(
            objects
                .iter()
                .map(|(lookup, object)| {
                    let is_secret = lookup.kind == "Secret";
                    let other = object.as_ref().filter(|_| is_secret).map(disguise::secret);
                    (lookup.clone(), other.or_else(|| object.clone()))
                })
                .collect::<BTreeMap<_, _>>(),
        ),
    };
    RenderInput {
        lookups,
        secret: input.secret.twin(),
        keys: None,
        ..input.clone()
    }
}

/// Marks what differs from the render with other secrets; all of it where that one failed.
pub(super) fn mark(rendered: &mut Rendered, twin: Option<&Rendered>) {
    let of_twin = twin.into_iter().flat_map(|twin| {
        let hooks = twin.hooks.iter().map(|hook| &hook.manifest);
        twin.manifests.iter().chain(hooks)
    });
    let same: BTreeSet<(&str, &str)> = of_twin
        .map(|manifest| (&*manifest.source, &*manifest.text))
        .collect();
    let hooks = rendered.hooks.iter_mut().map(|hook| &mut hook.manifest);
    for manifest in rendered.manifests.iter_mut().chain(hooks) {
        manifest.sensitive |= !same.contains(&(&*manifest.source, &*manifest.text));
    }
    rendered.notes_are_sensitive |= twin.is_none_or(|twin| twin.notes != rendered.notes);
}

/// The words of a limit tell nothing of values, and reaching it a second time would take as long.
fn is_limit(error: &Error) -> bool {
    match error {
        Error::Template(error) => error.limit.is_some(),
        Error::Lookups { source, .. } => is_limit(source),
        _ => false,
    }
}

/// The error without what differs from the one that other secrets lead to.
fn hide(error: Error, twin: Option<&Error>) -> Error {
    match (error, twin) {
        (Error::Template(error), Some(Error::Template(twin)))
            if (&error.message, &error.go) == (&twin.message, &twin.go) =>
        {
            error.into()
        }
        (Error::Template(error), _) => hide_reason(error).into(),
        (Error::Schema(violations), Some(Error::Schema(twin))) => {
            Error::Schema(hide_lines(&violations, twin))
        }
        (Error::Schema(violations), _) => Error::Schema(hide_lines(&violations, "")),
        (Error::Manifest { path, reason }, twin) => {
            let is_same =
                matches!(twin, Some(Error::Manifest { reason: other, .. }) if reason == *other);
            let reason = if is_same { reason } else { HIDDEN.to_owned() };
            Error::Manifest { path, reason }
        }
        (Error::ValuesTypeMismatch { chart, value }, twin) => {
            let is_same = matches!(twin, Some(Error::ValuesTypeMismatch { value: other, .. }) if value == *other);
            let value = if is_same { value } else { HIDDEN.to_owned() };
            Error::ValuesTypeMismatch { chart, value }
        }
        (Error::Dependencies { reason, version }, twin) => {
            let twin = match twin {
                Some(Error::Dependencies { reason, .. }) => Some(&**reason),
                _ => None,
            };
            let reason = Box::new(hide(*reason, twin));
            Error::Dependencies { reason, version }
        }
        (Error::Lookups { lookups, source }, twin) => {
            let twin = match twin {
                Some(Error::Lookups { source, .. }) => Some(&**source),
                _ => None,
            };
            let source = Box::new(hide(*source, twin));
            Error::Lookups { lookups, source }
        }
        // None of the others holds values.
        (error, _) => error,
    }
}

/// Where a template failed, without why.
fn hide_reason(error: TemplateError) -> TemplateError {
    let place = error.go.split(": ").nth(1).filter(|place| {
        place
            .strip_prefix(error.file.as_str())
            .is_some_and(|rest| rest.bytes().all(|b| b == b':' || b.is_ascii_digit()))
    });
    let message = match place {
        Some(place) => format!("execution error at ({place}): {HIDDEN}"),
        None => format!("execution error in ({}): {HIDDEN}", error.file),
    };
    TemplateError {
        go: message.clone(),
        message,
        ..error
    }
}

/// Violations of schemas, one a line: `- at 'PLACE': REASON`. Those that other secrets lead to as well are shown.
fn hide_lines(violations: &str, twin: &str) -> String {
    let shown: BTreeSet<&str> = twin.lines().collect();
    let line = |line: &str| match line.split_once("': ") {
        Some((place, _)) if !shown.contains(line) => format!("{place}': {HIDDEN}\n"),
        // The names of charts stand alone.
        _ => format!("{line}\n"),
    };
    violations.lines().map(line).collect()
}
