//! A delivery: one webhook's duty for one event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "whoever handles deliveries must handle every state")]
pub enum DeliveryState {
    /// To be sent, now or at a set time.
    Pending,
    /// The receiver has it.
    Delivered,
    /// The condition or the plugin said that nothing is to be sent.
    Skipped,
    /// Waits for a person or a new plugin version.
    Parked,
    /// Given up: tries exhausted, rejected, or the receiver is gone.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Delivered, Self::Skipped, Self::Parked, Self::Dead];

    /// Returns the word that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

/// A delivery's state, the reason for it and, while pending, when it is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// Where the delivery stands.
    pub state: DeliveryState,
    /// Why, in words for a person; none for the ordinary course.
    pub reason: Option<String>,
    /// When the next try is due; only a pending delivery has one.
    pub next_attempt_at: Option<Timestamp>,
}

impl DeliveryStatus {
    /// A delivery that is due at `at`.
    pub fn due(at: Timestamp) -> Self {
        Self { state: DeliveryState::Pending, reason: None, next_attempt_at: Some(at) }
    }
}
