//! Methods and attributes of Python's values.

use std::sync::Arc;

use super::{Py, dates, spell};

/// Bytes that one method may make.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Returns an attribute that is no method.
pub(crate) fn attribute(value: &Py, name: &str) -> Option<Py> {
    if let Py::Delta(span) = value {
        return match name {
            "days" => Some(Py::Int(span.as_secs().div_euclid(86_400).into())),
            "seconds" => Some(Py::Int(span.as_secs().rem_euclid(86_400).into())),
            _ => None,
        };
    }
    let (date, time) = match value {
        Py::Date(date) => (Some(*date), None),
        Py::DateTime(moment) => (Some(moment.date()), Some(moment.time())),
        Py::Time(time) => (None, Some(*time)),
        // A date field is text after an insert, and people write the same template for both.
        Py::Str(text) => {
            let moment = dates::read(text)?;
            (Some(moment.date()), Some(moment.time()))
        }
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

/// Calls a method.
pub(crate) fn call(value: &Py, method: &str, args: &[Py]) -> Result<Py, String> {
    let called = match value {
        Py::Str(text) => text_method(text, method, args)?,
        Py::Dict(entries) => match method {
            "get" => {
                let key = args.first().ok_or("get needs a key")?;
                let found = key.as_str().and_then(|key| entries.get(key)).cloned();
                // Frappe's dictionaries hold what is missing as None, and `get` has its default for that.
                Some(found.unwrap_or_else(|| args.get(1).cloned().unwrap_or(Py::None)))
            }
            "keys" => Some(Py::list(entries.keys().cloned().map(Py::Str))),
            "values" => Some(Py::list(entries.values().cloned())),
            "items" => {
                Some(Py::list(entries.iter().map(|(key, value)| Py::tuple([Py::Str(key.clone()), value.clone()]))))
            }
            "copy" | "as_dict" => Some(value.clone()),
            _ => None,
        },
        Py::List(items) | Py::Tuple(items) => match method {
            "count" => {
                let wanted = args.first().ok_or("count needs a value")?;
                Some(Py::Int(items.iter().filter(|item| super::ops::equal(item, wanted)).count() as i128))
            }
            "index" => {
                let wanted = args.first().ok_or("index needs a value")?;
                let place = items.iter().position(|item| super::ops::equal(item, wanted));
                Some(Py::Int(place.ok_or_else(|| format!("{} is not in list", wanted.repr()))? as i128))
            }
            "copy" => Some(value.clone()),
            _ => None,
        },
        _ => None,
    };
    let called = called.map_or_else(|| date_method(value, method, args), |value| Ok(Some(value)))?;
    called.ok_or_else(|| format!("'{}' object has no method '{method}'", value.type_name()))
}

fn date_method(value: &Py, method: &str, args: &[Py]) -> Result<Option<Py>, String> {
    if let (Py::Delta(span), "total_seconds") = (value, method) {
        return Ok(Some(Py::Float(span.as_secs_f64())));
    }
    if let (Py::Float(number), "is_integer") = (value, method) {
        return Ok(Some(Py::Bool(number.fract() == 0.0)));
    }
    let moment = match value {
        Py::Date(date) => (*date).into(),
        Py::DateTime(moment) => *moment,
        Py::Time(time) => jiff::civil::Date::default().to_datetime(*time),
        Py::Str(text) => match dates::read(text) {
            Some(moment) => moment,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(match method {
        "strftime" => Py::str(dates::format_in(moment, args.first().and_then(Py::as_str).unwrap_or_default())?),
        "isoformat" => match value {
            Py::DateTime(moment) => Py::str(spell::datetime(*moment, 'T')),
            _ => Py::str(value.to_text()),
        },
        "weekday" => Py::Int(moment.weekday().to_monday_zero_offset().into()),
        "isoweekday" => Py::Int(moment.weekday().to_monday_one_offset().into()),
        "date" => Py::Date(moment.date()),
        "time" => Py::Time(moment.time()),
        _ => return Ok(None),
    }))
}

fn text_method(text: &str, method: &str, args: &[Py]) -> Result<Option<Py>, String> {
    let arg = |place: usize| args.get(place).and_then(Py::as_str);
    let need = |place: usize| arg(place).ok_or_else(|| format!("{method} needs text"));
    let affix = |fits: &dyn Fn(&str) -> bool| match args.first().and_then(Py::items) {
        Some(several) => Ok(several.iter().filter_map(Py::as_str).any(fits)),
        None => need(0).map(fits),
    };
    let all = |fits: fn(char) -> bool| Py::Bool(!text.is_empty() && text.chars().all(fits));
    let strip = |left: bool, right: bool| {
        let set = arg(0);
        let out = |character: char| set.map_or_else(|| character.is_whitespace(), |set| set.contains(character));
        let text = if left { text.trim_start_matches(out) } else { text };
        Py::str(if right { text.trim_end_matches(out) } else { text })
    };
    Ok(Some(match method {
        "lower" | "casefold" => Py::str(text.to_lowercase()),
        "upper" => Py::str(text.to_uppercase()),
        "title" => Py::str(title(text)),
        "capitalize" => Py::str(capitalized(text)),
        "strip" => strip(true, true),
        "lstrip" => strip(true, false),
        "rstrip" => strip(false, true),
        "startswith" => Py::Bool(affix(&|part| text.starts_with(part))?),
        "endswith" => Py::Bool(affix(&|part| text.ends_with(part))?),
        "isdigit" | "isnumeric" | "isdecimal" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isupper" => Py::Bool(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)),
        "islower" => Py::Bool(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)),
        "count" => Py::Int(text.matches(need(0)?).count() as i128),
        "find" => {
            Py::Int(text.find(need(0)?).map_or(-1, |at| text.get(..at).unwrap_or_default().chars().count() as i128))
        }
        "split" => split(text, arg(0), args.get(1)),
        "splitlines" => Py::list(text.lines().map(Py::str)),
        "join" => joined(text, args.first().ok_or("join needs a list")?)?,
        "replace" => replaced(text, need(0)?, need(1)?)?,
        "removeprefix" => Py::str(text.strip_prefix(need(0)?).unwrap_or(text)),
        "removesuffix" => Py::str(text.strip_suffix(need(0)?).unwrap_or(text)),
        "zfill" | "ljust" | "rjust" | "center" => padded(text, method, args)?,
        "format" => formatted(text, args)?,
        "partition" => {
            let separator = need(0)?;
            let (before, found, after) =
                text.split_once(separator).map_or((text, "", ""), |(before, after)| (before, separator, after));
            Py::tuple([before, found, after].map(Py::str))
        }
        _ => return Ok(None),
    }))
}

fn title(text: &str) -> String {
    let mut in_word = false;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if in_word {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        in_word = character.is_alphabetic();
    }
    out
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters.flat_map(char::to_lowercase)).collect()
}

fn split(text: &str, separator: Option<&str>, most: Option<&Py>) -> Py {
    let most = most.and_then(super::ops::integer).and_then(|most| usize::try_from(most).ok());
    match (separator, most) {
        (Some(separator), Some(most)) => Py::list(text.splitn(most + 1, separator).map(Py::str)),
        (Some(separator), None) => Py::list(text.split(separator).map(Py::str)),
        (None, _) => Py::list(text.split_whitespace().map(Py::str)),
    }
}

fn joined(separator: &str, list: &Py) -> Result<Py, String> {
    let items = list.iterate()?;
    let texts: Option<Vec<&str>> = items.iter().map(Py::as_str).collect();
    let texts = texts.ok_or("sequence item: expected str instance")?;
    let bytes: usize = texts.iter().map(|text| text.len() + separator.len()).sum();
    if bytes > TEXT_BYTES_MAX { Err(too_large()) } else { Ok(Py::str(texts.join(separator))) }
}

fn replaced(text: &str, old: &str, new: &str) -> Result<Py, String> {
    let count = if old.is_empty() { text.len() + 1 } else { text.matches(old).count() };
    let bytes = count.saturating_mul(new.len()).saturating_add(text.len());
    if bytes > TEXT_BYTES_MAX { Err(too_large()) } else { Ok(Py::str(text.replace(old, new))) }
}

fn padded(text: &str, method: &str, args: &[Py]) -> Result<Py, String> {
    let width = args.first().and_then(super::ops::integer).ok_or_else(|| format!("{method} needs a width"))?;
    let width = usize::try_from(width).unwrap_or(0);
    if width > TEXT_BYTES_MAX / 4 {
        return Err(too_large());
    }
    let fill = args.get(1).and_then(Py::as_str).and_then(|fill| fill.chars().next());
    let lacking = width.saturating_sub(text.chars().count());
    let pad = |count: usize, fill: char| fill.to_string().repeat(count);
    Ok(Py::str(match method {
        "zfill" => {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            format!("{sign}{}{digits}", pad(lacking, '0'))
        }
        "ljust" => format!("{text}{}", pad(lacking, fill.unwrap_or(' '))),
        "rjust" => format!("{}{text}", pad(lacking, fill.unwrap_or(' '))),
        _ => format!(
            "{}{text}{}",
            pad(lacking / 2, fill.unwrap_or(' ')),
            pad(lacking - lacking / 2, fill.unwrap_or(' '))
        ),
    }))
}

/// Fills `{}`, `{0}` and their format specifications.
fn formatted(text: &str, args: &[Py]) -> Result<Py, String> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
            out.push_str(after_brace(rest, at));
            rest = after;
            continue;
        }
        let (field, after) =
            after.strip_prefix('{').and_then(|field| field.split_once('}')).ok_or("a single brace in a format")?;
        let (place, spec) = field.split_once(':').unwrap_or((field, ""));
        let place =
            if place.is_empty() { next } else { place.parse().map_err(|_| "a format field must be a number")? };
        next = place + 1;
        let value = args.get(place).ok_or("not enough arguments for the format")?;
        out.push_str(&if spec.is_empty() { value.to_text() } else { format_spec(value, spec)? });
        if out.len() > TEXT_BYTES_MAX {
            return Err(too_large());
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Py::str(out))
}

