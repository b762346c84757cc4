//! Rust: cargo, for the target wasm32-wasip2.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::exit_code::{FAILED, Failure};

const TARGET: &str = "wasm32-wasip2";

/// The command that installs Rust, from its own site.
const INSTALL_RUST: &str = if cfg!(windows) {
    "winget install Rustlang.Rustup"
} else {
    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"$HOME/.cargo/env\""
};

/// Runs cargo, whose own progress is shown, and returns the component that it made.
pub(super) fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(dir).args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ]);
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| {
        Failure::new(FAILED, "cargo_missing", format!("cargo can't be started: {error}"))
            .help(format!("install Rust and the target: {INSTALL_RUST} && rustup target add {TARGET}"))
    })?;
    let messages = child.stdout.take().context("cargo's messages can't be read")?;
    let mut component = None;
    for line in BufReader::new(messages).lines() {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        // The project's own artifact comes last, after those of what it depends on.
        for file in message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if Path::new(file).extension() == Some(OsStr::new("wasm")) {
                component = Some(PathBuf::from(file));
            }
        }
    }
    let status = child.wait().context("cargo can't be waited for")?;
    if !status.success() {
        let failed = format!("cargo failed in {}", dir.display());
        let failure = if target_installed() {
            Failure::new(FAILED, "build_failed", failed).help("correct what cargo said above")
        } else {
            Failure::new(FAILED, "target_missing", format!("{failed}: the target {TARGET} is not installed"))
                .help(format!("install it: rustup target add {TARGET}"))
        };
        return Err(failure.into());
    }
    component.ok_or_else(|| {
        Failure::new(FAILED, "no_component", "cargo made no component")
            .help("Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")
            .into()
    })
}

/// Asks rustup; where there is none, nothing can be said.
fn target_installed() -> bool {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    listed.map_or(true, |listed| String::from_utf8_lossy(&listed.stdout).contains(TARGET))
}
