//! What a webhook would send for an event, without sending it.

use std::sync::Arc;

use hookmill_core::{DeliveryId, EventEnvelope, EventId, Fault, Outcome, PluginRun, Request, TenantId, WebhookName};
use hookmill_delivery::Occasion;
use serde::Serialize;

use crate::EngineError;
use crate::engine::Inner;

/// What a webhook would do with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// Whether DocType and Doc Event match and the webhook is enabled.
    pub matches: bool,
    /// Whether the condition holds; true if there is none, false if it can't be worked out.
    pub condition: bool,
    /// `send`, `skip` or `fail`.
    pub decision: &'static str,
    /// Why nothing would be sent.
    pub reason: Option<String>,
    /// The request with every header that hookmill sets, signature included; secrets masked.
    pub request: Option<Request>,
    /// The plugin's run.
    pub plugin: Option<PluginRun>,
    /// What went wrong.
    pub error: Option<Fault>,
}

impl Inner {
    pub(crate) async fn preview(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &WebhookName,
        envelope: EventEnvelope,
    ) -> Result<Preview, EngineError> {
        let hook = self.webhooks.find(tenant, name).ok_or_else(|| EngineError::not_found("webhook", name))?;
        let now = self.clock.now();
        let event = envelope.into_event(tenant, now, || EventId::new("preview").expect("a valid id"))?;
        let event = Arc::new(event);
        let id = DeliveryId::of(tenant, &event.id, name);
        let matches = hookmill_core::matching::matches(hook.webhook(), &event);
        let choice = self.choose(&hook, &event).await;
        let prepared = self.prepared(&hook, &id, &event, choice).await;
        let ran = prepared.run.is_some();
        let mut preview = Preview {
            matches,
            condition: true,
            decision: "send",
            reason: None,
            request: None,
            plugin: prepared.run,
            error: prepared.fault,
        };
        match prepared.request {
            // People are to see the request, not the secrets in it.
            Ok(request) => match hook.route.preview(&request, &Occasion { id: &id, event: &event, now }) {
                Ok(outgoing) => preview.request = Some(sent_form(request, &outgoing).masked()),
                Err(fault) => {
                    preview.decision = "fail";
                    preview.reason = Some(fault.message.clone());
                    preview.error = Some(fault);
                }
            },
            Err(Outcome::Skipped(reason)) => {
                // Nothing but the condition skips before a plugin runs.
                preview.condition = ran;
                preview.decision = "skip";
                preview.reason = Some(reason);
            }
            Err(Outcome::Refused(fault) | Outcome::Unanswered(fault)) => {
                preview.condition = fault.code != "condition_failed";
                preview.decision = "fail";
                preview.reason = Some(fault.message.clone());
                preview.error = Some(fault);
            }
            Err(Outcome::Answered { .. } | Outcome::Judged { .. }) => unreachable!("a preview sends nothing"),
        }
        Ok(preview)
    }
}

/// The request with the headers that it would go out with.
fn sent_form(request: Request, outgoing: &hookmill_delivery::Outgoing) -> Request {
    let headers = outgoing
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Request { headers, ..request }
}
