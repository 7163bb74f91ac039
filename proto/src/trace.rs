//! One trace for each commit, from the moment it was fetched until it is healthy in a cluster, exported by OTLP.
//!
//! The trace's id is made from the commit, so that the hub and every agent add to the same trace without being told an
//! id, also after a restart. Its root is the span of the fetch.

use std::{
    cell::Cell,
    fmt, fs,
    path::Path,
    time::{Duration, SystemTime},
};

use capstan_core::{Digest, Revision};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
        Tracer, TracerProvider,
    },
};
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, SdkTracerProvider,
    },
};
use tonic::transport::{Certificate, ClientTlsConfig};

/// Spans wait this long to be sent together.
const DELAY: Duration = Duration::from_secs(1);

/// What happened to a revision.
#[derive(Clone, Debug, Default)]
pub struct Span<'a> {
    /// What was done.
    pub name: &'static str,
    /// Milliseconds since 1970.
    pub start_ms: u64,
    /// Milliseconds since 1970.
    pub end_ms: u64,
    /// What it was done to.
    pub attributes: Vec<(&'static str, String)>,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// It is the first of the trace; the others are its children.
    pub is_root: bool,
}

/// Sends spans where there is somewhere to send them, and does nothing where there is not.
#[derive(Debug, Default)]
pub struct CommitTraces {
    provider: Option<SdkTracerProvider>,
}

impl CommitTraces {
    /// Exports to `endpoint` by OTLP over gRPC, as the service of this name. `ca` is a PEM file with the authority of an `https://` one, where
    /// the system's authorities do not know it. To be called within a runtime of tokio.
    ///
    /// # Errors
    /// When that is no address to export to, or no authority.
    pub fn open(
        service: &'static str,
        endpoint: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Self, String> {
        let Some(endpoint) = endpoint else {
            return Ok(Self::default());
        };
        let wrong = |it: &dyn fmt::Display| format!("OTLP endpoint `{endpoint}`: {it}");
        let mut builder = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint);
        if endpoint.starts_with("https://") {
            builder = builder.with_tls_config(tls(ca)?);
        } else if !endpoint.starts_with("http://") {
            return Err(wrong(&"it must begin with http:// or https://"));
        }
        let exporter = builder.build().map_err(|it| wrong(&it))?;
        let batches = BatchConfigBuilder::default()
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_id_generator(CommitIds::default())
            .with_resource(Resource::builder().with_service_name(service).build())
            .build();
        Ok(Self {
            provider: Some(provider),
        })
    }

    /// Whether anything is sent.
    pub fn is_on(&self) -> bool {
        self.provider.is_some()
    }

    /// Adds a span to the trace of the revision's commit.
    pub fn add(&self, revision: &Revision, span: Span<'_>) {
        let Some(provider) = &self.provider else {
            return;
        };
        let tracer = provider.tracer("capstan");
        let (trace, root) = ids(revision.commit());
        let mut attributes = vec![KeyValue::new("capstan.revision", revision.to_string())];
        let given = span.attributes.into_iter();
        attributes.extend(given.map(|(key, value)| KeyValue::new(key, value)));
        let builder = tracer
            .span_builder(span.name)
            .with_start_time(time(span.start_ms))
            .with_attributes(attributes);
        let mut built = if span.is_root {
            NEXT.set(Some((trace, root)));
            let built = tracer.build_with_context(builder, &Context::new());
            NEXT.set(None);
            built
        } else {
            let state = TraceState::default();
            let parent = SpanContext::new(trace, root, TraceFlags::SAMPLED, true, state);
            tracer.build_with_context(builder, &Context::new().with_remote_span_context(parent))
        };
        if let Some(error) = span.error {
            built.set_status(Status::error(error.to_owned()));
        }
        built.end_with_timestamp(time(span.end_ms.max(span.start_ms)));
    }

    /// Sends what was not sent yet. It blocks.
    ///
    /// # Errors
    /// When the collector does not take it.
    pub fn close(&self) -> Result<(), String> {
        let closed = self.provider.as_ref().map_or(Ok(()), |it| it.shutdown());
        closed.map_err(|it| it.to_string())
    }
}

fn tls(ca: Option<&Path>) -> Result<ClientTlsConfig, String> {
    let tls = ClientTlsConfig::new();
    let Some(path) = ca else {
        return Ok(tls.with_native_roots());
    };
    let pem = fs::read(path).map_err(|it| format!("OTLP authority {}: {it}", path.display()))?;
    Ok(tls.ca_certificate(Certificate::from_pem(pem)))
}

/// The trace of a commit, and the span that is its root.
fn ids(commit: &str) -> (TraceId, SpanId) {
    let digest = Digest::of(commit.as_bytes());
    let (trace, span) = digest.as_bytes().split_at(16);
    (
        TraceId::from_bytes(trace.try_into().unwrap_or_default()),
        SpanId::from_bytes(span[..8].try_into().unwrap_or_default()),
    )
}

thread_local! {
    /// The ids of the next span on this thread, where they are not drawn.
    static NEXT: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

#[derive(Debug, Default)]
struct CommitIds(RandomIdGenerator);

impl IdGenerator for CommitIds {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().map_or_else(|| self.0.new_trace_id(), |it| it.0)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(|| self.0.new_span_id(), |it| it.1)
    }
}

fn time(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}
