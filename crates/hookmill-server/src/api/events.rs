//! `POST /v1/events`: one event, a JSON array of events, or NDJSON with an event a line.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hookmill::core::{DeliveryId, EventError, EventId};
use hookmill::{EngineError, EventEnvelope, Explain as _, Published};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answer, Api, read_body};
use crate::problem::{Problem, RETRY_AFTER_SECS, status_of};

/// Bytes of a request with events: a batch of some thousand ordinary documents.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Events of one request; they share one write, which must not hold up those of others.
const EVENTS_MAX: usize = 10_000;

pub(super) async fn publish(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let body = read_body(body, BODY_BYTES_MAX).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.contains("ndjson") || content_type.contains("jsonl") || content_type.contains("json-seq") {
        check_count(body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count())?;
        return publish_batch(&api, "line", lines(&body)).await;
    }
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return publish_batch(&api, "index", elements(&body)?).await;
    }
    Ok(taken(&api.engine.publish(&api.tenant, EventEnvelope::parse(&body)?).await?))
}

/// The answer for one event that was published.
pub(super) fn taken(published: &Published) -> Response {
    let status = if published.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(Taken::one(published))).into_response()
}

/// An event of a batch with its place: its line counted from 1, or its index counted from 0.
type Placed = (usize, Result<EventEnvelope, EventError>);

fn lines(body: &Bytes) -> Vec<Placed> {
    body.split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| (index + 1, EventEnvelope::parse(line)))
        .collect()
}

fn elements(body: &Bytes) -> Result<Vec<Placed>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| EventError::NotUtf8 { position: error.valid_up_to() })?;
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(EventError::Malformed)?;
    check_count(elements.len())?;
    Ok(elements.iter().enumerate().map(|(index, raw)| (index, EventEnvelope::parse(raw.get().as_bytes()))).collect())
}

/// Refuses a batch that is too long before any of it is read.
fn check_count(count: usize) -> Result<(), Problem> {
    if count <= EVENTS_MAX {
        return Ok(());
    }
    let detail = format!("the request has {count} events, more than the {EVENTS_MAX} that one may have");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail)
        .help("send it in parts; nothing of it was taken"))
}

/// Publishes what can be read, in one write, and answers for every event. A bad one costs the others nothing.
async fn publish_batch(api: &Api, place_name: &str, placed: Vec<Placed>) -> Answer {
    if placed.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no_events", "the request has no event")
            .help("send one event, an array with at least one, or an event a line"));
    }
    let mut places = Vec::with_capacity(placed.len());
    let mut envelopes = Vec::with_capacity(placed.len());
    let mut refused: Vec<(usize, EngineError)> = Vec::new();
    for (place, envelope) in placed {
        match envelope {
            Ok(envelope) => {
                places.push(place);
                envelopes.push(envelope);
            }
            Err(error) => refused.push((place, error.into())),
        }
    }
    let mut taken: Vec<(usize, Published)> = Vec::with_capacity(places.len());
    for (place, answer) in places.into_iter().zip(api.engine.publish_many(&api.tenant, envelopes).await) {
        match answer {
            Ok(published) => taken.push((place, published)),
            Err(error) => refused.push((place, error)),
        }
    }
    let events: Vec<Taken<'_>> =
        taken.iter().map(|(place, published)| Taken::at(place_name, *place, published)).collect();
    if !refused.is_empty() {
        return Err(partly_refused(place_name, refused, events));
    }
    let all_known = taken.iter().all(|(_, published)| published.duplicate);
    let status = if all_known { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Batch { events })).into_response())
}

/// Names every refused event by its place, and tells which were taken.
fn partly_refused(place_name: &str, mut refused: Vec<(usize, EngineError)>, events: Vec<Taken<'_>>) -> Problem {
    refused.sort_by_key(|(place, _)| *place);
    let (first_place, first) = refused.first().expect("at least one event was refused");
    let status = status_of(first);
    let detail = format!(
        "{} of {} events were not taken; the first is at {place_name} {first_place}: {first}",
        refused.len(),
        refused.len() + events.len()
    );
    let errors: Vec<Value> = refused
        .iter()
        .map(|(place, error)| json!({place_name: place, "code": error.code(), "detail": error.to_string(), "help": error.help()}))
        .collect();
    let passing = refused.iter().any(|(_, error)| status_of(error) == StatusCode::SERVICE_UNAVAILABLE);
    let problem = Problem::new(status, "events_refused", detail)
        .help("the events under `events` are recorded; correct those under `errors` and send only them again")
        .with("errors", errors)
        .with("events", serde_json::to_value(events).expect("answers are JSON"));
    if passing { problem.retry_after(RETRY_AFTER_SECS) } else { problem }
}

/// What is answered for an event that was taken.
#[derive(Debug, Serialize)]
struct Taken<'a> {
    id: &'a EventId,
    deliveries: &'a [DeliveryId],
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

/// What is answered for a batch of which all was taken.
#[derive(Debug, Serialize)]
struct Batch<'a> {
    events: Vec<Taken<'a>>,
}

impl<'a> Taken<'a> {
    fn one(published: &'a Published) -> Self {
        let Published { id, deliveries, duplicate, .. } = published;
        Self { id, deliveries, duplicate: *duplicate, line: None, index: None }
    }

    fn at(place_name: &str, place: usize, published: &'a Published) -> Self {
        let (line, index) = if place_name == "line" { (Some(place), None) } else { (None, Some(place)) };
        Self { line, index, ..Self::one(published) }
    }
}
