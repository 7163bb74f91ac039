//! What people may do with pins: promote, roll back, release.

use std::fmt;

use capstan_core::{ClusterName, Revision, SourceKey};

use super::{
    Book, EnvironmentKey, Hold, Pin, PinInput, Pipeline,
    pins::{is_frozen, unmet_of},
};

/// Whose pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Environment(EnvironmentKey),
    Cluster(ClusterName, SourceKey),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(key) => write!(f, "environment {key}"),
            Self::Cluster(name, source) => write!(f, "cluster {name}, {source}"),
        }
    }
}

/// Why somebody cannot do what they asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} does not exist; `capstan get pipelines` lists what does")]
    Unknown(String),
    #[error(
        "{0} is the first environment: it follows its source, so there is nothing to promote; commit, or release a hold"
    )]
    First(String),
    #[error("{target} is not ready to be promoted to: {}; wait, or use --force with a reason", unmet.join("; "))]
    NotHealthy { target: String, unmet: Vec<String> },
    #[error("{target} is held by {by} ({reason}); release it first")]
    Held {
        target: String,
        by: String,
        reason: String,
    },
    #[error("{0} is frozen; unfreeze it first")]
    Frozen(String),
    #[error("{target} is at {revision} already")]
    Already { target: String, revision: String },
    #[error("{0} has no earlier revision that was healthy; name one with --to")]
    NoGood(String),
    #[error("{0} is not held")]
    NotHeld(String),
    #[error("a reason is needed: --reason says why to whoever reads the audit log")]
    NoReason,
}

/// What a person asks for, and who they are.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) actor: String,
    pub(crate) reason: String,
    /// The revision to go to; the obvious one where none is named.
    pub(crate) to: Option<Revision>,
    pub(crate) force: bool,
}

/// Moves an environment to what is healthy in the one before.
pub(crate) fn promote(
    input: &PinInput<'_>,
    book: &mut Book,
    key: &EnvironmentKey,
    request: &Request,
) -> Result<Revision, Refusal> {
    let (pipeline, at) = find(input.pipelines, key)?;
    let Some(before) = at.checked_sub(1).map(|it| &pipeline.stages[it]) else {
        return Err(Refusal::First(key.to_string()));
    };
    if request.force && request.reason.is_empty() {
        return Err(Refusal::NoReason);
    }
    if is_frozen(input, &[&key.to_string()]) {
        return Err(Refusal::Frozen(key.to_string()));
    }
    let pin = book.environments.entry(key.clone()).or_default().clone();
    if let Some(hold) = &pin.hold {
        return Err(held(&key.to_string(), hold));
    }
    let before_key = pipeline.key(before);
    let source = book
        .environments
        .get(&before_key)
        .unwrap_or(Pin::none())
        .clone();
    let mut unmet = unmet_of(input, book, pipeline, before);
    let wanted = request.to.clone().or(source.revision.clone());
    if request.to.is_some() && wanted != source.revision {
        // An earlier revision that the environment before was healthy at is as good as the present one.
        unmet = match &wanted {
            Some(it) if source.healthy.contains(it) => Vec::new(),
            _ => vec![format!(
                "it was never healthy in every cluster of {before_key}"
            )],
        };
    }
    let Some(to) = wanted else {
        return Err(Refusal::NotHealthy {
            target: key.to_string(),
            unmet: vec![format!("{before_key} has no revision yet")],
        });
    };
    if pin.revision.as_ref() == Some(&to) {
        return Err(Refusal::Already {
            target: key.to_string(),
            revision: to.short(),
        });
    }
    if !unmet.is_empty() && !request.force {
        return Err(Refusal::NotHealthy {
            target: key.to_string(),
            unmet,
        });
    }
    let mut pin = pin;
    let reason = if request.force {
        format!("forced: {}", request.reason)
    } else {
        request.reason.clone()
    };
    pin.move_to(to.clone(), input.now_ms, &request.actor, &reason);
    book.environments.insert(key.clone(), pin);
    Ok(to)
}

/// Moves a pin back to the last revision that was healthy, and holds it there. A freeze does not stop it.
pub(crate) fn rollback(
    input: &PinInput<'_>,
    book: &mut Book,
    target: &Target,
    request: &Request,
) -> Result<Revision, Refusal> {
    let pin = pin_of(input, book, target)?;
    if request.reason.is_empty() {
        return Err(Refusal::NoReason);
    }
    let to = request.to.clone().or_else(|| pin.last_good().cloned());
    let to = to.ok_or_else(|| Refusal::NoGood(target.to_string()))?;
    pin.move_to(to.clone(), input.now_ms, &request.actor, &request.reason);
    pin.hold = Some(Hold {
        actor: request.actor.clone(),
        reason: request.reason.clone(),
        since_ms: input.now_ms,
    });
    Ok(to)
}

/// Lets a held pin move again.
pub(crate) fn release(
    input: &PinInput<'_>,
    book: &mut Book,
    target: &Target,
) -> Result<(), Refusal> {
    let pin = pin_of(input, book, target)?;
    match pin.hold.take() {
        Some(_) => Ok(()),
        None => Err(Refusal::NotHeld(target.to_string())),
    }
}

fn pin_of<'a>(
    input: &PinInput<'_>,
    book: &'a mut Book,
    target: &Target,
) -> Result<&'a mut Pin, Refusal> {
    let unknown = || Refusal::Unknown(target.to_string());
    match target {
        Target::Environment(key) => {
            find(input.pipelines, key)?;
            book.environments.get_mut(key).ok_or_else(unknown)
        }
        Target::Cluster(name, source) => {
            let pins = book.clusters.get_mut(name).ok_or_else(unknown)?;
            pins.get_mut(source).ok_or_else(unknown)
        }
    }
}

fn find<'a>(
    pipelines: &'a [Pipeline],
    key: &EnvironmentKey,
) -> Result<(&'a Pipeline, usize), Refusal> {
    let pipeline = pipelines.iter().find(|it| it.name == key.pipeline);
    let found = pipeline.and_then(|it| {
        let at = it.stages.iter().position(|it| it.name == key.environment)?;
        Some((it, at))
    });
    found.ok_or_else(|| Refusal::Unknown(format!("environment {key}")))
}

fn held(target: &str, hold: &Hold) -> Refusal {
    Refusal::Held {
        target: target.to_owned(),
        by: hold.actor.clone(),
        reason: hold.reason.clone(),
    }
}
