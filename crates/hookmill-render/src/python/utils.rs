//! `frappe.utils`: the functions that need nothing but their arguments and the time of the event.

use jiff::Span;
use jiff::civil::DateTime;

use super::dates::{self, days_between, get_datetime, get_time, getdate};
use super::dumps::{Layout, dumps};
use super::{Args, Py, builtins, methods, ops, spell};

/// The functions by name.
pub(crate) const NAMES: [&str; 52] = [
    "add_days",
    "add_months",
    "add_to_date",
    "add_years",
    "as_json",
    "ceil",
    "cint",
    "comma_and",
    "comma_or",
    "cstr",
    "date_diff",
    "days_diff",
    "escape_html",
    "floor",
    "flt",
    "fmt_money",
    "format_date",
    "format_datetime",
    "format_time",
    "formatdate",
    "get_date_str",
    "get_datetime",
    "get_datetime_str",
    "get_first_day",
    "get_last_day",
    "get_quarter_start",
    "get_time",
    "get_time_str",
    "get_timestamp",
    "get_weekday",
    "get_year_start",
    "getdate",
    "global_date_format",
    "has_common",
    "is_html",
    "month_diff",
    "now",
    "now_datetime",
    "nowdate",
    "nowtime",
    "parse_json",
    "rounded",
    "sbool",
    "strip",
    "strip_html",
    "time_diff",
    "time_diff_in_hours",
    "time_diff_in_seconds",
    "today",
    "unique",
    "get_year_ending",
    "get_month",
];

/// Calls a function; the clock stands at `now`.
pub(crate) fn call(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let first = args.get(0, "value");
    match name {
        "flt" => Ok(Py::Float(match args.get(1, "precision") {
            Py::None => flt(first),
            digits => rounded(flt(first), cint(digits)),
        })),
        "cint" => Ok(Py::Int(cint(first))),
        "cstr" => Ok(Py::str(if matches!(first, Py::None) { String::new() } else { builtins::text(first, false)? })),
        "sbool" => Ok(sbool(first)),
        "rounded" => Ok(Py::Float(rounded(flt(first), args.int(1, "precision", 0)?.into()))),
        #[allow(clippy::cast_possible_truncation, reason = "saturates, far beyond any amount")]
        "floor" => Ok(Py::Int(flt(first).floor() as i128)),
        #[allow(clippy::cast_possible_truncation, reason = "saturates, far beyond any amount")]
        "ceil" => Ok(Py::Int(flt(first).ceil() as i128)),
        "strip" => methods::call(first, "strip", args.given.get(1..).unwrap_or_default()),
        "strip_html" => Ok(Py::str(strip_html(&builtins::text(first, false)?))),
        "escape_html" => Ok(Py::str(escape_html(&builtins::text(first, false)?))),
        "is_html" => Ok(Py::Bool(first.as_str().is_some_and(|text| strip_html(text) != text))),
        "comma_and" => comma(first, "and"),
        "comma_or" => comma(first, "or"),
        "unique" => Ok(Py::list(builtins::unique(first.iterate()?))),
        "has_common" => {
            let others = args.need(1, "l2")?.iterate()?;
            Ok(Py::Bool(first.iterate()?.iter().any(|item| others.iter().any(|other| ops::equal(item, other)))))
        }
        "as_json" => {
            first.weigh(&mut super::WEIGHT_MAX.clone())?;
            Ok(Py::str(dumps(first, Layout::Indented)))
        }
        "parse_json" => match first {
            Py::Str(text) => Py::loads(text).map_err(|error| error.description(text.as_bytes())),
            other => Ok(other.clone()),
        },
        "fmt_money" => {
            let digits = usize::try_from(args.int(1, "precision", 2)?).unwrap_or(2).min(20);
            let number = format!("{:.digits$}", rounded(flt(first), digits as i128));
            let currency = args.get(2, "currency").as_str().map(|currency| format!("{currency} ")).unwrap_or_default();
            Ok(Py::str(format!("{currency}{}", methods::grouped_digits(&number))))
        }
        _ => calendar(name, args, now),
    }
}

