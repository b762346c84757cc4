//! Conditions as Frappe writes them: one Python expression over `doc`.
//!
//! The expression is parsed and its names are checked when a webhook is saved, without a document: Frappe tries a condition on an
//! empty one, which refuses `doc.total > 1000` for lack of a total. Nothing but the functions of [`crate::python`] can be
//! called, and steps, memory and depth are bounded.

mod check;
mod eval;

use std::sync::Arc;

use ruff_python_ast::Expr;
use ruff_text_size::{Ranged as _, TextRange};

use crate::EXPRESSION_CHARS_MAX;
use crate::frappe::Names;

/// A condition, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    source: Arc<str>,
    expression: Arc<Expr>,
}

/// What is wrong with a part of a condition.
#[derive(Debug)]
struct Fault {
    message: String,
    at: TextRange,
}

impl Fault {
    fn new(message: impl Into<String>, part: &Expr) -> Self {
        Self { message: message.into(), at: part.range() }
    }
}

impl Condition {
    /// Parses a condition and checks its names; an error says what is wrong and where.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let source = source.trim();
        if source.chars().count() > EXPRESSION_CHARS_MAX {
            return Err(format!("it has more than {EXPRESSION_CHARS_MAX} characters"));
        }
        let parsed = ruff_python_parser::parse_expression(source).map_err(|error| {
            let at = source.get(..error.location.start().to_usize()).map_or(0, |before| before.chars().count());
            format!("invalid syntax: {} (at character {})", error.error, at + 1)
        })?;
        let condition = Self { source: source.into(), expression: Arc::new(*parsed.into_syntax().body) };
        match check::check(&condition.expression) {
            Some(fault) => Err(condition.located(&fault)),
            None => Ok(condition),
        }
    }

    /// Tells whether the condition holds for an event.
    pub(crate) fn holds(&self, names: &Names) -> Result<bool, String> {
        let value = eval::Run::new(names).value(&self.expression).map_err(|fault| self.located(&fault))?;
        Ok(value.is_true())
    }

    fn located(&self, fault: &Fault) -> String {
        let part = self.source.get(fault.at.to_std_range()).unwrap_or_default();
        let before = self.source.get(..fault.at.start().to_usize()).unwrap_or_default();
        format!("{}, in `{part}` (at character {})", fault.message, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests;
