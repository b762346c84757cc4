//! The contract in memory: simple, obviously right, gone with the process. For tests; never for real data.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryQuery, DeliveryRow, Fence, NewAttempt,
    NewEvent, Page, Pending, Record, Reopen, RetentionPolicy, Revision, Store, StoreError, StoreErrorKind, Work,
};
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Digest, Event, EventId, Replay, Request, TenantId, WebhookName,
};
use jiff::Timestamp;

use crate::query::{Needle, row_matches};

/// Keeps everything in memory, under one mutex.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    fence: u64,
    next: i64,
    events: BTreeMap<(TenantId, EventId), Stored>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    config: BTreeMap<ConfigKey, (Revision, String)>,
    blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
}

#[derive(Debug, Clone)]
struct Stored {
    content: Digest,
    received_at: Timestamp,
    deliveries: Vec<(DeliveryKey, DeliveryId)>,
}

#[derive(Debug, Clone)]
struct Delivery {
    id: DeliveryId,
    webhook: WebhookName,
    event: Arc<Event>,
    received_at: Timestamp,
    status: DeliveryStatus,
    tries: u32,
    kept: Option<Arc<Request>>,
    last_status: Option<u16>,
    attempts: Vec<Attempt>,
    replay: Option<Replay>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, record: Record) -> Result<Appended, StoreError> {
        match record {
            Record::Event(new) => Ok(self.event(new)),
            Record::Attempt(new) => self.attempt(Arc::unwrap_or_clone(new)).map(|()| Appended::Stored(vec![])),
            Record::Reopen(reopen) => self.reopen(&reopen).map(|()| Appended::Stored(vec![])),
        }
    }

    fn event(&mut self, new: NewEvent) -> Appended {
        let place = (new.event.tenant.clone(), new.event.id.clone());
        if let Some(first) = self.events.get(&place) {
            return Appended::Duplicate {
                same_content: first.content == new.content,
                deliveries: first.deliveries.iter().map(|(_, id)| *id).collect(),
            };
        }
        let mut deliveries = vec![];
        for (webhook, id) in new.deliveries {
            self.next += 1;
            let key = DeliveryKey(self.next);
            deliveries.push((key, id));
            let delivery = Delivery {
                id,
                webhook,
                event: Arc::clone(&new.event),
                received_at: new.received_at,
                status: DeliveryStatus::due(new.received_at),
                tries: 0,
                kept: None,
                last_status: None,
                attempts: vec![],
                replay: None,
            };
            self.deliveries.insert(key, delivery);
        }
        let keys = deliveries.iter().map(|(key, _)| *key).collect();
        self.events.insert(place, Stored { content: new.content, received_at: new.received_at, deliveries });
        Appended::Stored(keys)
    }

    fn attempt(&mut self, new: NewAttempt) -> Result<(), StoreError> {
        let delivery = self.known(new.delivery)?;
        let mut attempt = new.attempt;
        match &attempt.request {
            Some(request) => delivery.kept = Some(Arc::new(request.clone())),
            None => attempt.request = delivery.kept.as_deref().cloned(),
        }
        delivery.status = new.status;
        if delivery.status.state == DeliveryState::Pending {
            delivery.status.next_attempt_at.get_or_insert(attempt.at);
        }
        delivery.last_status = attempt.response.as_ref().map(|response| response.status).or(delivery.last_status);
        delivery.tries += 1;
        delivery.attempts.push(attempt);
        Ok(())
    }

    fn reopen(&mut self, reopen: &Reopen) -> Result<(), StoreError> {
        let delivery = self.known(reopen.delivery)?;
        delivery.status = DeliveryStatus::due(reopen.due);
        delivery.tries = 0;
        if reopen.replay.renders_again() {
            delivery.kept = None;
        }
        delivery.replay = Some(reopen.replay.clone());
        Ok(())
    }

    fn known(&mut self, key: DeliveryKey) -> Result<&mut Delivery, StoreError> {
        let unknown = || error(StoreErrorKind::Conflict, "append", format!("no delivery has the key {}", key.0));
        self.deliveries.get_mut(&key).ok_or_else(unknown)
    }
}

impl Delivery {
    /// About what it occupies.
    fn bytes(&self) -> u64 {
        let attempts = self.attempts.iter().filter_map(|attempt| attempt.request.as_ref());
        (self.event.doc.as_str().len() + attempts.map(|request| request.body.len()).sum::<usize>() + 100) as u64
    }

    fn row(&self, key: DeliveryKey) -> DeliveryRow {
        DeliveryRow {
            key,
            id: self.id,
            webhook: self.webhook.clone(),
            event_id: self.event.id.as_str().to_owned(),
            doctype: self.event.doctype.clone(),
            doc_event: self.event.doc_event.clone(),
            document: self.event.document.clone(),
            status: self.status.clone(),
            attempts: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX),
            replay: self.replay.clone(),
            received_at: self.received_at,
        }
    }
}

