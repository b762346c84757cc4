//! One replay from its first look at the store to the last delivery that it hands over.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{DeliveryKey, DeliveryQuery, StoreErrorKind};
use hookmill_core::{DeliveryState, Explain as _, ReplayId, TenantId};

use super::walk::{Counting, Scope, Stretch};
use super::{ReplayFailure, ReplayJob, ReplayState};
use crate::EngineError;
use crate::engine::Inner;

/// Deliveries that are reopened with one write.
const BATCH: usize = 500;

/// How often a replay looks whether there is room again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What ends a replay before its last delivery.
enum Cut {
    Cancelled,
    Error(EngineError),
}

impl<E: Into<EngineError>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Inner {
    /// Goes on with the replays that an earlier run left unfinished.
    pub(crate) fn resume_replays(self: &Arc<Self>) {
        for id in self.replays.restored() {
            let engine = self.clone();
            self.tasks.spawn(async move {
                if let Err(error) = engine.run_replay(&id).await {
                    tracing::warn!(replay = %id, %error, "a replay did not go on");
                }
            });
        }
    }

    /// Runs a replay to its end; one that a shutdown cuts off goes on with the next start.
    pub(super) async fn run_replay(self: &Arc<Self>, id: &ReplayId) -> Result<(), EngineError> {
        let Some((tenant, job)) = self.replays.look(id, |entry| (entry.tenant.clone(), entry.stored.job.clone()))
        else {
            return Err(EngineError::not_found("replay", id));
        };
        let result = self.walk_replay(&tenant, &job).await;
        let ended = |state, failure: Option<ReplayFailure>| {
            let now = self.clock.now();
            self.replays.change(id, |stored| {
                if !stored.job.state.is_ended() {
                    (stored.job.state, stored.job.ended_at, stored.job.failure) = (state, Some(now), failure);
                }
            });
        };
        let answer = match result {
            Ok(()) => {
                ended(ReplayState::Done, None);
                Ok(())
            }
            Err(Cut::Cancelled) => {
                ended(ReplayState::Cancelled, None);
                Ok(())
            }
            Err(Cut::Error(error)) => {
                let over = match &error {
                    EngineError::Store(error) => {
                        let fatal = [StoreErrorKind::Unavailable, StoreErrorKind::Fenced, StoreErrorKind::Damaged];
                        fatal.contains(&error.kind)
                    }
                    error => matches!(error, EngineError::ShuttingDown),
                };
                // The next start goes on with what is not written down as ended.
                if !over {
                    let failure = ReplayFailure { code: error.code().into(), message: error.to_string() };
                    tracing::warn!(replay = %id, %error, "a replay failed");
                    ended(ReplayState::Failed, Some(failure));
                }
                Err(error)
            }
        };
        if !matches!(answer, Err(EngineError::ShuttingDown)) {
            self.write_replay(id).await;
        }
        self.replays.look(id, |entry| entry.ended.cancel());
        answer
    }

    /// Writes down how a replay stands; what is missed is found again in the deliveries.
    pub(crate) async fn write_replay(&self, id: &ReplayId) {
        if let Err(error) = self.replays.write(id).await {
            tracing::warn!(replay = %id, %error, "how a replay stands was not written down");
        }
    }

    async fn walk_replay(self: &Arc<Self>, tenant: &TenantId, job: &ReplayJob) -> Result<(), Cut> {
        let id = &job.id;
        let after = self.find_again(tenant, job).await?;
        if job.state.is_ended() {
            return Ok(());
        }
        let scope = Scope::new(self, tenant, &job.query, job.plugin.as_ref());
        let newest = self.replays.look(id, |entry| entry.stored.newest).flatten().map(DeliveryKey);
        let counted_before = job.state == ReplayState::Sending;
        let mut counting = Counting::new(after, newest.filter(|_| counted_before));
        let mut left = 0;
        loop {
            self.go_on(id)?;
            let (count, more) = counting.page(self, &scope).await?;
            left += count;
            if !counted_before {
                self.replays.change(id, |stored| stored.job.matched = left);
            }
            if !more {
                break;
            }
        }
        let stretches = counting.stretches();
        self.replays.change(id, |stored| {
            let job = &mut stored.job;
            // What an earlier run passed over is what is neither left nor sent.
            job.passed_over = job.matched.saturating_sub(job.redelivered + left);
            job.state = ReplayState::Sending;
            stored.newest = stored.newest.or_else(|| stretches.first().map(|stretch| stretch.newest.0));
        });
        self.replays.write(id).await?;
        for stretch in stretches.iter().rev() {
            self.send_stretch(&scope, job, stretch).await?;
        }
        Ok(())
    }

