//! JSON as Python writes it: `json.dumps` with its defaults, and Frappe's `as_json`.

use std::fmt::Write as _;

use super::{Dict, Py, spell};

/// The layout of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `json.dumps`: one line, `, ` and `: `, keys as they stand.
    OneLine,
    /// The same with the keys sorted, as Jinja's `tojson` has it.
    OneLineSorted,
    /// `frappe.as_json`: one space of indentation for each level, keys sorted.
    Indented,
}

/// Writes `value` as JSON in ASCII.
pub(crate) fn dumps(value: &Py, layout: Layout) -> String {
    let mut out = String::new();
    write_value(value, layout, 0, &mut out);
    out
}

fn write_value(value: &Py, layout: Layout, level: usize, out: &mut String) {
    match value {
        Py::None => out.push_str("null"),
        Py::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Py::Int(value) => out.push_str(&value.to_string()),
        Py::Big(digits) => out.push_str(digits),
        Py::Float(value) => write_float(*value, out),
        Py::Str(text) => write_string(text, out),
        Py::List(items) | Py::Tuple(items) => {
            write_all(['[', ']'], items.iter(), layout, level, out, |item, out| {
                write_value(item, layout, level + 1, out);
            });
        }
        Py::Dict(entries) => write_dict(entries, layout, level, out),
        // What JSON does not have, both write as text.
        Py::Date(_) | Py::DateTime(_) | Py::Time(_) | Py::Delta(_) => write_string(&value.to_text(), out),
    }
}

fn write_dict(entries: &Dict, layout: Layout, level: usize, out: &mut String) {
    let mut entries: Vec<_> = entries.iter().collect();
    if layout != Layout::OneLine {
        entries.sort_by(|a, b| a.0.cmp(b.0));
    }
    write_all(['{', '}'], entries.into_iter(), layout, level, out, |(key, value), out| {
        write_string(key, out);
        out.push_str(": ");
        write_value(value, layout, level + 1, out);
    });
}

/// Writes the members of a list or dictionary between its `brackets`.
fn write_all<T>(
    brackets: [char; 2],
    members: impl ExactSizeIterator<Item = T>,
    layout: Layout,
    level: usize,
    out: &mut String,
    write: impl Fn(T, &mut String),
) {
    let broken = layout == Layout::Indented && members.len() > 0;
    out.push(brackets[0]);
    for (place, member) in members.enumerate() {
        match layout {
            _ if place == 0 => {}
            Layout::OneLine | Layout::OneLineSorted => out.push_str(", "),
            Layout::Indented => out.push(','),
        }
        if broken {
            new_line(level + 1, out);
        }
        write(member, out);
    }
    if broken {
        new_line(level, out);
    }
    out.push(brackets[1]);
}

fn new_line(level: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', level));
}

fn write_float(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        out.push_str(&spell::float(value));
    }
}

/// Writes text as a JSON string in ASCII, as `ensure_ascii` has it.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("text takes all that is written");
                }
            }
        }
    }
    out.push('"');
}

/// Escapes what HTML gives a meaning, as Jinja's `tojson` does.
pub(crate) fn escape_for_html(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")
}
