//! Making text from outside safe for a terminal: no body, log or name may move the cursor or hide what it says.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what a terminal would obey; line breaks and tabs stay, for they are layout.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |character| !matches!(character, '\n' | '\t') && is_obeyed(character))
}

/// Escapes what a terminal would obey, and line breaks and tabs too: what must stay within its place on a line.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

/// Escapes what a terminal would obey in compact JSON, whose value stays the same.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_obeyed(character) {
            // All of them are in the basic plane, so four digits do.
            let _always = write!(safe, "\\u{:04x}", u32::from(character)).is_ok();
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn escaped(text: &str, unsafe_here: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unsafe_here) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if unsafe_here(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Tells whether a terminal acts on a character instead of showing it: the control characters C0, DEL and C1, and those
/// that turn the direction of writing around, with which a text can look like another.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        assert_eq!(block("a\n\tb\x1b[2J\u{9b}0m\r\x07"), "a\n\tb\\u{1b}[2J\\u{9b}0m\\r\\u{7}");
        assert_eq!(inline("a\nb\tc\u{202e}"), "a\\nb\\tc\\u{202e}");
        assert_eq!(inline("Größe → \\n"), "Größe → \\n");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a": "\x1b \x7f \u{9b} \u{202e} \n ü"});
        let text = serde_json::to_string(&value).expect("JSON");
        assert!(text.contains('\u{9b}'));
        let safe = json(&text);
        assert!(!safe.contains(is_obeyed), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), value);
    }
}
