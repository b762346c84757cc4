//! Names and identifiers, each its own type so that none can stand where another belongs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Explain;

/// A name that a user chose and that breaks the rule for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't be {kind}: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    name: String,
    rule: &'static str,
}

impl Explain for InvalidName {
    fn code(&self) -> &'static str {
        "invalid_name"
    }
}

fn is_plain(text: &str, chars_max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

fn is_slug(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `text` against the rule of this kind of name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { kind: $kind, name: text.chars().take(80).collect(), rule: $rule })
                }
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), &*self.0)
            }
        }
    };
}

name_type!(
    /// Whose events, webhooks and plugins these are.
    TenantId,
    "a tenant",
    "use up to 64 letters, digits, '-', '_' or '.', and begin with a letter or digit",
    is_slug
);
name_type!(
    /// The name that the user gave a webhook; unique within its tenant.
    WebhookName,
    "a webhook's name",
    "use 1 to 140 characters, none of them '/' or a control character",
    |text| is_plain(text, 140) && !text.contains('/')
);
name_type!(
    /// The name under which versions of one plugin are known; unique within its tenant.
    PluginName,
    "a plugin's name",
    "use up to 64 letters, digits, '-', '_' or '.', and begin with a letter or digit",
    is_slug
);
name_type!(
    /// The identity of an event: what makes a second publication a repeat. Unique within its tenant.
    EventId,
    "an event's id",
    "use 1 to 128 characters, none of them a control character",
    |text| is_plain(text, 128)
);

name_type!(
    /// The identity of a replay of many deliveries.
    ReplayId,
    "a replay's id",
    "it is `rpl_` and letters and digits, as `hookmill delivery replays` prints it",
    |text| text.starts_with("rpl_") && is_slug(text)
);

impl TenantId {
    /// Returns the tenant of an installation that has only one and need not know the word.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }
}

/// Gives a type of bytes its text form: a prefix and hexadecimal digits, in JSON too.
macro_rules! hex_type {
    ($type:ident, $prefix:literal, $kind:literal, $rule:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.strip_prefix($prefix).and_then(parse_hex).map(Self).ok_or_else(|| InvalidName {
                    kind: $kind,
                    name: text.chars().take(80).collect(),
                    rule: $rule,
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }
    };
}

/// The identity of a delivery, and the `webhook-id` that its receiver sees on every try.
///
/// It is a function of tenant, event id and webhook name: publishing an event again leads to the same deliveries,
/// on every machine. Its text form is `dlv_` and 32 hexadecimal digits, so it holds no `.` (Standard Webhooks
/// separates the signed parts by dots). The first eight bytes depend on the event alone, which lets a store find a
/// delivery through its index of events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryId([u8; 16]);

impl DeliveryId {
    /// Derives the id of the delivery that `webhook` owes for `event`.
    pub fn of(tenant: &TenantId, event: &EventId, webhook: &WebhookName) -> Self {
        let mut bytes = [0; 16];
        let (event_half, webhook_half) = bytes.split_at_mut(8);
        event_half.copy_from_slice(&Self::event_key(tenant, event).to_be_bytes());
        let hash =
            Sha256::new().chain_update(event.as_str()).chain_update([0]).chain_update(webhook.as_str()).finalize();
        webhook_half.copy_from_slice(&hash[..8]);
        Self(bytes)
    }

    /// Returns the number that stands in front of the ids of all deliveries of `event`.
    ///
    /// It is a hash: two events may share one, so whoever looks up by it compares the whole id too.
    pub fn event_key(tenant: &TenantId, event: &EventId) -> u64 {
        let hash =
            Sha256::new().chain_update(tenant.as_str()).chain_update([0]).chain_update(event.as_str()).finalize();
        u64::from_be_bytes(hash[..8].try_into().expect("a SHA-256 hash has 32 bytes"))
    }

    /// Returns the [`event_key`](Self::event_key) that this id begins with.
    pub fn event_part(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("an id has 16 bytes"))
    }

    /// Returns the sixteen bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Takes sixteen bytes that [`as_bytes`](Self::as_bytes) once gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

hex_type!(
    DeliveryId,
    "dlv_",
    "a delivery's id",
    "it is `dlv_` and 32 hexadecimal digits, as `hookmill delivery list` prints it"
);

/// The SHA-256 of some bytes. A plugin's version *is* the digest of its component.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes 32 bytes that are a digest already.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the first twelve hexadecimal digits, enough to tell versions apart on a screen.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

hex_type!(Digest, "", "a digest", "it is the SHA-256 of a component in 64 hexadecimal digits");

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}
