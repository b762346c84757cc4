//! `/v1/replays`: many deliveries that are sent again, as one job. They begin at `/v1/deliveries/redeliver`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::ReplayId;
use serde_json::json;

use super::{Answer, Api};

pub(super) async fn list(State(api): State<Api>) -> Answer {
    Ok(Json(json!({"replays": api.engine.replays(&api.tenant)})).into_response())
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    Ok(Json(api.engine.replay(&api.tenant, &ReplayId::new(id)?)?).into_response())
}

pub(super) async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    Ok(Json(api.engine.cancel_replay(&api.tenant, &ReplayId::new(id)?).await?).into_response())
}
