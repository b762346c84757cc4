//! C: make, with zig as the compiler for WebAssembly.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;
use crate::exit_code::{FAILED, Failure};

/// Compiles the project and returns its core module.
pub(super) fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let zig = zig(dir).ok_or_else(|| {
        Failure::new(FAILED, "zig_missing", "zig can't be started, which compiles plugins in C").help(format!(
            "in {}: {}\n      or install zig from https://ziglang.org/download",
            dir.display(),
            tool::INSTALL_VENV
        ))
    })?;
    let mut variable = OsString::from("ZIG=");
    variable.push(zig);
    let missing = Failure::new(FAILED, "make_missing", "make can't be started, which builds plugins in C")
        .help("install make: apt-get install make, xcode-select --install, or your system's package manager");
    tool::run(Command::new("make").current_dir(dir).arg(variable).arg("core.wasm"), missing)?;
    tool::made(dir.join("core.wasm"), "the Makefile has to make core.wasm")
}

/// Returns the words that start zig: those of the environment, the project's own, or what is on the path.
fn zig(dir: &Path) -> Option<OsString> {
    if let Some(named) = std::env::var_os("ZIG") {
        return Some(named);
    }
    // The Makefile runs in the project, so this path has no spaces in it whatever the project's has.
    if tool::in_venv(dir, "python-zig").is_some() {
        return Some(if cfg!(windows) { ".venv\\Scripts\\python-zig" } else { ".venv/bin/python-zig" }.into());
    }
    ["zig", "python-zig"].into_iter().find(|name| tool::answers(Command::new(name).arg("version"))).map(Into::into)
}
