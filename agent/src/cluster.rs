//! The port to the cluster: what the agent asks of an API server, and how it is answered. Only [`kube`] knows how
//! the asking is done.

pub(crate) mod discovery;
mod kube;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use capstan_core::ObjectKey;
use futures::stream::BoxStream;
use serde_json::Value;

pub(crate) use self::{discovery::Discovery, kube::KubeCluster};

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    /// API group; empty for the core group.
    pub(crate) group: String,
    /// Version.
    pub(crate) version: String,
    /// Kind.
    pub(crate) kind: String,
    /// Name in paths.
    pub(crate) plural: String,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

/// One object's place.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The kind.
    pub(crate) resource: Arc<Resource>,
    /// Namespace; empty for an object without one.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
}

impl Address {
    /// The place of `key` among the objects of `resource`.
    pub(crate) fn of(resource: Arc<Resource>, key: &ObjectKey) -> Self {
        let namespace = if resource.namespaced {
            key.namespace.clone()
        } else {
            String::new()
        };
        Self {
            resource,
            namespace,
            name: key.name.clone(),
        }
    }
}

/// In whose name a request is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// The agent's own.
    Agent,
    /// A service account's, impersonated.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name, never empty.
        name: String,
    },
}

/// An object as it lives. `Debug` shows nothing of it, since it may be a Secret.
#[derive(Clone, PartialEq)]
pub(crate) struct Live(pub Value);

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live(..)")
    }
}

/// How an object is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplyOptions<'a> {
    /// The field manager.
    pub(crate) manager: &'a str,
    /// Decide without doing.
    pub(crate) dry_run: bool,
}

/// What is watched: objects of one kind.
#[derive(Clone, Debug)]
pub(crate) struct WatchScope {
    /// The kind.
    pub(crate) resource: Arc<Resource>,
    /// Only this namespace; empty for all.
    pub(crate) namespace: String,
    /// Label selector; empty for all.
    pub(crate) labels: String,
    /// Only the object of this name; empty for all.
    pub(crate) name: String,
    /// Whole objects, or their metadata alone.
    pub(crate) body: bool,
}

/// What a watch says.
#[derive(Clone, Debug)]
pub(crate) enum WatchEvent {
    /// Everything is listed anew; what is not named before the next `Synced` is not there.
    Restarted,
    /// An object is there, or has changed.
    Applied(Live),
    /// An object is gone.
    Deleted(Live),
    /// The list is complete.
    Synced,
    /// The watch does not work at present, and is tried again.
    Failed(ClusterError),
}

/// What must still hold for a deletion to happen.
#[derive(Clone, Debug)]
pub(crate) struct Preconditions {
    /// UID of the object that is meant.
    pub(crate) uid: String,
    /// Its resource version when it was looked at; empty for any.
    pub(crate) resource_version: String,
}

/// What went wrong with a request.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The API server refused it.
    #[error("{reason}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Kubernetes' word for it.
        reason: String,
        /// What it says.
        message: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No answer, or none that can be read.
    #[error("the API server did not answer: {0}")]
    Unreachable(String),
}

impl ClusterError {
    /// HTTP status, if there was an answer.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable(_) => None,
        }
    }

    /// Whether the same request may succeed soon.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, message, .. } => {
                matches!(code, 409 | 429 | 500..=599)
                    || (*code == 403 && message.contains("being terminated"))
            }
            Self::Unreachable(_) => true,
        }
    }

    /// The same without what the server quoted, for an object whose values nobody may see.
    pub(crate) fn masked(&self) -> String {
        match self {
            Self::Refused { reason, .. } => {
                format!("{reason} (the server's words are left out: they may quote a secret value)")
            }
            Self::Unreachable(_) => self.to_string(),
        }
    }
}

/// What the agent asks of an API server.
pub(crate) trait Cluster: Send + Sync + 'static {
    /// The kinds it serves, and its version.
    fn discover(&self) -> impl Future<Output = Result<Discovery, ClusterError>> + Send;

    /// One object, if it is there.
    fn get(
        &self,
        actor: &Actor,
        at: &Address,
    ) -> impl Future<Output = Result<Option<Live>, ClusterError>> + Send;

    /// The objects of a namespace with a label.
    fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> impl Future<Output = Result<Vec<Live>, ClusterError>> + Send;

    /// Server-side apply, taking every field that `body` declares.
    fn apply(
        &self,
        actor: &Actor,
        at: &Address,
        body: &Value,
        options: ApplyOptions<'_>,
    ) -> impl Future<Output = Result<Live, ClusterError>> + Send;

    /// A JSON patch.
    fn patch(
        &self,
        actor: &Actor,
        at: &Address,
        patch: &Value,
    ) -> impl Future<Output = Result<Live, ClusterError>> + Send;

    /// Deletes in the background. An object that is not there, or not the one meant, is an error.
    fn delete(
        &self,
        actor: &Actor,
        at: &Address,
        only: &Preconditions,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// The objects of a scope and their changes, for as long as the stream is held.
    fn watch(&self, scope: WatchScope) -> BoxStream<'static, WatchEvent>;
}
