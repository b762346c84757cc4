//! The commands, a module each.

pub(crate) mod delivery;
pub(crate) mod demo;
pub(crate) mod event;
pub(crate) mod plugin;
pub(crate) mod receiver;
pub(crate) mod serve;
pub(crate) mod tail;
pub(crate) mod webhook;

mod plugin_build;
mod plugin_run;

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

/// Reads a file, or standard input for `-`.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input can't be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))
}
