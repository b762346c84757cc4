//! What goes around a body, and what is asked of a receiver before it gets any.

use serde::{Deserialize, Serialize};

use super::WebhookError;

/// What goes around the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "whoever wraps must know each")]
pub enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// CloudEvents 1.0 as `ce-` headers; the body stays as it is.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
    /// CloudEvents 1.0 as a JSON object around the body.
    #[serde(rename = "cloudevents-structured")]
    CloudEventsStructured,
}

impl Envelope {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The handshake of CloudEvents' webhooks: the receiver is asked first whether it wants requests from this origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// Who sends: a DNS name, for example `erp.example.com`.
    pub origin: String,
}

impl Handshake {
    pub(super) fn check(&self) -> Result<(), WebhookError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if self.origin.is_empty() || self.origin.len() > 253 || !self.origin.bytes().all(good) {
            return Err(WebhookError::invalid("handshake.origin", "must be a DNS name, such as erp.example.com"));
        }
        Ok(())
    }
}

/// CloudEvents wants a source that is a URI or a part of one.
pub(super) fn check_source(source: Option<&str>) -> Result<(), WebhookError> {
    let Some(source) = source else { return Ok(()) };
    let base = url::Url::parse("http://base.invalid/").expect("a URL");
    let spelled = source.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte));
    if source.is_empty() || !spelled || base.join(source).is_err() {
        return Err(WebhookError::invalid("event_source", "must be a URI, or a part of one such as /erp"));
    }
    Ok(())
}
