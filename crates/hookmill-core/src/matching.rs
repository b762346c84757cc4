//! Which webhooks an event concerns.

use crate::{Event, Webhook};

/// The `doc_event` of a webhook that wants them all.
pub const EVERY_EVENT: &str = "*";

/// Tells whether `webhook` wants `event`, its condition apart.
///
/// A condition needs the document parsed, so it is decided later, off the publisher's path.
pub fn matches(webhook: &Webhook, event: &Event) -> bool {
    webhook.enabled
        && webhook.doctype == event.doctype
        && (webhook.doc_event == event.doc_event || webhook.doc_event == EVERY_EVENT)
}
