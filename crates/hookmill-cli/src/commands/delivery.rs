//! `hookmill delivery`.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::replays;
use super::webhook::{print_error, print_plugin, print_request, print_run};
use crate::api::Client;
use crate::args::{Delivery, Filter, Mode};
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, Span, field, inline};

pub(crate) async fn run(command: Delivery, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Delivery::List { filter, limit } => list(client, &filter, limit, output).await,
        Delivery::Show { id } => show(client, &id, output).await,
        Delivery::Verify { id } => verify(client, &id, output).await,
        Delivery::Replays { id, cancel } => replays::run(client, id.as_deref(), cancel, output).await,
        Delivery::Redeliver { id, filter, mode, dry_run, detach } => match (id, filter.pairs().is_empty()) {
            (Some(id), true) if !dry_run && !detach => redeliver(client, &id, mode, output).await,
            (None, false) if dry_run => replays::count(client, &filter, mode, output).await,
            (None, false) => replays::begin(client, &filter, mode, detach, output).await,
            _ => Err(Failure::new(USAGE, "filter_missing", "say which deliveries: either an id or a filter")
                .help("for example `--state dead --webhook NAME`; `--dry-run` and `--detach` go with a filter")
                .into()),
        },
    }
}

async fn list(client: &Client, filter: &Filter, limit: usize, output: &Output) -> anyhow::Result<ExitCode> {
    let mut deliveries: Vec<Value> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut query = filter.pairs();
        query.push(("limit", (limit - deliveries.len()).clamp(1, 500).to_string()));
        if !cursor.is_null() {
            query.push(("cursor", cursor.to_string()));
        }
        let mut page = client.get("/v1/deliveries", &query).await?;
        if let Some(rows) = page["deliveries"].as_array_mut() {
            deliveries.append(rows);
        }
        cursor = page["next"].take();
        if cursor.is_null() || deliveries.len() >= limit {
            break;
        }
    }
    if output.is_json() {
        output.line(json!({"deliveries": deliveries, "next": cursor}));
        return Ok(ExitCode::SUCCESS);
    }
    if deliveries.is_empty() {
        output.line("no deliveries found");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = deliveries
        .iter()
        .map(|row| {
            [
                field(row, "id").into(),
                to_the_second(row, "received_at").into(),
                field(row, "webhook").into(),
                format!("{} {}", field(row, "doctype"), field(row, "document")).into(),
                field(row, "doc_event").into(),
                Span::State(field(row, "state")),
                field(row, "attempts").into(),
                row["reason"].as_str().unwrap_or_default().into(),
            ]
        })
        .collect();
    output.table(["ID", "RECEIVED", "WEBHOOK", "DOCUMENT", "DOC EVENT", "STATE", "ATTEMPTS", "REASON"], rows);
    if !cursor.is_null() {
        output.line(format!("there are more; raise --limit over {limit} or narrow the filter"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells a time to the second; `--since` takes it as it is.
pub(super) fn to_the_second(row: &Value, name: &str) -> String {
    let text = field(row, name);
    text.parse::<Timestamp>().map_or(text, |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

async fn show(client: &Client, id: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let delivery = client.get(&Client::path(&["deliveries", id]), &[]).await?;
    if output.is_json() {
        output.line(&delivery);
        return Ok(ExitCode::SUCCESS);
    }
    output.spans(&[Span::Bold(format!("{} ", field(&delivery, "id"))), Span::State(field(&delivery, "state"))]);
    output.line(format!("webhook   {}", field(&delivery, "webhook")));
    output.line(format!("received  {}", field(&delivery, "received_at")));
    output.line(format!(
        "event     {} ({} of {} {})",
        field(&delivery, "event_id"),
        field(&delivery, "doc_event"),
        field(&delivery, "doctype"),
        field(&delivery, "document")
    ));
    for (label, name) in [("reason    ", "reason"), ("next try  ", "next_attempt_at")] {
        if !delivery[name].is_null() {
            output.line(format!("{label}{}", field(&delivery, name)));
        }
    }
    for (number, attempt) in delivery["attempts"].as_array().into_iter().flatten().enumerate() {
        output.heading(&format!(
            "\nattempt {} at {}: {}, {} ms{}",
            number + 1,
            field(attempt, "at"),
            field(attempt, "outcome"),
            field(attempt, "duration_ms"),
            round(&attempt["replay"])
        ));
        if !attempt["request"].is_null() {
            output.line(format!("{} {}", field(&attempt["request"], "method"), field(&attempt["request"], "url")));
            // Of the headers that are made for each try, this one is always the same; date and signature are not kept.
            output.line(format!("webhook-id: {}", field(&delivery, "id")));
            print_request(&attempt["request"], output);
        }
        if !attempt["response"].is_null() {
            output.line(format!("→ {}", field(&attempt["response"], "status")));
            print_request(&attempt["response"], output);
        }
        print_error(&attempt["error"], output);
        print_plugin(&attempt["plugin"], output);
        print_run("judged by", &attempt["judge"], output);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which replay an attempt is part of; nothing in the first round.
pub(crate) fn round(replay: &Value) -> String {
    if replay.is_null() {
        return String::new();
    }
    let bulk = replay["id"].as_str().map(|id| format!(" of {}", inline(id))).unwrap_or_default();
    format!(", round {} ({}{bulk})", field(replay, "round"), field(replay, "mode"))
}

async fn redeliver(client: &Client, id: &str, mode: Mode, output: &Output) -> anyhow::Result<ExitCode> {
    let body = json!({"mode": mode.as_str()}).to_string();
    let answer = client.post(&Client::path(&["deliveries", id, "redeliver"]), "application/json", body).await?;
    output.answer(&answer, || format!("{id} is sent again; follow it with `hookmill delivery show {id}`"));
    Ok(ExitCode::SUCCESS)
}

async fn verify(client: &Client, id: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.post(&Client::path(&["deliveries", id, "verify"]), "application/json", "").await?;
    let verified = answer["verified"] == true;
    output.answer(&answer, || {
        let same = |part: &str| if answer[part]["same"] == true { "the same" } else { "differs" };
        let parts = ["input", "engine", "output", "request"].map(|part| format!("{part:<8} {}", same(part)));
        let verdict =
            if verified { "proven: the request is what this version makes of the event" } else { "not proven" };
        format!("plugin   {}\n{}\n{verdict}", field(&answer, "plugin"), parts.join("\n"))
    });
    Ok(if verified { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
