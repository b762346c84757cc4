//! Filters of text.

use super::{Made, soft, text_method};
use crate::python::text::{self, is_space};
use crate::python::{Args, Py, builtins, ops, utils};

/// Bytes that one filter may make.
const TEXT_BYTES_MAX: usize = 4 << 20;

pub(super) fn apply(name: &str, value: &Py, args: &Args) -> Made {
    match name {
        "upper" | "lower" | "capitalize" => text_method(value, name, &Args::default()),
        "title" => Ok(Py::str(title(&soft(value)?))),
        "trim" => {
            let set = args.given.first().or_else(|| args.named("chars")).cloned();
            text_method(value, "strip", &Args::given(set))
        }
        "replace" => {
            let (old, new) = (soft(args.need(0, "old")?)?, soft(args.need(1, "new")?)?);
            text::replaced(&soft(value)?, &old, &new, args.get(2, "count"))
        }
        "center" => {
            let width = args.int(0, "width", 80)?;
            text_method(value, "center", &Args::given([Py::Int(width.into())]))
        }
        "e" | "escape" | "forceescape" => Ok(Py::str(escaped(&soft(value)?))),
        "striptags" => Ok(Py::str(without_tags(&soft(value)?))),
        "truncate" => truncated(&soft(value)?, args),
        "wordcount" => Ok(Py::Int(word_count(&soft(value)?) as i128)),
        "wordwrap" => wrapped(&soft(value)?, args),
        "indent" => indented(&soft(value)?, args),
        "urlencode" => url_encoded(value),
        "xmlattr" => attributes(value, args),
        _ => Err(format!("No filter named '{name}'.")),
    }
}

/// Escapes what HTML gives a meaning, as MarkupSafe does.
pub(in super::super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// Jinja's own title case: words begin after white space, a hyphen or an opening bracket.
fn title(text: &str) -> String {
    let mut begins = true;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let separates = is_space(character) || "-({[<".contains(character);
        if separates {
            out.push(character);
        } else if begins {
            out.extend(character.to_uppercase());
        } else {
            out.extend(character.to_lowercase());
        }
        begins = separates;
    }
    out
}

/// Removes comments and tags, takes white space together, and reads entities.
fn without_tags(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(begin) = rest.find("<!--") {
        let Some(end) = rest.get(begin..).and_then(|after| after.find("-->")) else { break };
        rest.replace_range(begin..begin + end + 3, "");
    }
    let mut out = String::new();
    let mut left = rest.as_str();
    while let Some((before, after)) = left.split_once('<') {
        let Some((_, behind)) = after.split_once('>') else { break };
        out.push_str(before);
        left = behind;
    }
    out.push_str(left);
    let words: Vec<&str> = out.split_whitespace().collect();
    unescaped(&words.join(" "))
}

/// Reads the entities that people write.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 10);
        match entity.and_then(|(name, behind)| Some((entity_of(name)?, behind))) {
            Some((character, behind)) => {
                out.push(character);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

fn entity_of(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
        return code.and_then(char::from_u32);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "euro" => '€',
        "pound" => '£',
        "yen" => '¥',
        "cent" => '¢',
        "sect" => '§',
        "deg" => '°',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "bull" => '•',
        "middot" => '·',
        "times" => '×',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "ntilde" => 'ñ',
        _ => return None,
    })
}

fn truncated(text: &str, args: &Args) -> Made {
    let length = usize::try_from(args.int(0, "length", 255)?).unwrap_or(0);
    let cuts_words = args.get(1, "killwords").is_true();
    let end = args.given.get(2).or_else(|| args.named("end")).map_or_else(|| Ok("...".into()), soft)?;
    let leeway = usize::try_from(args.int(3, "leeway", 5)?).unwrap_or(0);
    let characters: Vec<char> = text.chars().collect();
    let end_length = end.chars().count();
    if length < end_length {
        return Err(format!("expected length >= {end_length}, got {length}"));
    }
    if characters.len() <= length + leeway {
        return Ok(Py::str(text));
    }
    let kept: String = characters.iter().take(length - end_length).collect();
    let kept = if cuts_words {
        kept
    } else {
        kept.rsplit_once(' ').map_or_else(|| kept.clone(), |(before, _)| before.to_owned())
    };
    Ok(Py::str(kept + &end))
}

fn word_count(text: &str) -> usize {
    text.split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .filter(|word| !word.is_empty())
        .count()
}

