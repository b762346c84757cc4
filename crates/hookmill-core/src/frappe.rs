//! Webhooks as Frappe exports them: what its form checks, and what each becomes here.
//!
//! Whether a condition or a template can be run is not decided here; saving the webhook finds that out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::{RETRIES_MAX, TIMEOUT_MS};
use crate::webhook::{Profile, is_reserved_header};

const SUBMIT_EVENTS: [&str; 3] = ["on_submit", "on_cancel", "on_update_after_submit"];
const METHODS: [&str; 3] = ["POST", "PUT", "DELETE"];
const STRUCTURES: [&str; 3] = ["", "Form URL-Encoded", "JSON"];
const EVENTS: [&str; 8] = [
    "after_insert",
    "on_update",
    "on_submit",
    "on_cancel",
    "on_trash",
    "on_update_after_submit",
    "on_change",
    // Since version 16, so it stands last.
    "workflow_transition",
];

/// Reserved headers that rows of Frappe's profiles may set all the same, for hookmill has no account of its own there.
const OWN_HEADERS: [&str; 6] =
    ["connection", "expect", "webhook-id", "webhook-signature", "webhook-timestamp", "x-frappe-webhook-signature"];

/// Tells whether a row of Frappe's profiles may set this header, though it is reserved elsewhere.
pub fn may_set_header(name: &str) -> bool {
    OWN_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What is known of a site's DocTypes, by name.
pub type Doctypes = BTreeMap<String, Doctype>;

/// What a webhook's checks ask about a DocType.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Doctype {
    /// 1 if its documents are submitted and cancelled.
    #[serde(default)]
    pub is_submittable: u8,
}

/// What an import is told besides the document.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever imports")]
pub struct Options<'a> {
    /// Whose bytes are to be sent; one of Frappe's.
    pub profile: Profile,
    /// The site's DocTypes, if they are known; what depends on them is not checked otherwise.
    pub doctypes: Option<&'a Doctypes>,
    /// The secret in plain text, if it is known; an export has only asterisks.
    pub secret: Option<&'a str>,
}

/// A webhook of Frappe's in hookmill's words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// The webhook's JSON.
    pub webhook: Value,
    /// What could not be carried over as it was.
    pub notes: Vec<Note>,
}

/// Something of a webhook that is not here as it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Frappe's field.
    pub field: &'static str,
    /// What became of it, and what to do.
    pub message: String,
}

/// Frappe itself would not have saved this document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Refused {
    /// The class of Frappe's exception.
    pub exception: &'static str,
    /// Frappe's own message.
    pub message: String,
}

impl Refused {
    fn invalid(message: impl Into<String>) -> Self {
        Self { exception: "ValidationError", message: message.into() }
    }
}

/// Returns the Webhook documents in what Frappe wrote: one, a list (fixtures), or the answer of its REST API.
pub fn documents(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.into_iter().flat_map(documents).collect(),
        Value::Object(mut object) => {
            let wrapped = ["data", "docs", "message"].into_iter().find_map(|key| {
                object.get(key).filter(|inner| inner.is_array() || inner.is_object())?;
                object.remove(key)
            });
            match wrapped {
                Some(inner) => documents(inner),
                None if object.get("doctype").is_none_or(|doctype| doctype == "Webhook") => vec![Value::Object(object)],
                // A fixtures file may hold documents of other DocTypes.
                None => vec![],
            }
        }
        _ => vec![],
    }
}

/// Tells whether a Webhook document signs, and does not say with what: an export has asterisks in place of the secret.
pub fn hides_its_secret(document: &Value) -> bool {
    let form = Form(document);
    form.flag("enable_security") && is_masked(form.text("webhook_secret"))
}

