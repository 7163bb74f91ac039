//! Objects that a unit waits for without owning them: `spec.healthChecks`. They are looked at only while a unit waits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use capstan_core::{
    Digest, Health, ObjectKey, UnitKey,
    desired::ObjectRef,
    health::{Verdict, health},
};

use crate::{
    cluster::{Actor, Address, Cluster},
    shared::{Input, Shared},
};

/// Time between the first two looks; it grows with each.
const FIRST_PERIOD: Duration = Duration::from_secs(1);
/// Longest time between two looks.
const MAX_PERIOD: Duration = Duration::from_secs(30);

/// What was seen of the objects that a unit waits for.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The unit.
    pub(crate) unit: UnitKey,
    /// Its content at the time.
    pub(crate) digest: Digest,
    /// The objects.
    pub(crate) verdicts: BTreeMap<ObjectKey, Verdict>,
}

/// Looks at `checks` until all are as they should be, or the task is aborted.
pub(crate) async fn follow<C: Cluster>(
    shared: Arc<Shared<C>>,
    unit: UnitKey,
    digest: Digest,
    actor: Actor,
    checks: Vec<ObjectRef>,
) {
    let mut period = FIRST_PERIOD;
    loop {
        let mut verdicts = BTreeMap::new();
        for check in &checks {
            verdicts.insert(check.key.clone(), look(&shared, &actor, check).await);
        }
        let done = verdicts.values().all(|it| it.health == Health::Current);
        let checked = Checked {
            unit: unit.clone(),
            digest,
            verdicts,
        };
        if shared.inbox.send(Input::Checked(checked)).await.is_err() || done {
            return;
        }
        tokio::time::sleep(period).await;
        period = period.mul_f64(1.3).min(MAX_PERIOD);
    }
}

async fn look<C: Cluster>(shared: &Shared<C>, actor: &Actor, check: &ObjectRef) -> Verdict {
    let verdict = |health, message: String| Verdict { health, message };
    let key = &check.key;
    let discovery = shared.discovery();
    let found = discovery
        .find(&key.group, &key.kind, &check.version)
        .or_else(|| discovery.preferred(&key.group, &key.kind));
    let Some(resource) = found else {
        return verdict(Health::NotFound, "its kind is not served".into());
    };
    match shared.cluster.get(actor, &Address::of(resource, key)).await {
        Ok(Some(live)) => health(key, &live.0),
        Ok(None) => verdict(Health::NotFound, "is not there".into()),
        Err(error) => verdict(Health::Unknown, error.to_string()),
    }
}
