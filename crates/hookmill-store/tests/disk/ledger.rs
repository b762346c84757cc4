//! What was acknowledged, held against what a store has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hookmill_core::ports::{Appended, DeliveryDetail, DeliveryKey, DeliveryQuery, Fence, Record, Store};
use hookmill_core::{DeliveryState, Digest};
use hookmill_store::{MemoryStore, SqliteOptions, SqliteStore};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::workload::{Note, blob, config_value, new_event, record, steps, tenant};

/// What must be there, by what was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Steps done, by event.
    events: BTreeMap<u32, usize>,
    given_up: BTreeSet<u32>,
    /// The last revisions, and whether the store refused something since.
    config: BTreeMap<String, (u64, bool)>,
    blobs: BTreeSet<u32>,
    fence: u64,
    /// Settled events before this one may be gone.
    forgotten: u32,
}

/// The deliveries of an event; none of them if it is gone.
type Deliveries = Vec<Option<DeliveryDetail>>;

/// Remembers what the store in memory has after each step of an event.
type Expected = Mutex<HashMap<(u32, usize), Arc<Deliveries>>>;

impl Ledger {
    pub(crate) fn of<'a>(notes: impl Iterator<Item = &'a Note>) -> Self {
        let mut ledger = Self::default();
        for note in notes {
            match note {
                Note::Step { event, done } => drop(ledger.events.insert(*event, *done)),
                Note::GivenUp { event } => drop(ledger.given_up.insert(*event)),
                Note::Config { name, revision } => drop(ledger.config.insert(name.clone(), (*revision, false))),
                Note::Blob { number } => drop(ledger.blobs.insert(*number)),
                Note::Lease { fence } => ledger.fence = *fence,
                Note::Forgetting { before } => ledger.forgotten = ledger.forgotten.max(*before),
                // For want of room nothing is written.
                Note::Refused { code, .. } if code == "store_full" => {}
                Note::Refused { .. } => ledger.config.values_mut().for_each(|(_, refused)| *refused = true),
                Note::Closed => {}
            }
        }
        ledger
    }

    /// How many acknowledgements it holds.
    pub(crate) fn len(&self) -> usize {
        self.events.values().sum::<usize>() + self.config.len() + self.blobs.len()
    }

    /// Opens the store in `dir` and looks for everything; says what is missing or wrong.
    pub(crate) async fn check(&self, dir: &Path, options: SqliteOptions) -> Result<(), String> {
        let store = SqliteStore::open(dir, options).map_err(|error| format!("does not open: {error}"))?;
        let found = self.look(&store).await;
        store.close().await;
        found?;
        let db = Connection::open(dir.join("hookmill.db")).unwrap();
        let sound = db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        let sound = sound.unwrap_or_else(|error| error.to_string());
        if sound == "ok" { Ok(()) } else { Err(format!("SQLite finds: {sound}")) }
    }

    async fn look(&self, store: &SqliteStore) -> Result<(), String> {
        for (&event, &done) in &self.events {
            self.look_for_event(store, event, done).await?;
        }
        pending_is_what_is_listed(store).await?;
        let entries = store.config("webhook").await.map_err(|error| error.to_string())?;
        for (name, &(revision, refused)) in &self.config {
            let entry = entries.iter().find(|entry| entry.key.name == *name);
            let entry = entry.ok_or_else(|| format!("the configuration {name} is gone"))?;
            // One more may have been written and not yet heard of; and so may what was refused, on which a restart builds.
            let newer = entry.revision.0.checked_sub(revision);
            let newest = newer.is_some_and(|newer| newer <= 1 + u64::from(refused))
                && entry.value == config_value(name, entry.revision.0);
            if !newest {
                return Err(format!("the configuration {name} is {entry:?}, not at revision {revision}"));
            }
        }
        for &number in &self.blobs {
            let bytes = blob(number);
            if store.blob_get(Digest::of(&bytes)).await.map_err(|error| error.to_string())? != Some(bytes) {
                return Err(format!("the blob {number} is gone"));
            }
        }
        self.append_again(store).await
    }

    async fn look_for_event(&self, store: &SqliteStore, event: u32, done: usize) -> Result<(), String> {
        let found = deliveries(store, event).await?;
        let life = steps(event);
        // The step after may have been written and not yet heard of; not one that was refused as not written.
        let next = (done < life.len() && !self.given_up.contains(&event)).then_some(done + 1);
        for done in [Some(done), next].into_iter().flatten() {
            if found == *expected(event, done).await {
                return Ok(());
            }
            let settled = expected(event, done)
                .await
                .iter()
                .flatten()
                .all(|detail| !matches!(detail.row.status.state, DeliveryState::Pending | DeliveryState::Parked));
            if settled && event < self.forgotten && found.iter().all(Option::is_none) {
                return Ok(());
            }
        }
        let found: Vec<_> = found.iter().flatten().map(|detail| (&detail.row.status, detail.attempts.len())).collect();
        Err(format!("the event {event} is not as after {done} steps: {found:?}"))
    }

    /// A fence is newer than all before, and what is there is known as a repeat.
    async fn append_again(&self, store: &SqliteStore) -> Result<(), String> {
        let fence = store.lease(0).await.map_err(|error| error.to_string())?;
        if fence <= Fence(self.fence) {
            return Err(format!("{fence:?} was given out before"));
        }
        let there: Vec<u32> = self.events.keys().copied().filter(|event| *event >= self.forgotten).collect();
        let records = there.iter().map(|event| Record::Event(new_event(*event))).collect();
        let answers = store.append(records, fence).await.map_err(|error| error.to_string())?;
        for (event, answer) in there.iter().zip(answers) {
            if !matches!(answer, Appended::Duplicate { same_content: true, .. }) {
                return Err(format!("the event {event} is new again: {answer:?}"));
            }
        }
        Ok(())
    }
}

