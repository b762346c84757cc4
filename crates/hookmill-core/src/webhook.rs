//! A webhook: which events matter, and what request they become.

use serde::{Deserialize, Serialize};

use crate::limits::{COALESCE_MS_MAX, ROWS_MAX, TEXT_BYTES_MAX, TIMEOUT_MS};
use crate::retry::Retry;
use crate::{Explain, WebhookName};

mod auth;
mod disabled;
mod envelope;
mod plugin;
mod rate;
mod secret;
mod signing;
mod success;

pub use auth::{Auth, Basic, ClientAuth, Mtls, OAuth2};
pub use disabled::Disabled;
pub use envelope::{Envelope, Handshake};
pub use plugin::{Grant, OnError, PluginUse};
pub use rate::RateLimit;
pub use secret::{Ends, OVERLAP, Secret};
pub use signing::Signing;
pub use success::Success;

/// The user's rule, in the words of Frappe's form. Unknown fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name, where a file or an answer carries it along; it is kept beside the webhook, not in it.
    #[serde(default, skip_serializing)]
    pub name: Option<WebhookName>,
    /// The kind of document.
    pub doctype: String,
    /// What must happen to it; `*` for anything.
    pub doc_event: String,
    /// Whether it matches at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// An expression over `doc` that must be true.
    #[serde(default)]
    pub condition: Option<String>,
    /// Where the request goes.
    pub request_url: String,
    /// Whether the URL is a template over `doc`.
    #[serde(default)]
    pub dynamic_url: bool,
    /// The HTTP method.
    #[serde(default)]
    pub request_method: Method,
    /// How the body is written.
    #[serde(default)]
    pub request_structure: Structure,
    /// Headers that every request bears.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// Which fields go into the body, and under which keys.
    #[serde(default)]
    pub data: Vec<DataRow>,
    /// A template over `doc` that must give JSON; used when there are no data rows.
    #[serde(default)]
    pub json_template: Option<String>,
    /// The plugin that makes the request.
    #[serde(default)]
    pub plugin: Option<PluginUse>,
    /// Secrets to sign with, the current one first. Under a Frappe profile the first that has not ended signs, and it is
    /// any text.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// The public keys of the secrets, where an answer carries them along; they are worked out, never taken.
    #[serde(default, skip_serializing)]
    pub public_keys: Option<Vec<String>>,
    /// Whose convention the signature follows.
    #[serde(default, skip_serializing_if = "Signing::is_standard")]
    pub signing: Signing,
    /// The header that bears the signature, where it is not the convention's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<String>,
    /// What goes around the body.
    #[serde(default, skip_serializing_if = "Envelope::is_none")]
    pub envelope: Envelope,
    /// CloudEvents' `source`; without one it is made of the tenant's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    /// Whether the receiver is asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Handshake>,
    /// How hookmill shows the receiver who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Whose rules for spelling the body hold.
    #[serde(default)]
    pub profile: Profile,
    /// When a failed delivery is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// The time for one try, from connecting to the last byte of the answer.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// Whether deliveries wait for one another.
    #[serde(default)]
    pub ordering: Ordering,
    /// Which answers mean that the receiver has it.
    #[serde(default, skip_serializing_if = "Success::is_default")]
    pub success: Success,
    /// How many requests the receiver may get in a span of time.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// For how long events of one document are gathered, from the first on: of these, the last is sent. 0 sends each.
    #[serde(default)]
    pub coalesce_ms: u32,
    /// Why hookmill itself disabled the webhook, where it did; saving it as enabled clears this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

fn yes() -> bool {
    true
}

fn default_timeout_ms() -> u32 {
    15_000
}

/// Headers that belong to the connection or to hookmill's own account of the request.
const RESERVED_HEADERS: [&str; 15] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-frappe-webhook-signature",
];

/// Tells whether only the host may set this header, whoever asks: a webhook's rows or a plugin.
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// Headers that bear a signature by some convention, besides those that are reserved.
const SIGNATURE_HEADERS: [&str; 2] = ["stripe-signature", "x-hub-signature-256"];

/// Tells whether a header bears a signature, which a plugin must not make up.
pub fn is_signature_header(name: &str) -> bool {
    SIGNATURE_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The HTTP method of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum Method {
    /// The usual one.
    #[default]
    Post,
    /// Replaces what is at the URL.
    Put,
    /// Changes a part of it.
    Patch,
    /// Removes it.
    Delete,
}

impl Method {
    /// Returns the method as HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How the body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Structure {
    /// As JSON.
    #[default]
    #[serde(alias = "JSON")]
    Json,
    /// Frappe's empty choice: as JSON, from rows or template, whichever there is.
    #[serde(rename = "")]
    Unset,
    /// As `name=value` pairs; under a Frappe profile as JSON from the rows, for that is what Frappe sends.
    #[serde(alias = "Form URL-Encoded", alias = "form_url_encoded")]
    Form,
    /// As `name=value` pairs under every profile.
    FormEncoded,
}

/// Whose rules for spelling the body hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Profile {
    /// Compact JSON in document order, numbers never rewritten.
    #[default]
    Hookmill,
    /// What Frappe up to version 15 sends, byte for byte.
    FrappeV15,
    /// What Frappe sends since it sorts the keys of a body.
    FrappeNewest,
}

impl Profile {
    /// Tells whether requests follow Frappe's rules instead of hookmill's own.
    pub fn is_frappe(self) -> bool {
        matches!(self, Self::FrappeV15 | Self::FrappeNewest)
    }
}

