//! The commands, a module each.

pub(crate) mod delivery;
pub(crate) mod demo;
pub(crate) mod event;
pub(crate) mod import;
pub(crate) mod plugin;
pub(crate) mod receiver;
pub(crate) mod salvage;
pub(crate) mod serve;
pub(crate) mod source;
pub(crate) mod tail;
pub(crate) mod webhook;

mod plugin_bench;
mod plugin_build;
mod plugin_dev;
mod plugin_host;
mod plugin_inspect;
mod plugin_project;
mod plugin_push;
mod plugin_run;
mod plugin_show;
mod plugin_test;
mod plugin_versions;
mod replays;

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use hookmill::core::json::Fields;
use serde_json::value::RawValue;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_code::{Failure, USAGE};

/// Reads a file, or standard input for `-`.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input can't be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))
}

/// Returns the event in a text that is a fixture; any other text as it is.
fn event_in(text: &str) -> &str {
    let event = Fields::parse(text).ok().filter(|fields| fields.get("doctype").is_none());
    event.and_then(|fields| fields.get("event").map(RawValue::get)).unwrap_or(text)
}

/// Finds the name of what a file holds: the one that is given, else the one that the file gives, else the file's stem.
fn name_of(what: &str, given: Option<String>, in_file: Option<String>, file: &Path) -> Result<String, Failure> {
    let stem = || file.file_stem()?.to_str().filter(|stem| *stem != "-").map(str::to_owned);
    given.or(in_file).or_else(stem).ok_or_else(|| {
        Failure::new(USAGE, "name_missing", format!("the {what} has no name")).help("give it with --name")
    })
}

/// Resolves at SIGINT or SIGTERM, and again at the next.
struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// Begins to listen: from now on neither signal ends the process by itself.
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("signals can't be heard")?,
            terminate: signal(SignalKind::terminate()).context("signals can't be heard")?,
        })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
