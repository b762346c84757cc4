//! A template's text as tokens.

use std::ops::Range;

use crate::python::Py;

/// What is wrong with a template, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) at: usize,
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>, at: usize) -> Self {
        Self { message: message.into(), at }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Token {
    Data(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Text(String),
    Number(Py),
    Sign(&'static str),
    End,
}

impl Token {
    /// Returns the token as Jinja's messages have it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Data(_) => "template data / text".into(),
            Self::PrintBegin => "begin of print statement".into(),
            Self::PrintEnd => "end of print statement".into(),
            Self::BlockBegin => "begin of statement block".into(),
            Self::BlockEnd => "end of statement block".into(),
            Self::Name(text) | Self::Text(text) => text.clone(),
            Self::Number(value) => value.to_text(),
            Self::Sign(sign) => (*sign).into(),
            Self::End => "end of template".into(),
        }
    }
}

const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// Returns the source as Jinja reads it: lines end in one character, and the last end is gone.
pub(super) fn normalized(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    source.strip_suffix('\n').map(ToOwned::to_owned).unwrap_or(source)
}

/// Splits a normalized source into tokens and where each stands.
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.outside()?;
    }
    lexer.tokens.push((Token::End, source.len()..source.len()));
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<(Token, Range<usize>)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token, length: usize) {
        self.tokens.push((token, self.at..self.at + length));
        self.at += length;
    }

    fn skip_space(&mut self) {
        self.at = self.source.len() - self.rest().trim_start().len();
    }

    /// Reads text up to the next tag, and what the tag holds.
    fn outside(&mut self) -> Result<(), Mistake> {
        let rest = self.rest();
        let begin = ["{{", "{%", "{#"].iter().filter_map(|tag| rest.find(tag)).min();
        let Some(begin) = begin else {
            let text = rest.to_owned();
            let length = text.len();
            self.push(Token::Data(text), length);
            return Ok(());
        };
        let (text, tag) = rest.split_at(begin);
        let (tag, after) = tag.split_at(2);
        let strips = after.starts_with('-');
        let sign = usize::from(after.starts_with(['-', '+']) && (tag != "{{" || strips));
        let text = if strips { text.trim_end() } else { text }.to_owned();
        let tag = tag.to_owned();
        if !text.is_empty() {
            self.tokens.push((Token::Data(text), self.at..self.at + begin));
        }
        self.at += begin;
        match tag.as_str() {
            "{#" => self.comment(),
            "{%" if self.raw()? => Ok(()),
            "{%" => {
                self.push(Token::BlockBegin, 2 + sign);
                self.inside(&["-%}", "+%}", "%}"], Token::BlockEnd)
            }
            _ => {
                self.push(Token::PrintBegin, 2 + sign);
                self.inside(&["-}}", "}}"], Token::PrintEnd)
            }
        }
    }

    fn comment(&mut self) -> Result<(), Mistake> {
        let end = self.rest().find("#}").ok_or_else(|| Mistake::new("Missing end of comment tag", self.at))?;
        let strips = self.rest().get(..end).is_some_and(|text| text.len() > 2 && text.ends_with('-'));
        self.at += end + 2;
        if strips {
            self.skip_space();
        }
        Ok(())
    }

    /// Reads `{% raw %}` up to its end, if that is what stands here.
    fn raw(&mut self) -> Result<bool, Mistake> {
        let Some((length, strips)) = tag_named(self.rest(), "raw") else { return Ok(false) };
        let begin = self.at;
        self.at += length;
        if strips.1 {
            self.skip_space();
        }
        let mut searched = 0;
        loop {
            let rest = self.rest();
            let found = rest.get(searched..).and_then(|rest| rest.find("{%"));
            let found = found.ok_or_else(|| Mistake::new("Missing end of raw directive", begin))? + searched;
            let (text, tag) = rest.split_at(found);
            if let Some((length, strips)) = tag_named(tag, "endraw") {
                let text = if strips.0 { text.trim_end() } else { text }.to_owned();
                let width = found + length;
                self.push(Token::Data(text), width);
                if strips.1 {
                    self.skip_space();
                }
                return Ok(true);
            }
            searched = found + 2;
        }
    }

    /// Reads the tokens of an expression or statement, up to one of the `ends`.
    fn inside(&mut self, ends: &[&str], end: Token) -> Result<(), Mistake> {
        let mut open: Vec<&str> = Vec::new();
        loop {
            self.skip_space();
            if open.is_empty()
                && let Some(mark) = ends.iter().find(|mark| self.rest().starts_with(**mark))
            {
                self.push(end, mark.len());
                if mark.starts_with('-') {
                    self.skip_space();
                }
                return Ok(());
            }
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if first.is_ascii_digit() {
                self.number()?;
            } else if first.is_alphabetic() || first == '_' {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let name = rest.get(..length).unwrap_or_default().to_owned();
                self.push(Token::Name(name), length);
            } else if first == '"' || first == '\'' {
                self.text(first)?;
            } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                balance(&mut open, sign, self.at)?;
                self.push(Token::Sign(sign), sign.len());
            } else {
                return Err(Mistake::new(
                    format!("unexpected char {} at {}", Py::str(first.to_string()).repr(), self.at),
                    self.at,
                ));
            }
        }
    }

    fn number(&mut self) -> Result<(), Mistake> {
        let rest = self.rest();
        let run = |text: &str, fits: fn(char) -> bool| text.find(|c| !(fits(c) || c == '_')).unwrap_or(text.len());
        let based = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
        if let Some((_, radix)) = based.iter().find(|(prefix, _)| rest.starts_with(prefix)) {
            let digits = rest.get(2..).unwrap_or_default();
            let length = digits.find(|c: char| !(c.is_digit(*radix) || c == '_')).unwrap_or(digits.len());
            let text = digits.get(..length).unwrap_or_default().replace('_', "");
            let value = i128::from_str_radix(&text, *radix).map_err(|_| Mistake::new("invalid number", self.at))?;
            self.push(Token::Number(Py::Int(value)), length + 2);
            return Ok(());
        }
        let mut length = run(rest, |c| c.is_ascii_digit());
        let mut is_float = false;
        let behind = |length: usize| rest.get(length..).unwrap_or_default();
        if let Some(fraction) =
            behind(length).strip_prefix('.').filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
        {
            is_float = true;
            length += 1 + run(fraction, |c| c.is_ascii_digit());
        }
        if let Some(exponent) = behind(length).strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                is_float = true;
                length += 1 + (exponent.len() - digits.len()) + run(digits, |c| c.is_ascii_digit());
            }
        }
        let text = rest.get(..length).unwrap_or_default().replace('_', "");
        let value = match (is_float, text.parse()) {
            (false, Ok(whole)) => Py::Int(whole),
            (false, Err(_)) => Py::Big(text.into()),
            (true, _) => Py::Float(text.parse().map_err(|_| Mistake::new("invalid number", self.at))?),
        };
        self.push(Token::Number(value), length);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Result<(), Mistake> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, character)| {
            let ends = *character == quote && !escaped;
            escaped = *character == '\\' && !escaped;
            ends
        });
        let unexpected =
            || Mistake::new(format!("unexpected char {} at {}", Py::str(quote.to_string()).repr(), self.at), self.at);
        let (end, _) = end.ok_or_else(unexpected)?;
        let text = unescaped(rest.get(1..end).unwrap_or_default()).map_err(|cause| Mistake::new(cause, self.at))?;
        self.push(Token::Text(text), end + 1);
        Ok(())
    }
}

