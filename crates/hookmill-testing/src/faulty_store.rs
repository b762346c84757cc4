//! A store that fails when it is told to: everything else is done by the store behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryQuery, DeliveryRow, Fence, Page, Pending,
    Record, RetentionPolicy, Revision, Store, StoreError, StoreErrorKind, Work,
};
use hookmill_core::{DeliveryId, Digest, TenantId};
use jiff::Timestamp;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// For want of room; nothing is done.
    Full,
    /// Because another program holds the store; nothing is done.
    Busy,
    /// Nobody knows whether it was done: it was not.
    Unavailable,
    /// Nobody knows whether it was done: it was.
    DoneButUnavailable,
}

/// Which calls fail. Several stores, one after the other, may share it.
#[derive(Debug)]
pub struct StoreFaults {
    fault: StoreFault,
    nth: usize,
    calls: AtomicUsize,
    no_room_for_attempts: AtomicBool,
}

impl StoreFaults {
    /// Lets the call number `nth`, counted from 1, fail; none with 0.
    pub fn nth(nth: usize, fault: StoreFault) -> Arc<Self> {
        Arc::new(Self { fault, nth, calls: AtomicUsize::new(0), no_room_for_attempts: AtomicBool::new(false) })
    }

    /// Tells whether the call that is to fail has been made.
    pub fn struck(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.nth
    }

    /// Says whether there is no room for attempts, from now on.
    pub fn refuse_attempts(&self, refuse: bool) {
        self.no_room_for_attempts.store(refuse, Ordering::SeqCst);
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 != self.nth {
            return work.await;
        }
        let error =
            |kind| StoreError { kind, attempted: "do as asked", cause: format!("a test wants {:?}", self.fault) };
        match self.fault {
            StoreFault::Full => Err(error(StoreErrorKind::Full)),
            StoreFault::Busy => Err(error(StoreErrorKind::Busy)),
            StoreFault::Unavailable => Err(error(StoreErrorKind::Unavailable)),
            StoreFault::DoneButUnavailable => work.await.and_then(|_| Err(error(StoreErrorKind::Unavailable))),
        }
    }
}

/// A store whose calls fail as its [`StoreFaults`] say.
#[derive(Debug)]
pub struct FaultyStore {
    store: Arc<dyn Store>,
    faults: Arc<StoreFaults>,
}

impl FaultyStore {
    /// Puts faults before a store.
    pub fn new(store: Arc<dyn Store>, faults: Arc<StoreFaults>) -> Self {
        Self { store, faults }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError> {
        let attempts = records.iter().any(|record| matches!(record, Record::Attempt(_)));
        if attempts && self.faults.no_room_for_attempts.load(Ordering::SeqCst) {
            return Err(StoreError {
                kind: StoreErrorKind::Full,
                attempted: "append",
                cause: "a test wants it".into(),
            });
        }
        self.faults.call(self.store.append(records, fence)).await
    }

    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        self.faults.call(self.store.pending(cursor, due_before, limit)).await
    }

    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError> {
        self.faults.call(self.store.bodies(keys)).await
    }

    async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, StoreError> {
        self.faults.call(self.store.search(tenant, query, cursor, limit)).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.faults.call(self.store.delivery(tenant, id)).await
    }

    async fn config(&self, kind: &'static str) -> Result<Vec<ConfigEntry>, StoreError> {
        self.faults.call(self.store.config(kind)).await
    }

    async fn put_config(
        &self,
        key: ConfigKey,
        value: Option<String>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.faults.call(self.store.put_config(key, value, expected)).await
    }

    async fn blob_put(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.faults.call(self.store.blob_put(digest, bytes)).await
    }

    async fn blob_get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.faults.call(self.store.blob_get(digest)).await
    }

    async fn blob_delete(&self, digest: Digest) -> Result<(), StoreError> {
        self.faults.call(self.store.blob_delete(digest)).await
    }

    async fn lease(&self, partition: u32) -> Result<Fence, StoreError> {
        self.faults.call(self.store.lease(partition)).await
    }

    async fn wake(&self) {
        self.store.wake().await;
    }

    async fn retain(&self, policy: RetentionPolicy) -> Result<usize, StoreError> {
        self.faults.call(self.store.retain(policy)).await
    }
}
