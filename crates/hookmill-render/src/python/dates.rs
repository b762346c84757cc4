//! Dates and times as Frappe's documents write them.

use jiff::Span;
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
        Py::Str(text) => read(text).ok_or_else(|| format!("{} is not a valid date string", value.repr())),
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

/// Moves a date; text stays text, as in Frappe.
pub(crate) fn moved(value: &Py, span: Span, now: DateTime) -> Result<Py, String> {
    let moment = get_datetime(value, now)?;
    let there = moment.checked_add(span).map_err(|_| "the date is out of range".to_owned())?;
    Ok(match value {
        Py::Date(_) => Py::Date(there.date()),
        Py::DateTime(_) | Py::None => Py::DateTime(there),
        Py::Str(text) if text.len() > 10 => Py::str(super::spell::datetime(there, ' ')),
        _ => Py::str(there.date().to_string()),
    })
}

/// Returns the whole days from `earlier` to `later`.
pub(crate) fn days_between(later: Date, earlier: Date) -> i128 {
    later.duration_since(earlier).as_hours().div_euclid(24).into()
}

/// Writes a date in a pattern of Unicode's letters (`dd-MM-yyyy`); Frappe writes months as `mm` where no time stands.
pub(crate) fn pattern(moment: DateTime, pattern: &str) -> Result<String, String> {
    let mut strftime = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let run: String = rest.chars().take_while(|character| *character == first).collect();
        strftime.push_str(match run.as_str() {
            "yyyy" | "YYYY" => "%Y",
            "yy" => "%y",
            "MMMM" => "%B",
            "MMM" => "%b",
            "MM" => "%m",
            "mm" if !pattern.contains(['H', 'h']) => "%m",
            "mm" => "%M",
            "M" => "%-m",
            "dd" => "%d",
            "d" => "%-d",
            "EEEE" => "%A",
            "EEE" => "%a",
            "HH" => "%H",
            "hh" => "%I",
            "ss" => "%S",
            "a" => "%p",
            "%" => "%%",
            other => other,
        });
        rest = rest.get(run.len()..).unwrap_or_default();
    }
    format_in(moment, &strftime)
}

/// Writes a date by C's `strftime`.
pub(crate) fn format_in(moment: DateTime, format: &str) -> Result<String, String> {
    let mut text = String::new();
    jiff::fmt::strtime::BrokenDownTime::from(moment)
        .format(format, &mut text)
        .map_err(|error| format!("the format {format:?} can't be used: {error}"))?;
    Ok(text)
}
