//! `hookmill plugin inspect`: what a component is made of, whether it is a plugin or not.

mod anatomy;
mod wit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookmill::Explain as _;
use hookmill::core::Digest;
use hookmill::plugin::{LoadPluginError, LoadProblem, Manifest, Plugin, PluginLimits, Stage, inspect};
use serde_json::{Value, json};

use self::anatomy::Anatomy;
use super::plugin::refused;
use super::plugin_host::OwnHost;
use super::plugin_project::Project;
use crate::commands::read;
use crate::exit_code::PLUGIN;
use crate::output::{Output, Span, bytes, group, inline, pretty};

/// What was found out about a component.
struct Findings {
    file: PathBuf,
    digest: Digest,
    bytes: usize,
    anatomy: Anatomy,
    compile_time: Option<Duration>,
    /// The plugin, or why it is none.
    plugin: Result<Plugin, LoadPluginError>,
}

pub(crate) fn run(path: &Path, with_wit: bool, output: &Output) -> anyhow::Result<ExitCode> {
    let (file, wasm) = if path.is_dir() {
        let project = Project::open(path)?;
        let built = project.build(&project.fixtures()?, None)?;
        (built.file, built.component)
    } else {
        (path.to_owned(), read(path)?)
    };
    let inspected = inspect(&wasm, &PluginLimits::default());
    if let Err(error) = &inspected
        && error.problems().iter().any(is_no_component)
    {
        return Err(refused(&file, error).into());
    }
    if with_wit {
        let wit = wit::of(&wasm)?;
        output.answer(&json!({"wit": wit}), || wit.trim_end().to_owned());
        return Ok(ExitCode::SUCCESS);
    }
    let anatomy = Anatomy::of(&wasm)?;
    let (compile_time, plugin) = match inspected {
        Ok(_) => compile(&wasm, output)?,
        Err(error) => (None, Err(error)),
    };
    let findings = Findings { file, digest: Digest::of(&wasm), bytes: wasm.len(), anatomy, compile_time, plugin };
    if output.is_json() {
        output.line(findings.json());
    } else {
        findings.print(output);
    }
    Ok(if findings.plugin.is_ok() { ExitCode::SUCCESS } else { PLUGIN.into() })
}

/// Tells whether there is nothing in a file that could be looked at.
fn is_no_component(problem: &LoadProblem) -> bool {
    matches!(
        problem,
        LoadProblem::NotWasm | LoadProblem::CoreModule | LoadProblem::Corrupt { .. } | LoadProblem::TooLarge { .. }
    )
}

type Loaded = (Option<Duration>, Result<Plugin, LoadPluginError>);

/// Loads a component as the server does; tells how long its compiling took.
fn compile(wasm: &[u8], output: &Output) -> anyhow::Result<Loaded> {
    let host = OwnHost::new()?;
    let (mut begun, mut compile_time) = (Instant::now(), None);
    let spinner = output.spinner("compiling".into());
    let loaded = host.load(wasm, |stage| match stage {
        Stage::Validated => begun = Instant::now(),
        Stage::Compiled => compile_time = Some(begun.elapsed()),
        Stage::Tested => {}
    });
    spinner.finish_and_clear();
    Ok((compile_time, loaded?))
}

impl Findings {
    fn json(&self) -> Value {
        let Self { file, digest, bytes, anatomy, compile_time, plugin } = self;
        let mut told = json!({
            "file": file, "digest": digest, "bytes": bytes,
            "imports": anatomy.imports, "exports": anatomy.exports, "core_modules": anatomy.core_modules,
            "memories": {"count": anatomy.memories, "bytes_at_start": anatomy.memory_bytes},
            "sections": anatomy.sections,
            "compile_ms": compile_time.map(|time| time.as_millis()),
        });
        match plugin {
            Ok(plugin) => {
                let limits = plugin.limits();
                let fixtures = &plugin.inspection().fixtures;
                told["plugin"] = json!(true);
                told["native_bytes"] = json!(plugin.native_bytes());
                told["manifest"] = json!(plugin.inspection().manifest);
                told["settings_schema"] = json!(plugin.settings_schema());
                told["description"] = json!(plugin.description());
                told["judges"] = json!(plugin.judges());
                told["limits"] = json!({"fuel": limits.fuel_max, "memory_bytes": limits.memory_bytes_max});
                told["fixtures"] = fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
            }
            Err(error) => {
                let problem = |problem: &LoadProblem| json!({"code": problem.code(), "message": problem.to_string(), "help": problem.help()});
                told["plugin"] = json!(false);
                told["problems"] = error.problems().iter().map(problem).collect();
            }
        }
        told
    }

