//! Uploads as jobs: each goes through the same states, and everybody can see how far it is.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookmill_core::{Digest, PluginName, TenantId};
use hookmill_plugin::Stage;
use jiff::Timestamp;
use serde::Serialize;

use super::stored::{ReloadFailure, Source};

/// Uploads that are remembered, of all plugins together.
const REMEMBERED: usize = 200;

/// Uploads of one plugin that are shown.
const SHOWN: usize = 10;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UploadState {
    /// All bytes are here.
    Received,
    /// It is a component that meets the contract.
    Validated,
    /// It is native code.
    Compiled,
    /// It started, met its fixtures and gave the same answers each time.
    Tested,
    /// It is kept, and runs once somebody activates it.
    Staged,
    /// It is kept and runs.
    Active,
    /// It was not taken.
    Rejected,
}

/// When an upload reached a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UploadStep {
    /// The state.
    pub state: UploadState,
    /// When.
    pub at: Timestamp,
}

/// One upload of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Upload {
    /// Its number since the start of hookmill.
    pub id: u64,
    /// The digest of the component.
    pub digest: Digest,
    /// Where it came from.
    pub source: Source,
    /// The state that it is in.
    pub state: UploadState,
    /// The states that it went through, in order.
    pub steps: Vec<UploadStep>,
    /// Why it was rejected, if it was.
    pub failure: Option<ReloadFailure>,
}

#[derive(Debug)]
struct Job {
    tenant: TenantId,
    name: PluginName,
    upload: Upload,
}

/// The uploads since the start, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Mutex<VecDeque<Job>>,
}

impl Jobs {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job; returns its number.
    pub(super) fn receive(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        source: Source,
        at: Timestamp,
    ) -> u64 {
        let mut jobs = self.jobs();
        let id = jobs.back().map_or(1, |job| job.upload.id + 1);
        if jobs.len() == REMEMBERED {
            jobs.pop_front();
        }
        let steps = vec![UploadStep { state: UploadState::Received, at }];
        let upload = Upload { id, digest, source, state: UploadState::Received, steps, failure: None };
        jobs.push_back(Job { tenant: tenant.clone(), name: name.clone(), upload });
        id
    }

    pub(super) fn reach(&self, id: u64, state: UploadState, at: Timestamp) {
        // An upload that was forgotten for so many later ones is not looked for any more either.
        if let Some(job) = self.jobs().iter_mut().find(|job| job.upload.id == id) {
            job.upload.state = state;
            job.upload.steps.push(UploadStep { state, at });
        }
    }

    pub(super) fn reject(&self, id: u64, failure: ReloadFailure) {
        let at = failure.at;
        self.reach(id, UploadState::Rejected, at);
        if let Some(job) = self.jobs().iter_mut().find(|job| job.upload.id == id) {
            job.upload.failure = Some(failure);
        }
    }

    /// Returns the last uploads of a plugin, the newest first.
    pub(super) fn of(&self, tenant: &TenantId, name: &PluginName) -> Vec<Upload> {
        let jobs = self.jobs();
        let of_plugin = jobs.iter().rev().filter(|job| job.tenant == *tenant && job.name == *name);
        of_plugin.take(SHOWN).map(|job| job.upload.clone()).collect()
    }

    pub(super) fn find(&self, tenant: &TenantId, name: &PluginName, id: u64) -> Option<Upload> {
        let jobs = self.jobs();
        let mut all = jobs.iter();
        let job = all.find(|job| job.upload.id == id && job.tenant == *tenant && job.name == *name)?;
        Some(job.upload.clone())
    }
}

impl From<Stage> for UploadState {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Validated => Self::Validated,
            Stage::Compiled => Self::Compiled,
            Stage::Tested => Self::Tested,
        }
    }
}
