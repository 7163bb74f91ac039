//! Errors as JSON, with what to do about them.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    limit::turn,
    plan::Refusal,
    store::{DbError, StoreError},
};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The request cannot be understood.
    Bad(String),
    /// There is no such thing.
    NotFound(String),
    /// It cannot be done as things are.
    Refused(String),
    /// Too often.
    TooMany,
    /// The hub has a problem of its own.
    Unavailable,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, reason, message) = match self {
            Self::Bad(message) => (StatusCode::BAD_REQUEST, "BadRequest", message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, "NotFound", message),
            Self::Refused(message) => (StatusCode::CONFLICT, "Refused", message),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "too many requests; try again in a second".to_owned(),
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Unavailable",
                "the hub cannot do this now; its log says more".to_owned(),
            ),
        };
        error(status, reason, &message)
    }
}

/// An error as every route gives it.
pub(super) fn error(status: StatusCode, reason: &str, message: &str) -> Response {
    (status, Json(json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status.as_u16()}))).into_response()
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Store(StoreError::Conflict { .. }) => Self::Refused(error.to_string()),
            _ => {
                tracing::error!(%error, "a request failed");
                Self::Unavailable
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(_) => Self::NotFound(refusal.to_string()),
            Refusal::NoReason => Self::Bad(refusal.to_string()),
            _ => Self::Refused(refusal.to_string()),
        }
    }
}

/// Makes a list, which may be one of ten thousand clusters, where that holds up nobody else.
pub(super) async fn listed(
    make: impl FnOnce() -> Value + Send + 'static,
) -> Result<Response, ApiError> {
    let bytes = on_disk(move || Ok(make().to_string())).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// Runs something that waits for the disk, or takes long, where it may.
pub(crate) async fn on_disk<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _turn = turn().await;
    match tokio::task::spawn_blocking(run).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a request ended unexpectedly");
            Err(ApiError::Unavailable)
        }
    }
}
