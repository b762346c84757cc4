//! URLs as Python's `requests` spells them before it sends.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What may stand in a path besides letters and digits; in a query, a question mark too.
const PATH: &str = "-._~!$&'()*+,;=:@/";
const QUERY: &str = "-._~!$&'()*+,;=:@/?";

/// Returns `url` with everything encoded that a request line can't hold, and without its fragment.
///
/// An escape stays one only where the whole path, or the whole query, is escaped without a mistake; else the sign for
/// escapes is itself escaped. White space before the URL is nothing; behind it, it is a part of it.
pub(crate) fn quote(url: &str) -> String {
    let url = url.trim_start();
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let Some((scheme, rest)) = rest.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find(['/', '\\']).map_or((rest, "/"), |end| rest.split_at(end));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let path = quote_part(&without_dots(&path), PATH);
    // Of several strokes at the beginning, `requests` sends one.
    let path = path.trim_start_matches('/');
    let query = query.filter(|query| !query.is_empty());
    let query = query.map(|query| format!("?{}", quote_part(query, QUERY))).unwrap_or_default();
    format!("{}://{authority}/{path}{query}", scheme.to_ascii_lowercase())
}

fn quote_part(part: &str, allowed: &str) -> String {
    let escapes = part.as_bytes().windows(3).filter(|three| is_escape(three)).count();
    let escaped = escapes == part.bytes().filter(|byte| *byte == b'%').count();
    let mut quoted = String::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = rest.get(..3).filter(|three| is_escape(three));
        rest = after;
        match (escape, after) {
            (Some(_), [high, low, remaining @ ..]) => {
                match escaped {
                    true => quoted.push_str(&unreserved_of(*high, *low)),
                    false => {
                        quoted.push_str(&format!("%25{}{}", char::from(*high), char::from(*low)).to_ascii_uppercase());
                    }
                }
                rest = remaining;
            }
            _ if byte.is_ascii_alphanumeric() || allowed.as_bytes().contains(&byte) => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

fn is_escape(three: &[u8]) -> bool {
    matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Returns the character that an escape stands for where it needs none, else the escape.
fn unreserved_of(high: u8, low: u8) -> Cow<'static, str> {
    let escape = format!("%{}{}", char::from(high), char::from(low)).to_ascii_uppercase();
    match percent_decode_str(&escape).next() {
        Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string().into(),
        _ => escape.into(),
    }
}

/// Resolves `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if kept.first().is_none_or(|first| !first.is_empty()) {
        kept.insert(0, "");
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_spelt_as_requests_spells_them() {
        for (given, sent) in [
            ("http://h", "http://h/"),
            ("http://h?a=b", "http://h/?a=b"),
            ("HTTP://h/Ana López?q=a b#frag", "http://h/Ana%20L%C3%B3pez?q=a%20b"),
            ("http://h/x?y=%41%zz", "http://h/x?y=%2541%25zz"),
            ("http://h/x?y=%41%7e%2f", "http://h/x?y=A~%2F"),
            ("http://h/a%zz/%41%2f?q=%&r=%e", "http://h/a%25zz/%2541%252F?q=%25&r=%25e"),
            ("  http://h/sp  ", "http://h/sp%20%20"),
            ("http://h\\a\\b?c\\d", "http://h/%5Ca%5Cb?c%5Cd"),
            ("http://h//x//y", "http://h/x//y"),
            ("http://h/{a}/[b]|\"c\"", "http://h/%7Ba%7D/%5Bb%5D%7C%22c%22"),
            ("http://h/a/../b/./c", "http://h/b/c"),
            ("http://h/x?", "http://h/x"),
            ("http://h/it's?it's=(1)", "http://h/it's?it's=(1)"),
        ] {
            assert_eq!(quote(given), sent, "{given}");
        }
    }
}
