//! Values that only templates meet: views, ranges, bytes, and what is missing.

use std::any::Any;
use std::fmt::{self, Write as _};

use super::Py;

/// Something that a template can name, print and perhaps go through.
pub(crate) trait Object: fmt::Debug + Send + Sync + Any {
    /// Returns the name of its type.
    fn type_name(&self) -> &'static str;

    /// Returns what printing it gives.
    fn text(&self) -> String {
        format!("<{}>", self.type_name())
    }

    /// Returns what iterating over it gives, if one can.
    fn iterate(&self) -> Option<Vec<Py>> {
        None
    }

    /// Returns how many items that would be.
    fn length(&self) -> Option<usize> {
        self.iterate().map(|items| items.len())
    }

    /// Returns an attribute.
    fn attribute(&self, _name: &str) -> Option<Py> {
        None
    }
}

/// `dict.items()` and the like: a list that prints as what it is.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) items: Vec<Py>,
}

impl Object for View {
    fn type_name(&self) -> &'static str {
        self.name
    }

    fn text(&self) -> String {
        match self.name {
            "dict_items" | "dict_keys" | "dict_values" => {
                format!("{}({})", self.name, Py::list(self.items.iter().cloned()).repr())
            }
            _ => format!("<{} object>", self.name),
        }
    }

    fn iterate(&self) -> Option<Vec<Py>> {
        Some(self.items.clone())
    }

    fn length(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// What `range` gives.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) from: i128,
    pub(crate) to: i128,
    pub(crate) step: i128,
}

impl Object for Range {
    fn type_name(&self) -> &'static str {
        "range"
    }

    fn text(&self) -> String {
        match self.step {
            1 => format!("range({}, {})", self.from, self.to),
            step => format!("range({}, {}, {step})", self.from, self.to),
        }
    }

    fn length(&self) -> Option<usize> {
        let span = (self.to - self.from) * self.step.signum();
        usize::try_from((span.max(0) + self.step.abs() - 1) / self.step.abs()).ok()
    }

    fn iterate(&self) -> Option<Vec<Py>> {
        let mut items = Vec::new();
        let mut at = self.from;
        while (self.step > 0 && at < self.to) || (self.step < 0 && at > self.to) {
            items.push(Py::Int(at));
            at = at.saturating_add(self.step);
        }
        Some(items)
    }
}

/// Bytes of text that was encoded.
#[derive(Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Object for Bytes {
    fn type_name(&self) -> &'static str {
        "bytes"
    }

    fn text(&self) -> String {
        let quote = if self.0.contains(&b'\'') && !self.0.contains(&b'"') { '"' } else { '\'' };
        let mut out = format!("b{quote}");
        for &byte in &self.0 {
            match byte {
                b'\\' => out.push_str("\\\\"),
                b'\n' => out.push_str("\\n"),
                b'\r' => out.push_str("\\r"),
                b'\t' => out.push_str("\\t"),
                _ if char::from(byte) == quote => {
                    out.push('\\');
                    out.push(quote);
                }
                b' '..=b'~' => out.push(char::from(byte)),
                _ => write!(out, "\\x{byte:02x}").expect("text takes all that is written"),
            }
        }
        out.push(quote);
        out
    }

    fn iterate(&self) -> Option<Vec<Py>> {
        Some(self.0.iter().map(|byte| Py::Int((*byte).into())).collect())
    }
}

/// Something of which nothing is known but how it prints; it is true.
#[derive(Debug)]
pub(crate) struct Opaque(pub(crate) &'static str, pub(crate) String);

impl Object for Opaque {
    fn type_name(&self) -> &'static str {
        self.0
    }

    fn text(&self) -> String {
        self.1.clone()
    }
}

/// What a template names and does not have. It prints that it is missing, as Jinja's `DebugUndefined` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A name.
    Name(String),
    /// An attribute or item of something: what it is of, and which.
    Element { of: String, key: String, name: String },
    /// Something that has a reason to be missing.
    Hint(String),
    /// What an `if` without `else` leaves; it prints nothing.
    Nothing,
}

impl Missing {
    /// Returns the text that it prints.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Name(name) => format!("{{{{ {name} }}}}"),
            Self::Element { of, key, .. } => format!("{{{{ no such element: {of}[{key}] }}}}"),
            Self::Hint(hint) => format!("{{{{ undefined value printed: {hint} }}}}"),
            Self::Nothing => String::new(),
        }
    }

    /// Returns what is said where something is done with it.
    pub(crate) fn error(&self) -> String {
        match self {
            Self::Name(name) => format!("'{name}' is undefined"),
            Self::Element { of, name, .. } => format!("'{of}' has no attribute '{name}'"),
            Self::Hint(hint) => hint.clone(),
            Self::Nothing => "an `if` was false and has no `else`".into(),
        }
    }

    /// Makes what stands for an element that `value` does not have.
    pub(crate) fn element(value: &Py, key: &Py) -> Py {
        let of = match value {
            Py::None => "None".to_owned(),
            Py::Dict(super::DictKind::Document, _) => "frappe.model.document.Document object".into(),
            Py::Dict(super::DictKind::Frappe, _) => "frappe.types.frappedict._dict object".into(),
            other => match other.type_name() {
                name @ ("Namespace" | "Cycler" | "Joiner") => format!("jinja2.utils.{name} object"),
                name @ ("LoopContext" | "Macro") => format!("jinja2.runtime.{name} object"),
                name => format!("{name} object"),
            },
        };
        let name = key.to_text();
        Py::Missing(std::sync::Arc::new(Self::Element { of, key: key.repr(), name }))
    }

    /// Makes a value with a reason to be missing.
    pub(crate) fn hint(hint: impl Into<String>) -> Py {
        Py::Missing(std::sync::Arc::new(Self::Hint(hint.into())))
    }
}

/// A tuple whose places have names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) parts: Vec<(&'static str, Py)>,
}

impl Object for Named {
    fn type_name(&self) -> &'static str {
        self.name
    }

    fn text(&self) -> String {
        // Jinja's pairs of `groupby` are tuples to whoever prints them.
        if self.name == "tuple" {
            return Py::tuple(self.parts.iter().map(|(_, value)| value.clone())).repr();
        }
        let parts: Vec<String> = self.parts.iter().map(|(name, value)| format!("{name}={}", value.repr())).collect();
        format!("{}({})", self.name, parts.join(", "))
    }

    fn iterate(&self) -> Option<Vec<Py>> {
        Some(self.parts.iter().map(|(_, value)| value.clone()).collect())
    }

    fn attribute(&self, name: &str) -> Option<Py> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}
