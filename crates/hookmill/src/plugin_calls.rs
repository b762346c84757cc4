//! The engine's face for plugins: uploads, versions, trials.

use std::sync::Arc;

use hookmill_core::ports::DeliveryQuery;
use hookmill_core::{DeliveryState, Digest, PluginName, TenantId};
use hookmill_plugin::PluginLimits;

use crate::diff::PluginDiff;
use crate::engine::{Engine, Inner};
use crate::plugins::{Candidate, PluginInfo, PluginVersion, Source, Upload};
use crate::replays::RedeliverReport;
use crate::{EngineError, RedeliverMode};

/// How a version is to be activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever asks, `..Default::default()` stands for the rest")]
pub struct Activation {
    /// Only if it would send the very same for the last so many recorded events.
    pub if_unchanged: Option<usize>,
    /// Whether deliveries that the plugin parked are made again, by the new version.
    pub release_parked: bool,
}

impl Inner {
    pub(crate) async fn upload(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        job: u64,
        candidate: Candidate,
    ) -> Result<PluginVersion, EngineError> {
        let keep = |digest: &Digest| self.webhooks.pins(digest);
        self.plugins.upload(tenant, name, job, candidate, keep).await
    }

    /// Lets deliveries go that wait for a suspended plugin, now that another version may run.
    pub(crate) fn version_changed(self: &Arc<Self>) {
        let now = self.clock.steady();
        self.scheduler().release_held(now);
        self.pump();
    }

    async fn activate(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        how: Activation,
    ) -> Result<RedeliverReport, EngineError> {
        let mut compared_with = None;
        if let Some(last) = how.if_unchanged {
            let diff = self.diff(tenant, name, digest, last).await?;
            if diff.changed > 0 {
                return Err(EngineError::WouldChange(Box::new(diff)));
            }
            if diff.events == 0 && diff.active != diff.staged {
                let what = format!("no recorded event could show what version {digest} of {name} would change");
                return Err(EngineError::Conflict { code: "plugin_nothing_compared", what });
            }
            compared_with = Some(diff.active);
        }
        self.plugins.activate(tenant, name, digest, compared_with).await?;
        self.version_changed();
        if how.release_parked { self.release_parked(tenant, name).await } else { Ok(RedeliverReport::default()) }
    }

    /// Makes every delivery again that the plugin parked.
    async fn release_parked(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &PluginName,
    ) -> Result<RedeliverReport, EngineError> {
        let parked = DeliveryQuery { state: Some(DeliveryState::Parked), ..DeliveryQuery::default() };
        self.redeliver_all(tenant, &parked, Some(name), RedeliverMode::Transform).await
    }
}

impl Engine {
    /// Takes a plugin version in and, if asked, makes it the active one. A failure leaves the active one in place.
    pub async fn upload_plugin(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        wasm: Vec<u8>,
        activate: bool,
    ) -> Result<PluginVersion, EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        let candidate = Candidate::new(wasm, activate, Source::Upload).await?;
        let job = inner.plugins.receive(&tenant, &name, &candidate);
        let work = async move {
            let version = inner.upload(&tenant, &name, job, candidate).await?;
            inner.version_changed();
            Ok(version)
        };
        self.inner.to_the_end(work).await
    }

    /// Begins what [`upload_plugin`](Self::upload_plugin) does and answers at once; the upload's states tell how it goes.
    pub async fn begin_upload(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        wasm: Vec<u8>,
        activate: bool,
    ) -> Result<Upload, EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        let candidate = Candidate::new(wasm, activate, Source::Upload).await?;
        let job = inner.plugins.receive(&tenant, &name, &candidate);
        let upload = self.upload(&tenant, &name, job);
        self.inner.tasks.spawn(async move {
            // What becomes of it stands in the job.
            if inner.upload(&tenant, &name, job, candidate).await.is_ok() {
                inner.version_changed();
            }
        });
        upload
    }

    /// Returns how far an upload is.
    pub fn upload(&self, tenant: &TenantId, name: &PluginName, id: u64) -> Result<Upload, EngineError> {
        self.inner.plugins.upload_state(tenant, name, id).ok_or_else(|| EngineError::not_found("upload", id))
    }

    /// Returns the bounds under which a tenant's plugins run.
    pub fn plugin_limits(&self, tenant: &TenantId) -> PluginLimits {
        self.inner.plugins.limits(tenant)
    }

    /// Makes a known version the active one; answers with what was released of parked deliveries.
    pub async fn activate_plugin(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        how: Activation,
    ) -> Result<RedeliverReport, EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        self.inner.to_the_end(async move { inner.activate(&tenant, &name, digest, how).await }).await
    }

    /// Goes back to the version that was active before, and makes what was parked again if asked; answers with the version
    /// and with what was released.
    pub async fn rollback_plugin(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        release_parked: bool,
    ) -> Result<(Digest, RedeliverReport), EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        let work = async move {
            let digest = inner.plugins.rollback(&tenant, &name).await?;
            inner.version_changed();
            let released =
                if release_parked { inner.release_parked(&tenant, &name).await? } else { RedeliverReport::default() };
            Ok((digest, released))
        };
        self.inner.to_the_end(work).await
    }

    /// Tries a version out on a share of the events, 0 to 1; it is taken back by itself if it does worse.
    pub async fn begin_canary(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        share: f64,
    ) -> Result<(), EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        self.inner.to_the_end(async move { inner.plugins.begin_canary(&tenant, &name, digest, share).await }).await
    }

    /// Ends a canary: the active version takes all events again.
    pub async fn end_canary(&self, tenant: &TenantId, name: &PluginName) -> Result<(), EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        self.inner.to_the_end(async move { inner.plugins.end_canary(&tenant, &name, None).await }).await
    }

    /// Says what would change if another version ran: both on the last `last` recorded events of its webhooks.
    pub async fn diff_plugin(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        last: usize,
    ) -> Result<PluginDiff, EngineError> {
        self.inner.diff(tenant, name, digest, last).await
    }

    /// Returns all plugins of a tenant, by name.
    pub async fn plugins(&self, tenant: &TenantId) -> Vec<PluginInfo> {
        self.inner.plugins.list(tenant).await
    }

    /// Returns one plugin.
    pub async fn plugin(&self, tenant: &TenantId, name: &PluginName) -> Result<PluginInfo, EngineError> {
        self.inner.plugins.find(tenant, name).await.ok_or_else(|| EngineError::not_found("plugin", name))
    }
}
