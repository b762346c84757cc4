//! What operators should hear of, told in hookmill's own way: as document events of the DocType `hookmill`, for which
//! anybody may set up a webhook.

use std::sync::Arc;

use hookmill_core::{EventEnvelope, TenantId};
use serde_json::{Value, json};

use crate::engine::Inner;
use crate::publish::new_event_id;

/// The DocType of hookmill's own events, which nobody else may publish.
pub(crate) const OWN_DOCTYPE: &str = "hookmill";

/// What happened; the event's `doc_event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// A receiver failed so often in a row that its deliveries wait.
    WebhookFailing,
    /// It works again.
    WebhookRecovered,
    /// A webhook was disabled.
    WebhookDisabled,
    /// A delivery was given up.
    DeliveryDead,
    /// A plugin failed so often in a row that its deliveries wait.
    PluginSuspended,
    /// A canary did worse than the active version and was taken back.
    CanaryTakenBack,
}

impl News {
    fn doc_event(self) -> &'static str {
        match self {
            Self::WebhookFailing => "webhook_failing",
            Self::WebhookRecovered => "webhook_recovered",
            Self::WebhookDisabled => "webhook_disabled",
            Self::DeliveryDead => "delivery_dead",
            Self::PluginSuspended => "plugin_suspended",
            Self::CanaryTakenBack => "canary_taken_back",
        }
    }
}

impl Inner {
    /// Tells whoever set up a webhook for it; `name` is what the news is of, `details` are fields of the document.
    pub(crate) fn announce(self: &Arc<Self>, tenant: &TenantId, news: News, name: &str, details: Value) {
        let mut doc = json!({"doctype": OWN_DOCTYPE, "name": name});
        for (field, value) in details.as_object().into_iter().flatten() {
            doc[field] = value.clone();
        }
        let envelope = json!({"doctype": OWN_DOCTYPE, "doc_event": news.doc_event(), "doc": doc});
        let event = EventEnvelope::parse(envelope.to_string().as_bytes())
            .and_then(|envelope| envelope.into_event(tenant, self.clock.now(), new_event_id));
        let event = match event {
            Ok(event) => Arc::new(event),
            Err(error) => return tracing::error!(%error, ?news, "news could not be made an event"),
        };
        let hooks = self.webhooks.matching(&event);
        // Most nobody wants to hear.
        if hooks.is_empty() || self.stop.is_cancelled() {
            return;
        }
        let engine = self.clone();
        self.tasks.spawn(async move { engine.publish_own(event, hooks).await });
    }
}
