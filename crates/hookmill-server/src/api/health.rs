//! Whether the server lives, whether it takes events, and what it counts.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::{StatusCode, header};
use serde_json::json;

use super::Api;
use crate::problem::Problem;

pub(super) async fn live() -> Response {
    Json(json!({"status": "live"})).into_response()
}

pub(super) async fn ready(State(api): State<Api>) -> Response {
    if api.engine.failed().now_or_never().is_some() {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_failed", "the store failed; hookmill is stopping")
            .help("check the disk of the data directory, then start again")
            .into_response();
    }
    let (waiting, under_way) = api.engine.load();
    Json(json!({"status": "ready", "waiting": waiting, "under_way": under_way})).into_response()
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], api.engine.metrics())
        .into_response()
}
