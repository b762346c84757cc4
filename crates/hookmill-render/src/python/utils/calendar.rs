//! Dates, times and spans of time.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span};

use super::{FORMATS, cint, rounded};
use crate::python::dates::{self, days_between, get_datetime, get_delta, get_time, getdate};
use crate::python::{Args, Py, patterns};

pub(super) fn call(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let first = args.get(0, "date");
    let second = args.get(1, "start");
    let day = || getdate(first, now);
    match name {
        "nowdate" | "today" => Ok(Py::str(now.date().to_string())),
        "now" => Ok(Py::str(full(now))),
        "now_datetime" => Ok(Py::DateTime(now)),
        "nowtime" => Ok(Py::str(dates::format_in(now, "%H:%M:%S.%f")?)),
        "getdate" => day().map(Py::Date),
        "get_datetime" => match first {
            Py::Str(text) if text.is_empty() => Ok(Py::None),
            Py::Delta(_) => Ok(first.clone()),
            _ => get_datetime(first, now).map(Py::DateTime),
        },
        "get_timestamp" => Ok(Py::Float(dates::timestamp(day()?.into()))),
        "get_time" => get_time(first).map(Py::Time),
        "get_timedelta" | "to_timedelta" => get_delta(first).map(Py::Delta),
        "get_date_str" => day().map(|date| Py::str(date.to_string())),
        "get_datetime_str" => get_datetime(first, now).map(|moment| Py::str(full(moment))),
        "get_time_str" => {
            let secs = get_delta(first)?.as_secs().rem_euclid(86_400);
            Ok(Py::str(format!("{}:{}:{}", secs / 3600, secs / 60 % 60, secs % 60)))
        }
        "is_invalid_date_string" => {
            let text = first.as_str().unwrap_or_default();
            Ok(Py::Bool(text.is_empty() || text.starts_with("0001-01-01") || text.starts_with("0000-00-00")))
        }
        "date_diff" | "days_diff" => Ok(Py::Int(days_between(day()?, getdate(second, now)?))),
        "month_diff" => {
            let (later, earlier) = (day()?, getdate(second, now)?);
            let years = i128::from(later.year()) - i128::from(earlier.year());
            Ok(Py::Int(years * 12 + i128::from(later.month()) - i128::from(earlier.month()) + 1))
        }
        "time_diff" => Ok(Py::Delta(get_datetime(first, now)?.duration_since(get_datetime(second, now)?))),
        "time_diff_in_seconds" | "time_diff_in_hours" => {
            let secs = get_datetime(first, now)?.duration_since(get_datetime(second, now)?).as_secs_f64();
            Ok(Py::Float(if name == "time_diff_in_hours" { rounded(secs / 3600.0, 6) } else { secs }))
        }
        "add_days" | "add_months" | "add_years" | "add_to_date" => added(name, args, now),
        "get_weekdays" => {
            let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
            Ok(Py::list(days.map(Py::str)))
        }
        "get_weekday" => dates::format_in(get_datetime(first, now)?, "%A").map(Py::str),
        "get_month" => dates::format_in(get_datetime(first, now)?, "%B").map(Py::str),
        _ if name.starts_with("get_") => period(name, args, now),
        _ => written(name, args, now),
    }
}

/// Writes a moment with its microseconds, as Frappe's `DATETIME_FORMAT` has it.
fn full(moment: DateTime) -> String {
    let format = FORMATS.iter().find(|(name, _)| *name == "DATETIME_FORMAT").map_or("", |(_, format)| format);
    dates::format_in(moment, format).unwrap_or_default()
}

fn too_far(_: jiff::Error) -> String {
    "the date is out of range".into()
}

/// First and last days of months, weeks, quarters and years.
fn period(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let date = getdate(args.get(0, "dt"), now)?;
    let in_month = |months: i64| -> Result<Date, String> {
        let span = Span::new().try_months(months).map_err(too_far)?;
        date.first_of_month().checked_add(span).map_err(too_far)
    };
    // Weeks begin on Sundays, as long as nobody has set it otherwise on the site.
    let week = || date.checked_sub(SignedDuration::from_hours(24 * i64::from(date.weekday().to_sunday_zero_offset())));
    let quarter = i64::from((date.month() - 1) % 3);
    let found = match name {
        "get_first_day" => {
            in_month(args.int(1, "d_years", 0)?.saturating_mul(12).saturating_add(args.int(2, "d_months", 0)?))?
        }
        "get_last_day" => date.last_of_month(),
        "get_first_day_of_week" => week().map_err(too_far)?,
        "get_last_day_of_week" => {
            week().and_then(|first| first.checked_add(SignedDuration::from_hours(144))).map_err(too_far)?
        }
        "get_quarter_start" => in_month(-quarter)?,
        "get_quarter_ending" => in_month(2 - quarter)?.last_of_month(),
        "get_year_start" => date.first_of_year(),
        "get_year_ending" => date.last_of_year(),
        "get_user_date_format" => return Ok(Py::str("yyyy-mm-dd")),
        "get_user_time_format" => return Ok(Py::str("HH:mm:ss")),
        _ => return Err(format!("frappe.utils.{name} is not offered here")),
    };
    let as_text = args.named("as_str").is_some_and(Py::is_true);
    Ok(if as_text { Py::str(found.to_string()) } else { Py::Date(found) })
}

