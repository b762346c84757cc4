//! Turns any document into a Slack message: a plain text for notifications, and blocks with the document's fields.

use hookmill_sdk::{Decision, Event, Failure, Fields, RawValue, Request};
use serde::{Deserialize, Serialize};

/// Slack takes at most ten fields in a section.
const FIELDS_MAX: usize = 10;
/// Slack takes 2 000 characters in a field; more than a few words are hard to read in two columns.
const FIELD_CHARS_MAX: usize = 200;
/// Slack takes at most 150 characters in a header.
const HEADER_CHARS_MAX: usize = 150;
/// What a platform keeps for itself and readers of a channel don't miss.
const HOUSEKEEPING: [&str; 10] =
    ["name", "owner", "creation", "modified", "modified_by", "docstatus", "idx", "doctype", "naming_series", "title"];

/// What a webhook can set for this plugin.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The fields to show, in this order; without any, the document's first six texts and numbers.
    fields: Vec<String>,
    /// The channel, for an address that serves several.
    channel: Option<String>,
    /// Where the platform shows a document; `{doctype}` and `{name}` are filled in.
    link: Option<String>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    text: &'a str,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header { text: Text },
    Section { fields: Vec<Text> },
    Context { elements: Vec<Text> },
}

#[derive(Serialize)]
#[serde(tag = "type", content = "text", rename_all = "snake_case")]
enum Text {
    PlainText(String),
    Mrkdwn(String),
}

fn transform(event: &Event, draft: Request, settings: Settings) -> Result<Decision, Failure> {
    let doc: Fields = event.doc()?;
    let headline = format!("{} {} was {}", event.doctype(), event.doc_name(), happened(event.doc_event()));

    let shown: Vec<Text> = if settings.fields.is_empty() {
        let plain = doc.iter().filter(|(name, _)| !HOUSEKEEPING.contains(name));
        plain.filter_map(|(name, value)| field(name, value)).take(6).collect()
    } else {
        let named = settings.fields.iter().filter_map(|name| {
            let value = doc.get(name);
            if value.is_none() {
                hookmill_sdk::warn!("the document has no field `{name}`");
            }
            field(name, value?)
        });
        named.take(FIELDS_MAX).collect()
    };

    let mut blocks = vec![Block::Header { text: Text::PlainText(shorten(&headline, HEADER_CHARS_MAX)) }];
    if !shown.is_empty() {
        blocks.push(Block::Section { fields: shown });
    }
    let mut context = vec![Text::Mrkdwn(escape(event.occurred_at()))];
    if let Some(link) = &settings.link {
        let link = link.replace("{doctype}", &encode(event.doctype())).replace("{name}", &encode(event.doc_name()));
        context.push(Text::Mrkdwn(format!("<{link}|Open>")));
    }
    blocks.push(Block::Context { elements: context });

    let message = Message { channel: settings.channel.as_deref(), text: &escape(&headline), blocks };
    Ok(draft.json(&message)?.into())
}

/// Says an event in a word that fits behind "was".
fn happened(doc_event: &str) -> &str {
    match doc_event {
        "after_insert" => "created",
        "on_update" => "updated",
        "on_submit" => "submitted",
        "on_cancel" => "cancelled",
        "on_trash" => "deleted",
        "on_update_after_submit" => "changed after submission",
        other => other,
    }
}

/// Shows a field, unless it is empty, a table or a yes-or-no.
fn field(name: &str, value: &RawValue) -> Option<Text> {
    let text = match value.get().bytes().next()? {
        b'"' => serde_json::from_str(value.get()).ok()?,
        b'-' | b'0'..=b'9' => value.get().to_owned(),
        _ => return None,
    };
    let text = shorten(text.trim(), FIELD_CHARS_MAX);
    (!text.is_empty()).then(|| Text::Mrkdwn(format!("*{}*\n{}", escape(&title(name)), escape(&text))))
}

/// Turns `grand_total` into `Grand total`.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Cuts a text that is too long, and shows that it was cut.
fn shorten(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// Escapes what Slack would read as a link, a mention or an entity.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Encodes one segment of a path.
fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

hookmill_sdk::plugin!(transform);

#[cfg(test)]
mod tests;
