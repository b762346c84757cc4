//! The event as a plugin sees it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Failure, Fields, json};

/// Something that happened to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) doctype: String,
    pub(crate) doc_event: String,
    pub(crate) doc_name: String,
    pub(crate) occurred_at: String,
    pub(crate) doc: String,
    pub(crate) before: Option<String>,
    pub(crate) meta: Vec<(String, String)>,
}

impl Event {
    /// Makes an event from the JSON that `POST /v1/events` takes, for tests.
    ///
    /// What the publisher left out has fixed values: the id `evt_test`, the time `2026-01-01T00:00:00Z`; the tenant is
    /// `default`.
    ///
    /// # Errors
    ///
    /// Fails if the text is no such JSON, or its `doc` or `before` is no object.
    pub fn from_json(envelope: &str) -> Result<Self, Failure> {
        let envelope: Envelope<'_> = read("event", envelope)?;
        let document = object("doc", envelope.doc)?;
        let doc_name = match document.get("name").map(RawValue::get) {
            Some(text) if text.starts_with('"') => read::<Cow<'_, str>>("event", text)?.into_owned(),
            Some(text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => text.to_owned(),
            _ => String::new(),
        };
        if let Some(before) = envelope.before {
            object("before", before)?;
        }
        let mut meta: Vec<_> = envelope.meta.into_iter().collect();
        meta.extend(envelope.user.map(|user| ("user".to_owned(), user)));
        Ok(Self {
            id: envelope.id.unwrap_or_else(|| "evt_test".to_owned()),
            tenant: "default".to_owned(),
            doctype: envelope.doctype,
            doc_event: envelope.doc_event,
            doc_name,
            occurred_at: envelope.occurred_at.unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned()),
            doc: envelope.doc.get().to_owned(),
            before: envelope.before.map(|before| before.get().to_owned()),
            meta,
        })
    }

    /// Reads the document into the author's own type, which may borrow from the document's text.
    ///
    /// # Errors
    ///
    /// Fails with the code `document_mismatch`, what was expected, and where.
    pub fn doc<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        read("document", &self.doc)
    }

    /// Reads the document as it was before the change, if the publisher sent it.
    ///
    /// # Errors
    ///
    /// Fails as [`doc`](Self::doc) does.
    pub fn before<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>, Failure> {
        self.before.as_deref().map(|text| read("document before the change", text)).transpose()
    }

    /// Reads the whole document without a type.
    ///
    /// This is for documents whose shape is not known: it costs several times as much as [`doc`](Self::doc), and
    /// numbers may change their spelling. [`Fields`] and [`Number`](crate::Number) keep it.
    ///
    /// # Errors
    ///
    /// Fails as [`doc`](Self::doc) does.
    pub fn value(&self) -> Result<serde_json::Value, Failure> {
        self.doc()
    }

    /// Returns the document's JSON in the publisher's own text.
    pub fn doc_text(&self) -> &str {
        &self.doc
    }

    /// Returns the JSON of the document before the change in the publisher's own text, if it was sent.
    pub fn before_text(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Returns the event's id, the same on every try.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns whose event it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns the kind of document, for example `Quotation`.
    pub fn doctype(&self) -> &str {
        &self.doctype
    }

    /// Returns what happened, for example `on_update`.
    pub fn doc_event(&self) -> &str {
        &self.doc_event
    }

    /// Returns the document's name; empty if it has none.
    pub fn doc_name(&self) -> &str {
        &self.doc_name
    }

    /// Returns when it happened, in RFC 3339.
    pub fn occurred_at(&self) -> &str {
        &self.occurred_at
    }

    /// Returns what the publisher or the host adds under `key`.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.meta.iter().find(|(present, _)| present == key).map(|(_, value)| value.as_str())
    }
}

/// The JSON that `POST /v1/events` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    id: Option<String>,
    doctype: String,
    doc_event: String,
    #[serde(borrow)]
    doc: &'a RawValue,
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    occurred_at: Option<String>,
    user: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
}

fn object<'a>(field: &str, raw: &'a RawValue) -> Result<Fields<'a>, Failure> {
    if raw.get().starts_with('{') {
        return read("document", raw.get());
    }
    Err(Failure::bad_document("document_mismatch", format!("`{field}` is not a JSON object")).at(format!("/{field}")))
}

fn read<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, Failure> {
    json::read(text).map_err(|mismatch| {
        let message = format!("the {what} doesn't fit this plugin: {}", mismatch.message);
        mismatch.locate(Failure::bad_document("document_mismatch", message))
    })
}
