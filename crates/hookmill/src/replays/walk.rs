//! Through the deliveries that a replay concerns: counted from the newest, which is the way a store is read, and taken
//! from the oldest, so that each document's deliveries go out in their order. Never holds more than a stretch of them.

use hookmill_core::ports::{DeliveryKey, DeliveryQuery, DeliveryRow, StoreError};
use hookmill_core::{PluginName, TenantId, WebhookName};

use crate::engine::Inner;

/// Deliveries that are read at once.
const PAGE: usize = 500;

/// Deliveries of which a stretch has about so many, and fewer than twice as many.
const STRETCH: u64 = 500;

/// How the reasons begin for which a plugin's deliveries are parked: what it made may have been refused only when it was
/// to be sent.
const PARKED_BY_PLUGIN: [&str; 3] = ["plugin_", "request_", "address_"];

/// Which deliveries a replay concerns.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) tenant: TenantId,
    pub(super) query: DeliveryQuery,
    /// Of these webhooks alone, and only what their plugin parked.
    pub(super) parked_by_plugin: Option<Vec<WebhookName>>,
}

/// Some of the deliveries, one after another in a store.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Where reading begins.
    cursor: Option<i64>,
    pub(super) newest: DeliveryKey,
    oldest: DeliveryKey,
    pub(super) count: u64,
}

impl Scope {
    pub(super) fn new(engine: &Inner, tenant: &TenantId, query: &DeliveryQuery, plugin: Option<&PluginName>) -> Self {
        let parked_by_plugin = plugin.map(|plugin| engine.webhooks.with_plugin(tenant, plugin));
        Self { tenant: tenant.clone(), query: query.clone(), parked_by_plugin }
    }

    fn has(&self, row: &DeliveryRow) -> bool {
        self.parked_by_plugin.as_ref().is_none_or(|webhooks| {
            let reason = row.status.reason.as_deref().unwrap_or_default();
            let by_plugin = PARKED_BY_PLUGIN.iter().any(|family| reason.starts_with(family));
            by_plugin && webhooks.contains(&row.webhook)
        })
    }

    /// Reads one page; answers with the place of the next too, as long as there is one.
    pub(super) async fn page(
        &self,
        engine: &Inner,
        cursor: Option<i64>,
    ) -> Result<(Vec<DeliveryRow>, Option<i64>), StoreError> {
        let mut page = engine.store.search(&self.tenant, &self.query, cursor, PAGE).await?;
        page.rows.retain(|row| self.has(row));
        Ok((page.rows, page.next))
    }
}

/// Finds the stretches, from the newest delivery on, a page with each call.
#[derive(Debug)]
pub(super) struct Counting {
    /// Only deliveries behind this one.
    after: Option<DeliveryKey>,
    /// And none behind this one.
    upto: Option<DeliveryKey>,
    cursor: Option<i64>,
    begun_at: Option<i64>,
    current: Option<Stretch>,
    found: Vec<Stretch>,
}

impl Counting {
    pub(super) fn new(after: Option<DeliveryKey>, upto: Option<DeliveryKey>) -> Self {
        Self { after, upto, cursor: None, begun_at: None, current: None, found: vec![] }
    }

    /// Looks at one page; returns how many it counted, and whether more pages follow.
    pub(super) async fn page(&mut self, engine: &Inner, scope: &Scope) -> Result<(u64, bool), StoreError> {
        if self.current.is_none() {
            self.begun_at = self.cursor;
        }
        let (rows, next) = scope.page(engine, self.cursor).await?;
        let past = rows.last().is_some_and(|row| self.after.is_some_and(|after| row.key <= after));
        let wanted =
            |key: DeliveryKey| self.after.is_none_or(|after| key > after) && self.upto.is_none_or(|upto| key <= upto);
        let keys: Vec<DeliveryKey> = rows.iter().map(|row| row.key).filter(|key| wanted(*key)).collect();
        let count = keys.len() as u64;
        if let (Some(newest), Some(oldest)) = (keys.first(), keys.last()) {
            let fresh = Stretch { cursor: self.begun_at, newest: *newest, oldest: *oldest, count: 0 };
            let current = self.current.get_or_insert(fresh);
            current.oldest = *oldest;
            current.count += count;
        }
        self.found.extend(self.current.take_if(|current| current.count >= STRETCH));
        self.cursor = next;
        Ok((count, next.is_some() && !past))
    }

    /// Returns the stretches, the newest first.
    pub(super) fn stretches(mut self) -> Vec<Stretch> {
        self.found.extend(self.current);
        self.found
    }
}

impl Stretch {
    /// Reads its deliveries that are concerned now, the oldest first.
    pub(super) async fn rows(&self, engine: &Inner, scope: &Scope) -> Result<Vec<DeliveryRow>, StoreError> {
        let (mut found, mut cursor) = (vec![], self.cursor);
        loop {
            let (rows, next) = scope.page(engine, cursor).await?;
            let past = rows.last().is_some_and(|row| row.key <= self.oldest);
            found.extend(rows.into_iter().filter(|row| row.key >= self.oldest && row.key <= self.newest));
            cursor = next;
            if past || cursor.is_none() {
                found.reverse();
                return Ok(found);
            }
        }
    }
}
