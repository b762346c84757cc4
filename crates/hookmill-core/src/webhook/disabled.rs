//! A webhook that hookmill itself took out of use.

use serde::{Deserialize, Serialize};

/// Why hookmill disabled a webhook, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disabled {
    /// Since when.
    pub at: jiff::Timestamp,
    /// Why, to be read by an operator.
    pub reason: String,
}
