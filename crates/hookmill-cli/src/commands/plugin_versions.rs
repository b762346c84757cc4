//! `hookmill plugin activate`, `diff` and `canary`: from one version to the next.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::plugin::path;
use crate::api::Client;
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, field, inline};

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
    output.answer(&answer, || {
        let released = match answer["released"]["redelivered"].as_u64() {
            Some(count) => format!("; {count} parked deliveries are made again"),
            None => String::new(),
        };
        format!("plugin {name} runs version {digest}{released}")
    });
    Ok(ExitCode::SUCCESS)
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
    let answer = client.post(&path(&[name, "diff"]), "application/json", body).await;
    spinner.finish_and_clear();
    let answer = answer?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    for event in answer["changes"].as_array().into_iter().flatten() {
        output.line(format!(
            "{} {}, webhook {}",
            field(event, "document"),
            field(event, "delivery"),
            field(event, "webhook")
        ));
        let changes = event["changes"].as_array().map_or(&[][..], Vec::as_slice);
        for change in changes.iter().take(CHANGES_SHOWN) {
            let place = format!("{} {}", field(change, "part"), field(change, "path"));
            output.line(format!("  {}", inline(place.trim_end())));
            output.line(format!("    - {}", inline(&change["active"].to_string())));
            output.line(format!("    + {}", inline(&change["staged"].to_string())));
        }
        if changes.len() > CHANGES_SHOWN {
            output.line(format!("  and {} more; --json has them all", changes.len() - CHANGES_SHOWN));
        }
    }
    output.line(format!(
        "{} of {} events would change, {} to new failures; fuel {} now, {} then",
        field(&answer, "changed"),
        field(&answer, "events"),
        field(&answer, "new_failures"),
        answer["fuel"]["active"],
        answer["fuel"]["staged"]
    ));
    Ok(ExitCode::SUCCESS)
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
