//! What waits for its turn, and what a try says of its receiver.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookmill_core::ports::{DeliveryKey, Moment, Pending};
use hookmill_core::webhook::RateLimit;
use hookmill_core::{Event, ReplayId, TenantId, WebhookName};

use crate::guests::Pace;

/// Whose line a delivery stands in: a tenant's way to scheme, host and port of a URL, so that no tenant's trouble is
/// another's; or a webhook's own, where it has a rate limit or a URL for each document.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) name: Arc<str>,
    pub(crate) rate: Option<RateLimit>,
    /// How long the guests of the webhook take, if it has any.
    pub(crate) pace: Option<Arc<Pace>>,
}

/// What a try says of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Felt {
    /// It answered as one does that works.
    Well,
    /// It did not answer, or said that it can't; and until when it asked to be left alone, if it did.
    Ill(Option<Moment>),
    /// It was not asked.
    Nothing,
}

/// How a receiver's state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// It failed so often that its line waits until this moment.
    Away(Moment),
    /// It works again.
    Back,
}

/// One document of one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) tenant: TenantId,
    pub(crate) webhook: WebhookName,
    pub(crate) doctype: String,
    pub(crate) document: String,
}

/// A lane's deliveries, of which one alone waits for its time, for its receiver, or is under way.
#[derive(Debug)]
pub(super) struct Queue {
    /// That one.
    pub(super) head: DeliveryKey,
    /// Those that wait for it.
    pub(super) behind: BTreeMap<DeliveryKey, Ticket>,
}

impl Queue {
    pub(super) fn of(head: DeliveryKey) -> Self {
        Self { head, behind: BTreeMap::new() }
    }

    /// Puts the next in the place of the head, which is settled.
    pub(super) fn next(&mut self) -> Option<Ticket> {
        let (key, next) = self.behind.pop_first()?;
        self.head = key;
        Some(next)
    }
}

/// A delivery that waits for its turn or is under way.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) pending: Pending,
    /// When it is due; what `pending` says of that is for the store.
    pub(crate) due: Moment,
    pub(crate) receiver: Receiver,
    pub(crate) lane: Option<Lane>,
    /// The event, as long as memory has room for it.
    pub(crate) event: Option<Arc<Event>>,
    /// Whether it waits for its plugin, which is suspended, and not for a time of its own.
    pub(crate) held: bool,
    /// Whether a version on trial failed it, so that only the active one may make it. A restart forgets this, and the
    /// trial is repeated.
    pub(crate) past_trial: bool,
    /// Whether it waits for later events of its document, the last of which takes its place.
    pub(crate) gathers: bool,
}

impl Ticket {
    /// Returns what events are gathered by.
    pub(super) fn document(&self) -> Lane {
        let Pending { tenant, webhook, doctype, document, .. } = &self.pending;
        Lane { tenant: tenant.clone(), webhook: webhook.clone(), doctype: doctype.clone(), document: document.clone() }
    }

    /// Tells whether its guest may well take long.
    pub(crate) fn is_slow(&self) -> bool {
        self.receiver.pace.as_ref().is_some_and(|pace| !pace.is_quick())
    }

    /// Returns the replay of many deliveries that it is part of.
    pub(crate) fn replay_id(&self) -> Option<&ReplayId> {
        self.pending.replay.as_ref()?.id.as_ref()
    }

    pub(super) fn bytes(&self) -> usize {
        self.event.as_ref().map_or(0, |event| event.doc.as_str().len() + 512)
    }
}
