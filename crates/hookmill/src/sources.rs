//! Events from elsewhere than hookmill's own publishers: what is set for them, and taking them in.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hookmill_core::ports::{ConfigEntry, ConfigKey, Revision, Store};
use hookmill_core::source::frappe_event;
use hookmill_core::{FrappeSource, SourceError, TenantId};
use hookmill_delivery::frappe::is_signed;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::engine::Inner;
use crate::publish::Published;
use crate::seal::Sealer;
use crate::{EngineError, StartError};

const KIND: &str = "source";

/// The name of the one source that there is.
const FRAPPE: &str = "frappe";

/// A request that Frappe's Webhook made.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever received it")]
pub struct FrappeRequest<'a> {
    /// The very bytes of its body.
    pub body: &'a [u8],
    /// The name that the Webhook has in Frappe, if the URL says it.
    pub webhook: Option<&'a str>,
    /// The value of `X-Frappe-Webhook-Signature`.
    pub signature: Option<&'a str>,
    /// Whether it is known otherwise that whoever sends it may publish; then it need not be signed.
    pub trusted: bool,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    source: FrappeSource,
    revision: Revision,
}

/// What is set for the sources of all tenants. Reading takes no lock; writers follow one another.
#[derive(Debug)]
pub(crate) struct Sources {
    snapshot: ArcSwap<HashMap<TenantId, Kept>>,
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    writing: Mutex<()>,
}

impl Sources {
    pub(crate) async fn open(store: Arc<dyn Store>, sealer: Arc<Sealer>) -> Result<Self, StartError> {
        let opened = store.config(KIND).await?.into_iter().map(|entry| {
            let value = sealer.open(&entry.key, &entry.value)?;
            Ok::<_, StartError>(ConfigEntry { value, ..entry })
        });
        let opened = opened.collect::<Result<Vec<_>, _>>()?;
        let kept = opened.into_iter().filter_map(|ConfigEntry { key, revision, value }| {
            let source = FrappeSource::parse(value.as_bytes())
                .inspect_err(|error| tracing::error!(source = key.name, %error, "a stored source can't be used"))
                .ok()?;
            Some((key.tenant, Kept { source, revision }))
        });
        Ok(Self { snapshot: ArcSwap::from_pointee(kept.collect()), store, sealer, writing: Mutex::new(()) })
    }

    fn get(&self, tenant: &TenantId) -> Kept {
        self.snapshot.load().get(tenant).cloned().unwrap_or_default()
    }

    async fn put(&self, tenant: &TenantId, source: FrappeSource, now: Timestamp) -> Result<FrappeSource, EngineError> {
        let _turn = self.writing.lock().await;
        let stored = self.get(tenant);
        let source = source.settled(&stored.source, now)?;
        let key = ConfigKey { tenant: tenant.clone(), kind: KIND, name: FRAPPE.into() };
        let json = serde_json::to_string(&source).expect("a source is JSON");
        let sealed = self.sealer.seal(&key, &json);
        let revision = self.store.put_config(key, Some(sealed), stored.revision).await?;
        let mut all = HashMap::clone(&self.snapshot.load());
        all.insert(tenant.clone(), Kept { source: source.clone(), revision });
        self.snapshot.store(Arc::new(all));
        Ok(source)
    }
}

impl Inner {
    pub(crate) fn frappe_source(&self, tenant: &TenantId) -> FrappeSource {
        self.sources.get(tenant).source.masked()
    }

    pub(crate) async fn put_frappe_source(
        &self,
        tenant: &TenantId,
        source: FrappeSource,
    ) -> Result<FrappeSource, EngineError> {
        Ok(self.sources.put(tenant, source, self.clock.now()).await?.masked())
    }

    /// Takes in what a Webhook of Frappe sent, through the way that every event goes.
    pub(crate) async fn publish_from_frappe(
        self: &Arc<Self>,
        tenant: &TenantId,
        request: FrappeRequest<'_>,
    ) -> Result<Published, EngineError> {
        self.check_sender(tenant, request)?;
        let envelope = frappe_event(request.body, request.webhook)?;
        let (inner, tenant) = (self.clone(), tenant.clone());
        let answers = self.to_the_end(async move { inner.publish(&tenant, vec![envelope]).await });
        answers.await.pop().expect("one event has one answer")
    }

    /// Refuses who may not publish. A signature that can be checked must be right, whatever else the request bears.
    fn check_sender(&self, tenant: &TenantId, request: FrappeRequest<'_>) -> Result<(), SourceError> {
        let now = self.clock.now();
        let source = self.sources.get(tenant).source;
        let mut secrets = source.secrets.iter().filter(|secret| secret.signs_at(now)).peekable();
        match request.signature {
            None if request.trusted => Ok(()),
            None => Err(SourceError::Unsigned),
            Some(_) if secrets.peek().is_none() && request.trusted => Ok(()),
            Some(_) if secrets.peek().is_none() => Err(SourceError::NoSecret),
            Some(signature) if secrets.any(|secret| is_signed(&secret.text, request.body, signature)) => Ok(()),
            Some(_) => Err(SourceError::WrongSignature),
        }
    }
}
