//! Looking at deliveries, and sending settled ones again.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{DeliveryDetail, DeliveryQuery, DeliveryRow, Page, Pending, Record, Reopen};
use hookmill_core::{Attempt, DeliveryId, DeliveryState, TenantId};
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::engine::Inner;
use crate::publish::ticket;
use crate::scheduler::Ticket;

/// What is sent when a delivery is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RedeliverMode {
    /// The very bytes that were sent before, where there are any.
    #[default]
    AsSent,
    /// What the webhook and its plugin make of the event now.
    Transform,
}

/// How many deliveries a bulk redelivery concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RedeliverReport {
    /// Deliveries that the filter found, those under way not counted.
    pub matched: u64,
    /// Of these, the ones that are sent again; 0 in a dry run.
    pub redelivered: u64,
    /// Deliveries that were passed over because they are under way or their webhook is gone.
    pub passed_over: u64,
}

impl std::ops::AddAssign for RedeliverReport {
    fn add_assign(&mut self, more: Self) {
        self.matched += more.matched;
        self.redelivered += more.redelivered;
        self.passed_over += more.passed_over;
    }
}

/// How often, and after how long, a delivery that seems to be under way is looked at again before that is told.
const LOOKS_MAX: u32 = 10;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

impl Inner {
    pub(crate) async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, EngineError> {
        Ok(self.store.search(tenant, query, cursor, limit).await?)
    }

    pub(crate) async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<DeliveryDetail, EngineError> {
        let detail = self.store.delivery(tenant, id).await?.ok_or_else(|| EngineError::not_found("delivery", id))?;
        Ok(DeliveryDetail { attempts: detail.attempts.into_iter().map(Attempt::masked).collect(), ..detail })
    }

    /// Sends one delivery again, now.
    pub(crate) async fn redeliver(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: DeliveryId,
        mode: RedeliverMode,
    ) -> Result<(), EngineError> {
        let mut looks = 0;
        loop {
            let detail = self.delivery(tenant, id).await?;
            match self.reopen(tenant, &detail.row, mode).await {
                // An attempt can be read a moment before its delivery is let go of.
                Err(EngineError::Conflict { .. }) if looks < LOOKS_MAX => {
                    looks += 1;
                    tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                }
                result => {
                    self.pump();
                    return result;
                }
            }
        }
    }

    /// Sends all deliveries again that `query` finds.
    pub(crate) async fn redeliver_many(
        self: &Arc<Self>,
        tenant: &TenantId,
        query: &DeliveryQuery,
        mode: RedeliverMode,
        dry_run: bool,
    ) -> Result<RedeliverReport, EngineError> {
        self.redeliver_where(tenant, query, mode, dry_run, |_| true).await
    }

    /// Does the same with those alone whose reason is such.
    pub(crate) async fn redeliver_where(
        self: &Arc<Self>,
        tenant: &TenantId,
        query: &DeliveryQuery,
        mode: RedeliverMode,
        dry_run: bool,
        such: impl Fn(&str) -> bool,
    ) -> Result<RedeliverReport, EngineError> {
        let mut report = RedeliverReport::default();
        let mut cursor = None;
        loop {
            let page = self.store.search(tenant, query, cursor, 500).await?;
            for row in page.rows.iter().filter(|row| such(row.status.reason.as_deref().unwrap_or_default())) {
                report.matched += 1;
                if dry_run {
                    continue;
                }
                match self.reopen(tenant, row, mode).await {
                    Ok(()) => report.redelivered += 1,
                    Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => report.passed_over += 1,
                    Err(error) => return Err(error),
                }
            }
            self.pump();
            cursor = page.next;
            if cursor.is_none() {
                return Ok(report);
            }
        }
    }

    async fn reopen(
        self: &Arc<Self>,
        tenant: &TenantId,
        row: &DeliveryRow,
        mode: RedeliverMode,
    ) -> Result<(), EngineError> {
        if self.stop.is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let hook =
            self.webhooks.find(tenant, &row.webhook).ok_or_else(|| EngineError::not_found("webhook", &row.webhook))?;
        let now = self.clock.now();
        // From here on nobody else can reopen it.
        let waiting = match row.status.state {
            DeliveryState::Pending => Some(self.withdraw(row)?),
            _ if self.scheduler().claim(row.key) => None,
            _ => return Err(under_way(row)),
        };
        let reopen = Reopen { delivery: row.key, render_again: mode == RedeliverMode::Transform, due: now };
        if let Err(error) = self.store.append(vec![Record::Reopen(reopen)], self.fence).await {
            match waiting {
                Some(ticket) => self.scheduler().restore(ticket, now),
                None => self.scheduler().disclaim(row.key),
            }
            return Err(error.into());
        }
        let pending = Pending {
            key: row.key,
            id: row.id,
            tenant: tenant.clone(),
            webhook: row.webhook.clone(),
            doctype: row.doctype.clone(),
            document: row.document.clone(),
            tries: 0,
            due: now,
        };
        let mut scheduler = self.scheduler();
        match waiting {
            Some(mut ticket) => {
                ticket.pending = pending;
                scheduler.restore(ticket, now);
            }
            None => scheduler.add(ticket(&hook, pending, None), now),
        }
        Ok(())
    }

    /// Takes a delivery that waits for its next try out of the scheduler; one that is under way stays there.
    fn withdraw(&self, row: &DeliveryRow) -> Result<Ticket, EngineError> {
        let due = row.status.next_attempt_at.ok_or_else(|| under_way(row))?;
        self.scheduler().withdraw(row.key, due).ok_or_else(|| under_way(row))
    }
}

fn under_way(row: &DeliveryRow) -> EngineError {
    EngineError::Conflict { code: "delivery_under_way", what: format!("{} is under way or about to be", row.id) }
}
