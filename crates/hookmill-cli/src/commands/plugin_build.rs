//! `hookmill plugin build`: the language's own tools, then manifest and fixtures put into the component.

mod c;
mod encode;
mod javascript;
mod own_table;
mod python;
mod rust;
mod sections;
mod tool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::plugin_project::Project;
use crate::exit_code::{Failure, USAGE};
use crate::output::{Output, bytes};

pub(crate) fn run(dir: &Path, out: Option<&Path>, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(dir)?;
    let fixtures = project.fixtures()?;
    let built = project.build(&fixtures, out)?;
    let (digest, size, count) = (built.inspection.digest, built.component.len(), fixtures.len());
    output.answer(&json!({"file": built.file, "digest": digest, "bytes": size, "fixtures": count}), || {
        let fixtures = if count == 1 { "1 fixture".into() } else { format!("{count} fixtures") };
        format!("{} is built: {}, {fixtures}, version {digest}", built.file.display(), bytes(size as u64))
    });
    Ok(ExitCode::SUCCESS)
}

/// Runs the tools of the project's language; returns what they made, and the component.
pub(super) fn compile(dir: &Path) -> anyhow::Result<(PathBuf, Vec<u8>)> {
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
    // What can't be read is told, and told better, when it is inspected.
    let owning = own_table::own_table(&component).ok().flatten();
    Ok((file, owning.unwrap_or(component)))
}
