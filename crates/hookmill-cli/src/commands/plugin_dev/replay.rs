//! Pushing a version, and what it makes of the last event compared with the version before.

use hookmill::core::json::Fields;
use serde_json::{Value, json};

use super::steps::Step;
use crate::api::Client;
use crate::diff;
use crate::exit_code::{FAILED, Failure};
use crate::output::field;

/// The fields of a recorded event that its publisher gave.
const GIVEN: [&str; 8] = ["id", "doctype", "doc_event", "doc", "before", "occurred_at", "user", "meta"];

/// Of a body that is shown as a whole, so many characters are.
const BODY_CHARS_SHOWN: usize = 2_000;

/// A version that the server has taken in.
#[derive(Debug)]
pub(super) struct Staged {
    digest: String,
    active: bool,
}

impl Staged {
    /// Returns so much of its digest as people read.
    pub(super) fn short(&self) -> String {
        self.digest.chars().take(12).collect()
    }
}

/// Uploads a version without making it the active one.
pub(super) async fn stage(client: &Client, name: &str, wasm: Vec<u8>) -> Result<Staged, Failure> {
    let path = format!("{}?activate=false", Client::path(&["plugins", name]));
    let answer = client.put(&path, "application/wasm", wasm).await?;
    let digest = answer["digest"].as_str().unwrap_or_default().to_owned();
    Ok(Staged { digest, active: answer["active"] == true })
}

/// Makes a version the active one, unless it is.
pub(super) async fn activate(client: &Client, name: &str, staged: &Staged) -> Result<(), Failure> {
    if staged.active {
        return Ok(());
    }
    let body = json!({"digest": staged.digest}).to_string();
    client.post(&Client::path(&["plugins", name, "activate"]), "application/json", body).await.map(drop)
}

/// The last event that a webhook with the plugin matched, and what came of it.
#[derive(Debug)]
pub(super) struct Before {
    webhook: String,
    /// The event as it was published.
    event: String,
    event_id: String,
    document: String,
    preview: Value,
    /// The version that the webhook stays on.
    pinned: Option<String>,
}

/// Finds the last event that a webhook with the plugin matched, and has it worked out by the version that is active.
pub(super) async fn before(client: &Client, plugin: &str) -> Result<Option<Before>, Failure> {
    let webhooks = client.get(&Client::path(&["webhooks"]), &[]).await?;
    let using = webhooks["webhooks"].as_array().into_iter().flatten().filter(|hook| hook["plugin"]["name"] == plugin);
    let mut last: Option<(&Value, Value)> = None;
    for webhook in using {
        let query = [("webhook", text(webhook, "name")), ("limit", "1".to_owned())];
        let page = client.get(&Client::path(&["deliveries"]), &query).await?;
        let Some(row) = page["deliveries"].get(0) else { continue };
        // The times of one server, in one form, so that they compare as texts.
        if last.as_ref().is_none_or(|(_, found)| text(row, "received_at") > text(found, "received_at")) {
            last = Some((webhook, row.clone()));
        }
    }
    let Some((webhook, row)) = last else { return Ok(None) };
    let delivery = client.get_text(&Client::path(&["deliveries", &text(&row, "id")])).await?;
    let event = published(&delivery)
        .ok_or_else(|| Failure::new(FAILED, "answer_unreadable", "the answer has no event").help("check --url"))?;
    let webhook_name = text(webhook, "name");
    Ok(Some(Before {
        preview: preview(client, &webhook_name, &event).await?,
        webhook: webhook_name,
        event,
        event_id: text(&row, "event_id"),
        document: format!("{} {}", text(&row, "doctype"), text(&row, "document")),
        pinned: webhook["plugin"]["digest"].as_str().map(str::to_owned),
    }))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Returns the event of a delivery as its publisher sent it, every number in its own spelling.
fn published(delivery: &str) -> Option<String> {
    let event = Fields::parse(delivery).ok()?.get("event")?.get();
    let fields = Fields::parse(event).ok()?;
    let given = GIVEN.into_iter().filter_map(|name| Some(format!("\"{name}\":{}", fields.get(name)?.get())));
    Some(format!("{{{}}}", given.collect::<Vec<_>>().join(",")))
}

async fn preview(client: &Client, webhook: &str, event: &str) -> Result<Value, Failure> {
    client.post(&Client::path(&["webhooks", webhook, "preview"]), "application/json", event.to_owned()).await
}

/// Has the event worked out again, by the version that is active now, and tells what differs.
pub(super) async fn compare(client: &Client, before: Before, step: Step<'_>) {
    let after = match preview(client, &before.webhook, &before.event).await {
        Ok(after) => after,
        Err(failure) => return step.fail(&failure.into()).unwrap_or_default(),
    };
    let Before { webhook, event_id, document, pinned, .. } = &before;
    if let Some(digest) = pinned {
        let digest: String = digest.chars().take(12).collect();
        return step.skip(&format!("the webhook {webhook} stays on version {digest}, which its `plugin.digest` names"));
    }
    let changes = differences(&before.preview, &after);
    let lines: Vec<String> = changes.iter().map(|(_, line)| line.clone()).collect();
    let same = if lines.is_empty() { ": the same request as before" } else { "" };
    let changes: Vec<Value> = changes.into_iter().map(|(part, line)| json!({"part": part, "change": line})).collect();
    let details = json!({
        "webhook": webhook, "event_id": event_id, "decision": after["decision"], "changes": changes,
    });
    step.done_with(&format!("{document} through the webhook {webhook}{same}"), &lines, &details);
}

/// Returns what of two previews differs, with the part that it is in.
fn differences(before: &Value, after: &Value) -> Vec<(&'static str, String)> {
    let ended = |preview: &Value| match preview["decision"].as_str() {
        Some("send") => "a request".to_owned(),
        Some("skip") => format!("skipped: {}", field(preview, "reason")),
        _ => format!("failed: {} [{}]", field(&preview["error"], "message"), field(&preview["error"], "code")),
    };
    let mut found = Vec::new();
    if ended(before) != ended(after) {
        found.push(("decision", format!("{} → {}", ended(before), ended(after))));
    }
    let (old, new) = (&before["request"], &after["request"]);
    if !old.is_object() || !new.is_object() {
        if let Some(body) = new["body"].as_str() {
            found.push(("body", format!("body: {}", body.chars().take(BODY_CHARS_SHOWN).collect::<String>())));
        }
        return found;
    }
    for part in ["method", "url"] {
        if old[part] != new[part] {
            found.push((part, format!("{part}: {} → {}", field(old, part), field(new, part))));
        }
    }
    let headers = diff::json(&headers(old).to_string(), &headers(new).to_string()).unwrap_or_default();
    found.extend(headers.iter().map(|change| ("headers", format!("header {}", change.line().trim_start_matches('/')))));
    let body = |request: &Value| request["body"].as_str().map_or_else(|| request["body"].to_string(), str::to_owned);
    let (old, new) = (body(old), body(new));
    match diff::json(&old, &new) {
        Some(changes) => found.extend(changes.iter().map(|change| ("body", format!("body {}", change.line())))),
        None => found.extend(diff::lines(&old, &new).lines().map(|line| ("body", format!("body {line}")))),
    }
    found
}

/// Returns the headers as an object, without those that differ with each try.
fn headers(request: &Value) -> Value {
    let headers = request["headers"].as_array().into_iter().flatten();
    let kept = headers.filter_map(|header| Some((header[0].as_str()?.to_lowercase(), header[1].clone())));
    kept.filter(|(name, _)| !name.contains("signature") && !name.contains("timestamp")).collect()
}
