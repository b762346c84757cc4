//! The plugins of all tenants: their versions, which one is active, and the swap from one to the next.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hookmill_core::ports::{ConfigKey, Revision, Store};
use hookmill_core::{Digest, Explain as _, PluginName, TenantId};
use hookmill_plugin::{LoadPluginError, LoadProblem, Manifest, Plugin, PluginHost};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::EngineError;

const KIND: &str = "plugin";

/// Versions of a plugin that are kept, the active one and those that webhooks stay on not counted.
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

/// A version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginVersion {
    /// The digest of its component, which it is known by.
    pub digest: Digest,
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
}

/// A component that is to become a version.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) wasm: Vec<u8>,
    /// Whether it is to be the active version at once.
    pub(crate) activate: bool,
    pub(crate) source: Source,
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

/// A plugin with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name.
    pub name: PluginName,
    /// The version that runs, unless a webhook stays on another.
    pub active: Option<Digest>,
    /// Its versions, the newest first.
    pub versions: Vec<PluginVersion>,
    /// Why the last replacement was not taken, if it was not.
    pub last_failure: Option<ReloadFailure>,
}

/// What the store keeps of a plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stored {
    active: Option<Digest>,
    /// Versions that were active before, the latest last: what a rollback goes back through.
    history: Vec<Digest>,
    /// The newest last.
    versions: Vec<PluginVersion>,
}

#[derive(Debug, Clone)]
struct Entry {
    stored: Stored,
    revision: Revision,
    last_failure: Option<ReloadFailure>,
}

type Key = (TenantId, PluginName);

/// The registry of plugins. A call takes its version once, in one look, and ends on it whatever happens meanwhile.
#[derive(Debug)]
pub(crate) struct Plugins {
    host: Arc<PluginHost>,
    store: Arc<dyn Store>,
    /// The active versions, ready to run.
    active: ArcSwap<HashMap<Key, Plugin>>,
    /// Versions that webhooks stay on, ready to run.
    pinned: ArcSwap<HashMap<(Key, Digest), Plugin>>,
    entries: Mutex<HashMap<Key, Entry>>,
    /// Loads follow one another: each may compile for a minute, and is tried out in an instance of its own.
    loading: Mutex<()>,
}

impl Plugins {
    /// Reads the plugins from the store and makes their active versions ready.
    pub(crate) async fn open(host: Arc<PluginHost>, store: Arc<dyn Store>) -> Result<Self, EngineError> {
        let mut entries = HashMap::new();
        for entry in store.config(KIND).await? {
            let name = PluginName::new(&entry.key.name)?;
            match serde_json::from_str(&entry.value) {
                Ok(stored) => {
                    entries.insert(
                        (entry.key.tenant, name),
                        Entry { stored, revision: entry.revision, last_failure: None },
                    );
                }
                Err(error) => tracing::error!(plugin = %name, %error, "a stored plugin can't be read"),
            }
        }
        let plugins = Self {
            host,
            store,
            active: ArcSwap::default(),
            pinned: ArcSwap::default(),
            entries: Mutex::new(HashMap::new()),
            loading: Mutex::new(()),
        };
        let mut ready = HashMap::new();
        for (key, entry) in &entries {
            let Some(digest) = entry.stored.active else { continue };
            match plugins.load_stored(digest).await {
                Ok(plugin) => {
                    ready.insert(key.clone(), plugin);
                }
                Err(error) => {
                    tracing::error!(plugin = %key.1, %digest, %error, "an active plugin can't be loaded; its deliveries are parked");
                }
            }
        }
        plugins.active.store(Arc::new(ready));
        *plugins.entries.lock().await = entries;
        Ok(plugins)
    }

    pub(crate) fn limits(&self) -> &hookmill_plugin::PluginLimits {
        self.host.limits()
    }

    /// Returns the version to run now: the one asked for, else the active one.
    pub(crate) fn pick(&self, tenant: &TenantId, name: &PluginName, digest: Option<&Digest>) -> Option<Plugin> {
        let active = self.active.load().get(&(tenant.clone(), name.clone())).cloned();
        match digest {
            None => active,
            Some(digest) => active
                .filter(|plugin| plugin.digest() == *digest)
                .or_else(|| self.pinned.load().get(&((tenant.clone(), name.clone()), *digest)).cloned()),
        }
    }