/// Makes a webhook of a Webhook document, after the checks that Frappe makes when it saves one.
pub fn import(document: &Value, options: &Options<'_>) -> Result<Imported, Refused> {
    let form = Form(document);
    check(&form, options)?;
    let mut notes = Vec::new();
    let timeout_ms = timeout_ms(&form, &mut notes);
    let structure = form.text("request_structure");
    let rows = |table, from: &[(&str, &str)]| -> Vec<Value> {
        form.rows(table).map(|row| from.iter().map(|(to, of)| (*to, json!(row.text(of)))).collect()).collect()
    };
    let data = rows("webhook_data", &[("fieldname", "fieldname"), ("key", "key")]);
    let template = form.text("webhook_json");
    let (data, template) = match structure {
        "JSON" => (vec![], template),
        "Form URL-Encoded" => (data, ""),
        _ => (data, template),
    };
    let mut webhook = json!({
        "doctype": form.text("webhook_doctype"),
        "doc_event": form.or("webhook_docevent", EVENTS[0]),
        "enabled": form.0.get("enabled").is_none() || form.flag("enabled"),
        "request_url": form.text("request_url"),
        "dynamic_url": form.flag("is_dynamic_url"),
        "request_method": form.or("request_method", METHODS[0]),
        "request_structure": structure,
        "headers": headers(&form, &mut notes),
        "data": data,
        "profile": options.profile,
        "timeout_ms": timeout_ms,
    });
    if let Some(retry) = retry(&form, options.profile) {
        webhook["retry"] = retry;
    }
    for (field, text) in [("condition", form.text("condition").trim()), ("json_template", template)] {
        if !text.is_empty() {
            webhook[field] = json!(text);
        }
    }
    if form.flag("enable_security") {
        let exported = || Some(form.text("webhook_secret")).filter(|secret| !is_masked(secret));
        match options.secret.or_else(exported) {
            Some(secret) => webhook["secrets"] = json!([secret]),
            None => {
                // A receiver that was promised a signature must not get requests without one.
                webhook["enabled"] = json!(false);
                let message = "is masked in the export, so the webhook is disabled, for nothing may go out unsigned; give the \
                    plain text with --secrets and import it again, or set `secrets` and enable it";
                notes.push(Note { field: "webhook_secret", message: message.into() });
            }
        }
    }
    if !form.text("background_jobs_queue").is_empty() {
        let message = "has no meaning here: no webhook waits behind another's receiver".into();
        notes.push(Note { field: "background_jobs_queue", message });
    }
    Ok(Imported { name: form.text("name").to_owned(), webhook, notes })
}

/// Returns the rows of headers, without those that only hookmill may set.
fn headers(form: &Form<'_>, notes: &mut Vec<Note>) -> Vec<Value> {
    let mut kept = Vec::new();
    for row in form.rows("webhook_headers") {
        let name = row.text("key");
        if is_reserved_header(name) && !may_set_header(name) {
            let message = format!("the row {name:?} is left out: only hookmill itself sets that header");
            notes.push(Note { field: "webhook_headers", message });
        } else {
            kept.push(json!({"key": name, "value": row.text("value")}));
        }
    }
    kept
}

/// Returns when a failed delivery is tried again, where Frappe tries at all; hookmill's own schedule holds otherwise.
fn retry(form: &Form<'_>, profile: Profile) -> Option<Value> {
    if profile != Profile::FrappeNewest {
        return Some(json!({"preset": "frappe"}));
    }
    let retries =
        form.number("max_retries").and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0)?;
    // The last wait repeats.
    let waits = ["5m", "30m", "2h", "5h", "10h"].into_iter().chain(std::iter::repeat("10h"));
    let schedule: Vec<&str> = std::iter::once("0s").chain(waits).take((1 + retries).min(RETRIES_MAX)).collect();
    Some(json!({ "schedule": schedule }))
}

/// Tells whether a secret is the asterisks that stand for one.
fn is_masked(secret: &str) -> bool {
    !secret.is_empty() && secret.bytes().all(|byte| byte == b'*')
}

fn timeout_ms(form: &Form<'_>, notes: &mut Vec<Note>) -> u32 {
    let secs = form.number("timeout").filter(|secs| *secs > 0).unwrap_or(5);
    let asked = u32::try_from(secs.saturating_mul(1_000)).unwrap_or(u32::MAX);
    let taken = asked.clamp(*TIMEOUT_MS.start(), *TIMEOUT_MS.end());
    if taken != asked || form.number("timeout").is_some_and(|secs| secs < 0) {
        let message =
            format!("is {} s, and a try may take {} s here", form.number("timeout").unwrap_or(0), taken / 1_000);
        notes.push(Note { field: "timeout", message });
    }
    taken
}

