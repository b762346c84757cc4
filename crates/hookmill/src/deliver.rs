//! The walk of one delivery, from its turn to its verdict. Only [`Inner::deliver`] knows the order of the steps.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use hookmill_core::ports::{Moment, NewAttempt, StoreError, Work};
use hookmill_core::retry::Retry;
use hookmill_core::webhook::Success;
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, Event, Fault, Outcome, PluginRun, Request, Response, Webhook, attempt,
};
use hookmill_delivery::{Occasion, Sent};
use jiff::Timestamp;

use crate::choose::Choice;
use crate::clock::until;
use crate::engine::Inner;
use crate::feed::Settled;
use crate::judge::Judged;
use crate::prepare::Prepared;
use crate::scheduler::{Felt, Ticket};
use crate::unrecorded::{Recorded, Unrecorded};
use crate::webhooks::Hook;

/// After how long a delivery is taken up again that the host itself could not handle.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The longest that a receiver is left alone on its own word. Each delivery waits for as long as it asked for itself.
const REST_MAX: Duration = Duration::from_secs(3600);

/// What one try led to, before it is judged.
struct Try {
    outcome: Outcome,
    /// The request, where it was rendered in this try.
    rendered: Option<Request>,
    response: Option<Response>,
    run: Option<PluginRun>,
    /// The plugin's look at the response.
    judge: Option<PluginRun>,
    fault: Option<Fault>,
    /// Whether a version on trial failed, so that the active one is to make the request.
    by_trial: bool,
}

/// When a try began, and when its outcome was known.
#[derive(Debug, Clone, Copy)]
struct Times {
    begun: Timestamp,
    ended: Timestamp,
    took: Duration,
}

impl Inner {
    /// Starts everything whose turn it is.
    pub(crate) fn pump(self: &Arc<Self>) {
        let now = self.clock.steady();
        // What can't be recorded is better not begun.
        while !self.unrecorded.is_full() {
            // Taken and released each time: a delivery that ends meanwhile wants it too.
            let Some(ticket) = self.scheduler().next(now) else { break };
            let engine = self.clone();
            self.tasks.spawn(async move {
                let place = ticket.clone();
                if AssertUnwindSafe(engine.clone().deliver(ticket)).catch_unwind().await.is_err() {
                    engine.try_again_after_a_panic(&place);
                }
            });
        }
        if self.scheduler().due_moved() {
            self.timer.notify_one();
        }
    }

    /// Tries one delivery and settles what came of it.
    async fn deliver(self: Arc<Self>, mut ticket: Ticket) {
        let (begun, since) = (self.clock.now(), self.clock.steady());
        let work = match self.work(&mut ticket).await {
            Ok(Some(work)) => work,
            // Retention has taken it, or somebody by hand.
            Ok(None) => return self.not_tried(&ticket, None),
            Err(error) => {
                tracing::error!(delivery = %ticket.pending.id, %error, "a waiting delivery can't be read; it is read again soon");
                let mut again = ticket.clone();
                again.due = since.after(AGAIN_AFTER);
                return self.not_tried(&ticket, Some(again));
            }
        };
        let hook = self.webhooks.find(&ticket.pending.tenant, &ticket.pending.webhook);
        let choice = match &hook {
            Some(hook) if work.request.is_none() => self.choose(hook, &work.event, ticket.past_trial).await,
            _ => Choice::Nothing,
        };
        if let Some(moment) = hook.as_ref().and_then(|hook| self.suspended_until(hook, &choice)) {
            let mut again = ticket.clone();
            again.due = moment;
            again.held = true;
            return self.not_tried(&ticket, Some(again));
        }
        ticket.held = false;
        let tried = match &hook {
            Some(hook) if hook.webhook().disabled.is_some() => {
                Try::refused("webhook_disabled", "the webhook was disabled before this delivery went out")
            }
            Some(hook) => {
                let tried = self.attempt(hook, &ticket, &work, &choice).await;
                self.fared(hook, &choice, tried.run.as_ref(), tried.fault.as_ref(), &tried.outcome);
                tried
            }
            None => Try::refused("webhook_deleted", "the webhook was deleted before this delivery went out"),
        };
        let now = self.clock.now();
        ticket.past_trial |= tried.by_trial;
        // The failure of a version on trial costs no try.
        ticket.pending.tries += u32::from(!tried.by_trial);
        let verdict = match &hook {
            Some(_) if tried.by_trial => tried.over_to_the_active_version(now),
            Some(hook) => {
                let Webhook { success, retry, .. } = hook.webhook();
                let tries = ticket.pending.tries;
                let verdict = attempt::judge(&tried.outcome, success, retry, tries, now, rand::random());
                self.note_health(hook, &tried.outcome, &verdict).await;
                verdict
            }
            None => attempt::judge(&tried.outcome, &Success::default(), &Retry::default(), 1, now, 0.0),
        };
        let times = Times { begun, ended: now, took: self.clock.steady().since(since) };
        self.settle(ticket, hook.as_deref(), &work.event, times, tried, verdict).await;
    }

