//! Python's formatting: `str.format` and the specifications behind a colon.

use super::{Args, Py, builtins, dates, methods, ops, spell};

/// Bytes that one formatting may make.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Characters that one field may be wide, and digits that a number may have behind the point.
const WIDTH_MAX: usize = 10_000;
const DIGITS_MAX: usize = 300;

/// How one value is to be written.
#[derive(Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    group: Option<char>,
    digits: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    /// Reads `[[fill]align][sign][#][0][width][grouping][.digits][kind]`.
    fn parse(spec: &str) -> Option<Self> {
        let mut read = Self::default();
        let mut rest: Vec<char> = spec.chars().rev().collect();
        let is_align = |character: &char| "<>=^".contains(*character);
        let second = rest.len().checked_sub(2).and_then(|at| rest.get(at)).copied();
        if let Some(align) = second.filter(is_align) {
            read.fill = rest.pop();
            read.align = Some(align);
            rest.pop();
        } else if let Some(align) = rest.last().copied().filter(is_align) {
            read.align = Some(align);
            rest.pop();
        }
        read.sign = rest.pop_if(|character| "+- ".contains(*character));
        read.alternate = rest.pop_if(|character| *character == '#').is_some();
        if rest.pop_if(|character| *character == '0').is_some() && read.align.is_none() {
            (read.fill, read.align) = (read.fill.or(Some('0')), Some('='));
        }
        let number = |rest: &mut Vec<char>| {
            let mut digits = String::new();
            while let Some(digit) = rest.pop_if(|character| character.is_ascii_digit()) {
                digits.push(digit);
            }
            digits
        };
        let width = number(&mut rest);
        read.width = if width.is_empty() { 0 } else { width.parse().ok().filter(|width| *width <= WIDTH_MAX)? };
        read.group = rest.pop_if(|character| ",_".contains(*character));
        if rest.pop_if(|character| *character == '.').is_some() {
            read.digits = Some(number(&mut rest).parse().ok().filter(|digits| *digits <= DIGITS_MAX)?);
        }
        read.kind = rest.pop();
        rest.is_empty().then_some(read)
    }

    /// Puts text into its width.
    fn pad(&self, sign: &str, body: &str, otherwise: char) -> String {
        let lacking = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fill = |count: usize| self.fill.unwrap_or(' ').to_string().repeat(count);
        match self.align.unwrap_or(otherwise) {
            '<' => format!("{sign}{body}{}", fill(lacking)),
            '^' => format!("{}{sign}{body}{}", fill(lacking / 2), fill(lacking - lacking / 2)),
            '=' => format!("{sign}{}{body}", fill(lacking)),
            _ => format!("{}{sign}{body}", fill(lacking)),
        }
    }
}

/// Formats by a specification, and a date by `strftime`.
pub(crate) fn format_spec(value: &Py, spec: &str) -> Result<String, String> {
    if spec.is_empty() {
        return builtins::text(value, false);
    }
    if let Py::Date(_) | Py::DateTime(_) | Py::Time(_) = value {
        return Ok(methods::call(value, "strftime", &Args::given([Py::str(spec)]))?.to_text());
    }
    let unknown = || {
        let kind = spec.chars().last().unwrap_or_default();
        let name = value.type_name();
        format!("the format {spec:?} can't be used: unknown format code '{kind}' for object of type '{name}'")
    };
    let read = Spec::parse(spec).ok_or_else(|| format!("Invalid format specifier '{spec}'"))?;
    match value {
        Py::Str(text) => match read.kind {
            None | Some('s') if read.sign.is_none() && read.group.is_none() && read.align != Some('=') => {
                let taken: String = text.chars().take(read.digits.unwrap_or(usize::MAX)).collect();
                Ok(read.pad("", &taken, '<'))
            }
            _ => Err(unknown()),
        },
        Py::Bool(_) | Py::Int(_) | Py::Float(_) | Py::Big(_) => {
            let (negative, digits) = digits_of(value, &read).ok_or_else(unknown)?;
            if read.group.is_some() && (read.fill, read.align) == (Some('0'), Some('=')) && read.width > digits.len() {
                return Err(format!("the format {spec:?} fills with zeros between signs, which is not offered here"));
            }
            let digits = read.group.map_or_else(|| digits.clone(), |group| grouped(&digits, group));
            let sign = match (negative, read.sign) {
                (true, _) => "-",
                (false, Some('+')) => "+",
                (false, Some(' ')) => " ",
                _ => "",
            };
            Ok(read.pad(sign, &digits, '>'))
        }
        _ => Err(format!("unsupported format string passed to {}.__format__", value.type_name())),
    }
}

