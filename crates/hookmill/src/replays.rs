//! Replays: many deliveries are sent again as one job, the oldest first, whose progress everybody can see.
//!
//! What is kept of a job in the store is what it needs to go on after a restart. How far it got, and what became of the
//! deliveries, stands with the deliveries themselves, which name the replay that they are part of.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookmill_core::ports::{ConfigKey, DeliveryKey, DeliveryQuery, Revision, Store, StoreError};
use hookmill_core::{DeliveryState, PluginName, RedeliverMode, ReplayId, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::EngineError;
use crate::scheduler::Ticket;

mod calls;
mod run;
mod walk;

pub use calls::{DryRun, RedeliverReport};

const KIND: &str = "replay";

/// Replays that are remembered, of all tenants together.
const REMEMBERED: usize = 200;

/// Replays that may go on at one time: each reads through the store.
const UNDER_WAY_MAX: usize = 16;

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayState {
    /// The deliveries are counted.
    Counting,
    /// They are sent again, the oldest first.
    Sending,
    /// All are handed over; what became of them is counted on.
    Done,
    /// Somebody cancelled it; what was handed over before goes on.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl ReplayState {
    /// Tells whether no more deliveries are handed over.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed)
    }
}

/// What became of the deliveries of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplaySettled {
    /// The receiver has it.
    pub delivered: u64,
    /// Nothing was to be sent.
    pub skipped: u64,
    /// Waits for a person or a new plugin version.
    pub parked: u64,
    /// Given up.
    pub dead: u64,
    /// Sent again once more before it was settled, so that it belongs to this replay no more, or forgotten meanwhile.
    pub superseded: u64,
}

impl ReplaySettled {
    fn count(&mut self, state: DeliveryState) {
        match state {
            DeliveryState::Pending => {}
            DeliveryState::Delivered => self.delivered += 1,
            DeliveryState::Skipped => self.skipped += 1,
            DeliveryState::Parked => self.parked += 1,
            DeliveryState::Dead => self.dead += 1,
        }
    }

    /// Returns how many that are together.
    pub fn sum(&self) -> u64 {
        let Self { delivered, skipped, parked, dead, superseded } = self;
        delivered + skipped + parked + dead + superseded
    }
}

/// Why a replay could not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayFailure {
    /// A stable code.
    pub code: String,
    /// One sentence of cause.
    pub message: String,
}

/// Many deliveries that are sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayJob {
    /// Its id.
    pub id: ReplayId,
    /// Which deliveries.
    pub query: DeliveryQuery,
    /// Of these only what this plugin parked, if it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// What is sent.
    pub mode: RedeliverMode,
    /// How far it is.
    pub state: ReplayState,
    /// Deliveries that were found.
    pub matched: u64,
    /// Of these, the ones that were handed over to be sent again.
    pub redelivered: u64,
    /// Of these, the ones that were passed over because they are under way or their webhook is gone.
    pub passed_over: u64,
    /// Of those handed over, the ones that were tried in vain and wait for their next try.
    pub retrying: u64,
    /// Of those handed over, the ones that are settled.
    pub settled: ReplaySettled,
    /// When it began.
    pub begun_at: Timestamp,
    /// When the last was handed over, or it ended otherwise.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, if it did.
    pub failure: Option<ReplayFailure>,
}

impl ReplayJob {
    /// Tells whether nothing more will be heard of it.
    fn is_over(&self) -> bool {
        self.state.is_ended() && self.settled.sum() >= self.redelivered
    }
}

/// What the store keeps of a replay.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    job: ReplayJob,
    /// The newest delivery that it concerns, once they are counted.
    newest: Option<i64>,
}

#[derive(Debug)]
struct Entry {
    tenant: TenantId,
    stored: Stored,
    revision: Revision,
    /// Whether it was begun by an earlier run of the engine, and is to be found again in the deliveries.
    restored: bool,
    /// Those that settled while what settled before is counted.
    settled_meanwhile: HashSet<DeliveryKey>,
    cancel: CancellationToken,
    ended: CancellationToken,
}

/// The replays that are under way, and the last that ended.
#[derive(Debug)]
pub(crate) struct Replays {
    store: Arc<dyn Store>,
    /// By id, which sorts by age.
    entries: Mutex<BTreeMap<ReplayId, Entry>>,
    writing: tokio::sync::Mutex<()>,
}

impl Replays {
    /// Reads what an earlier run left.
    pub(crate) async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        for entry in store.config(KIND).await? {
            match serde_json::from_str::<Stored>(&entry.value) {
                Ok(mut stored) => {
                    let restored = !stored.job.is_over();
                    stored.job.retrying = 0;
                    if restored {
                        stored.job.settled = ReplaySettled::default();
                    }
                    let id = stored.job.id.clone();
                    entries.insert(id, Entry::new(entry.key.tenant, stored, entry.revision, restored));
                }
                Err(error) => tracing::error!(replay = entry.key.name, %error, "a stored replay can't be read"),
            }
        }
        Ok(Self { store, entries: Mutex::new(entries), writing: tokio::sync::Mutex::new(()) })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<ReplayId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns those that an earlier run left unfinished.
    pub(crate) fn restored(&self) -> Vec<ReplayId> {
        self.entries().iter().filter(|(_, entry)| entry.restored).map(|(id, _)| id.clone()).collect()
    }

