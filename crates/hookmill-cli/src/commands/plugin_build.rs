//! `hookmill plugin build`: the language's own tools, then the manifest put into the component.

mod c;
mod encode;
mod javascript;
mod python;
mod rust;
mod tool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hookmill::plugin::{Manifest, PluginLimits, inspect};
use serde_json::json;

use super::plugin::refused;
use crate::exit_code::{Failure, PLUGIN, USAGE};
use crate::output::{Output, bytes};

pub(crate) fn run(dir: &Path, out: Option<&Path>, output: &Output) -> anyhow::Result<ExitCode> {
    let manifest_file = dir.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest_file).map_err(|error| {
        Failure::new(USAGE, "not_a_project", format!("{} can't be read: {error}", manifest_file.display()))
            .help("run it in a plugin project, or make one with `hookmill plugin new NAME`")
    })?;
    let manifest = Manifest::parse(&text).map_err(|error| Failure::explained(PLUGIN, &error))?;
    let (built, component) = build(dir)?;
    let component = Manifest::embed(&text, &component).map_err(|error| Failure::explained(PLUGIN, &error))?;
    let inspection = inspect(&component, &PluginLimits::default()).map_err(|error| refused(&built, &error))?;
    let file = out.map_or_else(|| dir.join(format!("{}.wasm", manifest.name)), Path::to_owned);
    std::fs::write(&file, &component).with_context(|| format!("{} can't be written", file.display()))?;
    output.answer(&json!({"file": file, "digest": inspection.digest, "bytes": component.len()}), || {
        format!("{} is built: {}, version {}", file.display(), bytes(component.len() as u64), inspection.digest)
    });
    Ok(ExitCode::SUCCESS)
}

/// Runs the tools of the project's language; returns what they made, and the component.
fn build(dir: &Path) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let has = |file: &str| dir.join(file).is_file();
    let file = if has("Cargo.toml") {
        rust::build(dir)?
    } else if has("package.json") {
        javascript::build(dir)?
    } else if has("pyproject.toml") {
        python::build(dir)?
    } else if has("Makefile") {
        c::build(dir)?
    } else {
        let message = format!("the language of the project in {} is not known", dir.display());
        return Err(Failure::new(USAGE, "unknown_language", message)
            .help("a project has Cargo.toml (Rust), package.json (JavaScript, TypeScript), pyproject.toml (Python) or Makefile (C)")
            .into());
    };
    let built = std::fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?;
    // A core module has another version in its head than a component.
    let component = if built.get(4..8) == Some(&[1, 0, 0, 0]) {
        encode::component(&built).map_err(|error| encode::refused(&file, &error))?
    } else {
        built
    };
    Ok((file, component))
}