    /// Returns a version that a webhook stays on, making it ready where it is not.
    pub(crate) async fn pick_or_load(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Option<&Digest>,
    ) -> Option<Plugin> {
        if let Some(plugin) = self.pick(tenant, name, digest) {
            return Some(plugin);
        }
        let digest = *digest?;
        let known = {
            let entries = self.entries.lock().await;
            entries
                .get(&(tenant.clone(), name.clone()))
                .is_some_and(|entry| entry.stored.versions.iter().any(|version| version.digest == digest))
        };
        if !known {
            return None;
        }
        let plugin = self
            .load_stored(digest)
            .await
            .inspect_err(|error| tracing::error!(%digest, %error, "a plugin can't be loaded"))
            .ok()?;
        self.pinned.rcu(|pinned| {
            let mut pinned = HashMap::clone(pinned);
            pinned.insert(((tenant.clone(), name.clone()), digest), plugin.clone());
            pinned
        });
        Some(plugin)
    }

    async fn load_stored(&self, digest: Digest) -> Result<Plugin, EngineError> {
        let wasm = self
            .store
            .blob_get(digest)
            .await?
            .ok_or_else(|| EngineError::not_found("component with the digest", digest))?;
        Ok(self.load(wasm).await?.0)
    }

    /// Loads on a thread that may block; gives the bytes back.
    async fn load(&self, wasm: Vec<u8>) -> Result<(Plugin, Vec<u8>), LoadPluginError> {
        let _turn = self.loading.lock().await;
        let host = self.host.clone();
        tokio::task::spawn_blocking(move || host.load(&wasm).map(|plugin| (plugin, wasm))).await.unwrap_or_else(
            |error| Err(LoadProblem::Host { attempted: "load the component", cause: error.to_string() }.into()),
        )
    }

