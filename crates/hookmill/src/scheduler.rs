//! Which delivery is next, in memory and the same over every store.
//!
//! Receivers take turns, each with a cap on what is under way to it; within a receiver, deliveries go out in the order
//! in which they became due; a webhook may ask for lanes, in which one document's deliveries follow one another. What
//! is due later waits in order of time. A webhook whose guests take long has few under way, so that those which wait for
//! a thread hold no places. A receiver that fails, asks for patience or has used up its rate sleeps with all
//! that waits for it, which costs none of them a try. Nothing here is durable: a restart rebuilds it from the store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use hookmill_core::ports::{DeliveryKey, Moment};

use crate::circuit::CircuitPolicy;

mod crowd;
mod line;
mod ticket;

use crowd::Crowds;
use line::Line;
use ticket::Queue;
pub(crate) use ticket::{Felt, Lane, Receiver, Ticket, Turned};

/// The bounds of a scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchedulerLimits {
    pub(crate) in_flight_max: usize,
    pub(crate) in_flight_per_receiver_max: usize,
    pub(crate) waiting_bytes_max: usize,
    pub(crate) circuit: CircuitPolicy,
}

/// Every delivery that is not settled.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: SchedulerLimits,
    lines: HashMap<Arc<str>, Line>,
    crowds: Crowds,
    round: VecDeque<Arc<str>>,
    /// Receivers that may start nothing until a moment.
    asleep: BTreeSet<(Moment, Arc<str>)>,
    later: BTreeMap<(Moment, DeliveryKey), Ticket>,
    /// Where each of `later` is.
    times: HashMap<DeliveryKey, Moment>,
    /// Those of `later` that wait for their plugin.
    held: BTreeSet<DeliveryKey>,
    /// For each document whose events are gathered, the last of them.
    gathering: HashMap<Lane, DeliveryKey>,
    /// Every delivery that waits, is under way, or is about to be added: none may be here twice.
    present: HashSet<DeliveryKey>,
    /// A lane that is here is taken.
    lanes: HashMap<Lane, Queue>,
    in_flight: usize,
    waiting: usize,
    waiting_bytes: usize,
    /// The due time that the timer was last told of.
    told_due: Option<Moment>,
    closed: bool,
}

