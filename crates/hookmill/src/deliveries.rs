//! Looking at deliveries, and sending settled ones again.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{DeliveryDetail, DeliveryQuery, DeliveryRow, Page, Pending, Record, Reopen};
use hookmill_core::{Attempt, DeliveryId, DeliveryState, RedeliverMode, Replay, ReplayId, TenantId};

use crate::EngineError;
use crate::engine::Inner;
use crate::publish::ticket;
use crate::scheduler::Ticket;
use crate::webhooks::Hook;

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
            let row = std::slice::from_ref(&detail.row);
            let answer = self.reopen(tenant, row, mode, None).await.and_then(|mut answers| answers.remove(0));
            match answer {
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

    /// Reopens these deliveries with one write, in the order given; answers for each.
    pub(crate) async fn reopen(
        self: &Arc<Self>,
        tenant: &TenantId,
        rows: &[DeliveryRow],
        mode: RedeliverMode,
        replay: Option<&ReplayId>,
    ) -> Result<Vec<Result<(), EngineError>>, EngineError> {
        if self.stop.is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let (now, steady) = (self.clock.now(), self.clock.steady());
        let mut reopened = Vec::with_capacity(rows.len());
        let answers = rows.iter().map(|row| {
            let replay = Replay::after(row.replay.as_ref(), mode, now, replay.cloned());
            reopened.push(self.claim(tenant, row, replay)?);
            Ok(())
        });
        let answers: Vec<Result<(), EngineError>> = answers.collect();
        if reopened.is_empty() {
            return Ok(answers);
        }
        let result = self.store.append(reopened.iter().map(Reopened::record).collect(), self.fence).await;
        let mut scheduler = self.scheduler();
        for one in reopened {
            match (&result, one.waiting) {
                (Ok(_), Some(waiting)) => {
                    self.replays.superseded(&waiting);
                    scheduler.restore(Ticket { pending: one.pending, due: steady, ..waiting }, steady);
                }
                (Ok(_), None) => scheduler.add(ticket(&one.hook, one.pending, steady, None), steady),
                (Err(_), Some(waiting)) => scheduler.restore(waiting, steady),
                (Err(_), None) => scheduler.disclaim(one.pending.key),
            }
        }
        result?;
        Ok(answers)
    }

    /// Makes sure that nobody else can reopen a delivery, or tells why it can't be now.
    fn claim(&self, tenant: &TenantId, row: &DeliveryRow, replay: Replay) -> Result<Reopened, EngineError> {
        let hook =
            self.webhooks.find(tenant, &row.webhook).ok_or_else(|| EngineError::not_found("webhook", &row.webhook))?;
        let waiting = match row.status.state {
            DeliveryState::Pending => Some(self.scheduler().withdraw(row.key).ok_or_else(|| under_way(row))?),
            _ if self.scheduler().claim(row.key) => None,
            _ => return Err(under_way(row)),
        };
        let pending = Pending {
            key: row.key,
            id: row.id,
            tenant: tenant.clone(),
            webhook: row.webhook.clone(),
            doctype: row.doctype.clone(),
            document: row.document.clone(),
            tries: 0,
            due: replay.at,
            replay: Some(replay),
        };
        Ok(Reopened { hook, waiting, pending })
    }
}

/// A delivery that nobody else can reopen meanwhile.
struct Reopened {
    hook: Arc<Hook>,
    /// As it waited for its next try, if it did.
    waiting: Option<Ticket>,
    pending: Pending,
}

impl Reopened {
    fn record(&self) -> Record {
        let replay = self.pending.replay.clone().expect("it was given one");
        Record::Reopen(Reopen { delivery: self.pending.key, due: self.pending.due, replay })
    }
}

fn under_way(row: &DeliveryRow) -> EngineError {
    EngineError::Conflict { code: "delivery_under_way", what: format!("{} is under way or about to be", row.id) }
}
