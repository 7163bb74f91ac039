//! Commits on which the hub died while it rendered them, such as for want of memory: one on which it died twice is not
//! rendered again, also after a restart, so that the rest of the fleet goes on.
//!
//! Before a revision is rendered for a cluster for the first time, that is written down; afterwards it is struck out.
//! What is still there at a start is what the hub died on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use capstan_core::{ClusterName, DesiredState, Revision, SourceKey};

use crate::{
    plan::Book,
    state::Hub,
    store::{Batch, ClusterRecord, Db, DbError, RenderingRecord},
};

/// Deaths after which a revision is left alone. One may have other causes, such as a machine that was switched off.
const MAX_DEATHS: u32 = 2;

/// A revision of a source, as it is kept.
fn name(source: &SourceKey, revision: &Revision) -> String {
    format!("{source} {revision}")
}

impl RenderingRecord {
    fn is_quarantined(&self, name: &str) -> bool {
        self.deaths.get(name).is_some_and(|it| *it >= MAX_DEATHS)
    }
}

/// Counts what was being rendered when the hub, or its planner, ended without having said that it is done.
pub(super) fn count_deaths(db: &Db) -> Result<(), DbError> {
    let mut record = db.rendering()?;
    if record.now.is_empty() {
        return Ok(());
    }
    for it in std::mem::take(&mut record.now) {
        tracing::warn!(
            revision = it,
            "the hub died while it rendered this, or something together with it"
        );
        *record.deaths.entry(it).or_default() += 1;
    }
    put(db, &record)
}

/// The hub stops on purpose: what it renders just now is no reason to suspect it.
pub(crate) fn stop_counting(db: &Db) -> Result<(), DbError> {
    let mut record = db.rendering()?;
    if record.now.is_empty() {
        return Ok(());
    }
    record.now.clear();
    put(db, &record)
}

/// Somebody wants a source tried again.
pub(crate) fn forgive(db: &Db, source: &SourceKey) -> Result<(), DbError> {
    let mut record = db.rendering()?;
    let before = record.deaths.len();
    let prefix = format!("{source} ");
    record.deaths.retain(|it, _| !it.starts_with(&prefix));
    if record.deaths.len() == before {
        return Ok(());
    }
    put(db, &record)
}

fn put(db: &Db, record: &RenderingRecord) -> Result<(), DbError> {
    let mut batch = Batch::default();
    batch.put_rendering(record);
    db.commit(&batch).map(|_| ())
}

/// The newest revisions that may be rendered, and why others may not.
pub(super) fn usable_heads(
    record: &RenderingRecord,
    heads: BTreeMap<SourceKey, Revision>,
) -> (BTreeMap<SourceKey, Revision>, Vec<String>) {
    let (mut usable, mut problems) = (BTreeMap::new(), Vec::new());
    for (source, revision) in heads {
        if record.is_quarantined(&name(&source, &revision)) {
            problems.push(format!(
                "{source}: {} is not rendered any more, since the hub died on it twice; push another commit, or `capstan \
                 reconcile {source}` tries it again",
                revision.short()
            ));
        } else {
            usable.insert(source, revision);
        }
    }
    (usable, problems)
}

/// What the agents were last told.
pub(super) type Told = BTreeMap<ClusterName, Arc<DesiredState>>;

/// That, of every cluster.
pub(super) fn told(hub: &Hub, records: &BTreeMap<ClusterName, Arc<ClusterRecord>>) -> Told {
    let newest = |it: &ClusterRecord| hub.links.newest(&it.uid);
    let all = records.iter();
    all.filter_map(|(name, it)| Some((name.clone(), newest(it)?)))
        .collect()
}

/// The revision of a source that a cluster has now.
fn has<'a>(told: &'a Told, cluster: &ClusterName, source: &SourceKey) -> Option<&'a Revision> {
    Some(&told.get(cluster)?.sources.get(source)?.revision)
}

/// Takes back moves to what is quarantined. Once the hub died, suspects move one at a time, so that the next death says
/// which one it is. Gives what is to be rendered for the first time.
pub(super) fn hold_back(
    record: &RenderingRecord,
    proven: &BTreeSet<String>,
    told: &Told,
    book: &mut Book,
) -> BTreeSet<String> {
    let mut moves: BTreeSet<String> = BTreeSet::new();
    for (cluster, pins) in &book.clusters {
        for (source, pin) in pins {
            let to = pin.revision.as_ref();
            if let Some(to) = to.filter(|it| has(told, cluster, source) != Some(it)) {
                moves.insert(name(source, to));
            }
        }
    }
    moves.retain(|it| !proven.contains(it));
    let suspect = moves
        .iter()
        .find(|it| record.deaths.contains_key(*it) && !record.is_quarantined(it))
        .cloned();
    let refused = |it: &String| {
        record.is_quarantined(it) || suspect.as_ref().is_some_and(|suspect| suspect != it)
    };
    let held: BTreeSet<String> = moves.iter().filter(|it| refused(it)).cloned().collect();
    if held.is_empty() {
        return moves;
    }
    for (cluster, pins) in &mut book.clusters {
        for (source, pin) in pins {
            let now = has(told, cluster, source);
            let to = pin.revision.as_ref().filter(|it| now != Some(it));
            if to.is_some_and(|it| held.contains(&name(source, it))) {
                pin.revision = now.cloned();
            }
        }
    }
    moves.retain(|it| !held.contains(it));
    moves
}

