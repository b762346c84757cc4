//! Which parts of a document may be seen: least privilege for whoever it is shown to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::JsonText;
use crate::json::Fields;

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
    if node.whole {
        out.push_str(text);
    } else if text.starts_with('{') {
        let fields = Fields::parse(text).unwrap_or_default();
        let mut separator = '{';
        for (key, value) in fields.iter() {
            let Some(below) = node.below.get(key) else { continue };
            out.push(separator);
            out.push_str(&serde_json::to_string(key).expect("a string is JSON"));
            out.push(':');
            project(value.get(), below, out);
            separator = ',';
        }
        out.push_str(if separator == '{' { "{}" } else { "}" });
    } else if text.starts_with('[') {
        array(text, node, out);
    } else {
        // A value where a container was expected: nothing below it was asked for.
        out.push_str("null");
    }
}

fn array(text: &str, node: &Node, out: &mut String) {
    let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    out.push('[');
    for (place, element) in elements.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        match node.below.get("*").or_else(|| node.below.get(&place.to_string())) {
            Some(below) => project(element.get(), below, out),
            // The others keep their places.
            None => out.push_str("null"),
        }
    }
    out.push(']');
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
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for pointer in ["", "/", "name"] {
            assert!(Selection::new(vec![pointer.into()]).is_err(), "{pointer}");
        }
    }
}
