//! Python's operators over its values.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use super::{Key, LEVELS_MAX, Py, dates};

/// Bytes that one repetition or concatenation may make.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Returns a number as a float; booleans are numbers.
pub(crate) fn number(value: &Py) -> Option<f64> {
    match value {
        Py::Bool(value) => Some(f64::from(u8::from(*value))),
        #[allow(clippy::cast_precision_loss, reason = "as in Python, where a float takes part")]
        Py::Int(value) => Some(*value as f64),
        Py::Float(value) => Some(*value),
        Py::Big(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// Returns a whole number; booleans are numbers.
pub(crate) fn integer(value: &Py) -> Option<i128> {
    match value {
        Py::Bool(value) => Some((*value).into()),
        Py::Int(value) => Some(*value),
        _ => None,
    }
}

/// Tells whether two values are equal; values of different kinds are not, except for numbers, and for a date and the
/// text of it: the same field is text after an insert and a date after loading.
pub(crate) fn equal(a: &Py, b: &Py) -> bool {
    equal_at(a, b, 0)
}

fn equal_at(a: &Py, b: &Py, level: usize) -> bool {
    if level > LEVELS_MAX {
        return false;
    }
    let rows = |a: &[Py], b: &[Py]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_at(a, b, level + 1));
    match (a, b) {
        (Py::None, Py::None) | (Py::Missing(_), Py::Missing(_)) => true,
        (Py::Str(a), Py::Str(b)) | (Py::Big(a), Py::Big(b)) => a == b,
        (Py::List(a), Py::List(b)) => a.is(b) || rows(&a.get(), &b.get()),
        (Py::Tuple(a), Py::Tuple(b)) => rows(a, b),
        (Py::Set(a), Py::Set(b)) => {
            a.len() == b.len() && a.iter().all(|item| b.iter().any(|other| equal_at(item, other, level + 1)))
        }
        (Py::Dict(_, a), Py::Dict(_, b)) => {
            let (x, y) = (a.get(), b.get());
            let same = |(key, value): (&Key, &Py)| y.get(key).is_some_and(|other| equal_at(value, other, level + 1));
            a.is(b) || (x.len() == y.len() && x.iter().all(same))
        }
        (Py::Object(a), Py::Object(b)) => {
            let (x, y) = (a.iterate(), b.iterate());
            Arc::ptr_eq(a, b) || (a.type_name() == b.type_name() && x.is_some_and(|x| y.is_some_and(|y| rows(&x, &y))))
        }
        (Py::List(_) | Py::Tuple(_) | Py::Set(_), _) | (_, Py::List(_) | Py::Tuple(_) | Py::Set(_)) => false,
        _ => compare(a, b) == Some(Ordering::Equal),
    }
}

/// Compares two values; none if Python has no order for them.
pub(crate) fn compare(a: &Py, b: &Py) -> Option<Ordering> {
    compare_at(a, b, 0)
}

fn compare_rows(a: &[Py], b: &[Py], level: usize) -> Option<Ordering> {
    for (a, b) in a.iter().zip(b) {
        if !equal_at(a, b, level + 1) {
            return compare_at(a, b, level + 1);
        }
    }
    Some(a.len().cmp(&b.len()))
}

fn compare_at(a: &Py, b: &Py, level: usize) -> Option<Ordering> {
    if level > LEVELS_MAX {
        return None;
    }
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return Some(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b);
    }
    match (a, b) {
        (Py::Str(a), Py::Str(b)) => Some(a.cmp(b)),
        (Py::List(a), Py::List(b)) => compare_rows(&a.get(), &b.get(), level),
        (Py::Tuple(a), Py::Tuple(b)) => compare_rows(a, b, level),
        (Py::Delta(a), Py::Delta(b)) => Some(a.cmp(b)),
        (Py::Time(a), Py::Time(b)) => Some(a.cmp(b)),
        (Py::Date(_) | Py::DateTime(_), _) | (_, Py::Date(_) | Py::DateTime(_)) => Some(moment(a)?.cmp(&moment(b)?)),
        _ => None,
    }
}

fn moment(value: &Py) -> Option<DateTime> {
    match value {
        Py::Date(date) => Some((*date).into()),
        Py::DateTime(moment) => Some(*moment),
        Py::Str(text) => dates::read(text),
        _ => None,
    }
}

/// Tells whether `item` is in `container`.
pub(crate) fn contains(container: &Py, item: &Py) -> Result<bool, String> {
    match (container, item) {
        (Py::Str(text), Py::Str(part)) => Ok(text.contains(part.as_ref())),
        (Py::Str(_), _) => Err(format!("'in <string>' requires string as left operand, not {}", item.type_name())),
        (Py::List(items), _) => Ok(items.get().iter().any(|other| equal(item, other))),
        (Py::Tuple(items) | Py::Set(items), _) => Ok(items.iter().any(|other| equal(item, other))),
        (Py::Dict(_, entries), _) => Ok(entries.get().contains_key(&Key::of(item)?)),
        (Py::Object(_) | Py::Missing(_), _) => Ok(container.iterate()?.iter().any(|other| equal(item, other))),
        _ => Err(format!("argument of type '{}' is not iterable", container.type_name())),
    }
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mult,
    Div,
    FloorDiv,
    Mod,
    Pow,
    BitAnd,
    BitOr,
    BitXor,
    Left,
    Right,
}

impl Binary {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mult => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::Left => "<<",
            Self::Right => ">>",
        }
    }
}

