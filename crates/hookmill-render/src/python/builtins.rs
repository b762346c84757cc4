//! Python's own functions, as far as they compute something of values alone.

use std::cmp::Ordering;
use std::sync::Arc;

use super::object::{Range, View};
use super::ops::{self, Binary};
use super::{Args, Dict, DictKind, Key, Py};

/// Items that `range` may make.
const RANGE_MAX: i128 = 100_000;

/// The functions by name.
pub(crate) const NAMES: [&str; 22] = [
    "abs",
    "all",
    "any",
    "bool",
    "dict",
    "divmod",
    "enumerate",
    "float",
    "int",
    "isinstance",
    "len",
    "list",
    "long",
    "max",
    "min",
    "range",
    "reversed",
    "round",
    "set",
    "sorted",
    "str",
    "sum",
];

/// Further functions that are written like these.
pub(crate) const MORE: [&str; 3] = ["repr", "tuple", "zip"];

/// Calls a function.
pub(crate) fn call(name: &str, args: &Args) -> Result<Py, String> {
    let first = || args.need(0, "x");
    let over = || first()?.iterate();
    match name {
        // A child table that was not filled is null in some documents; it has no rows.
        "len" if matches!(first()?, Py::None) => Ok(Py::Int(0)),
        "len" => length(first()?).map(|length| Py::Int(length as i128)),
        "int" | "long" => int(first()?),
        "float" => float(first()?),
        "str" => Ok(Py::str(text(args.get(0, "object"), false)?)),
        "repr" => Ok(Py::str(text(first()?, true)?)),
        "bool" => Ok(Py::Bool(args.get(0, "x").is_true())),
        "abs" => match first()? {
            Py::Float(value) => Ok(Py::Float(value.abs())),
            value => {
                let value = ops::integer(value)
                    .ok_or_else(|| format!("bad operand type for abs(): '{}'", value.type_name()))?;
                value.checked_abs().map(Py::Int).ok_or_else(|| "the number is too large".into())
            }
        },
        "round" => round(first()?, args.get(1, "ndigits")),
        "divmod" => Ok(Py::tuple([
            ops::binary(Binary::FloorDiv, first()?, args.need(1, "y")?)?,
            ops::binary(Binary::Mod, first()?, args.need(1, "y")?)?,
        ])),
        "sum" => {
            let start = args.get(1, "start");
            let start = if matches!(start, Py::None) { Py::Int(0) } else { start.clone() };
            over()?.iter().try_fold(start, |sum, item| ops::binary(Binary::Add, &sum, item))
        }
        "any" => Ok(Py::Bool(over()?.iter().any(Py::is_true))),
        "all" => Ok(Py::Bool(over()?.iter().all(Py::is_true))),
        "min" => extreme(name, args, Ordering::Less),
        "max" => extreme(name, args, Ordering::Greater),
        "sorted" => {
            let mut items = over()?;
            sort(&mut items)?;
            if args.get(2, "reverse").is_true() {
                items.reverse();
            }
            Ok(Py::list(items))
        }
        "list" => {
            if args.given.is_empty() {
                Ok(Py::list([]))
            } else {
                over().map(Py::list)
            }
        }
        "tuple" => {
            if args.given.is_empty() {
                Ok(Py::tuple([]))
            } else {
                over().map(Py::tuple)
            }
        }
        "set" => Ok(Py::Set(Arc::new(unique(if args.given.is_empty() { vec![] } else { over()? })))),
        "reversed" => Ok(view("list_reverseiterator", over()?.into_iter().rev().collect())),
        "enumerate" => {
            let start = i128::from(args.int(1, "start", 0)?);
            let numbered = over()?.into_iter().zip(start..).map(|(item, number)| Py::tuple([Py::Int(number), item]));
            Ok(view("enumerate", numbered.collect()))
        }
        "zip" => zip(args),
        "range" => range(args),
        "dict" => dict(args),
        "isinstance" => Err("there are no types to compare with; compare the value".into()),
        _ => Err(format!("name '{name}' is not defined")),
    }
}

/// Returns the values without repetition, in the order of their first standing.
pub(crate) fn unique(items: Vec<Py>) -> Vec<Py> {
    let mut kept: Vec<Py> = Vec::new();
    for item in items {
        if kept.len() < 10_000 && !kept.iter().any(|other| ops::equal(other, &item)) {
            kept.push(item);
        }
    }
    kept
}

/// Returns a value as text, if it is not too much.
pub(crate) fn text(value: &Py, repr: bool) -> Result<String, String> {
    value.weigh(&mut super::WEIGHT_MAX.clone())?;
    Ok(if repr { value.repr() } else { value.to_text() })
}

fn view(name: &'static str, items: Vec<Py>) -> Py {
    Py::object(View { name, items })
}

/// Returns `len(value)`.
pub(crate) fn length(value: &Py) -> Result<usize, String> {
    Ok(match value {
        Py::Str(text) => text.chars().count(),
        Py::List(items) => items.get().len(),
        Py::Tuple(items) | Py::Set(items) => items.len(),
        Py::Dict(kind, entries) if *kind != DictKind::Document => entries.get().len(),
        Py::Missing(_) => 0,
        Py::Object(object) => {
            object.length().ok_or_else(|| format!("object of type '{}' has no len()", object.type_name()))?
        }
        _ => return Err(format!("object of type '{}' has no len()", value.type_name())),
    })
}

