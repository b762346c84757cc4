//! The plugins of all tenants: their versions, which one is active, and the swap from one to the next.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hookmill_core::ports::{Clock, Revision, Store};
use hookmill_core::{Digest, EventId, Fault, PluginName, TenantId};
use hookmill_plugin::{LoadPluginError, LoadProblem, Plugin, PluginHost, PluginLimits};
use tokio::sync::Mutex;

use crate::background::in_background;
use crate::{EngineError, LimitsOf};

mod breaker;
mod canary;
mod change;
mod jobs;
mod stored;

pub(crate) use breaker::Admission;
use breaker::Breakers;
use canary::{Canaries, Canary};
pub use canary::{CanaryEnd, CanaryInfo, Fared};
pub(crate) use change::Candidate;
use jobs::Jobs;
pub use jobs::{Upload, UploadState, UploadStep};
use stored::Stored;
pub use stored::{PluginInfo, PluginVersion, ReloadFailure, Source, Suspension, VersionState};

const KIND: &str = "plugin";

#[derive(Debug, Clone, Default)]
struct Entry {
    stored: Stored,
    revision: Revision,
    last_failure: Option<ReloadFailure>,
}

type Key = (TenantId, PluginName);

/// What runs of a plugin.
#[derive(Debug, Clone)]
struct Running {
    active: Plugin,
    canary: Option<(Canary, Plugin)>,
}

/// The registry of plugins. A call takes its version once, in one look, and ends on it whatever happens meanwhile.
#[derive(Debug)]
pub(crate) struct Plugins {
    host: PluginHost,
    limits_of: Option<LimitsOf>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// What runs, ready to run.
    running: ArcSwap<HashMap<Key, Running>>,
    /// Versions that webhooks stay on, ready to run.
    pinned: ArcSwap<HashMap<(Key, Digest), Plugin>>,
    entries: Mutex<HashMap<Key, Entry>>,
    /// Components are taken in one after another: each may compile for a minute, and is tried out in an instance of its own.
    loading: Mutex<()>,
    /// Held from where a component is stored to where its version is known and others are forgotten.
    keeping: Mutex<()>,
    jobs: Arc<Jobs>,
    breakers: Breakers,
    canaries: Canaries,
}

/// How one run of a plugin ended, as far as it says something of the plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran<'a> {
    pub(crate) digest: Digest,
    /// What the plugin did wrong.
    pub(crate) fault: Option<&'a Fault>,
    /// Whether the receiver refused what the plugin made.
    pub(crate) refused: bool,
}

impl Plugins {
    /// Reads the plugins from the store and makes those that run ready.
    pub(crate) async fn open(
        host: PluginHost,
        limits_of: Option<LimitsOf>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let mut entries = HashMap::new();
        for entry in store.config(KIND).await? {
            let name = PluginName::new(&entry.key.name)?;
            match serde_json::from_str(&entry.value) {
                Ok(stored) => {
                    let entry = (entry.key.tenant, Entry { stored, revision: entry.revision, last_failure: None });
                    entries.insert((entry.0, name), entry.1);
                }
                Err(error) => tracing::error!(plugin = %name, %error, "a stored plugin can't be read"),
            }
        }
        let plugins = Self {
            host,
            limits_of,
            store,
            clock,
            running: ArcSwap::default(),
            pinned: ArcSwap::default(),
            entries: Mutex::new(HashMap::new()),
            loading: Mutex::new(()),
            keeping: Mutex::new(()),
            jobs: Arc::default(),
            breakers: Breakers::default(),
            canaries: Canaries::default(),
        };
        let mut running = HashMap::new();
        for (key, entry) in &entries {
            let mut ready = vec![];
            for digest in entry.stored.active.into_iter().chain(entry.stored.canary.map(|canary| canary.digest)) {
                match plugins.load_stored(&key.0, digest).await {
                    Ok(plugin) => ready.push(plugin),
                    Err(error) => {
                        tracing::error!(plugin = %key.1, %digest, %error, "a plugin can't be loaded; its deliveries are parked");
                    }
                }
            }
            if let Some(ready) = Running::of(&entry.stored, &ready) {
                running.insert(key.clone(), ready);
            }
        }
        plugins.running.store(Arc::new(running));
        *plugins.entries.lock().await = entries;
        Ok(plugins)
    }

