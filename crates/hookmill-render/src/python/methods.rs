//! Methods and attributes of Python's values, but for those of text and those that change.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};

use super::object::{Named, View};
use super::{Args, Dict, Key, Py, dates, format, ops, spell, text};

/// Returns an attribute that is no method.
pub(crate) fn attribute(value: &Py, name: &str) -> Option<Py> {
    let (date, time) = match value {
        Py::Delta(span) => {
            return match name {
                "days" => Some(Py::Int(span.as_secs().div_euclid(86_400).into())),
                "seconds" => Some(Py::Int(span.as_secs().rem_euclid(86_400).into())),
                "microseconds" => Some(Py::Int(span.subsec_micros().into())),
                _ => None,
            };
        }
        Py::Object(object) => return object.attribute(name),
        Py::Date(date) => (Some(*date), None),
        Py::DateTime(moment) => (Some(moment.date()), Some(moment.time())),
        Py::Time(time) => (None, Some(*time)),
        _ => return None,
    };
    let number = match name {
        "year" => i128::from(date?.year()),
        "month" => date?.month().into(),
        "day" => date?.day().into(),
        "hour" => time?.hour().into(),
        "minute" => time?.minute().into(),
        "second" => time?.second().into(),
        "microsecond" => (time?.subsec_nanosecond() / 1_000).into(),
        _ => return None,
    };
    Some(Py::Int(number))
}

/// Tells whether a value has this method; those that change it are not among them.
pub(crate) fn has(value: &Py, method: &str) -> bool {
    match value {
        Py::Str(_) => text::has(method),
        Py::Dict(..) => matches!(method, "get" | "keys" | "values" | "items" | "copy"),
        Py::List(_) => matches!(method, "count" | "index" | "copy"),
        Py::Tuple(_) => matches!(method, "count" | "index"),
        _ => false,
    }
}

/// Calls a method.
pub(crate) fn call(value: &Py, method: &str, args: &Args) -> Result<Py, String> {
    let called = match value {
        Py::Missing(missing) => return Err(missing.error()),
        Py::Str(of) => text::call(of, method, args)?,
        Py::Dict(kind, entries) => dict_method(&entries.get(), method, args)?.or_else(|| match method {
            "copy" => Some(Py::Dict(*kind, super::Shared::new(entries.get().as_ref().clone()))),
            _ => None,
        }),
        Py::List(items) => list_method(&items.get(), method, args)?.or_else(|| match method {
            "copy" => Some(Py::list(items.get().iter().cloned())),
            _ => None,
        }),
        Py::Tuple(items) => list_method(items, method, args)?,
        Py::Set(items) => set_method(items, method, args)?,
        Py::Int(number) => int_method(*number, method),
        Py::Float(number) if method == "is_integer" => Some(Py::Bool(number.fract() == 0.0)),
        Py::Delta(span) if method == "total_seconds" => Some(Py::Float(span.as_secs_f64())),
        _ => date_method(value, method, args)?,
    };
    called.ok_or_else(|| format!("'{}' object has no attribute '{method}'", value.type_name()))
}

fn dict_method(entries: &Dict, method: &str, args: &Args) -> Result<Option<Py>, String> {
    let view = |name, items| Some(Py::object(View { name, items }));
    Ok(match method {
        "get" => {
            let key = Key::of(args.need(0, "key")?)?;
            Some(entries.get(&key).cloned().unwrap_or_else(|| args.get(1, "default").clone()))
        }
        "keys" => view("dict_keys", entries.keys().map(|key| key.0.clone()).collect()),
        "values" => view("dict_values", entries.values().cloned().collect()),
        "items" => {
            let pairs = entries.iter().map(|(key, value)| Py::tuple([key.0.clone(), value.clone()]));
            view("dict_items", pairs.collect())
        }
        _ => None,
    })
}

