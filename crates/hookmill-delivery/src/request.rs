//! From a rendered request to the one that goes out: checked, identified, dated and signed.

use std::borrow::Cow;

use bytes::Bytes;
use hookmill_core::mask::shown_url;
use hookmill_core::{DeliveryId, Explain, Fault, Request};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use url::Url;

use crate::handles::SecretHandles;
use crate::signature::SigningSecret;

/// What receivers see as the sender.
pub(crate) const USER_AGENT: &str = concat!("hookmill/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent, once: its timestamp and signature are of this moment.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
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

/// Builds the request for one try at `now`.
///
/// Where `handles` are given, `secret("name")` in the value of a header becomes the secret of that name: whoever wrote
/// the value, a plugin say, never held the secret, and what is kept of the request does not either.
///
/// Every delivery bears `webhook-id` and `webhook-timestamp`; with secrets it bears `webhook-signature` too, one entry
/// for each secret, separated by one space. The signature covers the very bytes of the body.
pub fn build(
    request: &Request,
    id: &DeliveryId,
    now: Timestamp,
    secrets: &[SigningSecret],
    handles: Option<&SecretHandles>,
) -> Result<Outgoing, BuildError> {
    let (method, url) = target(request)?;
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
    let (id, timestamp) = (id.to_string(), now.as_second());
    let mut own = vec![("webhook-id", id.clone()), ("webhook-timestamp", timestamp.to_string())];
    if !secrets.is_empty() {
        let entries: Vec<String> = secrets.iter().map(|secret| secret.sign(&id, timestamp, &request.body)).collect();
        own.push(("webhook-signature", entries.join(" ")));
    }
    for (name, value) in own {
        let (name, value) = header(name, &value)?;
        headers.insert(name, value);
    }
    Ok(Outgoing { method, url, headers, body: Bytes::copy_from_slice(&request.body) })
}

/// Returns the method and the URL of a request, if HTTP allows them.
pub(crate) fn target(request: &Request) -> Result<(Method, Url), BuildError> {
    let bad_url = |cause: String| BuildError::Url { url: shown_url(&request.url).chars().take(200).collect(), cause };
    let url = Url::parse(&request.url).map_err(|error| bad_url(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad_url("it must begin with http:// or https:// and name a host".into()));
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| BuildError::Method { method: request.method.clone() })?;
    Ok((method, url))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), BuildError> {
    let bad_header = || BuildError::Header { name: name.chars().take(60).collect() };
    let parsed_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header())?;
    let parsed_value = HeaderValue::from_str(value).map_err(|_| bad_header())?;
    Ok((parsed_name, parsed_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: "POST".into(),
            url: url.into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: b"{}".to_vec(),
        }
    }

    fn id() -> DeliveryId {
        "dlv_000102030405060708090a0b0c0d0e0f".parse().expect("an id")
    }

    #[test]
    fn a_request_is_signed_with_each_secret_and_dated() {
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
            .map(|text| SigningSecret::parse(text).expect("valid"));
        let now = Timestamp::from_second(1_614_265_330).expect("in range");
        let built =
            build(&request("https://example.com/in?a=b", &[("X-A", "1"), ("X-A", "2")]), &id(), now, &secrets, None)
                .expect("builds");
        assert_eq!(built.headers["webhook-timestamp"], "1614265330");
        assert_eq!(built.headers["webhook-id"], "dlv_000102030405060708090a0b0c0d0e0f");
        let signature = built.headers["webhook-signature"].to_str().expect("text");
        assert_eq!(signature.split(' ').filter(|entry| entry.starts_with("v1,")).count(), 2);
        assert_eq!(built.headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn a_header_of_the_request_never_stands_in_for_the_hosts_own() {
        let built = build(
            &request("http://example.com/", &[("Webhook-Id", "forged")]),
            &id(),
            Timestamp::UNIX_EPOCH,
            &[],
            None,
        )
        .expect("builds");
        assert_eq!(built.headers.get_all("webhook-id").iter().count(), 1);
        assert_eq!(built.headers["webhook-id"], id().to_string().as_str());
        assert!(!built.headers.contains_key("webhook-signature"));
    }

    #[test]
    fn what_http_does_not_allow_is_refused() {
        let code = |url, headers: &[(&str, &str)]| {
            build(&request(url, headers), &id(), Timestamp::UNIX_EPOCH, &[], None).expect_err("refused").code()
        };
        assert_eq!(code("ftp://example.com/", &[]), "request_bad_url");
        assert_eq!(code("http://", &[]), "request_bad_url");
        assert_eq!(code("http://example.com/", &[("X-A", "1\r\nX-B: 2")]), "request_bad_header");
        assert_eq!(code("http://example.com/", &[("X A", "1")]), "request_bad_header");
    }
}
