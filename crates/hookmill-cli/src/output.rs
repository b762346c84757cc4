//! What commands print: text for people, JSON for programs, errors with a hint.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit_code::Failure;

/// Where a command's answer goes.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, colour: !json && std::io::stdout().is_terminal() }
    }

    /// Whether the answer is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line of text.
    pub(crate) fn line(&self, text: impl std::fmt::Display) {
        // A reader that has seen enough, like `head`, is no reason to fail.
        let _closed = writeln!(std::io::stdout(), "{text}").is_err();
    }

    /// Prints a value: as JSON where that is asked for, else as `text` says it.
    pub(crate) fn answer(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            self.line(serde_json::to_string(value).unwrap_or_default());
        } else {
            self.line(text());
        }
    }

    /// Prints a heading.
    pub(crate) fn heading(&self, text: &str) {
        self.line(if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() });
    }

    /// Marks a word by its meaning, on a terminal.
    pub(crate) fn state(&self, word: &str) -> String {
        let colour = match word {
            "delivered" => 32,
            "pending" | "retry" => 33,
            "parked" | "dead" => 31,
            _ => 90,
        };
        if self.colour { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// Prints rows in columns, with a heading.
    pub(crate) fn table<const N: usize>(&self, heads: [&str; N], rows: &[[String; N]]) {
        let mut widths = heads.map(|head| head.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(visible(cell));
            }
        }
        let line = |cells: Vec<&str>| {
            let padded = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - visible(cell).min(width))));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.heading(&line(heads.to_vec()));
        for row in rows {
            self.line(line(row.iter().map(String::as_str).collect()));
        }
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
            json!({"error": {"code": code, "message": format!("{error:#}"), "help": help}}).to_string()
        } else {
            let code = failure.map(|failure| format!(" [{}]", failure.code)).unwrap_or_default();
            let help = failure.and_then(|failure| failure.help.as_ref()).map(|help| format!("\nhelp: {help}"));
            format!("error: {error:#}{code}{}", help.unwrap_or_default())
        };
        let _closed = writeln!(std::io::stderr(), "{text}").is_err();
    }
}

/// Counts the characters that take room on a screen.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut escaped = false;
    for character in cell.chars() {
        match (escaped, character) {
            (false, '\x1b') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

/// Reads a field of an answer as text; what is not there is a dash.
pub(crate) fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) if text.is_empty() => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
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
