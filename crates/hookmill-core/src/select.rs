//! Which parts of a document may be seen: least privilege for whoever it is shown to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::JsonText;
use crate::json::Key;

/// A list of JSON pointers (RFC 6901) of what stays; in them, `*` as a whole part stands for every element of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Selection {
    pointers: Vec<String>,
    root: Node,
}

/// What stays below one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    /// Everything.
    whole: bool,
    below: BTreeMap<String, Self>,
}

/// A text that is no JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer:?} is no JSON pointer: it must begin with `/` and name a part of the document, as `/items/*/qty`")]
pub struct InvalidPointer {
    pointer: String,
}

impl Selection {
    /// Takes a list of pointers. An empty list lets nothing through.
    pub fn new(pointers: Vec<String>) -> Result<Self, InvalidPointer> {
        let mut root = Node::default();
        for pointer in &pointers {
            let path = pointer.strip_prefix('/').filter(|path| !path.is_empty());
            let path = path.ok_or_else(|| InvalidPointer { pointer: pointer.clone() })?;
            let mut node = &mut root;
            for part in path.split('/') {
                node = node.below.entry(part.replace("~1", "/").replace("~0", "~")).or_default();
            }
            node.whole = true;
        }
        Ok(Self { pointers, root })
    }

    /// Returns the selected parts of `doc`, in their places and in their own text; what is left of a part that is
    /// selected only below is empty rather than absent, so that its kind can be told.
    pub fn of(&self, doc: &JsonText) -> String {
        let mut out = String::with_capacity(doc.as_str().len() / 2);
        project(doc.as_str(), &self.root, &mut out);
        out
    }
}

fn project(text: &str, node: &Node, out: &mut String) {
    let mut json = serde_json::Deserializer::from_str(text);
    let level = Level { node, out };
    let done = match text.as_bytes().first() {
        _ if node.whole => return out.push_str(text),
        Some(b'{') => json.deserialize_map(level),
        Some(b'[') => json.deserialize_seq(level),
        // A value where a container was expected: nothing below it was asked for.
        _ => return out.push_str("null"),
    };
    // What is JSON as a whole is JSON in its parts.
    debug_assert!(done.is_ok(), "{done:?}");
}

/// Writes what stays of one object or array. Only what is looked into is read again, level by level.
struct Level<'a> {
    node: &'a Node,
    out: &'a mut String,
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, out } = self;
        let begin = out.len();
        while let Some(Key(key)) = map.next_key()? {
            let Some(below) = node.below.get(&*key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            out.push(if out.len() == begin { '{' } else { ',' });
            match key {
                // It stands there without escapes.
                Cow::Borrowed(key) => out.extend(["\"", key, "\":"]),
                Cow::Owned(key) => {
                    out.push_str(&serde_json::to_string(&key).map_err(de::Error::custom)?);
                    out.push(':');
                }
            }
            project(map.next_value::<&RawValue>()?.get(), below, out);
        }
        out.push_str(if out.len() == begin { "{}" } else { "}" });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { node, out } = self;
        let every = node.below.get("*");
        out.push('[');
        let mut place = 0;
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if place > 0 {
                out.push(',');
            }
            match every.or_else(|| node.below.get(&place.to_string())) {
                Some(below) => project(element.get(), below, out),
                // The others keep their places.
                None => out.push_str("null"),
            }
            place += 1;
        }
        out.push(']');
        Ok(())
    }
}

impl TryFrom<Vec<String>> for Selection {
    type Error = InvalidPointer;

    fn try_from(pointers: Vec<String>) -> Result<Self, InvalidPointer> {
        Self::new(pointers)
    }
}

impl From<Selection> for Vec<String> {
    fn from(selection: Selection) -> Self {
        selection.pointers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(pointers: &[&str], doc: &str) -> String {
        let pointers = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        Selection::new(pointers).expect("pointers").of(&JsonText::parse(doc).expect("JSON"))
    }

    #[test]
    fn only_what_is_named_stays_in_its_own_text_and_order() {
        let doc = r#"{"name":"Q-1","secret":{"a":1},"total":1.50,"items":[{"qty":2.0,"rate":9007199254740993},{"qty":1}],"a/b":{"~":true}}"#;
        assert_eq!(selected(&["/total", "/name"], doc), r#"{"name":"Q-1","total":1.50}"#);
        assert_eq!(selected(&["/items/*/qty"], doc), r#"{"items":[{"qty":2.0},{"qty":1}]}"#);
        assert_eq!(selected(&["/items/1"], doc), r#"{"items":[null,{"qty":1}]}"#);
        assert_eq!(selected(&["/a~1b/~0"], doc), r#"{"a/b":{"~":true}}"#);
        assert_eq!(selected(&["/secret/nope", "/name/below"], doc), r#"{"name":null,"secret":{}}"#);
        assert_eq!(selected(&[], doc), "{}");
        assert_eq!(selected(&["/é\"\n"], "{\"\\u00e9\\\"\\n\":1,\"b\":2}"), "{\"é\\\"\\n\":1}");
        // Of a key that stands there twice, both stay: which one counts is for the reader, as in the whole document.
        assert_eq!(selected(&["/a/b"], r#"{"a": {"b":1,"c":2}, "a":1e999, "x":1e999}"#), r#"{"a":{"b":1},"a":null}"#);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for pointer in ["", "/", "name"] {
            assert!(Selection::new(vec![pointer.into()]).is_err(), "{pointer}");
        }
    }
}
