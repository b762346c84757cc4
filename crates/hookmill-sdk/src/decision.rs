//! What is to be done about an event.

use crate::Request;

/// What is to be done about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract is frozen: there is no third way")]
pub enum Decision {
    /// Send this request.
    Send(Request),
    /// Send nothing, for this reason.
    Skip(String),
}

impl Decision {
    /// Decides to send nothing, and says why.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }

    /// Returns the request, if there is one to send.
    pub fn into_request(self) -> Option<Request> {
        match self {
            Self::Send(request) => Some(request),
            Self::Skip(_) => None,
        }
    }
}

impl From<Request> for Decision {
    fn from(request: Request) -> Self {
        Self::Send(request)
    }
}
