//! `frappe.utils`: the functions that need nothing but their arguments and the time of the event.

use std::sync::Arc;

use jiff::civil::DateTime;

use super::dumps::{Layout, dumps};
use super::object::Opaque;
use super::{Args, DictKind, Py, builtins, money, ops, text};

mod calendar;

/// The functions by name.
pub(crate) const NAMES: [&str; 76] = [
    "add_days",
    "add_months",
    "add_to_date",
    "add_years",
    "as_json",
    "ceil",
    "cint",
    "comma_and",
    "comma_or",
    "comma_sep",
    "cstr",
    "date_diff",
    "days_diff",
    "encode",
    "escape_html",
    "filter_strip_join",
    "floor",
    "flt",
    "fmt_money",
    "format_date",
    "format_datetime",
    "format_duration",
    "format_time",
    "formatdate",
    "get_abbr",
    "get_date_str",
    "get_datetime",
    "get_datetime_str",
    "get_first_day",
    "get_first_day_of_week",
    "get_last_day",
    "get_last_day_of_week",
    "get_month",
    "get_number_format_info",
    "get_quarter_ending",
    "get_quarter_start",
    "get_time",
    "get_time_str",
    "get_timedelta",
    "get_timestamp",
    "get_user_date_format",
    "get_user_time_format",
    "get_weekday",
    "get_weekdays",
    "get_year_ending",
    "get_year_start",
    "getdate",
    "global_date_format",
    "has_common",
    "in_words",
    "is_html",
    "is_invalid_date_string",
    "is_subset",
    "month_diff",
    "new_line_sep",
    "now",
    "now_datetime",
    "nowdate",
    "nowtime",
    "parse_json",
    "parse_val",
    "quoted",
    "remainder",
    "rounded",
    "safe_div",
    "sbool",
    "scrub",
    "strip",
    "strip_html",
    "time_diff",
    "time_diff_in_hours",
    "time_diff_in_seconds",
    "to_timedelta",
    "today",
    "unique",
    "url_contains_port",
];

/// What else the module holds: the formats by name.
pub(crate) const FORMATS: [(&str, &str); 3] =
    [("DATE_FORMAT", "%Y-%m-%d"), ("TIME_FORMAT", "%H:%M:%S.%f"), ("DATETIME_FORMAT", "%Y-%m-%d %H:%M:%S.%f")];

/// Calls a function; the clock stands at `now`.
pub(crate) fn call(name: &str, args: &Args, now: DateTime) -> Result<Py, String> {
    let first = args.get(0, "value");
    match name {
        "flt" => flt_of(args),
        "cint" => Ok(match first {
            Py::Big(_) => first.clone(),
            _ => Py::Int(cint_or(first, cint(args.get(1, "default")))),
        }),
        "rounded" => Ok(Py::Float(rounded(flt(first), cint(args.get(1, "precision"))))),
        #[allow(clippy::cast_possible_truncation, reason = "saturates, far beyond any amount")]
        "floor" => Ok(Py::Int(flt(first).floor() as i128)),
        #[allow(clippy::cast_possible_truncation, reason = "saturates, far beyond any amount")]
        "ceil" => Ok(Py::Int(flt(first).ceil() as i128)),
        "remainder" | "safe_div" => divided(name, args),
        "fmt_money" => money::fmt_money(args),
        "get_number_format_info" => {
            let (point, comma, digits) = money::number_format(first.as_str().unwrap_or_default());
            Ok(Py::tuple([Py::str(point), Py::str(comma), Py::Int(digits as i128)]))
        }
        "in_words" => money::in_words(first),
        "sbool" => Ok(sbool(first)),
        "parse_val" => Ok(match first {
            Py::Date(_) | Py::DateTime(_) => Py::str(first.to_text()),
            Py::Delta(_) => Py::str(first.to_text().split(':').take(2).collect::<Vec<_>>().join(":")),
            Py::Bool(value) => Py::Int((*value).into()),
            other => other.clone(),
        }),
        "as_json" => {
            first.weigh(&mut super::WEIGHT_MAX.clone())?;
            dumps(first, &Layout::indented().with(args, Some(1))?).map(Py::str)
        }
        "parse_json" => match first {
            Py::Str(text) => Ok(Py::loads(text).map_err(|error| error.description(text.as_bytes()))?.in_frappe()),
            other => Ok(other.clone()),
        },
        "unique" => Ok(Py::list(builtins::unique(first.iterate()?))),
        "has_common" => {
            let set = |value: &Py| Ok::<_, String>(Py::Set(Arc::new(builtins::unique(value.iterate()?))));
            ops::binary(ops::Binary::BitAnd, &set(first)?, &set(args.need(1, "l2")?)?)
        }
        "is_subset" => {
            let (part, whole) = (first.iterate()?, args.need(1, "list_b")?.iterate()?);
            let common = builtins::unique(part.clone());
            let common = common.iter().filter(|item| whole.iter().any(|other| ops::equal(item, other))).count();
            Ok(Py::Bool(common == part.len()))
        }
        _ if text_function(name) => of_text(name, args),
        _ => calendar::call(name, args, now),
    }
}

