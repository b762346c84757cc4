//! `hookmill plugin push`: uploads a component and shows the states that it goes through.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hookmill::core::Digest;
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::Value;

use super::plugin::{path, read_component};
use crate::api::Client;
use crate::commands::name_of;
use crate::output::{Output, bytes, field};

/// How often the server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(
    client: &Client,
    file: &Path,
    name: Option<String>,
    stage: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let (wasm, inspection) = read_component(file)?;
    let manifest = inspection.manifest.as_ref().map(|manifest| manifest.name.to_string());
    let name = name_of("plugin", name, manifest, file)?;
    let query = if stage { "?activate=false" } else { "" };
    let spinner = output.spinner(format!("uploading {}", bytes(wasm.len() as u64)));
    let place = format!("{}{query}", path(&[&name]));
    let answer = tokio::select! {
        answer = client.put(&place, "application/wasm", wasm) => answer,
        never = show_states(client, &name, inspection.digest, &spinner) => match never {},
    };
    spinner.finish_and_clear();
    let answer = answer?;
    let walk = states(client, &name, inspection.digest).await;
    output.answer(&answer, || {
        let state =
            if answer["active"] == true { "is active" } else { "is staged; `hookmill plugin activate` makes it run" };
        format!(
            "{}plugin {name} version {} {state}",
            walk.map_or_else(String::new, |walk| walk + "\n"),
            field(&answer, "digest")
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// Shows beside the upload which states are behind it, until whoever waits for the upload stops this.
async fn show_states(client: &Client, name: &str, digest: Digest, spinner: &ProgressBar) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(walk) = states(client, name, digest).await {
            spinner.set_message(walk);
        }
    }
}

/// Returns the states that the last upload of this version went through, each with the time that it took. None where
/// the server can't tell, which hinders no upload.
async fn states(client: &Client, name: &str, digest: Digest) -> Option<String> {
    let plugin = client.get(&path(&[name]), &[]).await.ok()?;
    let digest = digest.to_string();
    let upload = plugin["uploads"].as_array()?.iter().find(|upload| upload["digest"] == digest.as_str())?;
    let steps: Vec<(&str, Timestamp)> =
        upload["steps"].as_array()?.iter().filter_map(|step| Some((step["state"].as_str()?, at(step)?))).collect();
    let took = |(&(_, before), &(state, at)): (&(&str, Timestamp), &(&str, Timestamp))| {
        format!("{state} {:.2} s", at.duration_since(before).as_secs_f64())
    };
    let first = steps.first()?.0.to_owned();
    Some(std::iter::once(first).chain(steps.iter().zip(steps.iter().skip(1)).map(took)).collect::<Vec<_>>().join(" → "))
}

fn at(step: &Value) -> Option<Timestamp> {
    step["at"].as_str()?.parse().ok()
}
