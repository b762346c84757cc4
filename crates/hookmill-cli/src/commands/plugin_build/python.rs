//! Python: componentize-py, from the project's own environment or the path.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::tool;
use crate::exit_code::{FAILED, Failure};

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Builds the project and returns its component.
pub(super) fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let sdk = dir.join("hookmill_sdk");
    let sdk = sdk.canonicalize().map_err(|error| {
        Failure::new(FAILED, "sdk_missing", format!("{} can't be read: {error}", sdk.display()))
            .help("copy hookmill_sdk/ from a project that `hookmill plugin new NAME --lang python` makes")
    })?;
    // The SDK may be linked from elsewhere, which the toolchain does not follow.
    let sdk_parent = sdk.parent().context("the SDK has no folder around it")?;
    let world = world(dir)?;
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
    componentize.current_dir(dir).arg("--wit-path").arg(sdk.join("wit")).args(["--world", &world]);
    componentize.args(["componentize", "--stub-wasi", "--python-path"]).arg(sdk_parent);
    componentize.args(["--python-path", ".", "plugin", "--output", "component.wasm"]);
    tool::run(&mut componentize, componentize_py_missing(dir))?;
    tool::made(component, "the module plugin.py has to hold a function with the decorator `@plugin`")
}

/// Asks the plugin's module which parts of the contract it implements, and returns the world with these.
fn world(dir: &Path) -> anyhow::Result<String> {
    let python = tool::in_venv(dir, "python").unwrap_or_else(|| PYTHON.into());
    let mut command = Command::new(python);
    command.current_dir(dir).args(["-B", "-m", "hookmill_sdk.world", "plugin"]);
    let output = match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(python_missing().into()),
        Err(error) => {
            return Err(Failure::new(FAILED, "build_failed", format!("python can't be started: {error}")).into());
        }
    };
    if !output.status.success() {
        let message = format!("the module plugin.py in {} can't be read ({})", dir.display(), output.status);
        return Err(Failure::new(FAILED, "build_failed", message).help("correct what Python said above").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn python_missing() -> Failure {
    Failure::new(FAILED, "python_missing", format!("{PYTHON} can't be started, which builds plugins in Python")).help(
        "install Python 3.11 or later: apt-get install python3 python3-venv, brew install python, or https://www.python.org/downloads",
    )
}

fn componentize_py_missing(dir: &Path) -> Failure {
    let message = "componentize-py can't be started, which builds plugins in Python";
    Failure::new(FAILED, "componentize_py_missing", message).help(format!(
        "in {}: {}",
        dir.display(),
        tool::INSTALL_VENV
    ))
}
