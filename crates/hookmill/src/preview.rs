//! What a webhook would send for an event; and sending it once, to see what the receiver says.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::DeliveryQuery;
use hookmill_core::{
    DeliveryId, Event, EventEnvelope, EventId, Fault, Outcome, PluginRun, Request, Response, TenantId, Webhook,
    WebhookName, attempt,
};
use hookmill_delivery::{Occasion, Sent};
use jiff::Timestamp;
use serde::Serialize;

use crate::EngineError;
use crate::choose::Choice;
use crate::engine::Inner;
use crate::judge::Judged;
use crate::publish::new_event_id;
use crate::webhooks::Hook;

/// For which event a webhook is tried out.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "made by whoever asks")]
pub enum TriedEvent {
    /// This one; it is not recorded.
    Given(EventEnvelope),
    /// The recorded one with this id, if it owes a delivery.
    Recorded(EventId),
    /// The one that owes this delivery.
    Of(DeliveryId),
}

impl From<EventEnvelope> for TriedEvent {
    fn from(envelope: EventEnvelope) -> Self {
        Self::Given(envelope)
    }
}

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

/// What came of sending a webhook's request once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TestSend {
    /// What was to be sent, and whether it was: only where the decision is `send`.
    #[serde(flatten)]
    pub preview: Preview,
    /// Whether sending was begun; not if nothing is to be sent, or may be sent there.
    pub sent: bool,
    /// What a delivery would have become of it: `delivered`, `retry`, `parked` or `dead`.
    pub outcome: Option<&'static str>,
    /// The receiver's answer, if one came; secrets masked.
    pub response: Option<Response>,
    /// From the start of connecting to the last byte that was read.
    pub duration_ms: Option<u64>,
    /// The run in which the plugin judged the answer, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<PluginRun>,
}

/// A webhook, an event and what the one makes of the other.
struct Trial {
    hook: Arc<Hook>,
    event: Arc<Event>,
    choice: Choice,
    /// The id under which the request is shown and sent.
    id: DeliveryId,
    /// The moment of timestamp and signature.
    now: Timestamp,
    /// The request itself, with its secrets; none if nothing is to be sent.
    request: Option<Request>,
    preview: Preview,
}

impl Inner {
    pub(crate) async fn preview(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &WebhookName,
        which: TriedEvent,
    ) -> Result<Preview, EngineError> {
        let hook = self.webhooks.find(tenant, name).ok_or_else(|| EngineError::not_found("webhook", name))?;
        let event = self.tried_event(tenant, which).await?;
        let id = DeliveryId::of(tenant, &event.id, name);
        Ok(self.try_out(hook, event, id).await.preview)
    }

    /// Previews a webhook that need not be saved, after the checks that saving it would make.
    pub(crate) async fn preview_unsaved(
        self: &Arc<Self>,
        tenant: &TenantId,
        webhook: Webhook,
        which: TriedEvent,
    ) -> Result<Preview, EngineError> {
        let event = self.tried_event(tenant, which).await?;
        let name = webhook.name.clone().unwrap_or_else(|| WebhookName::new("unsaved").expect("a valid name"));
        self.check_settings(tenant, &name, &webhook).await?;
        let hook = Arc::new(self.webhooks.unsaved(tenant, &name, webhook, self.clock.now()).await?);
        let id = DeliveryId::of(tenant, &event.id, &name);
        Ok(self.try_out(hook, event, id).await.preview)
    }

