//! How webhooks fare over days: one whose receiver has failed for long is disabled, and so is one that is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::attempt::Verdict;
use hookmill_core::ports::{Clock, ConfigKey, Moment, Revision, Store, StoreError};
use hookmill_core::webhook::Disabled;
use hookmill_core::{Event, Outcome, TenantId, WebhookName};
use jiff::Timestamp;
use serde_json::json;

use crate::announce::{News, OWN_DOCTYPE};
use crate::clock::{on_the_wall, until};
use crate::engine::Inner;
use crate::scheduler::{Ticket, Turned};
use crate::webhooks::Hook;

const KIND: &str = "failing";

/// For how long a webhook must have failed until that is written down, so as to survive a restart: failures that pass
/// sooner cost no write.
const WRITTEN_AFTER: Duration = Duration::from_secs(3600);

type Key = (TenantId, WebhookName);

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Timestamp,
    /// How long that had lasted, at a moment of steady time: a clock that is set makes it no longer.
    lasted: (Duration, Moment),
    /// Set once it is written down.
    revision: Option<Revision>,
    writing: bool,
}

/// Answers before the request itself that are no, of the token server and of the receiver. A token server that is away or
/// says nonsense is an outage: it hits many webhooks at once and ends without them being changed.
const NO_BEFORE_THE_REQUEST: [&str; 2] = ["auth_token_refused", "handshake_failed"];

/// Tells whether a failure speaks against the receiver, or against how the webhook shows itself there. Days of a dead proxy
/// or of a host that is too busy must not disable what works.
fn speaks_against(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered { .. } | Outcome::Judged { .. } => true,
        Outcome::Unanswered(fault) => {
            outcome.is_the_receivers_failure() || NO_BEFORE_THE_REQUEST.contains(&&*fault.code)
        }
        Outcome::Skipped(_) | Outcome::Refused(_) => false,
    }
}

/// Since when webhooks have done nothing but fail. Those that work are not here.
#[derive(Debug)]
pub(crate) struct Health {
    failing: Mutex<HashMap<Key, Failing>>,
    disable_after: Option<Duration>,
}

impl Health {
    /// Reads what an earlier run wrote down.
    pub(crate) async fn open(
        store: &dyn Store,
        clock: &dyn Clock,
        disable_after: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (now, steady) = (clock.now(), clock.steady());
        let mut failing = HashMap::new();
        for entry in store.config(KIND).await? {
            if let (Ok(name), Ok(since)) = (WebhookName::new(&entry.key.name), serde_json::from_str(&entry.value)) {
                let lasted = (until(now, since), steady);
                let entry_failing = Failing { since, lasted, revision: Some(entry.revision), writing: false };
                failing.insert((entry.key.tenant, name), entry_failing);
            }
        }
        Ok(Self { failing: Mutex::new(failing), disable_after })
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<Key, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a success; returns what was known of the webhook.
    fn succeeded(&self, hook: &Hook) -> Option<Failing> {
        let mut failing = self.failing();
        if failing.is_empty() {
            return None;
        }
        failing.remove(&(hook.tenant.clone(), hook.name.clone()))
    }

    /// Takes note of a failure; returns since when there was nothing else, whether that is too long, and whether it is to
    /// be written down now.
    fn failed(&self, hook: &Hook, now: Timestamp, steady: Moment) -> (Timestamp, bool, bool) {
        let mut failing = self.failing();
        let fresh = Failing { since: now, lasted: (Duration::ZERO, steady), revision: None, writing: false };
        let known = failing.entry((hook.tenant.clone(), hook.name.clone())).or_insert(fresh);
        let lasted = known.lasted.0 + steady.since(known.lasted.1);
        let lasting = lasted >= WRITTEN_AFTER;
        let write = lasting && known.revision.is_none() && !std::mem::replace(&mut known.writing, lasting);
        let too_long = self.disable_after.is_some_and(|after| lasted >= after);
        (known.since, too_long, write)
    }
}

impl Inner {
    /// Takes note of how a try of a webhook went.
    ///
    /// A webhook that is to be disabled is so when this returns, before anything else of it may go out.
    pub(crate) async fn note_health(self: &Arc<Self>, hook: &Arc<Hook>, outcome: &Outcome, verdict: &Verdict) {
        let now = self.clock.now();
        if *verdict == Verdict::Delivered {
            if let Some(Failing { revision: Some(revision), .. }) = self.health.succeeded(hook) {
                self.write_health(hook, None, revision);
            }
            return;
        }
        let gone = matches!(outcome, Outcome::Answered { status: 410, .. });
        match outcome {
            // Elsewhere, other documents of the same webhook may be welcome.
            Outcome::Answered { .. } if gone && !hook.has_one_url() => {}
            Outcome::Answered { .. } if gone => self.disable(hook, "the receiver answered 410 Gone".into()).await,
            _ if speaks_against(outcome) => {
                let (since, too_long, write) = self.health.failed(hook, now, self.clock.steady());
                if write {
                    self.write_health(hook, Some(since), Revision(0));
                }
                if too_long {
                    self.disable(hook, format!("nothing was delivered since {since}, and every try failed")).await;
                }
            }
            _ => {}
        }
    }

