//! `/v1/deliveries`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::core::{DeliveryId, DeliveryState};
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
    attempts: u32,
    next_attempt_at: Option<Timestamp>,
    received_at: Timestamp,
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
            attempts,
            next_attempt_at: status.next_attempt_at,
            received_at,
        }
    }
}

pub(super) async fn list(State(api): State<Api>, Params(filter): Params<Filter>) -> Answer {
    let (limit, cursor) = (filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX), filter.cursor);
    let page = api.engine.deliveries(&api.tenant, &filter.query(), cursor, limit).await?;
    let rows: Vec<Row> = page.rows.into_iter().map(Row::from).collect();
    Ok(Json(json!({"deliveries": rows, "next": page.next})).into_response())
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<DeliveryIdParam>) -> Answer {
    let detail = api.engine.delivery(&api.tenant, id.parse()?).await?;
    let mut answer = serde_json::to_value(Row::from(detail.row)).expect("a delivery is JSON");
    // `attempts` is a count in a list, and here the attempts themselves.
    answer["attempts"] = serde_json::to_value(&detail.attempts).expect("attempts are JSON");
    answer["event"] = serde_json::to_value(&*detail.event).expect("an event is JSON");
    Ok(Json(answer).into_response())
}

type DeliveryIdParam = String;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeliver {
    #[serde(default)]
    mode: RedeliverMode,
}

pub(super) async fn redeliver(State(api): State<Api>, Path(id): Path<DeliveryIdParam>, body: Body) -> Answer {
    let id: DeliveryId = id.parse()?;
    let Redeliver { mode } = read_json(body).await?;
    api.engine.redeliver(&api.tenant, id, mode).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id, "state": DeliveryState::Pending, "mode": mode}))).into_response())
}

pub(super) async fn redeliver_many(State(api): State<Api>, body: Body) -> Answer {
    let filter: Filter = read_json(body).await?;
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
    let report = api.engine.redeliver_many(&api.tenant, &query, mode, dry_run).await?;
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(report)).into_response())
}
