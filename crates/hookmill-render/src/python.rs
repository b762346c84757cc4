//! Python's values, as Frappe's conditions and templates know them: what they are, how they print, compare and compute.
//!
//! Nothing here runs Python. Only what JSON and a calendar can hold exists, so no value leads anywhere else.

pub(crate) mod builtins;
pub(crate) mod dates;
pub(crate) mod document;
pub(crate) mod dumps;
pub(crate) mod methods;
pub(crate) mod ops;
pub(crate) mod spell;
pub(crate) mod utils;

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiter::JsonValue;

/// A dictionary; keys are text, in the order of their first setting.
pub(crate) type Dict = IndexMap<Arc<str>, Py>;

/// A value. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) enum Py {
    None,
    Bool(bool),
    Int(i128),
    /// The digits of an integer that is larger than any of ours; it is carried and printed, not computed with.
    Big(Arc<str>),
    Float(f64),
    Str(Arc<str>),
    List(Arc<Vec<Self>>),
    Tuple(Arc<Vec<Self>>),
    Dict(Arc<Dict>),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    Delta(SignedDuration),
}

impl Py {
    /// Reads JSON by the rules of Python's `json.loads`: whole integers of any size, `NaN` and `Infinity`, and the last
    /// value of a key that stands twice.
    pub(crate) fn loads(text: &str) -> Result<Self, jiter::JsonError> {
        JsonValue::parse(text.as_bytes(), true).map(|value| Self::from_json(&value))
    }

    fn from_json(value: &JsonValue<'_>) -> Self {
        match value {
            JsonValue::Null => Self::None,
            JsonValue::Bool(value) => Self::Bool(*value),
            JsonValue::Int(value) => Self::Int((*value).into()),
            JsonValue::BigInt(value) => {
                i128::try_from(value).map_or_else(|_| Self::Big(value.to_string().into()), Self::Int)
            }
            JsonValue::Float(value) => Self::Float(*value),
            JsonValue::Str(text) => Self::Str(text.as_ref().into()),
            JsonValue::Array(items) => Self::List(Arc::new(items.iter().map(Self::from_json).collect())),
            JsonValue::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (Arc::from(key.as_ref()), Self::from_json(value)));
                Self::Dict(Arc::new(entries.collect()))
            }
        }
    }

    /// Makes text.
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(text.as_ref().into())
    }

    /// Returns the name of the value's type, as Python's messages have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Date(_) => "datetime.date",
            Self::DateTime(_) => "datetime.datetime",
            Self::Time(_) => "datetime.time",
            Self::Delta(_) => "datetime.timedelta",
        }
    }

    /// Tells whether a condition takes the value for true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
            Self::Delta(span) => !span.is_zero(),
            Self::Big(_) | Self::Date(_) | Self::DateTime(_) | Self::Time(_) => true,
        }
    }

    /// Returns the text, if it is text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items of a list or tuple.
    pub(crate) fn items(&self) -> Option<&Arc<Vec<Self>>> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Returns about how many bytes the value takes, nested values included once.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Str(text) | Self::Big(text) => 16 + text.len(),
            Self::List(items) | Self::Tuple(items) => 16 + 32 * items.len(),
            Self::Dict(entries) => 16 + 64 * entries.len(),
            _ => 16,
        }
    }

    /// Makes a list.
    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Arc::new(items.into_iter().collect()))
    }

    /// Makes a tuple.
    pub(crate) fn tuple(items: impl IntoIterator<Item = Self>) -> Self {
        Self::Tuple(Arc::new(items.into_iter().collect()))
    }

    /// Returns what iterating over the value gives.
    pub(crate) fn iterate(&self) -> Result<Vec<Self>, String> {
        match self {
            Self::List(items) | Self::Tuple(items) => Ok(items.as_ref().clone()),
            Self::Dict(entries) => Ok(entries.keys().cloned().map(Self::Str).collect()),
            Self::Str(text) => Ok(text.chars().map(|character| Self::str(character.to_string())).collect()),
            _ => Err(format!("'{}' object is not iterable", self.type_name())),
        }
    }
}

/// What a function or method is called with.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) given: Vec<Py>,
    pub(crate) named: Vec<(String, Py)>,
}

impl Args {
    /// Returns an argument by place or name; None, as Python's defaults are, where it is not given.
    pub(crate) fn get(&self, place: usize, name: &str) -> &Py {
        let named = || self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        self.given.get(place).or_else(named).unwrap_or(&Py::None)
    }

    /// The same, refusing a call without it.
    pub(crate) fn need(&self, place: usize, name: &str) -> Result<&Py, String> {
        let named = || self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        self.given.get(place).or_else(named).ok_or_else(|| format!("missing the argument {name:?}"))
    }

    /// Returns an argument that must be a whole number, or `otherwise` where it is not given.
    pub(crate) fn int(&self, place: usize, name: &str, otherwise: i64) -> Result<i64, String> {
        match self.get(place, name) {
            Py::None => Ok(otherwise),
            value => i64::try_from(utils::cint(value)).map_err(|_| format!("{name} is too large")),
        }
    }
}

/// How much of values one call may go through: nodes, and a node more for each few bytes of text.
pub(crate) const WEIGHT_MAX: usize = 200_000;

impl Py {
    /// Takes what it costs to go through the value from `left`.
    ///
    /// Lists can hold one list many times, so that a value of few bytes is a text of more than the world has.
    pub(crate) fn weigh(&self, left: &mut usize) -> Result<(), String> {
        let own = match self {
            Self::Str(text) | Self::Big(text) => 1 + text.len() / 16,
            _ => 1,
        };
        *left = left.checked_sub(own).ok_or("the value is too large")?;
        match self {
            Self::List(items) | Self::Tuple(items) => items.iter().try_for_each(|item| item.weigh(left)),
            Self::Dict(entries) => entries.values().try_for_each(|value| value.weigh(left)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