/// Moves a date; text stays text, with microseconds where it had a time.
fn added(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let only = |unit: &str| name == "add_to_date" || name == unit;
    let part = |unit: &str, place: usize, names: &str| -> Result<i64, String> {
        let place = if name == "add_to_date" { place } else { 1 };
        if only(unit) { args.int(place, names, 0) } else { Ok(0) }
    };
    let hours = part("", 5, "hours")?;
    let span = (|| {
        let span = Span::new().try_years(part("add_years", 1, "years").unwrap_or(0))?;
        let span = span.try_months(part("add_months", 2, "months").unwrap_or(0))?;
        let span = span.try_weeks(part("", 3, "weeks").unwrap_or(0))?;
        let span = span.try_days(part("add_days", 4, "days").unwrap_or(0))?;
        span.try_hours(hours)?
            .try_minutes(part("", 6, "minutes").unwrap_or(0))?
            .try_seconds(part("", 7, "seconds").unwrap_or(0))
    })()
    .map_err(too_far)?;
    let date = args.get(0, "date");
    let there = get_datetime(date, now)?.checked_add(span).map_err(too_far)?;
    let named = |wanted: &str| args.named(wanted).is_some_and(Py::is_true);
    let is_text = date.as_str();
    let has_time = named("as_datetime") || hours != 0 || is_text.is_some_and(|text| text.contains(' '));
    Ok(match (is_text.is_some() || named("as_string"), date) {
        (true, _) if has_time => Py::str(full(there)),
        (true, _) => Py::str(there.date().to_string()),
        (false, Py::Date(_)) => Py::Date(there.date()),
        (false, _) => Py::DateTime(there),
    })
}

/// Dates, times and durations as text.
fn written(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let first = args.get(0, "date");
    let pattern = args.get(1, "format_string").as_str().filter(|pattern| !pattern.is_empty());
    match name {
        "format_duration" => return Ok(Py::str(duration(cint(first), args.get(1, "hide_days").is_true()))),
        "global_date_format" => {
            let pattern = match args.get(1, "format").as_str() {
                None | Some("long") => "MMMM d, y",
                Some("medium") => "MMM d, y",
                Some("short") => "M/d/yy",
                Some("full") => "EEEE, MMMM d, y",
                Some(other) => other,
            };
            return patterns::written(getdate(first, now)?.into(), pattern).map(Py::str);
        }
        "formatdate" | "format_date" | "format_time" | "format_datetime" => {}
        _ => return Err(format!("frappe.utils.{name} is not offered here")),
    }
    if !first.is_true() {
        return Ok(if name == "format_datetime" { Py::None } else { Py::str("") });
    }
    let text = match name {
        "format_time" => {
            let moment = Date::default().to_datetime(get_time(first)?);
            patterns::written(moment, pattern.unwrap_or("HH:mm:ss"))?
        }
        "format_datetime" => patterns::written(get_datetime(first, now)?, pattern.unwrap_or("yyyy-MM-dd HH:mm:ss"))?,
        _ => patterns::date(getdate(first, now)?.into(), pattern.unwrap_or("yyyy-MM-dd"))?,
    };
    Ok(Py::str(text))
}

fn duration(secs: i128, hide_days: bool) -> String {
    let (days, hours) =
        if hide_days { (0, secs.div_euclid(3600)) } else { (secs.div_euclid(86_400), secs.rem_euclid(86_400) / 3600) };
    let parts = [(days, 'd'), (hours, 'h'), (secs.rem_euclid(3600) / 60, 'm'), (secs.rem_euclid(60), 's')];
    let parts = parts.iter().filter(|(count, _)| *count != 0).map(|(count, unit)| format!("{count}{unit}"));
    parts.collect::<Vec<_>>().join(" ")
}
