//! `hookmill webhook`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::api::Client;
use crate::args::Webhook;
use crate::commands::read;
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, field, pretty};

pub(crate) async fn run(command: Webhook, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Webhook::Apply { file, name } => apply(client, &file, name, output).await,
        Webhook::List => list(client, output).await,
        Webhook::Show { name } => {
            let answer = client.get(&path(&[&name]), &[]).await?;
            output.answer(&answer, || pretty(&answer));
            Ok(ExitCode::SUCCESS)
        }
        Webhook::Delete { name } => {
            client.delete(&path(&[&name])).await?;
            output.answer(&serde_json::json!({"deleted": name}), || format!("webhook {name} is removed"));
            Ok(ExitCode::SUCCESS)
        }
        Webhook::Preview { name, event } => preview(client, &name, &event, output).await,
    }
}

fn path(parts: &[&str]) -> String {
    Client::path(&[&["webhooks"], parts].concat())
}

async fn apply(client: &Client, file: &Path, name: Option<String>, output: &Output) -> anyhow::Result<ExitCode> {
    let text = read(file)?;
    let named =
        serde_json::from_slice::<Value>(&text).ok().and_then(|webhook| Some(webhook.get("name")?.as_str()?.to_owned()));
    let stem = file.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-").map(str::to_owned);
    let name = name.or(named).or(stem).ok_or_else(|| {
        Failure::new(USAGE, "name_missing", "the webhook has no name").help("give --name, or `name` in the file")
    })?;
    let answer = client.put(&path(&[&name]), "application/json", text).await?;
    output.answer(&answer, || {
        format!(
            "webhook {name} is saved: {} {} → {} {}",
            field(&answer, "doctype"),
            field(&answer, "doc_event"),
            field(&answer, "request_method"),
            field(&answer, "request_url")
        )
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.get(&path(&[]), &[]).await?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 6]> = answer["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|webhook| {
            let plugin = webhook.get("plugin").map_or_else(|| "-".into(), |plugin| field(plugin, "name"));
            let enabled = if webhook["enabled"] == true { "yes" } else { "no" };
            [
                field(webhook, "name"),
                field(webhook, "doctype"),
                field(webhook, "doc_event"),
                enabled.into(),
                plugin,
                field(webhook, "request_url"),
            ]
        })
        .collect();
    if rows.is_empty() {
        output.line("no webhooks yet; save one with `hookmill webhook apply FILE`");
    } else {
        output.table(["NAME", "DOCTYPE", "DOC EVENT", "ENABLED", "PLUGIN", "REQUEST URL"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

async fn preview(client: &Client, name: &str, event: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.post(&path(&[name, "preview"]), "application/json", read(event)?).await?;
    if output.is_json() {
        output.line(&answer);
    } else {
        if answer["matches"] == false {
            output.line("note: this event would not reach the webhook: DocType or Doc Event differ, or it is disabled");
        }
        match answer["decision"].as_str() {
            Some("send") => {
                output.heading(&format!(
                    "{} {}",
                    field(&answer["request"], "method"),
                    field(&answer["request"], "url")
                ));
                print_request(&answer["request"], output);
            }
            decision => output.heading(&format!("{}: {}", decision.unwrap_or("fail"), field(&answer, "reason"))),
        }
        print_plugin(&answer["plugin"], output);
    }
    match answer["decision"].as_str() {
        Some("fail") => Ok(ExitCode::from(FAILED)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints headers and body of a request or an answer.
pub(crate) fn print_request(request: &Value, output: &Output) {
    for header in request["headers"].as_array().into_iter().flatten() {
        output.line(format!("{}: {}", header[0].as_str().unwrap_or_default(), header[1].as_str().unwrap_or_default()));
    }
    if let Some(body) = request["body"].as_str().filter(|body| !body.is_empty()) {
        output.line(format!("\n{body}\n"));
    }
}

/// Prints what a plugin's run cost and said.
pub(crate) fn print_plugin(plugin: &Value, output: &Output) {
    if plugin.is_null() {
        return;
    }
    let digest: String = field(plugin, "digest").chars().take(12).collect();
    output.line(format!(
        "plugin {} {digest}: fuel {}, memory {} bytes",
        field(plugin, "name"),
        field(plugin, "fuel"),
        field(plugin, "memory")
    ));
    for line in plugin["log"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output.line(format!("  {line}"));
    }
}