    /// Returns the bounds of a tenant's plugins.
    pub(crate) fn limits(&self, tenant: &TenantId) -> PluginLimits {
        let host = self.host.limits();
        self.limits_of.as_ref().map_or(*host, |limits_of| limits_of.of(tenant).lowered_to(host))
    }

    /// Returns the version to run now: the one asked for, made ready if need be, else the canary or the active one, as
    /// the event falls.
    pub(crate) async fn pick(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Option<&Digest>,
        event: &EventId,
    ) -> Option<Plugin> {
        if digest.is_none() {
            let all = self.running.load();
            return all.get(&(tenant.clone(), name.clone())).map(|running| running.pick(tenant, event).clone());
        }
        self.lasting(tenant, name, digest).await
    }

    /// Returns the version asked for, made ready if need be, else the active one, whatever is tried out beside it.
    pub(crate) async fn lasting(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Option<&Digest>,
    ) -> Option<Plugin> {
        let Some(digest) = digest else {
            return self.running.load().get(&(tenant.clone(), name.clone())).map(|running| running.active.clone());
        };
        self.version(tenant, name, *digest)
            .await
            .inspect_err(|error| tracing::error!(%digest, %error, "a plugin can't be loaded"))
            .ok()
    }

    /// Returns a known version of a plugin, made ready and kept so.
    pub(crate) async fn version(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
    ) -> Result<Plugin, EngineError> {
        let key = (tenant.clone(), name.clone());
        if let Some(plugin) = self.running.load().get(&key).and_then(|running| running.version(&digest)) {
            return Ok(plugin);
        }
        let place = (key, digest);
        if let Some(plugin) = self.pinned.load().get(&place) {
            return Ok(plugin.clone());
        }
        if !self.entries.lock().await.get(&place.0).is_some_and(|entry| entry.stored.knows(&digest)) {
            return Err(EngineError::not_found("version", digest));
        }
        let plugin = self.load_stored(tenant, digest).await?;
        self.pinned.rcu(|pinned| {
            let mut pinned = HashMap::clone(pinned);
            pinned.insert(place.clone(), plugin.clone());
            pinned
        });
        Ok(plugin)
    }

    /// Makes a version ready from what was compiled of it before, or else from the stored component.
    async fn load_stored(&self, tenant: &TenantId, digest: Digest) -> Result<Plugin, EngineError> {
        // What was compiled before waits for nobody who compiles now: a rollback must be quick.
        let host = self.host.with_limits(self.limits(tenant));
        let known = tokio::task::spawn_blocking(move || host.load_known(&digest)).await;
        if let Some(plugin) = known.unwrap_or_else(|error| Err(not_loaded(&error)))? {
            return Ok(plugin);
        }
        let wasm = self
            .store
            .blob_get(digest)
            .await?
            .ok_or_else(|| EngineError::not_found("component with the digest", digest))?;
        Ok(self.load(tenant, wasm, None).await?.0)
    }

    /// Loads a component and notes the stages of a job; gives the bytes back.
    async fn load(
        &self,
        tenant: &TenantId,
        wasm: Vec<u8>,
        job: Option<u64>,
    ) -> Result<(Plugin, Vec<u8>), LoadPluginError> {
        let (jobs, clock) = (self.jobs.clone(), self.clock.clone());
        let _turn = self.loading.lock().await;
        let host = self.host.with_limits(self.limits(tenant));
        in_background(move || {
            let reached = |stage: hookmill_plugin::Stage| {
                if let Some(job) = job {
                    jobs.reach(job, stage.into(), clock.now());
                }
            };
            host.load_in_stages(&wasm, reached).map(|plugin| (plugin, wasm))
        })
        .await
        .unwrap_or_else(|error| Err(not_loaded(&error)))
    }

    /// Asks whether a version may run now, or is suspended for its failures.
    pub(crate) fn admit(&self, tenant: &TenantId, name: &PluginName, digest: Digest) -> Admission {
        self.breakers.admit(tenant, name, digest, self.clock.steady())
    }

    /// Takes note of how a run went; returns the suspension if this began or prolonged one.
    pub(crate) fn settle(&self, tenant: &TenantId, name: &PluginName, ran: Ran<'_>) -> Option<Suspension> {
        let suspended = self.breakers.settle(tenant, name, ran.digest, ran.fault, self.clock.steady())?;
        Some(suspended.shown(&*self.clock))
    }

