//! From a rendered request to the one that goes out: checked, identified, dated and signed.

use std::borrow::Cow;

use bytes::Bytes;
use hookmill_core::mask::shown_url;
use hookmill_core::{DeliveryId, Event, Explain, Fault, Request};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;

use crate::destination::Destination;
use crate::handles::SecretHandles;
use crate::signing::Signer;
use crate::spelling::Spelling;

/// What receivers see as the sender.
pub(crate) const USER_AGENT: &str = concat!("hookmill/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent, once: its timestamp and signature are of this moment.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub to: Destination,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How the names of its headers are spelt.
    pub spelling: Spelling,
}

/// A request that HTTP does not allow. It comes from a template or a plugin, so trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL can't be used.
    #[error("{url:?} is no URL that a request can go to: {cause}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The method is not a token.
    #[error("{method:?} is no HTTP method")]
    Method {
        /// The method.
        method: String,
    },
    /// A header's name or value breaks the rules of HTTP.
    #[error("the header {name:?} has a name or value that HTTP does not allow")]
    Header {
        /// Its name.
        name: String,
    },
    /// A header asks for a secret that the webhook does not have.
    #[error("the header {header:?} asks for the secret {secret:?}, which the webhook does not have")]
    UnknownSecret {
        /// The header.
        header: String,
        /// The secret's name.
        secret: String,
    },
}

impl Explain for BuildError {
    fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "request_bad_url",
            Self::Method { .. } => "request_bad_method",
            Self::Header { .. } => "request_bad_header",
            Self::UnknownSecret { .. } => "request_unknown_secret",
        }
    }
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        Self { code: error.code().into(), message: error.to_string(), backtrace: None }
    }
}

/// What a request is of: the delivery, its event and the moment of the try.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "whoever sends must know all of it")]
pub struct Occasion<'a> {
    /// The delivery.
    pub id: &'a DeliveryId,
    /// Its event.
    pub event: &'a Event,
    /// When this try is made.
    pub now: Timestamp,
}

/// Builds the request for one try.
///
/// Where `handles` are given, `secret("name")` in the value of a header becomes the secret of that name: whoever wrote
/// the value, a plugin say, never held the secret, and what is kept of the request does not either.
///
/// Every delivery bears `webhook-id` and `webhook-timestamp`, and what `signer` adds. The signature covers the very
/// bytes of the body.
pub fn build(
    request: &Request,
    occasion: &Occasion<'_>,
    signer: &Signer,
    handles: Option<&SecretHandles>,
) -> Result<Outgoing, BuildError> {
    let (method, to) = addressed(request)?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 4);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &request.headers {
        let value = match handles {
            Some(handles) => handles.fill(name, value)?,
            None => Cow::Borrowed(value.as_str()),
        };
        let (name, value) = header(name, &value)?;
        if name == header::USER_AGENT {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    let Occasion { id, event, now } = *occasion;
    for (name, value) in [("webhook-id", id.to_string()), ("webhook-timestamp", now.as_second().to_string())] {
        let (name, value) = header(name, &value)?;
        headers.insert(name, value);
    }
    for (name, value) in signer.headers(id, event, now, &request.body) {
        let (name, value) = header(name.as_str(), &value)?;
        headers.insert(name, value);
    }
    let spelling = Spelling::written(&request.headers);
    Ok(Outgoing { method, to, headers, body: Bytes::copy_from_slice(&request.body), spelling })
}

/// Returns the method of a request and where it goes, if HTTP allows both.
pub(crate) fn addressed(request: &Request) -> Result<(Method, Destination), BuildError> {
    let bad_url = |cause| BuildError::Url { url: shown_url(&request.url).chars().take(200).collect(), cause };
    let to = Destination::parse(&request.url).map_err(bad_url)?;
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| BuildError::Method { method: request.method.clone() })?;
    Ok((method, to))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), BuildError> {
    let bad_header = || BuildError::Header { name: name.chars().take(60).collect() };
    let parsed_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header())?;
    let parsed_value = HeaderValue::from_str(value).map_err(|_| bad_header())?;
    Ok((parsed_name, parsed_value))
}

#[cfg(test)]
mod tests;
