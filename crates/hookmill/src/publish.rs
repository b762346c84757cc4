//! Steps 1 to 4 of the walk: an event arrives, is matched, recorded and scheduled.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookmill_core::ports::{Appended, Moment, NewEvent, Pending, Record, StoreErrorKind};
use hookmill_core::{DeliveryId, Event, EventEnvelope, EventId, TenantId};
use hookmill_plugin::priority::make_way;
use jiff::Timestamp;

use crate::EngineError;
use crate::announce::OWN_DOCTYPE;
use crate::engine::Inner;
use crate::scheduler::Ticket;
use crate::webhooks::Hook;

/// What became of a published event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The event's id.
    pub id: EventId,
    /// The deliveries that it owes.
    pub deliveries: Vec<DeliveryId>,
    /// Whether it was recorded before, and nothing new was done.
    pub duplicate: bool,
}

/// Deliveries that are admitted and do not wait yet: without them, a batch or many callers at once would pass the limit.
struct Arriving<'a> {
    engine: &'a Inner,
    deliveries: usize,
}

impl Arriving<'_> {
    /// Admits an event that owes so many deliveries, if there is room for one at least: it may owe more than all room.
    fn admit(&mut self, deliveries: usize) -> Result<(), EngineError> {
        // The lock of the scheduler is held, so nobody counts or adds meanwhile.
        let scheduler = self.engine.scheduler();
        let waiting = scheduler.waiting() + self.engine.arriving.load(Ordering::Relaxed);
        if deliveries > 0 && waiting >= self.engine.waiting_max {
            return Err(EngineError::Overloaded { waiting });
        }
        self.engine.arriving.fetch_add(deliveries, Ordering::Relaxed);
        self.deliveries += deliveries;
        Ok(())
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.engine.arriving.fetch_sub(self.deliveries, Ordering::Relaxed);
    }
}

pub(crate) type Matched = Vec<(Arc<Hook>, DeliveryId)>;

impl Inner {
    /// Takes events in; each is answered for itself, in order. One that is not taken leaves the others as they are.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        tenant: &TenantId,
        envelopes: Vec<EventEnvelope>,
    ) -> Vec<Result<Published, EngineError>> {
        make_way();
        let now = self.clock.now();
        let count = envelopes.len();
        let mut answers: Vec<Option<Result<Published, EngineError>>> = Vec::with_capacity(count);
        let mut matched: Vec<(usize, Arc<Event>, Matched)> = Vec::with_capacity(count);
        let mut arriving = Arriving { engine: self, deliveries: 0 };
        for (place, envelope) in envelopes.into_iter().enumerate() {
            let event = match envelope.into_event(tenant, now, new_event_id) {
                _ if self.stop.is_cancelled() => Err(EngineError::ShuttingDown),
                Ok(event) if event.doctype == OWN_DOCTYPE => Err(EngineError::ReservedDoctype),
                Ok(event) => {
                    let hooks = self.webhooks.matching(&event);
                    arriving.admit(hooks.len()).map(|()| (event, hooks))
                }
                Err(error) => Err(error.into()),
            };
            match event {
                Ok((event, hooks)) => {
                    matched.push((place, Arc::new(event), hooks));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let records = matched.iter().map(|(_, event, hooks)| new_event(event, hooks, now)).collect();
        if !matched.is_empty() {
            self.record_events(records, matched, now, &mut answers).await;
        }
        answers.into_iter().map(|answer| answer.expect("every event was answered")).collect()
    }

    /// Records one of hookmill's own events, which `hooks` want.
    pub(crate) async fn publish_own(self: &Arc<Self>, event: Arc<Event>, hooks: Matched) {
        let now = self.clock.now();
        let records = vec![new_event(&event, &hooks, now)];
        let mut answers = [None];
        self.record_events(records, vec![(0, event, hooks)], now, &mut answers).await;
        if let [Some(Err(error))] = answers {
            tracing::error!(%error, "news could not be recorded");
        }
    }

    async fn record_events(
        self: &Arc<Self>,
        records: Vec<Record>,
        matched: Vec<(usize, Arc<Event>, Matched)>,
        now: Timestamp,
        answers: &mut [Option<Result<Published, EngineError>>],
    ) {
        let appended = match self.store.append(records, self.fence).await {
            Ok(appended) => appended,
            Err(error) => {
                if matches!(error.kind, StoreErrorKind::Unavailable | StoreErrorKind::Fenced | StoreErrorKind::Damaged)
                {
                    self.fail(&error);
                }
                for (place, ..) in matched {
                    let copy = hookmill_core::ports::StoreError {
                        kind: error.kind,
                        attempted: error.attempted,
                        cause: error.cause.clone(),
                    };
                    answers[place] = Some(Err(copy.into()));
                }
                return;
            }
        };
        let steady = self.clock.steady();
        for ((place, event, hooks), appended) in matched.into_iter().zip(appended) {
            answers[place] = Some(match appended {
                Appended::Stored(keys) => {
                    let deliveries = hooks.iter().map(|(_, id)| *id).collect();
                    let mut scheduler = self.scheduler();
                    for ((hook, id), key) in hooks.into_iter().zip(keys) {
                        let wait = Duration::from_millis(hook.webhook().coalesce_ms.into());
                        let pending = Pending {
                            key,
                            id,
                            tenant: event.tenant.clone(),
                            webhook: hook.name.clone(),
                            doctype: event.doctype.clone(),
                            document: event.document.clone(),
                            tries: 0,
                            due: now,
                            replay: None,
                        };
                        let ticket = ticket(&hook, pending, steady.after(wait), Some(event.clone()));
                        if wait.is_zero() {
                            scheduler.add(ticket, steady);
                        } else if let Some(before) = scheduler.gather(ticket, steady) {
                            self.give_way(&before, id);
                        }
                    }
                    Ok(Published { id: event.id.clone(), deliveries, duplicate: false })
                }
                Appended::Duplicate { same_content: true, deliveries } => {
                    Ok(Published { id: event.id.clone(), deliveries, duplicate: true })
                }
                Appended::Duplicate { same_content: false, .. } => {
                    Err(EngineError::EventIdTaken { id: event.id.to_string() })
                }
            });
        }
        self.pump();
    }
}

/// Makes the ticket of a pending delivery.
pub(crate) fn ticket(hook: &Hook, pending: Pending, due: Moment, event: Option<Arc<Event>>) -> Ticket {
    Ticket {
        receiver: hook.receiver.clone(),
        lane: hook.lane(&pending.doctype, &pending.document),
        pending,
        due,
        event,
        held: false,
        past_trial: false,
        gathers: false,
    }
}

fn new_event(event: &Arc<Event>, hooks: &Matched, now: Timestamp) -> Record {
    Record::Event(NewEvent {
        event: event.clone(),
        content: event.content_digest(),
        deliveries: hooks.iter().map(|(hook, id)| (hook.name.clone(), *id)).collect(),
        received_at: now,
    })
}

/// Makes an id that sorts by time, which keeps the store's index of events compact.
pub(crate) fn new_event_id() -> EventId {
    EventId::new(format!("evt_{}", uuid::Uuid::now_v7().simple())).expect("a UUID is a valid id")
}