/// Returns whether a number is negative, and its digits.
fn digits_of(value: &Py, spec: &Spec) -> Option<(bool, String)> {
    let whole = ops::integer(value);
    let based = |prefix: &str, digits: String| if spec.alternate { format!("{prefix}{digits}") } else { digits };
    if let (Some(whole), None) = (whole, spec.digits) {
        let size = whole.unsigned_abs();
        let digits = match spec.kind {
            None if matches!(value, Py::Bool(_)) && spec.width == 0 => size.to_string(),
            None | Some('d' | 'n') => size.to_string(),
            Some('x') => based("0x", format!("{size:x}")),
            Some('X') => based("0X", format!("{size:X}")),
            Some('o') => based("0o", format!("{size:o}")),
            Some('b') => based("0b", format!("{size:b}")),
            Some('c') => char::from_u32(u32::try_from(whole).ok()?)?.to_string(),
            _ => return float_digits(ops::number(value)?, spec),
        };
        return Some((whole < 0, digits));
    }
    if whole.is_some() && matches!(spec.kind, None | Some('d' | 'x' | 'X' | 'o' | 'b' | 'c')) {
        return None;
    }
    float_digits(ops::number(value)?, spec)
}

fn float_digits(number: f64, spec: &Spec) -> Option<(bool, String)> {
    let (negative, size) = (number.is_sign_negative() && !number.is_nan(), number.abs());
    let digits = spec.digits.unwrap_or(6);
    if !size.is_finite() {
        return Some((negative, spell::float(size)));
    }
    let text = match spec.kind {
        None if spec.digits.is_none() => spell::float(size),
        None => general(size, digits, false, true),
        Some('f' | 'F') => format!("{size:.digits$}"),
        Some('e') => with_exponent(size, digits),
        Some('E') => with_exponent(size, digits).to_uppercase(),
        Some('g' | 'n') => general(size, digits, spec.alternate, false),
        Some('G') => general(size, digits, spec.alternate, false).to_uppercase(),
        Some('%') => format!("{:.digits$}%", size * 100.0),
        _ => return None,
    };
    Some((negative, text))
}

/// Writes a number with an exponent of two digits or more.
fn with_exponent(size: f64, digits: usize) -> String {
    let text = format!("{size:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Writes a number with so many digits in all: C's `%g`, or what a float without a kind has.
fn general(size: f64, digits: usize, zeros: bool, float: bool) -> String {
    let digits = digits.max(1);
    let text = format!("{size:.*e}", digits - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let last = i32::try_from(digits).unwrap_or(i32::MAX);
    let limit = if float { last - 1 } else { last };
    let trimmed = |text: &str| match text.contains('.') && !zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..limit.max(1)).contains(&exponent) {
        let behind = usize::try_from(last - 1 - exponent).unwrap_or(0);
        let plain = trimmed(&format!("{size:.behind$}"));
        return if float && !plain.contains('.') { format!("{plain}.0") } else { plain };
    }
    let written = with_exponent(size, digits - 1);
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "+00"));
    format!("{}e{exponent}", trimmed(mantissa))
}

/// Puts a mark before every three digits of the whole part.
fn grouped(number: &str, mark: char) -> String {
    let end = number.find(|character: char| !character.is_ascii_digit()).unwrap_or(number.len());
    let (whole, rest) = number.split_at(end);
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(digit);
    }
    out + rest
}

