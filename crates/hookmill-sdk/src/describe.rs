//! What a plugin says of itself.

use serde::Serialize;
use serde_json::Value;

/// A plugin in its author's words.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(clippy::exhaustive_structs, reason = "authors write it out, and `..Default::default()` stands for the rest")]
pub struct Description {
    /// Its name, for people.
    pub name: String,
    /// The author's version, for people.
    pub version: String,
    /// What it does.
    pub description: String,
    /// A JSON Schema that the host holds every webhook's settings against; null for none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub settings: Value,
}

impl Description {
    /// Returns the JSON that the contract asks for.
    #[doc(hidden)]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and a JSON value are JSON")
    }
}
