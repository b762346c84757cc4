//! What is to come of a fixture, and where something else came of it.

use std::collections::BTreeMap;

use hookmill_core::{Fault, JsonText, Request};
use serde::{Deserialize, Serialize};

use crate::difference::Difference;
use crate::transform::Decision;

/// What is to come of a fixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::exhaustive_enums, reason = "a transform ends in no fourth way")]
pub enum Expect {
    /// This request; what is left out is not compared.
    Send(ExpectedRequest),
    /// To be skipped for this reason.
    Skip(String),
    /// To fail with this code, as attempts show it.
    Fail(String),
}

/// A request that is expected.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedRequest {
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers that must be there with these values; others may be too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The JSON body, key for key and digit for digit; white space does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<JsonText>,
    /// The body as text, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn failed(fault: &Fault) -> String {
    format!("the plugin failed with {}: {}", fault.code, fault.message)
}

impl Expect {
    /// Returns what would be expected if this result were right: what a fixture is updated to.
    pub fn of(result: &Result<Decision, Fault>) -> Self {
        match result {
            Ok(Decision::Send(request)) => Self::Send(ExpectedRequest::of(request)),
            Ok(Decision::Skip(reason)) => Self::Skip(reason.clone()),
            Err(fault) => Self::Fail(fault.code.clone()),
        }
    }

    /// Returns what is to be expected once this result is taken as right. Of a request, no other parts than before are
    /// compared.
    #[must_use]
    pub fn updated(&self, result: &Result<Decision, Fault>) -> Self {
        match (self, result) {
            (Self::Send(expected), Ok(Decision::Send(request))) => Self::Send(expected.updated(request)),
            _ => Self::of(result),
        }
    }

    /// Tells where a result differs from what is expected; where nothing is, any decision will do.
    pub(crate) fn differences(expected: Option<&Self>, result: &Result<Decision, Fault>) -> Vec<Difference> {
        let Some(expected) = expected else {
            let refused =
                |fault| Difference::Outcome { expected: "any decision was expected".into(), actual: failed(fault) };
            return result.as_ref().err().map(refused).into_iter().collect();
        };
        match (expected, result) {
            (Self::Send(expected), Ok(Decision::Send(request))) => expected.differences(request),
            (Self::Skip(expected), Ok(Decision::Skip(reason))) if expected == reason => vec![],
            (Self::Fail(expected), Err(fault)) if *expected == fault.code => vec![],
            (expected, result) => {
                let actual = match result {
                    Ok(Decision::Send(_)) => "it sent a request".into(),
                    Ok(Decision::Skip(reason)) => format!("it skipped the event: {reason}"),
                    Err(fault) => failed(fault),
                };
                let expected = match expected {
                    Self::Send(_) => "a request was expected".into(),
                    Self::Skip(reason) => format!("a skip was expected: {reason}"),
                    Self::Fail(code) => format!("a failure with {code} was expected"),
                };
                vec![Difference::Outcome { expected, actual }]
            }
        }
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

impl ExpectedRequest {
    fn of(request: &Request) -> Self {
        let text = String::from_utf8_lossy(&request.body);
        let body = JsonText::parse(&text).ok();
        let text = body.is_none().then(|| text.into_owned());
        let headers = request.headers.iter().cloned().collect();
        Self { method: None, url: None, headers, body, text }
    }

    fn updated(&self, request: &Request) -> Self {
        let now = Self::of(request);
        let still = |name: &String| Some((name.clone(), header(request, name)?.to_owned()));
        let compared = self.body.is_some() || self.text.is_some();
        Self {
            method: self.method.as_ref().map(|_| request.method.clone()),
            url: self.url.as_ref().map(|_| request.url.clone()),
            headers: self.headers.keys().filter_map(still).collect(),
            body: now.body.filter(|_| compared),
            text: now.text.filter(|_| compared),
        }
    }

    fn differences(&self, request: &Request) -> Vec<Difference> {
        let mut found = vec![];
        let mut compare = |part: &str, expected: &str, actual: &str| {
            if expected != actual {
                let (part, expected, actual) = (part.to_owned(), expected.to_owned(), actual.to_owned());
                found.push(Difference::Part { part, expected, actual });
            }
        };
        if let Some(method) = &self.method {
            compare("the method", method, &request.method);
        }
        if let Some(url) = &self.url {
            compare("the URL", url, &request.url);
        }
        for (name, expected) in &self.headers {
            compare(&format!("the header {name}"), expected, header(request, name).unwrap_or_default());
        }
        let text = String::from_utf8_lossy(&request.body);
        if let Some(expected) = &self.text {
            compare("the body", expected, &text);
        }
        if let Some(expected) = self.body.as_ref().map(JsonText::compact) {
            let actual = JsonText::parse(&text).map_or_else(|_| text.into_owned(), |json| json.compact().into_owned());
            if *expected != actual {
                found.push(Difference::Body { expected: expected.into_owned(), actual });
            }
        }
        found
    }
}
