//! What changes a plugin: uploads, activation, rollback and canaries. Each is one write, then one swap.

use std::collections::HashMap;

use hookmill_core::ports::{ConfigKey, Revision};
use hookmill_core::{Digest, Explain as _, PluginName, TenantId};
use hookmill_plugin::{LoadPluginError, LoadProblem, Plugin};

use super::canary::{Canary, CanaryEnd};
use super::jobs::UploadState;
use super::stored::{ReloadFailure, Source, Stored, VersionState};
use super::{Entry, KIND, PluginVersion, Plugins, Running};
use crate::EngineError;
use crate::background::in_background;

/// A component that is to become a version.
#[derive(Debug)]
pub(crate) struct Candidate {
    wasm: Vec<u8>,
    pub(crate) digest: Digest,
    /// Whether it is to be the active version at once.
    activate: bool,
    source: Source,
}

impl Candidate {
    /// Hashes megabytes where nobody waits for that.
    pub(crate) async fn new(wasm: Vec<u8>, activate: bool, source: Source) -> Result<Self, EngineError> {
        let hashed = in_background(move || (Digest::of(&wasm), wasm)).await;
        let (digest, wasm) = hashed.map_err(|error| {
            let cause = error.to_string();
            LoadPluginError::from(LoadProblem::Host { attempted: "hash the component", cause })
        })?;
        Ok(Self { wasm, digest, activate, source })
    }
}

impl Plugins {
    /// Begins the job of an upload; returns its number.
    pub(crate) fn receive(&self, tenant: &TenantId, name: &PluginName, candidate: &Candidate) -> u64 {
        self.jobs.receive(tenant, name, candidate.digest, candidate.source, self.clock.now())
    }

    /// Takes a version in and, if asked, makes it the active one. A failure leaves everything as it was.
    pub(crate) async fn upload(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        job: u64,
        candidate: Candidate,
        keep: impl Fn(&Digest) -> bool,
    ) -> Result<PluginVersion, EngineError> {
        let (activate, source) = (candidate.activate, candidate.source);
        let result = self.take(tenant, name, job, candidate, keep).await;
        let now = self.clock.now();
        match &result {
            Ok(_) => {
                let state = if activate { UploadState::Active } else { UploadState::Staged };
                self.jobs.reach(job, state, now);
            }
            Err(error) => {
                let failure =
                    ReloadFailure { at: now, code: error.code(), message: error.to_string(), help: error.help() };
                if let EngineError::Plugin(error) = error {
                    self.note_failure(tenant, name, source, error, failure.clone()).await;
                }
                self.jobs.reject(job, failure);
            }
        }
        result
    }

    async fn take(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        job: u64,
        candidate: Candidate,
        keep: impl Fn(&Digest) -> bool,
    ) -> Result<PluginVersion, EngineError> {
        let Candidate { wasm, digest, activate, source } = candidate;
        let (plugin, wasm) = self.load(tenant, wasm, Some(job)).await?;
        // Else an upload that forgets this component elsewhere could delete it before it is known here.
        let _turn = self.keeping.lock().await;
        self.store.blob_put(digest, wasm).await?;
        let inspection = plugin.inspection();
        let version = PluginVersion {
            digest,
            state: if activate { VersionState::Active } else { VersionState::Staged },
            added_at: self.clock.now(),
            source,
            bytes: inspection.bytes,
            imports: inspection.imports.clone(),
            exports: inspection.exports.clone(),
            manifest: inspection.manifest.clone(),
            description: plugin.description().cloned(),
            fixtures: inspection.fixtures.len(),
        };
        let answer = version.clone();
        let mut forgotten = vec![];
        self.change(tenant, name, true, &[plugin], |stored| {
            stored.versions.retain(|known| known.digest != digest);
            stored.versions.push(version);
            if activate {
                stored.activate(digest);
            }
            forgotten = stored.forget_oldest(&keep);
            Ok(())
        })
        .await?;
        self.drop_components(forgotten).await;
        Ok(answer)
    }

    /// Deletes the components of these versions, unless another plugin has them too.
    async fn drop_components(&self, mut forgotten: Vec<Digest>) {
        {
            let entries = self.entries.lock().await;
            forgotten.retain(|digest| !entries.values().any(|entry| entry.stored.knows(digest)));
        }
        for digest in forgotten {
            if let Err(error) = self.store.blob_delete(digest).await {
                tracing::warn!(%digest, %error, "the component of a forgotten version was not deleted");
                continue;
            }
            let host = self.host.clone();
            drop(in_background(move || host.forget(&digest)).await);
        }
    }

    /// Makes a known version the active one; where it was compared with another, only if that one still is.
    pub(crate) async fn activate(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        compared_with: Option<Digest>,
    ) -> Result<(), EngineError> {
        self.known(tenant, name, |stored| stored.knows(&digest).then_some(()))
            .await?
            .ok_or_else(|| EngineError::not_found("version", digest))?;
        let plugin = self.load_stored(tenant, digest).await?;
        self.change(tenant, name, false, &[plugin], |stored| {
            if compared_with.is_some() && compared_with != stored.active {
                let what =
                    format!("another version of {name} was activated while the two were compared; compare again");
                return Err(EngineError::Conflict { code: "plugin_changed_meanwhile", what });
            }
            stored.activate(digest);
            Ok(())
        })
        .await
    }

