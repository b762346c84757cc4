//! The methods of text.

use super::object::Bytes;
use super::{Args, Py, format, ops};

/// Bytes that one method may make.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The methods by name.
const NAMES: [&str; 42] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// Tells whether text has this method.
pub(crate) fn has(method: &str) -> bool {
    NAMES.contains(&method)
}

/// Calls a method of text; none if there is no such.
pub(crate) fn call(text: &str, method: &str, args: &Args) -> Result<Option<Py>, String> {
    let arg = |place: usize| args.given.get(place).and_then(Py::as_str);
    let need = |place: usize| {
        arg(place).ok_or_else(|| {
            let kind = args.given.get(place).map_or("nothing", Py::type_name);
            format!("{method}() argument {} must be str, not {kind}", place + 1)
        })
    };
    let affix = |fits: &dyn Fn(&str) -> bool| match args.given.first().and_then(Py::items) {
        Some(several) => Ok(several.iter().filter_map(Py::as_str).any(fits)),
        None => need(0).map(fits),
    };
    let all = |fits: fn(char) -> bool| Py::Bool(!text.is_empty() && text.chars().all(fits));
    let cased =
        |one: fn(char) -> bool, other: fn(char) -> bool| Py::Bool(text.chars().any(one) && !text.chars().any(other));
    let strip = |left: bool, right: bool| {
        let set = arg(0);
        let out = |character: char| set.map_or_else(|| is_space(character), |set| set.contains(character));
        let text = if left { text.trim_start_matches(out) } else { text };
        Py::str(if right { text.trim_end_matches(out) } else { text })
    };
    Ok(Some(match method {
        "lower" => Py::str(text.to_lowercase()),
        "casefold" => Py::str(text.to_lowercase().replace('ß', "ss")),
        "upper" => Py::str(text.to_uppercase()),
        "title" => Py::str(title(text)),
        "capitalize" => Py::str(capitalized(text)),
        "swapcase" => Py::str(text.chars().map(swapped).collect::<String>()),
        "strip" => strip(true, true),
        "lstrip" => strip(true, false),
        "rstrip" => strip(false, true),
        "startswith" => Py::Bool(affix(&|part| within(text, args).1.starts_with(part))?),
        "endswith" => Py::Bool(affix(&|part| within(text, args).1.ends_with(part))?),
        "isdigit" | "isdecimal" => all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())),
        "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(is_space),
        "isascii" => Py::Bool(text.is_ascii()),
        "istitle" => Py::Bool(text.chars().any(char::is_alphabetic) && title(text) == text),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "count" => Py::Int(match need(0)? {
            "" => text.chars().count() as i128 + 1,
            part => text.matches(part).count() as i128,
        }),
        "find" | "index" | "rfind" | "rindex" => found(text, need(0)?, method, args)?,
        "split" | "rsplit" => split(text, method, args)?,
        "splitlines" => Py::list(lines(text)),
        "join" => joined(text, args.given.first().ok_or("join() takes exactly one argument (0 given)")?)?,
        "replace" => replaced(text, need(0)?, need(1)?, args.get(2, "count"))?,
        "removeprefix" => Py::str(text.strip_prefix(need(0)?).unwrap_or(text)),
        "removesuffix" => Py::str(text.strip_suffix(need(0)?).unwrap_or(text)),
        "zfill" | "ljust" | "rjust" | "center" => padded(text, method, args)?,
        "expandtabs" => expanded(text, args)?,
        "encode" => Py::object(Bytes(text.as_bytes().to_vec())),
        "format" => format::formatted(text, args)?,
        "partition" | "rpartition" => {
            let separator = need(0)?;
            let parts = if method == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            Py::tuple(match parts {
                Some((before, after)) => [before, separator, after].map(Py::str),
                None if method == "partition" => [text, "", ""].map(Py::str),
                None => ["", "", text].map(Py::str),
            })
        }
        _ => return Ok(None),
    }))
}

/// Tells what Python takes for white space.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

fn swapped(character: char) -> char {
    if character.is_uppercase() {
        character.to_lowercase().next().unwrap_or(character)
    } else {
        character.to_uppercase().next().unwrap_or(character)
    }
}

pub(crate) fn title(text: &str) -> String {
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

pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters.flat_map(char::to_lowercase)).collect()
}

/// Returns the part of a text between the characters that the second and third argument name, and where it begins.
fn within<'a>(text: &'a str, args: &Args) -> (usize, &'a str) {
    let length = text.chars().count();
    let bound = |place: usize, otherwise: usize| match args.given.get(place).and_then(ops::integer) {
        Some(at) if at < 0 => usize::try_from(at + length as i128).unwrap_or(0),
        Some(at) => usize::try_from(at).unwrap_or(usize::MAX).min(length),
        None => otherwise,
    };
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let (from, to) = (bound(1, 0), bound(2, length));
    (from, text.get(byte(from)..byte(to)).unwrap_or_default())
}

