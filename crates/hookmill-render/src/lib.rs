//! The no-code half of a webhook: condition, data rows, JSON template and dynamic URL.
//!
//! A [`Renderer`] is compiled when a webhook is saved, which finds every mistake that can be found without a document,
//! and turns an event into the request that would go out without a plugin. This crate never runs guest code.

mod bounds;
mod condition;
mod form;
mod frappe;
mod jinja;
mod native;
mod python;
mod rows;
mod url;

use std::sync::Arc;

use hookmill_core::limits::BODY_BYTES_MAX;
use hookmill_core::webhook::{Profile, Structure};
use hookmill_core::{Event, Explain, Fault, Request, Webhook, WebhookError, json};
use minijinja::{Environment, Value};

/// What an expression or a template may cost; some hundred times what real ones need.
const FUEL: u64 = 200_000;

/// Calls of macros and loops inside of each other. Each takes from the stack of the thread that renders.
const RECURSION_MAX: usize = 100;

/// Characters of one expression. The parser calls itself for every operator, and a longer row of them could use up the
/// stack of the thread that saves a webhook.
const EXPRESSION_CHARS_MAX: usize = 1_000;

/// Characters before and behind the place of a mistake that a message shows.
const EXCERPT_CHARS: usize = 20;

const URL: &str = "request_url";
const BODY: &str = "json_template";

/// A webhook whose expressions and templates are parsed.
#[derive(Debug, Clone)]
pub struct Renderer {
    webhook: Arc<Webhook>,
    rules: Rules,
}

/// Whose language conditions and templates are written in.
#[derive(Debug, Clone)]
enum Rules {
    Native(Box<native::Rules>),
    Frappe(frappe::Rules),
}

/// What conditions and templates know of an event.
enum Names {
    /// There are none to ask.
    Unasked,
    Native(Value),
    Frappe(frappe::Names),
}

/// What an event becomes without a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Rendered {
    /// Nothing is to be sent, for this reason.
    Skip(String),
    /// This request. The flag tells whether its body was made from data rows or a template; otherwise it is empty, and
    /// [`Renderer::complete`] puts one in where no plugin makes another.
    Draft(Request, bool),
}

/// An expression or a template failed on a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    code: &'static str,
    message: String,
}

impl Explain for RenderError {
    fn code(&self) -> &'static str {
        self.code
    }
}

impl From<RenderError> for Fault {
    fn from(error: RenderError) -> Self {
        Self { code: error.code.into(), message: error.message, backtrace: None }
    }
}

impl Renderer {
    /// Parses a webhook's condition and templates.
    pub fn compile(webhook: Arc<Webhook>) -> Result<Self, WebhookError> {
        if webhook.plugin.is_some() && matches!(webhook.request_structure, Structure::Form | Structure::FormEncoded) {
            let rule = "can't be a form where a plugin makes the body; leave it out";
            return Err(WebhookError::invalid("request_structure", rule));
        }
        let rules = if webhook.profile.is_frappe() {
            Rules::Frappe(frappe::Rules::compile(&webhook)?)
        } else {
            Rules::Native(Box::new(native::Rules::compile(&webhook)?))
        };
        Ok(Self { webhook, rules })
    }

    /// Returns the webhook.
    pub fn webhook(&self) -> &Arc<Webhook> {
        &self.webhook
    }

    /// Tells whether rendering is a matter of microseconds: no expression or template of the user's is run.
    pub fn is_cheap(&self) -> bool {
        condition_of(&self.webhook).is_none()
            && !self.webhook.dynamic_url
            && self.webhook.json_template.is_none()
            && !self.webhook.headers.iter().any(|header| header.template)
    }

    /// Renders `event`.
    pub fn render(&self, event: &Event) -> Result<Rendered, RenderError> {
        let webhook = &*self.webhook;
        let names = self.names(event)?;
        if let Some(condition) = condition_of(webhook)
            && !self.holds(condition, &names)?
        {
            return Ok(Rendered::Skip(format!("the condition `{condition}` is false")));
        }
        let url = self.url(&names)?;
        let headers = self.headers(&names)?;
        let made = self.body(event, &names)?;
        if let Some(body) = made.as_ref().filter(|body| body.len() > BODY_BYTES_MAX) {
            let message =
                format!("the body has {} bytes, more than the {BODY_BYTES_MAX} that a request may have", body.len());
            return Err(RenderError { code: "body_too_large", message });
        }
        let (made, body) = (made.is_some(), made.unwrap_or_default());
        let method = webhook.request_method.as_str().into();
        Ok(Rendered::Draft(Request { method, url, headers, body: body.into_bytes() }, made))
    }

