//! The line before one receiver: who waits for it, and whether it may be sent anything now.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use hookmill_core::ports::Moment;
use hookmill_core::webhook::RateLimit;

use super::Ticket;
use super::crowd::Crowds;
use crate::circuit::Circuit;

/// Those that wait for one receiver, and how it fares.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) due: VecDeque<Ticket>,
    pub(super) in_flight: usize,
    /// Whether the receiver stands in the round of those that may start something.
    pub(super) in_round: bool,
    /// Until when nothing starts: the receiver asked for it, its circuit is open, or its rate is used up.
    pub(super) asleep_until: Option<Moment>,
    /// Until when the receiver asked to be left alone.
    pub(super) rest_until: Option<Moment>,
    pub(super) circuit: Circuit,
    pacer: Option<Pacer>,
}

impl Line {
    /// Returns until when the next must wait; none if it may start now, which it then must.
    pub(super) fn wait(&mut self, now: Moment) -> Option<Moment> {
        if let Some(until) = self.rest_until.filter(|until| *until > now).or_else(|| self.circuit.wait(now)) {
            return Some(until);
        }
        let rate = self.due.front().and_then(|ticket| ticket.receiver.rate);
        if self.pacer.as_ref().map(|pacer| pacer.rate) != rate {
            self.pacer = rate.map(Pacer::new);
        }
        self.pacer.as_ref().and_then(|pacer| pacer.wait(now))
    }

    /// Takes those out, up to the next that may start, of whose webhook as many as may be are under way.
    pub(super) fn let_slow_ones_wait(&mut self, crowds: &mut Crowds) {
        while self.due.front().is_some_and(|ticket| !crowds.admit(ticket)) {
            self.due.pop_front().into_iter().for_each(|ticket| crowds.wait(ticket));
        }
    }

    /// Starts the next.
    pub(super) fn start(&mut self) -> Option<Ticket> {
        let ticket = self.due.pop_front()?;
        self.circuit.begin();
        self.in_flight += 1;
        Some(ticket)
    }

    /// Tells whether nothing would be lost with the line: nobody waits, and it has nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
            && self.due.is_empty()
            && self.asleep_until.is_none()
            && self.pacer.is_none()
            && self.circuit == Circuit::default()
    }
}

/// Spaces requests evenly by the generic cell rate algorithm, on the scheduler's own clock.
#[derive(Debug)]
struct Pacer {
    rate: RateLimit,
    clock: Turn,
    limiter: RateLimiter<NotKeyed, InMemoryState, Turn, NoOpMiddleware<Nanos>>,
}

/// A clock that stands at the moment for which the scheduler was last asked.
#[derive(Debug, Clone, Default)]
struct Turn(Arc<AtomicU64>);

impl Clock for Turn {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

impl Pacer {
    fn new(rate: RateLimit) -> Self {
        let clock = Turn::default();
        let burst = std::num::NonZeroU32::new(rate.burst()).unwrap_or(std::num::NonZeroU32::MIN);
        let interval = rate.interval().max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).map(|quota| quota.allow_burst(burst));
        let quota = quota.expect("an interval is never nothing");
        Self { rate, limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    fn wait(&self, now: Moment) -> Option<Moment> {
        let nanos = u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX);
        self.clock.0.store(nanos, Ordering::Relaxed);
        let wait = self.limiter.check().err()?.wait_time_from(Nanos::new(nanos));
        // At least a microsecond, or rounding could ask again at once and for ever.
        Some(now.after(wait.max(Duration::from_micros(1))))
    }
}