    /// Takes note of how a run went beside a canary; returns why the canary is to end, if it is.
    pub(crate) fn settle_canary(&self, tenant: &TenantId, name: &PluginName, ran: Ran<'_>) -> Option<String> {
        let key = (tenant.clone(), name.clone());
        let canary = self.running.load().get(&key)?.canary.as_ref()?.0.digest;
        self.canaries.settle(&key, canary, ran.digest, ran.fault.is_some() || ran.refused)
    }

    /// Tells whether a version is one that is tried out on a share of the events.
    pub(crate) fn is_canary(&self, tenant: &TenantId, name: &PluginName, digest: Digest) -> bool {
        let all = self.running.load();
        let running = all.get(&(tenant.clone(), name.clone()));
        running.and_then(|running| running.canary.as_ref()).is_some_and(|(canary, _)| canary.digest == digest)
    }

    /// Tells whether a version is the active one.
    pub(crate) fn is_active(&self, tenant: &TenantId, name: &PluginName, digest: Digest) -> bool {
        let all = self.running.load();
        all.get(&(tenant.clone(), name.clone())).is_some_and(|running| running.active.digest() == digest)
    }

    /// Takes note that a version that was admitted did not run after all.
    pub(crate) fn not_run(&self, tenant: &TenantId, name: &PluginName, digest: Digest) {
        self.breakers.not_run(tenant, name, digest);
    }

    pub(crate) async fn list(&self, tenant: &TenantId) -> Vec<PluginInfo> {
        let entries = self.entries.lock().await;
        let of_tenant = entries.iter().filter(|(key, _)| key.0 == *tenant);
        let mut infos: Vec<_> = of_tenant.map(|(key, entry)| self.info(key, entry)).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }

    /// Returns what is known of a plugin; of one that has no version yet, its uploads.
    pub(crate) async fn find(&self, tenant: &TenantId, name: &PluginName) -> Option<PluginInfo> {
        let key = (tenant.clone(), name.clone());
        if let Some(entry) = self.entries.lock().await.get(&key) {
            return Some(self.info(&key, entry));
        }
        let uploaded = self.info(&key, &Entry::default());
        (!uploaded.uploads.is_empty()).then_some(uploaded)
    }

    /// Returns one upload since the start, as long as it is remembered.
    pub(crate) fn upload_state(&self, tenant: &TenantId, name: &PluginName, id: u64) -> Option<Upload> {
        self.jobs.find(tenant, name, id)
    }

    fn info(&self, key: &Key, entry: &Entry) -> PluginInfo {
        let (tenant, name) = key;
        PluginInfo {
            name: name.clone(),
            active: entry.stored.active,
            versions: entry.stored.versions(),
            canary: entry.stored.canary.as_ref().map(|canary| self.canaries.info(key, canary)),
            last_canary: entry.stored.last_canary.clone(),
            suspended: self.breakers.suspension(tenant, name).map(|suspended| suspended.shown(&*self.clock)),
            last_failure: entry.last_failure.clone(),
            uploads: self.jobs.of(tenant, name),
        }
    }
}

impl Running {
    /// Returns what runs according to what is stored, as far as it is ready.
    fn of(stored: &Stored, ready: &[Plugin]) -> Option<Self> {
        let version = |digest: Digest| ready.iter().find(|plugin| plugin.digest() == digest).cloned();
        let active = version(stored.active?)?;
        let canary = stored.canary.and_then(|canary| Some((canary, version(canary.digest)?)));
        Some(Self { active, canary })
    }

    fn pick(&self, tenant: &TenantId, event: &EventId) -> &Plugin {
        match &self.canary {
            Some((canary, plugin)) if canary.takes(tenant, event) => plugin,
            _ => &self.active,
        }
    }

    fn version(&self, digest: &Digest) -> Option<Plugin> {
        let canary = self.canary.as_ref().map(|(_, plugin)| plugin);
        [Some(&self.active), canary].into_iter().flatten().find(|plugin| plugin.digest() == *digest).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Plugin> {
        std::iter::once(&self.active).chain(self.canary.as_ref().map(|(_, plugin)| plugin))
    }
}

/// The thread that loads ended without a word, or could not be started.
fn not_loaded(error: &dyn std::error::Error) -> LoadPluginError {
    LoadProblem::Host { attempted: "load the component", cause: error.to_string() }.into()
}