    /// Makes a draft into the request that goes out without a plugin: the document is its body unless one was `made`, and
    /// it has a content type. Frappe has an empty object in place of the document, and names no content type.
    pub fn complete(&self, mut request: Request, made: bool, event: &Event) -> Request {
        let is_frappe = self.webhook.profile.is_frappe();
        if !made {
            let body = match self.is_form() {
                _ if is_frappe => {
                    if self.is_form() {
                        String::new()
                    } else {
                        "{}".into()
                    }
                }
                true => form::of_object(event.doc.as_str()).expect("a document is an object"),
                false => event.doc.compact().into_owned(),
            };
            request.body = body.into_bytes();
        }
        let content_type = match self.is_form() {
            true => form::CONTENT_TYPE,
            false if is_frappe => return request,
            false => "application/json",
        };
        if !request.body.is_empty() && !has_content_type(&request.headers) {
            request.headers.insert(0, ("content-type".into(), content_type.into()));
        }
        request
    }

    /// Tells whether the body is written as a form. What Frappe calls one is JSON all the same.
    fn is_form(&self) -> bool {
        match self.webhook.request_structure {
            Structure::FormEncoded => true,
            Structure::Form => !self.webhook.profile.is_frappe(),
            _ => false,
        }
    }

    fn names(&self, event: &Event) -> Result<Names, RenderError> {
        if self.is_cheap() {
            return Ok(Names::Unasked);
        }
        match &self.rules {
            Rules::Native(_) => native::names(event).map(Names::Native),
            Rules::Frappe(_) => frappe::Names::of(event).map(Names::Frappe),
        }
    }

    fn holds(&self, condition: &str, names: &Names) -> Result<bool, RenderError> {
        let holds = match (&self.rules, names) {
            (Rules::Native(rules), Names::Native(names)) => rules.holds(condition, names),
            (Rules::Frappe(rules), Names::Frappe(names)) => rules.holds(names),
            _ => unreachable!("a condition has the names of its own language"),
        };
        holds.map_err(|cause| RenderError {
            code: "condition_failed",
            message: format!("the condition `{condition}` failed: {cause}"),
        })
    }

    fn url(&self, names: &Names) -> Result<String, RenderError> {
        let url = match self.webhook.dynamic_url {
            true => self.template(URL, "url_template_failed", names)?,
            false => self.webhook.request_url.clone(),
        };
        Ok(if self.webhook.profile.is_frappe() { url::quote(&url) } else { url.trim().to_owned() })
    }

    fn headers(&self, names: &Names) -> Result<Vec<(String, String)>, RenderError> {
        let mut headers = Vec::with_capacity(self.webhook.headers.len());
        for (place, header) in self.webhook.headers.iter().enumerate() {
            let value = match header.template {
                true => self.template(&header_template(place), "header_template_failed", names)?,
                false => header.value.clone(),
            };
            headers.push((header.key.clone(), value));
        }
        Ok(if self.webhook.profile.is_frappe() { frappe::sent_headers(headers) } else { headers })
    }

    /// Makes the body from rows or template, if the webhook has any.
    fn body(&self, event: &Event, names: &Names) -> Result<Option<String>, RenderError> {
        if self.webhook.profile.is_frappe() {
            return self.frappe_body(event, names);
        }
        if !self.webhook.data.is_empty() {
            let entries =
                rows::entries(&self.webhook.data, event.doc.as_str()).map_err(|error| bad_document(&error))?;
            return match self.is_form() {
                true => Ok(Some(form::encode(entries))),
                false => rows::object(&entries).map(Some).map_err(|error| bad_document(&error)),
            };
        }
        if self.webhook.json_template.is_some() {
            let text = self.template(BODY, "json_template_failed", names)?;
            hookmill_core::JsonText::parse(&text).map_err(|error| not_json(&error))?;
            let body = match self.is_form() {
                true => form::of_object(&text).map_err(|error| not_json(&error))?,
                false => json::compact(&text).into_owned(),
            };
            return Ok(Some(body));
        }
        Ok(None)
    }

    /// The same by Frappe's rules: rows stand before a template, numbers and text are spelt as Python spells them.
    fn frappe_body(&self, event: &Event, names: &Names) -> Result<Option<String>, RenderError> {
        let webhook = &*self.webhook;
        let payload = if !webhook.data.is_empty() {
            let entries = rows::entries(&webhook.data, event.doc.as_str()).map_err(|error| bad_document(&error))?;
            if self.is_form() {
                return Ok(Some(form::encode(entries)));
            }
            frappe::payload(entries).map_err(|error| bad_document(&error))?
        } else if webhook.json_template.as_ref().is_some_and(|template| !template.is_empty())
            && webhook.request_structure != Structure::Form
        {
            let text = self.template(BODY, "json_template_failed", names)?;
            if self.is_form() {
                return form::of_object(&text).map(Some).map_err(|error| not_json(&error));
            }
            python::Py::loads(&text).map_err(|error| {
                let excerpt = excerpt(&text, error.index);
                not_json(&format!("{}, at `{excerpt}`", error.description(text.as_bytes())))
            })?
        } else {
            return Ok(None);
        };
        let layout = match webhook.profile {
            Profile::FrappeNewest => python::dumps::Layout::indented(),
            _ => python::dumps::Layout::payload(),
        };
        python::dumps::dumps(&payload, &layout).map(Some).map_err(|error| bad_document(&error))
    }

