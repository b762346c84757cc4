//! The webhooks of all tenants, ready for matching; saved through the store.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hookmill_core::limits::DELIVERIES_PER_EVENT_MAX;
use hookmill_core::ports::{ConfigEntry, ConfigKey, Revision, Store};
use hookmill_core::webhook::{Auth, Disabled, Grant, Ordering, is_reserved_header};
use hookmill_core::{DeliveryId, Event, PluginName, TenantId, Webhook, WebhookError, WebhookName, matching};
use hookmill_delivery::{Client, ClientConfig, Route, frappe};
use hookmill_render::Renderer;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use url::Url;

use crate::guests::Pace;
use crate::scheduler::{Lane, Receiver};
use crate::seal::Sealer;
use crate::{EngineError, StartError};

const KIND: &str = "webhook";

/// A webhook with everything that was worked out when it was saved.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) tenant: TenantId,
    pub(crate) name: WebhookName,
    pub(crate) renderer: Renderer,
    pub(crate) route: Route,
    pub(crate) receiver: Receiver,
    /// How long its plugin and templates take.
    pub(crate) pace: Arc<Pace>,
    revision: Revision,
}

impl Hook {
    /// Checks what concerns more than the webhook's own JSON and prepares it.
    fn prepare(
        tenant: TenantId,
        name: WebhookName,
        webhook: Webhook,
        client: &Client,
        revision: Revision,
    ) -> Result<Self, EngineError> {
        check_headers(&webhook)?;
        let pace = Arc::<Pace>::default();
        let mut receiver = receiver_of(&tenant, &name, &webhook);
        let route = Route::new(&webhook, client)?;
        let renderer = Renderer::compile(Arc::new(webhook))?;
        let runs_guests = renderer.webhook().plugin.is_some() || !renderer.is_cheap();
        receiver.pace = runs_guests.then(|| pace.clone());
        Ok(Self { tenant, name, renderer, route, receiver, pace, revision })
    }

    pub(crate) fn webhook(&self) -> &Webhook {
        self.renderer.webhook()
    }

    /// Tells whether all its requests go to the same URL.
    pub(crate) fn has_one_url(&self) -> bool {
        has_one_url(self.webhook())
    }

    pub(crate) fn lane(&self, doctype: &str, document: &str) -> Option<Lane> {
        match self.webhook().ordering {
            Ordering::Document => Some(Lane {
                tenant: self.tenant.clone(),
                webhook: self.name.clone(),
                doctype: doctype.to_owned(),
                document: document.to_owned(),
            }),
            _ => None,
        }
    }
}

/// Checks what HTTP and hookmill allow as headers. Under Frappe's rules, rows without key or value are never sent, values
/// are Latin-1, and a row may stand above the signature.
fn check_headers(webhook: &Webhook) -> Result<(), WebhookError> {
    let is_frappe = webhook.profile.is_frappe();
    for header in &webhook.headers {
        if is_frappe && (header.key.is_empty() || header.value.is_empty()) {
            continue;
        }
        let good_value = match is_frappe {
            _ if header.template => true,
            true => frappe::latin1(header.value.trim()).is_some(),
            false => HeaderValue::from_str(&header.value).is_ok(),
        };
        if HeaderName::from_bytes(header.key.as_bytes()).is_err() || !good_value {
            let also = if is_frappe { "; Frappe's values are Latin-1" } else { "" };
            let rule = format!("has {:?}, whose name or value HTTP does not allow{also}", header.key);
            return Err(WebhookError::invalid("headers", rule));
        }
        let may_set = is_frappe && hookmill_core::frappe::may_set_header(&header.key);
        if is_reserved_header(&header.key) && !may_set {
            let rule = format!("has {:?}, which only hookmill itself may set", header.key);
            return Err(WebhookError::invalid("headers", rule));
        }
    }
    Ok(())
}

/// Returns whose line the webhook's deliveries stand in.
fn receiver_of(tenant: &TenantId, name: &WebhookName, webhook: &Webhook) -> Receiver {
    let rate = webhook.rate_limit;
    let name = match Url::parse(webhook.request_url.trim()) {
        Ok(url) if has_one_url(webhook) && rate.is_none() => format!("{tenant} {}", url.origin().ascii_serialization()),
        _ => format!("{tenant}/{name}"),
    };
    Receiver { name: name.into(), rate, pace: None }
}

