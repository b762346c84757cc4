//! Data rows: which fields of the document go into the body, and under which keys.

use std::collections::HashMap;

use hookmill_core::json::{Fields, compact};
use hookmill_core::webhook::DataRow;

/// Returns a key for each row with the document's own text of the value, in the order of the rows.
///
/// A field that the document lacks is null. Of rows with the same key, the first gives the place and the last the value,
/// as in Python.
pub(crate) fn entries<'a>(rows: &'a [DataRow], doc: &'a str) -> Result<Vec<(&'a str, &'a str)>, serde_json::Error> {
    let fields = Fields::parse(doc)?;
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    let mut entries: Vec<(&str, &str)> = Vec::with_capacity(rows.len());
    for row in rows {
        let value = fields.get(&row.fieldname).map_or("null", serde_json::value::RawValue::get);
        match places.get(row.key.as_str()).and_then(|&place| entries.get_mut(place)) {
            Some(entry) => entry.1 = value,
            None => {
                places.insert(&row.key, entries.len());
                entries.push((&row.key, value));
            }
        }
    }
    Ok(entries)
}

/// Writes entries as a JSON object, without the white space between the tokens of their values.
pub(crate) fn object(entries: &[(&str, &str)]) -> Result<String, serde_json::Error> {
    let mut body = String::from("{");
    for (key, value) in entries {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&serde_json::to_string(key)?);
        body.push(':');
        body.push_str(&compact(value));
    }
    body.push('}');
    Ok(body)
}
