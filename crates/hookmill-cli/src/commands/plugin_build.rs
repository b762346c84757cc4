//! `hookmill plugin build`: the language's own tools, then the manifest put into the component.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;
use hookmill::plugin::{Manifest, PluginLimits, inspect};
use serde_json::{Value, json};

use super::plugin::refused;
use crate::exit_code::{FAILED, Failure, PLUGIN, USAGE};
use crate::output::{Output, bytes};

const TARGET: &str = "wasm32-wasip2";

pub(crate) fn run(dir: &Path, out: Option<&Path>, output: &Output) -> anyhow::Result<ExitCode> {
    let manifest_file = dir.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest_file).map_err(|error| {
        Failure::new(USAGE, "not_a_project", format!("{} can't be read: {error}", manifest_file.display()))
            .help("run it in a plugin project, or make one with `hookmill plugin new NAME`")
    })?;
    let manifest = Manifest::parse(&text).map_err(|error| Failure::explained(PLUGIN, &error))?;
    if !dir.join("Cargo.toml").exists() {
        return Err(Failure::new(USAGE, "unknown_language", format!("{} has no Cargo.toml", dir.display()))
            .help("projects in Rust can be built")
            .into());
    }
    let built = build_rust(dir)?;
    let component = std::fs::read(&built).with_context(|| format!("{} can't be read", built.display()))?;
    let component = Manifest::embed(&text, &component).map_err(|error| Failure::explained(PLUGIN, &error))?;
    let inspection = inspect(&component, &PluginLimits::default()).map_err(|error| refused(&built, &error))?;
    let file = out.map_or_else(|| dir.join(format!("{}.wasm", manifest.name)), Path::to_owned);
    std::fs::write(&file, &component).with_context(|| format!("{} can't be written", file.display()))?;
    output.answer(&json!({"file": file, "digest": inspection.digest, "bytes": component.len()}), || {
        format!("{} is built: {}, version {}", file.display(), bytes(component.len() as u64), inspection.digest)
    });
    Ok(ExitCode::SUCCESS)
}

/// Runs cargo, whose own progress is shown, and returns the component that it made.
fn build_rust(dir: &Path) -> anyhow::Result<PathBuf> {
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
            .help("install Rust with rustup")
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
        let missing = !target_installed();
        let failure = Failure::new(FAILED, "build_failed", format!("cargo failed in {}", dir.display()));
        let help = if missing {
            format!("install the target: rustup target add {TARGET}")
        } else {
            "correct what cargo said above".into()
        };
        return Err(failure.help(help).into());
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
