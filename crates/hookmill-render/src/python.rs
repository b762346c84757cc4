//! Python's values, as Frappe's conditions and templates know them: what they are, how they print, compare and compute.
//!
//! Nothing here runs Python. Only what JSON and a calendar can hold exists, so no value leads anywhere else.

pub(crate) mod builtins;
pub(crate) mod change;
pub(crate) mod dates;
pub(crate) mod document;
pub(crate) mod dumps;
pub(crate) mod format;
pub(crate) mod methods;
pub(crate) mod money;
pub(crate) mod object;
pub(crate) mod ops;
pub(crate) mod patterns;
pub(crate) mod percent;
pub(crate) mod shared;
pub(crate) mod spell;
pub(crate) mod text;
pub(crate) mod utils;

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiter::JsonValue;

pub(crate) use object::{Missing, Object};
pub(crate) use shared::{Dict, Key, Shared};

/// What a dictionary is besides one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DictKind {
    /// Python's own.
    Plain,
    /// Frappe's `_dict`, in which what is missing is None.
    Frappe,
    /// A document: its dates are dates, and what is missing is missing.
    Document,
}

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
    List(Shared<Vec<Self>>),
    Tuple(Arc<Vec<Self>>),
    /// Without repetitions.
    Set(Arc<Vec<Self>>),
    Dict(DictKind, Shared<Dict>),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    Delta(SignedDuration),
    /// What a template names and does not have.
    Missing(Arc<Missing>),
    /// Something that only templates have: a function, a loop, a view.
    Object(Arc<dyn Object>),
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
            JsonValue::Array(items) => Self::list(items.iter().map(Self::from_json)),
            JsonValue::Object(entries) => {
                Self::dict(entries.iter().map(|(key, value)| (Key::text(key.as_ref()), Self::from_json(value))))
            }
        }
    }

    /// Makes text.
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(text.as_ref().into())
    }

    /// Makes a dictionary.
    pub(crate) fn dict(entries: impl IntoIterator<Item = (Key, Self)>) -> Self {
        Self::Dict(DictKind::Plain, Shared::new(entries.into_iter().collect()))
    }

    /// Makes an object.
    pub(crate) fn object(object: impl Object) -> Self {
        Self::Object(Arc::new(object))
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
            Self::Set(_) => "set",
            Self::Dict(DictKind::Plain, _) => "dict",
            Self::Dict(DictKind::Frappe, _) => "_dict",
            Self::Dict(DictKind::Document, _) => "Document",
            Self::Date(_) => "datetime.date",
            Self::DateTime(_) => "datetime.datetime",
            Self::Time(_) => "datetime.time",
            Self::Delta(_) => "datetime.timedelta",
            Self::Missing(_) => "Undefined",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Tells whether a condition takes the value for true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::None | Self::Missing(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.get().is_empty(),
            Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Dict(kind, entries) => *kind == DictKind::Document || !entries.get().is_empty(),
            Self::Delta(span) => !span.is_zero(),
            Self::Big(_) | Self::Date(_) | Self::DateTime(_) | Self::Time(_) => true,
            Self::Object(object) => object.length().is_none_or(|length| length > 0),
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
    pub(crate) fn items(&self) -> Option<Arc<Vec<Self>>> {
        match self {
            Self::List(items) => Some(items.get()),
            Self::Tuple(items) => Some(Arc::clone(items)),
            _ => None,
        }
    }

    /// Returns about how many bytes the value takes, nested values included once.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Str(text) | Self::Big(text) => 16 + text.len(),
            Self::List(items) => 16 + 32 * items.get().len(),
            Self::Tuple(items) | Self::Set(items) => 16 + 32 * items.len(),
            Self::Dict(_, entries) => 16 + 64 * entries.get().len(),
            _ => 16,
        }
    }

    /// Tells whether nothing else holds the value yet.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Str(text) | Self::Big(text) => Arc::strong_count(text) == 1,
            Self::List(items) => items.is_new(),
            Self::Tuple(items) | Self::Set(items) => Arc::strong_count(items) == 1,
            Self::Dict(_, entries) => entries.is_new(),
            Self::Object(object) => Arc::strong_count(object) == 1,
            _ => true,
        }
    }

    /// Makes a list.
    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Shared::new(items.into_iter().collect()))
    }

    /// Makes a tuple.
    pub(crate) fn tuple(items: impl IntoIterator<Item = Self>) -> Self {
        Self::Tuple(Arc::new(items.into_iter().collect()))
    }

    /// Returns what iterating over the value gives.
    pub(crate) fn iterate(&self) -> Result<Vec<Self>, String> {
        match self {
            Self::List(items) => Ok(items.get().as_ref().clone()),
            Self::Tuple(items) | Self::Set(items) => Ok(items.as_ref().clone()),
            Self::Dict(kind, entries) if *kind != DictKind::Document => {
                Ok(entries.get().keys().map(|key| key.0.clone()).collect())
            }
            Self::Str(text) => Ok(text.chars().map(|character| Self::str(character.to_string())).collect()),
            Self::Missing(_) => Ok(vec![]),
            Self::Object(object) => {
                object.iterate().ok_or_else(|| format!("'{}' object is not iterable", object.type_name()))
            }
            _ => Err(format!("'{}' object is not iterable", self.type_name())),
        }
    }

    /// Tells whether two values are one and the same, as `is` has it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.is(b),
            (Self::Dict(_, a), Self::Dict(_, b)) => a.is(b),
            (Self::None, Self::None) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::None | Self::Bool(_), _) | (_, Self::None | Self::Bool(_)) => false,
            _ => self.type_name() == other.type_name() && ops::equal(self, other),
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
    /// Makes arguments without names.
    pub(crate) fn given(given: impl IntoIterator<Item = Py>) -> Self {
        Self { given: given.into_iter().collect(), named: vec![] }
    }

    /// Returns an argument that was given by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Py> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns an argument by place or name; None, as Python's defaults are, where it is not given.
    pub(crate) fn get(&self, place: usize, name: &str) -> &Py {
        self.given.get(place).or_else(|| self.named(name)).unwrap_or(&Py::None)
    }

    /// The same, refusing a call without it.
    pub(crate) fn need(&self, place: usize, name: &str) -> Result<&Py, String> {
        self.given.get(place).or_else(|| self.named(name)).ok_or_else(|| format!("missing the argument {name:?}"))
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

/// Levels of a value that anything goes down. Whoever goes takes stack for each.
pub(crate) const LEVELS_MAX: usize = 250;

impl Py {
    /// Takes what it costs to go through the value from `left`.
    ///
    /// Lists can hold one list many times, so that a value of few bytes is a text of more than the world has.
    pub(crate) fn weigh(&self, left: &mut usize) -> Result<(), String> {
        self.weigh_at(0, left)
    }

    fn weigh_at(&self, level: usize, left: &mut usize) -> Result<(), String> {
        if level > LEVELS_MAX {
            return Err(format!("the value is nested more than {LEVELS_MAX} deep, or holds itself"));
        }
        let own = match self {
            Self::Str(text) | Self::Big(text) => 1 + text.len() / 16,
            _ => 1,
        };
        *left = left.checked_sub(own).ok_or("the value is too large")?;
        match self {
            Self::List(items) => items.get().iter().try_for_each(|item| item.weigh_at(level + 1, left)),
            Self::Tuple(items) | Self::Set(items) => items.iter().try_for_each(|item| item.weigh_at(level + 1, left)),
            Self::Dict(_, entries) => entries.get().values().try_for_each(|value| value.weigh_at(level + 1, left)),
            Self::Object(object) => {
                object.iterate().into_iter().flatten().try_for_each(|item| item.weigh_at(level + 1, left))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