/// What the scheduler is given at a start is just what is pending.
async fn pending_is_what_is_listed(store: &SqliteStore) -> Result<(), String> {
    let listed = store.pending(None, Timestamp::MAX, 100_000).await.map_err(|error| error.to_string())?;
    let query = DeliveryQuery { state: Some(DeliveryState::Pending), ..DeliveryQuery::default() };
    let rows = store.search(&tenant(), &query, None, 100_000).await.map_err(|error| error.to_string())?.rows;
    let listed: BTreeSet<_> = listed.iter().map(|pending| pending.key).collect();
    let rows: BTreeSet<_> = rows.iter().map(|row| row.key).collect();
    if listed == rows { Ok(()) } else { Err(format!("{listed:?} are listed as pending, {rows:?} are")) }
}

async fn deliveries(store: &dyn Store, event: u32) -> Result<Deliveries, String> {
    let mut found = vec![];
    for (_, id) in new_event(event).deliveries {
        let mut detail = store.delivery(&tenant(), id).await.map_err(|error| error.to_string())?;
        if let Some(detail) = &mut detail {
            // Each store has keys of its own.
            detail.row.key = DeliveryKey(0);
        }
        found.push(detail);
    }
    Ok(found)
}

/// What the store in memory has of an event after the first `done` steps.
async fn expected(event: u32, done: usize) -> Arc<Deliveries> {
    static KNOWN: std::sync::LazyLock<Expected> = std::sync::LazyLock::new(Expected::default);
    if let Some(known) = KNOWN.lock().unwrap().get(&(event, done)) {
        return Arc::clone(known);
    }
    let store = MemoryStore::default();
    let mut keys = vec![];
    for step in &steps(event)[..done] {
        if let Appended::Stored(new) = store.append(vec![record(event, step, &keys)], Fence(0)).await.unwrap().remove(0)
            && !new.is_empty()
        {
            keys = new;
        }
    }
    let known = Arc::new(deliveries(&store, event).await.unwrap());
    KNOWN.lock().unwrap().insert((event, done), Arc::clone(&known));
    known
}
