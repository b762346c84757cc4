//! What a receiver answered, and what that means.

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the contract's function has these parameters")]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, up to the 64 KiB that the host reads.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the contract knows no fourth")]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// To be tried again, after so many seconds if given, else as the webhook's schedule has it.
    Retry(Option<u32>),
    /// To be given up, for this reason.
    Dead(String),
}

impl Verdict {
    /// Judges by the status alone, as the host does without a plugin's word: 2xx is delivered, 410 ends it, all else is
    /// tried again.
    pub fn by_status(response: &Response) -> Self {
        match response.status {
            200..=299 => Self::Delivered,
            410 => Self::Dead("the receiver answered 410 Gone".into()),
            _ => Self::Retry(None),
        }
    }
}