    /// Sends one request, now. Nothing is recorded, tried again or counted, so it says nothing of the receiver to others.
    pub(crate) async fn test_send(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &WebhookName,
        which: TriedEvent,
    ) -> Result<TestSend, EngineError> {
        if self.stop.is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let hook = self.webhooks.find(tenant, name).ok_or_else(|| EngineError::not_found("webhook", name))?;
        let event = self.tried_event(tenant, which).await?;
        // Another id each time: a receiver that knows repeats by it must not take a test for one, nor the delivery itself
        // for a repeat of its test.
        let id = DeliveryId::of(tenant, &new_event_id(), name);
        let trial = self.try_out(hook, event, id).await;
        let Trial { hook, event, choice, id, now, request, mut preview } = trial;
        let Some(request) = request else {
            return Ok(TestSend {
                preview,
                sent: false,
                outcome: None,
                response: None,
                duration_ms: None,
                judge: None,
            });
        };
        let Sent { outcome, response, took, .. } =
            hook.route.send(&request, &Occasion { id: &id, event: &event, now }).await;
        let Judged { outcome, run: judge, fault } =
            self.judged(&hook, &id, &event, &choice, outcome, response.as_ref()).await;
        let webhook = hook.webhook();
        let verdict = attempt::judge(&outcome, &webhook.success, &webhook.retry, 1, now, 0.0);
        let sent = !matches!(outcome, Outcome::Refused(_));
        preview.error = preview.error.or(fault).or(match outcome {
            Outcome::Unanswered(fault) | Outcome::Refused(fault) => Some(fault),
            Outcome::Answered { .. } | Outcome::Judged { .. } | Outcome::Skipped(_) => None,
        });
        preview.reason = (verdict.outcome() != "delivered").then(|| verdict.clone().into_status().reason).flatten();
        Ok(TestSend {
            preview,
            sent,
            outcome: Some(verdict.outcome()),
            response: response.map(Response::masked),
            duration_ms: Some(millis(took)),
            judge,
        })
    }

    async fn tried_event(&self, tenant: &TenantId, which: TriedEvent) -> Result<Arc<Event>, EngineError> {
        let id = match which {
            TriedEvent::Given(envelope) => {
                let made = || EventId::new("preview").expect("a valid id");
                return Ok(Arc::new(envelope.into_event(tenant, self.clock.now(), made)?));
            }
            TriedEvent::Of(id) => id,
            TriedEvent::Recorded(event) => {
                let query = DeliveryQuery { event_id: Some(event.to_string()), ..DeliveryQuery::default() };
                let mut cursor = None;
                loop {
                    let page = self.store.search(tenant, &query, cursor, 1).await?;
                    match (page.rows.first(), page.next) {
                        (Some(row), _) => break row.id,
                        (None, None) => return Err(EngineError::not_found("event with a delivery", event)),
                        (None, next) => cursor = next,
                    }
                }
            }
        };
        let detail = self.store.delivery(tenant, id).await?;
        Ok(detail.ok_or_else(|| EngineError::not_found("delivery", id))?.event)
    }

    /// Does everything up to sending. The plugin gets the id that the delivery itself has, for what it draws at random
    /// comes from that; the request is shown under `id`.
    async fn try_out(self: &Arc<Self>, hook: Arc<Hook>, event: Arc<Event>, id: DeliveryId) -> Trial {
        let choice = self.choose(&hook, &event, false).await;
        let own_id = DeliveryId::of(&hook.tenant, &event.id, &hook.name);
        let prepared = self.prepared(&hook, &own_id, &event, choice.clone()).await;
        let ran = prepared.run.is_some();
        let mut preview = Preview {
            matches: hookmill_core::matching::matches(hook.webhook(), &event),
            condition: true,
            decision: "send",
            reason: None,
            request: None,
            plugin: prepared.run,
            error: prepared.fault,
        };
        let mut to_send = None;
        let now = self.clock.now();
        match prepared.request {
            Ok(request) => {
                match hook.route.preview(&request, &Occasion { id: &id, event: &event, now }) {
                    Ok(outgoing) => {
                        // People are to see the request, not the secrets in it.
                        preview.request = Some(sent_form(request.clone(), &outgoing).masked());
                        to_send = Some(request);
                    }
                    Err(fault) => preview.fail(fault),
                }
            }
            Err(Outcome::Skipped(reason)) => {
                // Nothing but the condition skips before a plugin runs.
                preview.condition = ran;
                preview.decision = "skip";
                preview.reason = Some(reason);
            }
            Err(Outcome::Refused(fault) | Outcome::Unanswered(fault)) => {
                preview.condition = fault.code != "condition_failed";
                preview.fail(fault);
            }
            Err(Outcome::Answered { .. } | Outcome::Judged { .. }) => unreachable!("nothing was sent yet"),
        }
        Trial { hook, event, choice, id, now, request: to_send, preview }
    }
}

impl Preview {
    fn fail(&mut self, fault: Fault) {
        self.decision = "fail";
        self.reason = Some(fault.message.clone());
        self.error = Some(fault);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
