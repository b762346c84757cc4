//! `hookmill delivery redeliver` with a filter, and `hookmill delivery replays`: many sent again, watched to the end.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::delivery::to_the_second;
use crate::api::Client;
use crate::args::{Filter, Mode};
use crate::exit_code::{FAILED, Failure};
use crate::output::{Output, Span, field, group};

/// How often the server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const PATH: &str = "/v1/deliveries/redeliver";

/// Makes the body of a redelivery.
fn body(filter: &Filter, mode: Mode, dry_run: bool) -> String {
    let mut body = json!({"mode": mode.as_str(), "dry_run": dry_run});
    for (name, value) in filter.pairs() {
        // A status is a number in JSON.
        body[name] =
            value.parse::<u16>().ok().filter(|_| name == "status").map_or_else(|| json!(value), |status| json!(status));
    }
    body.to_string()
}

/// Says what would be sent again.
pub(super) async fn count(client: &Client, filter: &Filter, mode: Mode, output: &Output) -> anyhow::Result<ExitCode> {
    let spinner = output.spinner("counting deliveries".into());
    let answer = client.post(PATH, "application/json", body(filter, mode, true)).await;
    spinner.finish_and_clear();
    let answer = answer?;
    output.answer(&answer, || {
        let parts = |name: &str| {
            let counts = answer[name].as_object().into_iter().flatten();
            counts.map(|(of, count)| format!("\n  {count} {of}")).collect::<String>()
        };
        let matched = number(&answer, "matched");
        let mut text = format!("{} deliveries would be sent again", matched - number(&answer, "passed_over"));
        text.push_str(&parts("by_state"));
        text.push_str(&parts("by_webhook"));
        for (name, what) in [
            ("passed_over", "are under way, or their webhook is gone: they would be passed over"),
            ("parked_at_once", "would be parked at once, for their webhook is disabled"),
        ] {
            if number(&answer, name) > 0 {
                text.push_str(&format!("\n{} {what}", answer[name]));
            }
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

/// Begins a replay and, unless told otherwise, watches it.
pub(super) async fn begin(
    client: &Client,
    filter: &Filter,
    mode: Mode,
    detach: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let job = client.post(&format!("{PATH}?wait=false"), "application/json", body(filter, mode, false)).await?;
    if detach {
        output.answer(&job, || {
            let id = field(&job, "id");
            format!("the server sends them again; `hookmill delivery replays {id}` watches it, `--cancel` cancels it")
        });
        return Ok(ExitCode::SUCCESS);
    }
    watch(client, job, output).await
}

/// Lists the replays, watches one, or cancels it.
pub(super) async fn run(client: &Client, id: Option<&str>, cancel: bool, output: &Output) -> anyhow::Result<ExitCode> {
    let Some(id) = id else { return list(client, output).await };
    let path = Client::path(&["replays", id]);
    if !cancel {
        let job = client.get(&path, &[]).await?;
        if output.is_json() {
            output.line(&job);
            return Ok(ExitCode::SUCCESS);
        }
        return watch(client, job, output).await;
    }
    let job = client.delete(&path).await?;
    output.answer(&job, || {
        let handed_over = format!("{} of {} were sent again before", job["redelivered"], job["matched"]);
        match job["state"].as_str() {
            Some("cancelled") => format!("the replay is cancelled; {handed_over}"),
            _ => format!("there was nothing left to cancel; {handed_over}"),
        }
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.get("/v1/replays", &[]).await?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let jobs: Vec<&Value> = answer["replays"].as_array().into_iter().flatten().collect();
    if jobs.is_empty() {
        output.line("nothing was sent again by a filter");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = jobs
        .iter()
        .map(|job| {
            [
                field(job, "id").into(),
                to_the_second(job, "begun_at").into(),
                Span::State(field(job, "state")),
                field(job, "matched").into(),
                field(job, "redelivered").into(),
                became(job).into(),
            ]
        })
        .collect();
    output.table(["ID", "BEGUN", "STATE", "MATCHED", "SENT AGAIN", "SO FAR"], rows);
    Ok(ExitCode::SUCCESS)
}

/// Shows how far a replay is until all that it sends again has been tried; Ctrl-C ends the watch alone.
async fn watch(client: &Client, mut job: Value, output: &Output) -> anyhow::Result<ExitCode> {
    let path = Client::path(&["replays", job["id"].as_str().unwrap_or_default()]);
    let bar = output.progress(number(&job, "matched"), "sent again");
    loop {
        show(&bar, &job);
        // Programs hear as soon as all are handed over, as from the server.
        if has_ended(&job) && (output.is_json() || tried(&job) >= number(&job, "redelivered")) {
            break;
        }
        let look = async {
            tokio::time::sleep(LOOK_EVERY).await;
            client.get(&path, &[]).await
        };
        tokio::select! {
            answer = look => match answer {
                Ok(answer) => job = answer,
                Err(failure) => {
                    bar.abandon();
                    return Err(failure.into());
                }
            },
            _ = tokio::signal::ctrl_c() => {
                bar.finish_and_clear();
                output.answer(&job, || {
                    let id = field(&job, "id");
                    format!("the server goes on; `hookmill delivery replays {id}` watches it, `--cancel` cancels it")
                });
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    bar.finish_and_clear();
    if job["state"] == "failed" {
        let failure = &job["failure"];
        let message =
            format!("the replay failed after {} deliveries: {}", job["redelivered"], field(failure, "message"));
        return Err(Failure::new(FAILED, field(failure, "code"), message).into());
    }
    output.answer(&job, || {
        let passed_over = match number(&job, "passed_over") {
            0 => String::new(),
            count => format!("; {count} are under way, or their webhook is gone"),
        };
        let cancelled = if job["state"] == "cancelled" { ", then the replay was cancelled" } else { "" };
        format!("{} deliveries are sent again{cancelled}: {}{passed_over}", field(&job, "redelivered"), became(&job))
    });
    Ok(ExitCode::SUCCESS)
}

fn show(bar: &ProgressBar, job: &Value) {
    bar.set_length(number(job, "matched").saturating_sub(number(job, "passed_over")));
    bar.set_position(tried(job));
    bar.set_message(match job["state"].as_str() {
        Some("counting") => "counting".to_owned(),
        _ => format!("sent again {}", group(number(job, "redelivered"))),
    });
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

/// What became of the deliveries so far: states and how many are in each.
fn settled(job: &Value) -> Vec<(&'static str, u64)> {
    let counts = ["delivered", "skipped", "parked", "dead", "superseded"].map(|state| (state, &job["settled"]));
    counts.into_iter().map(|(state, settled)| (state, number(settled, state))).collect()
}

fn tried(job: &Value) -> u64 {
    settled(job).iter().map(|(_, count)| count).sum::<u64>() + number(job, "retrying")
}

/// Tells whether nothing more is handed over.
fn has_ended(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("done" | "cancelled" | "failed"))
}

fn became(job: &Value) -> String {
    let untried = number(job, "redelivered").saturating_sub(tried(job));
    let waiting = [("to be tried again", number(job, "retrying")), ("to be tried", untried)];
    let parts = settled(job).into_iter().chain(waiting).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts.map(|(what, count)| format!("{count} {what}")).collect();
    if parts.is_empty() { "nothing yet".into() } else { parts.join(", ") }
}
