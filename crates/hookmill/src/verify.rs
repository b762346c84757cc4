//! Whether what was sent is what the recorded plugin version makes of the recorded event.

use std::sync::Arc;

use hookmill_core::{Attempt, DeliveryId, Digest, PluginRun, TenantId};
use serde::Serialize;

use crate::EngineError;
use crate::engine::Inner;
use crate::prepare::prepare;

/// What a second run of a recorded transform gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Whether input, engine and output are the same: then the request is proven to come from event and plugin.
    pub verified: bool,
    /// The version of the plugin that ran.
    pub plugin: Digest,
    /// Whether the plugin was handed the same; it is not once the webhook's rows, headers or settings were changed.
    pub input: Compared,
    /// Whether engine and limits are the same.
    pub engine: Compared,
    /// Whether the plugin decided the same, byte for byte.
    pub output: Compared,
    /// Whether the recorded request bears the very bytes of this decision.
    pub request: Compared,
}

/// A digest as recorded and as found now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// Whether both are there and the same.
    pub same: bool,
    /// As recorded.
    pub recorded: Option<Digest>,
    /// As found now.
    pub now: Option<Digest>,
}

impl Compared {
    fn new(recorded: Option<Digest>, now: Option<Digest>) -> Self {
        Self { same: recorded == now, recorded, now }
    }
}

impl Inner {
    pub(crate) async fn verify(&self, tenant: &TenantId, id: DeliveryId) -> Result<Verification, EngineError> {
        // As it was sent, and not as it is shown: a request with a masked secret is another one.
        let detail = self.store.delivery(tenant, id).await?.ok_or_else(|| EngineError::not_found("delivery", id))?;
        let last = detail.attempts.iter().rev().find_map(|attempt| Some((attempt, attempt.plugin.as_ref()?)));
        let (attempt, recorded) = last.ok_or_else(|| EngineError::Conflict {
            code: "delivery_without_plugin",
            what: format!("no plugin ran for the delivery {id}, so there is nothing to run again"),
        })?;
        let webhook = &detail.row.webhook;
        let hook = self.webhooks.find(tenant, webhook).ok_or_else(|| EngineError::not_found("webhook", webhook))?;
        // What was kept from other calls must have no part in it.
        let plugin = self.plugins.version(tenant, &recorded.name, recorded.digest).await?.fresh();
        let event = Arc::new(detail.event.clone());
        let run = self.guests.run(&Arc::default(), move || prepare(&hook, Some(&plugin), &event, &id), |_| false).await;
        let run = run.ok_or(EngineError::ShuttingDown)?;
        Ok(compare(recorded, attempt, run.run.as_ref(), run.request.ok().as_ref()))
    }
}

fn compare(
    recorded: &PluginRun,
    attempt: &Attempt,
    now: Option<&PluginRun>,
    request: Option<&hookmill_core::Request>,
) -> Verification {
    let digest =
        |request: &hookmill_core::Request| Digest::of(&serde_json::to_vec(request).expect("a request is JSON"));
    let input = Compared::new(recorded.input_hash, now.and_then(|run| run.input_hash));
    let engine = Compared::new(recorded.engine_hash, now.and_then(|run| run.engine_hash));
    let output = Compared::new(recorded.output_hash, now.and_then(|run| run.output_hash));
    let request = Compared::new(attempt.request.as_ref().map(digest), request.map(digest));
    let proven = recorded.output_hash.is_some() && recorded.input_hash.is_some();
    let verified = proven && input.same && engine.same && output.same && request.same;
    Verification { verified, plugin: recorded.digest, input, engine, output, request }
}
