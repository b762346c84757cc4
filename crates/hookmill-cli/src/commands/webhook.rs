//! `hookmill webhook`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::Client;
use crate::args::{TriedEvent, Webhook};
use crate::commands::{event_in, name_of, read};
use crate::exit_code::{FAILED, Failure, of_code};
use crate::output::{Output, Span, bytes, field, inline, pretty};

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
        Webhook::Preview { name: Some(name), event, .. } => {
            let answer = client.post(&path(&[&name, "preview"]), "application/json", trial(None, event)?).await?;
            Ok(show_trial(&answer, output))
        }
        Webhook::Preview { file, event, .. } => {
            let body = trial(file.as_deref(), event)?;
            let answer = client.post(&path(&["preview"]), "application/json", body).await?;
            Ok(show_trial(&answer, output))
        }
        Webhook::Test { name, event } => test(client, &name, event, output).await,
    }
}

fn path(parts: &[&str]) -> String {
    Client::path(&[&["webhooks"], parts].concat())
}

async fn apply(client: &Client, file: &Path, name: Option<String>, output: &Output) -> anyhow::Result<ExitCode> {
    let text = read(file)?;
    let named =
        serde_json::from_slice::<Value>(&text).ok().and_then(|webhook| Some(webhook.get("name")?.as_str()?.to_owned()));
    let name = name_of("webhook", name, named, file)?;
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
    if answer["plugin"].is_object() {
        warn_of_missing_plugin(client, &answer["plugin"], output).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns where a webhook names a plugin or a version that the server does not have. It may come later, so this is no
/// error.
async fn warn_of_missing_plugin(client: &Client, wanted: &Value, output: &Output) -> Result<(), Failure> {
    let name = wanted["name"].as_str().unwrap_or_default();
    let known = match client.get(&Client::path(&["plugins", name]), &[]).await {
        Ok(plugin) => plugin,
        Err(failure) if failure.code == "not_found" => Value::Null,
        Err(failure) => return Err(failure),
    };
    let has =
        |digest: &Value| known["versions"].as_array().into_iter().flatten().any(|version| version["digest"] == *digest);
    let missing = match &wanted["digest"] {
        _ if known.is_null() => format!("there is no plugin {name:?} yet"),
        Value::Null => return Ok(()),
        digest if has(digest) => return Ok(()),
        digest => format!("the plugin {name:?} has no version {}", digest.as_str().unwrap_or_default()),
    };
    output.warning(
        "plugin_unknown",
        &format!("{missing}; until there is, what this webhook owes is parked"),
        &format!("upload it with `hookmill plugin push FILE --name {name}`"),
    );
    Ok(())
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.get(&path(&[]), &[]).await?;
    if output.is_json() {
        output.line(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[Span; 6]> = answer["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|webhook| {
            let plugin = webhook.get("plugin").map_or_else(|| "-".into(), |plugin| field(plugin, "name"));
            let enabled = if webhook["enabled"] == true { "yes" } else { "no" };
            [
                field(webhook, "name").into(),
                field(webhook, "doctype").into(),
                field(webhook, "doc_event").into(),
                enabled.into(),
                plugin.into(),
                field(webhook, "request_url").into(),
            ]
        })
        .collect();
    if rows.is_empty() {
        output.line("no webhooks yet; save one with `hookmill webhook apply FILE`");
    } else {
        output.table(["NAME", "DOCTYPE", "DOC EVENT", "ENABLED", "PLUGIN", "REQUEST URL"], rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the body that says with which event a webhook, of a file if it is not saved, is tried out.
fn trial(file: Option<&Path>, which: TriedEvent) -> anyhow::Result<Vec<u8>> {
    let mut parts = Vec::new();
    if let Some(file) = file {
        parts.push(part("webhook", &read(file)?));
    }
    match which {
        TriedEvent { event: Some(event), .. } => {
            let text = read(&event)?;
            let event = std::str::from_utf8(&text).map_or(&*text, |text| event_in(text).as_bytes());
            if file.is_none() {
                // The server tells what is wrong with what is no event.
                return Ok(event.to_vec());
            }
            parts.push(part("event", event));
        }
        TriedEvent { event_id: Some(id), .. } => parts.push(part("event_id", json!(id).to_string().as_bytes())),
        TriedEvent { delivery, .. } => parts.push(part("delivery", json!(delivery).to_string().as_bytes())),
    }
    Ok([b"{".as_slice(), &parts.join(&b","[..]), b"}"].concat())
}

/// Writes a field whose value is JSON already, with every number in its spelling.
fn part(name: &str, json: &[u8]) -> Vec<u8> {
    [format!("{name:?}:").as_bytes(), json].concat()
}

/// Prints a preview; the exit code is that of the plugin's run.
fn show_trial(answer: &Value, output: &Output) -> ExitCode {
    if output.is_json() {
        output.line(answer);
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
            decision => output.heading(&format!("{}: {}", decision.unwrap_or("fail"), field(answer, "reason"))),
        }
        print_error(&answer["error"], output);
        print_plugin(&answer["plugin"], output);
    }
    match answer["decision"].as_str() {
        Some("fail") => of_code(answer["error"]["code"].as_str().unwrap_or_default()).into(),
        _ => ExitCode::SUCCESS,
    }
}

async fn test(client: &Client, name: &str, event: TriedEvent, output: &Output) -> anyhow::Result<ExitCode> {
    let answer = client.post(&path(&[name, "test"]), "application/json", trial(None, event)?).await?;
    let code = show_trial(&answer, output);
    let Some(outcome) = answer["outcome"].as_str() else { return Ok(code) };
    if !output.is_json() {
        let response = &answer["response"];
        if !response.is_null() {
            output.heading(&format!("→ {} after {} ms", field(response, "status"), field(&answer, "duration_ms")));
            print_request(response, output);
        }
        print_plugin(&answer["judge"], output);
        let reason = answer["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        output.line(format!("a delivery would be {outcome}{}", inline(&reason)));
    }
    Ok(if outcome == "delivered" { ExitCode::SUCCESS } else { FAILED.into() })
}

/// Of a body that is no text, so many bytes are shown.
const HEX_BYTES_SHOWN: usize = 32;

/// Prints headers and body of a request or an answer.
pub(crate) fn print_request(request: &Value, output: &Output) {
    for header in request["headers"].as_array().into_iter().flatten() {
        let part = |place: usize| inline(header[place].as_str().unwrap_or_default()).into_owned();
        output.line(format!("{}: {}", part(0), part(1)));
    }
    match (&request["body"], request["body"]["hex"].as_str()) {
        (Value::String(text), _) if !text.is_empty() => output.line(format!("\n{text}\n")),
        (_, Some(hex)) => {
            let begin: String = hex.chars().take(2 * HEX_BYTES_SHOWN).collect();
            let more = if begin.len() < hex.len() { "…" } else { "" };
            output.line(format!("\n({} that are no text: {begin}{more})\n", bytes(hex.len() as u64 / 2)));
        }
        _ => {}
    }
    if request["truncated"] == true {
        output.line("(the answer went on; only its beginning is kept)");
    }
}

/// Prints what went wrong, if anything did, with the guest's frames.
pub(crate) fn print_error(error: &Value, output: &Output) {
    if error.is_null() {
        return;
    }
    output.line(format!("error [{}]: {}", field(error, "code"), field(error, "message")));
    for frame in error["backtrace"].as_str().into_iter().flat_map(str::lines) {
        output.line(format!("    {}", inline(frame)));
    }
}

/// Prints what a plugin's run cost and said.
pub(crate) fn print_plugin(plugin: &Value, output: &Output) {
    print_run("plugin", plugin, output);
}

/// Prints one run of a plugin; `what` says what it was asked.
pub(crate) fn print_run(what: &str, plugin: &Value, output: &Output) {
    if plugin.is_null() {
        return;
    }
    let short = |part: &str| field(plugin, part).chars().take(12).collect::<String>();
    let kept = if plugin["warm"] == true { ", in a kept instance" } else { "" };
    output.line(format!(
        "{what} {} {}: fuel {}, memory {} bytes{kept}",
        field(plugin, "name"),
        short("digest"),
        field(plugin, "fuel"),
        field(plugin, "memory")
    ));
    if !plugin["input_hash"].is_null() {
        output.line(format!(
            "  input {}, output {}, engine {}",
            short("input_hash"),
            if plugin["output_hash"].is_null() { "none".into() } else { short("output_hash") },
            short("engine_hash")
        ));
    }
    for line in plugin["log"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output.line(format!("  {}", inline(line)));
    }
}
