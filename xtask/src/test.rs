//! Builds the plugins and runs every test.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{plugins, process, step, toolchains};

/// Runs the tests; `arguments` go to the workspace's.
pub(crate) fn test(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let workspace_tests = |arguments: &[OsString]| {
        let mut cargo = process::cargo();
        cargo.args(["test", "--locked"]).env("HOOKMILL_TARGET_DIR", &workspace.target);
        cargo.args(arguments);
        cargo
    };
    if arguments.is_empty() {
        // The tests' build makes the binary, too; asked for alone, it would be compiled a second time.
        step("building the workspace with its tests", || {
            process::run(workspace_tests(&[]).args(["--workspace", "--no-run"]))
        })?;
        step("plugins", || plugins::build_with(workspace, &plugins::hookmill(workspace)))?;
    } else {
        step("plugins", || plugins::build(workspace))?;
    }
    step("tests of the workspace", || {
        let all: &[OsString] = if chooses_packages(arguments) { &[] } else { &["--workspace".into()] };
        process::run(workspace_tests(all).args(arguments))
    })?;
    if !arguments.is_empty() {
        println!(
            "the tests of the plugins, the SDKs and the Frappe app are left out, because arguments choose what to run"
        );
        return Ok(());
    }
    for plugin in workspace.plugins()? {
        step(&format!("tests of {}", plugin.name), || {
            let mut cargo = process::cargo();
            cargo.args(["test", "--locked", "--manifest-path"]).arg(&plugin.manifest);
            process::run(cargo.arg("--target-dir").arg(workspace.guest_target()))
        })?;
    }
    for folder in workspace.foreign_plugins()?.into_iter().chain(sdks(workspace)) {
        step(&format!("tests in {}", folder.strip_prefix(&workspace.root).unwrap_or(&folder).display()), || {
            toolchains::test(workspace, &folder)
        })?;
    }
    step("tests in integrations/frappe", || toolchains::test_frappe_app(workspace, &plugins::hookmill(workspace)))
}

/// Returns the folders of the SDKs that are no crates.
fn sdks(workspace: &Workspace) -> impl Iterator<Item = PathBuf> {
    let folder = workspace.root.join("sdk");
    ["c", "javascript", "python"].into_iter().map(move |language| folder.join(language))
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
