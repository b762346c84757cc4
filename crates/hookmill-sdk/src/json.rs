//! Reading JSON: with the place of a mismatch, and without rewriting what the plugin only passes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Failure;

/// What was expected and isn't there.
pub(crate) struct Mismatch {
    pub(crate) message: String,
    path: Option<String>,
}

impl Mismatch {
    /// Adds the place to `failure`, if it is known and is not simply the whole.
    pub(crate) fn locate(self, failure: Failure) -> Failure {
        match self.path {
            Some(path) if !path.is_empty() => failure.at(path),
            _ => failure,
        }
    }
}

/// Reads `text` into `T`.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Mismatch> {
    serde_json::from_str(text).map_err(|error| mismatch(text, &error))
}

/// Kept out of line: the ordinary path of a small component should stay small.
#[cold]
fn mismatch(text: &str, error: &serde_json::Error) -> Mismatch {
    Mismatch { message: error.to_string(), path: pointer(text, error.line(), error.column()) }
}

/// Returns the JSON pointer to the value in or behind which the text's line and column lie.
///
/// serde_json tells only line and column, counted in bytes; following paths all the time would slow down every call
/// for the sake of those that fail, so the path is found afterwards.
fn pointer(text: &str, line: usize, column: usize) -> Option<String> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let read = text.as_bytes().get(..start + column).unwrap_or(text.as_bytes());
    let mut steps: Vec<Step> = Vec::new();
    let mut bytes = read.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'{' => steps.push(Step::Key(None)),
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(key)) => *key = None,
                None => {}
            },
            b'"' => {
                let mut escaped = false;
                let end = bytes.find(|&(_, &byte)| {
                    let ends = byte == b'"' && !escaped;
                    escaped = byte == b'\\' && !escaped;
                    ends
                });
                if let (Some((end, _)), Some(Step::Key(key @ None))) = (end, steps.last_mut()) {
                    let quoted = read.get(at..=end)?;
                    *key = Some(serde_json::from_slice(quoted).ok()?);
                }
            }
            _ => {}
        }
    }
    let mut pointer = String::new();
    for step in steps {
        match step {
            Step::Key(Some(key)) => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Step::Key(None) => {}
            Step::Index(index) => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
        }
    }
    Some(pointer)
}

/// One level of nesting on the way to a place.
enum Step {
    Key(Option<String>),
    Index(usize),
}

/// A JSON number in the document's own spelling, so that `1250.0` stays `1250.0` and no digit of a big one is lost.
#[derive(Clone, Copy)]
pub struct Number<'a>(&'a RawValue);

impl<'a> Number<'a> {
    /// Returns the number as it stands in the document.
    pub fn as_str(self) -> &'a str {
        self.0.get()
    }

    /// Returns the nearest floating-point number.
    pub fn as_f64(self) -> f64 {
        // JSON's numbers are all in the grammar of Rust's floats, and one too large becomes infinite.
        self.as_str().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let found = match raw.get().bytes().next() {
            Some(b'-' | b'0'..=b'9') => return Ok(Self(raw)),
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'n') => "null",
            _ => "a boolean",
        };
        Err(D::Error::custom(format_args!("expected a number, found {found}")))
    }
}

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The fields of a JSON object in their order, each value in its original text.
///
/// This is what a plugin reads that changes a few fields and passes the rest on untouched. Written as JSON again, it
/// lacks only the white space between tokens. A key that stands twice keeps its first place and its last value.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

impl<'a> Fields<'a> {
    /// Returns the value of `key` as JSON text.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.entries.iter().find(|(present, _)| present == key).map(|(_, value)| value.as_ref())
    }

    /// Returns keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &RawValue) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
    }

    /// Gives `key` another value, in its place if it is there, else at the end.
    ///
    /// # Errors
    ///
    /// Fails with the code `body_unwritable` if `value` can't be written as JSON.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: &impl Serialize) -> Result<(), Failure> {
        let key = key.into();
        let value = serde_json::value::to_raw_value(value)
            .map_err(|error| Failure::other("body_unwritable", format!("`{key}` can't be written as JSON: {error}")))?;
        let value = Cow::Owned(value);
        match self.entries.iter_mut().find(|(present, _)| *present == key) {
            Some((_, present)) => *present = value,
            None => self.entries.push((key, value)),
        }
        Ok(())
    }
}

/// A key that borrows from the text where it has no escapes; serde's own `Cow` never does.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, Cow<'de, RawValue>)> = Vec::new();
        let mut places: BTreeMap<Cow<'de, str>, usize> = BTreeMap::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            match places.entry(key.clone()) {
                Entry::Occupied(place) => entries[*place.get()].1 = Cow::Borrowed(value),
                Entry::Vacant(place) => {
                    place.insert(entries.len());
                    entries.push((key, Cow::Borrowed(value)));
                }
            }
        }
        Ok(Fields { entries })
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            if let Some(text) = compact(value.get()) {
                let value = RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
                map.serialize_entry(key, &value)?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

/// Removes the white space between the tokens of valid JSON, if there is any.
fn compact(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut in_string = false;
    let mut escaped = false;
    let mut keep = |c: char| {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        in_string = c == '"';
        !matches!(c, ' ' | '\n' | '\r' | '\t')
    };
    let kept: String = text.chars().filter(|c| keep(*c)).collect();
    (kept.len() < text.len()).then_some(kept)
}
