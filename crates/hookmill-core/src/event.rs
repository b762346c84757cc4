//! An event: something that happened to a document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::json::Fields;
use crate::limits::DOC_BYTES_MAX;
use crate::{Digest, EventId, Explain, InvalidName, JsonText, TenantId};

/// Something that happened to a document, as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What makes a second publication a repeat.
    pub id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// The kind of document, for example `Quotation`.
    pub doctype: String,
    /// What happened, for example `on_update`; any name is allowed.
    pub doc_event: String,
    /// The document's name: its `name` field, or empty if it has none.
    pub document: String,
    /// When it happened, as the publisher says, else when it was published.
    pub occurred_at: Timestamp,
    /// Who did it, if the publisher says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The document: a JSON object in the publisher's own text.
    pub doc: JsonText,
    /// The document before the change, if the publisher sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<JsonText>,
    /// Whatever else the publisher wants plugins to see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

impl Event {
    /// Returns a digest over what the publisher said, by which a repeat is told from another event with the same id.
    ///
    /// The time is left out: a publisher that lets hookmill choose it sends a repeat at another moment.
    pub fn content_digest(&self) -> Digest {
        let before = self.before.as_ref().map_or("", JsonText::as_str);
        let user = self.user.as_deref().unwrap_or("");
        let mut text = String::with_capacity(self.doc.as_str().len() + before.len() + 64);
        let meta = self.meta.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        for part in [&*self.doctype, &*self.doc_event, user, self.doc.as_str(), before].into_iter().chain(meta) {
            text.push_str(&part.len().to_string());
            text.push(':');
            text.push_str(part);
        }
        Digest::of(text.as_bytes())
    }
}

/// What a publisher sends: an [`Event`] before anything was filled in or checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventEnvelope {
    /// The event's id; without one, hookmill makes it.
    pub id: Option<String>,
    /// The kind of document.
    pub doctype: String,
    /// What happened to it.
    pub doc_event: String,
    /// The document; must be a JSON object.
    pub doc: Box<RawValue>,
    /// The document before the change; must be a JSON object or null.
    #[serde(default)]
    pub before: Option<Box<RawValue>>,
    /// When it happened, in RFC 3339.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// Who did it.
    #[serde(default)]
    pub user: Option<String>,
    /// Further pairs for plugins.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

impl EventEnvelope {
    /// Parses one envelope.
    pub fn parse(json: &[u8]) -> Result<Self, EventError> {
        let text = std::str::from_utf8(json).map_err(|error| EventError::NotUtf8 { position: error.valid_up_to() })?;
        serde_json::from_str(text).map_err(EventError::Malformed)
    }

    /// Checks the envelope and fills in what the publisher left open.
    pub fn into_event(
        self,
        tenant: &TenantId,
        now: Timestamp,
        new_id: impl FnOnce() -> EventId,
    ) -> Result<Event, EventError> {
        let id = self.id.map(EventId::new).transpose()?.unwrap_or_else(new_id);
        for (field, text) in [("doctype", &self.doctype), ("doc_event", &self.doc_event)] {
            if text.is_empty() || text.chars().count() > 140 || text.chars().any(char::is_control) {
                return Err(EventError::BadField { field });
            }
        }
        let doc = document("doc", &self.doc)?;
        let before = self.before.as_deref().map(|raw| document("before", raw)).transpose()?;
        let document = document_name(&doc)?;
        Ok(Event {
            id,
            tenant: tenant.clone(),
            doctype: self.doctype,
            doc_event: self.doc_event,
            document,
            occurred_at: self.occurred_at.unwrap_or(now),
            user: self.user,
            doc,
            before,
            meta: self.meta,
        })
    }
}

fn document(field: &'static str, raw: &RawValue) -> Result<JsonText, EventError> {
    let text = JsonText::from(raw);
    if !text.is_object() {
        return Err(EventError::DocNotObject { field });
    }
    if text.as_str().len() > DOC_BYTES_MAX {
        return Err(EventError::DocTooLarge { field, bytes: text.as_str().len() });
    }
    Ok(text)
}

