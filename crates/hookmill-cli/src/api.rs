//! Calls to a server's REST API.

use std::time::Duration;

use bytes::Bytes;
use hookmill::core::mask::shown_url;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::exit_code::{FAILED, Failure, UNREACHABLE, USAGE, of_code};

/// A server to call.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str, token: Option<&str>) -> Result<Self, Failure> {
        let url = url::Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if url.is_none() {
            return Err(Failure::new(USAGE, "bad_url", format!("{:?} is no http or https URL", shown_url(base)))
                .help("give --url http://HOST:PORT"));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
            .map_err(|error| Failure::new(FAILED, "client_failed", error.to_string()))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: token.map(str::to_owned) })
    }

    /// Makes the URL of a call from its parts, which may hold any characters.
    pub(crate) fn path(parts: &[&str]) -> String {
        let mut url = url::Url::parse("http://h/v1").expect("a URL");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(parts);
        }
        url.path().to_owned()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Makes a request; the answer may be a refusal.
    async fn exchange(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| {
            let cause = std::iter::successors(std::error::Error::source(&error), |cause| cause.source()).last();
            let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
            Failure::new(
                UNREACHABLE,
                "server_unreachable",
                format!("no hookmill server answers at {}: {cause}", shown_url(&self.base)),
            )
            .help("start one with `hookmill serve`, or say where it is with --url or HOOKMILL_URL")
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = self.exchange(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(refusal(status.as_u16(), &text))
    }

    /// Publishes events, one a line. The answer is the server's even where it names events that were not taken.
    pub(crate) async fn publish_lines(&self, lines: String) -> Result<Value, Failure> {
        let request = self.request(Method::POST, "/v1/events").header("content-type", "application/x-ndjson");
        let answer = self.exchange(request.body(lines)).await?;
        let status = answer.status();
        let text = answer.text().await.map_err(broken_off)?;
        let value = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let partly = value["code"] == "events_refused";
        if partly || (status.is_success() && value.is_object()) {
            Ok(value)
        } else {
            Err(refusal(status.as_u16(), &text))
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = self.send(request).await?;
        let bytes = answer.bytes().await.map_err(broken_off)?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(FAILED, "answer_unreadable", format!("the answer is not from hookmill: {error}"))
                .help("check --url")
        })
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let url = url::Url::parse_with_params(&format!("{}{path}", self.base), query)
            .map_err(|error| Failure::new(USAGE, "bad_url", error.to_string()))?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.json(self.request(Method::GET, &format!("{path}{query}"))).await
    }

    /// Returns an answer as the server wrote it, every number in its spelling.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, Failure> {
        self.send(self.request(Method::GET, path)).await?.text().await.map_err(broken_off)
    }

    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Result<Value, Failure> {
        self.json(self.request(Method::POST, path).header("content-type", content_type).body(body.into())).await
    }

    /// Posts, and answers with the very text: numbers and keys as the server spells them.
    pub(crate) async fn post_for_text(&self, path: &str, body: String) -> Result<String, Failure> {
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body);
        self.send(request).await?.text().await.map_err(broken_off)
    }

    pub(crate) async fn put(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Result<Value, Failure> {
        self.json(self.request(Method::PUT, path).header("content-type", content_type).body(body.into())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.json(self.request(Method::DELETE, path)).await
    }

    /// Opens an answer that goes on and on.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, Failure> {
        self.send(self.request(Method::GET, path)).await
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that `map_err` calls")]
fn broken_off(error: reqwest::Error) -> Failure {
    Failure::new(UNREACHABLE, "answer_broken", format!("the answer broke off: {error}"))
}

/// Makes a problem document into an error that says all of it.
fn refusal(status: u16, text: &str) -> Failure {
    let Ok(problem) = serde_json::from_str::<Value>(text) else {
        return Failure::new(FAILED, "server_error", format!("the server answered {status}"));
    };
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "server_error".into());
    let mut message = text("detail").unwrap_or_else(|| format!("the server answered {status}"));
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let place = ["line", "index"].into_iter().find_map(|name| Some(format!("{name} {}", error.get(name)?)));
        let detail = error.get("detail").and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("\n  {}: {detail}", place.unwrap_or_default()));
    }
    let errors = ["errors", "problems"].into_iter().find_map(|name| problem.get(name)?.as_array().cloned());
    Failure { exit_code: of_code(&code), code, message, help: text("help"), errors: errors.unwrap_or_default() }
}
