//! How hookmill shows a receiver who it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::WebhookError;
use crate::limits::TEXT_BYTES_MAX;

/// What a receiver asks of its callers besides a signature. Printing it shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "whoever sends must know each")]
pub enum Auth {
    /// User and password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(String),
    /// A token that is fetched with client credentials (RFC 6749 §4.4).
    #[serde(rename = "oauth2")]
    OAuth2(OAuth2),
    /// A client certificate.
    Mtls(Mtls),
}

/// User and password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Where a token comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: String,
    /// The client's name there.
    pub client_id: String,
    /// The client's secret there.
    pub client_secret: String,
    /// What the token is to allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where the token request bears name and secret.
    #[serde(default, skip_serializing_if = "ClientAuth::is_basic")]
    pub client_auth: ClientAuth,
}

/// Where a token request bears the client's name and secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "RFC 6749 §2.3.1 has these two")]
pub enum ClientAuth {
    /// In `Authorization`, as every server must take it.
    #[default]
    Basic,
    /// In the form.
    Body,
}

impl ClientAuth {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    fn is_basic(&self) -> bool {
        *self == Self::Basic
    }
}

/// A client certificate with its key, in PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// The certificate, those that vouch for it after it.
    pub certificate_pem: String,
    /// Its private key, unencrypted.
    pub private_key_pem: String,
    /// The authorities that the receiver's certificate may come from, besides those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

impl Auth {
    /// Tells whether it sets the `Authorization` header.
    pub fn sets_authorization(&self) -> bool {
        !matches!(self, Self::Mtls(_))
    }

    /// Returns every secret in it, for taking out and putting back.
    pub(crate) fn secrets_mut(&mut self) -> Vec<(&'static str, &mut String)> {
        match self {
            // Both, as in a URL: many services take a key as the user, and any password or none.
            Self::Basic(Basic { username, password }) => {
                vec![("auth.basic.username", username), ("auth.basic.password", password)]
            }
            Self::Bearer(token) => vec![("auth.bearer", token)],
            Self::OAuth2(oauth2) => vec![("auth.oauth2.client_secret", &mut oauth2.client_secret)],
            Self::Mtls(mtls) => vec![("auth.mtls.private_key_pem", &mut mtls.private_key_pem)],
        }
    }

    pub(super) fn check(&self) -> Result<(), WebhookError> {
        let mut required: Vec<(&'static str, &str)> = vec![];
        let mut optional: Vec<(&'static str, &str)> = vec![];
        match self {
            Self::Basic(Basic { username, password }) => {
                // An empty password is one: many services take a key as the user and nothing else.
                required.push(("auth.basic.username", username));
                optional.push(("auth.basic.password", password));
                if username.contains(':') {
                    return Err(WebhookError::invalid("auth.basic.username", "must not contain a colon"));
                }
            }
            Self::Bearer(token) => required.push(("auth.bearer", token)),
            Self::OAuth2(oauth2) => {
                required.push(("auth.oauth2.token_url", &oauth2.token_url));
                required.push(("auth.oauth2.client_id", &oauth2.client_id));
                required.push(("auth.oauth2.client_secret", &oauth2.client_secret));
                super::absolute_url("auth.oauth2.token_url", &oauth2.token_url)?;
                optional.extend(oauth2.scope.as_deref().map(|scope| ("auth.oauth2.scope", scope)));
                optional.extend(oauth2.audience.as_deref().map(|audience| ("auth.oauth2.audience", audience)));
            }
            Self::Mtls(mtls) => {
                required.push(("auth.mtls.certificate_pem", &mtls.certificate_pem));
                required.push(("auth.mtls.private_key_pem", &mtls.private_key_pem));
                optional.extend(mtls.ca_pem.as_deref().map(|ca| ("auth.mtls.ca_pem", ca)));
            }
        }
        if let Some((field, _)) = required.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(WebhookError::invalid(*field, "must not be empty"));
        }
        let pem = matches!(self, Self::Mtls(_));
        for (field, text) in required.into_iter().chain(optional) {
            if text.len() > TEXT_BYTES_MAX {
                return Err(WebhookError::invalid(field, format!("has more than {TEXT_BYTES_MAX} bytes")));
            }
            if !pem && text.chars().any(char::is_control) {
                return Err(WebhookError::invalid(field, "must not contain control characters"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::OAuth2(_) => "OAuth2(…)",
            Self::Mtls(_) => "Mtls(…)",
        })
    }
}

/// Gives each a `Debug` that names the type alone.
macro_rules! shows_nothing {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}

shows_nothing!(Basic, OAuth2, Mtls);
