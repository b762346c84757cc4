//! One call of the author's function: read the settings, run it, widen what it returns.

use serde::de::DeserializeOwned;

use crate::{Decision, Event, Failure, Request, json};

/// Calls `transform` with the settings read from their JSON text.
pub(crate) fn call<S, D, E>(
    transform: impl Fn(&Event, Request, S) -> Result<D, E>,
    event: &Event,
    draft: Request,
    settings: &str,
) -> Result<Decision, Failure>
where
    S: DeserializeOwned,
    D: Into<Decision>,
    E: Into<Failure>,
{
    transform(event, draft, self::settings(settings)?).map(Into::into).map_err(Into::into)
}

/// Reads settings from their JSON text; empty text and `null` stand for no settings at all.
pub(crate) fn settings<S: DeserializeOwned>(text: &str) -> Result<S, Failure> {
    let text = match text.trim_ascii() {
        "" | "null" => "{}",
        given => given,
    };
    json::read(text).map_err(|mismatch| {
        let message = format!("the webhook's settings don't fit this plugin: {}", mismatch.message);
        mismatch.locate(Failure::bad_settings("settings_mismatch", message))
    })
}
