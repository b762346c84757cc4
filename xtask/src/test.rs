//! Builds the plugins and runs every test.

use std::ffi::OsString;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{plugins, process, step};

/// Runs the tests; `arguments` go to the workspace's.
pub(crate) fn test(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    step("plugins", || plugins::build(workspace))?;
    step("tests of the workspace", || {
        let mut cargo = process::cargo();
        cargo.args(["test", "--locked"]);
        if !chooses_packages(arguments) {
            cargo.arg("--workspace");
        }
        process::run(cargo.args(arguments).env("HOOKMILL_TARGET_DIR", &workspace.target))
    })?;
    if !arguments.is_empty() {
        println!("the plugins' own tests are left out, because arguments choose what to run");
        return Ok(());
    }
    for plugin in workspace.plugins()? {
        step(&format!("tests of {}", plugin.name), || {
            let mut cargo = process::cargo();
            cargo.args(["test", "--locked", "--manifest-path"]).arg(&plugin.manifest);
            process::run(cargo.arg("--target-dir").arg(workspace.guest_target()))
        })?;
    }
    Ok(())
}

/// Tells whether the arguments name packages, up to the `--` behind which they are the tests' own.
fn chooses_packages(arguments: &[OsString]) -> bool {
    let own = arguments.iter().map(|argument| argument.to_string_lossy()).take_while(|argument| argument != "--");
    own.into_iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_chosen_before_the_dashes() {
        let check = |arguments: &[&str]| chooses_packages(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(check(&["-p", "hookmill-core"]));
        assert!(check(&["--package=hookmill-core"]));
        assert!(!check(&["matching"]));
        assert!(!check(&["--", "-p"]));
    }
}
