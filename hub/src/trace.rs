//! One trace for each commit, from the moment it was fetched until it is healthy in a cluster.
//!
//! The trace's id is made from the commit, so that everything that knows the commit can add to the same trace without
//! being told an id.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use capstan_core::{ClusterName, DesiredState, Digest, Generation, Revision};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use crate::{clock::now_ms, state::Hub};

/// Writes traces where an endpoint is set, and does nothing where none is.
#[derive(Default)]
pub(crate) struct Traces {
    provider: Option<SdkTracerProvider>,
    /// By cluster: the newest state on its way.
    moving: Mutex<BTreeMap<ClusterName, Moving>>,
}

struct Moving {
    revision: Revision,
    generation: Generation,
    planned_ms: u64,
    received_ms: Option<u64>,
}

impl Traces {
    /// Exports to `endpoint` by OTLP over gRPC.
    pub(crate) fn open(endpoint: Option<&str>) -> Result<Self, String> {
        let Some(endpoint) = endpoint else {
            return Ok(Self::default());
        };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .map_err(|it| format!("otlp_endpoint {endpoint}: {it}"))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("capstan-hub").build())
            .build();
        Ok(Self {
            provider: Some(provider),
            moving: Mutex::default(),
        })
    }

    fn moving(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClusterName, Moving>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(
        &self,
        name: &'static str,
        revision: &Revision,
        start_ms: u64,
        end_ms: u64,
        more: Vec<KeyValue>,
    ) {
        let Some(provider) = &self.provider else {
            return;
        };
        let tracer = provider.tracer("capstan-hub");
        let digest = Digest::of(revision.commit().as_bytes());
        let (trace, span) = digest.as_bytes().split_at(16);
        let context = SpanContext::new(
            TraceId::from_bytes(trace.try_into().unwrap_or_default()),
            SpanId::from_bytes(span[..8].try_into().unwrap_or_default()),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let parent = Context::new().with_remote_span_context(context);
        let mut attributes = vec![KeyValue::new("capstan.revision", revision.to_string())];
        attributes.extend(more);
        let builder = tracer
            .span_builder(name)
            .with_start_time(time(start_ms))
            .with_attributes(attributes);
        let mut span = tracer.build_with_context(builder, &parent);
        span.end_with_timestamp(time(end_ms.max(start_ms)));
    }

    /// A revision was fetched.
    pub(crate) fn fetched(&self, revision: &Revision, start_ms: u64, end_ms: u64) {
        self.span("fetch", revision, start_ms, end_ms, Vec::new());
    }

    /// A cluster's state was rendered, planned and stored.
    pub(crate) fn planned(
        &self,
        name: &ClusterName,
        state: &DesiredState,
        start_ms: u64,
        end_ms: u64,
    ) {
        if self.provider.is_none() {
            return;
        }
        let Some(revision) = state.sources.values().next().map(|it| it.revision.clone()) else {
            return;
        };
        let generation = i64::try_from(state.generation.0).unwrap_or(i64::MAX);
        let more = vec![
            KeyValue::new("capstan.cluster", name.to_string()),
            KeyValue::new("capstan.generation", generation),
        ];
        self.span("plan", &revision, start_ms, end_ms, more);
        let moving = Moving {
            revision,
            generation: state.generation,
            planned_ms: end_ms,
            received_ms: None,
        };
        self.moving().insert(name.clone(), moving);
    }

    /// An agent holds a state.
    pub(crate) fn received(&self, name: &ClusterName, generation: Generation) {
        let now = now_ms();
        let sent = {
            let mut moving = self.moving();
            let Some(it) = moving
                .get_mut(name)
                .filter(|it| it.generation == generation)
            else {
                return;
            };
            it.received_ms = Some(now);
            (it.revision.clone(), it.planned_ms)
        };
        let more = vec![KeyValue::new("capstan.cluster", name.to_string())];
        self.span("deliver", &sent.0, sent.1, now, more);
    }

    /// An agent reported; the trace ends for its cluster when everything is healthy.
    pub(crate) fn reported(&self, name: &ClusterName, hub: &Hub) {
        if self.provider.is_none() {
            return;
        }
        let healthy = {
            let view = hub.view();
            let cluster = view.clusters.get(name);
            cluster.is_some_and(|it| {
                let desired = it.desired.as_ref();
                desired.is_some_and(|state| {
                    state
                        .sources
                        .keys()
                        .all(|source| it.unmet(name, source).is_empty())
                })
            })
        };
        let done = {
            let mut moving = self.moving();
            let ready = moving.get(name).and_then(|it| it.received_ms).is_some();
            if healthy && ready {
                moving.remove(name)
            } else {
                None
            }
        };
        if let Some(it) = done {
            let more = vec![KeyValue::new("capstan.cluster", name.to_string())];
            self.span(
                "apply until healthy",
                &it.revision,
                it.received_ms.unwrap_or(it.planned_ms),
                now_ms(),
                more,
            );
        }
    }

    /// Sends what was not sent yet.
    pub(crate) fn close(&self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn time(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}
