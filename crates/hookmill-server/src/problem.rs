//! Errors as RFC 9457 problem documents.

use axum::response::{IntoResponse, Response};
use hookmill::core::ports::StoreErrorKind;
use hookmill::core::{EventError, SourceError, WebhookError};
use hookmill::plugin::{LoadPluginError, LoadProblem};
use hookmill::{EngineError, Explain};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// After how long what the server can't do now is worth another try.
pub(crate) const RETRY_AFTER_SECS: u32 = 1;

/// An error answer: a status, a stable code, one sentence of cause and one of help.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
    retry_after_secs: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl std::fmt::Display) -> Self {
        let mut members = Map::new();
        members.insert("type".into(), json!("about:blank"));
        members.insert("title".into(), json!(status.canonical_reason().unwrap_or("Error")));
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("code".into(), json!(code));
        members.insert("detail".into(), json!(detail.to_string()));
        Self { status, members, retry_after_secs: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.with("help", help.into())
    }

    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.into(), value.into());
        self
    }

    /// Says after how many seconds it is worth another try.
    pub(crate) fn retry_after(self, secs: u32) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }

    fn explained(status: StatusCode, error: &(impl Explain + ?Sized)) -> Self {
        let problem = Self::new(status, error.code(), error);
        match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Value::Object(self.members).to_string();
        let mut answer = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(secs) = self.retry_after_secs {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // HTTP asks for it with every 401 (RFC 9110 §15.5.2).
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let mut problem = Self::explained(status_of(&error), &error);
        if let EngineError::Plugin(error) = &error {
            problem = problem.with("problems", problems_of(error));
        }
        if let EngineError::WouldChange(diff) = &error {
            problem = problem.with("diff", json!(diff));
        }
        if let EngineError::Settings(error) = &error {
            problem = problem.with("problems", json!(error.problems));
        }
        match problem.status {
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(RETRY_AFTER_SECS),
            _ => problem,
        }
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<hookmill::core::InvalidName> for Problem {
    fn from(error: hookmill::core::InvalidName) -> Self {
        EngineError::from(error).into()
    }
}

/// Everything that is wrong with a plugin, not only the first.
fn problems_of(error: &LoadPluginError) -> Value {
    let problem =
        |problem: &LoadProblem| json!({"code": problem.code(), "detail": problem.to_string(), "help": problem.help()});
    error.problems().iter().map(problem).collect()
}

/// The status of an error; also decides what a batch answers for one of its events.
pub(crate) fn status_of(error: &EngineError) -> StatusCode {
    match error {
        EngineError::Event(EventError::NotUtf8 { .. } | EventError::Malformed(_)) => StatusCode::BAD_REQUEST,
        EngineError::Event(EventError::DocTooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        EngineError::Source(SourceError::Body(_)) => StatusCode::BAD_REQUEST,
        EngineError::Source(SourceError::Unsigned | SourceError::NoSecret | SourceError::WrongSignature) => {
            StatusCode::UNAUTHORIZED
        }
        EngineError::Plugin(error) if error.code() == "plugin_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        EngineError::Plugin(error) if error.code() == "plugin_host_failed" => StatusCode::INTERNAL_SERVER_ERROR,
        EngineError::NotFound { .. } => StatusCode::NOT_FOUND,
        EngineError::EventIdTaken { .. } | EngineError::Conflict { .. } | EngineError::WouldChange(_) => {
            StatusCode::CONFLICT
        }
        EngineError::Overloaded { .. } | EngineError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::Store(error) => match error.kind {
            StoreErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
            StoreErrorKind::Conflict => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
