//! Why a plugin can't do its work, in words for the person who has to mend it.

use std::error::Error;
use std::fmt;

/// Whose turn it is to mend something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract is frozen")]
pub enum FailureKind {
    /// The document lacks something or has it in a wrong shape.
    BadDocument,
    /// The webhook's settings for this plugin are wrong.
    BadSettings,
    /// Anything else.
    Other,
}

/// Why a plugin can't do its work.
///
/// The code is a short stable word that programs may compare; the message is one sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
}

impl Failure {
    /// Blames the document.
    pub fn bad_document(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadDocument, code, message)
    }

    /// Blames the webhook's settings for this plugin.
    pub fn bad_settings(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadSettings, code, message)
    }

    /// Blames neither.
    pub fn other(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Other, code, message)
    }

    fn new(kind: FailureKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), path: None }
    }

    /// Says where in the document or the settings the problem is, as a JSON pointer such as `/items/0/qty`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.path = Some(pointer.into());
        self
    }

    /// Returns whose turn it is.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the stable word.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the JSON pointer to the place, if one is known.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.path {
            Some(path) => write!(f, " ({}, at {path})", self.code),
            None => write!(f, " ({})", self.code),
        }
    }
}

impl Error for Failure {}

/// Lets `?` work on serde_json: an error with a place came from reading JSON, which in a transform is the document's;
/// one without came from writing it.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        if error.line() > 0 {
            Self::bad_document("document_mismatch", error.to_string())
        } else {
            Self::other("body_unwritable", error.to_string())
        }
    }
}
