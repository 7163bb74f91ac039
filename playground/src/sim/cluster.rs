//! A running cluster: its state, what wakes those who wait for it, and its clock.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

use super::controllers;
use super::faults::Faults;
use super::record::Record;
use super::state::State;
use super::tls::Tls;

/// Threads that serve all simulated clusters of a process together.
const WORKERS: usize = 2;

/// What all clusters of a process run on, so that a test may use any runtime, or none, and may block its own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("sim")
        .enable_all()
        .build()
        .expect("a process that can run tests can start two threads")
});

pub(crate) fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// Whether requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Running,
    /// Connections stay, nothing is answered.
    Frozen,
    /// Connections are gone.
    Stopped,
}

/// What tests look at and set while requests run.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) faults: Faults,
    pub(crate) record: Record,
}

/// One cluster, shared by its connections.
pub(crate) struct Cluster {
    state: Mutex<State>,
    observed: Mutex<Observed>,
    /// The newest resource version; watches wait for it.
    pub(crate) woken: watch::Sender<u64>,
    pub(crate) gate: watch::Sender<Gate>,
    /// Timers or the time have changed.
    pub(crate) clock_changed: Notify,
    pub(crate) tls: Option<Tls>,
}

impl Cluster {
    pub(crate) fn new(state: State, tls: Option<Tls>) -> Cluster {
        let version = state.store.version();
        Cluster {
            state: Mutex::new(state),
            observed: Mutex::default(),
            woken: watch::Sender::new(version),
            gate: watch::Sender::new(Gate::Running),
            clock_changed: Notify::new(),
            tls,
        }
    }

    /// The state. A panic of another request does not make it unreadable: each write is one replacement of an object.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, lets the controllers react, and wakes watches.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (out, version, timers) = {
            let mut state = self.lock();
            let out = change(&mut state);
            let due = controllers::run(&mut state);
            (out, state.store.version(), due.is_some())
        };
        self.woken
            .send_if_modified(|known| std::mem::replace(known, version) != version);
        if timers {
            self.clock_changed.notify_one();
        }
        out
    }

    /// Waits until requests are answered.
    pub(crate) async fn thawed(&self) {
        let mut gate = self.gate.subscribe();
        // An error would mean that the cluster is gone, and this task with it.
        let _ = gate.wait_for(|g| *g == Gate::Running).await;
    }
}

/// Runs the controllers whenever something is due by the clock.
pub(crate) async fn tick(cluster: Arc<Cluster>) {
    let mut gate = cluster.gate.subscribe();
    loop {
        let due = {
            let state = cluster.lock();
            let first = state.timers.first_key_value().map(|((at, _, _), ())| *at);
            // A clock that stands still is moved by its owner, who runs the controllers then.
            first.filter(|_| state.clock.frozen.is_none()).map(|at| {
                Duration::try_from(at.duration_since(state.clock.now())).unwrap_or_default()
            })
        };
        let sleep = async {
            match due {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => cluster.write(|_| ()),
            () = cluster.clock_changed.notified() => {}
            _ = gate.wait_for(|g| *g == Gate::Stopped) => return,
        }
    }
}
