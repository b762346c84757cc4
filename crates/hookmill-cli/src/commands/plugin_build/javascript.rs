//! JavaScript and TypeScript: `npm run build`, which calls componentize-qjs through the SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;
use crate::exit_code::{FAILED, Failure};

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Builds the project and returns its component.
pub(super) fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    if !dir.join("node_modules").is_dir() {
        if !tool::answers(Command::new(NPM).arg("--version")) {
            return Err(npm_missing().into());
        }
        let message = format!("the packages of the project in {} are not installed", dir.display());
        return Err(Failure::new(FAILED, "packages_missing", message)
            .help(format!("install them: npm install --prefix {}", dir.display()))
            .into());
    }
    let component = dir.join("component.wasm");
    tool::remove_old(&component);
    tool::run(Command::new(NPM).current_dir(dir).args(["run", "build"]), npm_missing())?;
    tool::made(
        component,
        "the script `build` in package.json has to write component.wasm, as that of `hookmill plugin new` does",
    )
}

fn npm_missing() -> Failure {
    Failure::new(FAILED, "npm_missing", "npm can't be started, which builds plugins in JavaScript and TypeScript")
        .help("install Node.js 20 or later, which brings npm: https://nodejs.org/en/download, or your system's package manager")
}
