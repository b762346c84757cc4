//! A replay: a settled delivery is sent again, alone or as one of many.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ReplayId;

/// What is sent when a delivery is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RedeliverMode {
    /// The very bytes that were sent before, where there are any.
    #[default]
    AsSent,
    /// What the webhook and its plugin make of the event now.
    Transform,
}

/// Which round of tries of a delivery this is, and why there is one. The first round has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "whoever reopens a delivery says all of it")]
pub struct Replay {
    /// Its number; the first replay of a delivery is round 2.
    pub round: u32,
    /// What it sends.
    pub mode: RedeliverMode,
    /// When the delivery was reopened.
    pub at: Timestamp,
    /// The replay of many deliveries that it is part of, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ReplayId>,
}

impl Replay {
    /// Makes the round that follows on `before`.
    pub fn after(before: Option<&Self>, mode: RedeliverMode, at: Timestamp, id: Option<ReplayId>) -> Self {
        let round = before.map_or(1, |before| before.round).saturating_add(1);
        Self { round, mode, at, id }
    }

    /// Tells whether the next try renders anew.
    pub fn renders_again(&self) -> bool {
        self.mode == RedeliverMode::Transform
    }
}
