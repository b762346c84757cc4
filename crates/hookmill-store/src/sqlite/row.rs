//! Records in the shape of the tables, and back.
//!
//! Made on the caller's side, so that what can't be stored is refused there and the writer thread only binds values.

use std::sync::Arc;

use hookmill_core::ports::{NewAttempt, NewEvent, Record, Reopen, StoreErrorKind};
use hookmill_core::{Attempt, DeliveryId, Event, EventId, JsonText, Replay, Request, Response, TenantId};
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use super::shared::PLACE_BITS;
use super::trouble::{Trouble, damaged};

/// A record, ready to be bound.
#[derive(Debug)]
pub(super) enum Row {
    Event(EventRow),
    Attempt(Box<AttemptRow>),
    /// With its replay as text.
    Reopen(Reopen, String),
}

#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) new: NewEvent,
    /// The event key in the signed form that SQLite has.
    pub(super) key: i64,
    pub(super) occurred_at: String,
    pub(super) meta: Option<String>,
}

#[derive(Debug)]
pub(super) struct AttemptRow {
    pub(super) new: Arc<NewAttempt>,
    pub(super) request: Option<String>,
    pub(super) response: Option<String>,
    pub(super) plugin: Option<String>,
    pub(super) judge: Option<String>,
    pub(super) error: Option<String>,
    pub(super) replay: Option<String>,
}

/// A request without its body, which has a column of its own so that nothing need be escaped.
#[derive(Serialize, Deserialize)]
struct RequestHead<'a> {
    method: std::borrow::Cow<'a, str>,
    url: std::borrow::Cow<'a, str>,
    headers: std::borrow::Cow<'a, [(String, String)]>,
}

/// A response without its body.
#[derive(Serialize, Deserialize)]
struct ResponseHead<'a> {
    status: u16,
    headers: std::borrow::Cow<'a, [(String, String)]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl Row {
    /// Shapes a record; answers with its approximate size too.
    pub(super) fn new(record: Record) -> Result<(Self, usize), Trouble> {
        match record {
            Record::Event(new) => {
                let event = &new.event;
                if new.deliveries.len() > 1 << PLACE_BITS {
                    let cause = format!("an event can't owe {} deliveries, 65536 at most", new.deliveries.len());
                    return Err(Trouble::new(StoreErrorKind::Conflict, cause));
                }
                let key = match new.deliveries.first() {
                    Some((_, id)) => id.event_part(),
                    None => DeliveryId::event_key(&event.tenant, &event.id),
                };
                let occurred_at = event.occurred_at.to_string();
                let meta = (!event.meta.is_empty()).then(|| json(&event.meta)).transpose()?;
                let before = event.before.as_ref().map_or(0, |before| before.as_str().len());
                let bytes = event.doc.as_str().len() + before + 200;
                Ok((Self::Event(EventRow { key: key.cast_signed(), occurred_at, meta, new }), bytes))
            }
            Record::Attempt(new) => {
                let attempt = &new.attempt;
                let request = attempt.request.as_ref().map(request_head).transpose()?;
                let response = attempt.response.as_ref().map(response_head).transpose()?;
                let plugin = attempt.plugin.as_ref().map(json).transpose()?;
                let judge = attempt.judge.as_ref().map(json).transpose()?;
                let error = attempt.error.as_ref().map(json).transpose()?;
                let replay = attempt.replay.as_ref().map(json).transpose()?;
                let texts =
                    [&request, &response, &plugin, &judge, &error, &replay].into_iter().flatten().map(String::len);
                let bytes = texts.sum::<usize>()
                    + attempt.request.as_ref().map_or(0, |request| request.body.len())
                    + attempt.response.as_ref().map_or(0, |response| response.body.len())
                    + 100;
                let row = AttemptRow { new, request, response, plugin, judge, error, replay };
                Ok((Self::Attempt(Box::new(row)), bytes))
            }
            Record::Reopen(reopen) => {
                let replay = json(&reopen.replay)?;
                Ok((Self::Reopen(reopen, replay), 200))
            }
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::new(StoreErrorKind::Conflict, error.to_string()))
}

fn request_head(request: &Request) -> Result<String, Trouble> {
    let Request { method, url, headers, body: _ } = request;
    json(&RequestHead { method: method.into(), url: url.into(), headers: headers.into() })
}

fn response_head(response: &Response) -> Result<String, Trouble> {
    json(&ResponseHead { status: response.status, headers: (&response.headers).into(), truncated: response.truncated })
}