impl Scheduler {
    pub(crate) fn new(limits: SchedulerLimits) -> Self {
        Self {
            limits,
            lines: HashMap::new(),
            crowds: Crowds::default(),
            round: VecDeque::new(),
            asleep: BTreeSet::new(),
            later: BTreeMap::new(),
            times: HashMap::new(),
            held: BTreeSet::new(),
            gathering: HashMap::new(),
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
    pub(crate) fn add(&mut self, mut ticket: Ticket, now: Moment) {
        self.present.insert(ticket.pending.key);
        if self.waiting_bytes + ticket.bytes() > self.limits.waiting_bytes_max {
            ticket.event = None;
        }
        self.waiting += 1;
        self.waiting_bytes += ticket.bytes();
        if let Some(lane) = &ticket.lane {
            let key = ticket.pending.key;
            let head = self.lanes.entry(lane.clone()).or_insert_with(|| Queue::of(key)).head;
            // One that is sent again goes before a later one that only waits for its time.
            let before = (key < head).then(|| self.take_later(head)).flatten();
            let Some(queue) = self.lanes.get_mut(lane) else { return };
            if let Some(before) = before {
                queue.head = key;
                queue.behind.insert(head, before);
            } else if key != head {
                queue.behind.insert(key, ticket);
                return;
            }
        }
        self.place(ticket, now);
    }

    /// Takes a fresh delivery in whose webhook gathers events: it is due with the one that waits for the same document
    /// already, and takes its place. Returns that one, which is to be settled.
    pub(crate) fn gather(&mut self, mut ticket: Ticket, now: Moment) -> Option<Ticket> {
        let document = ticket.document();
        let waiting = self.gathering.get(&document).copied();
        let before = waiting.and_then(|key| self.take_waiting(key, &document));
        if let Some(before) = &before {
            ticket.due = before.due;
            self.settled(before, now);
        }
        ticket.gathers = true;
        self.gathering.insert(document, ticket.pending.key);
        self.add(ticket, now);
        before
    }

    /// Takes one out that waits for its time, or in its lane behind another.
    fn take_waiting(&mut self, key: DeliveryKey, lane: &Lane) -> Option<Ticket> {
        let taken = self.take_later(key).or_else(|| {
            let mut behind = self.lanes.get_mut(lane)?.behind.remove(&key)?;
            // It never headed the lane, so it has none to hand on.
            behind.lane = None;
            Some(behind)
        })?;
        self.waiting -= 1;
        self.waiting_bytes -= taken.bytes();
        Some(taken)
    }

    /// Takes one out that waits for its time.
    fn take_later(&mut self, key: DeliveryKey) -> Option<Ticket> {
        let due = self.times.remove(&key)?;
        self.held.remove(&key);
        self.later.remove(&(due, key))
    }

    fn place(&mut self, mut ticket: Ticket, now: Moment) {
        let (due, key) = (ticket.due, ticket.pending.key);
        if due > now {
            if ticket.held {
                self.held.insert(key);
            }
            self.times.insert(key, due);
            self.later.insert((due, key), ticket);
            return;
        }
        if std::mem::take(&mut ticket.gathers) {
            self.gathering.remove(&ticket.document());
        }
        let receiver = ticket.receiver.name.clone();
        self.lines.entry(receiver.clone()).or_default().due.push_back(ticket);
        self.join_round(&receiver);
    }

    fn join_round(&mut self, receiver: &Arc<str>) {
        if let Some(line) = self.lines.get_mut(receiver)
            && !line.in_round
            && line.asleep_until.is_none()
            && !line.due.is_empty()
            && line.in_flight < self.limits.in_flight_per_receiver_max
        {
            line.in_round = true;
            self.round.push_back(receiver.clone());
        }
    }

    /// Lets go what has waited for its time.
    fn wake(&mut self, now: Moment) {
        while let Some(key) = self.later.keys().next().filter(|(due, _)| *due <= now).map(|(_, key)| *key) {
            if let Some(ticket) = self.take_later(key) {
                self.place(ticket, now);
            }
        }
        while let Some((_, receiver)) = self.asleep.first().filter(|(until, _)| *until <= now).cloned() {
            self.awaken(&receiver);
        }
    }

    /// Ends a receiver's sleep.
    fn awaken(&mut self, receiver: &Arc<str>) {
        let until = self.lines.get_mut(receiver).and_then(|line| line.asleep_until.take());
        if let Some(until) = until {
            self.asleep.remove(&(until, receiver.clone()));
        }
        self.join_round(receiver);
    }

    /// Returns the next delivery to start now, which is under way from here on.
    pub(crate) fn next(&mut self, now: Moment) -> Option<Ticket> {
        // First, or the timer would find the same due time again and again.
        self.wake(now);
        if self.closed || self.in_flight >= self.limits.in_flight_max {
            return None;
        }
        while let Some(receiver) = self.round.pop_front() {
            let Some(line) = self.lines.get_mut(&receiver) else { continue };
            line.in_round = false;
            line.let_slow_ones_wait(&mut self.crowds);
            if line.due.is_empty() {
                if line.is_idle() {
                    self.lines.remove(&receiver);
                }
                continue;
            }
            if let Some(until) = line.wait(now) {
                line.asleep_until = Some(until);
                self.asleep.insert((until, receiver));
                continue;
            }
            let Some(ticket) = line.start() else { continue };
            self.in_flight += 1;
            self.waiting -= 1;
            self.waiting_bytes -= ticket.bytes();
            self.join_round(&receiver);
            return Some(ticket);
        }
        None
    }

    /// Takes note that what is to be sent is known, so that no guest is waited for any more.
    pub(crate) fn rendered(&mut self, key: DeliveryKey, now: Moment) {
        for ticket in self.crowds.leave(key) {
            self.place(ticket, now);
        }
    }

    /// Takes note that a delivery is not under way any more; `again` is the same one, if it is to be tried again.
    /// Returns how its receiver's state changed, if it did.
    pub(crate) fn done(&mut self, ticket: &Ticket, again: Option<Ticket>, felt: Felt, now: Moment) -> Option<Turned> {
        let turned = self.freed(ticket, felt, now);
        self.ended(ticket, again, now);
        turned
    }

    /// Frees the place of a delivery of which is not to be heard yet: it is here until [`ended`](Self::ended), and its
    /// lane is taken.
    pub(crate) fn freed(&mut self, ticket: &Ticket, felt: Felt, now: Moment) -> Option<Turned> {
        self.in_flight -= 1;
        self.rendered(ticket.pending.key, now);
        self.feel(&ticket.receiver.name, felt, now)
    }

    /// Takes note of what becomes of a delivery whose place is free.
    pub(crate) fn ended(&mut self, ticket: &Ticket, again: Option<Ticket>, now: Moment) {
        if let Some(mut again) = again {
            // Its event need not be in memory until then.
            again.event = None;
            self.waiting += 1;
            self.place(again, now);
        } else {
            self.settled(ticket, now);
        }
    }

    fn feel(&mut self, receiver: &Arc<str>, felt: Felt, now: Moment) -> Option<Turned> {
        let line = self.lines.get_mut(receiver)?;
        line.in_flight -= 1;
        let turned = match felt {
            Felt::Well => line.circuit.succeeded().then_some(Turned::Back),
            Felt::Ill(rest_until) => {
                line.rest_until = line.rest_until.max(rest_until);
                line.circuit.failed(&self.limits.circuit, now).map(Turned::Away)
            }
            Felt::Nothing => {
                line.circuit.undecided();
                None
            }
        };
        if line.is_idle() {
            self.lines.remove(receiver);
        } else if felt != Felt::Nothing && self.lines.get(receiver).is_some_and(|line| line.asleep_until.is_some()) {
            // Whatever it slept for may be over, or last longer: it is asked anew when its turn comes.
            self.awaken(receiver);
        } else {
            self.join_round(receiver);
        }
        turned
    }

    fn settled(&mut self, ticket: &Ticket, now: Moment) {
        self.present.remove(&ticket.pending.key);
        if let Some(lane) = &ticket.lane {
            match self.lanes.get_mut(lane).and_then(Queue::next) {
                Some(next) => self.place(next, now),
                None => drop(self.lanes.remove(lane)),
            }
        }
    }

    /// Lets all go now that wait for a suspended plugin: it is another version, perhaps.
    pub(crate) fn release_held(&mut self, now: Moment) {
        for key in std::mem::take(&mut self.held) {
            let Some(mut ticket) = self.take_later(key) else { continue };
            ticket.due = now;
            self.place(ticket, now);
        }
    }

    /// Tells whether a delivery waits for a later time, and could be withdrawn.
    pub(crate) fn waits_for_later(&self, key: DeliveryKey) -> bool {
        self.times.contains_key(&key)
    }

    /// Tells whether a delivery waits or is under way.
    pub(crate) fn has(&self, key: DeliveryKey) -> bool {
        self.present.contains(&key)
    }

    /// Takes out a delivery that waits for a later time, so that it can be added anew.
    pub(crate) fn withdraw(&mut self, key: DeliveryKey) -> Option<Ticket> {
        let ticket = self.take_later(key)?;
        self.waiting -= 1;
        self.waiting_bytes -= ticket.bytes();
        // Its lane stays taken by it, or those behind it would overtake.
        Some(ticket)
    }

    /// Puts a withdrawn delivery back, which still heads its lane.
    pub(crate) fn restore(&mut self, ticket: Ticket, now: Moment) {
        self.waiting += 1;
        self.waiting_bytes += ticket.bytes();
        self.place(ticket, now);
    }

    /// Returns when the next delivery that waits for a time is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let due = self.later.keys().next().map(|(due, _)| *due);
        let wakes = self.asleep.first().map(|(until, _)| *until);
        due.into_iter().chain(wakes).min()
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