/// Fills the fields of `str.format`: `{}`, `{0}`, `{name}`, `{0[key]}`, `{0.attribute}`, `!r` and specifications.
pub(crate) fn formatted(text: &str, args: &Args) -> Result<Py, String> {
    let mut next = 0;
    let out = filled(text, args, &mut next, 0)?;
    Ok(Py::str(out))
}

fn filled(text: &str, args: &Args, next: &mut usize, level: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
            out.push_str(rest.get(at..=at).unwrap_or_default());
            rest = after;
            continue;
        }
        let inside = after.strip_prefix('{').ok_or("Single '}' encountered in format string")?;
        let end = closing(inside).ok_or("expected '}' before end of string")?;
        let (field, after) = inside.split_at(end);
        rest = after.strip_prefix('}').unwrap_or_default();
        let (field, spec) = field.split_once(':').unwrap_or((field, ""));
        let (field, conversion) = field.split_once('!').map_or((field, None), |(field, kind)| (field, Some(kind)));
        let value = looked_up(field, args, next)?;
        let spec = if spec.contains('{') && level == 0 { filled(spec, args, next, 1)? } else { spec.to_owned() };
        let value = match conversion {
            None => value,
            Some("r" | "a") => Py::str(builtins::text(&value, true)?),
            Some("s") => Py::str(builtins::text(&value, false)?),
            Some(other) => return Err(format!("Unknown conversion specifier '{other}'")),
        };
        out.push_str(&format_spec(&value, &spec)?);
        if out.len() > TEXT_BYTES_MAX {
            return Err("the result is too large".into());
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns where the brace that ends a field stands.
fn closing(inside: &str) -> Option<usize> {
    let mut open = 0;
    inside.char_indices().find_map(|(at, character)| {
        match character {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        None
    })
}

/// Returns what the name of a field stands for.
fn looked_up(field: &str, args: &Args, next: &mut usize) -> Result<Py, String> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (name, mut path) = field.split_at(end);
    let place = if name.is_empty() { Some(*next) } else { name.parse().ok() };
    if name.is_empty() {
        *next += 1;
    }
    let mut value = match place {
        Some(place) => args
            .given
            .get(place)
            .cloned()
            .ok_or_else(|| format!("Replacement index {place} out of range for positional args tuple"))?,
        None => args.named(name).cloned().ok_or_else(|| format!("'{name}'"))?,
    };
    while !path.is_empty() {
        if let Some(inside) = path.strip_prefix('[') {
            let (key, after) = inside.split_once(']').ok_or("Missing ']' in format string")?;
            let index = key.parse().map_or_else(|_| Py::str(key), Py::Int);
            value = methods::item(&value, &index)?;
            path = after;
        } else {
            let inside = path.strip_prefix('.').unwrap_or(path);
            let end = inside.find(['.', '[']).unwrap_or(inside.len());
            let (key, after) = inside.split_at(end);
            if key.starts_with('_') {
                return Err(format!("access to attribute '{key}' is unsafe"));
            }
            let of_dict = match &value {
                Py::Dict(_, entries) => entries.get().get(key).cloned(),
                other => methods::attribute(other, key),
            };
            value = of_dict.ok_or_else(|| format!("'{}' object has no attribute '{key}'", value.type_name()))?;
            path = after;
        }
    }
    Ok(value)
}

/// Writes a moment by `strftime`.
pub(crate) fn strftime(value: &Py, format: &str) -> Result<Py, String> {
    let moment = match value {
        Py::Date(date) => (*date).into(),
        Py::DateTime(moment) => *moment,
        Py::Time(time) => jiff::civil::date(1900, 1, 1).to_datetime(*time),
        other => return Err(format!("'{}' object has no attribute 'strftime'", other.type_name())),
    };
    dates::format_in(moment, format).map(Py::str)
}
