//! Which delivery is next, in memory and the same over every store.
//!
//! Receivers take turns, each with a cap on what is under way to it; within a receiver, deliveries go out in the order
//! in which they became due; a webhook may ask for lanes, in which one document's deliveries follow one another. What
//! is due later waits in order of time. Nothing here is durable: a restart rebuilds it from the store.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use hookmill_core::ports::{DeliveryKey, Pending};
use hookmill_core::{Event, TenantId, WebhookName};
use jiff::{SignedDuration, Timestamp};

/// What a cap on requests under way is counted by: scheme, host and port of a webhook's URL.
pub(crate) type Receiver = Arc<str>;

/// One document of one webhook, where the webhook wants order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) tenant: TenantId,
    pub(crate) webhook: WebhookName,
    pub(crate) doctype: String,
    pub(crate) document: String,
}

/// A delivery that waits for its turn or is under way.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) pending: Pending,
    pub(crate) receiver: Receiver,
    pub(crate) lane: Option<Lane>,
    /// The event, as long as memory has room for it.
    pub(crate) event: Option<Arc<Event>>,
    /// Whether it waits for its plugin, which is suspended, and not for a time of its own.
    pub(crate) held: bool,
}

impl Ticket {
    fn bytes(&self) -> usize {
        self.event.as_ref().map_or(0, |event| event.doc.as_str().len() + 512)
    }
}

/// The bounds of a scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchedulerLimits {
    pub(crate) in_flight_max: usize,
    pub(crate) in_flight_per_receiver_max: usize,
    pub(crate) waiting_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Line {
    due: VecDeque<Ticket>,
    in_flight: usize,
    /// Whether the receiver stands in the round of those that may start something.
    in_round: bool,
}

/// Every delivery that is not settled.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: SchedulerLimits,
    lines: HashMap<Receiver, Line>,
    round: VecDeque<Receiver>,
    later: BTreeMap<(Timestamp, DeliveryKey), Ticket>,
    /// Every delivery that waits, is under way, or is about to be added: none may be here twice.
    present: HashSet<DeliveryKey>,
    /// Behind the head of each lane, those that wait for it; a lane that is here is taken.
    lanes: HashMap<Lane, BTreeMap<DeliveryKey, Ticket>>,
    in_flight: usize,
    waiting: usize,
    waiting_bytes: usize,
    /// The due time that the timer was last told of.
    told_due: Option<Timestamp>,
    closed: bool,
}

impl Scheduler {
    pub(crate) fn new(limits: SchedulerLimits) -> Self {
        Self {
            limits,
            lines: HashMap::new(),
            round: VecDeque::new(),
            later: BTreeMap::new(),
            present: HashSet::new(),
            lanes: HashMap::new(),
            in_flight: 0,
            waiting: 0,
            waiting_bytes: 0,
            told_due: None,
            closed: false,
        }
    }

    /// Returns how many deliveries wait, those under way not counted.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns how many deliveries are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Announces a settled delivery that is to be added again; false if it is here, or was announced already.
    pub(crate) fn claim(&mut self, key: DeliveryKey) -> bool {
        self.present.insert(key)
    }

    /// Takes an announcement back.
    pub(crate) fn disclaim(&mut self, key: DeliveryKey) {
        self.present.remove(&key);
    }

    /// Takes a delivery in that is neither waiting nor under way.
    pub(crate) fn add(&mut self, mut ticket: Ticket, now: Timestamp) {
        self.present.insert(ticket.pending.key);
        if self.waiting_bytes + ticket.bytes() > self.limits.waiting_bytes_max {
            ticket.event = None;
        }
        self.waiting += 1;
        self.waiting_bytes += ticket.bytes();
        if let Some(lane) = &ticket.lane {
            if let Some(behind) = self.lanes.get_mut(lane) {
                behind.insert(ticket.pending.key, ticket);
                return;
            }
            self.lanes.insert(lane.clone(), BTreeMap::new());
        }
        self.place(ticket, now);
    }

