//! The variables that units take from ConfigMaps and Secrets of their own namespace: read in the unit's name, and again
//! when one of them changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use capstan_core::{Digest, ObjectKey, Substitution, UnitKey, VariableSource, VariableSourceKind};
use capstan_render::substitute::Variables;
use futures::StreamExt;
use serde_json::{Map, Value};
use tokio::{sync::watch, time::timeout};

use crate::{
    cluster::{Actor, Address, Cluster, Live, Resource, WatchEvent, WatchScope},
    policy::Policy,
    shared::{Input, Shared},
};

/// All values of one unit together: each of them may be used many times.
const MAX_VARIABLE_BYTES: usize = 1 << 20;
/// Longest wait for the watches to begin before the first look; without them changes are seen later.
const WATCH_PATIENCE: Duration = Duration::from_secs(5);
/// Time between the first two looks after a failure; it grows with each.
const FIRST_PERIOD: Duration = Duration::from_secs(1);
/// Longest time between two looks after a failure.
const MAX_PERIOD: Duration = Duration::from_secs(60);

/// What was read for a unit.
#[derive(Debug)]
pub(crate) struct Read {
    /// The unit.
    pub(crate) unit: UnitKey,
    /// Its content at the time.
    pub(crate) digest: Digest,
    /// The variables, or why there are none. No values in the reason.
    pub(crate) variables: Result<Arc<Variables>, String>,
}

/// For whom variables are read, and how.
pub(crate) struct Reader<C> {
    pub(crate) shared: Arc<Shared<C>>,
    pub(crate) unit: UnitKey,
    pub(crate) digest: Digest,
    pub(crate) actor: Actor,
    pub(crate) policy: Policy,
    pub(crate) substitution: Substitution,
}

impl<C: Cluster> Reader<C> {
    /// Reads, and reads again with every change, until the task is aborted.
    pub(crate) async fn follow(self) {
        let from = self.substitution.from.iter();
        let mut changes: Vec<_> = from
            .map(|it| {
                let place = (it.kind, self.unit.namespace.clone(), it.name.clone());
                self.shared.places.changes(&self.shared.cluster, place)
            })
            .collect();
        // Late watches say so themselves.
        let _ = timeout(WATCH_PATIENCE, all_changed(&mut changes)).await;
        let mut period = FIRST_PERIOD;
        loop {
            for it in &mut changes {
                it.mark_unchanged();
            }
            let variables = self.read().await.map(Arc::new);
            let failed = variables.is_err();
            let read = Read {
                unit: self.unit.clone(),
                digest: self.digest,
                variables,
            };
            if self
                .shared
                .inbox
                .send(Input::Variables(read))
                .await
                .is_err()
            {
                return;
            }
            if failed {
                // What is in the way may be a right, of which no watch tells.
                let _ = timeout(period, any_changed(&mut changes)).await;
                period = period.mul_f64(1.5).min(MAX_PERIOD);
            } else {
                any_changed(&mut changes).await;
                period = FIRST_PERIOD;
            }
        }
    }

    async fn read(&self) -> Result<Variables, String> {
        let mut variables = Variables::new(self.substitution.always);
        let mut bytes = 0;
        for source in &self.substitution.from {
            let failed = |why: String| format!("substitute from '{source}' error: {why}");
            let data = self.read_one(source).await.map_err(failed)?;
            for (name, value) in data {
                bytes += name.len() + value.len();
                if bytes > MAX_VARIABLE_BYTES {
                    let why = format!("more than {MAX_VARIABLE_BYTES} bytes of variables");
                    return Err(failed(why));
                }
                let secret = source.kind == VariableSourceKind::Secret;
                variables.set(&name, &value, secret).map_err(failed)?;
            }
        }
        for (name, value) in &self.substitution.variables {
            variables.set(name, value, false)?;
        }
        Ok(variables)
    }