/// Writes down what is rendered for the first time, before that begins.
pub(super) fn begin(
    hub: &Hub,
    record: &RenderingRecord,
    moves: &BTreeSet<String>,
) -> Result<(), DbError> {
    if record.now == *moves {
        return Ok(());
    }
    let record = RenderingRecord {
        now: moves.clone(),
        deaths: record.deaths.clone(),
    };
    put(&hub.db, &record)
}

/// Strikes out what was rendered.
pub(super) fn end(hub: &Hub, moves: &BTreeSet<String>) -> Result<(), DbError> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut record = hub.db.rendering()?;
    record.now.clear();
    record.deaths.retain(|it, _| !moves.contains(it));
    put(&hub.db, &record)
}

#[cfg(test)]
mod tests {
    use capstan_core::{Source, StoreEpoch};

    use super::*;
    use crate::plan::Pin;

    fn source(name: &str) -> SourceKey {
        format!("GitRepository/flux-system/{name}").parse().unwrap()
    }

    fn revision(text: &str) -> Revision {
        format!("main@sha1:{text}").parse().unwrap()
    }

    fn key(source_name: &str, text: &str) -> String {
        name(&source(source_name), &revision(text))
    }

    /// One cluster whose pins are these, with what it has.
    fn fleet(pins: &[(&str, &str)], has: &[(&str, &str)]) -> (Book, Told) {
        let cluster: ClusterName = "dev".parse().unwrap();
        let pin = |text: &str| Pin {
            revision: Some(revision(text)),
            ..Pin::default()
        };
        let mut book = Book::default();
        let pins = pins.iter().map(|it| (source(it.0), pin(it.1)));
        book.clusters.insert(cluster.clone(), pins.collect());
        let mut state = DesiredState::empty(StoreEpoch([0; 16]));
        for it in has {
            let revision = revision(it.1);
            state.sources.insert(source(it.0), Source { revision });
        }
        (book, BTreeMap::from([(cluster, Arc::new(state))]))
    }

    fn at(book: &Book, name: &str) -> Option<String> {
        let pins = book.clusters.values().next().unwrap();
        pins[&source(name)]
            .revision
            .as_ref()
            .map(|it| it.commit().to_owned())
    }

    #[test]
    fn what_killed_the_hub_twice_is_left_alone_and_the_rest_goes_on() {
        let mut record = RenderingRecord::default();
        record.deaths.insert(key("a", "2"), 2);
        let heads = [(source("a"), revision("2")), (source("b"), revision("9"))].into();
        let (usable, problems) = usable_heads(&record, heads);
        assert_eq!(usable.keys().cloned().collect::<Vec<_>>(), [source("b")]);
        assert!(problems[0].contains("died on it twice"), "{problems:?}");
        let (mut book, has) = fleet(&[("a", "2"), ("b", "9")], &[("a", "1"), ("b", "8")]);
        let moves = hold_back(&record, &BTreeSet::new(), &has, &mut book);
        assert_eq!(moves, [key("b", "9")].into());
        assert_eq!(
            (at(&book, "a"), at(&book, "b")),
            (Some("1".into()), Some("9".into()))
        );
    }

    #[test]
    fn after_one_death_suspects_move_one_at_a_time() {
        let mut record = RenderingRecord::default();
        record
            .deaths
            .extend([(key("a", "2"), 1), (key("b", "9"), 1)]);
        let (mut book, has) = fleet(&[("a", "2"), ("b", "9")], &[("a", "1")]);
        let moves = hold_back(&record, &BTreeSet::new(), &has, &mut book);
        assert_eq!(moves, [key("a", "2")].into());
        assert_eq!((at(&book, "a"), at(&book, "b")), (Some("2".into()), None));
    }

    #[test]
    fn what_did_no_harm_before_is_not_written_down_again() {
        let (mut book, has) = fleet(&[("a", "2")], &[("a", "2")]);
        let record = RenderingRecord::default();
        assert!(hold_back(&record, &BTreeSet::new(), &has, &mut book).is_empty());
        let (mut book, has) = fleet(&[("a", "2")], &[]);
        assert!(hold_back(&record, &[key("a", "2")].into(), &has, &mut book).is_empty());
    }

    #[test]
    fn deaths_are_counted_at_the_next_start_and_forgiven_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::Embedded::open(&folder.path().join("store")).unwrap();
        let db = Db::open(std::sync::Arc::new(store)).unwrap();
        let died = || {
            let mut record = db.rendering().unwrap();
            record.now.insert(key("a", "2"));
            put(&db, &record).unwrap();
        };
        died();
        stop_counting(&db).unwrap();
        count_deaths(&db).unwrap();
        assert!(db.rendering().unwrap().deaths.is_empty(), "it was stopped");
        for deaths in 1..=2 {
            died();
            count_deaths(&db).unwrap();
            let record = db.rendering().unwrap();
            assert_eq!(record.is_quarantined(&key("a", "2")), deaths == 2);
            assert!(record.now.is_empty());
        }
        forgive(&db, &source("b")).unwrap();
        assert!(!db.rendering().unwrap().deaths.is_empty());
        forgive(&db, &source("a")).unwrap();
        assert!(db.rendering().unwrap().deaths.is_empty());
    }
}