/// Tells whether all requests of a webhook go to the same URL.
fn has_one_url(webhook: &Webhook) -> bool {
    !webhook.dynamic_url && !webhook.grants(Grant::Url)
}

/// Checks a webhook and its name as saving it would, as far as that needs no engine: which addresses may be reached is not
/// looked at.
pub fn check_webhook(name: &str, webhook: &Webhook) -> Result<(), EngineError> {
    let name = WebhookName::new(name)?;
    let client = Client::new(ClientConfig::default())
        .map_err(|error| EngineError::Conflict { code: "client_failed", what: error.to_string() })?;
    Hook::prepare(TenantId::default_tenant(), name, webhook.clone(), &client, Revision(0)).map(drop)
}

/// A webhook as it is stored, with its secrets masked.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StoredWebhook {
    /// Its name.
    pub name: WebhookName,
    /// All its fields.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The public keys of its secrets, for its receiver; none if all are symmetric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
}

impl From<&Hook> for StoredWebhook {
    fn from(hook: &Hook) -> Self {
        Self { name: hook.name.clone(), webhook: hook.webhook().masked(), public_keys: hook.route.public_keys() }
    }
}

/// All webhooks at one moment.
#[derive(Debug, Default)]
struct Snapshot(HashMap<TenantId, TenantHooks>);

/// The webhooks of one tenant, found without making a key.
#[derive(Debug, Default)]
struct TenantHooks {
    by_name: HashMap<WebhookName, Arc<Hook>>,
    by_doctype: HashMap<String, Vec<Arc<Hook>>>,
}

impl Snapshot {
    fn of(hooks: impl IntoIterator<Item = Arc<Hook>>) -> Self {
        let mut snapshot = Self::default();
        for hook in hooks {
            let of_tenant = snapshot.0.entry(hook.tenant.clone()).or_default();
            of_tenant.by_doctype.entry(hook.webhook().doctype.clone()).or_default().push(hook.clone());
            of_tenant.by_name.insert(hook.name.clone(), hook);
        }
        // The order of deliveries in an answer must not depend on a hash.
        let by_doctype = snapshot.0.values_mut().flat_map(|of_tenant| of_tenant.by_doctype.values_mut());
        by_doctype.for_each(|hooks| hooks.sort_by(|a, b| a.name.cmp(&b.name)));
        snapshot
    }

    /// Returns every webhook but this one.
    fn without(&self, tenant: &TenantId, name: &WebhookName) -> Vec<Arc<Hook>> {
        let all = self.0.values().flat_map(|of_tenant| of_tenant.by_name.values());
        all.filter(|hook| hook.tenant != *tenant || hook.name != *name).cloned().collect()
    }
}

/// The registry of webhooks. Reading takes no lock; writers follow one another.
#[derive(Debug)]
pub(crate) struct Webhooks {
    snapshot: ArcSwap<Snapshot>,
    store: Arc<dyn Store>,
    client: Client,
    sealer: Arc<Sealer>,
    writing: Mutex<()>,
}

impl Webhooks {
    /// Reads the webhooks; one that can't be opened with the key is no reason to go on without it.
    pub(crate) async fn open(store: Arc<dyn Store>, client: Client, sealer: Arc<Sealer>) -> Result<Self, StartError> {
        let opened = store.config(KIND).await?.into_iter().map(|entry| {
            let value = sealer.open(&entry.key, &entry.value)?;
            Ok::<_, StartError>(ConfigEntry { value, ..entry })
        });
        let hooks = opened.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(|entry| {
            let name = entry.key.name.clone();
            // What an older version took and this one does not is kept, but does not match until it is corrected.
            from_entry(entry, &client)
                .inspect_err(|error| tracing::error!(webhook = name, %error, "a stored webhook can't be used"))
                .ok()
        });
        let snapshot = ArcSwap::from_pointee(Snapshot::of(hooks.map(Arc::new)));
        Ok(Self { snapshot, store, client, sealer, writing: Mutex::new(()) })
    }

