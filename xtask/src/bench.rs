//! Builds what the end-to-end bench needs, in release, and runs it.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{plugins, process, step, toolchains};

/// Runs the bench with `arguments` handed through: `rate`, `reload`, `frappe`, `neighbours`, `dead-receiver` or `uploads`, `--events N`.
pub(crate) fn bench(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    step("plugins", || plugins::build(workspace))?;
    step("hookmill", || {
        process::run(process::cargo().args([
            "build",
            "--locked",
            "--release",
            "--package",
            "hookmill-cli",
            "--bin",
            "hookmill",
        ]))
    })?;
    let mut bench = process::cargo();
    bench.args(["bench", "--locked", "--package", "hookmill-tests", "--bench", "end_to_end", "--"]);
    bench.arg("--hookmill").arg(workspace.target.join("release").join(format!("hookmill{EXE_SUFFIX}")));
    bench.arg("--plugins").arg(workspace.target.join("plugins"));
    if arguments.iter().any(|argument| argument == "frappe") {
        bench.arg("--python").arg(toolchains::frappes_python(workspace)?);
    }
    process::run(bench.args(arguments))
}
