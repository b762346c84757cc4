//! The way between the contract's types and the SDK's, inside the component.

use std::sync::Once;

use serde::de::DeserializeOwned;

use crate::bindings::hookmill::plugin::types as wit;
use crate::{Body, Decision, Event, Failure, FailureKind, Request, call, log};

/// Runs the author's function on what the host passed.
pub fn transform<S, D, E>(
    transform: impl Fn(&Event, Request, S) -> Result<D, E>,
    event: wit::Event,
    draft: wit::Request,
    settings: &str,
) -> Result<wit::Decision, wit::Failure>
where
    S: DeserializeOwned,
    D: Into<Decision>,
    E: Into<Failure>,
{
    report_panics();
    match call::call(transform, &event.into(), draft.into(), settings) {
        Ok(decision) => Ok(decision.into()),
        Err(failure) => Err(failure.into()),
    }
}

/// Makes a panic's message and place reach the log before the trap ends the call.
fn report_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| std::panic::set_hook(Box::new(|panic| log::error(panic.to_string()))));
}

impl From<wit::Event> for Event {
    fn from(event: wit::Event) -> Self {
        Self {
            id: event.id,
            tenant: event.tenant,
            doctype: event.doctype,
            doc_event: event.doc_event,
            doc_name: event.doc_name,
            occurred_at: event.occurred_at,
            doc: event.doc,
            before: event.before,
            meta: event.meta,
        }
    }
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
        let body = match request.body {
            wit::Body::Empty => Body::Empty,
            wit::Body::Json(text) => Body::Json(text),
            wit::Body::Text(text) => Body::Text(text),
            wit::Body::Bytes(bytes) => Body::Bytes(bytes),
        };
        Self { method: request.method, url: request.url, headers: request.headers, body }
    }
}

impl From<Request> for wit::Request {
    fn from(request: Request) -> Self {
        let body = match request.body {
            Body::Empty => wit::Body::Empty,
            Body::Json(text) => wit::Body::Json(text),
            Body::Text(text) => wit::Body::Text(text),
            Body::Bytes(bytes) => wit::Body::Bytes(bytes),
        };
        Self { method: request.method, url: request.url, headers: request.headers, body }
    }
}

impl From<Decision> for wit::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Send(request) => Self::Send(request.into()),
            Decision::Skip(reason) => Self::Skip(reason),
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        let problem = wit::Problem { code: failure.code, message: failure.message, path: failure.path };
        match failure.kind {
            FailureKind::BadDocument => Self::BadDocument(problem),
            FailureKind::BadSettings => Self::BadSettings(problem),
            FailureKind::Other => Self::Other(problem),
        }
    }
}

#[cfg(feature = "full")]
pub(crate) mod full {
    //! The optional parts of the contract.

    use serde::de::DeserializeOwned;

    use super::{report_panics, wit};
    use crate::{Event, Failure, Response, Verdict, call};

    /// Runs the author's judge; settings that don't fit fall back to the status, as the host would.
    pub fn judge<S: DeserializeOwned>(
        judge: impl Fn(&Event, &Response, S) -> Verdict,
        event: wit::Event,
        response: Response,
        settings: &str,
    ) -> wit::Verdict {
        report_panics();
        let verdict = match call::settings(settings) {
            Ok(settings) => judge(&event.into(), &response, settings),
            Err(failure) => {
                crate::log::error(failure.message);
                Verdict::by_status(&response)
            }
        };
        match verdict {
            Verdict::Delivered => wit::Verdict::Delivered,
            Verdict::Retry(after) => wit::Verdict::Retry(after),
            Verdict::Dead(reason) => wit::Verdict::Dead(reason),
        }
    }

    /// Reads the settings, then runs the author's own checks.
    pub fn validate_settings<S: DeserializeOwned>(
        validate: impl Fn(&S) -> Result<(), Vec<Failure>>,
        settings: &str,
    ) -> Result<(), Vec<wit::Problem>> {
        report_panics();
        let problem =
            |failure: Failure| wit::Problem { code: failure.code, message: failure.message, path: failure.path };
        let settings = call::settings(settings).map_err(|failure| vec![problem(failure)])?;
        validate(&settings).map_err(|failures| failures.into_iter().map(problem).collect())
    }
}
