//! `hookmill plugin activate`, `diff` and `canary`: from one version to the next.

use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::plugin::path;
use crate::api::Client;
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, bytes, field, inline};

/// Changes of one event that are printed; `--json` has them all.
const CHANGES_SHOWN: usize = 20;

pub(super) async fn activate(
    client: &Client,
    name: &str,
    digest: &str,
    how: Value,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let digest = whole(client, name, digest).await?;
    let mut body = how;
    body["digest"] = digest.as_str().into();
    let answer = client.post(&path(&[name, "activate"]), "application/json", body.to_string()).await?;
    output.answer(&answer, || format!("plugin {name} runs version {digest}{}", released(&answer)));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rollback(
    client: &Client,
    name: &str,
    release_parked: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let body = json!({"release_parked": release_parked}).to_string();
    let answer = client.post(&path(&[name, "rollback"]), "application/json", body).await?;
    let told = || format!("plugin {name} runs version {} again{}", field(&answer, "active"), released(&answer));
    output.answer(&answer, told);
    Ok(ExitCode::SUCCESS)
}

fn released(answer: &Value) -> String {
    match answer["released"]["redelivered"].as_u64() {
        Some(count) => format!("; {count} parked deliveries are made again"),
        None => String::new(),
    }
}

/// What the server says of two versions, values as it spells them.
#[derive(Debug, Deserialize)]
struct Diff<'a> {
    events: usize,
    changed: usize,
    new_failures: usize,
    fuel: Cost,
    memory: Cost,
    #[serde(borrow)]
    changes: Vec<EventDiff<'a>>,
}

#[derive(Debug, Deserialize)]
struct Cost {
    active: u64,
    staged: u64,
}

#[derive(Debug, Deserialize)]
struct EventDiff<'a> {
    delivery: String,
    webhook: String,
    document: String,
    fuel: Cost,
    #[serde(borrow)]
    changes: Vec<Change<'a>>,
}

#[derive(Debug, Deserialize)]
struct Change<'a> {
    part: String,
    path: String,
    #[serde(borrow, default)]
    active: Option<&'a RawValue>,
    #[serde(borrow, default)]
    staged: Option<&'a RawValue>,
}

pub(super) async fn diff(
    client: &Client,
    name: &str,
    digest: &str,
    last: usize,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let digest = whole(client, name, digest).await?;
    let body = json!({"digest": digest, "last": last}).to_string();
    let spinner = output.spinner(format!("running both versions on the last {last} events"));
    let answer = client.post_for_text(&path(&[name, "diff"]), body).await;
    spinner.finish_and_clear();
    let answer = answer?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let diff: Diff<'_> = serde_json::from_str(&answer).context("the server's answer is no diff")?;
    diff.changes.iter().for_each(|event| print_event(event, output));
    output.line(format!(
        "{} of {} events would change, {} to new failures; fuel {} now, {} then; at most {} of memory now, {} then",
        diff.changed,
        diff.events,
        diff.new_failures,
        diff.fuel.active,
        diff.fuel.staged,
        bytes(diff.memory.active),
        bytes(diff.memory.staged),
    ));
    Ok(ExitCode::SUCCESS)
}

fn print_event(event: &EventDiff<'_>, output: &Output) {
    let EventDiff { delivery, webhook, document, fuel, changes } = event;
    let title = format!("{document} {delivery}, webhook {webhook}, fuel {} → {}", fuel.active, fuel.staged);
    output.line(inline(&title));
    for Change { part, path, active, staged } in changes.iter().take(CHANGES_SHOWN) {
        output.line(format!("  {}", inline(format!("{part} {path}").trim_end())));
        for (sign, side) in [("-", active), ("+", staged)] {
            output.line(format!("    {sign} {}", inline(side.map_or("(nothing)", RawValue::get))));
        }
    }
    if changes.len() > CHANGES_SHOWN {
        output.line(format!("  and {} more; --json has them all", changes.len() - CHANGES_SHOWN));
    }
}

pub(super) async fn begin_canary(
    client: &Client,
    name: &str,
    digest: &str,
    share: f64,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let digest = whole(client, name, digest).await?;
    let body = json!({"digest": digest, "share": share}).to_string();
    let answer = client.put(&path(&[name, "canary"]), "application/json", body).await?;
    output.answer(&answer, || {
        format!("version {digest} takes a share of {share} of the events; `hookmill plugin activate` gives it all")
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn end_canary(client: &Client, name: &str, output: &Output) -> anyhow::Result<ExitCode> {
    client.delete(&path(&[name, "canary"])).await?;
    output.answer(&json!({"name": name, "canary": null}), || {
        format!("the active version of {name} takes all events again")
    });
    Ok(ExitCode::SUCCESS)
}

/// Returns the whole digest of the version whose digest begins so.
async fn whole(client: &Client, name: &str, digest: &str) -> anyhow::Result<String> {
    let plugin = client.get(&path(&[name]), &[]).await?;
    let digests = plugin["versions"].as_array().into_iter().flatten().filter_map(|version| version["digest"].as_str());
    let matching: Vec<&str> = digests.filter(|known| known.starts_with(digest)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(FAILED, "not_found", format!("{name} has no version {digest}"))
            .help("`hookmill plugin list` shows them")
            .into()),
        _ => Err(Failure::new(USAGE, "digest_ambiguous", format!("several versions begin with {digest}"))
            .help("give more of it")
            .into()),
    }
}
