//! A running engine with a receiver beside it: what most tests stand on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hookmill::core::{DeliveryId, DeliveryState, Digest, PluginName};
use hookmill::{
    DeliveryDetail, Engine, EngineConfig, EngineError, EventEnvelope, Published, TenantId, Webhook, WebhookName,
};
use hookmill_testing::{Receiver, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An engine in a folder of its own that may send to this machine, and a receiver.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) engine: Engine,
    pub(crate) receiver: Receiver,
    pub(crate) data: TempDir,
}

/// The folder of watched plugins, beside the data of the engine that watches it.
const WATCHED: &str = "watched";

/// The settings of an engine under test.
pub(crate) fn config(data: &Path) -> EngineConfig {
    let mut config = EngineConfig::new(data);
    config.allow = vec!["127.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")];
    config.guest_threads = 2;
    config.plugins_dir = Some(data.join(WATCHED)).filter(|dir| dir.is_dir());
    config
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn webhook_name(name: &str) -> WebhookName {
    WebhookName::new(name).expect("a valid name")
}

pub(crate) fn plugin_name(name: &str) -> PluginName {
    PluginName::new(name).expect("a valid name")
}

pub(crate) fn event(json: &Value) -> EventEnvelope {
    EventEnvelope::parse(json.to_string().as_bytes()).expect("an event")
}

/// An event of the DocType Note for the document of this name.
pub(crate) fn note(document: &str) -> EventEnvelope {
    event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": document}}))
}

/// A webhook's JSON: for every event of Notes, to `url`, with `fields` besides.
pub(crate) fn webhook_json(url: &str, fields: &Value) -> Value {
    let mut webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": url});
    for (name, value) in fields.as_object().expect("fields") {
        webhook[name] = value.clone();
    }
    webhook
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::on(TempDir::new().expect("a folder")).await
    }

    /// The same with a watched plugin directory.
    pub(crate) async fn watching() -> Self {
        let data = TempDir::new().expect("a folder");
        std::fs::create_dir(data.path().join(WATCHED)).expect("a folder for plugins");
        Self::on(data).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let data = TempDir::new().expect("a folder");
        let mut config = config(data.path());
        change(&mut config);
        let engine = Engine::start(config).await.expect("the engine starts");
        Self { engine, receiver: Receiver::start(), data }
    }

    async fn on(data: TempDir) -> Self {
        let engine = Engine::start(config(data.path())).await.expect("the engine starts");
        Self { engine, receiver: Receiver::start(), data }
    }

    /// Returns the path of a file in the watched plugin directory.
    pub(crate) fn watched(&self, file: &str) -> PathBuf {
        self.data.path().join(WATCHED).join(file)
    }

    /// Saves a webhook for Notes that sends to the receiver, with `fields` besides.
    pub(crate) async fn webhook(&self, name: &str, fields: Value) {
        self.try_webhook(name, fields).await.expect("the webhook is saved");
    }

    /// The same; returns the stored form, or why it was not saved.
    pub(crate) async fn try_webhook(&self, name: &str, fields: Value) -> Result<Value, EngineError> {
        let json = webhook_json(&self.receiver.url("/in"), &fields);
        let webhook = Webhook::parse(json.to_string().as_bytes()).expect("a webhook");
        let (stored, _) = self.engine.put_webhook(&tenant(), &webhook_name(name), webhook).await?;
        Ok(serde_json::to_value(&stored).expect("JSON"))
    }

    /// Uploads and activates a plugin.
    pub(crate) async fn plugin(&self, name: &str, wasm: Vec<u8>) -> Digest {
        let version = self.engine.upload_plugin(&tenant(), &plugin_name(name), wasm, true).await;
        version.expect("the plugin is taken").digest
    }

    /// Publishes an event that owes one delivery, and returns its id.
    pub(crate) async fn publish(&self, event: EventEnvelope) -> DeliveryId {
        let Published { deliveries, .. } = self.engine.publish(&tenant(), event).await.expect("the event is taken");
        assert_eq!(deliveries.len(), 1, "one delivery was expected");
        deliveries[0]
    }

    pub(crate) async fn detail(&self, id: DeliveryId) -> DeliveryDetail {
        self.engine.delivery(&tenant(), id).await.expect("the delivery is there")
    }

    /// Waits until a delivery is in this state.
    pub(crate) async fn reaches(&self, id: DeliveryId, state: DeliveryState) -> DeliveryDetail {
        self.looks(id, state.as_str(), |detail| detail.row.status.state == state).await
    }

    /// Waits until a delivery has had so many attempts.
    pub(crate) async fn tried(&self, id: DeliveryId, attempts: usize) -> DeliveryDetail {
        self.looks(id, &format!("tried {attempts} times"), |detail| detail.attempts.len() >= attempts).await
    }

    pub(crate) async fn looks(
        &self,
        id: DeliveryId,
        what: &str,
        holds: impl Fn(&DeliveryDetail) -> bool,
    ) -> DeliveryDetail {
        let what = format!("{id} to be {what}");
        wait_for(&what, async || Some(self.detail(id).await).filter(&holds)).await
    }

    /// Stops the engine in good order and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let Self { engine, receiver, data } = self;
        engine.shutdown(Duration::from_secs(10)).await;
        drop(engine);
        let mut config = config(data.path());
        change(&mut config);
        let engine = Engine::start(config).await.expect("the engine starts again");
        Self { engine, receiver, data }
    }
}

/// Returns the error of a delivery's last attempt.
pub(crate) fn last_error(detail: &DeliveryDetail) -> (String, String) {
    let attempt = detail.attempts.last().expect("an attempt");
    let fault = attempt.error.clone().expect("an error");
    (fault.code, fault.message)
}
