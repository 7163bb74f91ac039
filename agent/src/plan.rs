//! What to do about a unit's objects: desired, observed and inventory in, a change set out. Nothing is asked and nothing
//! is done here.

use capstan_core::{
    Digest, ObjectKey, UnitKey,
    desired::DriftMode,
    fuse::Deletion,
    inventory::{Owned, UnitInventory},
    order::{Stage, apply_order},
};

use crate::{
    observed::Sight,
    pass::Completed,
    seen::Seen,
    switches::{ApplyPolicy, Switches},
};

/// An object as a unit wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Identity, with the namespace as it is served.
    pub(crate) key: ObjectKey,
    /// API version without the group.
    pub(crate) version: String,
    /// Digest of its content.
    pub(crate) digest: Digest,
    /// Whether its content is for its cluster only.
    pub(crate) sensitive: bool,
    /// What it says about itself.
    pub(crate) switches: Switches,
    /// Its content, where that was completed here.
    pub(crate) completed: Option<Completed>,
    /// Why it is not applied, where that is known beforehand: policy, another owner, a kind that is not served.
    pub(crate) refused: Option<String>,
}

/// Why an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is wanted for the first time, or otherwise than before.
    Content,
    /// It was changed or deleted by somebody else.
    Drift,
}

/// One object to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Apply {
    /// Which of the wanted.
    pub(crate) index: usize,
    /// Why.
    pub(crate) why: Why,
    /// Fields of others are taken over first.
    pub(crate) take_over: bool,
}

/// What to do, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangeSet {
    /// Objects to apply, stage by stage, in order within each.
    pub(crate) stages: [Vec<Apply>; 3],
    /// Objects that are not applied, and why.
    pub(crate) refused: Vec<(ObjectKey, String)>,
    /// Objects found other than declared, and left so because the unit says so.
    pub(crate) drifted: Vec<usize>,
    /// Objects that cannot be judged yet.
    pub(crate) unknown: Vec<ObjectKey>,
}

/// What the plan of one unit is made from.
pub(crate) struct PlanInput<'a, S: Fn(&ObjectKey) -> Sight> {
    /// The unit.
    pub(crate) unit: &'a UnitKey,
    /// Its objects.
    pub(crate) wanted: &'a [Wanted],
    /// What it owns.
    pub(crate) inventory: &'a UnitInventory,
    /// What is seen of an object.
    pub(crate) sight: S,
    /// What to do about drift.
    pub(crate) mode: DriftMode,
}

/// Decides what is applied.
pub(crate) fn plan<S: Fn(&ObjectKey) -> Sight>(input: &PlanInput<'_, S>) -> ChangeSet {
    let mut set = ChangeSet::default();
    for (index, wanted) in input.wanted.iter().enumerate() {
        if let Some(reason) = &wanted.refused {
            set.refused.push((wanted.key.clone(), reason.clone()));
            continue;
        }
        let owned = input.inventory.objects.get(&wanted.key);
        match decide(input.unit, wanted, owned, (input.sight)(&wanted.key)) {
            Decision::Leave => {}
            Decision::Unknown => set.unknown.push(wanted.key.clone()),
            Decision::Apply {
                why: Why::Drift, ..
            } if input.mode == DriftMode::Warn => {
                set.drifted.push(index);
            }
            Decision::Apply { why, take_over } => {
                set.stages[Stage::of(&wanted.key) as usize].push(Apply {
                    index,
                    why,
                    take_over,
                });
            }
        }
    }
    for stage in &mut set.stages {
        stage.sort_by(|a, b| apply_order(&input.wanted[a.index].key, &input.wanted[b.index].key));
    }
    set
}

enum Decision {
    Leave,
    Unknown,
    Apply { why: Why, take_over: bool },
}

fn decide(unit: &UnitKey, wanted: &Wanted, owned: Option<&Owned>, sight: Sight) -> Decision {
    if wanted.switches.apply == ApplyPolicy::Ignore || wanted.switches.leave {
        return Decision::Leave;
    }
    let same = owned.is_some_and(|it| it.applied == Some(wanted.digest));
    let why = if same { Why::Drift } else { Why::Content };
    match sight {
        Sight::Unlisted => Decision::Unknown,
        Sight::Blind(_) if same => Decision::Leave,
        Sight::Blind(_) | Sight::Absent => Decision::Apply {
            why,
            take_over: false,
        },
        Sight::Present(seen) => {
            if seen.switches.leave || wanted.switches.apply == ApplyPolicy::IfNotPresent {
                return Decision::Leave;
            }
            let take_over = seen.take_over && wanted.switches.apply == ApplyPolicy::Override;
            let untouched = owned.is_some_and(|it| it.own.is_some() && it.own == seen.own);
            if seen.health == capstan_core::Health::Terminating
                || (same && untouched && !take_over && seen.is_of(unit))
            {
                return Decision::Leave;
            }
            Decision::Apply { why, take_over }
        }
    }
}

/// What is deleted, and what the inventory merely forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrunePlan {
    /// Objects to delete, last applied first, each with the version that it is asked for by.
    pub(crate) delete: Vec<(Deletion, String, String)>,
    /// Objects that are no longer ours: gone, kept by their own word, or of another unit.
    pub(crate) forget: Vec<ObjectKey>,
    /// Objects of which nothing is known at present; they stay in the inventory.
    pub(crate) unknown: Vec<ObjectKey>,
}

/// Decides what is deleted of the objects that `inventory` has and `wanted` does not. `handed_over` says that another
/// unit wants the object.
pub(crate) fn plan_prune(
    unit: &UnitKey,
    inventory: &UnitInventory,
    wanted: impl Fn(&ObjectKey) -> bool,
    handed_over: impl Fn(&ObjectKey) -> bool,
    sight: impl Fn(&ObjectKey) -> Sight,
) -> PrunePlan {
    let mut out = PrunePlan::default();
    for (key, owned) in inventory.unwanted(wanted) {
        if handed_over(key) {
            out.forget.push(key.clone());
            continue;
        }
        match sight(key) {
            Sight::Unlisted | Sight::Blind(_) => out.unknown.push(key.clone()),
            Sight::Absent => out.forget.push(key.clone()),
            Sight::Present(seen) if !may_delete(unit, &seen) => out.forget.push(key.clone()),
            // On its way already: it leaves the inventory when it is gone.
            Sight::Present(seen) if seen.health == capstan_core::Health::Terminating => {
                out.unknown.push(key.clone());
            }
            Sight::Present(seen) => {
                let deletion = Deletion {
                    key: key.clone(),
                    uid: seen.uid.to_string(),
                };
                out.delete.push((
                    deletion,
                    owned.version.clone(),
                    seen.resource_version.to_string(),
                ));
            }
        }
    }
    out.delete.sort_by(|a, b| apply_order(&b.0.key, &a.0.key));
    out
}

fn may_delete(unit: &UnitKey, seen: &Seen) -> bool {
    let Switches {
        keep, leave, apply, ..
    } = seen.switches;
    seen.is_of(unit) && !keep && !leave && apply != ApplyPolicy::Ignore
}

#[cfg(test)]
mod tests;
