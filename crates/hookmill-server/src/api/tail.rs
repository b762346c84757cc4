//! Attempts as they are settled, a line of JSON each, for as long as the caller listens.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::header;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::Api;

pub(super) async fn tail(State(api): State<Api>) -> Response {
    let lines = stream::unfold((api.engine.subscribe(), api.engine), |(mut feed, engine)| async move {
        let heard = tokio::select! {
            heard = feed.recv() => heard,
            () = engine.stopping() => return None,
        };
        let line = match heard {
            Ok(settled) => serde_json::to_string(&settled).expect("an attempt is JSON"),
            // Nothing hidden: who could not keep up is told how much is missing.
            Err(RecvError::Lagged(missed)) => json!({"missed": missed}).to_string(),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, std::convert::Infallible>(format!("{line}\n")), (feed, engine)))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
