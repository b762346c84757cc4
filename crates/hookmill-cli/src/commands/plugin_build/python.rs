//! Python: componentize-py, from the project's own environment or the path.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::tool;
use crate::exit_code::{FAILED, Failure};

/// Builds the project and returns its component.
pub(super) fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let sdk = dir.join("hookmill_sdk");
    let sdk = sdk.canonicalize().map_err(|error| {
        Failure::new(FAILED, "sdk_missing", format!("{} can't be read: {error}", sdk.display()))
            .help("copy hookmill_sdk/ from a project that `hookmill plugin new NAME --lang python` makes")
    })?;
    // The SDK may be linked from elsewhere, which the toolchain does not follow.
    let sdk_parent = sdk.parent().context("the SDK has no folder around it")?;
    let mut componentize = match tool::in_venv(dir, "componentize-py") {
        Some(program) => {
            let mut command = Command::new(program);
            command.env("VIRTUAL_ENV", std::path::absolute(dir.join(".venv")).context("the folder has no path")?);
            command
        }
        None => Command::new("componentize-py"),
    };
    let component = dir.join("component.wasm");
    tool::remove_old(&component);
    componentize.current_dir(dir).arg("--wit-path").arg(sdk.join("wit")).args(["--world", "plugin"]);
    componentize.args(["componentize", "--stub-wasi", "--python-path"]).arg(sdk_parent);
    componentize.args(["--python-path", ".", "plugin", "--output", "component.wasm"]);
    let missing = Failure::new(
        FAILED,
        "componentize_py_missing",
        "componentize-py can't be started, which builds plugins in Python",
    );
    tool::run(&mut componentize, missing.help(format!("in {}: {}", dir.display(), tool::INSTALL_VENV)))?;
    tool::made(component, "the module plugin.py has to hold a function with the decorator `@plugin`")
}
