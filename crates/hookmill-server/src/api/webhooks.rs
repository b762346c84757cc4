//! `/v1/webhooks`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::core::EventId;
use hookmill::core::json::Fields;
use hookmill::{EventEnvelope, TriedEvent, Webhook, WebhookName};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Answer, Api, read_body, wrong_method};
use crate::problem::Problem;

/// Bytes of a webhook's JSON. Its texts have bounds of their own.
const WEBHOOK_BYTES_MAX: usize = 1 << 20;

/// Bytes of what is tried out: a document and the one before it, a webhook, and the rest.
const TRIAL_BYTES_MAX: usize = 5 << 20;

/// What in the place of a webhook's name stands for one that is not saved.
const UNSAVED: &str = "preview";

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

/// An event to try a webhook out with: itself, its id, or a delivery that it owes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial<'a> {
    #[serde(borrow)]
    webhook: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    event_id: Option<String>,
    delivery: Option<String>,
}

impl<'a> Trial<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body).map_err(malformed)
    }

    fn event(self) -> Result<TriedEvent, Problem> {
        match (self.event, self.event_id, self.delivery) {
            (Some(event), None, None) => Ok(EventEnvelope::parse(event.get().as_bytes())?.into()),
            (None, Some(id), None) => Ok(TriedEvent::Recorded(EventId::new(id)?)),
            (None, None, Some(delivery)) => Ok(TriedEvent::Of(delivery.parse()?)),
            _ => Err(malformed("one of `event`, `event_id` and `delivery` is needed")),
        }
    }
}

fn malformed(cause: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "body_malformed", format!("the body can't be read: {cause}"))
        .help("send an event, or {\"event\": {…}}, {\"event_id\": \"…\"} or {\"delivery\": \"…\"}")
}

/// Reads which event a saved webhook is to be tried out with; it may stand as the whole body.
async fn tried_event(body: Body) -> Result<TriedEvent, Problem> {
    let bytes = read_body(body, TRIAL_BYTES_MAX).await?;
    let text = std::str::from_utf8(&bytes).ok();
    let fields = text.and_then(|text| Fields::parse(text).ok());
    if fields.is_none_or(|fields| fields.get("doctype").is_some() || fields.get("doc").is_some()) {
        // What is wrong with an event has codes of its own.
        return Ok(EventEnvelope::parse(&bytes)?.into());
    }
    let trial = Trial::parse(&bytes)?;
    match trial.webhook {
        Some(_) => Err(malformed("a `webhook` that is not saved goes to POST /v1/webhooks/preview")),
        None => trial.event(),
    }
}

pub(super) async fn preview(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = WebhookName::new(name)?;
    Ok(Json(api.engine.preview(&api.tenant, &name, tried_event(body).await?).await?).into_response())
}

pub(super) async fn test(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = WebhookName::new(name)?;
    Ok(Json(api.engine.test_send(&api.tenant, &name, tried_event(body).await?).await?).into_response())
}

/// Previews a webhook that is not saved. Its path has the form of a webhook's, and one may bear this name.
pub(super) async fn preview_unsaved(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    if name != UNSAVED {
        return Ok(([(header::ALLOW, "GET,HEAD,PUT,DELETE")], wrong_method().await).into_response());
    }
    let bytes = read_body(body, TRIAL_BYTES_MAX).await?;
    let trial = Trial::parse(&bytes)?;
    let webhook = trial.webhook.ok_or_else(|| malformed("`webhook` is missing"))?;
    let webhook = Webhook::parse(webhook.get().as_bytes())?;
    Ok(Json(api.engine.preview_unsaved(&api.tenant, webhook, trial.event()?).await?).into_response())
}
