//! `Retry-After`, in both of its forms (RFC 9110 §10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// Reads a `Retry-After` as a span from `now`; what is no span and no date, or lies in the past, asks for nothing.
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(secs) = value.parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    let at = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_nonsense() {
        let now: Timestamp = "2026-11-23T20:00:00Z".parse().expect("a moment");
        assert_eq!(parse("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse("Mon, 23 Nov 2026 20:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(parse("Mon, 23 Nov 2026 19:00:00 GMT", now), None);
        for nonsense in ["", "-5", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(parse(nonsense, now), None, "{nonsense:?}");
        }
    }
}
