//! `/v1/deliveries`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::core::{Attempt, DeliveryId, DeliveryState, Event};
use hookmill::{DeliveryQuery, DeliveryRow, RedeliverMode, WebhookName};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Api, Params, read_json};
use crate::problem::Problem;

/// Rows of a page, unless the caller asks for fewer or more.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;

/// The filter, as query parameters and as JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    webhook: Option<WebhookName>,
    state: Option<DeliveryState>,
    event_id: Option<String>,
    doctype: Option<String>,
    document: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    status: Option<u16>,
    text: Option<String>,
    // Of the list alone.
    limit: Option<usize>,
    cursor: Option<i64>,
    // Of the bulk redelivery alone.
    mode: Option<RedeliverMode>,
    #[serde(default)]
    dry_run: bool,
}

impl Filter {
    fn query(self) -> DeliveryQuery {
        let Self { webhook, state, event_id, doctype, document, since, until, status, text, .. } = self;
        DeliveryQuery { webhook, state, event_id, doctype, document, since, until, status, text }
    }
}

/// A delivery as JSON.
#[derive(Debug, Serialize)]
struct Row {
    id: DeliveryId,
    webhook: WebhookName,
    event_id: String,
    doctype: String,
    doc_event: String,
    document: String,
    state: DeliveryState,
    reason: Option<String>,
    /// A count in a list; one delivery shows the attempts themselves in its place.
    #[serde(rename = "attempts", skip_serializing_if = "Option::is_none")]
    attempt_count: Option<u32>,
    next_attempt_at: Option<Timestamp>,
    received_at: Timestamp,
}

/// One delivery with all that is known of it. Written in one go: the document's text must not pass through a parser
/// that rewrites its numbers.
#[derive(Debug, Serialize)]
struct Detail {
    #[serde(flatten)]
    row: Row,
    attempts: Vec<Attempt>,
    event: Arc<Event>,
}

impl From<DeliveryRow> for Row {
    fn from(row: DeliveryRow) -> Self {
        let DeliveryRow { id, webhook, event_id, doctype, doc_event, document, status, attempts, received_at, .. } =
            row;
        Self {
            id,
            webhook,
            event_id,
            doctype,
            doc_event,
            document,
            state: status.state,
            reason: status.reason,
            attempt_count: Some(attempts),
            next_attempt_at: status.next_attempt_at,
            received_at,
        }
    }
}

pub(super) async fn list(State(api): State<Api>, Params(filter): Params<Filter>) -> Answer {
    if filter.dry_run || filter.mode.is_some() {
        let detail = "a list takes no `dry_run` and no `mode`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "query_malformed", detail));
    }
    let (limit, cursor) = (filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX), filter.cursor);
    let page = api.engine.deliveries(&api.tenant, &filter.query(), cursor, limit).await?;
    let rows: Vec<Row> = page.rows.into_iter().map(Row::from).collect();
    Ok(Json(json!({"deliveries": rows, "next": page.next})).into_response())
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<DeliveryIdParam>) -> Answer {
    let detail = api.engine.delivery(&api.tenant, id.parse()?).await?;
    let row = Row { attempt_count: None, ..Row::from(detail.row) };
    let answer = Detail { row, attempts: detail.attempts, event: detail.event };
    Ok(Json(answer).into_response())
}

type DeliveryIdParam = String;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeliver {
    #[serde(default)]
    mode: RedeliverMode,
}

pub(super) async fn verify(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    Ok(Json(api.engine.verify(&api.tenant, id.parse()?).await?).into_response())
}

pub(super) async fn redeliver(State(api): State<Api>, Path(id): Path<DeliveryIdParam>, body: Body) -> Answer {
    let id: DeliveryId = id.parse()?;
    let Redeliver { mode } = read_json(body).await?;
    api.engine.redeliver(&api.tenant, id, mode).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id, "state": DeliveryState::Pending, "mode": mode}))).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedeliverMany {
    /// Whether the answer waits until all are handed over.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

pub(super) async fn redeliver_many(
    State(api): State<Api>,
    Params(RedeliverMany { wait }): Params<RedeliverMany>,
    body: Body,
) -> Answer {
    let filter: Filter = read_json(body).await?;
    if filter.limit.is_some() || filter.cursor.is_some() {
        let detail = "a bulk redelivery takes no `limit` and no `cursor`: it sends all that the filter finds";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "body_malformed", detail));
    }
    let (mode, dry_run) = (filter.mode.unwrap_or_default(), filter.dry_run);
    let query = filter.query();
    if query == DeliveryQuery::default() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "filter_missing",
            "a bulk redelivery needs a filter",
        )
        .help(
            "say which: for example {\"state\": \"dead\", \"webhook\": \"NAME\"}; add \"dry_run\": true to count first",
        ));
    }
    if !wait && !dry_run {
        let job = api.engine.begin_replay(&api.tenant, &query, mode).await?;
        return Ok((StatusCode::ACCEPTED, Json(job)).into_response());
    }
    let report = api.engine.redeliver_many(&api.tenant, &query, mode, dry_run).await?;
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(report)).into_response())
}