fn text_function(name: &str) -> bool {
    matches!(
        name,
        "comma_and"
            | "comma_or"
            | "comma_sep"
            | "cstr"
            | "encode"
            | "escape_html"
            | "filter_strip_join"
            | "get_abbr"
            | "is_html"
            | "new_line_sep"
            | "quoted"
            | "scrub"
            | "strip"
            | "strip_html"
            | "url_contains_port"
    )
}

fn of_text(name: &str, args: &Args) -> Result<Py, String> {
    let first = args.get(0, "text");
    let must = || first.as_str().ok_or_else(|| format!("expected string, got '{}'", first.type_name()));
    match name {
        "cstr" => Ok(Py::str(if matches!(first, Py::None) { String::new() } else { builtins::text(first, false)? })),
        "strip" => {
            let rest = Args::given(args.given.get(1..).unwrap_or_default().iter().cloned());
            let stripped = text::call(must()?, "strip", &rest)?;
            stripped.ok_or_else(|| "strip is a method of text".into())
        }
        "strip_html" => Ok(Py::str(strip_html(must()?))),
        "escape_html" => Ok(first.as_str().map_or_else(|| first.clone(), |text| Py::str(escape_html(text)))),
        "is_html" => Ok(match first.as_str() {
            None => Py::Bool(false),
            Some(text) => tag_of(text).map_or(Py::None, |(at, tag)| {
                let begin = text.get(..at).unwrap_or_default().chars().count();
                let end = begin + tag.chars().count();
                let shown = Py::str(tag).repr();
                Py::object(Opaque("re.Match", format!("<re.Match object; span=({begin}, {end}), match={shown}>")))
            }),
        }),
        "quoted" => Ok(Py::str(quoted(&builtins::text(first, false)?, "~@#$&()*!+=:;,.?/'-_"))),
        "encode" => text::call(must()?, "encode", &Args::default())?.ok_or_else(|| "encode needs text".into()),
        "scrub" => Ok(Py::str(must()?.replace([' ', '-'], "_").to_lowercase())),
        "get_abbr" => {
            let most = usize::try_from(args.int(1, "max_len", 2)?).unwrap_or(0);
            let abbr: String = must()?.split(' ').filter_map(|part| part.chars().next()).take(most).collect();
            Ok(Py::str(if abbr.is_empty() { "?".into() } else { abbr }))
        }
        "comma_and" => comma(first, "{0} and {1}", args.given.get(1).or_else(|| args.named("add_quotes"))),
        "comma_or" => comma(first, "{0} or {1}", args.given.get(1).or_else(|| args.named("add_quotes"))),
        "comma_sep" => {
            let pattern = args.need(1, "pattern")?.as_str().ok_or("the pattern must be text")?;
            comma(first, pattern, args.given.get(2).or_else(|| args.named("add_quotes")))
        }
        "new_line_sep" => {
            let Some(items) = first.items() else { return Ok(first.clone()) };
            let items = items.iter().map(|item| builtins::text(item, false)).collect::<Result<Vec<_>, _>>()?;
            Ok(Py::str(items.join("\n ")))
        }
        "filter_strip_join" => {
            let separator = builtins::text(args.need(1, "sep")?, false)?;
            let items = first.iterate()?;
            let items = items.iter().filter(|item| item.is_true()).map(|item| builtins::text(item, false));
            let items: Vec<String> =
                items.map(|text| text.map(|text| text.trim().to_owned())).collect::<Result<_, _>>()?;
            Ok(Py::str(items.join(&separator)))
        }
        "url_contains_port" => Ok(Py::Bool(must()?.split(':').count() > 2)),
        _ => Err(format!("frappe.utils.{name} is not offered here")),
    }
}

fn comma(value: &Py, pattern: &str, quotes: Option<&Py>) -> Result<Py, String> {
    let Some(items) = value.items() else { return Ok(value.clone()) };
    let items = items.iter().map(|item| builtins::text(item, false)).collect::<Result<Vec<_>, _>>()?;
    let has_quotes = quotes.is_none_or(Py::is_true);
    let mark = |item: &String| if has_quotes { format!("'{item}'") } else { item.clone() };
    match items.split_last() {
        None => Ok(Py::str("")),
        Some((last, [])) => Ok(Py::str(last)),
        Some((last, others)) => {
            let others: Vec<String> = others.iter().map(mark).collect();
            let given = [Py::str(others.join(", ")), Py::str(mark(last))];
            super::format::formatted(pattern, &Args::given(given))
        }
    }
}

