//! `hookmill event`.

use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::Client;
use crate::args::{Event, EventSend};
use crate::commands::read;
use crate::exit_code::{Failure, USAGE};
use crate::output::{Output, field};

/// Events of one request: large enough to share a write, small enough to see progress.
const CHUNK: usize = 1_000;

/// Bytes of one request, well within what the server takes.
const CHUNK_BYTES: usize = 8 << 20;

pub(crate) async fn run(command: Event, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let Event::Send(send) = command;
    let text = String::from_utf8(read(&send.file)?).map_err(|error| {
        Failure::new(
            USAGE,
            "event_not_utf8",
            format!("{} is not UTF-8 at byte {}", send.file.display(), error.utf8_error().valid_up_to()),
        )
    })?;
    let events = events(&send, &text)?;
    match events.as_slice() {
        [] => Err(Failure::new(USAGE, "no_events", format!("{} has no event", send.file.display())).into()),
        [event] => send_one(client, event.to_owned(), output).await,
        _ => send_many(client, &events, output).await,
    }
}

/// Splits the input into events: an array's elements, the lines of NDJSON, or the one that it is.
fn events(send: &EventSend, text: &str) -> anyhow::Result<Vec<String>> {
    if let (Some(doctype), Some(doc_event)) = (&send.doctype, &send.doc_event) {
        let doc: &RawValue =
            serde_json::from_str(text).with_context(|| format!("{} is no JSON document", send.file.display()))?;
        let (doctype, doc_event) = (json!(doctype), json!(doc_event));
        return Ok(vec![format!(r#"{{"doctype":{doctype},"doc_event":{doc_event},"doc":{}}}"#, doc.get())]);
    }
    if text.trim_start().starts_with('[') {
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).with_context(|| format!("{} is no JSON array", send.file.display()))?;
        return Ok(elements.into_iter().map(|element| element.get().to_owned()).collect());
    }
    if serde_json::from_str::<&RawValue>(text).is_ok() {
        return Ok(vec![text.to_owned()]);
    }
    // More than one value: a line each. The server says which lines it can't read.
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
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

async fn send_many(client: &Client, events: &[String], output: &Output) -> anyhow::Result<ExitCode> {
    let progress = output.progress(events.len() as u64, "events");
    let mut rest = events;
    let mut deliveries = 0;
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().take(CHUNK).take_while(|event| {
            bytes += event.len() + 1;
            bytes <= CHUNK_BYTES
        });
        let (chunk, later) = rest.split_at(count.count().max(1));
        let sent = events.len() - rest.len();
        let body = Bytes::from(
            chunk.iter().map(|event| format!("{}\n", event.replace(['\n', '\r'], " "))).collect::<String>(),
        );
        let answer =
            client.post("/v1/events", "application/x-ndjson", body).await.inspect_err(|_| progress.abandon()).map_err(
                |failure| Failure {
                    message: format!(
                        "{} (counted from event {}; {sent} before it are recorded)",
                        failure.message,
                        sent + 1
                    ),
                    ..failure
                },
            )?;
        let recorded = answer["events"].as_array().into_iter().flatten();
        deliveries += recorded.map(|event| event["deliveries"].as_array().map_or(0, Vec::len)).sum::<usize>();
        progress.inc(chunk.len() as u64);
        rest = later;
    }
    progress.finish_and_clear();
    output.answer(&json!({"events": events.len(), "deliveries": deliveries}), || {
        format!("{} events are recorded, with {deliveries} deliveries", events.len())
    });
    Ok(ExitCode::SUCCESS)
}
