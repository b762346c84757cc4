//! Exit codes, which scripts may rely on.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | not done: the server refused it, or something failed here |
//! | 2 | wrong usage |
//! | 3 | no server answers at the URL |
//! | 4 | the plugin is at fault: it was not taken, or its run failed |

use std::process::ExitCode;

use hookmill::Explain;

/// What an error of a command is by its exit code; also carries a hint for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit_code: u8,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(crate) fn new(exit_code: u8, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { exit_code, code: code.into(), message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Takes over an error that explains itself.
    pub(crate) fn explained(exit_code: u8, error: &impl Explain) -> Self {
        Self { exit_code, code: error.code().into(), message: error.to_string(), help: error.help() }
    }
}

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const UNREACHABLE: u8 = 3;
pub(crate) const PLUGIN: u8 = 4;

pub(crate) fn of(error: &anyhow::Error) -> ExitCode {
    error.downcast_ref::<Failure>().map_or(FAILED, |failure| failure.exit_code).into()
}
