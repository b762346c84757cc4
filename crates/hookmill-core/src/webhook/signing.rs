//! How requests are signed.

use serde::{Deserialize, Serialize};

/// Whose convention a signature follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "whoever signs must know each")]
pub enum Signing {
    /// Standard Webhooks 1.0: `webhook-signature`, from `whsec_` and `whsk_` secrets.
    #[default]
    Standard,
    /// GitHub: `X-Hub-Signature-256` over the body, from the first secret, any text.
    Github,
    /// Stripe: `Stripe-Signature` over time and body, from all secrets, any texts.
    Stripe,
    /// Not at all.
    None,
}

impl Signing {
    /// Returns the header that bears the signature unless the webhook names another.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Standard => Some("webhook-signature"),
            Self::Github => Some("x-hub-signature-256"),
            Self::Stripe => Some("stripe-signature"),
            Self::None => None,
        }
    }

    pub(super) fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}
