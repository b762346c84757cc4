//! The engine's face: what an embedder calls.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::ports::{Clock, DeliveryDetail, DeliveryQuery, DeliveryRow, Fence, Page, Store, StoreError};
use hookmill_core::{DeliveryId, EventEnvelope, EventId, FrappeSource, RedeliverMode, TenantId, Webhook, WebhookName};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assemble::Parts;
use crate::feed::Settled;
use crate::guests::GuestThreads;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::plugins::Plugins;
use crate::preview::{Preview, TestSend, TriedEvent};
use crate::publish::Published;
use crate::replays::Replays;
use crate::scheduler::Scheduler;
use crate::sources::{FrappeRequest, Sources};
use crate::unrecorded::UnrecordedAttempts;
use crate::verify::Verification;
use crate::webhooks::{StoredWebhook, Webhooks};
use crate::{EngineConfig, EngineError, StartError};

/// A running engine. Cloning is cheap; all clones are the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// Everything that the parts of a running engine share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fence: Fence,
    pub(crate) scheduler: Mutex<Scheduler>,
    pub(crate) waiting_max: usize,
    /// Deliveries that publishers have been admitted with and that do not wait yet.
    pub(crate) arriving: AtomicUsize,
    pub(crate) unrecorded: UnrecordedAttempts,
    /// Tells the timer that the next due time may have changed.
    pub(crate) timer: Notify,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) webhooks: Webhooks,
    pub(crate) sources: Sources,
    pub(crate) plugins: Plugins,
    pub(crate) replays: Replays,
    pub(crate) guests: GuestThreads,
    pub(crate) feed: broadcast::Sender<Settled>,
    /// Deliveries and housekeeping; shutdown waits for them.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) failed: CancellationToken,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Deliveries that were still under way when the grace period ended; the next start sends them again.
    pub cut_off: usize,
    /// Deliveries that wait for their turn or time; the next start takes them up.
    pub waiting: usize,
}

impl Inner {
    pub(crate) fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the engine because its store can't be written any more.
    pub(crate) fn fail(&self, error: &StoreError) {
        tracing::error!(%error, "the store failed; hookmill stops, and sends what is unsettled after the next start");
        self.scheduler().close();
        self.failed.cancel();
    }