fn flt_of(args: &Args) -> Result<Py, String> {
    let number = flt(args.get(0, "s"));
    match (args.get(1, "precision"), args.get(2, "rounding_method")) {
        (Py::None, _) => Ok(Py::Float(number)),
        (digits, Py::None) => Ok(Py::Float(rounded(number, cint(digits)))),
        (_, method) => Err(format!("the rounding method {} is not offered here", method.repr())),
    }
}

fn divided(name: &str, args: &Args) -> Result<Py, String> {
    let (number, by) = (args.need(0, "numerator")?, args.need(1, "denominator")?);
    let digits = match args.get(2, "precision") {
        Py::None => 2,
        digits => cint(digits),
    };
    let operand = |value: &Py| ops::number(value).ok_or_else(|| format!("'{}' is no number", value.type_name()));
    let (number, by) = (operand(number)?, operand(by)?);
    if name == "safe_div" {
        return Ok(Py::Float(if by == 0.0 { 0.0 } else { rounded(number / by, digits) }));
    }
    if by == 0.0 {
        return Err("integer modulo by zero".into());
    }
    let factor = 10_f64.powi(i32::try_from(digits.clamp(0, 300)).unwrap_or(0));
    let rest = ops::binary(ops::Binary::Mod, &Py::Float(number * factor), &Py::Float(by * factor))?;
    Ok(Py::Float(rounded(flt(&rest) / factor, digits)))
}

/// Frappe's `flt`: a number of anything, 0 where there is none; commas between digits are forgiven.
pub(crate) fn flt(value: &Py) -> f64 {
    match value {
        Py::Str(text) => python_float(&text.replace(',', "")).unwrap_or(0.0),
        other => ops::number(other).unwrap_or(0.0),
    }
}

/// Reads what Python's `float` reads.
pub(crate) fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_grouped = |text: &str| !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let plain = text.replace('_', "");
    if !is_grouped(text) || plain.starts_with("0x") {
        return None;
    }
    plain.parse().ok()
}

/// Frappe's `cint`: the same as a whole number.
pub(crate) fn cint(value: &Py) -> i128 {
    cint_or(value, 0)
}

fn cint_or(value: &Py, otherwise: i128) -> i128 {
    let number = match value {
        Py::Str(text) => match text.trim().parse() {
            Ok(whole) => return whole,
            Err(_) => python_float(text),
        },
        other => match ops::integer(other) {
            Some(value) => return value,
            None => ops::number(other),
        },
    };
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    number.filter(|number| number.is_finite()).map_or(otherwise, |number| number as i128)
}

/// Rounds to so many digits; half goes to the even neighbour. Frappe's "Banker's Rounding", which new sites have.
pub(crate) fn rounded(number: f64, digits: i128) -> f64 {
    let factor = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0));
    let scaled = builtins::exactly_rounded(number * factor, 12);
    if scaled == 0.0 || !scaled.is_finite() {
        return if scaled == 0.0 { 0.0 } else { number };
    }
    let floor = scaled.floor();
    let noise = (scaled.abs().log2() - 52.0).exp2();
    let whole = if ((scaled - floor) - 0.5).abs() < noise {
        if floor % 2.0 == 0.0 { floor } else { floor + 1.0 }
    } else {
        scaled.round_ties_even()
    };
    let result = whole / factor;
    if result.is_finite() { result } else { number }
}

fn sbool(value: &Py) -> Py {
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("true" | "1") => Py::Bool(true),
        Some("false" | "0") => Py::Bool(false),
        _ => value.clone(),
    }
}

/// Removes what stands between angle brackets.
pub(crate) fn strip_html(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        match after.split_once('>') {
            // Frappe's pattern has something between the brackets.
            Some((inside, behind)) if !inside.is_empty() => rest = behind,
            _ => {
                out.push('<');
                rest = after;
            }
        }
    }
    out + rest
}

/// Returns the first tag of a text and where it stands.
fn tag_of(text: &str) -> Option<(usize, &str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let end = rest.find('>')?;
        (end > 1 && !rest.get(1..end)?.contains('<')).then_some((at, rest.get(..=end)?))
    })
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(character),
        }
    }
    out
}

/// Percent-encodes text but for letters, digits and what is `safe`.
pub(crate) fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || safe.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl Py {
    /// Returns the value with its dictionaries as Frappe's.
    pub(crate) fn in_frappe(self) -> Self {
        match self {
            Self::Dict(DictKind::Plain, entries) => Self::Dict(DictKind::Frappe, entries),
            other => other,
        }
    }
}