    /// Returns the webhooks that `event` concerns, each with the delivery that it owes.
    pub(crate) fn matching(&self, event: &Event) -> Vec<(Arc<Hook>, DeliveryId)> {
        let snapshot = self.snapshot.load();
        let of_tenant = snapshot.0.get(&event.tenant);
        let Some(hooks) = of_tenant.and_then(|of_tenant| of_tenant.by_doctype.get(&event.doctype)) else {
            return vec![];
        };
        hooks
            .iter()
            .filter(|hook| matching::matches(hook.webhook(), event))
            .map(|hook| (hook.clone(), DeliveryId::of(&event.tenant, &event.id, &hook.name)))
            .collect()
    }

    pub(crate) fn find(&self, tenant: &TenantId, name: &WebhookName) -> Option<Arc<Hook>> {
        self.snapshot.load().0.get(tenant)?.by_name.get(name).cloned()
    }

    pub(crate) fn list(&self, tenant: &TenantId) -> Vec<StoredWebhook> {
        let snapshot = self.snapshot.load();
        let of_tenant = snapshot.0.get(tenant);
        let mut hooks: Vec<_> = of_tenant.into_iter().flat_map(|of_tenant| of_tenant.by_name.values()).collect();
        hooks.sort_by(|a, b| a.name.cmp(&b.name));
        hooks.into_iter().map(|hook| StoredWebhook::from(&**hook)).collect()
    }

    /// Saves a webhook, new or changed; answers with the stored form and whether it is new.
    pub(crate) async fn put(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: Webhook,
        now: Timestamp,
    ) -> Result<(StoredWebhook, bool), EngineError> {
        if let Some(other) = webhook.name.as_ref().filter(|other| *other != name) {
            return Err(
                WebhookError::invalid("name", format!("is {other:?}, but the webhook is saved as {name:?}")).into()
            );
        }
        // Before anybody has to wait for it: a name may take its time to be resolved.
        self.check_addresses(&webhook).await?;
        let _turn = self.writing.lock().await;
        let stored = self.find(tenant, name);
        let mut webhook = webhook.with_secrets_of(stored.as_ref().map(|hook| hook.webhook()))?;
        webhook.secrets.iter_mut().for_each(|secret| secret.settle(now));
        // Only hookmill says why it disabled a webhook, and enabling it again is the answer to that.
        let said = stored.as_ref().and_then(|hook| hook.webhook().disabled.clone());
        webhook.disabled = said.filter(|_| !webhook.enabled);
        self.check_room(tenant, name, &webhook.doctype)?;
        let expected = stored.as_ref().map_or(Revision(0), |hook| hook.revision);
        let hook = self.save(tenant, name, webhook, expected).await?;
        Ok((StoredWebhook::from(&*hook), stored.is_none()))
    }

    /// Prepares a webhook as saving it under this name would, without saving it.
    pub(crate) async fn unsaved(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: Webhook,
        now: Timestamp,
    ) -> Result<Hook, EngineError> {
        self.check_addresses(&webhook).await?;
        let stored = self.find(tenant, name);
        let mut webhook = webhook.with_secrets_of(stored.as_ref().map(|hook| hook.webhook()))?;
        webhook.secrets.iter_mut().for_each(|secret| secret.settle(now));
        Hook::prepare(tenant.clone(), name.clone(), webhook, &self.client, Revision(0))
    }

    /// Refuses a webhook whose receiver is where requests may not go, as far as that can be told beforehand.
    async fn check_addresses(&self, webhook: &Webhook) -> Result<(), EngineError> {
        let receiver = Some(webhook.request_url.as_str()).filter(|_| !webhook.dynamic_url);
        let tokens = match &webhook.auth {
            Some(Auth::OAuth2(oauth2)) => Some(oauth2.token_url.as_str()),
            _ => None,
        };
        for url in receiver.into_iter().chain(tokens).filter_map(|url| Url::parse(url.trim()).ok()) {
            self.client.policy().look_up(&url).await?;
        }
        Ok(())
    }