/// Returns how long a tag of this name alone is, and on which sides it strips white space.
fn tag_named(text: &str, name: &str) -> Option<(usize, (bool, bool))> {
    let inside = text.strip_prefix("{%")?;
    let before = inside.starts_with('-');
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start().strip_prefix(name)?.trim_start();
    let after = inside.starts_with('-');
    let behind = inside.strip_prefix(['-', '+']).unwrap_or(inside).strip_prefix("%}")?;
    Some((text.len() - behind.len(), (before, after)))
}

fn balance(open: &mut Vec<&'static str>, sign: &'static str, at: usize) -> Result<(), Mistake> {
    let closes = match sign {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        ")" | "]" | "}" => {
            return match open.pop() {
                Some(expected) if expected == sign => Ok(()),
                Some(expected) => Err(Mistake::new(format!("unexpected '{sign}', expected '{expected}'"), at)),
                None => Err(Mistake::new(format!("unexpected '{sign}'"), at)),
            };
        }
        _ => return Ok(()),
    };
    open.push(closes);
    Ok(())
}

/// Reads Python's escapes.
fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(kind) = after.chars().next() else { break };
        rest = after.get(kind.len_utf8()..).unwrap_or_default();
        let simple = match kind {
            '\n' => Some(""),
            '\\' => Some("\\"),
            '\'' => Some("'"),
            '"' => Some("\""),
            'a' => Some("\u{7}"),
            'b' => Some("\u{8}"),
            'f' => Some("\u{c}"),
            'n' => Some("\n"),
            'r' => Some("\r"),
            't' => Some("\t"),
            'v' => Some("\u{b}"),
            _ => None,
        };
        let width = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if let Some(simple) = simple {
            out.push_str(simple);
        } else if width > 0 {
            let code = rest.get(..width).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let character = code.and_then(char::from_u32).ok_or("a string has an escape that is no character")?;
            out.push(character);
            rest = rest.get(width..).unwrap_or_default();
        } else if kind.is_digit(8) {
            let digits: String = after.chars().take(3).take_while(|c| c.is_digit(8)).collect();
            let code = u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32);
            out.extend(code);
            rest = after.get(digits.len()..).unwrap_or_default();
        } else {
            out.push('\\');
            out.push(kind);
        }
    }
    out.push_str(rest);
    Ok(out)
}
