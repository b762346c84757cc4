//! What happens, as it happens: attempts, told to whoever listens.

use hookmill_core::{DeliveryId, DeliveryState, Replay};
use jiff::Timestamp;
use serde::Serialize;

/// An attempt that was settled just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// When the attempt began.
    pub at: Timestamp,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its tenant.
    pub tenant: String,
    /// Its webhook.
    pub webhook: String,
    /// The DocType of its document.
    pub doctype: String,
    /// What happened to the document.
    pub doc_event: String,
    /// The document's name.
    pub document: String,
    /// What followed from the attempt.
    pub outcome: &'static str,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// The status that the receiver answered.
    pub status: Option<u16>,
    /// How long the attempt took.
    pub duration_ms: u64,
    /// Why, where it was not delivered.
    pub reason: Option<String>,
    /// When the next try is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The replay that it is part of; none in a delivery's first round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Listeners that fall this far behind miss the oldest.
pub(crate) const FEED_LENGTH: usize = 4_096;
