//! Builds what the demo needs and starts it.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;
use crate::{plugins, step};

/// Runs `hookmill demo` and ends as it does.
pub(crate) fn demo(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    step("hookmill and the plugins", || plugins::build(workspace))?;
    let binary = plugins::hookmill(workspace);
    let mut demo = Command::new(&binary);
    demo.current_dir(&workspace.root).arg("demo").arg("--plugins").arg(workspace.target.join("plugins"));
    let status = demo.args(arguments).status().with_context(|| format!("{} can't be started", binary.display()))?;
    // Ended by a signal, there is no code; the usual reason is Ctrl-C.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