    fn template(&self, name: &str, code: &'static str, names: &Names) -> Result<String, RenderError> {
        let made = match (&self.rules, names) {
            (Rules::Native(rules), Names::Native(names)) => rules.template(name, names),
            (Rules::Frappe(rules), Names::Frappe(names)) => rules.template(name, names),
            _ => unreachable!("a template has the names of its own language"),
        };
        made.map_err(|cause| RenderError { code, message: format!("`{name}` failed: {cause}") })
    }
}

/// Returns an environment with a webhook's templates, bounded in what they may cost.
fn environment(webhook: &Webhook) -> Result<Environment<'static>, WebhookError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.add_filter("join", bounds::join);
    for (name, field, template) in templates(webhook) {
        check_blocks(field, template)?;
        environment.add_template_owned(name, template.to_owned()).map_err(|error| invalid(field, &error))?;
    }
    Ok(environment)
}

/// Returns a webhook's templates: the name of each, its field and its text.
fn templates(webhook: &Webhook) -> impl Iterator<Item = (String, &'static str, &str)> {
    let url = webhook.dynamic_url.then(|| (URL.to_owned(), URL, webhook.request_url.as_str()));
    let body = webhook.json_template.as_ref().map(|template| (BODY.to_owned(), BODY, template.as_str()));
    let headers = webhook.headers.iter().enumerate().filter(|(_, header)| header.template);
    let headers = headers.map(|(place, header)| (header_template(place), "headers", header.value.as_str()));
    url.into_iter().chain(body).chain(headers)
}

/// Returns the name of a header's template.
fn header_template(place: usize) -> String {
    format!("headers.{place}")
}

fn has_content_type(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
}

fn not_json(error: &dyn std::fmt::Display) -> RenderError {
    RenderError { code: "json_template_not_json", message: format!("the JSON template gave what is not JSON: {error}") }
}

/// Returns what stands around a byte of a text.
fn excerpt(text: &str, at: usize) -> String {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = text.split_at(at);
    let begin = before.char_indices().rev().nth(EXCERPT_CHARS - 1).map_or(0, |(begin, _)| begin);
    let end = after.char_indices().nth(EXCERPT_CHARS).map_or(after.len(), |(end, _)| end);
    let mark = |is_cut: bool| if is_cut { "…" } else { "" };
    let (before, behind) = (before.get(begin..).unwrap_or_default(), after.get(..end).unwrap_or_default());
    format!("{}{before}{behind}{}", mark(begin > 0), mark(end < after.len()))
}

fn check_length(field: &str, expression: &str) -> Result<(), WebhookError> {
    if expression.chars().count() <= EXPRESSION_CHARS_MAX {
        return Ok(());
    }
    Err(WebhookError::invalid(field, format!("has an expression of more than {EXPRESSION_CHARS_MAX} characters")))
}

/// Checks what stands between a template's braces.
fn check_blocks(field: &str, template: &str) -> Result<(), WebhookError> {
    for (opening, closing) in [("{{", "}}"), ("{%", "%}")] {
        for rest in template.split(opening).skip(1) {
            let block = rest.split(closing).next();
            check_length(field, block.unwrap_or_default())?;
        }
    }
    Ok(())
}

fn condition_of(webhook: &Webhook) -> Option<&str> {
    webhook.condition.as_deref().map(str::trim).filter(|condition| !condition.is_empty())
}

fn bad_document(error: &dyn std::fmt::Display) -> RenderError {
    RenderError { code: "document_unreadable", message: format!("the document can't be read: {error}") }
}

fn invalid(field: &str, error: &minijinja::Error) -> WebhookError {
    WebhookError::invalid(field, format!("has a mistake: {}", describe(error)))
}

fn describe(error: &minijinja::Error) -> String {
    let mut text =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    match (error.line(), error.range()) {
        (Some(line), Some(range)) if line > 1 => {
            text.push_str(&format!(" (in line {line}, at character {})", range.start + 1));
        }
        (_, Some(range)) => text.push_str(&format!(" (at character {})", range.start + 1)),
        (Some(line), None) => text.push_str(&format!(" (in line {line})")),
        (None, None) => {}
    }
    text
}

#[cfg(test)]
mod tests;
