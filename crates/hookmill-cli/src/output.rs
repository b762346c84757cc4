//! What commands print: text for people, JSON for programs, errors with a hint.
//!
//! Everything that is printed passes here, and what a terminal would obey is escaped here.

mod shown;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use tokio::sync::Notify;

pub(crate) use self::shown::inline;
use crate::exit_code::Failure;

/// Where a command's answer goes.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
    /// The columns of the screen, where there is one.
    width: Option<usize>,
    /// Told when a line found no reader.
    refused: Notify,
}

/// A part of a line with its looks.
#[derive(Debug, Clone)]
pub(crate) enum Span {
    /// As it is.
    Plain(String),
    /// Stands out.
    Bold(String),
    /// A state or an outcome, in the colour of its meaning.
    State(String),
}

impl From<String> for Span {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

impl Span {
    fn text(&self) -> &str {
        let (Self::Plain(text) | Self::Bold(text) | Self::State(text)) = self;
        text
    }

    fn set_text(&mut self, new: String) {
        let (Self::Plain(text) | Self::Bold(text) | Self::State(text)) = self;
        *text = new;
    }

    fn make_inline(&mut self) {
        let safe = inline(self.text()).into_owned();
        self.set_text(safe);
    }

    /// Returns the number of the terminal's code for its looks.
    fn code(&self) -> Option<u8> {
        match self {
            Self::Plain(_) => None,
            Self::Bold(_) => Some(1),
            Self::State(word) => Some(match word.as_str() {
                "delivered" | "✓" => 32,
                "pending" | "retry" => 33,
                "parked" | "dead" | "✗" => 31,
                _ => 90,
            }),
        }
    }
}

impl Output {
    /// Decides how to print; `columns` is the width to assume where there is no screen.
    pub(crate) fn new(json: bool, columns: Option<usize>) -> Self {
        let screen = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let width = screen.or(columns).filter(|width| *width > 0);
        Self { json, colour: !json && std::io::stdout().is_terminal(), width, refused: Notify::new() }
    }

    /// Whether the answer is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints text with its line breaks, or a value in JSON.
    pub(crate) fn line(&self, text: impl std::fmt::Display) {
        let text = text.to_string();
        self.raw(if self.json { shown::json(&text) } else { shown::block(&text) });
    }

    fn raw(&self, text: impl std::fmt::Display) {
        // A reader that has seen enough, like `head`, is no failure; a command that would go on ends.
        if writeln!(std::io::stdout(), "{text}").is_err() {
            self.refused.notify_one();
        }
    }

    /// Resolves once nobody reads what is printed any more.
    pub(crate) async fn closed(&self) {
        tokio::select! {
            () = self.refused.notified() => {}
            () = reader_gone() => {}
        }
    }

    /// Prints a value: as JSON where that is asked for, else as `text` says it.
    pub(crate) fn answer(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            self.line(serde_json::to_string(value).unwrap_or_default());
        } else {
            self.line(text());
        }
    }

    /// Prints a line of parts with their looks.
    pub(crate) fn spans(&self, spans: &[Span]) {
        let shown = spans.iter().map(|span| {
            let text = shown::block(span.text());
            match span.code().filter(|_| self.colour && !text.is_empty()) {
                Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
                None => text.into_owned(),
            }
        });
        self.raw(shown.collect::<String>());
    }

    /// Prints a heading.
    pub(crate) fn heading(&self, text: &str) {
        self.spans(&[Span::Bold(text.into())]);
    }

    /// Shows that something is under way, on a terminal.
    pub(crate) fn spinner(&self, text: String) -> ProgressBar {
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Shows how much of `total` is done, on a terminal.
    pub(crate) fn progress(&self, total: u64, what: &'static str) -> ProgressBar {
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new(total) };
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len}, {per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message(what);
        bar
    }

    /// Prints an error with its causes and, where there is one, a hint.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let failure = error.downcast_ref::<Failure>();
        let text = if self.json {
            let code = failure.map_or("failed", |failure| failure.code.as_str());
            let help = failure.and_then(|failure| failure.help.as_deref());
            let mut object = json!({"code": code, "message": format!("{error:#}"), "help": help});
            if let Some(failure) = failure.filter(|failure| !failure.errors.is_empty()) {
                object["errors"] = failure.errors.clone().into();
            }
            shown::json(&json!({"error": object}).to_string()).into_owned()
        } else {
            let code = failure.map(|failure| format!(" [{}]", failure.code)).unwrap_or_default();
            let help = failure.and_then(|failure| failure.help.as_ref()).map(|help| format!("\nhelp: {help}"));
            shown::block(&format!("error: {error:#}{code}{}", help.unwrap_or_default())).into_owned()
        };
        to_stderr(&text);
    }

    /// Prints what is done but may not be what was meant.
    pub(crate) fn warning(&self, code: &str, message: &str, help: &str) {
        to_stderr(&if self.json {
            let object = json!({"warning": {"code": code, "message": message, "help": help}});
            shown::json(&object.to_string()).into_owned()
        } else {
            shown::block(&format!("warning: {message} [{code}]\nhelp: {help}")).into_owned()
        });
    }
}

/// Writes a line to stderr, and nothing more where nobody reads that.
pub(crate) fn to_stderr(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}").is_err();
}

/// Resolves when the other end of a pipe on stdout is closed; never, for a file or a screen.
async fn reader_gone() {
    // Only watched, never written to, so it need not be in non-blocking mode. Files can't be watched, and need not be.
    let watched = std::io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    if let Ok(pipe) = watched {
        while let Ok(ready) = pipe.ready(Interest::ERROR).await {
            if ready.is_error() {
                return;
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Reads a field of an answer as text for one place on a line; what is not there is a dash.
pub(crate) fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) if text.is_empty() => "-".into(),
        Some(Value::String(text)) => inline(text).into_owned(),
        Some(other) => inline(&other.to_string()).into_owned(),
    }
}

/// Writes JSON with line breaks, for people.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Writes a number of bytes as people read it.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// Writes a number with a space between thousands.
pub(crate) fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