    /// Hands one stretch over, a batch at a time.
    async fn send_stretch(self: &Arc<Self>, scope: &Scope, job: &ReplayJob, stretch: &Stretch) -> Result<(), Cut> {
        self.room(&job.id).await?;
        let mut rows = stretch.rows(self, scope).await?;
        let count = rows.len() as u64;
        self.replays.change(&job.id, |stored| {
            stored.job.matched += count.saturating_sub(stretch.count);
            // Somebody else sent them again since they were counted.
            stored.job.passed_over += stretch.count.saturating_sub(count);
        });
        while !rows.is_empty() {
            let room = self.room(&job.id).await?;
            let later = rows.split_off(room.min(BATCH).min(rows.len()));
            let answers = self.reopen(&scope.tenant, &rows, job.mode, Some(&job.id)).await?;
            let sent = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
            self.replays.change(&job.id, |stored| {
                stored.job.redelivered += sent;
                stored.job.passed_over += rows.len() as u64 - sent;
            });
            self.pump();
            rows = later;
        }
        Ok(())
    }

    /// Waits until more may wait, and returns how many. A replay leaves half of the room to fresh events, which would
    /// be refused otherwise.
    async fn room(&self, id: &ReplayId) -> Result<usize, Cut> {
        let most = (self.waiting_max / 2).max(1);
        loop {
            self.go_on(id)?;
            let waiting = self.scheduler().waiting();
            match most.saturating_sub(waiting) {
                0 => tokio::time::sleep(LOOK_EVERY).await,
                room => return Ok(room),
            }
        }
    }

    fn go_on(&self, id: &ReplayId) -> Result<(), Cut> {
        if self.replays.look(id, |entry| entry.cancel.is_cancelled()).unwrap_or(true) {
            return Err(Cut::Cancelled);
        }
        if self.stop.is_cancelled() { Err(Cut::Error(EngineError::ShuttingDown)) } else { Ok(()) }
    }

    /// Finds out how far an earlier run got, which the deliveries tell: returns the newest that it handed over.
    async fn find_again(&self, tenant: &TenantId, job: &ReplayJob) -> Result<Option<DeliveryKey>, Cut> {
        let id = &job.id;
        if !self.replays.look(id, |entry| entry.restored).unwrap_or(false) {
            return Ok(None);
        }
        // State and status are what a replay changes.
        let query = DeliveryQuery { state: None, status: None, ..job.query.clone() };
        let scope = Scope { tenant: tenant.clone(), query, parked_by_plugin: None };
        let (mut cursor, mut found, mut newest) = (None, 0, None);
        loop {
            self.go_on(id)?;
            let (rows, next) = scope.page(self, cursor).await?;
            let of_replay =
                rows.iter().filter(|row| row.replay.as_ref().and_then(|replay| replay.id.as_ref()) == Some(id));
            if let Some(entry) = self.replays.entries().get_mut(id) {
                for row in of_replay {
                    found += 1;
                    newest = newest.max(Some(row.key));
                    if row.status.state != DeliveryState::Pending && !entry.settled_meanwhile.contains(&row.key) {
                        entry.stored.job.settled.count(row.status.state);
                    }
                }
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        if let Some(entry) = self.replays.entries().get_mut(id) {
            let job = &mut entry.stored.job;
            if job.state.is_ended() {
                job.settled.superseded += job.redelivered.saturating_sub(found);
            } else {
                job.redelivered = found;
            }
            (entry.restored, entry.settled_meanwhile) = (false, Default::default());
        }
        Ok(newest)
    }
}
