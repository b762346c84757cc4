//! Builds the example plugins and the tests' guests into components.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::toolchains::Stamp;
use crate::workspace::{Guest, Workspace};
use crate::{process, toolchains};

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Builds all of them with the workspace's own `hookmill`, after building that.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo().args(["build", "--locked", "--package", "hookmill-cli", "--bin", "hookmill"]))?;
    build_with(workspace, &hookmill(workspace))
}

/// Returns where cargo puts the binary.
pub(crate) fn hookmill(workspace: &Workspace) -> PathBuf {
    workspace.target.join("debug").join(format!("hookmill{EXE_SUFFIX}"))
}

/// Builds all of them, plugins to `target/plugins` with `hookmill plugin build`, guests to `target/guests-wasm`.
pub(crate) fn build_with(workspace: &Workspace, hookmill: &Path) -> Result<()> {
    install_target()?;
    let plugins = workspace.target.join("plugins");
    for guest in workspace.plugins()? {
        let folder = guest.manifest.parent().context("a manifest is in a folder")?;
        let mut command = Command::new(hookmill);
        command.env("CARGO_TARGET_DIR", workspace.guest_target());
        command.env("CARGO_ENCODED_RUSTFLAGS", relative_paths(workspace));
        build_project(workspace, folder, command, &plugins)?;
    }
    let guests = workspace.target.join("guests-wasm");
    for guest in workspace.test_guests()? {
        build_one(workspace, &guest, &guests)?;
    }
    for folder in workspace.foreign_plugins()? {
        build_foreign(workspace, hookmill, &folder, &plugins)?;
    }
    for folder in workspace.foreign_guests()? {
        build_foreign(workspace, hookmill, &folder, &guests)?;
    }
    Ok(())
}

/// Builds a project in another language than Rust with `hookmill plugin build`, unless nothing in it has changed.
fn build_foreign(workspace: &Workspace, hookmill: &Path, project: &Path, folder: &Path) -> Result<()> {
    let name = file_name(project)?;
    // What goes into the component: the project, the SDKs, the contract, and what puts them together.
    let commands = workspace.root.join("crates/hookmill-cli/src/commands");
    let (builder, encoder) = (commands.join("plugin_project.rs"), commands.join("plugin_build"));
    let inputs = [project, &workspace.root.join("sdk"), &workspace.root.join("wit"), &builder, &encoder];
    let stamp = Stamp::of(&inputs, workspace.tools().join(format!("{name}.stamp")))?;
    if stamp.holds() && folder.join(&name).is_file() {
        println!("{name} is up to date");
        return Ok(());
    }
    let mut command = Command::new(hookmill);
    command.env("PATH", toolchains::provide(workspace, project)?);
    build_project(workspace, project, command, folder)?;
    stamp.set()
}

/// Runs `hookmill plugin build` on a project.
fn build_project(workspace: &Workspace, project: &Path, mut hookmill: Command, folder: &Path) -> Result<()> {
    let name = file_name(project)?;
    println!("building {name}");
    let built = workspace.tools().join(&name);
    fs::create_dir_all(workspace.tools()).context("the folder for tools can't be made")?;
    process::run(hookmill.args(["plugin", "build"]).arg(project).arg("--out").arg(&built))?;
    let component = fs::read(&built).with_context(|| format!("{} was not built", built.display()))?;
    report(folder, &name, &component)
}

fn report(folder: &Path, name: &str, component: &[u8]) -> Result<()> {
    let state = if put(folder, name, component)? { "new" } else { "unchanged" };
    println!("  {name}: {} KB, {state}", component.len().div_ceil(1000));
    Ok(())
}

/// Returns the file name of a project's component.
fn file_name(project: &Path) -> Result<String> {
    let name = project.file_name().and_then(|name| name.to_str()).context("a project's folder has a name")?;
    Ok(format!("{}.wasm", name.replace('-', "_")))
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
    report(folder, &name, &component)
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