    /// Takes a new job in.
    async fn begin(&self, tenant: &TenantId, job: ReplayJob) -> Result<(), EngineError> {
        let id = job.id.clone();
        let forgotten = {
            let mut entries = self.entries();
            let under_way = entries.values().filter(|entry| !entry.stored.job.state.is_ended()).count();
            if under_way >= UNDER_WAY_MAX {
                let what = format!("{under_way} replays are under way already, and no more are begun for now");
                return Err(EngineError::Conflict { code: "too_many_replays", what });
            }
            let ended = entries.iter().find(|(_, entry)| entry.stored.job.state.is_ended()).map(|(id, _)| id.clone());
            let oldest = ended.filter(|_| entries.len() >= REMEMBERED);
            let entry = Entry::new(tenant.clone(), Stored { job, newest: None }, Revision(0), false);
            entries.insert(id.clone(), entry);
            oldest.and_then(|oldest| entries.remove_entry(&oldest))
        };
        if let Err(error) = self.write(&id).await {
            self.entries().remove(&id);
            return Err(error.into());
        }
        if let Some((id, entry)) = forgotten
            && let Err(error) = self.store.put_config(config_key(&entry.tenant, &id), None, entry.revision).await
        {
            tracing::warn!(replay = %id, %error, "an old replay was not forgotten");
        }
        Ok(())
    }

    /// Writes down how a job stands.
    async fn write(&self, id: &ReplayId) -> Result<(), StoreError> {
        // What was read last is written last.
        let _turn = self.writing.lock().await;
        let Some((key, value, revision)) = self.entries().get(id).map(|entry| {
            let value = serde_json::to_string(&entry.stored).expect("a replay is JSON");
            (config_key(&entry.tenant, id), value, entry.revision)
        }) else {
            return Ok(());
        };
        let revision = self.store.put_config(key, Some(value), revision).await?;
        if let Some(entry) = self.entries().get_mut(id) {
            entry.revision = revision;
        }
        Ok(())
    }

    /// Changes a job.
    fn change(&self, id: &ReplayId, change: impl FnOnce(&mut Stored)) {
        if let Some(entry) = self.entries().get_mut(id) {
            change(&mut entry.stored);
        }
    }

    fn look<T>(&self, id: &ReplayId, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.entries().get(id).map(look)
    }

    fn of_tenant(&self, tenant: &TenantId, id: &ReplayId) -> Result<ReplayJob, EngineError> {
        let found = self.look(id, |entry| (entry.tenant == *tenant).then(|| entry.stored.job.clone()));
        found.flatten().ok_or_else(|| EngineError::not_found("replay", id))
    }

    /// Returns the replays of a tenant, the newest first.
    fn list(&self, tenant: &TenantId) -> Vec<ReplayJob> {
        let entries = self.entries();
        let of_tenant = entries.values().rev().filter(|entry| entry.tenant == *tenant);
        of_tenant.map(|entry| entry.stored.job.clone()).collect()
    }

    /// Takes note of a delivery that an earlier run tried in vain.
    pub(crate) fn recovered(&self, ticket: &Ticket) {
        if let Some(id) = ticket.replay_id()
            && ticket.pending.tries > 0
        {
            self.change(id, |stored| stored.job.retrying += 1);
        }
    }

    /// Takes note of where a try left a delivery. Returns the replay whose last one this was.
    pub(crate) fn tried(&self, ticket: &Ticket, state: DeliveryState) -> Option<ReplayId> {
        let id = ticket.replay_id()?;
        let mut entries = self.entries();
        let entry = entries.get_mut(id)?;
        let job = &mut entry.stored.job;
        let first = ticket.pending.tries <= 1;
        if state == DeliveryState::Pending {
            job.retrying += u64::from(first);
            return None;
        }
        job.retrying = job.retrying.saturating_sub(u64::from(!first));
        job.settled.count(state);
        if entry.restored {
            entry.settled_meanwhile.insert(ticket.pending.key);
        }
        (!entry.restored && entry.stored.job.is_over()).then(|| id.clone())
    }

    /// Takes note that a delivery that waits is sent again by somebody else.
    pub(crate) fn superseded(&self, ticket: &Ticket) {
        if let Some(id) = ticket.replay_id() {
            self.change(id, |Stored { job, .. }| {
                job.retrying = job.retrying.saturating_sub(u64::from(ticket.pending.tries > 0));
                job.settled.superseded += 1;
            });
        }
    }
}

impl Entry {
    fn new(tenant: TenantId, stored: Stored, revision: Revision, restored: bool) -> Self {
        let ended = CancellationToken::new();
        if stored.job.state.is_ended() {
            ended.cancel();
        }
        let (settled_meanwhile, cancel) = (HashSet::new(), CancellationToken::new());
        Self { tenant, stored, revision, restored, settled_meanwhile, cancel, ended }
    }
}

fn config_key(tenant: &TenantId, id: &ReplayId) -> ConfigKey {
    ConfigKey { tenant: tenant.clone(), kind: KIND, name: id.to_string() }
}
