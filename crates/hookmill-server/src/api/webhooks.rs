//! `/v1/webhooks`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::{EventEnvelope, Webhook, WebhookName};
use http::StatusCode;
use serde_json::json;

use super::{Answer, Api, read_body};

/// Bytes of a webhook's JSON. Its texts have bounds of their own.
const WEBHOOK_BYTES_MAX: usize = 1 << 20;

/// Bytes of an event for a preview: a document and the one before it, and the rest.
const EVENT_BYTES_MAX: usize = 4 << 20;

pub(super) async fn list(State(api): State<Api>) -> Answer {
    Ok(Json(json!({"webhooks": api.engine.webhooks(&api.tenant)})).into_response())
}

pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    Ok(Json(api.engine.webhook(&api.tenant, &WebhookName::new(name)?)?).into_response())
}

pub(super) async fn put(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = WebhookName::new(name)?;
    let webhook = Webhook::parse(&read_body(body, WEBHOOK_BYTES_MAX).await?)?;
    let (stored, new) = api.engine.put_webhook(&api.tenant, &name, webhook).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(stored)).into_response())
}

pub(super) async fn delete(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    api.engine.delete_webhook(&api.tenant, &WebhookName::new(name)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn preview(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = WebhookName::new(name)?;
    let event = EventEnvelope::parse(&read_body(body, EVENT_BYTES_MAX).await?)?;
    Ok(Json(api.engine.preview(&api.tenant, &name, event).await?).into_response())
}
