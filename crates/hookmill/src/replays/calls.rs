//! What callers ask of replays: begin one, count first, look at them, cancel.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookmill_core::ports::DeliveryQuery;
use hookmill_core::{DeliveryState, PluginName, RedeliverMode, ReplayId, TenantId, WebhookName};
use serde::Serialize;

use super::walk::Scope;
use super::{ReplayJob, ReplaySettled, ReplayState};
use crate::EngineError;
use crate::engine::{Engine, Inner};

/// How many deliveries a bulk redelivery concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RedeliverReport {
    /// Deliveries that the filter found.
    pub matched: u64,
    /// Of these, the ones that are sent again; 0 in a dry run.
    pub redelivered: u64,
    /// Deliveries that were, or would be, passed over because they are under way or their webhook is gone.
    pub passed_over: u64,
    /// The replay that sends them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayId>,
    /// What else a dry run tells.
    #[serde(flatten)]
    pub dry_run: Option<DryRun>,
}

/// What a dry run tells of the deliveries that it counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct DryRun {
    /// By the state that they are in.
    pub by_state: BTreeMap<&'static str, u64>,
    /// By their webhook.
    pub by_webhook: BTreeMap<WebhookName, u64>,
    /// Those that would be parked at once, for hookmill disabled their webhook.
    pub parked_at_once: u64,
}

impl From<ReplayJob> for RedeliverReport {
    fn from(job: ReplayJob) -> Self {
        let ReplayJob { id, matched, redelivered, passed_over, .. } = job;
        Self { matched, redelivered, passed_over, replay: Some(id), dry_run: None }
    }
}

impl Inner {
    async fn begin_replay(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        plugin: Option<&PluginName>,
        mode: RedeliverMode,
    ) -> Result<ReplayJob, EngineError> {
        if self.stop.is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let id = ReplayId::new(format!("rpl_{}", uuid::Uuid::now_v7().simple())).expect("a UUID is a valid id");
        let job = ReplayJob {
            id,
            query: query.clone(),
            plugin: plugin.cloned(),
            mode,
            state: ReplayState::Counting,
            matched: 0,
            redelivered: 0,
            passed_over: 0,
            retrying: 0,
            settled: ReplaySettled::default(),
            begun_at: self.clock.now(),
            ended_at: None,
            failure: None,
        };
        self.replays.begin(tenant, job.clone()).await?;
        Ok(job)
    }

    /// Sends all deliveries again that `query` finds, or of these what a plugin parked; returns once all are handed over.
    pub(crate) async fn redeliver_all(
        self: &Arc<Self>,
        tenant: &TenantId,
        query: &DeliveryQuery,
        plugin: Option<&PluginName>,
        mode: RedeliverMode,
    ) -> Result<RedeliverReport, EngineError> {
        let id = self.begin_replay(tenant, query, plugin, mode).await?.id;
        self.run_replay(&id).await?;
        Ok(self.replays.of_tenant(tenant, &id)?.into())
    }

    /// Says what would become of the deliveries that `query` finds if they were sent again now.
    async fn count_only(&self, tenant: &TenantId, query: &DeliveryQuery) -> Result<RedeliverReport, EngineError> {
        let scope = Scope::new(self, tenant, query, None);
        let (mut report, mut told, mut cursor) = (RedeliverReport::default(), DryRun::default(), None);
        loop {
            let (rows, next) = scope.page(self, cursor).await?;
            for row in rows {
                report.matched += 1;
                *told.by_state.entry(row.status.state.as_str()).or_default() += 1;
                *told.by_webhook.entry(row.webhook.clone()).or_default() += 1;
                let hook = self.webhooks.find(tenant, &row.webhook);
                let free = match row.status.state {
                    DeliveryState::Pending => self.scheduler().waits_for_later(row.key),
                    _ => !self.scheduler().has(row.key),
                };
                match hook {
                    Some(hook) if free => told.parked_at_once += u64::from(hook.webhook().disabled.is_some()),
                    _ => report.passed_over += 1,
                }
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(RedeliverReport { dry_run: Some(told), ..report });
            }
        }
    }

    async fn cancel_replay(&self, tenant: &TenantId, id: &ReplayId) -> Result<ReplayJob, EngineError> {
        self.replays.of_tenant(tenant, id)?;
        let tokens = self.replays.look(id, |entry| (entry.cancel.clone(), entry.ended.clone()));
        if let Some((cancel, ended)) = tokens {
            cancel.cancel();
            ended.cancelled().await;
        }
        let job = self.replays.of_tenant(tenant, id)?;
        if job.state.is_ended() { Ok(job) } else { Err(EngineError::ShuttingDown) }
    }
}

impl Engine {
    /// Sends again what `query` finds, the oldest first, and answers once all are handed over; in a dry run, only counts.
    pub async fn redeliver_many(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        mode: RedeliverMode,
        dry_run: bool,
    ) -> Result<RedeliverReport, EngineError> {
        let (inner, tenant, query) = (self.inner.clone(), tenant.clone(), query.clone());
        let work = async move {
            match dry_run {
                true => inner.count_only(&tenant, &query).await,
                false => inner.redeliver_all(&tenant, &query, None, mode).await,
            }
        };
        self.inner.to_the_end(work).await
    }

    /// Begins what [`redeliver_many`](Self::redeliver_many) does and answers at once; [`replay`](Self::replay) tells how
    /// it goes.
    pub async fn begin_replay(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        mode: RedeliverMode,
    ) -> Result<ReplayJob, EngineError> {
        let (inner, tenant, query) = (self.inner.clone(), tenant.clone(), query.clone());
        let work = async move {
            let job = inner.begin_replay(&tenant, &query, None, mode).await?;
            let (engine, id) = (inner.clone(), job.id.clone());
            // What becomes of it stands in the job.
            inner.tasks.spawn(async move { engine.run_replay(&id).await.is_ok() });
            Ok(job)
        };
        self.inner.to_the_end(work).await
    }

    /// Returns the replays of many deliveries that are under way, and the last that ended, the newest first.
    pub fn replays(&self, tenant: &TenantId) -> Vec<ReplayJob> {
        self.inner.replays.list(tenant)
    }

    /// Returns one of them.
    pub fn replay(&self, tenant: &TenantId, id: &ReplayId) -> Result<ReplayJob, EngineError> {
        self.inner.replays.of_tenant(tenant, id)
    }

    /// Cancels what a replay has not handed over yet; what is handed over goes on. One that has ended stays as it is.
    pub async fn cancel_replay(&self, tenant: &TenantId, id: &ReplayId) -> Result<ReplayJob, EngineError> {
        let (inner, tenant, id) = (self.inner.clone(), tenant.clone(), id.clone());
        self.inner.to_the_end(async move { inner.cancel_replay(&tenant, &id).await }).await
    }
}
