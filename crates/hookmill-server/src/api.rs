//! The calls, a module for each noun.

mod deliveries;
mod events;
mod health;
mod plugins;
mod replays;
mod sources;
mod tail;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequestParts, Query, rejection::QueryRejection};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Router, http::request::Parts};
use bytes::Bytes;
use futures::StreamExt as _;
use hookmill::{Engine, TenantId};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::auth;
use crate::problem::Problem;
use crate::token::Token;

/// What every call can reach.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    /// A single-tenant installation never sees the word.
    pub(crate) tenant: TenantId,
    pub(crate) token: Arc<Token>,
}

type Answer = Result<Response, Problem>;

/// All routes, those under `/v1` behind the token, but for one whose callers sign.
pub(crate) fn router(engine: Engine, token: Token) -> Router {
    let token = Arc::new(token);
    let api = Api { engine, tenant: TenantId::default_tenant(), token: token.clone() };
    let v1 = Router::new()
        .route("/events", post(events::publish))
        .route("/webhooks", get(webhooks::list))
        .route(
            "/webhooks/{name}",
            put(webhooks::put).get(webhooks::show).delete(webhooks::delete).post(webhooks::preview_unsaved),
        )
        .route("/webhooks/{name}/preview", post(webhooks::preview))
        .route("/webhooks/{name}/test", post(webhooks::test))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{name}", put(plugins::upload).get(plugins::show))
        .route("/plugins/{name}/activate", post(plugins::activate))
        .route("/plugins/{name}/diff", post(plugins::diff))
        .route("/plugins/{name}/canary", put(plugins::begin_canary).delete(plugins::end_canary))
        .route("/plugins/{name}/uploads/{id}", get(plugins::upload_state))
        .route("/plugins/{name}/rollback", post(plugins::rollback))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/redeliver", post(deliveries::redeliver_many))
        .route("/deliveries/{id}", get(deliveries::show))
        .route("/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/deliveries/{id}/verify", post(deliveries::verify))
        .route("/replays", get(replays::list))
        .route("/replays/{id}", get(replays::show).delete(replays::cancel))
        .route("/sources/frappe", get(sources::show).put(sources::put))
        .route("/tail", get(tail::tail))
        .fallback(unknown_call)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(token, auth::require))
        // Behind the layer, for Frappe signs instead of showing the token.
        .route("/sources/frappe", post(sources::publish));
    Router::new()
        .nest("/v1", v1)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_call)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn unknown_call() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "unknown_call", "there is no such call")
        .help("all calls are under /v1, but for /health/live, /health/ready and /metrics")
        .into_response()
}

async fn wrong_method() -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this call is made with another method")
        .help("the `Allow` header of this answer names those that it takes")
        .into_response()
}

/// Bytes beyond the limit that are read and dropped before the caller is told: who is answered in the middle of sending
/// may see a broken connection instead of the answer.
const DROPPED_MAX: usize = 64 << 20;

/// A body longer than this is read in parts with pauses between them: who sends from the same machine or its network would
/// keep a core busy for as long as it takes, and deliveries waiting.
const AT_ONCE_MAX: usize = 2 << 20;
const PAUSE: Duration = Duration::from_millis(2);

/// The part of a body, as one of events: a quarter of a gigabyte a second at most.
const PART_BYTES: usize = 512 << 10;

/// The part of an upload, 32 MB a second at most. No more is read from a connection at once.
pub(crate) const UPLOAD_PART_BYTES: usize = 64 << 10;

/// Reads a body of at most `bytes_max` bytes.
async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    read_in_parts(body, bytes_max, PART_BYTES).await
}

/// Does what [`read_body`] does with a pause after each part.
async fn read_in_parts(body: Body, bytes_max: usize, part_bytes: usize) -> Result<Bytes, Problem> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(bytes_max);
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::with_capacity(expected);
    let mut count = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "body_broken", format!("the body did not arrive whole: {error}"))
                .help("send it again, with the Content-Length that it has")
        })?;
        let parts_before = count / part_bytes;
        count = count.saturating_add(chunk.len());
        if count > AT_ONCE_MAX && count / part_bytes > parts_before {
            tokio::time::sleep(PAUSE).await;
        }
        if count <= bytes_max {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
        if count > bytes_max.saturating_add(DROPPED_MAX) {
            break;
        }
    }
    if count <= bytes_max {
        return Ok(bytes.into());
    }
    let detail = format!("the body has more than the {bytes_max} bytes that this call takes");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
}

/// Reads a body of JSON; an empty one counts as `{}`.
async fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = read_body(body, 1 << 20).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "body_malformed", format!("the body can't be read: {error}"))
            .help("it is one JSON object with the fields that docs/api.md names")
    })
}

/// The query string; what it says wrong is a problem document, too.
#[derive(Debug)]
struct Params<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(params) =
            query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "query_malformed", error.body_text()))?;
        Ok(Self(params))
    }
}
