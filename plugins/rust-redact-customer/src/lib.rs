//! Passes a Customer on without its personal fields. Everything else keeps its place and its spelling.

use hookmill_sdk::{Decision, Event, Failure, Fields, RawValue, Request};
use serde::Deserialize;

/// A table in a table in a table is already rare; deeper nesting is refused instead of looked through.
const DEPTH_MAX: usize = 8;

/// What a webhook can set for this plugin.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The fields to drop, in the document and in its tables.
    fields: Vec<String>,
    /// The states in which a document is not sent.
    skip_states: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let fields = [
            "salutation",
            "first_name",
            "last_name",
            "gender",
            "image",
            "email_id",
            "mobile_no",
            "phone",
            "primary_address",
            "customer_primary_address",
            "customer_primary_contact",
            "tax_id",
            "portal_users",
        ];
        Self { fields: fields.map(str::to_owned).into(), skip_states: vec!["Draft".to_owned()] }
    }
}

fn transform(event: &Event, draft: Request, settings: Settings) -> Result<Decision, Failure> {
    let mut doc: Fields = event.doc()?;
    if doc.get("disabled").is_some_and(|flag| matches!(flag.get(), "1" | "true")) {
        return Ok(Decision::skip("the customer is disabled"));
    }
    for field in ["workflow_state", "status"] {
        let state = doc.get(field).and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        if let Some(state) = state.filter(|state| settings.skip_states.contains(state)) {
            return Ok(Decision::skip(format!("the customer's {field} is {state}")));
        }
    }
    let dropped = redact(&mut doc, &settings.fields, 0)?;
    hookmill_sdk::info!("dropped {dropped} personal fields");
    Ok(draft.json(&doc)?.into())
}

/// Drops the named fields here and below, and returns how many there were.
fn redact(object: &mut Fields<'_>, names: &[String], depth: usize) -> Result<usize, Failure> {
    let mut dropped = 0;
    object.retain(|name, _| {
        let personal = names.iter().any(|personal| personal == name);
        dropped += usize::from(personal);
        !personal
    });
    let mut changed: Vec<(String, Box<RawValue>)> = Vec::new();
    for (name, value) in object.iter() {
        if let Some((below, value)) = redact_value(value, names, depth + 1)? {
            dropped += below;
            changed.push((name.to_owned(), value));
        }
    }
    for (name, value) in changed {
        object.set(name, &value)?;
    }
    Ok(dropped)
}

/// Returns a table or an object without the named fields, if it has any of them.
fn redact_value(value: &RawValue, names: &[String], depth: usize) -> Result<Option<(usize, Box<RawValue>)>, Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::bad_document("too_deep", format!("the document has more than {DEPTH_MAX} levels")));
    }
    let dropped;
    let redacted = if value.get().starts_with('{') {
        let mut object: Fields = serde_json::from_str(value.get())?;
        dropped = redact(&mut object, names, depth)?;
        if dropped == 0 {
            return Ok(None);
        }
        serde_json::value::to_raw_value(&object)?
    } else if value.get().starts_with('[') {
        let rows: Vec<&RawValue> = serde_json::from_str(value.get())?;
        let mut kept = Vec::with_capacity(rows.len());
        let mut in_rows = 0;
        for row in rows {
            match redact_value(row, names, depth + 1)? {
                Some((below, row)) => {
                    in_rows += below;
                    kept.push(row);
                }
                None => kept.push(row.to_owned()),
            }
        }
        dropped = in_rows;
        if dropped == 0 {
            return Ok(None);
        }
        serde_json::value::to_raw_value(&kept)?
    } else {
        return Ok(None);
    };
    Ok(Some((dropped, redacted)))
}

hookmill_sdk::plugin!(transform);

#[cfg(test)]
mod tests;
