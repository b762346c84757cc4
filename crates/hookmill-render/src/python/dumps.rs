//! JSON as Python writes it: `json.dumps` with its arguments, and Frappe's `as_json`.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::{Args, Dict, LEVELS_MAX, Py, ops, spell};

/// The layout of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What one level is indented by; one line without it.
    indent: Option<String>,
    between_items: String,
    after_key: String,
    sorted: bool,
    ascii: bool,
    /// What JSON does not have becomes text.
    lenient: bool,
}

impl Layout {
    /// `json.dumps`: one line, `, ` and `: `, keys as they stand.
    pub(crate) fn one_line() -> Self {
        let (between_items, after_key) = (", ".into(), ": ".into());
        Self { indent: None, between_items, after_key, sorted: false, ascii: true, lenient: false }
    }

    /// The same, for a payload: dates become text.
    pub(crate) fn payload() -> Self {
        Self { lenient: true, ..Self::one_line() }
    }

    /// The same with the keys sorted, as Jinja's `tojson` has it.
    pub(crate) fn one_line_sorted() -> Self {
        Self { sorted: true, ..Self::one_line() }
    }

    /// `frappe.as_json`: one space of indentation for each level, keys sorted.
    pub(crate) fn indented() -> Self {
        let indent = Some(" ".into());
        Self { indent, between_items: ",".into(), sorted: true, lenient: true, ..Self::one_line() }
    }

    /// Returns the layout that these arguments of `json.dumps` ask for; `first` is the place of `indent`, if it has one.
    pub(crate) fn with(mut self, args: &Args, first: Option<usize>) -> Result<Self, String> {
        let named = |name: &str| args.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let indent = first.and_then(|place| args.given.get(place)).or_else(|| named("indent"));
        match indent {
            None => {}
            Some(Py::None) => self.indent = None,
            Some(Py::Str(text)) => self.indent = Some(text.chars().take(16).collect()),
            Some(value) => {
                let width = ops::integer(value).ok_or("indent must be a number or text")?;
                self.indent = Some(" ".repeat(usize::try_from(width).unwrap_or(0).min(16)));
            }
        }
        if matches!(indent, Some(value) if !matches!(value, Py::None)) {
            self.between_items = ",".into();
        }
        if let Some(pair) = named("separators").and_then(Py::items) {
            let text = |place: usize| pair.get(place).and_then(Py::as_str).map(|text| text.chars().take(16).collect());
            self.between_items = text(0).ok_or("separators must be two texts")?;
            self.after_key = text(1).ok_or("separators must be two texts")?;
        }
        if let Some(sorted) = named("sort_keys") {
            self.sorted = sorted.is_true();
        }
        if let Some(ascii) = named("ensure_ascii") {
            self.ascii = ascii.is_true();
        }
        if let Some(function) = named("default") {
            // The only function that one would hand over makes text.
            self.lenient = !matches!(function, Py::None);
        }
        Ok(self)
    }
}

/// Writes `value` as JSON.
pub(crate) fn dumps(value: &Py, layout: &Layout) -> Result<String, String> {
    let mut out = String::new();
    Writer { layout, out: &mut out }.value(value, 0)?;
    Ok(out)
}

struct Writer<'a> {
    layout: &'a Layout,
    out: &'a mut String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Py, level: usize) -> Result<(), String> {
        if level > LEVELS_MAX {
            return Err("Circular reference detected, or too many levels".into());
        }
        match value {
            Py::None => self.out.push_str("null"),
            Py::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Py::Int(value) => self.out.push_str(&value.to_string()),
            Py::Big(digits) => self.out.push_str(digits),
            Py::Float(value) => write_float(*value, self.out),
            Py::Str(text) => self.text(text),
            Py::List(items) => self.list(&items.get(), level)?,
            Py::Tuple(items) => self.list(items, level)?,
            Py::Dict(_, entries) => self.dict(&entries.get(), level)?,
            // `as_json` makes lists of these.
            Py::Set(items) if self.layout.lenient => self.list(items, level)?,
            Py::Date(_) | Py::DateTime(_) | Py::Time(_) | Py::Delta(_) if self.layout.lenient => {
                self.text(&value.to_text());
            }
            Py::Object(object) if self.layout.lenient => match object.iterate() {
                Some(items) => self.list(&items, level)?,
                None => self.text(&object.text()),
            },
            other => {
                let name = match other {
                    Py::Missing(_) => "DebugUndefined",
                    other => other.type_name().trim_start_matches("datetime."),
                };
                return Err(format!("Object of type {name} is not JSON serializable"));
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &[Py], level: usize) -> Result<(), String> {
        self.out.push('[');
        for (place, item) in items.iter().enumerate() {
            self.before(place, level);
            self.value(item, level + 1)?;
        }
        self.after(items.len(), level);
        self.out.push(']');
        Ok(())
    }

    fn dict(&mut self, entries: &Dict, level: usize) -> Result<(), String> {
        let mut entries: Vec<_> = entries.iter().collect();
        if self.layout.sorted {
            let mut fault = None;
            entries.sort_by(|a, b| {
                ops::compare(&a.0.0, &b.0.0).unwrap_or_else(|| {
                    let (a, b) = (a.0.0.type_name(), b.0.0.type_name());
                    fault = Some(format!("'<' not supported between instances of '{a}' and '{b}'"));
                    Ordering::Equal
                })
            });
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        self.out.push('{');
        let count = entries.len();
        for (place, (key, value)) in entries.into_iter().enumerate() {
            self.before(place, level);
            match &key.0 {
                Py::Str(text) => self.text(text),
                Py::None | Py::Bool(_) | Py::Int(_) | Py::Big(_) | Py::Float(_) => {
                    self.out.push('"');
                    self.value(&key.0, level)?;
                    self.out.push('"');
                }
                other => {
                    let name = other.type_name();
                    return Err(format!("keys must be str, int, float, bool or None, not {name}"));
                }
            }
            self.out.push_str(&self.layout.after_key);
            self.value(value, level + 1)?;
        }
        self.after(count, level);
        self.out.push('}');
        Ok(())
    }

    fn before(&mut self, place: usize, level: usize) {
        if place > 0 {
            self.out.push_str(&self.layout.between_items);
        }
        self.new_line(level + 1);
    }

    fn after(&mut self, count: usize, level: usize) {
        if count > 0 {
            self.new_line(level);
        }
    }

    fn new_line(&mut self, level: usize) {
        if let Some(indent) = &self.layout.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), level));
        }
    }

    fn text(&mut self, text: &str) {
        write_string(text, self.layout.ascii, self.out);
    }
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

/// Writes text as a JSON string, in ASCII as `ensure_ascii` has it.
fn write_string(text: &str, ascii: bool, out: &mut String) {
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
            _ if !ascii && character >= '\u{7f}' => out.push(character),
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