    /// Writes down since when a webhook fails, or that it does not any more.
    fn write_health(self: &Arc<Self>, hook: &Arc<Hook>, since: Option<Timestamp>, expected: Revision) {
        let (engine, hook) = (self.clone(), hook.clone());
        self.tasks.spawn(async move {
            let key = ConfigKey { tenant: hook.tenant.clone(), kind: KIND, name: hook.name.to_string() };
            let value = since.map(|since| json!(since).to_string());
            match engine.store.put_config(key, value, expected).await {
                Ok(revision) => {
                    if let Some(known) = engine.health.failing().get_mut(&(hook.tenant.clone(), hook.name.clone())) {
                        known.revision = Some(revision).filter(|_| since.is_some());
                    }
                }
                Err(error) => tracing::warn!(webhook = %hook.name, %error, "how a webhook fares was not written down"),
            }
        });
    }

    /// Disables a webhook: no event matches it, and what it owes is parked, until somebody enables it again.
    async fn disable(self: &Arc<Self>, hook: &Hook, reason: String) {
        let disabled = Disabled { at: self.clock.now(), reason: reason.clone() };
        match self.webhooks.disable(&hook.tenant, &hook.name, disabled).await {
            Ok(true) => {
                tracing::warn!(webhook = %hook.name, tenant = %hook.tenant, reason, "a webhook was disabled; what it owes is parked");
                self.tell_of(hook, News::WebhookDisabled, &reason);
            }
            // Somebody was quicker.
            Ok(false) => {}
            // It fails on, so the next failure leads here again.
            Err(error) => {
                tracing::error!(webhook = %hook.name, %error, "a webhook could not be disabled");
                return;
            }
        }
        self.health.succeeded(hook);
    }

    /// Tells of a webhook, unless it is one that tells such news itself: its trouble would be news without end.
    fn tell_of(self: &Arc<Self>, hook: &Hook, news: News, reason: &str) {
        if hook.webhook().doctype != OWN_DOCTYPE {
            let details =
                json!({"webhook": hook.name, "request_url": hook.webhook().masked().request_url, "reason": reason});
            self.announce(&hook.tenant, news, hook.name.as_str(), details);
        }
    }

    /// Tells that a delivery was given up.
    pub(crate) fn tell_of_dead(self: &Arc<Self>, hook: &Hook, ticket: &Ticket, event: &Event, reason: &str) {
        if event.doctype != OWN_DOCTYPE {
            let details = json!({
                "delivery": ticket.pending.id, "webhook": hook.name, "event_id": event.id, "event_doctype": event.doctype,
                "document": event.document, "reason": reason,
            });
            self.announce(&hook.tenant, News::DeliveryDead, &ticket.pending.id.to_string(), details);
        }
    }

    /// Tells that a receiver is left alone for a while, or works again.
    pub(crate) fn tell_of_turn(self: &Arc<Self>, hook: &Hook, turned: Turned) {
        match turned {
            Turned::Away(until) => {
                let until = on_the_wall(&*self.clock, until);
                tracing::warn!(webhook = %hook.name, tenant = %hook.tenant, %until, "a receiver keeps failing; its deliveries wait");
                let reason =
                    format!("its receiver keeps failing; what it owes waits until {until}, then one delivery is tried");
                self.tell_of(hook, News::WebhookFailing, &reason);
            }
            Turned::Back => {
                tracing::info!(webhook = %hook.name, tenant = %hook.tenant, "a receiver works again");
                self.tell_of(hook, News::WebhookRecovered, "its receiver answers again");
            }
        }
    }
}