/// Computes with two values.
pub(crate) fn binary(operator: Binary, a: &Py, b: &Py) -> Result<Py, String> {
    if let Py::Missing(missing) = a {
        return Err(missing.error());
    }
    if let (Py::Missing(missing), false) = (b, matches!(a, Py::Str(_))) {
        return Err(missing.error());
    }
    if let (Some(x), Some(y)) = (integer(a), integer(b)) {
        return integers(operator, x, y);
    }
    let is_bitwise = matches!(operator, Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Left | Binary::Right);
    if let (Some(x), Some(y), false) = (number(a), number(b), is_bitwise) {
        return floats(operator, x, y);
    }
    let unsupported = || {
        let (a, b) = (a.type_name(), b.type_name());
        format!("unsupported operand type(s) for {}: '{a}' and '{b}'", operator.sign())
    };
    match (operator, a, b) {
        (Binary::Add, Py::Str(x), Py::Str(y)) if x.len() + y.len() <= TEXT_BYTES_MAX => Ok(Py::str(format!("{x}{y}"))),
        (Binary::Add, Py::List(x), Py::List(y)) => {
            let (x, y) = (x.get(), y.get());
            if 32 * (x.len() + y.len()) > TEXT_BYTES_MAX {
                return Err("the result is too large".into());
            }
            Ok(Py::list(x.iter().chain(y.iter()).cloned()))
        }
        (Binary::Add, Py::Tuple(x), Py::Tuple(y)) if 32 * (x.len() + y.len()) <= TEXT_BYTES_MAX => {
            Ok(Py::tuple(x.iter().chain(y.iter()).cloned()))
        }
        (Binary::Add, Py::Str(_), Py::Str(_)) => Err("the result is too large".into()),
        (Binary::Add, Py::Str(_), _) => Err(format!("can only concatenate str (not \"{}\") to str", b.type_name())),
        (Binary::Mult, Py::List(items), count) | (Binary::Mult, count, Py::List(items)) => {
            let (items, count) = (items.get(), integer(count).ok_or_else(unsupported)?);
            let count = usize::try_from(count.max(0)).ok();
            let fits = |count: &usize| items.len().checked_mul(32 * count).is_some_and(|bytes| bytes <= TEXT_BYTES_MAX);
            let count = count.filter(fits).ok_or("the result is too large")?;
            Ok(Py::list(items.iter().cloned().cycle().take(items.len() * count)))
        }
        (_, Py::Set(x), Py::Set(y)) => sets(operator, x, y).ok_or_else(unsupported),
        (Binary::Mult, Py::Str(text), count) | (Binary::Mult, count, Py::Str(text)) => {
            let count = integer(count).ok_or_else(unsupported)?;
            let count = usize::try_from(count.max(0)).ok();
            let fits = |count: &usize| text.len().checked_mul(*count).is_some_and(|bytes| bytes <= TEXT_BYTES_MAX);
            count.filter(fits).map(|count| Py::str(text.repeat(count))).ok_or_else(|| "the result is too large".into())
        }
        (Binary::Mod, Py::Str(text), arguments) => super::percent::percent(text, arguments),
        (Binary::Add, Py::Date(_) | Py::DateTime(_), Py::Delta(span)) => shifted(a, *span),
        (Binary::Add, Py::Delta(span), Py::Date(_) | Py::DateTime(_)) => shifted(b, *span),
        (Binary::Sub, Py::Date(_) | Py::DateTime(_), Py::Delta(span)) => shifted(a, -*span),
        (Binary::Sub, Py::Date(_) | Py::DateTime(_), Py::Date(_) | Py::DateTime(_)) => {
            let (x, y) = (moment(a).ok_or_else(unsupported)?, moment(b).ok_or_else(unsupported)?);
            Ok(Py::Delta(x.duration_since(y)))
        }
        (Binary::Add, Py::Delta(x), Py::Delta(y)) => x.checked_add(*y).map(Py::Delta).ok_or_else(unsupported),
        (Binary::Sub, Py::Delta(x), Py::Delta(y)) => x.checked_sub(*y).map(Py::Delta).ok_or_else(unsupported),
        _ => Err(unsupported()),
    }
}

