//! Builds the example plugins and the tests' guests into components.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use crate::workspace::{Guest, Workspace};

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Builds all of them, plugins to `target/plugins` and guests to `target/guests-wasm`.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    install_target()?;
    let plugins = workspace.target.join("plugins");
    for guest in workspace.plugins()? {
        build_one(workspace, &guest, &plugins)?;
    }
    let guests = workspace.target.join("guests-wasm");
    for guest in workspace.test_guests()? {
        build_one(workspace, &guest, &guests)?;
    }
    Ok(())
}

/// Installs the WebAssembly target if the toolchain lacks it.
pub(crate) fn install_target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = process::read(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    println!("installing the target {TARGET}");
    process::run(Command::new("rustup").args(["target", "add", TARGET]))
        .with_context(|| format!("the target {TARGET} is missing and can't be installed"))
}

fn build_one(workspace: &Workspace, guest: &Guest, folder: &Path) -> Result<()> {
    println!("building {}", guest.name);
    let target = workspace.guest_target();
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--target", TARGET, "--manifest-path"]).arg(&guest.manifest);
    process::run(cargo.arg("--target-dir").arg(&target).env("CARGO_ENCODED_RUSTFLAGS", relative_paths(workspace)))?;
    let name = guest.file_name();
    let built = target.join(TARGET).join("release").join(&name);
    let component = fs::read(&built).with_context(|| format!("{} was not built", built.display()))?;
    let state = if put(folder, &name, &component)? { "new" } else { "unchanged" };
    println!("  {name}: {} KB, {state}", component.len().div_ceil(1000));
    Ok(())
}

/// Returns the flags that keep this machine's folders out of a component, which others may run and read.
fn relative_paths(workspace: &Workspace) -> OsString {
    let cargo_home =
        std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut flags = OsString::new();
    for (folder, name) in [(cargo_home, "cargo"), (Some(workspace.root.clone()), "hookmill")] {
        let Some(folder) = folder else { continue };
        if !flags.is_empty() {
            // Cargo separates encoded flags by this character.
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    flags
}

/// Writes a file unless it already has this content; a server that watches the folder never sees half of one.
fn put(folder: &Path, name: &str, content: &[u8]) -> Result<bool> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    let write = || {
        fs::create_dir_all(folder)?;
        let unfinished = folder.join(format!(".{name}.unfinished"));
        fs::write(&unfinished, content)?;
        fs::rename(&unfinished, &path)
    };
    write().with_context(|| format!("{} can't be written", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_files_are_left_alone() {
        let folder = std::env::temp_dir().join(format!("hookmill-xtask-{}", std::process::id()));
        assert!(put(&folder, "a.wasm", b"one").unwrap());
        assert!(!put(&folder, "a.wasm", b"one").unwrap());
        assert!(put(&folder, "a.wasm", b"two").unwrap());
        assert_eq!(fs::read(folder.join("a.wasm")).unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
