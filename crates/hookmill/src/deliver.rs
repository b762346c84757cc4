//! The walk of one delivery, from its turn to its verdict. Only [`Inner::deliver`] knows the order of the steps.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{NewAttempt, Record, StoreError, StoreErrorKind, Work};
use hookmill_core::{Attempt, Event, Fault, Outcome, PluginRun, Request, Response, attempt};
use hookmill_delivery::{Occasion, Sent};
use jiff::{SignedDuration, Timestamp};

use crate::choose::Choice;
use crate::engine::Inner;
use crate::feed::Settled;
use crate::judge::Judged;
use crate::prepare::Prepared;
use crate::scheduler::Ticket;
use crate::webhooks::Hook;

/// After how long a delivery is read again whose event could not be.
const READ_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(5);

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
}

impl Inner {
    /// Starts everything whose turn it is.
    pub(crate) fn pump(self: &Arc<Self>) {
        let now = self.clock.now();
        loop {
            // Taken and released each time: a delivery that ends meanwhile wants it too.
            let Some(ticket) = self.scheduler().next(now) else { break };
            let engine = self.clone();
            self.tasks.spawn(async move { engine.deliver(ticket).await });
        }
        if self.scheduler().due_moved() {
            self.timer.notify_one();
        }
    }

    /// Tries one delivery and settles what came of it.
    async fn deliver(self: Arc<Self>, mut ticket: Ticket) {
        let begun = self.clock.now();
        let work = match self.work(&mut ticket).await {
            Ok(Some(work)) => work,
            // Retention has taken it, or somebody by hand.
            Ok(None) => return self.released(&ticket, None),
            Err(error) => {
                tracing::error!(delivery = %ticket.pending.id, %error, "a waiting delivery can't be read; it is read again soon");
                let mut again = ticket.clone();
                again.pending.due = begun.checked_add(READ_AGAIN_AFTER).unwrap_or(begun);
                return self.released(&ticket, Some(again));
            }
        };
        let hook = self.webhooks.find(&ticket.pending.tenant, &ticket.pending.webhook);
        let choice = match &hook {
            Some(hook) if work.request.is_none() => self.choose(hook, &work.event).await,
            _ => Choice::Nothing,
        };
        if let Some(until) = hook.as_ref().and_then(|hook| self.suspended_until(hook, &choice)) {
            let mut again = ticket.clone();
            again.pending.due = until;
            again.held = true;
            return self.released(&ticket, Some(again));
        }
        ticket.held = false;
        let tried = match &hook {
            Some(hook) => {
                let tried = self.attempt(hook, &ticket, &work, &choice).await;
                self.fared(hook, &choice, tried.run.as_ref(), tried.fault.as_ref(), &tried.outcome);
                tried
            }
            None => Try::refused("webhook_deleted", "the webhook was deleted before this delivery went out"),
        };
        ticket.pending.tries += 1;
        let retry = hook.as_ref().map(|hook| hook.webhook().retry.clone()).unwrap_or_default();
        let now = self.clock.now();
        let verdict = attempt::judge(&tried.outcome, &retry, ticket.pending.tries, now, rand::random());
        self.settle(ticket, &work.event, begun, now, tried, verdict).await;
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
                match request {
                    Ok(request) => (Arc::new(request), Some((run, fault))),
                    Err(outcome) => return Try { outcome, rendered: None, response: None, run, judge: None, fault },
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
        Try { outcome, rendered, response, run, judge, fault: fault.or(judge_fault) }
    }

    /// Step 9: records the attempt with its verdict, and frees the receiver for the next.
    async fn settle(
        self: &Arc<Self>,
        ticket: Ticket,
        event: &Event,
        begun: Timestamp,
        now: Timestamp,
        tried: Try,
        verdict: attempt::Verdict,
    ) {
        let outcome = verdict.outcome();
        let status = verdict.into_status();
        let error = tried.fault.or(match tried.outcome {
            Outcome::Unanswered(fault) | Outcome::Refused(fault) => Some(fault),
            Outcome::Answered { .. } | Outcome::Judged { .. } | Outcome::Skipped(_) => None,
        });
        let duration_ms = u64::try_from(now.duration_since(begun).as_millis()).unwrap_or(0);
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
        });
        let again = status.next_attempt_at.map(|due| {
            let mut again = ticket.clone();
            again.pending.due = due;
            again
        });
        let record = Record::Attempt(Arc::new(NewAttempt {
            delivery: ticket.pending.key,
            attempt: Attempt {
                at: begun,
                outcome: outcome.into(),
                request: tried.rendered,
                response: tried.response,
                duration_ms,
                plugin: tried.run,
                judge: tried.judge,
                error,
            },
            status,
        }));
        if self.record(record).await {
            if let Some(settled) = settled {
                // They may have gone meanwhile.
                let _listeners = self.feed.send(settled).unwrap_or(0);
            }
            self.released(&ticket, again);
        }
    }

    /// Appends one record, waiting for room on the disk, or for another program to let go, as long as it takes. False if the store is gone, which ends
    /// the engine: what is not recorded is tried again after the next start.
    async fn record(&self, record: Record) -> bool {
        loop {
            match self.store.append(vec![record.clone()], self.fence).await {
                Ok(_) => return true,
                Err(error)
                    if matches!(error.kind, StoreErrorKind::Full | StoreErrorKind::Busy)
                        && !self.stop.is_cancelled() =>
                {
                    tracing::error!(%error, "an attempt waits to be recorded");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    self.fail(&error);
                    return false;
                }
            }
        }
    }

    fn released(self: &Arc<Self>, ticket: &Ticket, again: Option<Ticket>) {
        let now = self.clock.now();
        self.scheduler().done(ticket, again, now);
        self.pump();
    }
}

impl Try {
    fn refused(code: &str, message: &str) -> Self {
        let fault = Fault { code: code.into(), message: message.into(), backtrace: None };
        Self { outcome: Outcome::Refused(fault), rendered: None, response: None, run: None, judge: None, fault: None }
    }
}
