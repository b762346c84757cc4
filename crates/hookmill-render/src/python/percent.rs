//! Python's formatting by `%`.

use std::sync::Arc;

use super::format::format_spec;
use super::{Args, Py, builtins, methods, ops};

/// Bytes that one formatting may make.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Fills the fields of `text % arguments`.
pub(crate) fn percent(text: &str, arguments: &Py) -> Result<Py, String> {
    let given = match arguments {
        Py::Tuple(items) => items.clone(),
        other => Arc::new(vec![other.clone()]),
    };
    let mut given = given.iter();
    let (mut out, mut rest, mut by_name) = (String::new(), text, false);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut after = after;
        let mut named = None;
        if let Some(inside) = after.strip_prefix('(') {
            let (name, behind) = inside.split_once(')').ok_or("incomplete format key")?;
            if !matches!(arguments, Py::Dict(..)) {
                return Err("format requires a mapping".into());
            }
            named = Some(methods::item(arguments, &Py::str(name))?);
            (after, by_name) = (behind, true);
        }
        let end = after.find(|c: char| !"#0- +123456789.*".contains(c)).ok_or("incomplete format")?;
        let (spec, behind) = after.split_at(end);
        let behind = behind.strip_prefix(['l', 'h', 'L']).unwrap_or(behind);
        let kind = behind.chars().next().ok_or("incomplete format")?;
        rest = behind.strip_prefix(kind).unwrap_or_default();
        let mut next = || given.next().cloned().ok_or_else(|| "not enough arguments for format string".to_owned());
        let mut full = String::new();
        for character in spec.chars() {
            match character {
                '*' => full.push_str(&next()?.to_text()),
                other => full.push(other),
            }
        }
        let value = match named {
            Some(value) => value,
            None => next()?,
        };
        out.push_str(&percent_field(&value, &full, kind)?);
        if out.len() > TEXT_BYTES_MAX {
            return Err("the result is too large".into());
        }
    }
    out.push_str(rest);
    if !by_name && given.next().is_some() && !matches!(arguments, Py::Dict(..) | Py::List(_)) {
        return Err("not all arguments converted during string formatting".into());
    }
    Ok(Py::str(out))
}

fn percent_field(value: &Py, spec: &str, kind: char) -> Result<String, String> {
    let flags_end = spec.find(|c: char| !"#0- +".contains(c)).unwrap_or(spec.len());
    let (flags, size) = spec.split_at(flags_end);
    let has = |flag: char| flags.contains(flag);
    let is_number = !matches!(kind, 's' | 'r' | 'a' | 'c');
    let mut full = String::new();
    match (has('-'), has('0') && is_number) {
        (true, _) => full.push('<'),
        (false, true) => full.push_str("0="),
        (false, false) => full.push('>'),
    }
    if is_number {
        full.push_str(if has('+') {
            "+"
        } else if has(' ') {
            " "
        } else {
            ""
        });
        full.push_str(if has('#') { "#" } else { "" });
    }
    full.push_str(size.trim_start_matches('0'));
    let full = full.trim_end_matches('.');
    match kind {
        's' => format_spec(&Py::str(builtins::text(value, false)?), full),
        'r' | 'a' => format_spec(&Py::str(builtins::text(value, true)?), full),
        'c' => {
            let character = match ops::integer(value) {
                Some(code) => u32::try_from(code).ok().and_then(char::from_u32).map(|character| character.to_string()),
                None => value.as_str().filter(|text| text.chars().count() == 1).map(ToOwned::to_owned),
            };
            let character = character.ok_or("%c requires int or char")?;
            format_spec(&Py::str(character), full)
        }
        'd' | 'i' | 'u' => {
            let whole = match value {
                Py::Float(number) => builtins::call("int", &Args::given([Py::Float(*number)]))?,
                Py::Bool(_) | Py::Int(_) | Py::Big(_) => value.clone(),
                _ => {
                    return Err(format!("%{kind} format: a real number is required, not {}", value.type_name()));
                }
            };
            format_spec(&whole, full.split('.').next().unwrap_or_default())
        }
        'x' | 'X' | 'o' if ops::integer(value).is_some() => format_spec(value, &format!("{full}{kind}")),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' if ops::number(value).is_some() => {
            format_spec(&Py::Float(ops::number(value).unwrap_or(0.0)), &format!("{full}{kind}"))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => Err(format!("must be real number, not {}", value.type_name())),
        'x' | 'X' | 'o' => Err(format!("%{kind} format: an integer is required, not {}", value.type_name())),
        _ => Err(format!("unsupported format character '{kind}'")),
    }
}
