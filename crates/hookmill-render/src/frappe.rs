//! Frappe's rules: which names its conditions and templates know, what its payload and headers are.
//!
//! Conditions are Python expressions ([`crate::condition`]); templates are Jinja with Frappe's filters and functions, as far
//! as these need nothing but the event.

use hookmill_core::{Event, Webhook, WebhookError};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::condition::Condition;
use crate::jinja::Template;
use crate::python::{Dict, DictKind, Key, Py, Shared};
use crate::{RenderError, bad_document};

/// A webhook's condition and templates, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    condition: Option<Condition>,
    templates: BTreeMap<String, Template>,
}

/// What is known of an event.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) doc: Shared<Dict>,
    pub(crate) before: Option<Shared<Dict>>,
    pub(crate) event: Arc<Happening>,
}

/// What conditions and templates may ask beside the document.
#[derive(Debug)]
pub(crate) struct Happening {
    /// When it happened: where every clock stands.
    pub(crate) now: DateTime,
    pub(crate) doctype: String,
    pub(crate) doc_event: String,
    pub(crate) user: Option<String>,
    /// The event's id, which also makes a random choice the same for the same event.
    pub(crate) id: String,
}

impl Names {
    pub(crate) fn of(event: &Event) -> Result<Self, RenderError> {
        let happening = Happening {
            now: Offset::UTC.to_datetime(event.occurred_at),
            doctype: event.doctype.clone(),
            doc_event: event.doc_event.clone(),
            user: event.user.clone(),
            id: event.id.to_string(),
        };
        let before = event.before.as_ref().map(|before| object(before.as_str())).transpose()?;
        Ok(Self { doc: object(event.doc.as_str())?, before, event: Arc::new(happening) })
    }

    /// Returns a copy that a template may change and take apart: what it does to the document is seen by itself alone.
    pub(crate) fn copied(&self) -> Self {
        let copy = |entries: &Shared<Dict>| {
            let entries = entries.get();
            Shared::new(entries.iter().map(|(key, value)| (key.clone(), copied(value))).collect())
        };
        Self { doc: copy(&self.doc), before: self.before.as_ref().map(copy), event: Arc::clone(&self.event) }
    }
}

fn copied(value: &Py) -> Py {
    match value {
        Py::List(items) => Py::list(items.get().iter().map(copied)),
        Py::Dict(kind, entries) => {
            let entries = entries.get();
            let entries = entries.iter().map(|(key, value)| (key.clone(), copied(value)));
            Py::Dict(*kind, Shared::new(entries.collect()))
        }
        other => other.clone(),
    }
}

fn object(json: &str) -> Result<Shared<Dict>, RenderError> {
    match Py::loads(json).map(of_frappe) {
        Ok(Py::Dict(_, entries)) => Ok(entries),
        Ok(_) => Err(bad_document(&"it is no object")),
        Err(error) => Err(bad_document(&error.description(json.as_bytes()))),
    }
}

/// Makes the rows of a document Frappe's dictionaries, in which what is missing is None.
fn of_frappe(value: Py) -> Py {
    match value {
        Py::List(items) => {
            items.change(|items| items.iter_mut().for_each(|item| *item = of_frappe(item.clone())));
            Py::List(items)
        }
        Py::Dict(_, entries) => {
            entries.change(|entries| entries.values_mut().for_each(|value| *value = of_frappe(value.clone())));
            Py::Dict(DictKind::Frappe, entries)
        }
        other => other,
    }
}

impl Rules {
    pub(crate) fn compile(webhook: &Webhook) -> Result<Self, WebhookError> {
        let mut templates = BTreeMap::new();
        for (name, field, template) in crate::templates(webhook) {
            let mistake = |cause: String| WebhookError::invalid(field, format!("has a mistake: {cause}"));
            if template.contains(".__") {
                return Err(mistake("Illegal template (`.__` stands in it)".into()));
            }
            templates.insert(name, Template::parse(template).map_err(mistake)?);
        }
        let condition = crate::condition_of(webhook).map(Condition::parse).transpose();
        let condition =
            condition.map_err(|cause| WebhookError::invalid("condition", format!("has a mistake: {cause}")))?;
        Ok(Self { condition, templates })
    }

    /// Tells whether the condition holds.
    pub(crate) fn holds(&self, names: &Names) -> Result<bool, String> {
        self.condition.as_ref().map_or(Ok(true), |condition| condition.holds(names))
    }

    /// Renders a template. In a URL, `doc` is the document; elsewhere it is a dictionary.
    pub(crate) fn template(&self, name: &str, names: &Names) -> Result<String, String> {
        let kind = if name == crate::URL { DictKind::Document } else { DictKind::Frappe };
        let template = self.templates.get(name).ok_or("there is no such template")?;
        template.fill(names, kind)
    }
}

/// Makes the payload of data rows.
pub(crate) fn payload(entries: Vec<(&str, &str)>) -> Result<Py, String> {
    let value = |json: &str| Py::loads(json).map_err(|error| error.description(json.as_bytes()));
    let entries = entries.into_iter().map(|(key, json)| Ok((Key::text(key), value(json)?)));
    Ok(Py::dict(entries.collect::<Result<Vec<_>, String>>()?))
}

/// Returns the headers that go out, as Frappe and then `requests` put them together.
///
/// Rows without key or value are left out. Of rows with one name, letter for letter, the first gives the place and the last
/// the value; then, of names that differ in case only, the last one holds, in the place of the first.
pub(crate) fn sent_headers(rows: Vec<(String, String)>) -> Vec<(String, String)> {
    let rows = rows.into_iter().filter(|(name, value)| !name.is_empty() && !value.is_empty());
    // `requests` refuses white space before a value, and sends what stands behind.
    let rows = rows.map(|(name, value)| (name, value.trim_start().to_owned()));
    let exact = merged(rows, |a, b| a == b, false);
    merged(exact.into_iter(), str::eq_ignore_ascii_case, true)
}

fn merged(
    rows: impl Iterator<Item = (String, String)>,
    same: impl Fn(&str, &str) -> bool,
    takes_name: bool,
) -> Vec<(String, String)> {
    let mut sent: Vec<(String, String)> = Vec::new();
    for (name, value) in rows {
        match sent.iter_mut().find(|(known, _)| same(known, &name)) {
            Some(known) if takes_name => *known = (name, value),
            Some(known) => known.1 = value,
            None => sent.push((name, value)),
        }
    }
    sent
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