fn int(value: &Py) -> Result<Py, String> {
    match value {
        Py::Str(text) => {
            let text = text.trim().replace('_', "");
            text.parse().map(Py::Int).map_err(|_| format!("invalid literal for int() with base 10: {}", value.repr()))
        }
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        Py::Float(number) if number.abs() < 1e38 => Ok(Py::Int(*number as i128)),
        Py::Float(_) => Err("cannot convert float infinity or NaN to integer".into()),
        Py::Big(_) => Ok(value.clone()),
        _ => ops::integer(value)
            .map(Py::Int)
            .ok_or_else(|| format!("int() argument must be a string or a real number, not '{}'", value.type_name())),
    }
}

fn float(value: &Py) -> Result<Py, String> {
    match value {
        Py::Str(text) => text
            .trim()
            .parse()
            .map(Py::Float)
            .map_err(|_| format!("could not convert string to float: {}", value.repr())),
        _ => ops::number(value)
            .map(Py::Float)
            .ok_or_else(|| format!("float() argument must be a string or a real number, not '{}'", value.type_name())),
    }
}

fn round(value: &Py, digits: &Py) -> Result<Py, String> {
    if let Some(whole) = ops::integer(value) {
        return Ok(Py::Int(match ops::integer(digits) {
            Some(digits @ -38..=-1) => round_whole(whole, 10_i128.pow(u32::try_from(-digits).unwrap_or(0))),
            _ => whole,
        }));
    }
    let number =
        ops::number(value).ok_or_else(|| format!("type {} doesn't define __round__ method", value.type_name()))?;
    match ops::integer(digits) {
        None => int(&Py::Float(number.round_ties_even())),
        Some(digits) => Ok(Py::Float(exactly_rounded(number, digits))),
    }
}

/// Rounds the exact number, as Python's `round` does; half goes to the even neighbour.
pub(crate) fn exactly_rounded(number: f64, digits: i128) -> f64 {
    match usize::try_from(digits) {
        Ok(digits) if digits <= 300 => format!("{number:.digits$}").parse().unwrap_or(number),
        Ok(_) => number,
        Err(_) => {
            let factor = 10_f64.powi(i32::try_from(-digits).unwrap_or(400));
            if factor.is_finite() { (number / factor).round_ties_even() * factor } else { 0.0 }
        }
    }
}

fn round_whole(whole: i128, factor: i128) -> i128 {
    let (down, rest) = (whole.div_euclid(factor), whole.rem_euclid(factor));
    let up = rest * 2 > factor || (rest * 2 == factor && down % 2 != 0);
    (down + i128::from(up)).saturating_mul(factor)
}

fn extreme(name: &str, args: &Args, wanted: Ordering) -> Result<Py, String> {
    let items = if args.given.len() > 1 { args.given.clone() } else { args.need(0, "iterable")?.iterate()? };
    let default = args.named.iter().find(|(known, _)| known == "default").map(|(_, value)| value.clone());
    let mut items = items.into_iter();
    let Some(mut best) = items.next() else {
        return default.ok_or_else(|| format!("{name}() arg is an empty sequence"));
    };
    for item in items {
        if ordered(&item, &best)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

fn ordered(a: &Py, b: &Py) -> Result<Ordering, String> {
    ops::compare(a, b)
        .ok_or_else(|| format!("'<' not supported between instances of '{}' and '{}'", a.type_name(), b.type_name()))
}

pub(crate) fn sort(items: &mut [Py]) -> Result<(), String> {
    let mut fault = None;
    items.sort_by(|a, b| {
        ordered(a, b).unwrap_or_else(|error| {
            fault = Some(error);
            Ordering::Equal
        })
    });
    fault.map_or(Ok(()), Err)
}

fn zip(args: &Args) -> Result<Py, String> {
    let lists = args.given.iter().map(Py::iterate).collect::<Result<Vec<_>, _>>()?;
    let length = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row = |place: usize| Py::tuple(lists.iter().filter_map(|list| list.get(place)).cloned());
    Ok(Py::list((0..length).map(row)))
}

fn range(args: &Args) -> Result<Py, String> {
    let bound =
        |place: usize| args.given.get(place).map(|value| ops::integer(value).ok_or("range needs whole numbers"));
    let (from, to) = match (bound(0).transpose()?, bound(1).transpose()?) {
        (Some(to), None) => (0, to),
        (Some(from), Some(to)) => (from, to),
        _ => return Err("range needs a number".into()),
    };
    let step = bound(2).transpose()?.unwrap_or(1);
    if step == 0 {
        return Err("range() arg 3 must not be zero".into());
    }
    let count = to.saturating_sub(from).checked_div(step).unwrap_or(0);
    if count > RANGE_MAX {
        return Err(format!("range has more than {RANGE_MAX} items"));
    }
    Ok(Py::object(Range { from, to, step }))
}

fn dict(args: &Args) -> Result<Py, String> {
    let mut entries: Dict = match args.given.first() {
        Some(Py::Dict(_, entries)) => entries.get().as_ref().clone(),
        Some(list) => pairs(list)?,
        None => Dict::new(),
    };
    entries.extend(args.named.iter().map(|(key, value)| (Key::text(key.as_str()), value.clone())));
    Ok(Py::dict(entries))
}

/// Reads the entries of a dictionary from a list of pairs.
pub(crate) fn pairs(list: &Py) -> Result<Dict, String> {
    let mut entries = Dict::new();
    for (place, pair) in list.iterate()?.iter().enumerate() {
        match pair.iterate()?.as_slice() {
            [key, value] => entries.insert(Key::of(key)?, value.clone()),
            other => {
                let length = other.len();
                let message = format!("dictionary update sequence element #{place} has length {length}; 2 is required");
                return Err(message);
            }
        };
    }
    Ok(entries)
}
