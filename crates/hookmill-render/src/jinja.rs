//! Jinja2 as Frappe runs it: a sandbox over Python's values, in which what is missing prints that it is.
//!
//! A template is parsed when a webhook is saved, which finds every name, filter and test that is not here. Filling it runs
//! nothing but what this module and [`crate::python`] offer, with bounds on steps, memory and depth.

mod ast;
mod filters;
mod lex;
mod names;
mod objects;
mod parse;
mod run;
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::frappe::Names;
use crate::python::DictKind;

/// Characters of the part of a template that a message shows.
const EXCERPT_CHARS_MAX: usize = 60;

/// A template, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    source: Arc<str>,
    body: Arc<ast::Body>,
}

impl Template {
    /// Parses a template; an error says what is wrong and in which line, in Frappe's words.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let source = lex::normalized(source);
        let body = parse::parse(&source).map_err(|mistake| {
            let (line, character) = position(&source, mistake.at);
            format!("Syntax error in template as line {line}: {} (at character {character})", mistake.message)
        })?;
        Ok(Self { source: source.into(), body: Arc::new(body) })
    }

    /// Fills the template. In a URL, `doc` is the document; elsewhere it is a dictionary.
    pub(crate) fn fill(&self, names: &Names, kind: DictKind) -> Result<String, String> {
        run::Run::new(names, kind).whole(&self.body).map_err(|fault| self.located(&fault.message, &fault.at))
    }

    fn located(&self, message: &str, at: &Range<usize>) -> String {
        let Some(part) = self.source.get(at.clone()).filter(|part| !part.is_empty()) else { return message.to_owned() };
        let (line, character) = position(&self.source, at.start);
        let mut excerpt: String = part.chars().take(EXCERPT_CHARS_MAX).collect();
        if part.chars().count() > EXCERPT_CHARS_MAX {
            excerpt.push('…');
        }
        format!("{message}, in `{excerpt}` (line {line}, character {character})")
    }
}

/// Returns line and character of a byte, counted from 1.
fn position(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at.min(source.len())).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let character = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, character)
}