fn found(text: &str, part: &str, method: &str, args: &Args) -> Result<Py, String> {
    let (from, within) = within(text, args);
    let at = if method.starts_with('r') { within.rfind(part) } else { within.find(part) };
    match at {
        Some(at) => Ok(Py::Int((from + within.get(..at).unwrap_or_default().chars().count()) as i128)),
        None if method.ends_with("index") => Err("substring not found".into()),
        None => Ok(Py::Int(-1)),
    }
}

fn reversed(mut parts: Vec<&str>) -> Vec<&str> {
    parts.reverse();
    parts
}

fn split(text: &str, method: &str, args: &Args) -> Result<Py, String> {
    let most = match args.get(1, "maxsplit") {
        Py::None => usize::MAX,
        most => ops::integer(most).and_then(|most| usize::try_from(most).ok()).map_or(usize::MAX, |most| most),
    };
    let pieces = most.saturating_add(1);
    let separator = match args.get(0, "sep") {
        Py::None => None,
        Py::Str(separator) if separator.is_empty() => return Err("empty separator".into()),
        Py::Str(separator) => Some(separator),
        other => return Err(format!("must be str or None, not {}", other.type_name())),
    };
    let parts: Vec<&str> = match (separator, method) {
        (Some(separator), "split") => text.splitn(pieces, separator.as_ref()).collect(),
        (Some(separator), _) => reversed(text.rsplitn(pieces, separator.as_ref()).collect()),
        (None, "split") => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() && parts.len() < most {
                let end = rest.find(is_space).unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                parts.push(part);
                rest = after.trim_start_matches(is_space);
            }
            parts.extend((!rest.is_empty()).then_some(rest));
            parts
        }
        (None, _) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() && parts.len() < most {
                let begin =
                    rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(at, c)| at + c.len_utf8());
                let (before, part) = rest.split_at(begin);
                parts.push(part);
                rest = before.trim_end_matches(is_space);
            }
            parts.extend((!rest.is_empty()).then_some(rest));
            reversed(parts)
        }
    };
    Ok(Py::list(parts.into_iter().map(Py::str)))
}

fn lines(text: &str) -> Vec<Py> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end =
            rest.find(['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}']);
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        lines.push(Py::str(line));
        let mut after = after.chars();
        let mark = after.next();
        rest = after.as_str();
        if mark == Some('\r') {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    lines
}

fn joined(separator: &str, list: &Py) -> Result<Py, String> {
    let items = list.iterate()?;
    let mut texts = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let wrong = || format!("sequence item {place}: expected str instance, {} found", item.type_name());
        texts.push(item.as_str().ok_or_else(wrong)?);
    }
    let bytes: usize = texts.iter().map(|text| text.len() + separator.len()).sum();
    if bytes > TEXT_BYTES_MAX { Err(too_large()) } else { Ok(Py::str(texts.join(separator))) }
}

/// Returns the text with so many occurrences of `old` replaced, or all.
pub(crate) fn replaced(text: &str, old: &str, new: &str, most: &Py) -> Result<Py, String> {
    let most = match most {
        Py::None => usize::MAX,
        most => {
            let most = ops::integer(most)
                .ok_or_else(|| format!("'{}' object cannot be interpreted as an integer", most.type_name()))?;
            usize::try_from(most).unwrap_or(usize::MAX)
        }
    };
    let count = if old.is_empty() { text.len() + 1 } else { text.matches(old).count() };
    let bytes = count.min(most).saturating_mul(new.len()).saturating_add(text.len());
    if bytes > TEXT_BYTES_MAX { Err(too_large()) } else { Ok(Py::str(text.replacen(old, new, most))) }
}

fn padded(text: &str, method: &str, args: &Args) -> Result<Py, String> {
    let width = args.given.first().and_then(ops::integer).ok_or_else(|| format!("{method} needs a width"))?;
    let width = usize::try_from(width).unwrap_or(0);
    if width > TEXT_BYTES_MAX / 4 {
        return Err(too_large());
    }
    let fill = args.given.get(1).and_then(Py::as_str).and_then(|fill| fill.chars().next()).unwrap_or(' ');
    let lacking = width.saturating_sub(text.chars().count());
    let pad = |count: usize, fill: char| fill.to_string().repeat(count);
    Ok(Py::str(match method {
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", pad(lacking, '0'))
        }
        "ljust" => format!("{text}{}", pad(lacking, fill)),
        "rjust" => format!("{}{text}", pad(lacking, fill)),
        _ => {
            // Where it can't be even, Python has the odd one on the left of an odd width.
            let left = lacking / 2 + (lacking & width & 1);
            format!("{}{text}{}", pad(left, fill), pad(lacking - left, fill))
        }
    }))
}

fn expanded(text: &str, args: &Args) -> Result<Py, String> {
    let size = usize::try_from(args.int(0, "tabsize", 8)?).unwrap_or(0).min(64);
    let mut out = String::new();
    let mut column = 0;
    for character in text.chars() {
        match character {
            '\t' => {
                let gap = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', gap));
                column += gap;
            }
            '\n' | '\r' => {
                out.push(character);
                column = 0;
            }
            _ => {
                out.push(character);
                column += 1;
            }
        }
    }
    if out.len() > TEXT_BYTES_MAX { Err(too_large()) } else { Ok(Py::str(out)) }
}

fn too_large() -> String {
    "the result is too large".into()
}
