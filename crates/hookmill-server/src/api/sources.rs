//! `/v1/sources/frappe`: events that Frappe's own Webhooks send.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use hookmill::FrappeRequest;
use hookmill::core::limits::DOC_BYTES_MAX;
use hookmill::core::{FrappeSource, SourceError};
use http::HeaderMap;
use serde::Deserialize;

use super::events::taken;
use super::{Answer, Api, Params, read_body};
use crate::auth;

/// Bytes of a source's settings.
const SETTINGS_BYTES_MAX: usize = 64 << 10;

/// Bytes of a request: the largest document with some room, so that one that is a little too large is named as such.
const BODY_BYTES_MAX: usize = 2 * DOC_BYTES_MAX;

pub(super) async fn show(State(api): State<Api>) -> Answer {
    Ok(Json(api.engine.frappe_source(&api.tenant)).into_response())
}

pub(super) async fn put(State(api): State<Api>, body: Body) -> Answer {
    let source = FrappeSource::parse(&read_body(body, SETTINGS_BYTES_MAX).await?)?;
    Ok(Json(api.engine.put_frappe_source(&api.tenant, source).await?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sender {
    /// The name that the Webhook has in Frappe.
    webhook: Option<String>,
}

pub(super) async fn publish(
    State(api): State<Api>,
    Params(sender): Params<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let signature = headers.get("x-frappe-webhook-signature");
    let trusted = auth::is_shown(&api.token, &headers);
    if signature.is_none() && !trusted {
        // Before a stranger's body is read.
        return Err(SourceError::Unsigned.into());
    }
    let body = read_body(body, BODY_BYTES_MAX).await?;
    let request = FrappeRequest {
        body: &body,
        webhook: sender.webhook.as_deref().filter(|name| !name.is_empty()),
        // What is no text is no base64 either, and no signature.
        signature: signature.map(|value| value.to_str().unwrap_or_default()),
        trusted,
    };
    Ok(taken(&api.engine.publish_from_frappe(&api.tenant, request).await?))
}