    fn place(&mut self, ticket: Ticket, now: Timestamp) {
        if ticket.pending.due > now {
            self.later.insert((ticket.pending.due, ticket.pending.key), ticket);
            return;
        }
        let receiver = ticket.receiver.clone();
        self.lines.entry(receiver.clone()).or_default().due.push_back(ticket);
        self.join_round(&receiver);
    }

    fn join_round(&mut self, receiver: &Receiver) {
        if let Some(line) = self.lines.get_mut(receiver)
            && !line.in_round
            && !line.due.is_empty()
            && line.in_flight < self.limits.in_flight_per_receiver_max
        {
            line.in_round = true;
            self.round.push_back(receiver.clone());
        }
    }

    /// Returns the next delivery to start now, which is under way from here on.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Ticket> {
        if self.closed || self.in_flight >= self.limits.in_flight_max {
            return None;
        }
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let ticket = entry.remove();
            self.place(ticket, now);
        }
        let receiver = self.round.pop_front()?;
        let line = self.lines.get_mut(&receiver)?;
        line.in_round = false;
        let ticket = line.due.pop_front()?;
        line.in_flight += 1;
        self.in_flight += 1;
        self.waiting -= 1;
        self.waiting_bytes -= ticket.bytes();
        self.join_round(&receiver);
        Some(ticket)
    }

    /// Takes note that a delivery is not under way any more; `again` is the same one, if it is to be tried again.
    pub(crate) fn done(&mut self, ticket: &Ticket, again: Option<Ticket>, now: Timestamp) {
        self.in_flight -= 1;
        if let Some(line) = self.lines.get_mut(&ticket.receiver) {
            line.in_flight -= 1;
            if line.in_flight == 0 && line.due.is_empty() {
                self.lines.remove(&ticket.receiver);
            }
        }
        self.join_round(&ticket.receiver);
        if let Some(mut again) = again {
            // Its event need not be in memory until then.
            again.event = None;
            self.waiting += 1;
            self.place(again, now);
            return;
        }
        self.present.remove(&ticket.pending.key);
        if let Some(lane) = &ticket.lane {
            match self.lanes.get_mut(lane).and_then(BTreeMap::pop_first) {
                Some((_, behind)) => self.place(behind, now),
                None => drop(self.lanes.remove(lane)),
            }
        }
    }

    /// Lets all go now that wait for a suspended plugin: it is another version, perhaps.
    pub(crate) fn release_held(&mut self, now: Timestamp) {
        let held: Vec<Ticket> = self.later.extract_if(.., |_, ticket| ticket.held).map(|(_, ticket)| ticket).collect();
        for mut ticket in held {
            ticket.pending.due = now;
            self.place(ticket, now);
        }
    }

    /// Takes out a delivery that waits for a later time, so that it can be added anew.
    ///
    /// `due` is as a store tells it, which need not keep what is finer than a microsecond.
    pub(crate) fn withdraw(&mut self, key: DeliveryKey, due: Timestamp) -> Option<Ticket> {
        let end = due.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
        let mut near = self.later.range((due, DeliveryKey(i64::MIN))..(end, DeliveryKey(i64::MIN)));
        let place = match near.find(|((_, other), _)| *other == key) {
            Some((place, _)) => *place,
            // One that is held waits for another time than the store knows of.
            None => *self.later.iter().find(|((_, other), ticket)| ticket.held && *other == key)?.0,
        };
        let ticket = self.later.remove(&place)?;
        self.waiting -= 1;
        self.waiting_bytes -= ticket.bytes();
        // Its lane stays taken by it, or those behind it would overtake.
        Some(ticket)
    }

    /// Puts a withdrawn delivery back, which still heads its lane.
    pub(crate) fn restore(&mut self, ticket: Ticket, now: Timestamp) {
        self.waiting += 1;
        self.waiting_bytes += ticket.bytes();
        self.place(ticket, now);
    }

    /// Returns when the next delivery that waits for a time is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.later.keys().next().map(|(due, _)| *due)
    }

    /// Tells whether the next due time is another than when this was last asked.
    pub(crate) fn due_moved(&mut self) -> bool {
        let due = self.next_due();
        std::mem::replace(&mut self.told_due, due) != due
    }

    /// Starts nothing any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }
}

#[cfg(test)]
mod tests;
