//! The build as a process group of its own, so that all of it can be ended.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::steps::Steps;
use crate::commands::StopSignal;

/// Tools that are asked to end have so long to put away what is half done.
const GRACE: Duration = Duration::from_secs(2);

/// How a build ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Built,
    Failed,
    /// By the user.
    Stopped,
}

/// The processes of a build, which are asked to end when nobody waits for them any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        // They may have ended by themselves.
        let _gone = self.0.is_some_and(|group| kill_process_group(group, signal).is_err());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

/// Runs `plugin build` to its end, or until the user stops it; its words are shown if it fails.
pub(super) async fn run(dir: &Path, stop: &mut StopSignal, steps: &Steps<'_>) -> anyhow::Result<Ended> {
    let step = steps.begin("build");
    let program = std::env::current_exe().context("this program's own path can't be found")?;
    // A file, for a process that a tool leaves behind would hold a pipe open.
    let mut words = tempfile::tempfile().context("a file for what the tools say can't be made")?;
    let copy = |file: &File| file.try_clone().context("a file for what the tools say can't be shared");
    let mut child = Command::new(program)
        .args(["plugin", "build"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(copy(&words)?)
        .stderr(copy(&words)?)
        .process_group(0)
        .spawn()
        .context("the build can't be started")?;
    let mut group = Group::of(&child);
    let status = tokio::select! {
        status = child.wait() => status.context("the build can't be waited for")?,
        () = stop.heard() => {
            group.signal(Signal::TERM);
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                group.signal(Signal::KILL);
            }
            return Ok(Ended::Stopped);
        }
    };
    // Its number may be another's from now on.
    group.0 = None;
    let mut said = Vec::new();
    words.rewind().and_then(|()| words.read_to_end(&mut said)).context("what the tools said can't be read")?;
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        step.done(said.lines().last().unwrap_or_default());
        return Ok(Ended::Built);
    }
    step.fail_with_words(&said);
    Ok(Ended::Failed)
}
