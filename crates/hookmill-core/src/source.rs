//! Where events come from that no publisher of hookmill's own sends: Frappe's Webhooks.
//!
//! Checking the signature is not done here; what it is checked with and what the body says is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::limits::SECRETS_MAX;
use crate::mask::{MASK, restore};
use crate::webhook::Secret;
use crate::{Digest, EventEnvelope, Explain};

/// Characters of a secret. Frappe takes any text, but one that is short can be found by trying.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 8..=1024;

/// The pair of an event's `meta` with the name that the Webhook has in Frappe.
const META_WEBHOOK: &str = "frappe_webhook";

/// What is set for the events that Frappe's Webhooks send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FrappeSource {
    /// The secrets that requests may be signed with; several while one takes the place of another.
    pub secrets: Vec<Secret>,
}

impl FrappeSource {
    /// Parses the settings from JSON.
    pub fn parse(json: &[u8]) -> Result<Self, SourceError> {
        serde_json::from_slice(json).map_err(SourceError::Malformed)
    }

    /// Checks the settings and makes them what is stored: secrets that are masked are those of `stored`, and an overlap
    /// begins at `now`.
    pub fn settled(mut self, stored: &Self, now: Timestamp) -> Result<Self, SourceError> {
        if self.secrets.len() > SECRETS_MAX {
            return Err(SourceError::BadSecrets(format!("there are more than {SECRETS_MAX} of them")));
        }
        restore(&mut self.secrets, &stored.secrets)
            .map_err(|_| SourceError::BadSecrets("one is masked, but none is stored in its place".into()))?;
        for secret in &mut self.secrets {
            if !SECRET_CHARS.contains(&secret.text.chars().count()) || secret.text == MASK {
                let (least, most) = (SECRET_CHARS.start(), SECRET_CHARS.end());
                return Err(SourceError::BadSecrets(format!("each has {least} to {most} characters")));
            }
            secret.settle(now);
        }
        Ok(self)
    }

    /// Returns the settings as an answer may show them.
    pub fn masked(&self) -> Self {
        Self { secrets: self.secrets.iter().map(Secret::masked).collect() }
    }
}

/// The body that the template of docs/frappe-source.md gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    doctype: String,
    event: String,
    doc: Box<RawValue>,
}

/// Reads the body of a request that Frappe's Webhook of this name sent.
///
/// Frappe sends no id. It tries again with the same bytes, and every save moves the document's `modified`, so the id is a
/// digest of the body: all tries of one change are one event.
pub fn frappe_event(body: &[u8], webhook: Option<&str>) -> Result<EventEnvelope, SourceError> {
    let Body { doctype, event, doc } = serde_json::from_slice(body).map_err(SourceError::Body)?;
    let name = webhook.unwrap_or_default();
    let told = [format!("{}:{name}:", name.len()).as_bytes(), body].concat();
    let meta = webhook.map(|name| (META_WEBHOOK.to_owned(), name.to_owned()));
    Ok(EventEnvelope {
        id: Some(format!("frappe_{}", Digest::of(&told))),
        doctype,
        doc_event: event,
        doc,
        before: None,
        occurred_at: None,
        user: None,
        meta: BTreeMap::from_iter(meta),
    })
}

/// Why what a source sent, or what is to be set for it, was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The settings are no JSON or have other fields.
    #[error("the source's settings can't be read: {0}")]
    Malformed(#[source] serde_json::Error),
    /// A secret breaks the rule for secrets.
    #[error("the source's secrets can't be used: {0}")]
    BadSecrets(String),
    /// The request bears neither signature nor token.
    #[error("the request bears neither Frappe's signature nor the token")]
    Unsigned,
    /// The request is signed, but there is nothing to check that with.
    #[error("the request is signed, but no secret is set here to check that with")]
    NoSecret,
    /// None of the secrets makes this signature.
    #[error("the signature is not that of this body under a secret of the source")]
    WrongSignature,
    /// The body is not what the template gives.
    #[error("the body is not what the template gives: {0}")]
    Body(#[source] serde_json::Error),
}

impl Explain for SourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "source_malformed",
            Self::BadSecrets(_) => "source_bad_secrets",
            Self::Unsigned => "source_unsigned",
            Self::NoSecret => "source_no_secret",
            Self::WrongSignature => "source_wrong_signature",
            Self::Body(_) => "source_body_malformed",
        }
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Malformed(_) => "send {\"secrets\": [\"…\"]}",
                Self::BadSecrets(_) => "make one with `openssl rand -hex 32`",
                Self::Unsigned => "in Frappe's Webhook, switch Enable Security on and give the source's secret",
                Self::NoSecret => "set the secret with `hookmill source frappe set FILE`",
                Self::WrongSignature => {
                    "give Frappe's Webhook the same secret as hookmill; a template with now() or a random number spoils \
                     the signature of Frappe 15"
                }
                Self::Body(_) => "use the template of docs/frappe-source.md as it stands there",
            }
            .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"doctype": "Note", "event": "on_update", "doc": {"name": "N-1", "total": 2.0}}"#;

    #[test]
    fn the_same_body_is_the_same_event_and_another_is_not() {
        let id = |body: &[u8], webhook| frappe_event(body, webhook).expect("a body").id.expect("an id");
        assert_eq!(id(BODY, None), id(BODY, None));
        assert_ne!(id(BODY, None), id(BODY, Some("a")));
        assert_ne!(id(BODY, Some("a")), id(BODY, Some("b")));
        let other = String::from_utf8_lossy(BODY).replace("2.0", "3.0");
        assert_ne!(id(BODY, None), id(other.as_bytes(), None));
    }

    #[test]
    fn the_document_stays_as_it_was_sent() {
        let event = frappe_event(BODY, Some("w")).expect("a body");
        assert_eq!(event.doc.get(), r#"{"name": "N-1", "total": 2.0}"#);
        assert_eq!((event.doc_event.as_str(), event.meta["frappe_webhook"].as_str()), ("on_update", "w"));
    }

    #[test]
    fn secrets_that_could_be_guessed_or_are_none_are_refused() {
        let put = |json: &str, stored: &FrappeSource| {
            FrappeSource::parse(json.as_bytes())
                .and_then(|source| source.settled(stored, Timestamp::UNIX_EPOCH))
                .map_err(|error| error.code())
        };
        let none = FrappeSource::default();
        let stored = put(r#"{"secrets": ["long enough"]}"#, &none).expect("taken");
        assert_eq!(put(r#"{"secrets": ["short"]}"#, &none), Err("source_bad_secrets"));
        assert_eq!(put(r#"{"secrets": ["********"]}"#, &none), Err("source_bad_secrets"));
        assert_eq!(put(r#"{"secret": []}"#, &none), Err("source_malformed"));
        let rotated = put(r#"{"secrets": ["the next one", {"secret": "********"}]}"#, &stored).expect("taken");
        assert_eq!((rotated.secrets.len(), rotated.secrets[1].text.as_str()), (2, "long enough"));
    }
}