    /// Frees the place of a delivery whose task panicked; it is tried again soon, as after a crash.
    fn try_again_after_a_panic(self: &Arc<Self>, ticket: &Ticket) {
        tracing::error!(delivery = %ticket.pending.id, "a delivery's task panicked; it is tried again soon; please report this");
        let mut again = ticket.clone();
        again.due = self.clock.steady().after(AGAIN_AFTER);
        self.not_tried(ticket, Some(again));
    }

    /// Returns the event and the kept request; none if the delivery is gone.
    async fn work(&self, ticket: &mut Ticket) -> Result<Option<Work>, StoreError> {
        // A first try of a fresh event has no kept request, and its event is at hand.
        if let Some(event) = ticket.event.take() {
            return Ok(Some(Work { event, request: None }));
        }
        Ok(self.store.bodies(&[ticket.pending.key]).await?.pop().flatten())
    }

    /// Steps 5 to 7: what is to be sent, and sending it.
    async fn attempt(self: &Arc<Self>, hook: &Arc<Hook>, ticket: &Ticket, work: &Work, choice: &Choice) -> Try {
        let (request, prepared) = match &work.request {
            Some(kept) => (kept.clone(), None),
            None => {
                let Prepared { request, run, fault } =
                    self.prepared(hook, &ticket.pending.id, &work.event, choice.clone()).await;
                if ticket.is_slow() {
                    self.scheduler().rendered(ticket.pending.key, self.clock.steady());
                    self.pump();
                }
                match request {
                    // Whatever the webhook says of failures: the active version may well not fail.
                    _ if let Some(fault) = &fault
                        && self.fails_on_trial(hook, choice, fault) =>
                    {
                        let outcome = Outcome::Refused(fault.clone());
                        return Try { by_trial: true, ..Try::ended(outcome, run, Some(fault.clone())) };
                    }
                    Ok(request) => (Arc::new(request), Some((run, fault))),
                    Err(outcome) => return Try::ended(outcome, run, fault),
                }
            }
        };
        let rendered = prepared.is_some().then(|| (*request).clone());
        let (run, fault) = prepared.unwrap_or_default();
        let now = self.clock.now();
        let occasion = Occasion { id: &ticket.pending.id, event: &work.event, now };
        let Sent { outcome, response, .. } = hook.route.send(&request, &occasion).await;
        let id = &ticket.pending.id;
        let judged = self.judged(hook, id, &work.event, choice, outcome, response.as_ref()).await;
        let Judged { outcome, run: judge, fault: judge_fault } = judged;
        Try { outcome, rendered, response, run, judge, fault: fault.or(judge_fault), by_trial: false }
    }

    /// Settles a delivery whose place a later event of its document took.
    pub(crate) fn give_way(self: &Arc<Self>, ticket: &Ticket, to: DeliveryId) {
        let status =
            attempt::Verdict::Skipped(format!("a later event of the document took its place: {to}")).into_status();
        let skipped = Attempt::skipped(self.clock.now());
        let attempt = Arc::new(NewAttempt { delivery: ticket.pending.key, attempt: skipped, status });
        let engine = self.clone();
        self.tasks.spawn(async move {
            if engine.record(&attempt).await == Recorded::NotYet {
                engine.keep_unrecorded(Unrecorded { attempt, ticket: None, again: None, settled: None });
            }
        });
    }