fn list_method(items: &[Py], method: &str, args: &Args) -> Result<Option<Py>, String> {
    Ok(match method {
        "count" => {
            let wanted = args.need(0, "value")?;
            Some(Py::Int(items.iter().filter(|item| ops::equal(item, wanted)).count() as i128))
        }
        "index" => {
            let wanted = args.need(0, "value")?;
            let place = items.iter().position(|item| ops::equal(item, wanted));
            Some(Py::Int(place.ok_or_else(|| format!("{} is not in list", wanted.repr()))? as i128))
        }
        _ => None,
    })
}

fn set_method(items: &Arc<Vec<Py>>, method: &str, args: &Args) -> Result<Option<Py>, String> {
    let operator = match method {
        "union" => ops::Binary::BitOr,
        "intersection" => ops::Binary::BitAnd,
        "difference" => ops::Binary::Sub,
        "symmetric_difference" => ops::Binary::BitXor,
        _ => return Ok(None),
    };
    let other = Py::Set(Arc::new(super::builtins::unique(args.need(0, "other")?.iterate()?)));
    ops::binary(operator, &Py::Set(items.clone()), &other).map(Some)
}

/// What Frappe's `docstatus` answers, which is a number otherwise.
fn int_method(number: i128, method: &str) -> Option<Py> {
    match method {
        "is_draft" => Some(Py::Bool(number == 0)),
        "is_submitted" => Some(Py::Bool(number == 1)),
        "is_cancelled" => Some(Py::Bool(number == 2)),
        _ => None,
    }
}

fn date_method(value: &Py, method: &str, args: &Args) -> Result<Option<Py>, String> {
    let moment = match value {
        Py::Date(date) => (*date).into(),
        Py::DateTime(moment) => *moment,
        Py::Time(time) => Date::default().to_datetime(*time),
        _ => return Ok(None),
    };
    let is_time = matches!(value, Py::Time(_));
    Ok(Some(match method {
        "strftime" => {
            let pattern = args.need(0, "format")?.as_str().ok_or("strftime() argument 1 must be str")?;
            format::strftime(value, pattern)?
        }
        "isoformat" => match value {
            Py::DateTime(moment) => Py::str(spell::datetime(*moment, 'T')),
            _ => Py::str(value.to_text()),
        },
        "replace" => replaced(value, moment, args)?,
        "weekday" if !is_time => Py::Int(moment.weekday().to_monday_zero_offset().into()),
        "isoweekday" if !is_time => Py::Int(moment.weekday().to_monday_one_offset().into()),
        "toordinal" if !is_time => Py::Int(dates::days_between(moment.date(), jiff::civil::date(1, 1, 1)) + 1),
        "isocalendar" if !is_time => {
            let week = moment.date().iso_week_date();
            let parts = [
                ("year", Py::Int(week.year().into())),
                ("week", Py::Int(week.week().into())),
                ("weekday", Py::Int(week.weekday().to_monday_one_offset().into())),
            ];
            Py::object(Named { name: "datetime.IsoCalendarDate", parts: parts.into() })
        }
        "ctime" if !is_time => Py::str(dates::format_in(moment, "%a %b %e %H:%M:%S %Y")?),
        "date" if matches!(value, Py::DateTime(_)) => Py::Date(moment.date()),
        "time" if matches!(value, Py::DateTime(_)) => Py::Time(moment.time()),
        "timestamp" if matches!(value, Py::DateTime(_)) => Py::Float(dates::timestamp(moment)),
        _ => return Ok(None),
    }))
}

