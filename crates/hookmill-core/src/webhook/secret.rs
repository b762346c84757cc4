//! The secrets that a webhook signs with, and how long a former one goes on signing beside the current one.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::WebhookError;
use crate::limits::SECRETS_MAX;

/// For how long a former secret signs beside the current one where nobody says otherwise: a day to change receivers.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// A secret to sign with. In JSON it is a text or, if it is on its way out, `{"secret", "until"}`. Printing it shows
/// nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The secret in text.
    pub text: String,
    /// Whether and when it ends.
    pub ends: Ends,
}

/// When a secret signs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever signs must rule on each")]
pub enum Ends {
    /// Not until it is removed.
    Never,
    /// A while after it is saved: [`OVERLAP`].
    AfterOverlap,
    /// At this moment.
    At(Timestamp),
}

impl Secret {
    /// Tells whether it signs at `now`.
    pub fn signs_at(&self, now: Timestamp) -> bool {
        !matches!(self.ends, Ends::At(until) if until <= now)
    }

    /// Turns an overlap that begins at `now` into the moment at which it ends.
    pub fn settle(&mut self, now: Timestamp) {
        if self.ends == Ends::AfterOverlap {
            self.ends = Ends::At(now.checked_add(OVERLAP).unwrap_or(Timestamp::MAX));
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self { text, ends: Ends::Never }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// The form of a secret that ends.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Former<'a> {
    secret: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let until = match self.ends {
            Ends::Never => return serializer.serialize_str(&self.text),
            Ends::AfterOverlap => None,
            Ends::At(until) => Some(until),
        };
        Former { secret: self.text.as_str().into(), until }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrFormer;
        impl<'de> Visitor<'de> for TextOrFormer {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: a text, or {\"secret\", \"until\"}")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(text.to_owned().into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                let Former { secret, until } = Former::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Secret { text: secret.into_owned(), ends: until.map_or(Ends::AfterOverlap, Ends::At) })
            }
        }
        deserializer.deserialize_any(TextOrFormer)
    }
}

/// One must always be left to sign with: a webhook that stops signing on some day would do so unnoticed.
pub(super) fn check(secrets: &[Secret]) -> Result<(), WebhookError> {
    if secrets.len() > SECRETS_MAX {
        return Err(WebhookError::invalid("secrets", format!("has more than {SECRETS_MAX} entries")));
    }
    if !secrets.is_empty() && secrets.iter().all(|secret| secret.ends != Ends::Never) {
        let rule = "needs one that does not end: write the current secret as a text";
        return Err(WebhookError::invalid("secrets", rule));
    }
    Ok(())
}