fn wrapped(text: &str, args: &Args) -> Made {
    let width = usize::try_from(args.int(0, "width", 79)?).unwrap_or(0);
    let breaks = args.given.get(1).or_else(|| args.named("break_long_words")).is_none_or(Py::is_true);
    let between = args.given.get(2).or_else(|| args.named("wrapstring")).map_or_else(|| Ok("\n".into()), soft)?;
    if width == 0 {
        return Err("invalid width 0 (must be > 0)".into());
    }
    let lines: Vec<String> = text.lines().map(|line| wrapped_line(line, width, breaks).join(&between)).collect();
    Ok(Py::str(lines.join(&between)))
}

/// Fills lines with words; what does not fit into a line alone is cut.
fn wrapped_line(line: &str, width: usize, breaks: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive([' ', '-']) {
        let mut word: Vec<char> = word.chars().collect();
        let visible = |word: &[char]| word.iter().rev().skip_while(|c| **c == ' ').count();
        if current.chars().count() + visible(&word) > width && !current.trim().is_empty() {
            lines.push(current.trim_end().to_owned());
            current.clear();
        }
        while breaks && visible(&word) > width {
            let rest = word.split_off(width);
            lines.push(word.iter().collect());
            word = rest;
        }
        current.extend(word);
    }
    if !current.trim().is_empty() {
        lines.push(current.trim_end().to_owned());
    }
    lines
}

fn indented(text: &str, args: &Args) -> Made {
    let gap = match args.get(0, "width") {
        Py::Str(text) => text.to_string(),
        Py::None => " ".repeat(4),
        width => " ".repeat(usize::try_from(utils::cint(width)).unwrap_or(0).min(1_000)),
    };
    let (first, blank) = (args.get(1, "first").is_true(), args.get(2, "blank").is_true());
    let mut out = String::new();
    for (place, line) in text.split('\n').enumerate() {
        if place > 0 {
            out.push('\n');
        }
        if (place > 0 && (blank || !line.is_empty())) || (place == 0 && first) {
            out.push_str(&gap);
        }
        out.push_str(line);
        if out.len() > TEXT_BYTES_MAX {
            return Err("the result is too large".into());
        }
    }
    Ok(Py::str(out))
}

fn url_encoded(value: &Py) -> Made {
    let pairs = match value {
        Py::Missing(_) => return Ok(Py::str("")),
        Py::Str(_) | Py::None | Py::Int(_) | Py::Float(_) | Py::Bool(_) | Py::Big(_) => {
            return Ok(Py::str(utils::quoted(&soft(value)?, "-._~/")));
        }
        Py::Dict(_, entries) => entries.get().iter().map(|(key, value)| (key.0.clone(), value.clone())).collect(),
        other => other.iterate().map_err(|_| "urlencode needs text, a dictionary or pairs").map(|pairs| {
            let pair = |pair: &Py| match pair.iterate().ok()?.as_slice() {
                [key, value] => Some((key.clone(), value.clone())),
                _ => None,
            };
            pairs.iter().filter_map(pair).collect::<Vec<_>>()
        })?,
    };
    let part = |value: &Py| soft(value).map(|text| utils::quoted(&text, "-._~ ").replace(' ', "+"));
    let mut parts = Vec::new();
    for (key, value) in &pairs {
        parts.push(format!("{}={}", part(key)?, part(value)?));
    }
    Ok(Py::str(parts.join("&")))
}

fn attributes(value: &Py, args: &Args) -> Made {
    let Py::Dict(_, entries) = value else {
        return Err(format!("'{}' object has no attribute 'items'", value.type_name()));
    };
    let mut parts = Vec::new();
    for (key, value) in entries.get().iter() {
        if matches!(value, Py::None | Py::Missing(_)) {
            continue;
        }
        let key = key.0.to_text();
        if key.contains([' ', '\t', '\n', '\r', '/', '>', '=']) {
            return Err(format!("Invalid character in attribute name: {}", Py::str(&key).repr()));
        }
        parts.push(format!("{}=\"{}\"", escaped(&key), escaped(&builtins::text(value, false)?)));
    }
    let out = parts.join(" ");
    let space = args.given.first().or_else(|| args.named("autospace")).is_none_or(Py::is_true);
    Ok(Py::str(if space && !out.is_empty() { format!(" {out}") } else { out }))
}

/// Returns a whole number that a filter was given.
pub(super) fn whole(value: &Py) -> Result<i128, String> {
    ops::integer(value).ok_or_else(|| format!("'{}' object cannot be interpreted as an integer", value.type_name()))
}