/// `date.replace(day=1)` and its like.
fn replaced(value: &Py, moment: DateTime, args: &Args) -> Result<Py, String> {
    let names: &[&str] = match value {
        Py::Date(_) => &["year", "month", "day"],
        Py::Time(_) => &["hour", "minute", "second", "microsecond"],
        _ => &["year", "month", "day", "hour", "minute", "second", "microsecond"],
    };
    let part = |name: &'static str, otherwise: i64| match names.iter().position(|known| *known == name) {
        Some(place) => args.int(place, name, otherwise),
        None => Ok(otherwise),
    };
    let wrong = |name: &str| format!("{name} is out of range");
    let small = |number: i64, name: &str| i8::try_from(number).map_err(|_| wrong(name));
    let year = i16::try_from(part("year", moment.year().into())?).map_err(|_| wrong("year"))?;
    let (month, day) = (part("month", moment.month().into())?, part("day", moment.day().into())?);
    let date = Date::new(year, small(month, "month")?, small(day, "day")?).map_err(|_| wrong("day"))?;
    let (hour, minute) = (part("hour", moment.hour().into())?, part("minute", moment.minute().into())?);
    let second = part("second", moment.second().into())?;
    let micros = part("microsecond", (moment.subsec_nanosecond() / 1_000).into())?;
    let nanos = i32::try_from(micros.saturating_mul(1_000)).map_err(|_| wrong("microsecond"))?;
    let time = Time::new(small(hour, "hour")?, small(minute, "minute")?, small(second, "second")?, nanos);
    let time = time.map_err(|_| wrong("hour"))?;
    Ok(match value {
        Py::Date(_) => Py::Date(date),
        Py::Time(_) => Py::Time(time),
        _ => Py::DateTime(date.to_datetime(time)),
    })
}

/// Returns the place that `index` names in something of this length.
pub(crate) fn place(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// Returns `value[index]`.
pub(crate) fn item(value: &Py, index: &Py) -> Result<Py, String> {
    let indices = |kind: &str| format!("{kind} indices must be integers or slices, not {}", index.type_name());
    match value {
        Py::Missing(missing) => Err(missing.error()),
        Py::Dict(_, entries) => entries.get().get(&Key::of(index)?).cloned().ok_or_else(|| index.repr()),
        Py::List(_) | Py::Tuple(_) | Py::Object(_) => {
            let items = value.items().map_or_else(|| value.iterate().map(Arc::new), Ok);
            let items = items.map_err(|_| format!("'{}' object is not subscriptable", value.type_name()))?;
            let at = ops::integer(index).ok_or_else(|| indices(value.type_name()))?;
            let found = place(at, items.len()).and_then(|at| items.get(at)).cloned();
            found.ok_or_else(|| format!("{} index out of range", value.type_name()))
        }
        Py::Str(text) => {
            let at = ops::integer(index).ok_or_else(|| indices("string"))?;
            let characters: Vec<char> = text.chars().collect();
            let found = place(at, characters.len()).and_then(|at| characters.get(at));
            found.map(|character| Py::str(character.to_string())).ok_or_else(|| "string index out of range".into())
        }
        _ => Err(format!("'{}' object is not subscriptable", value.type_name())),
    }
}

/// Returns `value[from:to:step]`.
pub(crate) fn slice(value: &Py, from: Option<i128>, to: Option<i128>, step: i128) -> Result<Py, String> {
    if !matches!(value, Py::Str(_) | Py::List(_) | Py::Tuple(_) | Py::Object(_)) {
        return Err(format!("'{}' object is not subscriptable", value.type_name()));
    }
    let items: Vec<Py> = value.iterate()?;
    let length = items.len() as i128;
    let clamp =
        |bound: i128| (if bound < 0 { bound + length } else { bound }).clamp(if step < 0 { -1 } else { 0 }, length);
    if step == 0 {
        return Err("slice step cannot be zero".into());
    }
    let (from, to) = match step > 0 {
        true => (from.map_or(0, clamp), to.map_or(length, clamp)),
        false => (from.map_or(length - 1, |from| clamp(from).min(length - 1)), to.map_or(-1, clamp)),
    };
    let mut taken = Vec::new();
    let mut at = from;
    while (step > 0 && at < to) || (step < 0 && at > to) {
        taken.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        at = at.saturating_add(step);
    }
    Ok(match value {
        Py::Str(_) => Py::str(taken.iter().filter_map(Py::as_str).collect::<String>()),
        Py::Tuple(_) => Py::Tuple(Arc::new(taken)),
        _ => Py::list(taken),
    })
}
