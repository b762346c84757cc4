//! What stands behind `is`.

use super::run::is_callable;
use crate::python::text;
use crate::python::{DictKind, Missing, Py, ops};

const NAMES: [&str; 39] = [
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
];

/// Tells whether there is a test of this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Tells whether a value passes a test.
pub(super) fn holds(name: &str, value: &Py, args: &[Py]) -> Result<bool, String> {
    let other = || args.first().ok_or_else(|| format!("the test '{name}' takes a value"));
    let whole = |value: &Py| ops::integer(value).ok_or_else(|| format!("'{}' is no whole number", value.type_name()));
    let ordered = |fits: fn(std::cmp::Ordering) -> bool| {
        let other = other()?;
        let ordering = ops::compare(value, other).ok_or_else(|| {
            format!("'{name}' not supported between instances of '{}' and '{}'", value.type_name(), other.type_name())
        });
        ordering.map(fits)
    };
    Ok(match name {
        "defined" => !matches!(value, Py::Missing(_)),
        "undefined" => matches!(value, Py::Missing(_)),
        "none" => matches!(value, Py::None),
        "boolean" => matches!(value, Py::Bool(_)),
        "true" => matches!(value, Py::Bool(true)),
        "false" => matches!(value, Py::Bool(false)),
        "integer" => matches!(value, Py::Int(_) | Py::Big(_)),
        "float" => matches!(value, Py::Float(_)),
        "number" => ops::number(value).is_some(),
        "string" => matches!(value, Py::Str(_)),
        "mapping" => matches!(value, Py::Dict(DictKind::Plain | DictKind::Frappe, _)),
        "sequence" => {
            matches!(value, Py::Str(_) | Py::List(_) | Py::Tuple(_) | Py::Missing(_))
                || matches!(value, Py::Dict(DictKind::Plain | DictKind::Frappe, _))
                || matches!(value, Py::Object(object) if object.type_name() == "range")
        }
        "iterable" => value.iterate().is_ok(),
        "callable" => is_callable(value),
        "escaped" => false,
        "even" => whole(value)? % 2 == 0,
        "odd" => whole(value)? % 2 != 0,
        "divisibleby" => {
            let by = whole(other()?)?;
            whole(value)?.checked_rem(by).ok_or("integer modulo by zero")? == 0
        }
        "lower" => is_cased(value, "islower")?,
        "upper" => is_cased(value, "isupper")?,
        "sameas" => value.is(other()?),
        "in" => ops::contains(other()?, value)?,
        "eq" | "equalto" | "==" => ops::equal(value, other()?),
        "ne" | "!=" => !ops::equal(value, other()?),
        "lt" | "lessthan" | "<" => ordered(std::cmp::Ordering::is_lt)?,
        "le" | "<=" => ordered(std::cmp::Ordering::is_le)?,
        "gt" | "greaterthan" | ">" => ordered(std::cmp::Ordering::is_gt)?,
        "ge" | ">=" => ordered(std::cmp::Ordering::is_ge)?,
        "filter" => value.as_str().is_some_and(super::filters::is_known),
        "test" => value.as_str().is_some_and(is_known),
        _ => return Err(format!("No test named '{name}'.")),
    })
}

fn is_cased(value: &Py, method: &str) -> Result<bool, String> {
    let text = match value {
        Py::Missing(missing) => Missing::text(missing),
        other => other.to_text(),
    };
    Ok(text::call(&text, method, &crate::python::Args::default())?.is_some_and(|value| value.is_true()))
}