    /// Takes a version in and, if asked, makes it the active one. A failure leaves everything as it was.
    pub(crate) async fn upload(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        candidate: Candidate,
        now: Timestamp,
        keep: impl Fn(&Digest) -> bool,
    ) -> Result<PluginVersion, EngineError> {
        let Candidate { wasm, activate, source } = candidate;
        let (plugin, wasm) = match self.load(wasm).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.note_failure(tenant, name, source, &error, now).await;
                return Err(error.into());
            }
        };
        self.store.blob_put(wasm).await?;
        let inspection = plugin.inspection();
        let version = PluginVersion {
            digest: inspection.digest,
            added_at: now,
            source,
            bytes: inspection.bytes,
            imports: inspection.imports.clone(),
            exports: inspection.exports.clone(),
            manifest: inspection.manifest.clone(),
        };
        let digest = version.digest;
        let answer = version.clone();
        self.change(tenant, name, true, |stored| {
            stored.versions.retain(|known| known.digest != digest);
            stored.versions.push(version);
            if activate {
                stored.activate(digest);
            }
            stored.forget_oldest(&keep);
            Ok(activate.then_some(plugin))
        })
        .await?;
        Ok(answer)
    }

    /// Makes a known version the active one.
    pub(crate) async fn activate(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
    ) -> Result<(), EngineError> {
        self.known(tenant, name, |stored| {
            stored.versions.iter().any(|version| version.digest == digest).then_some(digest)
        })
        .await?
        .ok_or_else(|| EngineError::not_found("version", digest))?;
        let plugin = self.load_stored(digest).await?;
        self.change(tenant, name, false, |stored| {
            stored.activate(digest);
            Ok(Some(plugin))
        })
        .await
    }

    /// Goes back to the version that was active before; answers with it.
    pub(crate) async fn rollback(&self, tenant: &TenantId, name: &PluginName) -> Result<Digest, EngineError> {
        let digest = self.known(tenant, name, |stored| stored.history.last().copied()).await?.ok_or_else(|| {
            EngineError::Conflict { code: "plugin_no_previous", what: format!("{name} has no version to go back to") }
        })?;
        let plugin = self.load_stored(digest).await?;
        self.change(tenant, name, false, |stored| {
            stored.history.pop();
            stored.active = Some(digest);
            Ok(Some(plugin))
        })
        .await?;
        Ok(digest)
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

    /// Changes what is stored of a plugin, then swaps to the version that `change` returns.
    async fn change(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        create: bool,
        change: impl FnOnce(&mut Stored) -> Result<Option<Plugin>, EngineError>,
    ) -> Result<(), EngineError> {
        let key = (tenant.clone(), name.clone());
        // Held over the write: changes of plugins follow one another.
        let mut entries = self.entries.lock().await;
        let mut entry = match entries.get(&key) {
            Some(entry) => entry.clone(),
            None if create => Entry { stored: Stored::default(), revision: Revision(0), last_failure: None },
            None => return Err(EngineError::not_found("plugin", name)),
        };
        let plugin = change(&mut entry.stored)?;
        let json = serde_json::to_string(&entry.stored).expect("a plugin's versions are JSON");
        let config_key = ConfigKey { tenant: tenant.clone(), kind: KIND, name: name.to_string() };
        entry.revision = self.store.put_config(config_key, Some(json), entry.revision).await?;
        entry.last_failure = None;
        if let Some(plugin) = plugin {
            tracing::info!(plugin = %name, digest = %plugin.digest(), "a plugin version is active");
            self.active.rcu(|active| {
                let mut active = HashMap::clone(active);
                active.insert(key.clone(), plugin.clone());
                active
            });
        }
        entries.insert(key, entry);
        Ok(())
    }

    async fn note_failure(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        source: Source,
        error: &LoadPluginError,
        now: Timestamp,
    ) {
        tracing::warn!(plugin = %name, code = error.code(), %error, help = error.help(), "a plugin version was not taken; the active one stays");
        let failure = ReloadFailure { at: now, code: error.code(), message: error.to_string(), help: error.help() };
        let mut entries = self.entries.lock().await;
        match entries.get_mut(&(tenant.clone(), name.clone())) {
            Some(entry) => entry.last_failure = Some(failure),
            // Whoever uploads hears it at once; of a file nobody would.
            None if source == Source::Directory => {
                let entry = Entry { stored: Stored::default(), revision: Revision(0), last_failure: Some(failure) };
                entries.insert((tenant.clone(), name.clone()), entry);
            }
            None => {}
        }
    }

    pub(crate) async fn list(&self, tenant: &TenantId) -> Vec<PluginInfo> {
        let entries = self.entries.lock().await;
        let mut infos: Vec<_> =
            entries.iter().filter(|(key, _)| key.0 == *tenant).map(|(key, entry)| info(&key.1, entry)).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }

    pub(crate) async fn find(&self, tenant: &TenantId, name: &PluginName) -> Option<PluginInfo> {
        self.entries.lock().await.get(&(tenant.clone(), name.clone())).map(|entry| info(name, entry))
    }
}

impl Stored {
    fn activate(&mut self, digest: Digest) {
        if let Some(before) = self.active.replace(digest).filter(|before| *before != digest) {
            self.history.retain(|known| *known != before);
            self.history.push(before);
        }
        self.history.retain(|known| *known != digest);
    }

    fn forget_oldest(&mut self, keep: &impl Fn(&Digest) -> bool) {
        let mut spare = self.versions.len().saturating_sub(VERSIONS_KEPT);
        let active = self.active;
        self.versions.retain(|version| {
            let stays = spare == 0 || Some(version.digest) == active || keep(&version.digest);
            spare -= usize::from(!stays);
            stays
        });
        let versions = &self.versions;
        self.history.retain(|digest| versions.iter().any(|version| version.digest == *digest));
    }
}

fn info(name: &PluginName, entry: &Entry) -> PluginInfo {
    PluginInfo {
        name: name.clone(),
        active: entry.stored.active,
        versions: entry.stored.versions.iter().rev().cloned().collect(),
        last_failure: entry.last_failure.clone(),
    }
}
