//! Frappe's rules: which names its conditions and templates know, what its payload and headers are.
//!
//! Conditions are Python expressions ([`crate::condition`]); templates are Jinja with Frappe's filters and functions, as far
//! as these need nothing but the event.

mod jinja;
mod value;

use std::sync::Arc;

use hookmill_core::{Event, Webhook, WebhookError};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use minijinja::{Environment, UndefinedBehavior};

use crate::condition::Condition;
use crate::python::{Dict, Py};
use crate::{RenderError, bad_document, describe};
use value::DocKind;

/// A webhook's condition and templates, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    condition: Option<Condition>,
    environment: Environment<'static>,
}

/// What is known of an event.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) doc: Arc<Dict>,
    pub(crate) before: Option<Arc<Dict>>,
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
    /// What makes a random choice the same for the same event.
    pub(crate) seed: String,
}

impl Names {
    pub(crate) fn of(event: &Event) -> Result<Self, RenderError> {
        let happening = Happening {
            now: Offset::UTC.to_datetime(event.occurred_at),
            doctype: event.doctype.clone(),
            doc_event: event.doc_event.clone(),
            user: event.user.clone(),
            seed: event.id.to_string(),
        };
        let before = event.before.as_ref().map(|before| object(before.as_str())).transpose()?;
        Ok(Self { doc: object(event.doc.as_str())?, before, event: Arc::new(happening) })
    }
}

fn object(json: &str) -> Result<Arc<Dict>, RenderError> {
    match Py::loads(json) {
        Ok(Py::Dict(entries)) => Ok(entries),
        Ok(_) => Err(bad_document(&"it is no object")),
        Err(error) => Err(bad_document(&error.description(json.as_bytes()))),
    }
}

impl Rules {
    pub(crate) fn compile(webhook: &Webhook) -> Result<Self, WebhookError> {
        let templates =
            webhook.headers.iter().filter(|header| header.template).map(|header| ("headers", &header.value));
        let templates = templates
            .chain(webhook.json_template.iter().map(|template| (crate::BODY, template)))
            .chain(webhook.dynamic_url.then_some((crate::URL, &webhook.request_url)));
        for (field, template) in templates {
            if template.contains(".__") {
                return Err(WebhookError::invalid(field, "has a mistake: Illegal template (`.__` stands in it)"));
            }
        }
        let mut environment = crate::environment(webhook)?;
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        jinja::equip(&mut environment);
        for (name, template) in environment.templates() {
            let field = name.split('.').next().unwrap_or_default();
            let mut asked: Vec<String> = template.undeclared_variables(true).into_iter().collect();
            asked.sort();
            if let Some(name) = asked.iter().find(|name| jinja::asks_the_site(name)) {
                return Err(WebhookError::invalid(field, format!("has a mistake: {}", jinja::no_site(name))));
            }
        }
        let condition = crate::condition_of(webhook).map(Condition::parse).transpose();
        let condition =
            condition.map_err(|cause| WebhookError::invalid("condition", format!("has a mistake: {cause}")))?;
        Ok(Self { condition, environment })
    }

    /// Tells whether the condition holds.
    pub(crate) fn holds(&self, names: &Names) -> Result<bool, String> {
        self.condition.as_ref().map_or(Ok(true), |condition| condition.holds(names))
    }

    /// Renders a template. In a URL, `doc` is the document; elsewhere it is a dictionary.
    pub(crate) fn template(&self, name: &str, names: &Names) -> Result<String, String> {
        let kind = if name == crate::URL { DocKind::Document } else { DocKind::Dict };
        let render = || {
            let template = self.environment.get_template(name)?;
            let context = jinja::context(names, kind, &template.undeclared_variables(false));
            template.render(context)
        };
        render().map_err(|error| describe(&error))
    }
}

/// Makes the payload of data rows.
pub(crate) fn payload(entries: Vec<(&str, &str)>) -> Result<Py, String> {
    let value = |json: &str| Py::loads(json).map_err(|error| error.description(json.as_bytes()));
    let entries = entries.into_iter().map(|(key, json)| Ok((Arc::from(key), value(json)?)));
    Ok(Py::Dict(Arc::new(entries.collect::<Result<_, String>>()?)))
}

/// Returns the headers that go out: rows without key or value do not, and of several with one name the first gives the
/// place and the last spelling and value.
pub(crate) fn sent_headers(rows: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut sent: Vec<(String, String)> = Vec::with_capacity(rows.len());
    for (name, value) in rows {
        if name.is_empty() || value.is_empty() {
            continue;
        }
        let entry = (name, value.trim().to_owned());
        match sent.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&entry.0)) {
            Some(known) => *known = entry,
            None => sent.push(entry),
        }
    }
    sent
}

#[cfg(test)]
mod tests;