    /// Does `work` to its end even if whoever asked for it goes away, as the client of a server may at any moment: what
    /// is written to the store must reach memory too.
    pub(crate) async fn to_the_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.tasks.spawn(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being torn down, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Saves a webhook whose plugin takes its settings.
    async fn put_webhook(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: Webhook,
    ) -> Result<(StoredWebhook, bool), EngineError> {
        self.check_settings(tenant, name, &webhook).await?;
        self.webhooks.put(tenant, name, webhook, self.clock.now()).await
    }

    /// Asks the webhook's plugin, where it is known already, whether it takes its settings.
    pub(crate) async fn check_settings(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: &Webhook,
    ) -> Result<(), EngineError> {
        let any = EventId::new("settings").expect("a valid id");
        if let Some(wanted) = &webhook.plugin
            && let Some(plugin) = self.plugins.lasting(tenant, &wanted.name, wanted.digest.as_ref()).await
        {
            let settings = wanted.settings.clone();
            let seed = DeliveryId::of(tenant, &any, name);
            // None only while the engine is being torn down.
            self.guests
                .run(&Arc::default(), move || plugin.check_settings(&settings, &seed), |_| false)
                .await
                .unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

impl Engine {
    /// Opens the data directory, takes up what an earlier run left, and starts.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        Self::start_with(config, Parts::default()).await
    }

    /// Does the same with other parts.
    #[doc(hidden)]
    pub async fn start_with(config: EngineConfig, parts: Parts) -> Result<Self, StartError> {
        Ok(Self { inner: crate::assemble::start(config, parts).await? })
    }

    /// Takes one event in; once this returns, the event is durable and its deliveries will be made.
    pub async fn publish(&self, tenant: &TenantId, event: EventEnvelope) -> Result<Published, EngineError> {
        self.publish_many(tenant, vec![event]).await.pop().expect("one event has one answer")
    }

    /// Takes many events in with one write; each is answered for itself, in the order given.
    pub async fn publish_many(
        &self,
        tenant: &TenantId,
        events: Vec<EventEnvelope>,
    ) -> Vec<Result<Published, EngineError>> {
        let (inner, tenant) = (self.inner.clone(), tenant.clone());
        self.inner.to_the_end(async move { inner.publish(&tenant, events).await }).await
    }

    /// Takes in what a Webhook of Frappe sent, if it is signed with a secret of the source; then it is an event like any.
    pub async fn publish_from_frappe(
        &self,
        tenant: &TenantId,
        request: FrappeRequest<'_>,
    ) -> Result<Published, EngineError> {
        self.inner.publish_from_frappe(tenant, request).await
    }

    /// Returns what is set for Frappe's Webhooks, secrets masked.
    pub fn frappe_source(&self, tenant: &TenantId) -> FrappeSource {
        self.inner.frappe_source(tenant)
    }

    /// Sets it anew; answers with the stored form.
    pub async fn put_frappe_source(
        &self,
        tenant: &TenantId,
        source: FrappeSource,
    ) -> Result<FrappeSource, EngineError> {
        let (inner, tenant) = (self.inner.clone(), tenant.clone());
        self.inner.to_the_end(async move { inner.put_frappe_source(&tenant, source).await }).await
    }

    /// Saves a webhook under a name; answers with the stored form and whether it is new.
    pub async fn put_webhook(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: Webhook,
    ) -> Result<(StoredWebhook, bool), EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        self.inner.to_the_end(async move { inner.put_webhook(&tenant, &name, webhook).await }).await
    }

    /// Returns one webhook.
    pub fn webhook(&self, tenant: &TenantId, name: &WebhookName) -> Result<StoredWebhook, EngineError> {
        let hook = self.inner.webhooks.find(tenant, name).ok_or_else(|| EngineError::not_found("webhook", name))?;
        Ok(StoredWebhook::from(&*hook))
    }

    /// Returns all webhooks of a tenant, by name.
    pub fn webhooks(&self, tenant: &TenantId) -> Vec<StoredWebhook> {
        self.inner.webhooks.list(tenant)
    }

    /// Removes a webhook. What it owes already and has not sent is parked when its turn comes.
    pub async fn delete_webhook(&self, tenant: &TenantId, name: &WebhookName) -> Result<(), EngineError> {
        let (inner, tenant, name) = (self.inner.clone(), tenant.clone(), name.clone());
        self.inner.to_the_end(async move { inner.webhooks.delete(&tenant, &name).await }).await
    }

    /// Says what a webhook would send for an event; sends and records nothing.
    pub async fn preview(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        event: impl Into<TriedEvent>,
    ) -> Result<Preview, EngineError> {
        self.inner.preview(tenant, name, event.into()).await
    }

    /// Says the same of a webhook that need not be saved; masks in one that has a name stand for what is stored.
    pub async fn preview_unsaved(
        &self,
        tenant: &TenantId,
        webhook: Webhook,
        event: impl Into<TriedEvent>,
    ) -> Result<Preview, EngineError> {
        self.inner.preview_unsaved(tenant, webhook, event.into()).await
    }

    /// Sends what a webhook makes of an event to its receiver once, now, and tells what came back; records nothing and
    /// tries nothing again.
    pub async fn test_send(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        event: impl Into<TriedEvent>,
    ) -> Result<TestSend, EngineError> {
        let (inner, tenant, name, event) = (self.inner.clone(), tenant.clone(), name.clone(), event.into());
        self.inner.to_the_end(async move { inner.test_send(&tenant, &name, event).await }).await
    }

    /// Finds deliveries, the newest first; `cursor` is the `next` of the page before.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, EngineError> {
        self.inner.search(tenant, query, cursor, limit).await
    }

    /// Returns one delivery with its event and attempts, secret headers and passwords masked.
    pub async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<DeliveryDetail, EngineError> {
        self.inner.delivery(tenant, id).await
    }

    /// Runs the plugin of a delivery's last transform again, in the version that ran then, and compares.
    pub async fn verify(&self, tenant: &TenantId, id: DeliveryId) -> Result<Verification, EngineError> {
        self.inner.verify(tenant, id).await
    }

    /// Sends a delivery again, now; one that waits for its next try goes at once.
    pub async fn redeliver(&self, tenant: &TenantId, id: DeliveryId, mode: RedeliverMode) -> Result<(), EngineError> {
        let (inner, tenant) = (self.inner.clone(), tenant.clone());
        self.inner.to_the_end(async move { inner.redeliver(&tenant, id, mode).await }).await
    }

    /// Listens to attempts as they are settled. Who falls far behind misses the oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Settled> {
        self.inner.feed.subscribe()
    }

    /// Returns how many deliveries wait and how many are under way.
    pub fn load(&self) -> (usize, usize) {
        let scheduler = self.inner.scheduler();
        (scheduler.waiting(), scheduler.in_flight())
    }

    /// Writes what the engine counts, in the text format of OpenMetrics that Prometheus reads.
    pub fn metrics(&self) -> String {
        let (waiting, under_way) = self.load();
        self.inner.metrics.text(waiting, under_way, self.inner.unrecorded.len())
    }

    /// Resolves if the store fails, which an engine can't survive: shut it down and end the process.
    pub async fn failed(&self) {
        self.inner.failed.cancelled().await;
    }

    /// Resolves when the engine begins to shut down.
    pub async fn stopping(&self) {
        self.inner.stop.cancelled().await;
    }

    /// Takes no more events, starts no more deliveries, and waits up to `grace` for those that are under way.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let inner = &self.inner;
        inner.stop.cancel();
        inner.scheduler().close();
        inner.tasks.close();
        inner.guests.hurry();
        let ended = tokio::time::timeout(grace, inner.tasks.wait()).await;
        let (waiting, in_flight) = self.load();
        let guests = inner.clone();
        if ended.is_ok() {
            // Joining blocks for as long as a guest runs, which nobody waits for any more.
            let joined = tokio::task::spawn_blocking(move || guests.guests.stop()).await;
            drop(joined);
        }
        ShutdownReport { cut_off: if ended.is_ok() { 0 } else { in_flight }, waiting }
    }
}
