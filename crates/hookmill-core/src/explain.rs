//! What every error that a user may see can say of itself.

/// An error with a stable code, a cause and a way out.
///
/// `Display` gives the cause in one sentence; [`help`](Explain::help) says what to do about it. Codes are
/// `snake_case`, appear in API answers, attempts and logs, and never change their meaning.
pub trait Explain: std::fmt::Display {
    /// Returns the stable code, for example `event_doc_not_object`.
    fn code(&self) -> &'static str;

    /// Returns one sentence of help, or `None` where the cause already says what to do.
    fn help(&self) -> Option<String> {
        None
    }
}
