//! What differs between two texts of JSON, by path.
//!
//! Numbers are compared as they are spelled and keys with their order, as receivers get them.

use hookmill_core::JsonText;
use hookmill_core::json::{Fields, compact};
use serde::Serialize;
use serde_json::json as json_value;
use serde_json::value::RawValue;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 120;

/// Characters before a difference within two long values.
const CONTEXT_CHARS: usize = 30;

/// What of a value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "a value has nothing else that could differ")]
pub enum Differs {
    /// The value itself.
    Value,
    /// The order of an object's keys, or how often one stands in it; both sides are arrays of the keys.
    KeyOrder,
}

/// One difference in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JsonChange {
    /// Where, as a JSON pointer; empty for the whole.
    pub path: String,
    /// What of it.
    pub differs: Differs,
    /// What was there; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<JsonText>,
    /// What is there now; none if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<JsonText>,
}

/// Compares two texts of JSON; none if one of them is no JSON.
pub fn json(before: &str, after: &str) -> Option<Vec<JsonChange>> {
    let parse = |text| serde_json::from_str::<&RawValue>(text).ok();
    let (before, after) = (parse(before)?, parse(after)?);
    let mut changes = Vec::new();
    compare("", before.get(), after.get(), &mut changes);
    Some(changes)
}

impl JsonChange {
    /// Returns the change in a line: `/items/0/qty: 2.0 → 3.0`.
    pub fn line(&self) -> String {
        let path = if self.path.is_empty() { "(the whole)" } else { &self.path };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                let (before, after) = (self.words(before), self.words(after));
                let from = shared_start(&before, &after);
                format!("{path}: {} → {}", cut(&before, from), cut(&after, from))
            }
            (Some(before), None) => format!("{path}: {} → (nothing)", cut(before.as_str(), 0)),
            (None, after) => {
                format!("{path}: (nothing) → {}", cut(after.as_ref().map_or("", JsonText::as_str), 0))
            }
        }
    }

    fn words(&self, side: &JsonText) -> String {
        match self.differs {
            Differs::Value => side.as_str().to_owned(),
            Differs::KeyOrder => format!("keys in the order {}", side.as_str()),
        }
    }
}

/// Returns from which character on two values are worth showing.
fn shared_start(before: &str, after: &str) -> usize {
    if before.len().max(after.len()) <= SHOWN_CHARS_MAX {
        return 0;
    }
    let shared = before.chars().zip(after.chars()).take_while(|(before, after)| before == after).count();
    shared.saturating_sub(CONTEXT_CHARS)
}

fn cut(text: &str, from: usize) -> String {
    let mut rest = text.chars().skip(from);
    let shown: String = rest.by_ref().take(SHOWN_CHARS_MAX).collect();
    let (begin, end) = (if from > 0 { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
    format!("{begin}{shown}{end}")
}

fn compare(path: &str, before: &str, after: &str, changes: &mut Vec<JsonChange>) {
    if compact(before) == compact(after) {
        return;
    }
    match (before.as_bytes().first(), after.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            if let (Ok(before), Ok(after)) = (Fields::parse(before), Fields::parse(after)) {
                return objects(path, &before, &after, changes);
            }
        }
        (Some(b'['), Some(b'[')) => {
            let parse = |text| serde_json::from_str::<Vec<&RawValue>>(text);
            if let (Ok(before), Ok(after)) = (parse(before), parse(after)) {
                return arrays(path, &before, &after, changes);
            }
        }
        _ => {}
    }
    changes.push(change(path, Some(before), Some(after)));
}

fn change(path: &str, before: Option<&str>, after: Option<&str>) -> JsonChange {
    let text = |json: &str| JsonText::parse(&compact(json)).expect("a part of JSON is JSON");
    JsonChange { path: path.to_owned(), differs: Differs::Value, before: before.map(text), after: after.map(text) }
}

fn objects(path: &str, before: &Fields<'_>, after: &Fields<'_>, changes: &mut Vec<JsonChange>) {
    let found = changes.len();
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    for (key, old) in before.iter() {
        match after.get(key) {
            Some(new) => compare(&below(key), old.get(), new.get(), changes),
            None => changes.push(change(&below(key), Some(old.get()), None)),
        }
    }
    for (key, new) in after.iter().filter(|(key, _)| before.get(key).is_none()) {
        changes.push(change(&below(key), None, Some(new.get())));
    }
    if changes.len() == found {
        // Only their order is another; or a key stands twice, which nobody can tell from the values.
        let keys = |fields: &Fields<'_>| {
            let keys: Vec<&str> = fields.iter().map(|(key, _)| key).collect();
            Some(JsonText::parse(&json_value!(keys).to_string()).expect("an array of keys is JSON"))
        };
        let (path, differs) = (path.to_owned(), Differs::KeyOrder);
        changes.push(JsonChange { path, differs, before: keys(before), after: keys(after) });
    }
}

fn arrays(path: &str, before: &[&RawValue], after: &[&RawValue], changes: &mut Vec<JsonChange>) {
    let texts = |values: &[&RawValue]| values.iter().map(|value| compact(value.get()).into_owned()).collect::<Vec<_>>();
    for op in capture_diff_slices(Algorithm::Myers, &texts(before), &texts(after)) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (mut old, mut new) = (op.old_range(), op.new_range());
        loop {
            let pair = (old.next(), new.next());
            let place = pair.1.or(pair.0);
            let Some(path) = place.map(|place| format!("{path}/{place}")) else { break };
            let (old, new) = (pair.0.and_then(|at| before.get(at)), pair.1.and_then(|at| after.get(at)));
            match (old, new) {
                (Some(old), Some(new)) => compare(&path, old.get(), new.get(), changes),
                (old, new) => changes.push(change(&path, old.map(|old| old.get()), new.map(|new| new.get()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expected: &[&str]) {
        let changes = json(before, after).expect("JSON");
        assert_eq!(changes.iter().map(JsonChange::line).collect::<Vec<_>>(), expected, "{before} and {after}");
    }

    #[test]
    fn json_differs_by_path_digit_for_digit_and_key_for_key() {
        check(r#"{"a": [1, 2]}"#, r#"{"a":[1,2]}"#, &[]);
        check(r#"{"a":{"b/c":1.0}}"#, r#"{"a":{"b/c":1}}"#, &["/a/b~1c: 1.0 → 1"]);
        check(r#"{"a":1,"b":2}"#, r#"{"b":2,"c":3}"#, &["/a: 1 → (nothing)", "/c: (nothing) → 3"]);
        check(
            r#"{"a":1,"b":2}"#,
            r#"{"b":2,"a":1}"#,
            &[r#"(the whole): keys in the order ["a","b"] → keys in the order ["b","a"]"#],
        );
        check("[1,2,3]", "[0,1,2,3]", &["/0: (nothing) → 0"]);
        check(r#"[{"a":1},{"b":1}]"#, r#"[{"a":1},{"b":2},7]"#, &["/1/b: 1 → 2", "/2: (nothing) → 7"]);
        check("{}", "[]", &["(the whole): {} → []"]);
        assert_eq!(json("{", "{}"), None);
    }

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let (before, after) = (format!("\"{}x\"", "a".repeat(500)), format!("\"{}y\"", "a".repeat(500)));
        let line = json(&before, &after).expect("JSON")[0].line();
        assert!(line.contains("ax\" → ") && line.ends_with("ay\"") && line.chars().count() < 200, "{line}");
    }
}
