//! What the engine counts, as Prometheus text.
//!
//! All that happens passes the store, so it is counted there, in one place, once it is durable: [`Metered`] is a store
//! around the store.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryQuery, DeliveryRow, Fence, NewAttempt, Page,
    Pending, Record, RetentionPolicy, Revision, Store, StoreError, Work,
};
use hookmill_core::{DeliveryId, DeliveryState, Digest, TenantId};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counters by one label.
type By = Family<[(&'static str, &'static str); 1], Counter>;

/// The counters of one engine.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    events: By,
    deliveries_owed: Counter,
    deliveries: By,
    attempts: Family<[(&'static str, String); 1], Counter>,
    attempt_seconds: Histogram,
    plugin_calls: By,
    plugin_fuel: Counter,
    commit_seconds: Histogram,
    waiting: Gauge,
    under_way: Gauge,
    unrecorded: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("hookmill"),
            events: By::default(),
            deliveries_owed: Counter::default(),
            deliveries: By::default(),
            attempts: Family::default(),
            // From a millisecond to half a minute, and from a tenth of one to some seconds.
            attempt_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            plugin_calls: By::default(),
            plugin_fuel: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            waiting: Gauge::default(),
            under_way: Gauge::default(),
            unrecorded: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("events", "Events that were published, by whether they were new", metrics.events.clone());
        registry.register("deliveries_owed", "Deliveries that new events owe", metrics.deliveries_owed.clone());
        registry.register(
            "deliveries",
            "Deliveries by the state that an attempt left them in",
            metrics.deliveries.clone(),
        );
        registry.register("attempts", "Attempts by their outcome", metrics.attempts.clone());
        registry.register("attempt_seconds", "Time of an attempt, rendering included", metrics.attempt_seconds.clone());
        registry.register("plugin_calls", "Calls of plugins by how they ended", metrics.plugin_calls.clone());
        registry.register("plugin_fuel", "Fuel that plugins used", metrics.plugin_fuel.clone());
        registry.register("store_commit_seconds", "Time until an append was durable", metrics.commit_seconds.clone());
        registry.register("deliveries_waiting", "Deliveries that wait for their turn or time", metrics.waiting.clone());
        registry.register("deliveries_under_way", "Deliveries that are being sent", metrics.under_way.clone());
        let unrecorded = "Attempts that wait for the store to have room";
        registry.register("attempts_unrecorded", unrecorded, metrics.unrecorded.clone());
        metrics
    }

    /// Writes all of it as Prometheus text; what waits and what is under way are known to the scheduler alone.
    pub(crate) fn text(&self, waiting: usize, under_way: usize, unrecorded: usize) -> String {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.waiting.set(count(waiting));
        self.under_way.set(count(under_way));
        self.unrecorded.set(count(unrecorded));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written");
        text
    }

    fn count_event(&self, owed: usize, appended: &Appended) {
        let kind = match appended {
            Appended::Stored(_) => "new",
            Appended::Duplicate { .. } => "duplicate",
        };
        self.events.get_or_create(&[("kind", kind)]).inc();
        if kind == "new" {
            self.deliveries_owed.inc_by(owed as u64);
        }
    }

    fn count_attempt(&self, new: &NewAttempt) {
        let NewAttempt { attempt, status, .. } = new;
        self.attempts.get_or_create(&[("outcome", attempt.outcome.clone())]).inc();
        self.attempt_seconds.observe(attempt.duration_ms as f64 / 1000.0);
        self.deliveries.get_or_create(&[("state", status.state.as_str())]).inc();
        if let Some(run) = &attempt.plugin {
            let failed = attempt.error.as_ref().is_some_and(|error| error.code.starts_with("plugin_"));
            let result = match status.state {
                _ if failed => "failed",
                DeliveryState::Skipped => "skipped",
                _ => "made",
            };
            self.plugin_calls.get_or_create(&[("result", result)]).inc();
            self.plugin_fuel.inc_by(run.fuel);
        }
    }
}

/// A store that counts what it is given.
#[derive(Debug)]
pub(crate) struct Metered {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl Metered {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }
}

/// What is left to count of a record that was given away.
enum Countable {
    Event(usize),
    Attempt(Arc<NewAttempt>),
    Reopen,
}

#[async_trait]
impl Store for Metered {
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError> {
        let countable: Vec<Countable> = records
            .iter()
            .map(|record| match record {
                Record::Event(new) => Countable::Event(new.deliveries.len()),
                Record::Attempt(new) => Countable::Attempt(new.clone()),
                Record::Reopen(_) => Countable::Reopen,
            })
            .collect();
        let begun = Instant::now();
        let appended = self.store.append(records, fence).await?;
        self.metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
        for (record, appended) in countable.iter().zip(&appended) {
            match record {
                Countable::Event(owed) => self.metrics.count_event(*owed, appended),
                Countable::Attempt(new) => self.metrics.count_attempt(new),
                Countable::Reopen => {}
            }
        }
        Ok(appended)
    }

    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        self.store.pending(cursor, due_before, limit).await
    }

    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError> {
        self.store.bodies(keys).await
    }

    async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, StoreError> {
        self.store.search(tenant, query, cursor, limit).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.store.delivery(tenant, id).await
    }

    async fn config(&self, kind: &'static str) -> Result<Vec<ConfigEntry>, StoreError> {
        self.store.config(kind).await
    }

    async fn put_config(
        &self,
        key: ConfigKey,
        value: Option<String>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.store.put_config(key, value, expected).await
    }

    async fn blob_put(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.store.blob_put(digest, bytes).await
    }

    async fn blob_get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.blob_get(digest).await
    }

    async fn blob_delete(&self, digest: Digest) -> Result<(), StoreError> {
        self.store.blob_delete(digest).await
    }

    async fn lease(&self, partition: u32) -> Result<Fence, StoreError> {
        self.store.lease(partition).await
    }

    async fn wake(&self) {
        self.store.wake().await;
    }

    async fn retain(&self, policy: RetentionPolicy) -> Result<usize, StoreError> {
        self.store.retain(policy).await
    }
}
