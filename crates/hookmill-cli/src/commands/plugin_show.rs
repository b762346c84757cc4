//! `hookmill plugin list` and `show`: which versions there are, which one runs, and how each came to be.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::Value;

use super::plugin::path;
use crate::api::Client;
use crate::output::{Output, Span, bytes, field, inline};

/// Says in a word what a version does now.
fn state_of(plugin: &Value, digest: &Value) -> String {
    if *digest == plugin["canary"]["digest"] {
        let percent = plugin["canary"]["share"].as_f64().unwrap_or(0.0) * 100.0;
        return format!("canary, {percent:.0} %");
    }
    if *digest == plugin["suspended"]["digest"] {
        return "suspended".into();
    }
    if *digest == plugin["active"] { "active".into() } else { "staged".into() }
}

/// Returns what a table shows of a version.
fn columns(plugin: &Value, version: &Value) -> [Span; 5] {
    let digest: String = field(version, "digest").chars().take(12).collect();
    let version_name = version["manifest"]["version"].as_str().unwrap_or("-");
    let size = bytes(version["bytes"].as_u64().unwrap_or(0));
    let state = state_of(plugin, &version["digest"]);
    [digest.into(), state.into(), version_name.into(), size.into(), field(version, "added_at").into()]
}

/// Says what an operator should know of a plugin that its versions do not tell.
fn notes_of(plugin: &Value) -> Vec<String> {
    let name = field(plugin, "name");
    let note = |part: &str, message: &str, text: &str| {
        let told = &plugin[part];
        (!told.is_null()).then(|| format!("{text} {name}: {}", inline(&field(told, message))))
    };
    let all = [
        note("last_failure", "message", "not taken was the last replacement of"),
        note("last_canary", "reason", "taken back was the last canary of"),
        note("suspended", "reason", "suspended for its failures is"),
    ];
    all.into_iter().flatten().collect()
}

pub(super) async fn list(client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.get(&path(&[]), &[]).await?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<[Span; 6]> = Vec::new();
    let mut notes = Vec::new();
    for plugin in answer["plugins"].as_array().into_iter().flatten() {
        for version in plugin["versions"].as_array().into_iter().flatten() {
            let [digest, state, version_name, size, added_at] = columns(plugin, version);
            rows.push([field(plugin, "name").into(), digest, state, version_name, size, added_at]);
        }
        notes.extend(notes_of(plugin));
    }
    if rows.is_empty() {
        output.line(
            "no plugins yet; make one with `hookmill plugin new NAME`, upload it with `hookmill plugin push FILE`",
        );
    } else {
        output.table(["NAME", "DIGEST", "STATE", "VERSION", "SIZE", "ADDED AT"], rows);
    }
    notes.iter().for_each(|note| output.line(note));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(client: &Client, name: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let plugin = client.get(&path(&[name]), &[]).await?;
    if output.is_json() {
        output.line(&plugin);
        return Ok(ExitCode::SUCCESS);
    }
    let versions = plugin["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.is_empty() {
        output.line(format!("no version of {name} was taken yet"));
    } else {
        let rows = versions.iter().map(|version| columns(&plugin, version)).collect();
        output.table(["DIGEST", "STATE", "VERSION", "SIZE", "ADDED AT"], rows);
    }
    if let Some(text) = plugin["versions"][0]["manifest"]["description"].as_str() {
        output.line(inline(text));
    }
    let canary = &plugin["canary"];
    if !canary.is_null() {
        let fared = |of: &str| format!("{} of {} runs failed", canary[of]["failures"], canary[of]["runs"]);
        output.line(format!(
            "canary since {}: {}; of the active version {}",
            field(canary, "since"),
            fared("canary"),
            fared("active")
        ));
    }
    notes_of(&plugin).iter().for_each(|note| output.line(note));
    let uploads = plugin["uploads"].as_array().map_or(&[][..], Vec::as_slice);
    if !uploads.is_empty() {
        output.heading("\nuploads since the start, the newest first");
    }
    for upload in uploads {
        let digest: String = field(upload, "digest").chars().take(12).collect();
        let from = if upload["source"] == "directory" { ", from the watched directory" } else { "" };
        output.line(format!(
            "{} {digest}{from}: {}",
            field(&upload["steps"][0], "at"),
            walk(upload).unwrap_or_default()
        ));
        if !upload["failure"].is_null() {
            let failure = &upload["failure"];
            output.line(format!("  {} [{}]", inline(&field(failure, "message")), field(failure, "code")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the states that an upload went through in a line, each with the time that it took.
pub(super) fn walk(upload: &Value) -> Option<String> {
    let at = |step: &Value| step["at"].as_str()?.parse().ok();
    let steps: Vec<(&str, Timestamp)> =
        upload["steps"].as_array()?.iter().filter_map(|step| Some((step["state"].as_str()?, at(step)?))).collect();
    let took = |(&(_, before), &(state, at)): (&(&str, Timestamp), &(&str, Timestamp))| {
        format!("{state} {:.2} s", at.duration_since(before).as_secs_f64())
    };
    let first = steps.first()?.0.to_owned();
    Some(std::iter::once(first).chain(steps.iter().zip(steps.iter().skip(1)).map(took)).collect::<Vec<_>>().join(" → "))
}
