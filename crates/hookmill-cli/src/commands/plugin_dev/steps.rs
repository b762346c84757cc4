//! The lines of `plugin dev`: each step with its outcome and its time.

use std::time::Instant;

use serde_json::{Value, json};

use super::plugin_test;
use super::plugin_test::Outcome;
use crate::exit_code::Failure;
use crate::output::{Output, Span, inline};

/// The steps of one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    output: &'a Output,
}

/// A step that is under way.
#[derive(Debug)]
pub(super) struct Step<'a> {
    name: &'static str,
    begun: Instant,
    output: &'a Output,
}

impl<'a> Steps<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output }
    }

    pub(super) fn begin(&self, name: &'static str) -> Step<'a> {
        Step { name, begun: Instant::now(), output: self.output }
    }

    /// Takes what a step gave, and tells why it gave nothing.
    pub(super) fn check<T>(&self, name: &'static str, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.begin(name).fail::<()>(&failure.into())).ok()
    }

    /// Says that the next change is waited for.
    pub(super) fn waiting(&self) {
        if !self.output.is_json() {
            self.output.spans(&[Span::State("  waiting for a change".into())]);
        }
    }
}

impl Step<'_> {
    /// Ends well.
    pub(super) fn done(self, text: &str) {
        self.tell("✓", text, json!({"outcome": "done"}));
    }

    /// Ends well, with what else there is to see.
    pub(super) fn done_with(self, text: &str, lines: &[String], details: &Value) {
        let output = self.output;
        let mut told = json!({"outcome": "done"});
        for (name, value) in details.as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        self.tell("✓", text, told);
        if !output.is_json() {
            lines.iter().for_each(|line| output.line(format!("    {}", inline(line))));
        }
    }

    /// Ends without having been done, which is no failure.
    pub(super) fn skip(self, text: &str) {
        self.tell("-", text, json!({"outcome": "skipped"}));
    }

    /// Fails. Returns nothing, whatever was to come of it.
    pub(super) fn fail<T>(self, error: &anyhow::Error) -> Option<T> {
        let failure = error.downcast_ref::<Failure>();
        let (code, help) = (failure.map(|failure| &failure.code), failure.and_then(|failure| failure.help.as_ref()));
        let output = self.output;
        let code_text = code.map(|code| format!(" [{code}]")).unwrap_or_default();
        let told = json!({"outcome": "failed", "code": code, "help": help});
        self.tell("✗", &format!("{error:#}{code_text}"), told);
        if let Some(help) = help.filter(|_| !output.is_json()) {
            output.line(format!("    help: {help}"));
        }
        None
    }

    /// Fails with what a tool said.
    pub(super) fn fail_with_words(self, words: &str) {
        let output = self.output;
        if output.is_json() {
            return self.tell("✗", words.trim(), json!({"outcome": "failed"}));
        }
        self.tell("✗", "it failed:", json!({}));
        words.trim_end().lines().for_each(|line| output.line(format!("    {line}")));
    }

    /// Fails with fixtures that are not met.
    pub(super) fn broken(self, text: &str, failed: &[&Outcome]) {
        let output = self.output;
        let fixtures: Vec<Value> = failed.iter().map(|outcome| plugin_test::as_json(outcome)).collect();
        self.tell("✗", text, json!({"outcome": "failed", "fixtures": fixtures}));
        failed.iter().for_each(|outcome| plugin_test::print(outcome, output));
        if !output.is_json() {
            output.line("    help: `hookmill plugin test --update` takes what came out as right");
        }
    }

    fn tell(self, mark: &str, text: &str, mut told: Value) {
        let elapsed = self.begun.elapsed();
        if self.output.is_json() {
            told["step"] = json!(self.name);
            told["ms"] = json!(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            told["message"] = json!(text);
            return self.output.line(told);
        }
        let time = format!("{:>7.2} s  ", elapsed.as_secs_f64());
        let mark = Span::State(mark.into());
        self.output.spans(&[mark, Span::Plain(format!(" {:<7}", self.name)), Span::State(time), text.into()]);
    }
}