/// Reads the document's `name`; a number gives its own text.
fn document_name(doc: &JsonText) -> Result<String, EventError> {
    /// All other fields are only passed over.
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        name: Option<&'a RawValue>,
    }
    // Of a `name` that stands twice, serde takes offence; the last counts then, as everywhere.
    let name = match serde_json::from_str::<Named<'_>>(doc.as_str()) {
        Ok(named) => named.name,
        Err(_) => Fields::parse(doc.as_str()).map_err(EventError::Malformed)?.get("name"),
    };
    let name = name.map_or("null", RawValue::get);
    Ok(match serde_json::from_str::<String>(name) {
        Ok(text) => text,
        Err(_) if name.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => name.to_owned(),
        Err(_) => String::new(),
    })
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The bytes are not UTF-8, which JSON must be (RFC 8259 §8.1).
    #[error("the event is not valid UTF-8 at byte {position}")]
    NotUtf8 {
        /// The first byte that is wrong.
        position: usize,
    },
    /// The text is no JSON, or not of the envelope's shape.
    #[error("the event can't be read: {0}")]
    Malformed(#[source] serde_json::Error),
    /// `doc` or `before` is something else than a JSON object.
    #[error("`{field}` is not a JSON object")]
    DocNotObject {
        /// The field at fault.
        field: &'static str,
    },
    /// `doc` or `before` is larger than the limit.
    #[error("`{field}` has {bytes} bytes, more than the {DOC_BYTES_MAX} that a document may have")]
    DocTooLarge {
        /// The field at fault.
        field: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// `doctype` or `doc_event` is empty, too long or holds control characters.
    #[error("`{field}` must have 1 to 140 characters, none of them a control character")]
    BadField {
        /// The field at fault.
        field: &'static str,
    },
    /// The id breaks the rule for ids.
    #[error(transparent)]
    BadId(#[from] InvalidName),
}

impl Explain for EventError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "event_not_utf8",
            Self::Malformed(_) => "event_malformed",
            Self::DocNotObject { .. } => "event_doc_not_object",
            Self::DocTooLarge { .. } => "event_doc_too_large",
            Self::BadField { .. } => "event_bad_field",
            Self::BadId(_) => "event_bad_id",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8 { .. } => "encode the request as UTF-8".into(),
            Self::Malformed(_) => {
                "an event is {\"doctype\": …, \"doc_event\": …, \"doc\": {…}}, with id, before, occurred_at, user and meta if you like".into()
            }
            Self::DocNotObject { .. } => "send the whole document as a JSON object".into(),
            Self::DocTooLarge { .. } => "leave attachments out of the document and send their URL".into(),
            Self::BadField { .. } | Self::BadId(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(json: &str) -> Result<Event, &'static str> {
        EventEnvelope::parse(json.as_bytes())
            .and_then(|envelope| {
                envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, || {
                    EventId::new("made").expect("valid")
                })
            })
            .map_err(|error| error.code())
    }

    #[test]
    fn an_envelope_becomes_an_event_with_its_document_untouched() {
        let event = take(r#"{"doctype":"Note","doc_event":"on_update","doc":{"z": 1.0, "name" :"N-1","n":1e400}}"#)
            .expect("valid");
        assert_eq!(event.doc.as_str(), r#"{"z": 1.0, "name" :"N-1","n":1e400}"#);
        assert_eq!((event.document.as_str(), event.id.as_str()), ("N-1", "made"));
    }

    #[test]
    fn each_fault_has_its_code() {
        let check = |json, code| assert_eq!(take(json).expect_err("refused"), code);
        check(r#"{"doctype":"A","doc_event":"e","doc":[1]}"#, "event_doc_not_object");
        check(r#"{"doctype":"A","doc_event":"e","doc":{},"before":3}"#, "event_doc_not_object");
        check(r#"{"doctype":"","doc_event":"e","doc":{}}"#, "event_bad_field");
        check(r#"{"doctype":"A","doc_event":"e","doc":{},"docs":1}"#, "event_malformed");
        check(r#"{"id":"","doctype":"A","doc_event":"e","doc":{}}"#, "event_bad_id");
        let error = EventEnvelope::parse(b"{\"doctype\":\"\xff\"}").expect_err("refused");
        assert_eq!(error.code(), "event_not_utf8");
    }

    #[test]
    fn a_number_names_a_document_too() {
        assert_eq!(take(r#"{"doctype":"A","doc_event":"e","doc":{"name":42}}"#).expect("valid").document, "42");
        assert_eq!(take(r#"{"doctype":"A","doc_event":"e","doc":{}}"#).expect("valid").document, "");
    }
}
