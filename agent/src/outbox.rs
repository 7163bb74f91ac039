//! What the hub is to be told: the latest report of each unit and the events since the last time, coalesced until a
//! status may be sent. Sent means acknowledged: what was on its way when a stream broke is sent again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use capstan_core::{Event, UnitKey, UnitReport};
use capstan_proto::v1;
use prost::Message;

/// Events that are kept while they cannot be sent; the oldest go first.
const MAX_EVENTS: usize = 1_000;
/// Size at which a status is sent in another message.
const STATUS_BYTES: usize = 1 << 20;
/// Events in one status.
const EVENTS_PER_STATUS: usize = 200;

/// Reports and events on their way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    reports: BTreeMap<UnitKey, UnitReport>,
    dirty: BTreeSet<UnitKey>,
    gone: BTreeSet<UnitKey>,
    events: VecDeque<Event>,
    paused: String,
    paused_changed: bool,
    full: bool,
    sequence: u64,
    sent: BTreeMap<u64, Sent>,
}

#[derive(Debug)]
struct Sent {
    units: Vec<UnitKey>,
    gone: Vec<UnitKey>,
    events: Vec<Event>,
}

impl Outbox {
    /// Takes a unit's report; `true` where it says something new.
    pub(crate) fn report(&mut self, report: UnitReport) -> bool {
        self.gone.remove(&report.key);
        if self.reports.get(&report.key) == Some(&report) {
            return false;
        }
        self.dirty.insert(report.key.clone());
        self.reports.insert(report.key.clone(), report);
        true
    }

    /// Takes that a unit is no more.
    pub(crate) fn remove(&mut self, unit: &UnitKey) {
        if self.reports.remove(unit).is_some() {
            self.dirty.remove(unit);
            self.gone.insert(unit.clone());
        }
    }

    /// Takes an event.
    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Takes why the cluster's policy pauses the agent; empty where it does not.
    pub(crate) fn paused(&mut self, why: &str) {
        if self.paused != why {
            why.clone_into(&mut self.paused);
            self.paused_changed = true;
        }
    }

    /// The reports as they are.
    pub(crate) fn reports(&self) -> impl Iterator<Item = &UnitReport> {
        self.reports.values()
    }

    /// A new stream: everything is said again, and what was not acknowledged too.
    pub(crate) fn restart(&mut self) {
        self.full = true;
        let lost = std::mem::take(&mut self.sent);
        for sent in lost.into_values().rev() {
            for event in sent.events.into_iter().rev() {
                self.events.push_front(event);
            }
        }
        while self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
    }

    /// Whether there is something to say.
    pub(crate) fn is_due(&self) -> bool {
        self.full
            || self.paused_changed
            || !self.dirty.is_empty()
            || !self.gone.is_empty()
            || !self.events.is_empty()
    }

    /// What is to be said, in messages of a bounded size; the first is full after a restart.
    pub(crate) fn take(&mut self, generation: u64) -> Vec<v1::Status> {
        if !self.is_due() {
            return Vec::new();
        }
        let full = std::mem::take(&mut self.full);
        if full {
            self.dirty = self.reports.keys().cloned().collect();
            self.gone.clear();
        }
        self.paused_changed = false;
        let mut out = Vec::new();
        let mut status = self.begin(generation, full);
        let mut sent = Sent {
            units: Vec::new(),
            gone: std::mem::take(&mut self.gone).into_iter().collect(),
            events: Vec::new(),
        };
        status.units_gone = sent.gone.iter().map(ToString::to_string).collect();
        let mut bytes = 0;
        for key in std::mem::take(&mut self.dirty) {
            let Some(report) = self.reports.get(&key) else {
                continue;
            };
            let wire = v1::UnitReport::from(report);
            bytes += wire.encoded_len();
            status.units.push(wire);
            sent.units.push(key);
            if bytes > STATUS_BYTES {
                let empty = Sent {
                    units: Vec::new(),
                    gone: Vec::new(),
                    events: Vec::new(),
                };
                self.sent
                    .insert(status.sequence, std::mem::replace(&mut sent, empty));
                let next = self.begin(generation, false);
                out.push(std::mem::replace(&mut status, next));
                bytes = 0;
            }
        }
        let count = self.events.len().min(EVENTS_PER_STATUS);
        sent.events = self.events.drain(..count).collect();
        status.events = sent.events.iter().map(v1::Event::from).collect();
        self.sent.insert(status.sequence, sent);
        out.push(status);
        out
    }

    /// The hub has everything up to `sequence`.
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.sent = self.sent.split_off(&(sequence + 1));
    }

    fn begin(&mut self, generation: u64, full: bool) -> v1::Status {
        self.sequence += 1;
        v1::Status {
            sequence: self.sequence,
            generation,
            full,
            policy_paused: self.paused.clone(),
            ..v1::Status::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use capstan_core::{Counts, Digest, Phase, Severity};

    use super::*;

    fn report(name: &str, message: &str) -> UnitReport {
        UnitReport {
            key: format!("dev/Kustomization/a/{name}").parse().unwrap(),
            digest: Digest::of(b""),
            applied_revision: None,
            attempted_revision: None,
            phase: Phase::Applying,
            message: message.into(),
            since_ms: 0,
            counts: Counts::default(),
            confirm: None,
            objects: Vec::new(),
        }
    }

    fn event(message: &str) -> Event {
        Event {
            time_ms: 0,
            severity: Severity::Info,
            reason: "Test".into(),
            unit: None,
            object: None,
            message: message.into(),
        }
    }

    #[test]
    fn the_latest_report_of_a_unit_is_sent_once() {
        let mut outbox = Outbox::default();
        outbox.report(report("x", "1"));
        outbox.report(report("x", "2"));
        let sent = outbox.take(1);
        assert_eq!(sent[0].units.len(), 1);
        assert_eq!(sent[0].units[0].message, "2");
        assert!(!outbox.report(report("x", "2")), "nothing new");
        assert!(outbox.take(1).is_empty());
    }

    #[test]
    fn a_new_stream_is_told_everything() {
        let mut outbox = Outbox::default();
        outbox.report(report("x", "1"));
        outbox.report(report("y", "1"));
        outbox.event(event("one"));
        outbox.take(1);
        outbox.restart();
        outbox.event(event("two"));
        let sent = outbox.take(1);
        assert!(sent[0].full);
        assert_eq!(sent[0].units.len(), 2);
        let events: Vec<_> = sent[0].events.iter().map(|it| it.message.clone()).collect();
        assert_eq!(events, ["one", "two"]);
    }

    #[test]
    fn what_is_acknowledged_is_not_sent_again() {
        let mut outbox = Outbox::default();
        outbox.event(event("one"));
        let sent = outbox.take(1);
        outbox.acknowledge(sent[0].sequence);
        outbox.restart();
        assert!(outbox.take(1)[0].events.is_empty());
    }

    #[test]
    fn many_reports_are_sent_in_pieces() {
        let mut outbox = Outbox::default();
        let long = "x".repeat(900);
        for at in 0..3000 {
            outbox.report(report(&format!("u{at}"), &long));
        }
        let sent = outbox.take(1);
        assert!(sent.len() > 2);
        assert_eq!(sent.iter().map(|it| it.units.len()).sum::<usize>(), 3000);
    }
}
