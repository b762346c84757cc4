//! `hookmill plugin test`: a plugin against its fixtures, with the server's own host and limits.

mod tell;
mod update;

pub(super) use self::tell::{as_json, outcome as print};

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use hookmill::plugin::{Expect, Fixture, FixtureReport, Plugin, is_the_hosts};

use super::plugin::refused;
use super::plugin_host::{load, on_guest_thread};
use super::plugin_project::{FixtureFile, Project, Subject};
use crate::exit_code::{FAILED, Failure, PLUGIN, USAGE};
use crate::output::Output;

/// How a fixture went.
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) report: FixtureReport,
    /// Whether its file was rewritten to expect what came out.
    pub(super) updated: bool,
}

impl Outcome {
    /// Tells whether nothing is left to be done about it.
    pub(super) fn is_good(&self) -> bool {
        self.updated || self.report.differences.is_empty()
    }
}

pub(crate) fn run(path: &Path, update: bool, filter: Option<&str>, output: &Output) -> anyhow::Result<ExitCode> {
    let chosen = |fixture: &Fixture| filter.is_none_or(|text| fixture.name.contains(text));
    let (outcomes, version) = if path.is_dir() {
        let project = Project::open(path)?;
        let mut fixtures = project.fixtures()?;
        check_chosen(fixtures.iter().map(|file| &file.fixture), filter, &|| missing_in(&project))?;
        let mut built = project.build(&fixtures, None)?;
        let plugin = load_plain(&built.plain, &built.file, output)?;
        let mut outcomes = Vec::new();
        for file in fixtures.iter_mut().filter(|file| chosen(&file.fixture)) {
            let mut outcome = run_one(&plugin, &file.fixture)?;
            if update {
                outcome.updated = take_as_right(file, &outcome.report)?;
            }
            tell::outcome(&outcome, output);
            outcomes.push(outcome);
        }
        if outcomes.iter().any(|outcome| outcome.updated) {
            // What was built has the old ones in it.
            built = project.rewrite(built.plain, &fixtures)?;
        }
        (outcomes, built.inspection.digest)
    } else {
        if update {
            return Err(Failure::new(USAGE, "wrong_usage", "--update rewrites files, and a component has none")
                .help("run it in the plugin's project")
                .into());
        }
        let subject = Subject::read(path)?;
        check_chosen(subject.fixtures.iter(), filter, &|| missing_from(path))?;
        let plugin = load_plain(&subject.plain, path, output)?;
        let mut outcomes = Vec::new();
        for fixture in subject.fixtures.iter().filter(|fixture| chosen(fixture)) {
            let outcome = run_one(&plugin, fixture)?;
            tell::outcome(&outcome, output);
            outcomes.push(outcome);
        }
        (outcomes, subject.inspection.digest)
    };
    tell::summary(&outcomes, &version, output);
    Ok(if outcomes.iter().all(Outcome::is_good) { ExitCode::SUCCESS } else { PLUGIN.into() })
}

/// Runs a plugin on fixtures.
pub(super) fn run_all<'a>(
    plugin: &Plugin,
    fixtures: impl Iterator<Item = &'a Fixture>,
) -> anyhow::Result<Vec<Outcome>> {
    fixtures.map(|fixture| run_one(plugin, fixture)).collect()
}

fn load_plain(plain: &[u8], file: &Path, output: &Output) -> anyhow::Result<Plugin> {
    let spinner = output.spinner("compiling".into());
    let loaded = load(plain);
    spinner.finish_and_clear();
    Ok(loaded?.map_err(|error| refused(file, &error))?)
}

fn run_one(plugin: &Plugin, fixture: &Fixture) -> anyhow::Result<Outcome> {
    let report = on_guest_thread(|| fixture.run(plugin))?.map_err(|error| Failure::explained(PLUGIN, &error))?;
    Ok(Outcome { name: fixture.name.clone(), report, updated: false })
}

/// Rewrites a fixture that was not met, or that expects nothing yet; tells whether it did.
fn take_as_right(file: &mut FixtureFile, report: &FixtureReport) -> anyhow::Result<bool> {
    let result = &report.report.result;
    let hosts = result.as_ref().is_err_and(is_the_hosts);
    if hosts || (report.differences.is_empty() && file.fixture.expect.is_some()) {
        return Ok(false);
    }
    let expect = file.fixture.expect.as_ref().map_or_else(|| Expect::of(result), |expect| expect.updated(result));
    let text = update::with_expect(&file.text, &expect)
        .with_context(|| format!("{} can't be updated", file.path.display()))?;
    std::fs::write(&file.path, &text).with_context(|| format!("{} can't be written", file.path.display()))?;
    file.fixture.expect = Some(expect);
    file.text = text;
    Ok(true)
}

/// Makes sure that there is something to test: none at all would look like success.
fn check_chosen<'a>(
    fixtures: impl Iterator<Item = &'a Fixture>,
    filter: Option<&str>,
    none: &dyn Fn() -> Failure,
) -> Result<(), Failure> {
    let names: Vec<&str> = fixtures.map(|fixture| fixture.name.as_str()).collect();
    match filter {
        _ if names.is_empty() => Err(none()),
        Some(text) if !names.iter().any(|name| name.contains(text)) => {
            Err(Failure::new(FAILED, "no_fixtures", format!("no fixture has {text:?} in its name"))
                .help(format!("there are: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

fn missing_in(project: &Project) -> Failure {
    let dir = project.tests_dir();
    let what = if dir.is_dir() { "has no .json file" } else { "is not there" };
    Failure::new(FAILED, "no_fixtures", format!("there is nothing to test: {} {what}", dir.display()))
        .help("write a fixture, see `hookmill plugin test --help`: {\"event\": …}, then run it with --update")
}

fn missing_from(file: &Path) -> Failure {
    let message = format!("there is nothing to test: {} brings no fixtures along", file.display());
    Failure::new(FAILED, "no_fixtures", message).help("build it with `hookmill plugin build`, or test its project")
}
