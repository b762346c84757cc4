//! What is known of a plugin: its versions, which one is active, and how the last replacement went.

use hookmill_core::{Digest, PluginName};
use hookmill_plugin::{Description, Manifest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canary::{Canary, CanaryEnd, CanaryInfo};
use super::jobs::Upload;

/// Versions of a plugin that are kept; more only where the older ones still run or are what a rollback goes back to.
const VERSIONS_KEPT: usize = 5;

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The API.
    Upload,
    /// A file in the watched directory.
    Directory,
}

/// What a version is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VersionState {
    /// It waits to be activated, or was active before.
    #[default]
    Staged,
    /// It takes a share of the events.
    Canary,
    /// It runs.
    Active,
}

/// A version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginVersion {
    /// The digest of its component, which it is known by.
    pub digest: Digest,
    /// What it is doing.
    #[serde(skip_deserializing)]
    pub state: VersionState,
    /// When it was taken in.
    pub added_at: Timestamp,
    /// Where it came from.
    pub source: Source,
    /// The size of its component.
    pub bytes: usize,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Its manifest, if it has one.
    #[serde(default)]
    pub manifest: Option<Manifest>,
    /// What it says of itself, if it does.
    #[serde(default)]
    pub description: Option<Description>,
    /// How many fixtures it brought along; each was met three times before it was taken.
    #[serde(default)]
    pub fixtures: usize,
}

/// What went wrong when a plugin was last to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReloadFailure {
    /// When.
    pub at: Timestamp,
    /// A stable code.
    pub code: &'static str,
    /// The cause.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A version that failed so often that it is not run for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Suspension {
    /// The version.
    pub digest: Digest,
    /// How often it failed in a row.
    pub failures: u32,
    /// When it is tried again.
    pub until: Timestamp,
    /// How it failed last.
    pub reason: String,
}

/// A plugin with its versions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name.
    pub name: PluginName,
    /// The version that runs, unless a webhook stays on another.
    pub active: Option<Digest>,
    /// Its versions, the newest first.
    pub versions: Vec<PluginVersion>,
    /// The version that takes a share of the events, with how both fared so far.
    pub canary: Option<CanaryInfo>,
    /// How the last canary ended, if it ended by itself.
    pub last_canary: Option<CanaryEnd>,
    /// Set while the plugin is suspended for its failures; its deliveries wait.
    pub suspended: Option<Suspension>,
    /// Why the last replacement was not taken, if it was not.
    pub last_failure: Option<ReloadFailure>,
    /// The last uploads, the newest first, each with the states that it went through.
    pub uploads: Vec<Upload>,
}

/// What the store keeps of a plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) active: Option<Digest>,
    /// Versions that were active before, the latest last: what a rollback goes back through.
    pub(super) history: Vec<Digest>,
    /// The newest last.
    pub(super) versions: Vec<PluginVersion>,
    #[serde(default)]
    pub(super) canary: Option<Canary>,
    #[serde(default)]
    pub(super) last_canary: Option<CanaryEnd>,
}

impl Stored {
    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.versions.iter().any(|version| version.digest == *digest)
    }

    pub(super) fn activate(&mut self, digest: Digest) {
        if let Some(before) = self.active.replace(digest).filter(|before| *before != digest) {
            self.history.retain(|known| *known != before);
            self.history.push(before);
        }
        self.history.retain(|known| *known != digest);
        // Whatever was tried out beside the old version was tried out for this decision.
        self.canary = None;
    }

    /// Forgets versions beyond those that are kept; returns them.
    pub(super) fn forget_oldest(&mut self, keep: &impl Fn(&Digest) -> bool) -> Vec<Digest> {
        let mut spare = self.versions.len().saturating_sub(VERSIONS_KEPT);
        // What runs stays, and what a rollback would go back to.
        let needed = [self.active, self.canary.map(|canary| canary.digest), self.history.last().copied()];
        let mut forgotten = vec![];
        self.versions.retain(|version| {
            let stays = spare == 0 || needed.contains(&Some(version.digest)) || keep(&version.digest);
            if !stays {
                spare -= 1;
                forgotten.push(version.digest);
            }
            stays
        });
        let versions = &self.versions;
        self.history.retain(|digest| versions.iter().any(|version| version.digest == *digest));
        forgotten
    }

    /// Returns the versions with their states, the newest first.
    pub(super) fn versions(&self) -> Vec<PluginVersion> {
        let state = |digest: Digest| match () {
            () if self.active == Some(digest) => VersionState::Active,
            () if self.canary.as_ref().is_some_and(|canary| canary.digest == digest) => VersionState::Canary,
            () => VersionState::Staged,
        };
        let with_state = |version: &PluginVersion| PluginVersion { state: state(version.digest), ..version.clone() };
        self.versions.iter().rev().map(with_state).collect()
    }
}