fn after_brace(text: &str, at: usize) -> &str {
    text.get(at..=at).unwrap_or_default()
}

/// Formats by `[0][width][,][.digits][d|f|s|%]`, and a date by `strftime`.
pub(crate) fn format_spec(value: &Py, spec: &str) -> Result<String, String> {
    if let Py::Date(_) | Py::DateTime(_) = value {
        return Ok(call(value, "strftime", &[Py::str(spec)])?.to_text());
    }
    let refused = || format!("the format {spec:?} can't be used for '{}'", value.type_name());
    let kind = spec.chars().last().filter(char::is_ascii_alphabetic);
    let body = kind.map_or(spec, |_| spec.get(..spec.len() - 1).unwrap_or_default());
    let (body, digits) = body.split_once('.').map_or((body, None), |(body, digits)| (body, Some(digits)));
    let digits = digits.map(|digits| digits.parse::<usize>().map_err(|_| refused())).transpose()?;
    let grouped = body.ends_with(',');
    let body = body.trim_end_matches(',');
    let zeros = body.len() > 1 && body.starts_with('0');
    let width = if body.is_empty() { 0 } else { body.parse::<usize>().map_err(|_| refused())? };
    if width > 1_000 || digits.is_some_and(|digits| digits > 100) {
        return Err(refused());
    }
    let number = super::ops::number(value);
    let text = match (kind, number) {
        (Some('f'), Some(number)) => format!("{number:.*}", digits.unwrap_or(6)),
        (Some('d'), Some(_)) => super::utils::cint(value).to_string(),
        (None, Some(number)) if digits.is_some() => format!("{number:.*}", digits.unwrap_or_default()),
        (None | Some('s'), _) => value.to_text(),
        _ => return Err(refused()),
    };
    let text = if grouped { grouped_digits(&text) } else { text };
    let fill = if zeros { "0" } else { " " };
    let lacking = fill.repeat(width.saturating_sub(text.chars().count()));
    Ok(if number.is_some() { format!("{lacking}{text}") } else { format!("{text}{lacking}") })
}

