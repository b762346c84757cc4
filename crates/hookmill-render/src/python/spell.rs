//! How Python prints: `str()` and `repr()`.

use std::fmt::Write as _;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

use super::{Dict, DictKind, LEVELS_MAX, Py, Shared};

impl Py {
    /// Returns what `str(value)` gives.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Str(text) => text.as_ref().to_owned(),
            Self::Date(date) => date.to_string(),
            Self::DateTime(moment) => datetime(*moment, ' '),
            Self::Time(time) => clock(*time),
            Self::Delta(span) => delta(*span),
            Self::Missing(missing) => missing.text(),
            Self::Dict(DictKind::Document, entries) => named(entries, "", ")", "Document("),
            _ => self.repr(),
        }
    }

    /// Returns what `repr(value)` gives.
    pub(crate) fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(0, &mut out);
        out
    }

    fn write_repr(&self, level: usize, out: &mut String) {
        if level > LEVELS_MAX {
            // As Python has it of what holds itself.
            return out.push_str("...");
        }
        match self {
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Big(digits) => out.push_str(digits),
            Self::Float(value) => out.push_str(&float(*value)),
            Self::Str(text) => write_quoted(text, out),
            Self::List(items) => write_row(&items.get(), ["[", "]"], level, out),
            Self::Tuple(items) if items.len() == 1 => write_row(items, ["(", ",)"], level, out),
            Self::Tuple(items) => write_row(items, ["(", ")"], level, out),
            Self::Set(items) if items.is_empty() => out.push_str("set()"),
            Self::Set(items) => write_row(items, ["{", "}"], level, out),
            Self::Dict(DictKind::Document, entries) => {
                let parent = entries.get().get("parent").filter(|parent| parent.is_true()).map(Self::to_text);
                let parent = parent.map(|parent| format!(" parent={parent}")).unwrap_or_default();
                out.push_str(&named(entries, &parent, ">", "<Document: "));
            }
            Self::Dict(_, entries) => {
                out.push('{');
                for (place, (key, value)) in entries.get().iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    key.0.write_repr(level + 1, out);
                    out.push_str(": ");
                    value.write_repr(level + 1, out);
                }
                out.push('}');
            }
            Self::Missing(_) => out.push_str("Undefined"),
            Self::Object(object) => out.push_str(&object.text()),
            Self::Date(date) => out.push_str(&call("date", &date_parts(*date))),
            Self::DateTime(moment) => {
                let mut parts = date_parts(moment.date());
                parts.extend(time_parts(moment.time()));
                out.push_str(&call("datetime", &parts));
            }
            Self::Time(time) => out.push_str(&call("time", &time_parts(*time))),
            Self::Delta(span) => {
                let (days, secs) = (span.as_secs().div_euclid(86_400), span.as_secs().rem_euclid(86_400));
                let micros = i64::from(span.subsec_micros());
                let parts = [("days", days), ("seconds", secs), ("microseconds", micros)];
                let parts = parts.iter().filter(|(_, value)| *value != 0);
                let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}")).collect();
                let parts = if parts.is_empty() { "0".into() } else { parts.join(", ") };
                out.push_str(&format!("datetime.timedelta({parts})"));
            }
        }
    }
}

fn write_row(items: &[Py], brackets: [&str; 2], level: usize, out: &mut String) {
    out.push_str(brackets[0]);
    for (place, item) in items.iter().enumerate() {
        out.push_str(if place > 0 { ", " } else { "" });
        item.write_repr(level + 1, out);
    }
    out.push_str(brackets[1]);
}

fn named(document: &Shared<Dict>, middle: &str, closing: &str, opening: &str) -> String {
    let name = document.get().get("name").map(Py::to_text).unwrap_or_default();
    format!("{opening}{name}{middle}{closing}")
}

fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(character);
            }
            _ if !is_printable(character) => {
                let code = u32::from(character);
                let written = match code {
                    ..0x100 => write!(out, "\\x{code:02x}"),
                    0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                written.expect("text takes all that is written");
            }
            _ => out.push(character),
        }
    }
    out.push(quote);
}

/// Tells whether Python prints a character as it is: no control or format character, and no white space but the blank.
fn is_printable(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    character == ' ' || !(is_format || character.is_control() || character.is_whitespace())
}

/// Returns what `repr(value)` gives for a float: the fewest digits that read back as the same number.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').expect("the form with an exponent has one");
    let exponent: i32 = exponent.parse().expect("an exponent of a float is a small number");
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    // Without an exponent, the library prints the same digits, and no point where there is no fraction.
    let plain = value.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

/// Returns date and time in ISO 8601; microseconds only where there are some, as Python has it.
pub(crate) fn datetime(moment: DateTime, separator: char) -> String {
    format!("{}{separator}{}", moment.date(), clock(moment.time()))
}

fn clock(time: Time) -> String {
    let text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    match time.subsec_nanosecond() / 1_000 {
        0 => text,
        micros => format!("{text}.{micros:06}"),
    }
}

fn delta(span: SignedDuration) -> String {
    let days = span.as_secs().div_euclid(86_400);
    let secs = span.as_secs().rem_euclid(86_400);
    let micros = match span.subsec_micros() {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    let clock = format!("{}:{:02}:{:02}{micros}", secs / 3600, secs / 60 % 60, secs % 60);
    match days {
        0 => clock,
        1 | -1 => format!("{days} day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

fn call(name: &str, parts: &[i32]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    format!("datetime.{name}({})", parts.join(", "))
}

fn date_parts(date: Date) -> Vec<i32> {
    vec![date.year().into(), date.month().into(), date.day().into()]
}

fn time_parts(time: Time) -> Vec<i32> {
    let mut parts = vec![time.hour().into(), time.minute().into()];
    let (secs, micros) = (i32::from(time.second()), time.subsec_nanosecond() / 1_000);
    if secs != 0 || micros != 0 {
        parts.push(secs);
    }
    if micros != 0 {
        parts.push(micros);
    }
    parts
}
