//! Everything that must hold before a commit, quickest first.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{layers, plugins, process, step, tidy};

/// Runs every check and stops at the first that fails.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let guests: Vec<_> = workspace.plugins()?.into_iter().chain(workspace.test_guests()?).collect();
    step("format", || {
        process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
        for guest in &guests {
            process::run(process::cargo().args(["fmt", "--check", "--manifest-path"]).arg(&guest.manifest))?;
        }
        Ok(())
    })?;
    step("layers", || layers::check(workspace))?;
    step("tidy", || tidy::check(workspace))?;
    step("clippy on the workspace", || {
        let mut cargo = process::cargo();
        cargo.args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        process::run(&mut cargo)
    })?;
    for guest in &guests {
        step(&format!("clippy on {}", guest.name), || {
            let mut cargo = process::cargo();
            cargo.args(["clippy", "--locked", "--all-targets", "--manifest-path"]).arg(&guest.manifest);
            process::run(cargo.arg("--target-dir").arg(workspace.guest_target()).args(["--", "-D", "warnings"]))
        })?;
    }
    step("clippy on the SDK inside a component", || {
        plugins::install_target()?;
        let mut cargo = process::cargo();
        // In release, for the development profile would optimize the bindings' generator first.
        cargo.args(["clippy", "--locked", "--release", "--package", "hookmill-sdk", "--target", plugins::TARGET]);
        process::run(cargo.arg("--target-dir").arg(workspace.guest_target()).args(["--", "-D", "warnings"]))
    })
}
