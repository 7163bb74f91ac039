//! The agent's reconciler: one owner of all units' states. It is woken by a new desired state, by watches, by passes that end
//! and by its clock; it reads the whole state, and starts the passes that are due. A unit that waits holds nothing.

mod content;
mod evaluate;
mod fights;
mod trace;
mod turn;
mod unit;
mod variables;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use capstan_core::{DesiredState, Digest, Event, ObjectKey, Severity, StoreEpoch, UnitKey};
use capstan_proto::CommitTraces;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use self::unit::UnitState;
use crate::{
    cluster::{Cluster, WatchEvent},
    ledger::Stamp,
    observed::{Sight, Topic},
    outbox::Outbox,
    pass::Outcome,
    policy::Policy,
    session::Order,
    shared::{Input, Shared},
};

/// Inputs taken before the state is looked at: many changes of one unit cost one look.
const INPUTS_AT_ONCE: usize = 1_000;
/// A turn that is not worth a rest: fewer units and objects than a person would notice.
const SHORT_TURN: Duration = Duration::from_millis(1);
/// Longest rest: a correction of drift waits no longer for it.
const LONGEST_REST: Duration = Duration::from_millis(50);
/// Discovery without a reason: kinds come and go without our doing.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(600);

/// Reports on their way to the hub, and a bell.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    outbox: Arc<Mutex<Outbox>>,
    bell: Arc<watch::Sender<u64>>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            outbox: Arc::default(),
            bell: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Reports {
    /// The outbox, for a moment.
    pub(crate) fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        self.outbox
            .lock()
            .expect("nothing panics while it is changed")
    }

    /// Rings when there is something to say.
    pub(crate) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    pub(crate) fn ring(&self) {
        self.bell.send_modify(|it| *it += 1);
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

/// The reconciler.
pub(crate) struct Engine<C> {
    shared: Arc<Shared<C>>,
    reports: Reports,
    /// To whom the inventory belongs, where it says.
    stamp: Option<Stamp>,
    kube_system_uid: String,
    desired: Option<Arc<DesiredState>>,
    /// The key under which sensitive content is addressed.
    digest_key: [u8; 32],
    policy: Policy,
    /// Why nothing is written: this inventory is another hub's or another cluster's.
    stranger: Option<String>,
    /// Why nothing is pruned.
    prune_hold: Option<String>,
    units: BTreeMap<UnitKey, UnitState>,
    /// Units want other objects than when that was last acted upon; many at a time cost one look.
    items_changed: bool,
    /// Which unit has which object; where two declare one, the first by key.
    owners: Arc<BTreeMap<ObjectKey, UnitKey>>,
    touched: BTreeSet<UnitKey>,
    passes: JoinSet<(UnitKey, Option<Digest>, Outcome)>,
    /// Whether the kinds of the inventory are watched.
    discovered: bool,
    discovering: bool,
    discover_at: Instant,
    /// Units whose pass is due and waits for others to end.
    starved: BTreeSet<UnitKey>,
    /// What runs beside the passes, and ends with the engine.
    chores: JoinSet<()>,
    /// Where it is told how commits fare.
    pub(crate) traces: Arc<CommitTraces>,
}

impl<C: Cluster> Engine<C> {
    /// An engine that knows nothing yet of what should be.
    pub(crate) fn new(
        shared: Arc<Shared<C>>,
        reports: Reports,
        stamp: Option<Stamp>,
        kube_system_uid: String,
    ) -> Self {
        Self {
            shared,
            reports,
            stamp,
            kube_system_uid,
            desired: None,
            digest_key: [0; 32],
            policy: Policy::default(),
            stranger: None,
            prune_hold: None,
            units: BTreeMap::new(),
            items_changed: false,
            owners: Arc::default(),
            touched: BTreeSet::new(),
            passes: JoinSet::new(),
            discovered: false,
            discovering: false,
            discover_at: Instant::now(),
            starved: BTreeSet::new(),
            chores: JoinSet::new(),
            traces: Arc::default(),
        }
    }

    /// Runs until nobody can tell it anything any more, or it is dropped.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                input = inbox.recv() => {
                    let Some(input) = input else { return };
                    self.take(input);
                    for _ in 0..INPUTS_AT_ONCE {
                        let Ok(input) = inbox.try_recv() else { break };
                        self.take(input);
                    }
                }
                Some(done) = self.passes.join_next() => self.finish(done),
                Some(_) = self.chores.join_next() => {}
                () = tokio::time::sleep_until(wake) => self.wake(),
            }
            while let Some(done) = self.passes.try_join_next() {
                self.finish(done);
            }
            let begun = Instant::now();
            if self.items_changed {
                self.know_items();
            }
            self.turn();
            self.rest(begun.elapsed()).await;
        }
    }

    /// Lets events come together: in a storm of them, looking takes at most half of the time.
    async fn rest(&self, turn: Duration) {
        if turn >= SHORT_TURN {
            tokio::time::sleep(turn.min(LONGEST_REST)).await;
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Adopt {
                state,
                trusted_epoch,
                hub_id,
                digest_key,
            } => {
                self.digest_key = digest_key;
                self.adopt(state, trusted_epoch, hub_id);
            }
            Input::Order(Order::Confirm {
                unit,
                digest,
                actor,
                reason,
            }) => self.confirm(&unit, digest, &actor, &reason),
            Input::Watch(topic, event) => self.observe(&topic, event),
            Input::Policy(policy) => self.obey(policy),
            Input::Checked(checked) => {
                if let Some(unit) = self.units.get_mut(&checked.unit)
                    && unit.digest() == Some(checked.digest)
                {
                    unit.checks = checked.verdicts;
                    self.touched.insert(checked.unit);
                }
            }
            Input::Variables(read) => self.take_variables(read),
            Input::Discovered => self.know_kinds(),
        }
    }

    fn know_kinds(&mut self) {
        if !self.discovered {
            self.discover_at = Instant::now() + DISCOVERY_PERIOD;
        }
        self.discovering = false;
        self.discovered = true;
        for state in self.units.values_mut() {
            // A kind that was missing may be there now.
            state.dirty |= state.last.as_ref().is_some_and(|it| it.1.misses_kinds);
        }
        self.know_items();
        self.touch_all();
    }

    fn adopt(&mut self, state: Arc<DesiredState>, trusted_epoch: StoreEpoch, hub_id: String) {
        self.stranger = self.stamp.as_ref().and_then(|it| {
            let other = |what: &str| {
                Some(format!(
                    "the inventory in namespace {} is of another {what}: nothing is written; delete the Secrets \
                     labelled capstan.dev/inventory to begin anew, which orphans what they list",
                    self.shared.namespace
                ))
            };
            match it {
                it if it.hub_id != hub_id => other("hub"),
                it if it.kube_system_uid != self.kube_system_uid => other("cluster"),
                _ => None,
            }
        });
        let epoch = state.epoch.to_string();
        let inventory_epoch = self.stamp.as_ref().map(|it| it.epoch.clone());
        let known = trusted_epoch == state.epoch
            && inventory_epoch.is_none_or(|it| it == epoch || self.desired.is_some());
        self.prune_hold = (!known).then(|| {
            "the hub's store is another one than before; confirm its epoch to let it remove objects".into()
        });
        if self.stranger.is_none() {
            let stamp = Stamp {
                hub_id,
                kube_system_uid: self.kube_system_uid.clone(),
                epoch: if known {
                    epoch
                } else {
                    self.stamp
                        .as_ref()
                        .map_or_else(String::new, |it| it.epoch.clone())
                },
            };
            self.shared.ledger.set_stamp(stamp.clone());
            self.stamp = Some(stamp);
        }
        self.desired = Some(state);
        self.spread();
    }

    /// Makes the units' states fit the desired state.
    fn spread(&mut self) {
        let Some(desired) = self.desired.clone() else {
            return;
        };
        for (key, unit) in &desired.units {
            let state = self.units.entry(key.clone()).or_default();
            state.revision = desired.revision_of(unit).cloned();
            if state.digest() != Some(unit.digest) {
                state.replace(unit);
                self.make_items(key);
            }
        }
        let listed: Vec<UnitKey> = self.shared.ledger.units().keys().cloned().collect();
        for key in listed {
            self.units.entry(key).or_default();
        }
        for (key, state) in &mut self.units {
            if !desired.units.contains_key(key) {
                state.remove();
            }
        }
        self.know_items();
        self.touch_all();
    }

    /// What follows from which objects the units want.
    fn know_items(&mut self) {
        self.find_owners();
        self.watch_inventory();
        self.items_changed = false;
    }

    /// Finds who owns what. The first unit by key has an object that two declare.
    fn find_owners(&mut self) {
        let discovery = self.shared.discovery();
        let mut owners: BTreeMap<ObjectKey, UnitKey> = BTreeMap::new();
        for (unit, state) in &self.units {
            for item in state.items.iter() {
                let mut key = item.key.clone();
                let served = discovery.find(&key.group, &key.kind, &item.version);
                if served.is_some_and(|it| !it.namespaced) {
                    key.namespace.clear();
                }
                owners.entry(key).or_insert_with(|| unit.clone());
            }
        }
        self.owners = Arc::new(owners);
    }

    /// Watches every kind that the inventory lists and the units want, and no other.
    fn watch_inventory(&mut self) {
        if !self.discovered {
            return;
        }
        let discovery = self.shared.discovery();
        let mut needed: BTreeSet<Topic> = BTreeSet::new();
        for (unit, inventory) in self.shared.ledger.units().iter() {
            let topics = inventory.objects.keys().map(|it| Topic::of(it, unit.kind));
            needed.extend(topics);
        }
        for (unit, state) in &self.units {
            needed.extend(state.items.iter().map(|it| Topic::of(&it.key, unit.kind)));
        }
        for topic in &needed {
            if let Some(resource) = discovery.preferred(&topic.group, &topic.kind) {
                self.shared.watch(topic, resource);
            }
        }
        self.shared.keep_watching(|it| needed.contains(it));
    }

    fn touch_all(&mut self) {
        self.touched.extend(self.units.keys().cloned());
    }

    fn observe(&mut self, topic: &Topic, event: WatchEvent) {
        if let WatchEvent::Failed(error) = &event {
            tracing::warn!(group = topic.group, kind = topic.kind, %error, "a watch failed");
        }
        let synced = matches!(event, WatchEvent::Synced | WatchEvent::Failed(_));
        let is_definition = topic.kind == "CustomResourceDefinition";
        let changed = self.shared.observed().take(topic, event);
        if synced || !changed.is_empty() {
            self.shared.bump();
        }
        if is_definition && !changed.is_empty() {
            self.discover_at = self.discover_at.min(Instant::now());
        }
        for (key, managed) in changed {
            let Some(unit) = self.unit_of(&key, topic) else {
                continue;
            };
            let differs = self.differs(&unit, &key);
            self.shared.note(&key, managed.filter(|_| differs));
            if !self.owners.contains_key(&key)
                && let Some(state) = self.units.get_mut(&unit)
            {
                // It is to be pruned, and is otherwise than when that was planned.
                state.dirty = true;
            }
            self.touched.insert(unit);
        }
        if synced {
            self.touch_all();
        }
    }

    /// Whether others changed what we own of an object.
    fn differs(&self, unit: &UnitKey, key: &ObjectKey) -> bool {
        let Sight::Present(seen) = self.shared.observed().sight(key, unit.kind) else {
            return true;
        };
        let units = self.shared.ledger.units();
        let owned = units.get(unit).and_then(|it| it.objects.get(key));
        seen.take_over || owned.is_none_or(|it| it.own != seen.own) || !seen.is_of(unit)
    }

    fn unit_of(&self, key: &ObjectKey, topic: &Topic) -> Option<UnitKey> {
        if let Some(unit) = self.owners.get(key) {
            return (unit.kind == topic.family).then(|| unit.clone());
        }
        let units = self.shared.ledger.units();
        let found = units.iter().find(|(_, it)| it.objects.contains_key(key));
        found.map(|it| it.0.clone())
    }

    fn obey(&mut self, policy: Policy) {
        if policy == self.policy {
            return;
        }
        if policy.pause != self.policy.pause {
            let message = match &policy.pause {
                Some(reason) => format!("paused by the cluster's policy: {reason}"),
                None => "no longer paused by the cluster's policy".into(),
            };
            self.say(Severity::Warning, "Policy", None, None, message);
        }
        self.policy = policy;
        self.reports
            .outbox()
            .paused(self.policy.pause.as_deref().unwrap_or_default());
        self.reports.ring();
        self.remake_all();
        self.touch_all();
    }

    fn confirm(&mut self, unit: &UnitKey, digest: Digest, actor: &str, reason: &str) {
        if self.policy.confirm_here {
            let text = format!(
                "a confirmation by {actor} is not taken: the cluster's policy asks for it in ConfigMap {}",
                crate::policy::POLICY
            );
            self.say(
                Severity::Warning,
                "ConfirmationRefused",
                Some(unit),
                None,
                text,
            );
            return;
        }
        let Some(state) = self.units.get_mut(unit) else {
            return;
        };
        state.confirmed.insert(digest);
        state.dirty = true;
        self.touched.insert(unit.clone());
        let text = format!("deletion confirmed by {actor}: {reason}");
        self.say(Severity::Info, "Confirmed", Some(unit), None, text);
    }

    fn say(
        &self,
        severity: Severity,
        reason: &str,
        unit: Option<&UnitKey>,
        object: Option<&ObjectKey>,
        message: String,
    ) {
        let about = object.map(ToString::to_string).unwrap_or_default();
        let unit_text = unit.map(ToString::to_string).unwrap_or_default();
        tracing::info!(unit = unit_text, object = about, reason, "{message}");
        self.reports.outbox().event(Event {
            time_ms: now_ms(),
            severity,
            reason: reason.to_owned(),
            unit: unit.cloned(),
            object: object.cloned(),
            message: capstan_core::report::bounded_message(message),
        });
        self.reports.ring();
    }
}
