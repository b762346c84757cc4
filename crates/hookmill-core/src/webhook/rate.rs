//! How many requests a webhook may send in a span of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Requests of one limit, and the spans that it may be given for.
const REQUESTS_MAX: u32 = 1_000_000;

/// A rate limit: so many requests a second, a minute, an hour or a day, written `"10/s"`, `"100/m"`, `"1000/h"` or
/// `"5000/d"`; a bare number is a number a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct RateLimit {
    requests: u32,
    per: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Second,
    Minute,
    Hour,
    Day,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl RateLimit {
    /// Returns the time from one request to the next where they follow each other evenly.
    pub fn interval(self) -> Duration {
        self.per.duration() / self.requests.max(1)
    }

    /// Returns how many requests may go at once after a rest: what a tenth of a second allows, at least one.
    pub fn burst(self) -> u32 {
        let tenths = u32::try_from(self.per.duration().as_millis() / 100).unwrap_or(u32::MAX);
        (self.requests / tenths.max(1)).max(1)
    }
}

impl Span {
    fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }
}

impl TryFrom<Written> for RateLimit {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (shown, parsed) = match written {
            Written::Number(requests) => (requests.to_string(), Some((requests, Span::Second))),
            Written::Text(text) => {
                let parsed = text.split_once('/').and_then(|(requests, per)| {
                    let per = match per.trim() {
                        "s" => Span::Second,
                        "m" => Span::Minute,
                        "h" => Span::Hour,
                        "d" => Span::Day,
                        _ => return None,
                    };
                    Some((requests.trim().parse().ok()?, per))
                });
                (format!("{text:?}"), parsed)
            }
        };
        match parsed {
            Some((requests @ 1..=REQUESTS_MAX, per)) => Ok(Self { requests, per }),
            _ => Err(format!(
                "`rate_limit` is {shown}; write `\"10/s\"`, `\"100/m\"`, `\"1000/h\"` or `\"5000/d\"`, with 1 to {REQUESTS_MAX} requests"
            )),
        }
    }
}

impl From<RateLimit> for String {
    fn from(RateLimit { requests, per }: RateLimit) -> Self {
        let per = match per {
            Span::Second => "s",
            Span::Minute => "m",
            Span::Hour => "h",
            Span::Day => "d",
        };
        format!("{requests}/{per}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<RateLimit, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn limits_read_and_write_the_same_and_nonsense_is_refused() {
        for (json, written, interval_ms, burst) in [
            ("10", "\"10/s\"", 100, 1),
            ("\"10/s\"", "\"10/s\"", 100, 1),
            ("\"1000/s\"", "\"1000/s\"", 1, 100),
            ("\" 6 / m \"", "\"6/m\"", 10_000, 1),
            ("\"1/d\"", "\"1/d\"", 86_400_000, 1),
        ] {
            let limit = parse(json).expect(json);
            assert_eq!(serde_json::to_string(&limit).expect("JSON"), written);
            assert_eq!((limit.interval().as_millis(), limit.burst()), (interval_ms, burst), "{json}");
        }
        for json in ["0", "-1", "\"\"", "\"10\"", "\"10/w\"", "\"0/s\"", "\"1000001/s\"", "{}", "1.5"] {
            assert!(parse(json).is_err(), "{json} was taken");
        }
    }
}