    /// Step 9: records the attempt with its verdict, and frees the receiver for the next.
    async fn settle(
        self: &Arc<Self>,
        ticket: Ticket,
        hook: Option<&Hook>,
        event: &Event,
        Times { begun, ended, took }: Times,
        tried: Try,
        verdict: attempt::Verdict,
    ) {
        let now = self.clock.steady();
        let felt = felt(&tried.outcome, now);
        if let (Some(hook), attempt::Verdict::Dead(reason)) = (hook, &verdict) {
            self.tell_of_dead(hook, &ticket, event, reason);
        }
        let outcome = verdict.outcome();
        let status = verdict.into_status();
        let state = status.state;
        let error = tried.fault.or(match tried.outcome {
            Outcome::Unanswered(fault) | Outcome::Refused(fault) => Some(fault),
            Outcome::Answered { .. } | Outcome::Judged { .. } | Outcome::Skipped(_) => None,
        });
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // Most of the time nobody listens, and then nothing is told.
        let settled = (self.feed.receiver_count() > 0).then(|| Settled {
            at: begun,
            delivery: ticket.pending.id,
            tenant: ticket.pending.tenant.to_string(),
            webhook: ticket.pending.webhook.to_string(),
            doctype: event.doctype.clone(),
            doc_event: event.doc_event.clone(),
            document: event.document.clone(),
            outcome,
            state: status.state,
            status: tried.response.as_ref().map(|response| response.status),
            duration_ms,
            reason: status.reason.clone(),
            next_attempt_at: status.next_attempt_at,
            replay: ticket.pending.replay.clone(),
        });
        let again = status.next_attempt_at.map(|due| {
            let mut again = ticket.clone();
            again.due = now.after(until(due, ended));
            if let Some(hook) = hook {
                again.receiver = hook.receiver.clone();
            }
            again
        });
        let attempt = Arc::new(NewAttempt {
            delivery: ticket.pending.key,
            attempt: Attempt {
                at: begun,
                outcome: outcome.into(),
                request: tried.rendered,
                // What a receiver keeps secret, a cookie say, nobody reads again.
                response: tried.response.map(Response::masked),
                duration_ms,
                plugin: tried.run,
                judge: tried.judge,
                error,
                replay: ticket.pending.replay.clone(),
            },
            status,
        });
        let now = self.clock.steady();
        let turned = match self.record(&attempt).await {
            Recorded::Yes => {
                self.count_in_replay(&ticket, state);
                self.tell(settled);
                self.scheduler().done(&ticket, again, felt, now)
            }
            Recorded::NotYet => {
                let turned = self.scheduler().freed(&ticket, felt, now);
                self.keep_unrecorded(Unrecorded { attempt, ticket: Some(ticket), again, settled });
                turned
            }
            Recorded::Never => return,
        };
        self.pump();
        if let (Some(hook), Some(turned)) = (hook, turned) {
            self.tell_of_turn(hook, turned);
        }
    }

    /// Counts what became of a delivery in the replay that it is part of, if it is.
    pub(crate) fn count_in_replay(self: &Arc<Self>, ticket: &Ticket, state: DeliveryState) {
        if let Some(replay) = self.replays.tried(ticket, state) {
            let engine = self.clone();
            self.tasks.spawn(async move { engine.write_replay(&replay).await });
        }
    }

    /// Tells whoever listens what came of an attempt.
    pub(crate) fn tell(&self, settled: Option<Settled>) {
        if let Some(settled) = settled {
            // They may have gone meanwhile.
            let _listeners = self.feed.send(settled).unwrap_or(0);
        }
    }

    /// Frees the place of a delivery that says nothing of its receiver.
    fn not_tried(self: &Arc<Self>, ticket: &Ticket, again: Option<Ticket>) {
        let now = self.clock.steady();
        // Of this, no receiver's state changes.
        let _turned = self.scheduler().done(ticket, again, Felt::Nothing, now);
        self.pump();
    }
}

/// Says what a try tells of the receiver, whatever becomes of the delivery.
fn felt(outcome: &Outcome, now: Moment) -> Felt {
    match outcome {
        _ if outcome.is_the_receivers_failure() => Felt::Ill(rest_until(outcome, now)),
        Outcome::Answered { .. } | Outcome::Judged { .. } => Felt::Well,
        Outcome::Unanswered(_) | Outcome::Skipped(_) | Outcome::Refused(_) => Felt::Nothing,
    }
}

/// Returns until when a receiver asked to be left alone, which only these two statuses ask for all that waits.
fn rest_until(outcome: &Outcome, now: Moment) -> Option<Moment> {
    let Outcome::Answered { status: 429 | 503, retry_after: Some(asked) } = outcome else { return None };
    Some(now.after((*asked).min(REST_MAX)))
}

impl Try {
    fn refused(code: &str, message: &str) -> Self {
        let fault = Fault { code: code.into(), message: message.into(), backtrace: None };
        Self::ended(Outcome::Refused(fault), None, None)
    }

    /// One in which nothing was sent.
    fn ended(outcome: Outcome, run: Option<PluginRun>, fault: Option<Fault>) -> Self {
        Self { outcome, rendered: None, response: None, run, judge: None, fault, by_trial: false }
    }

    fn over_to_the_active_version(&self, now: Timestamp) -> attempt::Verdict {
        let cause = self.fault.as_ref().map_or("", |fault| &fault.code);
        attempt::Verdict::Retry(now, format!("the version on trial failed ({cause}); the active one makes it"))
    }
}