fn error(kind: StoreErrorKind, attempted: &'static str, cause: String) -> StoreError {
    StoreError { kind, attempted, cause }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError> {
        let mut state = self.state();
        if fence.0 < state.fence {
            let cause = format!("fence {} is older than the newest, {}", fence.0, state.fence);
            return Err(error(StoreErrorKind::Fenced, "append", cause));
        }
        // All or nothing, in the plainest way; a test has little in here.
        let before = if records.len() > 1 { Some(state.clone()) } else { None };
        let result = records.into_iter().map(|record| state.apply(record)).collect();
        if let (Err(_), Some(before)) = (&result, before) {
            *state = before;
        }
        result
    }

    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        let state = self.state();
        let found = state.deliveries.iter().filter(|(key, _)| cursor.is_none_or(|cursor| **key > cursor));
        let found = found.filter_map(|(key, delivery)| {
            let due = delivery.status.next_attempt_at.filter(|_| delivery.status.state == DeliveryState::Pending)?;
            (due < due_before).then(|| Pending {
                key: *key,
                id: delivery.id,
                tenant: delivery.event.tenant.clone(),
                webhook: delivery.webhook.clone(),
                doctype: delivery.event.doctype.clone(),
                document: delivery.event.document.clone(),
                tries: delivery.tries,
                due,
                replay: delivery.replay.clone(),
            })
        });
        Ok(found.take(limit).collect())
    }

    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError> {
        let state = self.state();
        let work = |delivery: &Delivery| Work { event: Arc::clone(&delivery.event), request: delivery.kept.clone() };
        Ok(keys.iter().map(|key| state.deliveries.get(key).map(work)).collect())
    }

    async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, StoreError> {
        let state = self.state();
        let needle = query.text.as_deref().map(Needle::new);
        let below = DeliveryKey(cursor.unwrap_or(i64::MAX));
        let mut page: Page<DeliveryRow> = Page { rows: vec![], next: None };
        for (key, delivery) in state.deliveries.range(..below).rev() {
            let row = delivery.row(*key);
            let matches = delivery.event.tenant == *tenant
                && row_matches(query, &row, delivery.last_status)
                && needle.as_ref().is_none_or(|text| text.is_in_delivery(&delivery.event, &delivery.attempts).0);
            if !matches {
                continue;
            }
            if page.rows.len() >= limit {
                page.next = Some(page.rows.last().map_or(below.0, |row| row.key.0));
                break;
            }
            page.rows.push(row);
        }
        Ok(page)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let state = self.state();
        let mut found = state.deliveries.iter().filter(|(_, one)| one.id == id && one.event.tenant == *tenant);
        Ok(found.next().map(|(key, delivery)| DeliveryDetail {
            row: delivery.row(*key),
            event: Arc::clone(&delivery.event),
            attempts: delivery.attempts.clone(),
        }))
    }

    async fn config(&self, kind: &'static str) -> Result<Vec<ConfigEntry>, StoreError> {
        let state = self.state();
        let entries = state.config.iter().filter(|(key, _)| key.kind == kind);
        Ok(entries
            .map(|(key, (revision, value))| ConfigEntry { key: key.clone(), revision: *revision, value: value.clone() })
            .collect())
    }

    async fn put_config(
        &self,
        key: ConfigKey,
        value: Option<String>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let mut state = self.state();
        let found = state.config.get(&key).map_or(Revision(0), |(revision, _)| *revision);
        if found != expected {
            let cause = format!("{:?} is at revision {}, not {}", key.name, found.0, expected.0);
            return Err(error(StoreErrorKind::Conflict, "write the configuration", cause));
        }
        let Some(value) = value else {
            state.config.remove(&key);
            return Ok(Revision(0));
        };
        let revision = Revision(found.0 + 1);
        state.config.insert(key, (revision, value));
        Ok(revision)
    }

    async fn blob_put(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.state().blobs.insert(digest, Arc::new(bytes));
        Ok(())
    }

    async fn blob_get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().blobs.get(&digest).map(|bytes| bytes.to_vec()))
    }

    async fn blob_delete(&self, digest: Digest) -> Result<(), StoreError> {
        self.state().blobs.remove(&digest);
        Ok(())
    }

    async fn lease(&self, _partition: u32) -> Result<Fence, StoreError> {
        let mut state = self.state();
        state.fence += 1;
        Ok(Fence(state.fence))
    }

    async fn wake(&self) {
        std::future::pending::<()>().await;
    }

    async fn retain(&self, policy: RetentionPolicy) -> Result<usize, StoreError> {
        let mut state = self.state();
        let held = |one: &Delivery| matches!(one.status.state, DeliveryState::Pending | DeliveryState::Parked);
        let bytes = |stored: &Stored| -> u64 {
            let of = |key: &DeliveryKey| state.deliveries.get(key).map_or(0, Delivery::bytes);
            stored.deliveries.iter().map(|(key, _)| of(key)).sum()
        };
        let occupied: u64 = state.events.values().map(bytes).sum();
        let over = policy.bytes_max.is_some_and(|most| occupied > most);
        let any = |stored: &Stored, such: &dyn Fn(&Delivery) -> bool| {
            stored.deliveries.iter().filter_map(|(key, _)| state.deliveries.get(key)).any(such)
        };
        let lately = |one: &Delivery| one.attempts.last().is_some_and(|attempt| attempt.at >= policy.settled_before);
        let aged = |stored: &Stored| stored.received_at < policy.settled_before && !any(stored, &lately);
        let goes = |stored: &Stored| (over || aged(stored)) && !any(stored, &held);
        let mut old: Vec<_> = state.events.iter().filter(|(_, stored)| goes(stored)).collect();
        old.sort_by_key(|(_, stored)| stored.received_at);
        let (mut gone, mut left) = (vec![], occupied);
        for (place, stored) in old.into_iter().take(policy.batch) {
            if aged(stored) || policy.bytes_max.is_some_and(|most| left > most) {
                left -= bytes(stored);
                gone.push(place.clone());
            }
        }
        for place in &gone {
            for (key, _) in state.events.remove(place).map(|stored| stored.deliveries).unwrap_or_default() {
                state.deliveries.remove(&key);
            }
        }
        Ok(gone.len())
    }
}
