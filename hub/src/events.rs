//! Numbered events and audit records: kept in memory for readers, written to the store in batches.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use capstan_core::{ClusterName, Event, Severity};
use tokio::sync::{Notify, watch};
use tracing::field::display;

use crate::{
    clock::now_ms,
    state::Audit,
    store::{AuditRecord, Batch, Db, DbError, EventRecord, KEPT_EVENTS},
};

fn log(cluster: Option<&ClusterName>, event: &Event) {
    let (cluster, unit) = (cluster.map(display), event.unit.as_ref().map(display));
    let object = event.object.as_ref().map(display);
    let (reason, message) = (&event.reason, &event.message);
    match event.severity {
        Severity::Warning => tracing::warn!(cluster, unit, object, reason, "{message}"),
        Severity::Info => tracing::info!(cluster, unit, object, reason, "{message}"),
    }
}

/// What happened, newest last.
pub(crate) struct EventLog {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    unwritten: Notify,
    next_audit: AtomicU64,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<EventRecord>,
    next: u64,
    written: u64,
}

impl EventLog {
    /// What the store has.
    pub(crate) fn open(db: &Db) -> Result<Self, DbError> {
        let events: VecDeque<EventRecord> = db.events()?.into();
        let next = events.back().map_or(1, |it| it.number + 1);
        let audit = db.audit()?.last().map_or(1, |it| it.number + 1);
        Ok(Self {
            inner: Mutex::new(Inner {
                events,
                next,
                written: next,
            }),
            changed: watch::channel(next).0,
            unwritten: Notify::new(),
            next_audit: AtomicU64::new(audit),
        })
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    pub(crate) fn append(&self, cluster: Option<ClusterName>, event: Event) {
        log(cluster.as_ref(), &event);
        let number = {
            let mut inner = self.inner();
            let number = inner.next;
            inner.next += 1;
            inner.events.push_back(EventRecord {
                number,
                cluster,
                event,
            });
            while inner.events.len() as u64 > KEPT_EVENTS {
                inner.events.pop_front();
            }
            number
        };
        self.changed.send_replace(number);
        self.unwritten.notify_one();
    }

    /// Events after `number` that `keep` keeps, oldest first, at most the newest `limit` of them.
    pub(crate) fn after(
        &self,
        number: u64,
        limit: usize,
        keep: impl Fn(&EventRecord) -> bool,
    ) -> Vec<EventRecord> {
        let inner = self.inner();
        let newest = inner
            .events
            .iter()
            .rev()
            .take_while(|it| it.number > number);
        let mut found: Vec<_> = newest.filter(|it| keep(it)).take(limit).cloned().collect();
        found.reverse();
        found
    }

    /// Wakes at each new event.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The next audit record.
    pub(crate) fn audit_record(&self, audit: Audit, outcome: &str) -> AuditRecord {
        tracing::info!(
            actor = audit.actor,
            verb = audit.verb,
            target_ = audit.target,
            reason = audit.reason,
            outcome,
            "audit"
        );
        AuditRecord {
            number: self.next_audit.fetch_add(1, Ordering::Relaxed),
            time_ms: now_ms(),
            actor: audit.actor,
            verb: audit.verb,
            target: audit.target,
            reason: audit.reason,
            outcome: outcome.to_owned(),
        }
    }

    /// Waits for events that are not in the store yet.
    pub(crate) async fn unwritten(&self) {
        self.unwritten.notified().await;
    }

    /// Writes what is not in the store yet.
    pub(crate) fn flush(&self, db: &Db) -> Result<(), DbError> {
        let (events, next) = {
            let inner = self.inner();
            let unwritten = inner.events.iter().filter(|it| it.number >= inner.written);
            (unwritten.cloned().collect::<Vec<_>>(), inner.next)
        };
        if events.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.put_events(&events);
        db.commit(&batch)?;
        self.inner().written = next;
        Ok(())
    }
}