    /// Goes back to the version that was active before; answers with it.
    pub(crate) async fn rollback(&self, tenant: &TenantId, name: &PluginName) -> Result<Digest, EngineError> {
        let digest = self.known(tenant, name, |stored| stored.history.last().copied()).await?.ok_or_else(|| {
            EngineError::Conflict { code: "plugin_no_previous", what: format!("{name} has no version to go back to") }
        })?;
        let plugin = self.load_stored(tenant, digest).await?;
        self.change(tenant, name, false, &[plugin], |stored| {
            stored.history.pop();
            stored.active = Some(digest);
            stored.canary = None;
            Ok(())
        })
        .await?;
        Ok(digest)
    }

    /// Tries a version out on a share of the events, beside the active one.
    pub(crate) async fn begin_canary(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        share: f64,
    ) -> Result<(), EngineError> {
        let refused = |what: String| EngineError::Conflict { code: "plugin_no_canary", what };
        if !(share > 0.0 && share <= 1.0) {
            return Err(refused(format!("a canary takes a share of more than 0 and at most 1, not {share}")));
        }
        let (known, active) = self.known(tenant, name, |stored| (stored.knows(&digest), stored.active)).await?;
        match active {
            _ if !known => return Err(EngineError::not_found("version", digest)),
            None => return Err(refused(format!("{name} has no active version beside which one could be tried out"))),
            Some(active) if active == digest => return Err(refused(format!("{digest} is active already"))),
            Some(_) => {}
        }
        let plugin = self.load_stored(tenant, digest).await?;
        let since = self.clock.now();
        self.canaries.forget(&(tenant.clone(), name.clone()));
        self.change(tenant, name, false, &[plugin], |stored| {
            stored.canary = Some(Canary { digest, share, since });
            Ok(())
        })
        .await
    }

    /// Ends a canary; `reason` is given if it ends for its failures.
    pub(crate) async fn end_canary(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        reason: Option<String>,
    ) -> Result<(), EngineError> {
        let at = self.clock.now();
        self.change(tenant, name, false, &[], |stored| {
            let Some(canary) = stored.canary.take() else { return Ok(()) };
            // Its failures are no reason to hold the version back when it is tried out anew.
            self.breakers.reset(tenant, name);
            if let Some(reason) = reason {
                tracing::warn!(plugin = %name, digest = %canary.digest, reason, "a canary did worse than the active version; it was taken back");
                stored.last_canary = Some(CanaryEnd { digest: canary.digest, at, reason });
            }
            Ok(())
        })
        .await
    }

    async fn known<T>(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        look: impl FnOnce(&Stored) -> T,
    ) -> Result<T, EngineError> {
        let entries = self.entries.lock().await;
        let entry =
            entries.get(&(tenant.clone(), name.clone())).ok_or_else(|| EngineError::not_found("plugin", name))?;
        Ok(look(&entry.stored))
    }

    /// Changes what is stored of a plugin, then swaps to what runs according to it; `ready` are versions that may.
    async fn change(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        create: bool,
        ready: &[Plugin],
        change: impl FnOnce(&mut Stored) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let key = (tenant.clone(), name.clone());
        // Held over the write: changes of plugins follow one another.
        let mut entries = self.entries.lock().await;
        let mut entry = match entries.get(&key) {
            Some(entry) => entry.clone(),
            None if create => Entry::default(),
            None => return Err(EngineError::not_found("plugin", name)),
        };
        let before = entry.stored.active;
        change(&mut entry.stored)?;
        let json = serde_json::to_string(&entry.stored).expect("a plugin's versions are JSON");
        let config_key = ConfigKey { tenant: tenant.clone(), kind: KIND, name: name.to_string() };
        entry.revision = self.store.put_config(config_key, Some(json), entry.revision).await?;
        entry.last_failure = None;
        let all = self.running.load();
        let at_hand: Vec<Plugin> =
            ready.iter().chain(all.get(&key).into_iter().flat_map(Running::all)).cloned().collect();
        if let Some(running) = Running::of(&entry.stored, &at_hand) {
            self.running.rcu(|all| {
                let mut all = HashMap::clone(all);
                all.insert(key.clone(), running.clone());
                all
            });
        }
        if let Some(active) = entry.stored.active.filter(|active| before != Some(*active)) {
            tracing::info!(plugin = %name, digest = %active, "a plugin version is active");
            self.breakers.reset(tenant, name);
        }
        let stored = &entry.stored;
        self.pinned.rcu(|pinned| {
            let mut pinned = HashMap::clone(pinned);
            pinned.retain(|(of, digest), _| *of != key || stored.knows(digest));
            pinned
        });
        entries.insert(key, entry);
        Ok(())
    }

    async fn note_failure(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        source: Source,
        error: &LoadPluginError,
        failure: ReloadFailure,
    ) {
        tracing::warn!(plugin = %name, code = error.code(), %error, help = error.help(), "a plugin version was not taken; the active one stays");
        let mut entries = self.entries.lock().await;
        match entries.get_mut(&(tenant.clone(), name.clone())) {
            Some(entry) => entry.last_failure = Some(failure),
            // Whoever uploads hears it at once; of a file nobody would.
            None if source == Source::Directory => {
                let entry = Entry { last_failure: Some(failure), revision: Revision(0), ..Entry::default() };
                entries.insert((tenant.clone(), name.clone()), entry);
            }
            None => {}
        }
    }
}