/// Moves a date or a moment by a span of time.
pub(crate) fn shifted(value: &Py, span: SignedDuration) -> Result<Py, String> {
    let too_far = |_| "the date is out of range".to_owned();
    match value {
        Py::Date(date) => date.checked_add(span).map(Py::Date).map_err(too_far),
        Py::DateTime(moment) => moment.checked_add(span).map(Py::DateTime).map_err(too_far),
        _ => Err(format!("'{}' is no date", value.type_name())),
    }
}

fn integers(operator: Binary, x: i128, y: i128) -> Result<Py, String> {
    let result = match operator {
        Binary::Add => x.checked_add(y),
        Binary::Sub => x.checked_sub(y),
        Binary::Mult => x.checked_mul(y),
        #[allow(clippy::cast_precision_loss, reason = "as in Python, whose division gives a float")]
        Binary::Div => return floats(operator, x as f64, y as f64),
        Binary::FloorDiv | Binary::Mod if y == 0 => return Err("integer division or modulo by zero".into()),
        Binary::FloorDiv => x.checked_div(y).map(|quotient| quotient - i128::from(x % y != 0 && (x < 0) != (y < 0))),
        Binary::Mod => x.checked_rem(y).map(|rest| if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest }),
        #[allow(clippy::cast_precision_loss, reason = "as in Python, where a negative power gives a float")]
        Binary::Pow if y < 0 => return floats(operator, x as f64, y as f64),
        Binary::Pow => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        Binary::BitAnd => Some(x & y),
        Binary::BitOr => Some(x | y),
        Binary::BitXor => Some(x ^ y),
        Binary::Left => u32::try_from(y).ok().filter(|y| *y < 64).and_then(|y| x.checked_mul(1_i128 << y)),
        Binary::Right => u32::try_from(y).ok().map(|y| x >> y.min(127)),
    };
    result.map(Py::Int).ok_or_else(|| "the number is too large".into())
}

fn floats(operator: Binary, x: f64, y: f64) -> Result<Py, String> {
    let by_zero = y == 0.0 && matches!(operator, Binary::Div | Binary::FloorDiv | Binary::Mod);
    if by_zero {
        return Err(if operator == Binary::Div { "division by zero" } else { "float divmod()" }.into());
    }
    Ok(Py::Float(match operator {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mult => x * y,
        Binary::Div => x / y,
        Binary::FloorDiv => (x / y).floor(),
        Binary::Mod => {
            let rest = x % y;
            if rest != 0.0 && (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
        }
        Binary::Pow => x.powf(y),
        Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Left | Binary::Right => {
            return Err(format!("unsupported operand type(s) for {}: 'float'", operator.sign()));
        }
    }))
}

fn sets(operator: Binary, x: &[Py], y: &[Py]) -> Option<Py> {
    let has = |set: &[Py], item: &Py| set.iter().any(|other| equal(item, other));
    let in_both = |item: &&Py| has(y, item);
    let items: Vec<Py> = match operator {
        Binary::BitAnd => x.iter().filter(in_both).cloned().collect(),
        Binary::BitOr => x.iter().chain(y.iter().filter(|item| !has(x, item))).cloned().collect(),
        Binary::Sub => x.iter().filter(|item| !has(y, item)).cloned().collect(),
        Binary::BitXor => {
            let others = y.iter().filter(|item| !has(x, item));
            x.iter().filter(|item| !has(y, item)).chain(others).cloned().collect()
        }
        _ => return None,
    };
    Some(Py::Set(Arc::new(items)))
}