    /// Disables a webhook for a reason; false if it is disabled already, or gone.
    pub(crate) async fn disable(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        disabled: Disabled,
    ) -> Result<bool, EngineError> {
        let _turn = self.writing.lock().await;
        let Some(stored) = self.find(tenant, name).filter(|hook| hook.webhook().enabled) else { return Ok(false) };
        let webhook = Webhook { enabled: false, disabled: Some(disabled), ..stored.webhook().clone() };
        self.save(tenant, name, webhook, stored.revision).await?;
        Ok(true)
    }

    /// Writes a webhook and lets it match from now on.
    async fn save(
        &self,
        tenant: &TenantId,
        name: &WebhookName,
        webhook: Webhook,
        expected: Revision,
    ) -> Result<Arc<Hook>, EngineError> {
        let json = serde_json::to_string(&webhook).expect("a webhook is JSON");
        let place = config_key(tenant, name);
        let sealed = self.sealer.seal(&place, &json);
        let mut hook = Hook::prepare(tenant.clone(), name.clone(), webhook, &self.client, expected)?;
        hook.revision = self.store.put_config(place, Some(sealed), expected).await?;
        let hook = Arc::new(hook);
        let others = self.snapshot.load().without(tenant, name);
        self.snapshot.store(Arc::new(Snapshot::of(others.into_iter().chain([hook.clone()]))));
        Ok(hook)
    }

    fn check_room(&self, tenant: &TenantId, name: &WebhookName, doctype: &str) -> Result<(), EngineError> {
        let others = self.snapshot.load().without(tenant, name);
        let others =
            others.iter().filter(|other| other.tenant == *tenant && other.webhook().doctype == doctype).count();
        if others < DELIVERIES_PER_EVENT_MAX {
            return Ok(());
        }
        Err(EngineError::Conflict {
            code: "too_many_webhooks",
            what: format!("{doctype} has {others} webhooks already, the most that one DocType may have"),
        })
    }

    pub(crate) async fn delete(&self, tenant: &TenantId, name: &WebhookName) -> Result<(), EngineError> {
        let _turn = self.writing.lock().await;
        let stored = self.find(tenant, name).ok_or_else(|| EngineError::not_found("webhook", name))?;
        self.store.put_config(config_key(tenant, name), None, stored.revision).await?;
        let others = self.snapshot.load().without(tenant, name);
        self.snapshot.store(Arc::new(Snapshot::of(others)));
        Ok(())
    }

    /// Returns the names of a tenant's webhooks that use this plugin in its active version.
    pub(crate) fn with_plugin(&self, tenant: &TenantId, plugin: &PluginName) -> Vec<WebhookName> {
        let snapshot = self.snapshot.load();
        let hooks = snapshot.0.get(tenant).into_iter().flat_map(|of_tenant| of_tenant.by_name.values());
        let uses = |hook: &&Arc<Hook>| {
            hook.webhook().plugin.as_ref().is_some_and(|wanted| wanted.name == *plugin && wanted.digest.is_none())
        };
        hooks.filter(uses).map(|hook| hook.name.clone()).collect()
    }

    /// Tells whether a webhook stays on this version of a plugin.
    pub(crate) fn pins(&self, digest: &hookmill_core::Digest) -> bool {
        let snapshot = self.snapshot.load();
        let mut all = snapshot.0.values().flat_map(|of_tenant| of_tenant.by_name.values());
        all.any(|hook| hook.webhook().plugin.as_ref().is_some_and(|plugin| plugin.digest.as_ref() == Some(digest)))
    }
}

fn config_key(tenant: &TenantId, name: &WebhookName) -> ConfigKey {
    ConfigKey { tenant: tenant.clone(), kind: KIND, name: name.to_string() }
}

fn from_entry(entry: ConfigEntry, client: &Client) -> Result<Hook, EngineError> {
    let name = WebhookName::new(&entry.key.name)?;
    let webhook = Webhook::parse(entry.value.as_bytes())?;
    Hook::prepare(entry.key.tenant, name, webhook, client, entry.revision)
}
