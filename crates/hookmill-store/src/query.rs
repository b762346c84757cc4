//! Whether a delivery is what a query asks for: the one meaning that every store here gives to the filters.

use hookmill_core::ports::{DeliveryQuery, DeliveryRow};
use hookmill_core::{Attempt, Event};

/// Checks every filter but the text, which needs the bodies.
pub(crate) fn row_matches(query: &DeliveryQuery, row: &DeliveryRow, last_status: Option<u16>) -> bool {
    fn holds<T>(wanted: Option<&T>, check: impl Fn(&T) -> bool) -> bool {
        wanted.is_none_or(check)
    }
    holds(query.webhook.as_ref(), |webhook| *webhook == row.webhook)
        && holds(query.state.as_ref(), |state| *state == row.status.state)
        && holds(query.event_id.as_ref(), |id| *id == row.event_id)
        && holds(query.doctype.as_ref(), |doctype| *doctype == row.doctype)
        && holds(query.document.as_ref(), |document| *document == row.document)
        && holds(query.since.as_ref(), |since| row.received_at >= *since)
        && holds(query.until.as_ref(), |until| row.received_at < *until)
        && holds(query.status.as_ref(), |status| Some(*status) == last_status)
}

/// A text to be found whatever its case.
#[derive(Debug)]
pub(crate) struct Needle(String);

impl Needle {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }

    /// Looks in the document, and in every request, answer and error; returns how many bytes it read, too.
    pub(crate) fn is_in_delivery(&self, event: &Event, attempts: &[Attempt]) -> (bool, usize) {
        let mut bytes = event.doc.as_str().len();
        let mut found = self.is_in(event.doc.as_str());
        for attempt in attempts {
            let request = attempt.request.as_ref().map(|request| (&request.url, &request.headers, &request.body));
            let none = String::new();
            let response = attempt.response.as_ref().map(|response| (&none, &response.headers, &response.body));
            for (url, headers, body) in request.into_iter().chain(response) {
                bytes += body.len();
                found = found
                    || self.is_in(url)
                    || self.is_in(&String::from_utf8_lossy(body))
                    || headers.iter().any(|(name, value)| self.is_in(name) || self.is_in(value));
            }
            found = found
                || attempt.error.as_ref().is_some_and(|error| {
                    [Some(&error.code), Some(&error.message), error.backtrace.as_ref()]
                        .into_iter()
                        .flatten()
                        .any(|text| self.is_in(text))
                });
        }
        (found, bytes)
    }
}
