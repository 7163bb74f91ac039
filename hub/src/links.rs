//! For each cluster: the newest desired state, a few before it, commands that wait, and the one live session.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capstan_core::{ClusterUid, DesiredState, Digest};
use capstan_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::session::Held;

/// States kept for deltas to agents that were away for a moment, and for blobs of what they are fetching.
const KEPT_STATES: usize = 4;
/// Commands that wait for an agent; more are refused.
const MAX_COMMANDS: usize = 100;

/// All of them.
#[derive(Default)]
pub(crate) struct Links(Mutex<BTreeMap<ClusterUid, Link>>);

struct Link {
    /// Goes up with every new state or command.
    news: watch::Sender<u64>,
    states: VecDeque<Arc<DesiredState>>,
    commands: Vec<v1::Command>,
    session: Option<(u64, CancellationToken)>,
    sessions: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            news: watch::channel(0).0,
            states: VecDeque::new(),
            commands: Vec::new(),
            session: None,
            sessions: 0,
        }
    }
}

/// A session's place: it is the live one until another takes over or the cluster is cut off.
pub(crate) struct Seat {
    pub(crate) number: u64,
    pub(crate) news: watch::Receiver<u64>,
    pub(crate) cut: CancellationToken,
}

impl Links {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ClusterUid, Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest desired state of a cluster is now `state`.
    pub(crate) fn publish(&self, uid: &ClusterUid, state: Arc<DesiredState>) {
        let mut all = self.all();
        let link = all.entry(uid.clone()).or_default();
        link.states.push_back(state);
        if link.states.len() > KEPT_STATES {
            link.states.pop_front();
        }
        link.news.send_modify(|it| *it += 1);
    }

    /// The newest desired state.
    pub(crate) fn newest(&self, uid: &ClusterUid) -> Option<Arc<DesiredState>> {
        self.all().get(uid)?.states.back().cloned()
    }

    /// The state that an agent says it holds, where it is still here.
    pub(crate) fn known(&self, uid: &ClusterUid, held: &Held) -> Option<Arc<DesiredState>> {
        let all = self.all();
        let mut states = all.get(uid)?.states.iter();
        states.find(|it| Held::of(it) == *held).cloned()
    }

    /// Whether all of these are named by what the cluster has or just had.
    pub(crate) fn names(&self, uid: &ClusterUid, digests: &[Digest]) -> bool {
        let states: Vec<_> = match self.all().get(uid) {
            Some(link) => link.states.iter().cloned().collect(),
            None => return false,
        };
        let mut unnamed: BTreeSet<&Digest> = digests.iter().collect();
        // Newest first: it names what is asked for, most often.
        let units = states.iter().rev().flat_map(|it| it.units.values());
        for entry in units.flat_map(|it| it.entries.iter()) {
            if unnamed.is_empty() {
                break;
            }
            unnamed.remove(&entry.digest);
        }
        unnamed.is_empty()
    }

    /// Takes the place of the live session, ending the one before.
    pub(crate) fn sit(&self, uid: &ClusterUid, stop: &CancellationToken) -> Seat {
        let mut all = self.all();
        let link = all.entry(uid.clone()).or_default();
        if let Some((_, old)) = link.session.take() {
            old.cancel();
        }
        link.sessions += 1;
        let cut = stop.child_token();
        link.session = Some((link.sessions, cut.clone()));
        Seat {
            number: link.sessions,
            news: link.news.subscribe(),
            cut,
        }
    }

    /// Leaves the place. Gives whether it was still this session's.
    pub(crate) fn leave(&self, uid: &ClusterUid, number: u64) -> bool {
        let mut all = self.all();
        let Some(link) = all.get_mut(uid) else {
            return true;
        };
        let own = link.session.take_if(|it| it.0 == number).is_some();
        own || link.session.is_none()
    }

    /// Ends the live session of a cluster, now.
    pub(crate) fn cut(&self, uid: &ClusterUid) {
        if let Some((_, session)) = self.all().get_mut(uid).and_then(|it| it.session.take()) {
            session.cancel();
        }
    }

    /// Forgets a cluster.
    pub(crate) fn forget(&self, uid: &ClusterUid) {
        self.cut(uid);
        self.all().remove(uid);
    }

    /// Gives a command to the agent, now or when it is back. Gives whether there was room.
    pub(crate) fn command(&self, uid: &ClusterUid, command: v1::Command) -> bool {
        let mut all = self.all();
        let link = all.entry(uid.clone()).or_default();
        if link.commands.len() >= MAX_COMMANDS {
            return false;
        }
        link.commands.push(command);
        link.news.send_modify(|it| *it += 1);
        true
    }

    /// The commands that wait.
    pub(crate) fn take_commands(&self, uid: &ClusterUid) -> Vec<v1::Command> {
        let mut all = self.all();
        all.get_mut(uid)
            .map(|it| std::mem::take(&mut it.commands))
            .unwrap_or_default()
    }

    /// The digests that any state kept here names.
    pub(crate) fn all_named(&self) -> BTreeSet<Digest> {
        let all = self.all();
        let states = all.values().flat_map(|it| &it.states);
        let entries = states
            .flat_map(|it| it.units.values())
            .flat_map(|it| &it.entries);
        entries.map(|it| it.digest).collect()
    }
}
