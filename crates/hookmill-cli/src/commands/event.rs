//! `hookmill event`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::Client;
use crate::args::{Event, EventSend};
use crate::commands::{event_in, read};
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, field};

/// Events of one request: large enough to share a write, small enough to see progress.
const CHUNK: usize = 1_000;

/// Bytes of one request, well within what the server takes.
const CHUNK_BYTES: usize = 8 << 20;

/// An event of the input with its place there: its line counted from 1, or its index counted from 0.
#[derive(Debug)]
struct Placed<'a> {
    place: usize,
    text: &'a str,
}

/// What the input is.
#[derive(Debug)]
enum Input<'a> {
    One(String),
    Many {
        /// What places are called.
        place_name: &'static str,
        events: Vec<Placed<'a>>,
    },
}

pub(crate) async fn run(command: Event, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let Event::Send(send) = command;
    let text = String::from_utf8(read(&send.file)?).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        Failure::new(USAGE, "event_not_utf8", format!("{} is not UTF-8 at byte {position}", send.file.display()))
    })?;
    match input(&send, &text)? {
        Input::One(event) => send_one(client, event, output).await,
        Input::Many { events, .. } if events.is_empty() => {
            Err(Failure::new(USAGE, "no_events", format!("{} has no event", send.file.display())).into())
        }
        Input::Many { place_name, events } => send_many(client, place_name, &events, output).await,
    }
}

/// Tells what the input is: one event, an array of events, or an event a line (NDJSON).
fn input<'a>(send: &EventSend, text: &'a str) -> Result<Input<'a>, Failure> {
    if let (Some(doctype), Some(doc_event)) = (&send.doctype, &send.doc_event) {
        let doc: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&send.file, "document", &error))?;
        let (doctype, doc_event) = (json!(doctype), json!(doc_event));
        return Ok(Input::One(format!(r#"{{"doctype":{doctype},"doc_event":{doc_event},"doc":{}}}"#, doc.get())));
    }
    if text.trim_start().starts_with('[') {
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| not_json(&send.file, "array", &error))?;
        let place = |(place, element): (usize, &'a RawValue)| Placed { place, text: element.get() };
        return Ok(Input::Many { place_name: "index", events: elements.into_iter().enumerate().map(place).collect() });
    }
    let fault = match serde_json::from_str::<&RawValue>(text) {
        Ok(event) => return Ok(Input::One(event_in(event.get()).to_owned())),
        Err(fault) => fault,
    };
    if !text.trim().is_empty() && !is_ndjson(&send.file, text) {
        return Err(not_json(&send.file, "event", &fault));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let events = lines.map(|(index, text)| Placed { place: index + 1, text }).collect();
    Ok(Input::Many { place_name: "line", events })
}

/// Tells whether a text that is no JSON as a whole is meant as an event a line.
///
/// A line that begins with a brace, without indentation, and is JSON by itself, is an event; one event that is written
/// over several lines has no such line.
fn is_ndjson(file: &Path, text: &str) -> bool {
    file.extension().is_some_and(|extension| extension == "ndjson" || extension == "jsonl")
        || text.lines().any(|line| line.starts_with('{') && serde_json::from_str::<&RawValue>(line).is_ok())
}

fn not_json(file: &Path, what: &str, error: &serde_json::Error) -> Failure {
    Failure::new(FAILED, "event_malformed", format!("{} is no JSON {what}: {error}", file.display()))
        .help("it may be one event, an array of events, or an event a line; nothing was sent")
}

async fn send_one(client: &Client, event: String, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.post("/v1/events", "application/json", event).await?;
    output.answer(&answer, || {
        let deliveries: Vec<&str> =
            answer["deliveries"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let known = if answer["duplicate"] == true { " (it was recorded before)" } else { "" };
        match deliveries.as_slice() {
            [] => format!("event {} is recorded; no webhook matches it{known}", field(&answer, "id")),
            _ => {
                format!("event {} is recorded{known}; deliveries:\n  {}", field(&answer, "id"), deliveries.join("\n  "))
            }
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// What became of the events so far.
#[derive(Debug, Default)]
struct Tally {
    recorded: usize,
    deliveries: usize,
    /// Each with its place in the input, its code and message.
    refused: Vec<Value>,
}

impl Tally {
    /// Counts the answer for one request, whose lines are `chunk`.
    fn count(&mut self, place_name: &str, chunk: &[Placed<'_>], answer: &Value) {
        let recorded = answer["events"].as_array().into_iter().flatten();
        for event in recorded {
            self.recorded += 1;
            self.deliveries += event["deliveries"].as_array().map_or(0, Vec::len);
        }
        for error in answer["errors"].as_array().into_iter().flatten() {
            let line = error["line"].as_u64().and_then(|line| usize::try_from(line).ok());
            let Some(placed) = line.and_then(|line| chunk.get(line.checked_sub(1)?)) else { continue };
            self.refuse(place_name, placed, &error["code"], &error["detail"]);
        }
    }

    fn refuse(&mut self, place_name: &str, placed: &Placed<'_>, code: &Value, message: &Value) {
        self.refused.push(json!({place_name: placed.place, "code": code, "message": message}));
    }
}

async fn send_many(
    client: &Client,
    place_name: &'static str,
    events: &[Placed<'_>],
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let progress = output.progress(events.len() as u64, "events");
    let mut tally = Tally::default();
    let mut rest = events;
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().take(CHUNK).take_while(|event| {
            bytes += event.text.len() + 1;
            bytes <= CHUNK_BYTES
        });
        let (chunk, later) = rest.split_at(count.count().max(1));
        let lines = chunk.iter().map(|event| format!("{}\n", event.text.replace(['\n', '\r'], " "))).collect();
        match (client.publish_lines(lines).await, chunk) {
            (Ok(answer), _) => tally.count(place_name, chunk, &answer),
            // One event that is too large for any request: the others may still go.
            (Err(failure), [alone]) if failure.code == "body_too_large" => {
                tally.refuse(place_name, alone, &json!(failure.code), &json!(failure.message));
            }
            (Err(failure), _) => {
                progress.abandon();
                return Err(cut_short(failure, place_name, chunk, &tally).into());
            }
        }
        progress.inc(chunk.len() as u64);
        rest = later;
    }
    progress.finish_and_clear();
    let Tally { recorded, deliveries, refused } = tally;
    if !refused.is_empty() {
        let mut message =
            format!("{} of {} events were not taken; {recorded} are recorded", refused.len(), events.len());
        for error in &refused {
            let detail = error["message"].as_str().unwrap_or_default();
            message.push_str(&format!("\n  {place_name} {}: {detail}", error[place_name]));
        }
        let failure = Failure::new(FAILED, "events_refused", message).help("correct these and send only them again");
        return Err(Failure { errors: refused, ..failure }.into());
    }
    output.answer(&json!({"events": recorded, "deliveries": deliveries}), || {
        format!("{recorded} events are recorded, with {deliveries} deliveries")
    });
    Ok(ExitCode::SUCCESS)
}

/// Says how far it got when the server can't take more.
fn cut_short(failure: Failure, place_name: &str, chunk: &[Placed<'_>], tally: &Tally) -> Failure {
    let from = chunk.first().map_or(0, |placed| placed.place);
    let mut message = format!(
        "{} ({} events are recorded; those from {place_name} {from} on are not known to be)",
        failure.message, tally.recorded
    );
    for error in &tally.refused {
        message.push_str(&format!(
            "\n  {place_name} {}: {}",
            error[place_name],
            error["message"].as_str().unwrap_or_default()
        ));
    }
    Failure { message, errors: tally.refused.clone(), ..failure }
}