/// Puts a comma before every three digits.
pub(crate) fn grouped_digits(number: &str) -> String {
    let (whole, fraction) = number.find('.').map_or((number, ""), |point| number.split_at(point));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut out = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn too_large() -> String {
    "the result is too large".into()
}

/// Returns the item or the slice bound that `index` names in something of this length.
pub(crate) fn place(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// Returns `value[index]`.
pub(crate) fn item(value: &Py, index: &Py) -> Result<Py, String> {
    match (value, index) {
        (Py::Dict(entries), Py::Str(key)) => {
            entries.get(key.as_ref()).cloned().ok_or_else(|| format!("there is no key {}", index.repr()))
        }
        (Py::List(items) | Py::Tuple(items), _) => {
            let at =
                super::ops::integer(index).ok_or_else(|| format!("'{}' is no place in a list", index.type_name()))?;
            let found = place(at, items.len()).and_then(|at| items.get(at)).cloned();
            found.ok_or_else(|| format!("{} index out of range", value.type_name()))
        }
        (Py::Str(text), _) => {
            let characters: Vec<char> = text.chars().collect();
            let at = super::ops::integer(index).ok_or("a place in text is a number")?;
            let found = place(at, characters.len()).and_then(|at| characters.get(at));
            found.map(|character| Py::str(character.to_string())).ok_or_else(|| "string index out of range".into())
        }
        _ => Err(format!("'{}' object is not subscriptable", value.type_name())),
    }
}

/// Returns `value[from:to:step]`.
pub(crate) fn slice(value: &Py, from: Option<i128>, to: Option<i128>, step: i128) -> Result<Py, String> {
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
        _ => Py::List(Arc::new(taken)),
    })
}
