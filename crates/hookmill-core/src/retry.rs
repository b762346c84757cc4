//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{RETRIES_MAX, RETRY_AFTER_SECS_MAX, RETRY_WAIT_SECS_MAX};

/// A webhook's retry rule, as its JSON has it: a preset or a list of waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// A named schedule.
    Preset(Preset),
    /// The wait before each try, the first one included: `["0s", "5s", "5m"]` tries three times.
    Schedule(Vec<Wait>),
}

impl Default for Retry {
    fn default() -> Self {
        Self::Preset(Preset::Default)
    }
}

/// A named schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the example of Standard Webhooks.
    Default,
    /// Three tries in quick succession, after 1 s and 4 s: what Frappe's worker does.
    Frappe,
    /// One try only.
    None,
}

impl Preset {
    fn waits_secs(self) -> &'static [u64] {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        match self {
            Self::Default => {
                &[0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
            }
            Self::Frappe => &[0, 1, 4],
            Self::None => &[0],
        }
    }
}

/// A span of time in the form `90s`, `5m`, `2h` or `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wait(Duration);

impl Wait {
    /// Returns the span.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fault = || format!("{text:?} is no span of time: write `0s`, `90s`, `5m`, `2h` or `1d`, at most 30 days");
        let unit = text.chars().last().ok_or_else(fault)?;
        let secs = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(fault()),
        };
        let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| fault())?;
        let total = number.checked_mul(secs).filter(|total| *total <= RETRY_WAIT_SECS_MAX).ok_or_else(fault)?;
        Ok(Self(Duration::from_secs(total)))
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        let secs = wait.0.as_secs();
        match secs {
            0 => "0s".into(),
            _ if secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
            _ if secs.is_multiple_of(3600) => format!("{}h", secs / 3600),
            _ if secs.is_multiple_of(60) => format!("{}m", secs / 60),
            _ => format!("{secs}s"),
        }
    }
}

impl Retry {
    /// Says what is wrong with the schedule, if anything.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Schedule(waits) if waits.is_empty() => {
                Some("an empty schedule never sends; use {\"preset\": \"none\"} for one try".into())
            }
            Self::Schedule(waits) if waits.len() > RETRIES_MAX => {
                Some(format!("a schedule has at most {RETRIES_MAX} entries"))
            }
            Self::Schedule(_) | Self::Preset(_) => None,
        }
    }

    /// Returns the scheduled wait before try number `number` (the first is 0), or `None` if there is no such try.
    pub fn wait_before(&self, number: u32) -> Option<Duration> {
        let number = usize::try_from(number).ok()?;
        match self {
            Self::Preset(preset) => preset.waits_secs().get(number).copied().map(Duration::from_secs),
            Self::Schedule(waits) => waits.get(number).map(|wait| wait.0),
        }
    }

    /// Returns the wait before try number `number` with jitter, and with the receiver's `Retry-After` if it gave one.
    ///
    /// `roll` in 0..1 decides the jitter of ±20 %, which keeps deliveries that failed together from coming back
    /// together. A receiver may only ask for more patience, up to a day, never for less.
    pub fn next_wait(&self, number: u32, retry_after: Option<Duration>, roll: f64) -> Option<Duration> {
        let scheduled = self.wait_before(number)?;
        let spread = scheduled.mul_f64(0.8 + 0.4 * roll.clamp(0.0, 1.0));
        let asked = retry_after.unwrap_or_default().min(Duration::from_secs(RETRY_AFTER_SECS_MAX));
        Some(spread.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_read_and_write_the_same_text() {
        for text in ["0s", "5s", "90s", "5m", "2h", "1d", "30d"] {
            let wait = Wait::try_from(text.to_owned()).expect(text);
            assert_eq!(String::from(wait), text);
        }
        for text in ["", "s", "5", "-1s", "1.5h", "31d", "5 m", "99999999999999999999s"] {
            assert!(Wait::try_from(text.to_owned()).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn the_default_schedule_has_ten_tries_over_three_days() {
        let retry = Retry::default();
        let total: Duration = (0..10).map(|number| retry.wait_before(number).expect("ten tries")).sum();
        assert_eq!(total.as_secs(), 5 + 35 * 60 + (2 + 5 + 10 + 14 + 20 + 24) * 3600);
        assert_eq!(retry.wait_before(10), None);
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_jitter_and_never_below_retry_after(
            number in 0u32..10, roll in 0.0f64..1.0, asked in proptest::option::of(0u64..10_000_000),
        ) {
            let retry = Retry::default();
            let scheduled = retry.wait_before(number).expect("ten tries").as_secs_f64();
            let wait = retry.next_wait(number, asked.map(Duration::from_secs), roll).expect("ten tries").as_secs_f64();
            let asked = asked.unwrap_or(0).min(RETRY_AFTER_SECS_MAX) as f64;
            prop_assert!(wait >= (scheduled * 0.8 - 1e-6).max(asked));
            prop_assert!(wait <= (scheduled * 1.2 + 1e-6).max(asked));
        }
    }
}
