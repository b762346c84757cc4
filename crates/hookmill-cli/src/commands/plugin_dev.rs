//! `hookmill plugin dev`: with every change build, test, push, replay the last event, and show what differs.

mod build;
mod replay;
mod steps;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::sync::oneshot;

use self::build::Ended;
use self::steps::Steps;
use self::watch::Watch;
use super::plugin_host::load;
use super::plugin_project::{Project, Subject};
use super::plugin_test::{Outcome, run_all};
use super::{StopSignal, plugin_test};
use crate::api::Client;
use crate::exit_code::UNREACHABLE;
use crate::output::Output;

pub(crate) async fn run(dir: &Path, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    // What will not work at all is told at once.
    Project::open(dir)?;
    let mut stop = StopSignal::listen()?;
    let mut watch = Watch::start(dir)?;
    loop {
        let mut seen = watch.look()?;
        let steps = Steps::new(output);
        match build::run(dir, &mut stop, &steps).await? {
            Ended::Stopped => return Ok(ExitCode::SUCCESS),
            Ended::Failed => {}
            Ended::Built => tokio::select! {
                () = stop.heard() => return Ok(ExitCode::SUCCESS),
                // What the steps could not do, they have told.
                _told = after_build(dir, client, &steps) => {}
            },
        }
        watch.leave_out_what_tools_wrote(&mut seen);
        steps.waiting();
        tokio::select! {
            () = stop.heard() => return Ok(ExitCode::SUCCESS),
            changed = watch.changed(&seen) => changed?,
        }
    }
}

/// Goes on with what was built; none, if a step failed and those behind it make no sense.
async fn after_build(dir: &Path, client: &Client, steps: &Steps<'_>) -> Option<()> {
    let project = steps.check("test", Project::open(dir))?;
    test(dir, steps).await?;
    let push = steps.begin("push");
    let wasm = match std::fs::read(project.component_file()) {
        Ok(wasm) => wasm,
        Err(error) => return push.fail(&error.into()),
    };
    let name = project.manifest.name.as_str();
    let staged = match replay::stage(client, name, wasm).await {
        Ok(staged) => staged,
        Err(failure) if failure.exit_code == UNREACHABLE => {
            push.skip(&format!("{failure}; build and test only"));
            return None;
        }
        Err(failure) => return push.fail(&failure.into()),
    };
    // The version before is asked while it still is the active one.
    let before = replay::before(client, name).await;
    if let Err(failure) = replay::activate(client, name, &staged).await {
        return push.fail(&failure.into());
    }
    push.done(&format!("{name} runs version {}", staged.short()));
    let replay = steps.begin("replay");
    match before {
        Ok(Some(before)) => replay::compare(client, before, replay).await,
        Ok(None) => replay.skip(&format!("no event has matched a webhook with the plugin {name} yet")),
        Err(failure) => return replay.fail(&failure.into()),
    }
    Some(())
}

/// Holds what was built against the project's fixtures.
async fn test(dir: &Path, steps: &Steps<'_>) -> Option<()> {
    let step = steps.begin("test");
    let (tell, told) = oneshot::channel();
    let dir: PathBuf = dir.to_owned();
    // A thread that the runtime does not wait for: Ctrl-C ends at once, whatever is compiled.
    let started = std::thread::Builder::new().spawn(move || tell.send(outcomes(&dir)).is_err());
    if let Err(error) = started {
        return step.fail(&error.into());
    }
    let outcomes = match told.await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(error)) => return step.fail(&error),
        Err(_) => return step.fail(&anyhow::anyhow!("the test ended without a word")),
    };
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    match (outcomes.len(), failed.len()) {
        (0, _) => step.skip("there are no fixtures; `hookmill plugin test --help` shows one"),
        (1, 0) => step.done("the fixture is met"),
        (all, 0) => step.done(&format!("{all} fixtures are met")),
        (all, failures) => {
            step.broken(&format!("{failures} of {all} fixtures are not met"), &failed);
            return None;
        }
    }
    Some(())
}

fn outcomes(dir: &Path) -> anyhow::Result<Vec<Outcome>> {
    let project = Project::open(dir)?;
    let fixtures = project.fixtures()?;
    let file = project.component_file();
    let subject = Subject::read(&file)?;
    let plugin = load(&subject.plain)?.map_err(|error| super::plugin::refused(&file, &error))?;
    run_all(&plugin, fixtures.iter().map(|file| &file.fixture))
}
