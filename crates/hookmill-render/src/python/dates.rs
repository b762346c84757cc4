//! Dates and times as Frappe's documents write them.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

use super::Py;

/// Reads a date, or a date with a time.
pub(crate) fn read(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if let Ok(date) = text.parse::<Date>()
        && text.len() == 10
    {
        return Some(date.into());
    }
    text.parse::<DateTime>().ok()
}

/// Returns the date or moment that `text` is in Frappe's own notation, and nothing for any other text.
pub(crate) fn written(text: &str) -> Option<Py> {
    let bytes = text.as_bytes();
    let starts_as_date = bytes.len() >= 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if !starts_as_date {
        return None;
    }
    let moment = read(text)?;
    let value = if bytes.len() == 10 { Py::Date(moment.date()) } else { Py::DateTime(moment) };
    // Only what prints as it was written: a template must not see other text for having asked for a date.
    (value.to_text() == text).then_some(value)
}

/// Frappe's `getdate`: today where there is nothing.
pub(crate) fn getdate(value: &Py, now: DateTime) -> Result<Date, String> {
    Ok(get_datetime(value, now)?.date())
}

/// Frappe's `get_datetime`: now where there is nothing.
pub(crate) fn get_datetime(value: &Py, now: DateTime) -> Result<DateTime, String> {
    match value {
        Py::None => Ok(now),
        Py::Str(text) if text.is_empty() => Ok(now),
        Py::Date(date) => Ok((*date).into()),
        Py::DateTime(moment) => Ok(*moment),
        Py::Str(text) => read(text).ok_or_else(|| format!("{text} is not a valid date string.")),
        _ => Err(format!("'{}' is no date", value.type_name())),
    }
}

/// Frappe's `get_time`.
pub(crate) fn get_time(value: &Py) -> Result<Time, String> {
    match value {
        Py::Time(time) => Ok(*time),
        Py::DateTime(moment) => Ok(moment.time()),
        Py::Delta(span) => Ok(DateTime::default().saturating_add(*span).time()),
        Py::Str(text) => {
            let hour = text.split(':').next().unwrap_or_default();
            let padded = if hour.len() == 1 { format!("0{text}") } else { text.to_string() };
            let time = padded.parse::<Time>().ok().or_else(|| read(text).map(DateTime::time));
            time.ok_or_else(|| format!("{} is no time", value.repr()))
        }
        _ => Err(format!("'{}' is no time", value.type_name())),
    }
}

/// Returns the moment that a text is, for whoever asks it for parts of a date: a field is text after an insert and a date
/// after loading, and people write the same condition for both.
pub(crate) fn as_moment(value: &Py) -> Option<Py> {
    read(value.as_str()?).map(Py::DateTime)
}

/// Returns the seconds since 1970, the moment being in UTC.
pub(crate) fn timestamp(moment: DateTime) -> f64 {
    moment.duration_since(jiff::civil::date(1970, 1, 1).into()).as_secs_f64()
}

/// Reads a duration of hours, minutes and seconds.
pub(crate) fn get_delta(value: &Py) -> Result<SignedDuration, String> {
    match value {
        Py::Delta(span) => Ok(*span),
        Py::None => Ok(SignedDuration::ZERO),
        _ => Ok(get_time(value)?.duration_since(Time::midnight())),
    }
}

/// Returns the whole days from `earlier` to `later`.
pub(crate) fn days_between(later: Date, earlier: Date) -> i128 {
    later.duration_since(earlier).as_hours().div_euclid(24).into()
}

/// Writes a date by C's `strftime`.
pub(crate) fn format_in(moment: DateTime, format: &str) -> Result<String, String> {
    let mut text = String::new();
    // Python's own, and what jiff writes otherwise.
    let micros = format!("{:06}", moment.subsec_nanosecond() / 1_000);
    let seconds = format!("{:.0}", timestamp(moment).floor());
    let format = format.replace("%f", &micros).replace("%s", &seconds);
    let format = format.replace("%c", "%a %b %e %H:%M:%S %Y").replace("%x", "%m/%d/%y").replace("%X", "%H:%M:%S");
    let format = format.replace("%z", "").replace("%Z", "");
    jiff::fmt::strtime::BrokenDownTime::from(moment)
        .format(&format, &mut text)
        .map_err(|error| format!("the format {format:?} can't be used: {error}"))?;
    Ok(text)
}
