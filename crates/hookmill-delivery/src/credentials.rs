//! What shows a receiver who hookmill is: the `Authorization` of a webhook's requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_core::webhook::{Auth, Basic};
use hookmill_core::{Outcome, WebhookError};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;

use crate::client::Client;
use crate::redact::REDACTED_BYTES_MIN;
use crate::token::{Fetched, TokenSource};

/// Where the `Authorization` of a webhook's requests comes from.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// There is none, or it is the connection's.
    None,
    /// It is always the same.
    Fixed(Shown),
    /// It is a token that is fetched when there is none.
    Token(Box<TokenSource>),
}

/// An `Authorization` with the secrets in it.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) header: HeaderValue,
    pub(crate) secrets: Vec<String>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

impl Shown {
    pub(crate) fn basic(username: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let header = basic(&encoded);
        // With a password that is none, the user is the secret.
        let secret = if password.len() < REDACTED_BYTES_MIN { username } else { password };
        Self { header, secrets: vec![encoded, secret.to_owned()] }
    }

    /// None if the token has characters that a header can't bear.
    pub(crate) fn bearer(token: &str) -> Option<Self> {
        Some(Self { header: secret_header(&format!("Bearer {token}"))?, secrets: vec![token.to_owned()] })
    }

    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        headers.insert(header::AUTHORIZATION, self.header.clone());
    }
}

/// Returns the `Authorization` of a user and a password that were joined and encoded.
pub(crate) fn basic(encoded: &str) -> HeaderValue {
    secret_header(&format!("Basic {encoded}")).expect("base64 is visible ASCII")
}

fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Credentials {
    pub(crate) fn new(auth: Option<&Auth>) -> Result<Self, WebhookError> {
        Ok(match auth {
            None | Some(Auth::Mtls(_)) => Self::None,
            Some(Auth::Basic(Basic { username, password })) => Self::Fixed(Shown::basic(username, password)),
            Some(Auth::Bearer(token)) => {
                let shown = Shown::bearer(token).filter(|_| token.is_ascii());
                let rule = "has characters that a header can't bear";
                Self::Fixed(shown.ok_or_else(|| WebhookError::invalid("auth.bearer", rule))?)
            }
            Some(Auth::OAuth2(oauth2)) => Self::Token(Box::new(TokenSource::new(oauth2.clone())?)),
        })
    }

    /// Tells whether requests bear an `Authorization`.
    pub(crate) fn are_shown(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns what this request is to bear, and whether it may be out of date.
    pub(crate) async fn get(&self, client: &Client, now: Timestamp) -> Result<Option<(Shown, Fetched)>, Outcome> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(shown) => Ok(Some((shown.clone(), Fetched::Now))),
            Self::Token(source) => source.get(client, now).await.map(Some),
        }
    }

    /// Drops what a receiver did not take.
    pub(crate) async fn forget(&self, refused: &Shown) {
        if let Self::Token(source) = self {
            source.forget(refused).await;
        }
    }
}
