//! A store around the store, in whose file no request shows a secret: what answers mask is sealed before it is written,
//! and opened for a retry, which sends it again.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryQuery, DeliveryRow, Fence, Page, Pending,
    Record, RetentionPolicy, Revision, Store, StoreError, StoreErrorKind, Work,
};
use hookmill_core::{DeliveryId, Digest, Request, TenantId};
use jiff::Timestamp;

use crate::seal::Sealer;

/// Seals and opens the requests that pass; everything else passes as it is.
#[derive(Debug)]
pub(crate) struct SealedStore {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
}

impl SealedStore {
    pub(crate) fn new(store: Arc<dyn Store>, sealer: Arc<Sealer>) -> Self {
        Self { store, sealer }
    }

    fn sealed(&self, record: Record) -> Record {
        let Record::Attempt(new) = record else { return record };
        if !new.attempt.request.as_ref().is_some_and(Request::has_secrets) {
            return Record::Attempt(new);
        }
        let mut new = Arc::unwrap_or_clone(new);
        let context = context(new.delivery);
        if let Some(request) = &mut new.attempt.request {
            let Ok(()) = request.change_secrets(|secret| Ok::<_, Infallible>(self.sealer.seal_for(&context, secret)));
        }
        Record::Attempt(Arc::new(new))
    }

    fn open(&self, delivery: DeliveryKey, request: &mut Request) -> Result<(), StoreError> {
        let context = context(delivery);
        request.change_secrets(|secret| {
            self.sealer.open_for(&context, secret).ok_or_else(|| StoreError {
                kind: StoreErrorKind::Damaged,
                attempted: "open the secrets of a kept request",
                cause: "they are sealed with another secret key".into(),
            })
        })
    }
}

/// What the secrets of a delivery's requests are bound to.
fn context(DeliveryKey(key): DeliveryKey) -> Vec<u8> {
    format!("request\0{key}").into_bytes()
}

#[async_trait]
impl Store for SealedStore {
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError> {
        self.store.append(records.into_iter().map(|record| self.sealed(record)).collect(), fence).await
    }

    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError> {
        let mut bodies = self.store.bodies(keys).await?;
        for (key, work) in keys.iter().zip(&mut bodies) {
            if let Some(request) = work.as_mut().and_then(|work| work.request.as_mut()) {
                self.open(*key, Arc::make_mut(request))?;
            }
        }
        Ok(bodies)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let Some(mut detail) = self.store.delivery(tenant, id).await? else { return Ok(None) };
        for request in detail.attempts.iter_mut().filter_map(|attempt| attempt.request.as_mut()) {
            self.open(detail.row.key, request)?;
        }
        Ok(Some(detail))
    }

    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        self.store.pending(cursor, due_before, limit).await
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
