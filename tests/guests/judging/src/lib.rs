//! A plugin with every optional part of the contract: it judges answers, describes itself and checks its settings.

use hookmill_sdk::{Decision, Description, Event, Failure, Request, Response, Verdict};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Settings {
    /// Where the message goes; its name begins with `#`.
    channel: String,
    /// Sends to this URL instead of the webhook's.
    #[serde(default)]
    url: Option<String>,
    /// Sends with this method instead of the webhook's.
    #[serde(default)]
    method: Option<String>,
}

fn transform(event: &Event, draft: Request, settings: Settings) -> Result<Decision, Failure> {
    let doc: &hookmill_sdk::RawValue = event.doc()?;
    let mut request = draft
        .header("x-sign", "Bearer secret(\"chat-token\")")
        .json(&json!({"channel": settings.channel, "seen": doc.get()}))?;
    request.url = settings.url.unwrap_or(request.url);
    request.method = settings.method.unwrap_or(request.method);
    Ok(request.into())
}

/// Chat services answer 200 and say in the body that they failed.
fn judge(_event: &Event, response: &Response, _settings: Settings) -> Verdict {
    let body = response.text().unwrap_or_default();
    hookmill_sdk::info!("judged {} {body}", response.status);
    match response.status {
        200 if body.contains("no_such_channel") => Verdict::Dead("there is no such channel".into()),
        200 if body.contains("slow_down") => Verdict::Retry(Some(3_600)),
        200 if body.contains("panic") => panic!("panicked in judge"),
        409 => Verdict::Delivered,
        _ => Verdict::by_status(response),
    }
}

fn describe() -> Description {
    Description {
        name: "judging".into(),
        version: "1.2.3".into(),
        description: "Sends chat messages".into(),
        settings: json!({
            "type": "object",
            "required": ["channel"],
            "additionalProperties": false,
            "properties": {
                "channel": {"type": "string"}, "url": {"type": "string"}, "method": {"type": "string"}
            },
        }),
    }
}

fn validate_settings(settings: &Settings) -> Result<(), Vec<Failure>> {
    if settings.channel.starts_with('#') {
        return Ok(());
    }
    let message = format!("a channel begins with #, and {:?} does not", settings.channel);
    Err(vec![Failure::bad_settings("no_channel", message).at("/channel")])
}

hookmill_sdk::full_plugin! {
    transform: transform,
    judge: judge,
    describe: describe,
    validate_settings: validate_settings,
}
