//! `hookmill tail`.

use std::process::ExitCode;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;

use super::delivery::round;
use crate::api::Client;
use crate::args::Tail;
use crate::exit_code::UNREACHABLE;
use crate::output::{Output, Span, field, inline};

/// Between two tries to find the server again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: Tail, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let mut answer = client.stream("/v1/tail").await?;
    if !output.is_json() {
        output.line("watching; Ctrl-C ends");
    }
    loop {
        let followed = follow(answer, &options, output);
        tokio::select! {
            () = followed => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
        output.error(&anyhow::anyhow!("the server went away; waiting for it"));
        answer = loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
                () = tokio::time::sleep(AGAIN) => {}
            }
            match client.stream("/v1/tail").await {
                Ok(answer) => break answer,
                Err(failure) if failure.exit_code == UNREACHABLE => {}
                Err(failure) => return Err(failure.into()),
            }
        };
    }
}

async fn follow(answer: reqwest::Response, options: &Tail, output: &Output) {
    let mut chunks = answer.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(Ok(chunk)) = chunks.next().await {
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if let Ok(settled) = serde_json::from_slice::<Value>(&line) {
                show(&settled, options, output);
            }
        }
    }
}

fn show(settled: &Value, options: &Tail, output: &Output) {
    if let Some(missed) = settled.get("missed") {
        return output.answer(settled, || {
            format!("({missed} attempts were too quick to show; `hookmill delivery list` has them)")
        });
    }
    if options.webhook.as_ref().is_some_and(|webhook| settled["webhook"] != webhook.as_str()) {
        return;
    }
    if output.is_json() {
        return output.line(settled);
    }
    let status = settled["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let reason = settled["reason"].as_str().map(|reason| format!(" ({})", inline(reason))).unwrap_or_default();
    let which = format!(
        "{}  {}  {} {} {} → ",
        field(settled, "at"),
        field(settled, "delivery"),
        field(settled, "doctype"),
        field(settled, "document"),
        field(settled, "doc_event"),
    );
    let rest = format!("{status} in {} ms{}{reason}", field(settled, "duration_ms"), round(&settled["replay"]));
    output.spans(&[which.into(), Span::State(field(settled, "outcome")), rest.into()]);
}
