//! What happened, and who did what.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    response::{
        IntoResponse,
        sse::{Event as Sse, KeepAlive, Sse as Stream},
    },
};
use capstan_core::Severity;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::{ApiError, Served, error::on_disk, items};
use crate::{clock::rfc3339, store::EventRecord};

/// Events that one answer has.
const MAX_LISTED: usize = 1_000;
/// Where nothing else is asked for.
const DEFAULT_LISTED: usize = 200;
/// Changes that come together are told together.
const GATHER: Duration = Duration::from_millis(150);
/// In a large fleet for longer, by so much for each cluster: whoever is told reads what there is of all of them.
const GATHER_EACH: Duration = Duration::from_micros(100);
/// Proxies close what is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events that wait for one reader.
const OUTBOX: usize = 64;

/// Which events.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Filter {
    cluster: Option<String>,
    unit: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

impl Filter {
    fn takes(&self, record: &EventRecord) -> bool {
        let cluster = record
            .cluster
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let unit = record
            .event
            .unit
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let same = |wanted: &Option<String>, it: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.is_empty() || wanted == it)
        };
        same(&self.cluster, &cluster) && same(&self.unit, &unit)
    }
}

/// An event as an item.
pub(crate) fn event_item(record: &EventRecord) -> Value {
    let event = &record.event;
    let severity = if event.severity == Severity::Warning {
        "Warning"
    } else {
        "Normal"
    };
    json!({
        "kind": "Event",
        "metadata": {"name": record.number.to_string()},
        "number": record.number,
        "time": rfc3339(event.time_ms),
        "type": severity,
        "reason": event.reason,
        "message": event.message,
        "spec": {
            "cluster": record.cluster,
            "unit": event.unit,
            "kind": event.object.as_ref().map(|it| it.kind.clone()),
            "namespace": event.object.as_ref().map(|it| it.namespace.clone()),
            "object": event.object.as_ref().map(ToString::to_string),
        },
    })
}

/// Events.
pub(crate) async fn list(
    State(served): State<Served>,
    Query(filter): Query<Filter>,
) -> Json<Value> {
    let limit = filter.limit.unwrap_or(DEFAULT_LISTED).min(MAX_LISTED);
    let found = served
        .hub
        .events
        .after(filter.after.unwrap_or(0), limit, |it| filter.takes(it));
    Json(items::list("Event", found.iter().map(event_item).collect()))
}

type Sent = Result<Sse, Infallible>;

/// Events as they happen.
pub(crate) async fn watch(
    State(served): State<Served>,
    Query(filter): Query<Filter>,
) -> impl IntoResponse {
    let (outbox, events) = mpsc::channel::<Sent>(OUTBOX);
    tokio::spawn(async move {
        let mut news = served.hub.events.watch();
        let mut after = filter.after.unwrap_or_else(|| *news.borrow());
        loop {
            for record in served
                .hub
                .events
                .after(after, MAX_LISTED, |it| filter.takes(it))
            {
                after = after.max(record.number);
                let event = Sse::default()
                    .id(record.number.to_string())
                    .event("event")
                    .data(event_item(&record).to_string());
                if outbox.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = served.hub.stop.cancelled() => return,
                () = outbox.closed() => return,
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    });
    Stream::new(ReceiverStream::new(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// That something changed, for whoever then reads what they need.
pub(crate) async fn changes(State(served): State<Served>) -> impl IntoResponse {
    let (outbox, events) = mpsc::channel::<Sent>(1);
    tokio::spawn(async move {
        let mut view: watch::Receiver<u64> = served.hub.watch_view();
        let mut happened = served.hub.events.watch();
        loop {
            let count = *view.borrow_and_update();
            happened.mark_unchanged();
            let event = Sse::default().event("change").data(count.to_string());
            if outbox.send(Ok(event)).await.is_err() {
                return;
            }
            tokio::select! {
                () = served.hub.stop.cancelled() => return,
                () = outbox.closed() => return,
                _ = view.changed() => {}
                _ = happened.changed() => {}
            }
            let clusters = u32::try_from(served.hub.view().clusters.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(GATHER.max(GATHER_EACH * clusters)).await;
        }
    });
    Stream::new(ReceiverStream::new(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Audit records.
pub(crate) async fn audit(State(served): State<Served>) -> Result<Json<Value>, ApiError> {
    let hub = served.hub.clone();
    let records = on_disk(move || Ok(hub.db.audit()?)).await?;
    let one = |it: &crate::store::AuditRecord| {
        json!({
            "metadata": {"name": it.number.to_string()},
            "time": rfc3339(it.time_ms),
            "actor": it.actor,
            "verb": it.verb,
            "target": it.target,
            "reason": it.reason,
            "outcome": it.outcome,
        })
    };
    Ok(Json(items::list(
        "Audit",
        records.iter().map(one).collect(),
    )))
}
