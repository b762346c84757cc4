//! Running the tools of a language, with their own words shown.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exit_code::{FAILED, Failure};

/// Tells whether a tool starts and answers when it is asked for its version.
pub(super) fn answers(tool: &mut Command) -> bool {
    tool.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a tool to its end. What it says goes to stderr, for stdout carries the command's own answer.
pub(super) fn run(tool: &mut Command, missing: Failure) -> anyhow::Result<()> {
    let name = tool.get_program().to_string_lossy().into_owned();
    let status = match tool.stdin(Stdio::null()).stdout(std::io::stderr()).status() {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing.into()),
        Err(error) => {
            return Err(Failure::new(FAILED, "build_failed", format!("{name} can't be started: {error}")).into());
        }
    };
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(FAILED, "build_failed", format!("{name} failed ({status})"))
        .help("correct what it said above")
        .into())
}

/// Removes what an earlier build left, so that it can't be taken for what this one makes.
pub(super) fn remove_old(file: &Path) {
    // Nothing may be there, and what can't be removed can't be written either, which the tool will say.
    let _removed = std::fs::remove_file(file).is_ok();
}

/// Returns the file that the tools were to make.
pub(super) fn made(file: PathBuf, help: &str) -> anyhow::Result<PathBuf> {
    if file.is_file() {
        return Ok(file);
    }
    Err(Failure::new(FAILED, "no_component", format!("the build made no {}", file.display())).help(help).into())
}

/// Returns a program of the project's own Python environment, if it is there.
pub(super) fn in_venv(dir: &Path, program: &str) -> Option<PathBuf> {
    let folder = if cfg!(windows) { ".venv/Scripts" } else { ".venv/bin" };
    let file = dir.join(folder).join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    if file.is_file() { std::path::absolute(file).ok() } else { None }
}

/// The commands that make a project's Python environment with its tools.
pub(super) const INSTALL_VENV: &str = if cfg!(windows) {
    "py -m venv .venv && .venv\\Scripts\\pip install -r requirements.txt"
} else {
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
};