fn calendar(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let first = args.get(0, "date");
    let second = args.get(1, "start");
    match name {
        "nowdate" | "today" => Ok(Py::str(now.date().to_string())),
        "now" => Ok(Py::str(spell::datetime(now, ' '))),
        "now_datetime" => Ok(Py::DateTime(now)),
        "nowtime" => Ok(Py::str(Py::Time(now.time()).to_text())),
        "getdate" => getdate(first, now).map(Py::Date),
        "get_datetime" | "get_timestamp" => get_datetime(first, now).map(Py::DateTime),
        "get_time" => get_time(first).map(Py::Time),
        "get_date_str" => getdate(first, now).map(|date| Py::str(date.to_string())),
        "get_datetime_str" => get_datetime(first, now).map(|moment| Py::str(spell::datetime(moment, ' '))),
        "get_time_str" => get_time(first).map(|time| Py::str(Py::Time(time).to_text())),
        "add_days" => dates::moved(first, Span::new().try_days(args.int(1, "days", 0)?).map_err(too_far)?, now),
        "add_months" => dates::moved(first, Span::new().try_months(args.int(1, "months", 0)?).map_err(too_far)?, now),
        "add_years" => dates::moved(first, Span::new().try_years(args.int(1, "years", 0)?).map_err(too_far)?, now),
        "add_to_date" => add_to_date(args, now),
        "date_diff" | "days_diff" => Ok(Py::Int(days_between(getdate(first, now)?, getdate(second, now)?))),
        "month_diff" => {
            let (later, earlier) = (getdate(first, now)?, getdate(second, now)?);
            let years = i128::from(later.year()) - i128::from(earlier.year());
            Ok(Py::Int(years * 12 + i128::from(later.month()) - i128::from(earlier.month()) + 1))
        }
        "time_diff" => Ok(Py::Delta(get_datetime(first, now)?.duration_since(get_datetime(second, now)?))),
        "time_diff_in_seconds" | "time_diff_in_hours" => {
            let secs = get_datetime(first, now)?.duration_since(get_datetime(second, now)?).as_secs_f64();
            Ok(Py::Float(if name == "time_diff_in_hours" { rounded(secs / 3600.0, 6) } else { secs }))
        }
        "get_first_day" => Ok(Py::Date(getdate(first, now)?.first_of_month())),
        "get_last_day" => Ok(Py::Date(getdate(first, now)?.last_of_month())),
        "get_year_start" => Ok(Py::Date(getdate(first, now)?.first_of_year())),
        "get_year_ending" => Ok(Py::Date(getdate(first, now)?.last_of_year())),
        "get_quarter_start" => {
            let date = getdate(first, now)?.first_of_month();
            let back = Span::new().months(i64::from((date.month() - 1) % 3));
            date.checked_sub(back).map(Py::Date).map_err(too_far)
        }
        "get_weekday" => dates::format_in(get_datetime(first, now)?, "%A").map(Py::str),
        "get_month" => dates::format_in(get_datetime(first, now)?, "%B").map(Py::str),
        "formatdate" | "format_date" => match first {
            Py::None => Ok(Py::str("")),
            _ => {
                let pattern = args.get(1, "format_string").as_str().unwrap_or("yyyy-mm-dd");
                dates::pattern(get_datetime(first, now)?, pattern).map(Py::str)
            }
        },
        "format_datetime" => {
            let pattern = args.get(1, "format_string").as_str().unwrap_or("yyyy-MM-dd HH:mm:ss");
            dates::pattern(get_datetime(first, now)?, pattern).map(Py::str)
        }
        "format_time" => get_time(first).map(|time| Py::str(Py::Time(time).to_text())),
        "global_date_format" => dates::format_in(get_datetime(first, now)?, "%B %-d, %Y").map(Py::str),
        _ => Err(format!("frappe.utils has no function '{name}' that works without a site")),
    }
}

fn add_to_date(args: &Args, now: DateTime) -> Result<Py, String> {
    let span = Span::new().try_years(args.int(1, "years", 0)?).and_then(|span| span.try_hours(0)).map_err(too_far)?;
    let span = span.try_months(args.int(2, "months", 0)?).map_err(too_far)?;
    let span = span.try_weeks(args.int(3, "weeks", 0)?).map_err(too_far)?;
    let span = span.try_days(args.int(4, "days", 0)?).map_err(too_far)?;
    let span = span.try_hours(args.int(5, "hours", 0)?).map_err(too_far)?;
    let span = span.try_minutes(args.int(6, "minutes", 0)?).map_err(too_far)?;
    let span = span.try_seconds(args.int(7, "seconds", 0)?).map_err(too_far)?;
    let moment = get_datetime(args.get(0, "date"), now)?.checked_add(span).map_err(too_far)?;
    let named = |wanted: &str| args.named.iter().any(|(name, value)| name == wanted && value.is_true());
    Ok(match args.get(0, "date") {
        _ if named("as_string") && named("as_datetime") => Py::str(spell::datetime(moment, ' ')),
        _ if named("as_string") => Py::str(moment.date().to_string()),
        _ if named("as_datetime") => Py::DateTime(moment),
        other => dates::moved(other, span, now)?,
    })
}

fn too_far(_: jiff::Error) -> String {
    "the date is out of range".into()
}

/// Frappe's `flt`: a number of anything, 0 where there is none; commas between digits are forgiven.
pub(crate) fn flt(value: &Py) -> f64 {
    match value {
        Py::Str(text) => text.trim().replace(',', "").parse().unwrap_or(0.0),
        other => ops::number(other).unwrap_or(0.0),
    }
}

/// Frappe's `cint`: the same as a whole number.
pub(crate) fn cint(value: &Py) -> i128 {
    let number = match value {
        Py::Str(text) => text.trim().parse().unwrap_or(0.0),
        other => match ops::integer(other) {
            Some(value) => return value,
            None => ops::number(other).unwrap_or(0.0),
        },
    };
    #[allow(clippy::cast_possible_truncation, reason = "saturates, and NaN is 0")]
    let whole = number as i128;
    whole
}

/// Rounds to so many digits; half goes to the even neighbour.
pub(crate) fn rounded(number: f64, digits: i128) -> f64 {
    let factor = 10f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0));
    let scaled = number * factor;
    // What is half but for the noise of the multiplication is half.
    let near = (scaled * 1e8).round() / 1e8;
    let result = if (near.fract().abs() - 0.5).abs() < 1e-9 { near.round_ties_even() } else { scaled.round() } / factor;
    if result.is_finite() { result } else { number }
}

fn sbool(value: &Py) -> Py {
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("true" | "1") => Py::Bool(true),
        Some("false" | "0") => Py::Bool(false),
        _ => value.clone(),
    }
}

fn comma(value: &Py, word: &str) -> Result<Py, String> {
    let items = value.iterate()?.iter().map(|item| builtins::text(item, false)).collect::<Result<Vec<_>, _>>()?;
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    Ok(Py::str(match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {word} {last}", others.join(", ")),
    }))
}

/// Removes what stands between angle brackets.
pub(crate) fn strip_html(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((_, after)) = after.split_once('>') else { return out + "<" + after };
        rest = after;
    }
    out + rest
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}
