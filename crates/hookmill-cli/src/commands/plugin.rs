//! `hookmill plugin`.

use std::path::Path;
use std::process::ExitCode;

use hookmill::core::PluginName;
use hookmill::core::limits::BODY_BYTES_MAX;
use hookmill::plugin::{Inspection, PluginLimits, inspect};
use serde_json::json;

use super::{
    plugin_bench, plugin_build, plugin_dev, plugin_host, plugin_inspect, plugin_push, plugin_run, plugin_show,
    plugin_test, plugin_versions,
};
use crate::api::Client;
use crate::args::{Connection, Plugin};
use crate::commands::read;
use crate::exit_code::{Failure, PLUGIN, USAGE};
use crate::output::{Output, bytes, inline};
use crate::templates;

pub(crate) async fn run(command: Plugin, connection: &Connection, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::New { name, lang } => new(&name, lang, output),
        Plugin::Build { dir, out } => plugin_build::run(&dir, out.as_deref(), output),
        Plugin::Check { file } => check(&file, output),
        Plugin::Run { file, event, settings, request_url } => {
            plugin_run::run(&file, &event, settings.as_deref(), request_url, output)
        }
        Plugin::Test { path, update, filter } => plugin_test::run(&path, update, filter.as_deref(), output),
        Plugin::Inspect { path, wit } => plugin_inspect::run(&path, wit, output),
        Plugin::Bench { path, event, calls } => plugin_bench::run(&path, event.as_deref(), calls, output),
        Plugin::Dev { dir } => plugin_dev::run(&dir, &connection.client()?, output).await,
        Plugin::Push { file, name, stage } => plugin_push::run(&connection.client()?, &file, name, stage, output).await,
        Plugin::List => plugin_show::list(&connection.client()?, output).await,
        Plugin::Show { name } => plugin_show::show(&connection.client()?, &name, output).await,
        Plugin::Activate { name, digest, if_unchanged, last, release_parked } => {
            let how = json!({"if_unchanged": if_unchanged, "last": last, "release_parked": release_parked});
            plugin_versions::activate(&connection.client()?, &name, &digest, how, output).await
        }
        Plugin::Diff { name, digest, last } => {
            plugin_versions::diff(&connection.client()?, &name, &digest, last, output).await
        }
        Plugin::Canary { name, digest: Some(digest), share, .. } => {
            plugin_versions::begin_canary(&connection.client()?, &name, &digest, share, output).await
        }
        Plugin::Canary { name, digest: None, .. } => {
            plugin_versions::end_canary(&connection.client()?, &name, output).await
        }
        Plugin::Rollback { name, release_parked } => {
            plugin_versions::rollback(&connection.client()?, &name, release_parked, output).await
        }
    }
}

pub(super) fn path(parts: &[&str]) -> String {
    Client::path(&[&["plugins"], parts].concat())
}

fn new(name: &str, lang: crate::args::Language, output: &Output) -> anyhow::Result<ExitCode> {
    let checked = PluginName::new(name).map_err(|error| Failure::explained(USAGE, &error))?;
    let written = templates::write_project(lang, &checked, Path::new(name))?;
    output.answer(&json!({"name": name, "files": written}), || {
        format!(
            "{name}/ is made, with {} files; next:\n  cd {name}\n  {}\n  hookmill plugin test",
            written.len(),
            templates::test_command(lang)
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// Reads a component and looks at it as the server would before compiling.
pub(crate) fn read_component(file: &Path) -> anyhow::Result<(Vec<u8>, Inspection)> {
    let wasm = read(file)?;
    let inspection = inspect(&wasm, &PluginLimits::default()).map_err(|error| refused(file, &error))?;
    Ok((wasm, inspection))
}

/// Tells every problem of a component, each with its help.
pub(crate) fn refused(file: &Path, error: &hookmill::plugin::LoadPluginError) -> Failure {
    use hookmill::Explain as _;
    let mut failure = Failure::explained(PLUGIN, error);
    failure.message = format!("{} can't be a plugin: {error}", file.display());
    let others = error
        .problems()
        .iter()
        .skip(1)
        .filter_map(|problem| problem.help())
        .filter(|help| Some(help) != failure.help.as_ref());
    let mut helps: Vec<String> = failure.help.iter().cloned().chain(others).collect();
    helps.dedup();
    failure.help = (!helps.is_empty()).then(|| helps.join("\n      "));
    failure
}

fn check(file: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let (wasm, _) = read_component(file)?;
    let spinner = output.spinner("compiling".into());
    let loaded = plugin_host::load(&wasm);
    spinner.finish_and_clear();
    let plugin = loaded?.map_err(|error| refused(file, &error))?;
    let inspection = plugin.inspection();
    let limits = plugin.limits();
    output.answer(inspection, || {
        let manifest = inspection.manifest.as_ref().map_or_else(
            || "none".into(),
            |manifest| {
                let version = manifest.version.as_deref().unwrap_or("no version");
                let description = manifest.description.as_deref().unwrap_or("no description");
                format!("{} {}, {}", manifest.name, inline(version), inline(description))
            },
        );
        format!(
            "{} is a plugin\ndigest    {}\nsize      {} of {}\nmanifest  {manifest}\nimports   {}\nexports   {}\nself-test passed",
            file.display(),
            inspection.digest,
            bytes(inspection.bytes as u64),
            bytes(limits.component_bytes_max as u64),
            inspection.imports.join("\n          "),
            inspection.exports.join("\n          "),
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// The most that a body may have, to be shown beside what it has.
pub(crate) const BODY_MAX: u64 = BODY_BYTES_MAX as u64;