/// Whether deliveries of one webhook wait for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ordering {
    /// Each goes as soon as it can.
    #[default]
    None,
    /// Those of one document go one after another; a failing one holds its own lane only.
    Document,
}

/// A header that every request of a webhook bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
    /// Whether the value is a template over `doc`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
}

/// A row that puts a field of the document into the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRow {
    /// The document's field.
    pub fieldname: String,
    /// The key under which the body has it.
    pub key: String,
}

impl Webhook {
    /// Parses a webhook's JSON and checks every rule that needs nothing but the webhook itself.
    pub fn parse(json: &[u8]) -> Result<Self, WebhookError> {
        let webhook: Self = serde_json::from_slice(json).map_err(WebhookError::Malformed)?;
        webhook.check()?;
        Ok(webhook)
    }

    fn check(&self) -> Result<(), WebhookError> {
        for (field, text) in
            [("doctype", &self.doctype), ("doc_event", &self.doc_event), ("request_url", &self.request_url)]
        {
            if text.trim().is_empty() {
                return Err(WebhookError::invalid(field, "must not be empty"));
            }
        }
        let texts = [
            ("condition", self.condition.as_deref()),
            ("request_url", Some(self.request_url.as_str())),
            ("json_template", self.json_template.as_deref()),
            ("plugin.settings", self.plugin.as_ref().map(|plugin| plugin.settings.as_str())),
        ];
        if let Some((field, _)) = texts.iter().find(|(_, text)| text.is_some_and(|text| text.len() > TEXT_BYTES_MAX)) {
            return Err(WebhookError::invalid(*field, format!("has more than {TEXT_BYTES_MAX} bytes")));
        }
        if self.headers.len() > ROWS_MAX || self.data.len() > ROWS_MAX {
            return Err(WebhookError::invalid("headers and data", format!("have at most {ROWS_MAX} rows each")));
        }
        if self.plugin.as_ref().is_some_and(|plugin| !plugin.settings.is_object()) {
            return Err(WebhookError::invalid("plugin.settings", "must be a JSON object"));
        }
        if let Some(plugin) = &self.plugin {
            plugin.check_secrets()?;
        }
        self.check_sending()?;
        if let Some(fault) = self.retry.fault() {
            return Err(WebhookError::invalid("retry", fault));
        }
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            return Err(WebhookError::invalid(
                "timeout_ms",
                format!("must be {} to {}", TIMEOUT_MS.start(), TIMEOUT_MS.end()),
            ));
        }
        if self.coalesce_ms > COALESCE_MS_MAX {
            return Err(WebhookError::invalid("coalesce_ms", format!("must be at most {COALESCE_MS_MAX}")));
        }
        if !self.dynamic_url {
            absolute_url("request_url", &self.request_url)?;
        }
        Ok(())
    }

    /// Tells whether the plugin may change this part of the request.
    pub fn grants(&self, grant: Grant) -> bool {
        self.plugin.as_ref().is_some_and(|plugin| plugin.grants.contains(&grant))
    }

    /// The rules for signing, envelope and authentication.
    fn check_sending(&self) -> Result<(), WebhookError> {
        secret::check(&self.secrets)?;
        if matches!(self.signing, Signing::Github | Signing::Stripe) && self.secrets.is_empty() {
            return Err(WebhookError::invalid("secrets", "must have one to sign with"));
        }
        if self.signature_header.is_some() && self.signing.header().is_none() {
            return Err(WebhookError::invalid("signature_header", "has no signature to bear"));
        }
        envelope::check_source(self.event_source.as_deref())?;
        self.handshake.as_ref().map_or(Ok(()), Handshake::check)?;
        let Some(auth) = &self.auth else { return Ok(()) };
        auth.check()?;
        let in_the_clear = self.request_url.trim().to_ascii_lowercase().starts_with("http:");
        if matches!(auth, Auth::Mtls(_)) && !self.dynamic_url && in_the_clear {
            return Err(WebhookError::invalid("request_url", "must be https for a client certificate to be shown"));
        }
        let is_authorization = |header: &Header| header.key.eq_ignore_ascii_case("authorization");
        if auth.sets_authorization() && self.headers.iter().any(is_authorization) {
            return Err(WebhookError::invalid("headers", "has an Authorization, which `auth` sets already"));
        }
        Ok(())
    }
}

/// Parses the URL that `field` holds, to which requests are to go.
fn absolute_url(field: &str, text: &str) -> Result<url::Url, WebhookError> {
    let url = url::Url::parse(text.trim())
        .map_err(|error| WebhookError::invalid(field, format!("is not an absolute URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(WebhookError::invalid(field, "must be an http or https URL with a host"));
    }
    Ok(url)
}

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The text is no JSON, lacks a field or has one that is unknown.
    #[error("the webhook can't be read: {0}")]
    Malformed(#[source] serde_json::Error),
    /// A field breaks its rule.
    #[error("`{field}` {rule}")]
    Invalid {
        /// The field at fault.
        field: String,
        /// What it must be, or what is wrong with it.
        rule: String,
    },
}

impl WebhookError {
    /// Says that `field` breaks `rule`, which reads on after the field's name.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), rule: rule.into() }
    }
}

impl Explain for WebhookError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(error) if error.to_string().starts_with("unknown field") => "webhook_unknown_field",
            Self::Malformed(_) => "webhook_malformed",
            Self::Invalid { .. } => "webhook_invalid",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Malformed(_) => Some(
                "a webhook needs doctype, doc_event and request_url; `hookmill webhook apply --help` shows them all"
                    .into(),
            ),
            Self::Invalid { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