/// Makes Frappe's checks, in its order.
fn check(form: &Form<'_>, options: &Options<'_>) -> Result<(), Refused> {
    if form.text("name").is_empty() {
        return Err(Refused::invalid("Please set the document name"));
    }
    let (doctype, doc_event) = (form.text("webhook_doctype"), form.or("webhook_docevent", EVENTS[0]));
    let known = options.doctypes.map(|doctypes| doctypes.get(doctype));
    if known == Some(None) && !doctype.is_empty() {
        let message = format!("Could not find DocType: {doctype}");
        return Err(Refused { exception: "LinkValidationError", message });
    }
    let submittable = known.flatten().is_none_or(|doctype| doctype.is_submittable == 1);
    if !submittable && SUBMIT_EVENTS.contains(&doc_event) {
        return Err(Refused::invalid("DocType must be Submittable for the selected Doc Event"));
    }
    if !has_host(form.text("request_url")) {
        return Err(Refused::invalid("Check Request URL"));
    }
    let mut fields: Vec<&str> = match form.text("request_structure") {
        // Frappe empties the rows first.
        "JSON" => vec![],
        _ => form.rows("webhook_data").map(|row| row.text("fieldname")).collect(),
    };
    let count = fields.len();
    fields.sort_unstable();
    fields.dedup();
    if fields.len() < count {
        return Err(Refused::invalid("Same Field is entered more than once"));
    }
    if form.flag("enable_security") && form.text("webhook_secret").is_empty() && options.secret.is_none() {
        return Err(Refused::invalid("Invalid Webhook Secret"));
    }
    check_mandatory(form)?;
    let events = if options.profile == Profile::FrappeNewest { &EVENTS[..] } else { &EVENTS[..7] };
    check_choice("Doc Event", doc_event, events)?;
    check_choice("Request Method", form.or("request_method", METHODS[0]), &METHODS)?;
    check_choice("Request Structure", form.text("request_structure"), &STRUCTURES)
}

fn check_mandatory(form: &Form<'_>) -> Result<(), Refused> {
    // A form has the first choice where nobody has chosen; who empties the field has chosen nothing.
    let own =
        [("webhook_doctype", ""), ("webhook_docevent", EVENTS[0]), ("request_url", ""), ("request_method", METHODS[0])];
    let empty = own.into_iter().filter(|(field, default)| form.or(field, default).is_empty());
    let mut missing: Vec<&str> = empty.map(|(field, _)| field).collect();
    if form.text("request_structure") != "JSON" {
        for row in form.rows("webhook_data") {
            missing.extend(["fieldname", "key"].into_iter().filter(|field| row.text(field).is_empty()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("[Webhook, {}]: {}", form.text("name"), missing.join(", "));
    Err(Refused { exception: "MandatoryError", message })
}

fn check_choice(label: &str, value: &str, choices: &[&str]) -> Result<(), Refused> {
    if choices.contains(&value) {
        return Ok(());
    }
    let choices: Vec<String> =
        choices.iter().filter(|choice| !choice.is_empty()).map(|choice| format!("\"{choice}\"")).collect();
    // The space in front is Frappe's: a row's number would stand there.
    Err(Refused::invalid(format!(" {label} cannot be \"{value}\". It should be one of {}", choices.join(", "))))
}

/// Tells whether Python's `urlparse` finds a host, which is all that Frappe asks of a URL.
fn has_host(url: &str) -> bool {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    };
    let url = url.trim_start_matches(|c: char| c <= ' ');
    let rest = match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => url,
    };
    let Some(authority) = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()) else {
        return false;
    };
    !authority.is_empty() && authority.contains('[') == authority.contains(']')
}

/// A document or a row of one; what is missing is empty, as in Frappe.
struct Form<'a>(&'a Value);

impl<'a> Form<'a> {
    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a field's text, or this one where the field is not there at all.
    fn or(&self, field: &str, default: &'a str) -> &'a str {
        if self.0.get(field).is_none() { default } else { self.text(field) }
    }

    fn number(&self, field: &str) -> Option<i64> {
        let value = self.0.get(field)?;
        value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    fn flag(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| *value == true) || self.number(field).is_some_and(|number| number != 0)
    }

    fn rows(&self, table: &str) -> impl Iterator<Item = Form<'a>> + use<'a> {
        self.0.get(table).and_then(Value::as_array).into_iter().flatten().map(Form)
    }
}
