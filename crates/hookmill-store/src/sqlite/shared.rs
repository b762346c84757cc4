//! What the writer and the readers both know without asking the file: which events the index does not hold yet,
//! which deliveries were never tried, and the names of webhooks. The writer alone changes it, after a commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookmill_core::ports::{DeliveryKey, StoreErrorKind};
use hookmill_core::{DeliveryState, TenantId, WebhookName};
use rusqlite::{Connection, OptionalExtension as _};

use super::trouble::{Trouble, damaged};

/// Bits of a delivery's key that say which of its event's deliveries it is.
pub(super) const PLACE_BITS: u32 = 16;

/// The number of the event that owes this delivery.
pub(super) fn event_of(key: i64) -> i64 {
    key >> PLACE_BITS
}

/// The keys of all deliveries of an event.
pub(super) fn keys_of(seq: i64) -> std::ops::RangeInclusive<i64> {
    let first = seq << PLACE_BITS;
    first..=first + ((1 << PLACE_BITS) - 1)
}

/// The names of webhooks by number, and back.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: HashMap<i64, (TenantId, WebhookName)>,
    by_name: HashMap<TenantId, HashMap<WebhookName, i64>>,
}

impl Names {
    pub(super) fn insert(&mut self, id: i64, tenant: TenantId, name: WebhookName) {
        self.by_name.entry(tenant.clone()).or_default().insert(name.clone(), id);
        self.by_id.insert(id, (tenant, name));
    }

    pub(super) fn id(&self, tenant: &TenantId, name: &WebhookName) -> Option<i64> {
        self.by_name.get(tenant)?.get(name).copied()
    }
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Event key and number of the events that `event_index` does not hold yet.
    recent: Mutex<BTreeSet<(i64, i64)>>,
    /// Pending deliveries that were never tried and that `delivery_waiting` does not hold.
    fresh: Mutex<BTreeSet<i64>>,
    names: Mutex<Names>,
    failed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single call into a collection, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn recent(&self) -> MutexGuard<'_, BTreeSet<(i64, i64)>> {
        lock(&self.recent)
    }

    pub(super) fn fresh(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        lock(&self.fresh)
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Returns tenant and name of the webhook with this number.
    pub(super) fn name(&self, db: &Connection, id: i64) -> Result<(TenantId, WebhookName), Trouble> {
        if let Some(found) = self.names().by_id.get(&id) {
            return Ok(found.clone());
        }
        // A commit is seen in the file a moment before it is in memory.
        let mut statement = db.prepare_cached("SELECT tenant, name FROM webhook_name WHERE id = ?")?;
        let (tenant, name): (String, String) = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((
            TenantId::new(tenant).map_err(|error| damaged("a webhook's tenant", error))?,
            WebhookName::new(name).map_err(|error| damaged("a webhook's name", error))?,
        ))
    }

    /// Returns the numbers of the events that may be the one with this event key, the oldest first.
    ///
    /// The memory is asked before the file: what leaves the one has been committed to the other before.
    pub(super) fn candidates(&self, db: &Connection, key: i64) -> Result<BTreeSet<i64>, Trouble> {
        let mut found: BTreeSet<i64> =
            self.recent().range((key, i64::MIN)..=(key, i64::MAX)).map(|entry| entry.1).collect();
        let mut statement = db.prepare_cached("SELECT seq FROM event_index WHERE key = ?")?;
        for seq in statement.query_map([key], |row| row.get(0))? {
            found.insert(seq?);
        }
        Ok(found)
    }

    /// Returns the number and content digest of the event with this id.
    pub(super) fn find_event(
        &self,
        db: &Connection,
        key: i64,
        tenant: &str,
        id: &str,
    ) -> Result<Option<(i64, [u8; 32])>, Trouble> {
        for seq in self.candidates(db, key)? {
            if let Some(content) = event_content(db, seq, tenant, id)? {
                return Ok(Some((seq, content)));
            }
        }
        Ok(None)
    }
}

/// Returns the content digest of the event `seq` if it has this tenant and id: an event key is only a hash.
pub(super) fn event_content(db: &Connection, seq: i64, tenant: &str, id: &str) -> Result<Option<[u8; 32]>, Trouble> {
    let mut statement = db.prepare_cached("SELECT content FROM event WHERE seq = ? AND tenant = ? AND id = ?")?;
    Ok(statement.query_row((seq, tenant, id), |row| row.get(0)).optional()?)
}

/// Reads the word for a state.
pub(super) fn state_of(word: &str) -> Result<DeliveryState, Trouble> {
    DeliveryState::ALL
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| damaged("a delivery", format!("{word:?} is no state")))
}

/// Complains about a key that leads nowhere.
pub(super) fn unknown(key: DeliveryKey) -> Trouble {
    Trouble::new(StoreErrorKind::Conflict, format!("no delivery has the key {}; retention may have removed it", key.0))
}