    async fn read_one(&self, source: &VariableSource) -> Result<BTreeMap<String, String>, String> {
        let key = ObjectKey {
            group: String::new(),
            kind: source.kind.as_str().to_owned(),
            namespace: self.unit.namespace.clone(),
            name: source.name.clone(),
        };
        let at = Address::of(resource(source.kind), &key);
        let live = self.shared.cluster.get(&self.actor, &at).await;
        let live = live.map_err(|it| it.to_string())?;
        let secret_type = |it: &Live| it.0["type"].as_str().unwrap_or_default().to_owned();
        let secret_type = live.as_ref().map(secret_type).unwrap_or_default();
        let own = &self.shared.namespace;
        if let Some(refusal) = self.policy.refuses_input(own, &key, &secret_type) {
            return Err(refusal);
        }
        match live {
            Some(live) => values(source.kind, live),
            None if source.optional => Ok(BTreeMap::new()),
            None => Err(format!(
                "it is not there in namespace {}; make it, or set `optional: true`",
                key.namespace
            )),
        }
    }
}

fn values(kind: VariableSourceKind, live: Live) -> Result<BTreeMap<String, String>, String> {
    let mut live = live.0;
    let data = match live.get_mut("data").map(Value::take) {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let one = |(name, value): (String, Value)| {
        let text = value.as_str().unwrap_or_default();
        let value = match kind {
            VariableSourceKind::ConfigMap => text.to_owned(),
            VariableSourceKind::Secret => {
                let decoded = BASE64.decode(text).ok();
                let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
                decoded.ok_or_else(|| format!("the value of `{name}` is not text"))?
            }
        };
        Ok((name, value))
    };
    data.into_iter().map(one).collect()
}

fn resource(kind: VariableSourceKind) -> Arc<Resource> {
    let plural = match kind {
        VariableSourceKind::ConfigMap => "configmaps",
        VariableSourceKind::Secret => "secrets",
    };
    Arc::new(Resource {
        group: String::new(),
        version: "v1".to_owned(),
        kind: kind.as_str().to_owned(),
        plural: plural.to_owned(),
        namespaced: true,
    })
}

async fn all_changed(changes: &mut [watch::Receiver<u64>]) {
    for it in changes {
        // A watch that ended changes nothing any more.
        let _ = it.changed().await;
    }
}

async fn any_changed(changes: &mut [watch::Receiver<u64>]) {
    let any = changes.iter_mut().map(|it| {
        Box::pin(async move {
            if it.changed().await.is_err() {
                futures::future::pending::<()>().await;
            }
        })
    });
    let any: Vec<_> = any.collect();
    if any.is_empty() {
        futures::future::pending::<()>().await;
    }
    futures::future::select_all(any).await;
}

type Place = (VariableSourceKind, String, String);

/// Watches of the objects that variables come from: one for each, however many units take from it.
#[derive(Debug, Default)]
pub(crate) struct Places {
    watched: Mutex<BTreeMap<Place, watch::Sender<u64>>>,
}

impl Places {
    /// Says when an object may have changed, the first time when it is known whether it is there.
    fn changes<C: Cluster>(&self, cluster: &Arc<C>, place: Place) -> watch::Receiver<u64> {
        let mut watched = self.watched.lock().expect("nothing panics while it is set");
        watched.retain(|_, it| it.receiver_count() > 0);
        if let Some(sender) = watched.get(&place) {
            let mut changes = sender.subscribe();
            if *changes.borrow() > 0 {
                changes.mark_changed();
            }
            return changes;
        }
        let (kind, namespace, name) = place.clone();
        let stream = cluster.watch(WatchScope {
            resource: resource(kind),
            namespace,
            labels: String::new(),
            name,
            body: false,
        });
        let (sender, changes) = watch::channel(0);
        let told = sender.clone();
        tokio::spawn(async move {
            let mut stream = stream;
            let mut listed = false;
            loop {
                let event = tokio::select! {
                    event = stream.next() => event,
                    () = told.closed() => return,
                };
                match event {
                    None => return,
                    Some(WatchEvent::Restarted) => listed = false,
                    Some(WatchEvent::Synced) => listed = true,
                    Some(WatchEvent::Applied(_) | WatchEvent::Deleted(_)) if !listed => continue,
                    Some(_) => {}
                }
                if listed {
                    told.send_modify(|it| *it += 1);
                }
            }
        });
        watched.insert(place, sender);
        changes
    }
}