    fn print(&self, output: &Output) {
        let Self { file, digest, bytes: size, anatomy, compile_time, plugin } = self;
        let verdict = if plugin.is_ok() { "is a plugin" } else { "can't be a plugin" };
        output.heading(&format!("{} {verdict}", file.display()));
        for problem in plugin.as_ref().err().into_iter().flat_map(LoadPluginError::problems) {
            row("problem", &format!("{problem} [{}]", problem.code()), output);
            problem.help().iter().for_each(|help| row("", help, output));
        }
        row("digest", &digest.to_string(), output);
        row("size", &bytes(*size as u64), output);
        if let Some(time) = compile_time {
            let native =
                plugin.as_ref().map(|plugin| format!(", {} of native code", bytes(plugin.native_bytes() as u64)));
            row("compiled", &format!("in {:.2} s{}", time.as_secs_f64(), native.unwrap_or_default()), output);
        }
        let memory = bytes(anatomy.memory_bytes);
        let memories =
            format!("{} with {memory} at the start, in {} core modules", anatomy.memories, anatomy.core_modules);
        row("memories", &memories, output);
        if let Ok(plugin) = plugin {
            print_plugin(plugin, output);
        }
        list("imports", &anatomy.imports, output);
        list("exports", &anatomy.exports, output);
        let rows: Vec<[Span; 4]> = anatomy
            .sections
            .iter()
            .map(|section| {
                let share = format!("{:.1} %", section.bytes as f64 * 100.0 / (*size).max(1) as f64);
                [
                    section.name.as_str().into(),
                    section.count.to_string().into(),
                    bytes(section.bytes).into(),
                    share.into(),
                ]
            })
            .collect();
        output.line("");
        output.table(["SECTION", "COUNT", "SIZE", "SHARE"], rows);
    }
}

fn print_plugin(plugin: &Plugin, output: &Output) {
    let inspection = plugin.inspection();
    match &inspection.manifest {
        Some(manifest) => print_manifest(manifest, output),
        None => row("manifest", "none", output),
    }
    if let Some(described) = plugin.description() {
        let texts = [&described.name, &described.version, &described.description];
        let texts: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
        row("describes", &texts.join(", "), output);
    }
    let limits = plugin.limits();
    let memory = bytes(limits.memory_bytes_max as u64);
    row("limits", &format!("fuel {}, memory {memory}", group(limits.fuel_max)), output);
    if let Some(schema) = plugin.settings_schema() {
        let schema = pretty(schema);
        let lines: Vec<&str> = schema.lines().collect();
        list("settings", &lines, output);
    }
    let fixtures: Vec<&str> = inspection.fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
    row("fixtures", &if fixtures.is_empty() { "none".into() } else { fixtures.join(", ") }, output);
    if plugin.judges() {
        row("judges", "it says what a receiver's answer means", output);
    }
}

fn print_manifest(manifest: &Manifest, output: &Output) {
    let version = manifest.version.as_deref().unwrap_or("no version");
    let description = manifest.description.as_deref().unwrap_or("no description");
    row("manifest", &format!("{} {version}, {description}", manifest.name), output);
    if let Some(select) = &manifest.select {
        row("sees", &json!(select).to_string(), output);
    }
}

fn row(name: &str, text: &str, output: &Output) {
    output.line(format!("{name:<9} {}", inline(text)));
}

fn list(name: &str, lines: &[impl AsRef<str>], output: &Output) {
    for (place, line) in lines.iter().enumerate() {
        row(if place == 0 { name } else { "" }, line.as_ref(), output);
    }
}
