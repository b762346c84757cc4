//! `hookmill plugin push`: uploads a component and shows the states that it goes through.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hookmill::core::Digest;
use indicatif::ProgressBar;
use serde_json::Value;

use super::plugin::{path, read_component};
use super::plugin_show::walk;
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
    // Told before a refusal, which says why but not how far it came.
    let upload = upload(client, &name, inspection.digest).await;
    if let Some(walk) = upload.as_ref().and_then(walk).filter(|_| !output.is_json()) {
        output.line(walk);
    }
    let mut answer = answer?;
    answer["upload"] = upload.unwrap_or_default();
    output.answer(&answer, || {
        let state =
            if answer["active"] == true { "is active" } else { "is staged; `hookmill plugin activate` makes it run" };
        format!("plugin {name} version {} {state}", field(&answer, "digest"))
    });
    Ok(ExitCode::SUCCESS)
}

/// Shows beside the upload which states are behind it, until whoever waits for the upload stops this.
async fn show_states(client: &Client, name: &str, digest: Digest, spinner: &ProgressBar) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(walk) = upload(client, name, digest).await.as_ref().and_then(walk) {
            spinner.set_message(walk);
        }
    }
}

/// Returns the last upload of this version. None where the server can't tell, which hinders no upload.
async fn upload(client: &Client, name: &str, digest: Digest) -> Option<Value> {
    let plugin = client.get(&path(&[name]), &[]).await.ok()?;
    let digest = digest.to_string();
    plugin["uploads"].as_array()?.iter().find(|upload| upload["digest"] == digest.as_str()).cloned()
}