/// Binds a body as text if it is UTF-8, so that a person can read it in the file.
pub(super) fn body(bytes: &[u8]) -> ToSqlOutput<'_> {
    let text = std::str::from_utf8(bytes).is_ok();
    ToSqlOutput::Borrowed(if text { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) })
}

/// The columns that [`read_request`] takes, in its order.
pub(super) const REQUEST_COLUMNS: &str = "request, request_body";

/// Reads the request of an attempt from its two columns, the first of which is `at`.
pub(super) fn read_request(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Request>, Trouble> {
    let Some(head) = row.get_ref(at)?.as_str_or_null().map_err(|error| damaged("a request", error))? else {
        return Ok(None);
    };
    let head: RequestHead<'_> = serde_json::from_str(head).map_err(|error| damaged("a request", error))?;
    Ok(Some(Request {
        method: head.method.into_owned(),
        url: head.url.into_owned(),
        headers: head.headers.into_owned(),
        body: bytes(row, at + 1)?,
    }))
}

fn bytes(row: &rusqlite::Row<'_>, at: usize) -> Result<Vec<u8>, Trouble> {
    let value = row.get_ref(at)?.as_bytes_or_null().map_err(|error| damaged("a body", error))?;
    Ok(value.unwrap_or_default().to_vec())
}

/// The columns that [`read_attempt`] takes, in its order.
pub(super) const ATTEMPT_COLUMNS: &str =
    "at, outcome, duration_ms, response, response_body, plugin, judge, error, request, request_body, replay";

/// Reads an attempt with the request that it holds itself.
pub(super) fn read_attempt(row: &rusqlite::Row<'_>) -> Result<Attempt, Trouble> {
    let text = |at: usize| row.get_ref(at)?.as_str_or_null().map_err(|error| damaged("an attempt", error));
    let head: Option<ResponseHead<'_>> = text(3)?.map(parse).transpose()?;
    let response = match head {
        None => None,
        Some(head) => Some(Response {
            status: head.status,
            headers: head.headers.into_owned(),
            body: bytes(row, 4)?,
            truncated: head.truncated,
        }),
    };
    Ok(Attempt {
        at: time(row.get(0)?)?,
        outcome: row.get(1)?,
        request: read_request(row, 8)?,
        response,
        duration_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        plugin: text(5)?.map(parse).transpose()?,
        judge: text(6)?.map(parse).transpose()?,
        error: text(7)?.map(parse).transpose()?,
        replay: read_replay(row, 10)?,
    })
}

/// Reads the replay of a delivery or an attempt.
pub(super) fn read_replay(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Replay>, Trouble> {
    let text = row.get_ref(at)?.as_str_or_null().map_err(|error| damaged("a replay", error))?;
    text.map(|text| serde_json::from_str(text).map_err(|error| damaged("a replay", error))).transpose()
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error| damaged("an attempt", error))
}

/// The columns that [`read_event`] takes, in its order.
pub(super) const EVENT_COLUMNS: &str = "tenant, id, doctype, doc_event, document, occurred_at, user, meta, doc, before";

/// Reads an event.
pub(super) fn read_event(row: &rusqlite::Row<'_>) -> Result<Arc<Event>, Trouble> {
    let bad = |error: &dyn std::fmt::Display| damaged("an event", error);
    let text = |at: usize| row.get_ref(at)?.as_str_or_null().map_err(|error| bad(&error));
    let whole = |at: usize| Ok::<_, Trouble>(text(at)?.unwrap_or_default());
    let document = |text: &str| JsonText::parse(text).map_err(|error| bad(&error));
    Ok(Arc::new(Event {
        tenant: TenantId::new(whole(0)?).map_err(|error| bad(&error))?,
        id: EventId::new(whole(1)?).map_err(|error| bad(&error))?,
        doctype: whole(2)?.to_owned(),
        doc_event: whole(3)?.to_owned(),
        document: whole(4)?.to_owned(),
        occurred_at: whole(5)?.parse().map_err(|error: jiff::Error| bad(&error))?,
        user: text(6)?.map(str::to_owned),
        meta: text(7)?.map(serde_json::from_str).transpose().map_err(|error| bad(&error))?.unwrap_or_default(),
        doc: document(whole(8)?)?,
        before: text(9)?.map(document).transpose()?,
    }))
}

/// Reads a time.
pub(super) fn time(microseconds: i64) -> Result<Timestamp, Trouble> {
    Timestamp::from_microsecond(microseconds).map_err(|error| damaged("a time", error))
}
