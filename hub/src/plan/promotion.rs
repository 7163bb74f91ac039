//! What people ask of a pipeline: promote, roll back, release. Each is a question with a set of pin changes as answer,
//! or the reason why not.

use capstan_core::{ClusterName, Revision, SourceKey};

use super::pins::{Hold, Pin, PinChange, PinInput, common, pipeline_source, settled};

/// Why a request is refused. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    /// No such pipeline.
    #[error("there is no pipeline `{name}` in the fleet path; there are: {known}")]
    NoPipeline {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No such environment.
    #[error("pipeline `{pipeline}` has no environment `{name}`; it has: {known}")]
    NoEnvironment {
        /// The pipeline.
        pipeline: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The first environment follows the source.
    #[error(
        "`{environment}` is the first environment of the pipeline and follows the source; there is nothing to promote to it"
    )]
    First {
        /// The environment.
        environment: String,
    },
    /// The environment before is not healthy throughout with one revision.
    #[error("not promoted to `{environment}`: {reason}; wait, or use --force with a reason")]
    NotReady {
        /// The environment.
        environment: String,
        /// What is in the way.
        reason: String,
    },
    /// Nothing is known that could be promoted.
    #[error("not promoted to `{environment}`: the environment before has no revision yet")]
    Nothing {
        /// The environment.
        environment: String,
    },
    /// Force needs a reason.
    #[error("--force needs --reason, which is kept in the audit record")]
    NoReason,
    /// A pin of the environment does not move.
    #[error("cluster {cluster} is held by {actor} ({reason}); release it first")]
    Held {
        /// The cluster.
        cluster: ClusterName,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A cluster of the environment is frozen.
    #[error("cluster {cluster} is frozen; lift the freeze first")]
    Frozen {
        /// The cluster.
        cluster: ClusterName,
    },
    /// There is no earlier healthy revision.
    #[error("cluster {cluster} has no earlier revision that was healthy; nothing is rolled back")]
    NoEarlier {
        /// The cluster.
        cluster: ClusterName,
    },
    /// The environment has no clusters.
    #[error("environment `{environment}` has no clusters")]
    Empty {
        /// The environment.
        environment: String,
    },
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The pipeline.
    pub pipeline: String,
    /// The environment.
    pub environment: String,
}

/// Gives every cluster of an environment the revision that is healthy in every cluster of the environment before. With
/// `force` and a reason: the revision that most clusters there have, healthy or not.
pub fn promote(
    input: &PinInput<'_>,
    scope: &Scope,
    force: bool,
    actor: &str,
    reason: &str,
) -> Result<Vec<PinChange>, PromotionError> {
    let (source, environments, at) = find(input, scope)?;
    let environment = scope.environment.clone();
    if at == 0 {
        return Err(PromotionError::First { environment });
    }
    if force && reason.trim().is_empty() {
        return Err(PromotionError::NoReason);
    }
    let before = &environments[at - 1];
    let revision = if force {
        common(input, &source, before).ok_or(PromotionError::Nothing { environment })?
    } else {
        settled(input, &source, before).map_err(|reason| PromotionError::NotReady {
            environment,
            reason,
        })?
    };
    let why = format!("promoted from {} by {actor}", before.name);
    let why = if reason.is_empty() {
        why
    } else {
        format!("{why}: {reason}")
    };
    let mut changes = Vec::new();
    for cluster in clusters(input, scope, &environments[at])? {
        let key = (cluster, source.clone());
        let pin = input.pins.get(&key);
        refuse_stopped(input, &key.0, pin)?;
        if pin.is_some_and(|it| it.revision == revision) {
            continue;
        }
        let healthy = pin.map(|it| it.healthy.clone()).unwrap_or_default();
        changes.push(PinChange {
            key,
            pin: Pin {
                revision: revision.clone(),
                hold: None,
                healthy,
            },
            reason: why.clone(),
        });
    }
    Ok(changes)
}

/// Gives every cluster of an environment the last revision that was healthy there before the present one, and holds it
/// there until it is released.
pub fn rollback(
    input: &PinInput<'_>,
    scope: &Scope,
    actor: &str,
    reason: &str,
) -> Result<Vec<PinChange>, PromotionError> {
    let (source, environments, at) = find(input, scope)?;
    let mut changes = Vec::new();
    for cluster in clusters(input, scope, &environments[at])? {
        if input.frozen.contains(&cluster) {
            return Err(PromotionError::Frozen { cluster });
        }
        let key = (cluster.clone(), source.clone());
        let pin = input.pins.get(&key);
        let earlier = pin.and_then(|pin| earlier(pin).map(|it| (pin, it)));
        let Some((pin, revision)) = earlier else {
            return Err(PromotionError::NoEarlier { cluster });
        };
        let hold = Hold {
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        };
        let kept = pin
            .healthy
            .iter()
            .take_while(|it| **it != revision)
            .cloned();
        let healthy = kept.chain([revision.clone()]).collect();
        let why = format!(
            "rolled back from {} by {actor}: {reason}",
            pin.revision.short()
        );
        changes.push(PinChange {
            key,
            pin: Pin {
                revision,
                hold: Some(hold),
                healthy,
            },
            reason: why,
        });
    }
    Ok(changes)
}

/// Lets the pins of an environment move again.
pub fn release(
    input: &PinInput<'_>,
    scope: &Scope,
    actor: &str,
) -> Result<Vec<PinChange>, PromotionError> {
    let (source, environments, at) = find(input, scope)?;
    let held = clusters(input, scope, &environments[at])?
        .into_iter()
        .filter_map(|cluster| {
            let key = (cluster, source.clone());
            let pin = input.pins.get(&key).filter(|it| it.hold.is_some())?;
            let pin = Pin {
                hold: None,
                ..pin.clone()
            };
            Some(PinChange {
                key,
                pin,
                reason: format!("released by {actor}"),
            })
        });
    Ok(held.collect())
}

