//! The request that a plugin makes out of its draft.

use serde::Serialize;

use crate::Failure;

/// The body of a request. A `content-type` header, where there is one, wins over the body's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract is frozen")]
pub enum Body {
    /// No body.
    Empty,
    /// JSON text, sent as `application/json`.
    Json(String),
    /// Other text, sent as `text/plain; charset=utf-8`.
    Text(String),
    /// Any bytes, sent as `application/octet-stream`.
    Bytes(Vec<u8>),
}

impl Body {
    /// Returns the body's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Json(text) | Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Returns the body's text, if it is JSON or other text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Json(text) | Self::Text(text) => Some(text),
            Self::Empty | Self::Bytes(_) => None,
        }
    }
}

/// An HTTP request. The host adds what a plugin must not know: the id, the time, the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, for example `POST`.
    pub method: String,
    /// Where it goes.
    pub url: String,
    /// The headers in order; a name may stand more than once.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Body,
}

impl Request {
    /// Returns a request without headers and body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Body::Empty }
    }

    /// Sets the method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// Sets the address.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Sets a header, in place of every header of that name; to repeat a name, push to `headers`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Makes `value`, written as compact JSON, the body.
    ///
    /// # Errors
    ///
    /// Fails with the code `body_unwritable` if `value` can't be written as JSON, for example a map whose keys are no
    /// strings.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string(value).map_err(|error| {
            Failure::other("body_unwritable", format!("the body can't be written as JSON: {error}"))
        })?;
        self.body = Body::Json(text);
        Ok(self)
    }

    /// Makes JSON that is already text the body.
    #[must_use]
    pub fn json_text(mut self, text: impl Into<String>) -> Self {
        self.body = Body::Json(text.into());
        self
    }

    /// Makes plain text the body.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.body = Body::Text(text.into());
        self
    }

    /// Makes bytes the body.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }
}
