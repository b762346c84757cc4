//! JSON that is carried as text, so that key order and numbers stay as the sender wrote them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One valid JSON value in the very text in which it arrived. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// Takes `text` if it is one valid JSON value.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get().into()))
    }

    /// Returns `{}`.
    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Returns the same value without the white space between its tokens; nothing else is rewritten.
    pub fn compact(&self) -> Cow<'_, str> {
        compact(&self.0)
    }
}

impl From<&RawValue> for JsonText {
    fn from(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().into()))
    }
}

/// Removes the white space between the tokens of valid JSON.
pub fn compact(text: &str) -> Cow<'_, str> {
    let mut in_string = false;
    let mut escaped = false;
    let mut keep = |byte: u8| {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            return true;
        }
        in_string = byte == b'"';
        !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    };
    let Some(first) = text.bytes().position(|byte| !keep(byte)) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    let (head, tail) = text.as_bytes().split_at(first);
    out.extend_from_slice(head);
    out.extend(tail.iter().skip(1).copied().filter(|byte| keep(*byte)));
    Cow::Owned(String::from_utf8(out).expect("only ASCII white space between tokens was removed"))
}

/// The fields of a JSON object, each value in its original text.
///
/// A key that stands twice keeps its first place and its last value, as in Python.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Fields<'a> {
    /// Reads the top level of `object`; deeper levels are only checked for being JSON.
    pub fn parse(object: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(object)
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.places.get(key).map(|&place| self.entries[place].1)
    }

    /// Returns keys and values in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

#[derive(Deserialize, PartialEq, Eq, Hash, Clone)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    match fields.places.get(&key) {
                        Some(&place) => fields.entries[place].1 = value,
                        None => {
                            fields.places.insert(key.clone(), fields.entries.len());
                            fields.entries.push((key, value));
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_removes_only_the_space_between_tokens() {
        let check = |input, expected| assert_eq!(compact(input), expected);
        check(r#"{"a":1}"#, r#"{"a":1}"#);
        check(
            "{ \"a\" : [ 1.50 ,\t1e400 ],\r\n \"b c\" : \"x \\\" y \\\\\" }",
            r#"{"a":[1.50,1e400],"b c":"x \" y \\"}"#,
        );
        check(" \"ü  \" ", "\"ü  \"");
    }

    #[test]
    fn fields_keep_order_text_and_the_last_of_a_repeated_key() {
        let fields = Fields::parse(r#"{"b":1.0,"a":9007199254740993,"b":2e0,"é\n":{}}"#).expect("valid");
        let seen: Vec<_> = fields.iter().map(|(key, value)| (key.to_owned(), value.get())).collect();
        assert_eq!(seen, [("b".into(), "2e0"), ("a".into(), "9007199254740993"), ("é\n".into(), "{}")]);
        assert!(Fields::parse("[1]").is_err());
    }
}