fn earlier(pin: &Pin) -> Option<Revision> {
    pin.healthy
        .iter()
        .rev()
        .find(|it| **it != pin.revision)
        .cloned()
}

type Found<'a> = (SourceKey, &'a [capstan_render::capstan::Environment], usize);

fn find<'a>(input: &PinInput<'a>, scope: &Scope) -> Result<Found<'a>, PromotionError> {
    let list = |names: Vec<&str>| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let pipeline =
        input
            .pipelines
            .get(&scope.pipeline)
            .ok_or_else(|| PromotionError::NoPipeline {
                name: scope.pipeline.clone(),
                known: list(input.pipelines.keys().map(String::as_str).collect()),
            })?;
    let environments = pipeline.environments.as_slice();
    let at = environments
        .iter()
        .position(|it| it.name == scope.environment);
    let at = at.ok_or_else(|| PromotionError::NoEnvironment {
        pipeline: scope.pipeline.clone(),
        name: scope.environment.clone(),
        known: list(environments.iter().map(|it| it.name.as_str()).collect()),
    })?;
    Ok((pipeline_source(pipeline), environments, at))
}

/// The clusters for which this is the first environment of the pipeline that chooses them.
fn clusters(
    input: &PinInput<'_>,
    scope: &Scope,
    environment: &capstan_render::capstan::Environment,
) -> Result<Vec<ClusterName>, PromotionError> {
    let pipeline = &input.pipelines[&scope.pipeline];
    let first = |labels| {
        pipeline
            .environments
            .iter()
            .find(|it| it.clusters.matches(labels))
    };
    let chosen = input
        .clusters
        .iter()
        .filter(|it| first(it.1).is_some_and(|found| found.name == environment.name));
    let chosen: Vec<ClusterName> = chosen.map(|it| it.0.clone()).collect();
    if chosen.is_empty() {
        return Err(PromotionError::Empty {
            environment: scope.environment.clone(),
        });
    }
    Ok(chosen)
}

fn refuse_stopped(
    input: &PinInput<'_>,
    cluster: &ClusterName,
    pin: Option<&Pin>,
) -> Result<(), PromotionError> {
    let cluster = cluster.clone();
    if input.frozen.contains(&cluster) {
        return Err(PromotionError::Frozen { cluster });
    }
    match pin.and_then(|it| it.hold.clone()) {
        Some(Hold { actor, reason }) => Err(PromotionError::Held {
            cluster,
            actor,
            reason,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::pins::{
        Standing,
        tests::{World, key},
    };

    fn scope(environment: &str) -> Scope {
        Scope {
            pipeline: "platform".into(),
            environment: environment.into(),
        }
    }

    fn carry_out(world: &mut World, changes: Vec<PinChange>) {
        for change in changes {
            world.standing.remove(&change.key);
            world.pins.insert(change.key, change.pin);
        }
        world.settle();
    }

    fn world() -> World {
        let mut world = World::new(&[
            ("d1", "dev"),
            ("d2", "dev"),
            ("p", "prod"),
            ("s", "staging"),
        ])
        .with_pipeline(&[]);
        world.settle();
        world
    }

    #[test]
    fn promotion_waits_for_health_unless_forced() {
        let mut world = world();
        let error = promote(&world.input(), &scope("staging"), false, "ann", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "not promoted to `staging`: cluster d1 is not healthy yet at main@1; wait, or use --force with a reason"
        );
        assert_eq!(
            promote(&world.input(), &scope("staging"), true, "ann", " "),
            Err(PromotionError::NoReason)
        );
        let forced = promote(&world.input(), &scope("staging"), true, "ann", "hotfix").unwrap();
        assert_eq!(forced[0].reason, "promoted from dev by ann: hotfix");
        world.set("d1", Standing::Healthy);
        world.set("d2", Standing::Healthy);
        let changes = promote(&world.input(), &scope("staging"), false, "ann", "").unwrap();
        carry_out(&mut world, changes);
        assert_eq!((world.at("s"), world.at("p")), ("1", ""));
    }

    #[test]
    fn a_rollback_holds_until_released() {
        let mut world = world();
        for number in 1..=2 {
            world.commit(number);
            world.settle();
            world.set("d1", Standing::Healthy);
            world.set("d2", Standing::Healthy);
        }
        let changes = rollback(&world.input(), &scope("dev"), "ann", "bad").unwrap();
        carry_out(&mut world, changes);
        world.commit(3);
        world.settle();
        assert_eq!((world.at("d1"), world.at("d2")), ("1", "1"));
        let error = rollback(&world.input(), &scope("dev"), "ann", "bad").unwrap_err();
        assert!(
            matches!(error, PromotionError::NoEarlier { .. }),
            "never further than was healthy: {error}"
        );
        let changes = release(&world.input(), &scope("dev"), "ann").unwrap();
        assert_eq!(changes.len(), 2);
        carry_out(&mut world, changes);
        assert_eq!(world.at("d1"), "3");
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let world = world();
        let error = promote(&world.input(), &scope("live"), false, "ann", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "pipeline `platform` has no environment `live`; it has: dev, staging, prod"
        );
        let error = promote(&world.input(), &scope("dev"), false, "ann", "").unwrap_err();
        assert!(matches!(error, PromotionError::First { .. }));
        assert!(!world.pins.contains_key(&key("p")));
    }
}
