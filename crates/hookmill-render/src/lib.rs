//! The no-code half of a webhook: condition, data rows, JSON template and dynamic URL.
//!
//! A [`Renderer`] is compiled when a webhook is saved, which finds every mistake that can be found without a document,
//! and turns an event into the request that would go out without a plugin. This crate never runs guest code.

mod bounds;
mod rows;

use std::sync::Arc;

use hookmill_core::limits::BODY_BYTES_MAX;
use hookmill_core::{Event, Explain, Fault, Request, Webhook, WebhookError, json};
use minijinja::{Environment, UndefinedBehavior, Value, context};

/// What an expression or a template may cost; some hundred times what real ones need.
const FUEL: u64 = 200_000;

/// Characters of one expression. The parser calls itself for every operator, and a longer row of them could use up the
/// stack of the thread that saves a webhook.
const EXPRESSION_CHARS_MAX: usize = 1_000;

const URL: &str = "request_url";
const BODY: &str = "json_template";

/// A webhook whose expressions and templates are parsed.
#[derive(Debug, Clone)]
pub struct Renderer {
    webhook: Arc<Webhook>,
    environment: Environment<'static>,
}

/// What an event becomes without a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Rendered {
    /// Nothing is to be sent, for this reason.
    Skip(String),
    /// This request. The flag tells whether its body was made from data rows or a template; otherwise it is empty, and
    /// [`complete`] puts the document in where no plugin makes another.
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
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("join", bounds::join);
        if let Some(condition) = condition_of(&webhook) {
            check_length("condition", condition)?;
            environment.compile_expression(condition).map_err(|error| invalid("condition", &error))?;
        }
        if webhook.dynamic_url {
            check_blocks(URL, &webhook.request_url)?;
            environment
                .add_template_owned(URL, webhook.request_url.trim().to_owned())
                .map_err(|error| invalid(URL, &error))?;
        }
        if let Some(template) = &webhook.json_template {
            check_blocks(BODY, template)?;
            environment.add_template_owned(BODY, template.clone()).map_err(|error| invalid(BODY, &error))?;
        }
        Ok(Self { webhook, environment })
    }

    /// Returns the webhook.
    pub fn webhook(&self) -> &Arc<Webhook> {
        &self.webhook
    }

    /// Tells whether rendering is a matter of microseconds: no expression or template of the user's is run.
    pub fn is_cheap(&self) -> bool {
        condition_of(&self.webhook).is_none() && !self.webhook.dynamic_url && self.webhook.json_template.is_none()
    }

    /// Renders `event`.
    pub fn render(&self, event: &Event) -> Result<Rendered, RenderError> {
        let webhook = &*self.webhook;
        let condition = condition_of(webhook);
        let names = if self.is_cheap() { Value::UNDEFINED } else { names(event)? };
        if let Some(condition) = condition
            && !self.holds(condition, &names)?
        {
            return Ok(Rendered::Skip(format!("the condition `{condition}` is false")));
        }
        let url = if webhook.dynamic_url {
            self.template(URL, "url_template_failed", &names)?.trim().to_owned()
        } else {
            webhook.request_url.trim().to_owned()
        };
        let made = self.body(event, &names)?;
        if let Some(body) = made.as_ref().filter(|body| body.len() > BODY_BYTES_MAX) {
            let message =
                format!("the body has {} bytes, more than the {BODY_BYTES_MAX} that a request may have", body.len());
            return Err(RenderError { code: "body_too_large", message });
        }
        let (made, body) = (made.is_some(), made.unwrap_or_default());
        let headers = webhook.headers.iter().map(|header| (header.key.clone(), header.value.clone())).collect();
        let method = webhook.request_method.as_str().into();
        Ok(Rendered::Draft(Request { method, url, headers, body: body.into_bytes() }, made))
    }

    fn holds(&self, condition: &str, names: &Value) -> Result<bool, RenderError> {
        self.environment
            .compile_expression(condition)
            .and_then(|expression| expression.eval(names))
            .map(|value| value.is_true())
            .map_err(|error| RenderError {
                code: "condition_failed",
                message: format!("the condition `{condition}` failed: {}", describe(&error)),
            })
    }

    /// Makes the body from rows or template, if the webhook has any.
    fn body(&self, event: &Event, names: &Value) -> Result<Option<String>, RenderError> {
        if !self.webhook.data.is_empty() {
            let body = rows::object(&self.webhook.data, event.doc.as_str()).map_err(|error| bad_document(&error))?;
            return Ok(Some(body));
        }
        if self.webhook.json_template.is_some() {
            let text = self.template(BODY, "json_template_failed", names)?;
            hookmill_core::JsonText::parse(&text).map_err(|error| RenderError {
                code: "json_template_not_json",
                message: format!("the JSON template gave what is not JSON: {error}"),
            })?;
            return Ok(Some(json::compact(&text).into_owned()));
        }
        Ok(None)
    }

    fn template(&self, name: &'static str, code: &'static str, names: &Value) -> Result<String, RenderError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(names))
            .map_err(|error| RenderError { code, message: format!("`{name}` failed: {}", describe(&error)) })
    }
}

/// Makes a draft into the request that goes out without a plugin: the document is its body unless one was `made`, and
/// it has a content type.
pub fn complete(mut request: Request, made: bool, event: &Event) -> Request {
    if !made {
        request.body = event.doc.compact().into_owned().into_bytes();
    }
    if !request.body.is_empty() && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        request.headers.insert(0, ("content-type".into(), "application/json".into()));
    }
    request
}

fn check_length(field: &'static str, expression: &str) -> Result<(), WebhookError> {
    if expression.chars().count() <= EXPRESSION_CHARS_MAX {
        return Ok(());
    }
    Err(WebhookError::invalid(field, format!("has an expression of more than {EXPRESSION_CHARS_MAX} characters")))
}

/// Checks what stands between a template's braces.
fn check_blocks(field: &'static str, template: &str) -> Result<(), WebhookError> {
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

/// The names that conditions and templates know.
fn names(event: &Event) -> Result<Value, RenderError> {
    let value = |json: &str| serde_json::from_str::<Value>(json).map_err(|error| bad_document(&error));
    let doc = value(event.doc.as_str())?;
    let before = event.before.as_ref().map_or(Ok(Value::from(())), |before| value(before.as_str()))?;
    Ok(context! { doc, before, doctype => &event.doctype, doc_event => &event.doc_event, user => &event.user })
}

fn bad_document(error: &serde_json::Error) -> RenderError {
    RenderError { code: "document_unreadable", message: format!("the document can't be read: {error}") }
}

fn invalid(field: &'static str, error: &minijinja::Error) -> WebhookError {
    WebhookError::invalid(field, format!("has a mistake: {}", describe(error)))
}

fn describe(error: &minijinja::Error) -> String {
    let mut text =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    if let Some(range) = error.range() {
        text.push_str(&format!(" (at character {})", range.start + 1));
    }
    text
}

#[cfg(test)]
mod tests;
