//! hookmill's own rules: conditions and templates as minijinja has them, strict about what is not there.

use hookmill_core::{Event, Webhook, WebhookError};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{RenderError, bad_document, describe, invalid};

/// A webhook's expressions and templates, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    environment: Environment<'static>,
}

impl Rules {
    pub(crate) fn compile(webhook: &Webhook) -> Result<Self, WebhookError> {
        let mut environment = crate::environment(webhook)?;
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        if let Some(condition) = crate::condition_of(webhook) {
            crate::check_length("condition", condition)?;
            environment.compile_expression(condition).map_err(|error| invalid("condition", &error))?;
        }
        Ok(Self { environment })
    }

    /// Tells whether the condition holds.
    pub(crate) fn holds(&self, condition: &str, names: &Value) -> Result<bool, String> {
        self.environment
            .compile_expression(condition)
            .and_then(|expression| expression.eval(names))
            .map(|value| value.is_true())
            .map_err(|error| describe(&error))
    }

    pub(crate) fn template(&self, name: &str, names: &Value) -> Result<String, String> {
        let template = self.environment.get_template(name);
        template.and_then(|template| template.render(names)).map_err(|error| describe(&error))
    }
}

/// The names that conditions and templates know.
pub(crate) fn names(event: &Event) -> Result<Value, RenderError> {
    let value = |json: &str| serde_json::from_str::<Value>(json).map_err(|error| bad_document(&error));
    let doc = value(event.doc.as_str())?;
    let before = event.before.as_ref().map_or(Ok(Value::from(())), |before| value(before.as_str()))?;
    Ok(context! { doc, before, doctype => &event.doctype, doc_event => &event.doc_event, user => &event.user })
}
