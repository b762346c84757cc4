//! Exit codes, which scripts may rely on. `hookmill --help` and docs/cli.md tell them to users.

use std::process::ExitCode;

use hookmill::Explain;
use serde_json::Value;

/// What an error of a command is by its exit code; also carries a hint for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit_code: u8,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The parts of the matter, each with its place, code and message, for programs.
    pub(crate) errors: Vec<Value>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(crate) fn new(exit_code: u8, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { exit_code, code: code.into(), message: message.into(), help: None, errors: vec![] }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Takes over an error that explains itself.
    pub(crate) fn explained(exit_code: u8, error: &impl Explain) -> Self {
        Self { help: error.help(), ..Self::new(exit_code, error.code(), error.to_string()) }
    }
}

/// The server refused it, or something failed here.
pub(crate) const FAILED: u8 = 1;
/// The command line or a file that it names can't be understood.
pub(crate) const USAGE: u8 = 2;
/// No server answers.
pub(crate) const UNREACHABLE: u8 = 3;
/// A plugin was not taken, or its run failed.
pub(crate) const PLUGIN: u8 = 4;

/// The table of all exit codes, as the help shows it.
pub(crate) const TABLE: &str = "Exit codes:
  0  done
  1  not done: the server refused it, or something failed here
  2  wrong usage: the command line, or a file that it names, can't be understood
  3  no server answers at the URL
  4  a plugin is at fault: it was not taken, or its run failed";

/// Returns the exit code for an error with this stable code.
///
/// A plugin is at fault where its component was refused or its run failed; not where a request about plugins was
/// refused for another reason, nor where the host itself failed.
pub(crate) fn of_code(code: &str) -> u8 {
    match code {
        "plugin_no_active" | "plugin_no_previous" | "plugin_no_canary" | "plugin_unknown" | "plugin_would_change" => {
            FAILED
        }
        _ if code.starts_with("plugin_host_") => FAILED,
        _ if code.starts_with("plugin_") => PLUGIN,
        _ => FAILED,
    }
}

pub(crate) fn of(error: &anyhow::Error) -> ExitCode {
    error.downcast_ref::<Failure>().map_or(FAILED, |failure| failure.exit_code).into()
}
