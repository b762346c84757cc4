//! Signals of a timer, at which the thread that started it gives up its turn.

use std::cell::Cell;
use std::io;
use std::sync::LazyLock;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigEvent, SigSet, SigevNotify, SigmaskHow, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::gettid;
use signal_hook_registry::SigId;

use super::way::leave;

/// How long a thread that is woken on the core may wait. An interruption costs some microseconds, on a virtual machine 30:
/// with turns half as long the compiler took a sixth longer, and nobody else waited noticeably less.
const TURN: Duration = Duration::from_micros(200);

/// How much longer others have the core than this thread then keeps it. Giving up a turn means giving up a share: of a core
/// that others always want, a thread that did so whenever it could would have next to nothing.
const OTHERS: u32 = 9;

/// For how long it keeps the core at most, however long it was stopped: a tick.
const KEPT_MAX: Duration = Duration::from_millis(4);

/// Ignored where nobody listens, and hardly anybody does. Go's runtime interrupts its threads with the same.
const SIGNAL: Signal = Signal::SIGURG;

/// When a thread offers its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turns {
    /// When it was interrupted last and went on.
    resumed: Instant,
    keeps_until: Instant,
}

impl Turns {
    fn new(now: Instant) -> Self {
        Self { resumed: now, keeps_until: now }
    }

    /// Tells an interrupted thread whether to give up its turn. One that was away for longer than between two
    /// interruptions has not had one since.
    fn is_over(&mut self, now: Instant) -> bool {
        let since = now - self.resumed;
        if since > TURN * 2 {
            self.keep(now, since);
        }
        self.keeps_until <= now
    }

    /// Notes that others could have had the core from `offered` to `now`.
    fn resume(&mut self, offered: Instant, now: Instant) {
        self.resumed = now;
        self.keep(now, now - offered);
    }

    fn keep(&mut self, now: Instant, away: Duration) {
        self.keeps_until = now + (away / OTHERS).min(KEPT_MAX);
    }
}

thread_local! {
    /// Of a thread that offers its core.
    static TURNS: Cell<Option<Turns>> = const { Cell::new(None) };
}

static LISTENER: LazyLock<io::Result<SigId>> = LazyLock::new(listen);

#[allow(unsafe_code, reason = "a handler of signals may do few things only")]
fn listen() -> io::Result<SigId> {
    // SAFETY: reading the clock, yielding and sleeping take no lock and need no memory; the cell is never dropped, and the thread
    // touched it before it had a timer; the registry restores `errno`.
    unsafe { signal_hook_registry::register(SIGNAL as i32, at_interruption) }
}

fn at_interruption() {
    let Some(mut turns) = TURNS.get() else { return };
    let offered = now();
    if turns.is_over(offered) {
        if !leave() {
            yield_now();
        }
        turns.resume(offered, now());
    } else {
        turns.resumed = offered;
    }
    TURNS.set(Some(turns));
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long the system gave the core to others, which no clock of a test bends"
)]
fn now() -> Instant {
    Instant::now()
}

/// Interruptions of the thread that started them, until they are dropped.
#[derive(Debug)]
pub(super) struct Interruptions {
    _timer: Timer,
}

impl Interruptions {
    pub(super) fn start() -> io::Result<Self> {
        if let Err(error) = &*LISTENER {
            return Err(error.kind().into());
        }
        TURNS.set(Some(Turns::new(now())));
        // Whoever started this thread may want no signals on its own.
        SigSet::from(SIGNAL).thread_unblock()?;
        let event =
            SigEvent::new(SigevNotify::SigevThreadId { signal: SIGNAL, thread_id: gettid().as_raw(), si_value: 0 });
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
        timer.set(Expiration::Interval(TURN.into()), TimerSetTimeFlags::empty())?;
        Ok(Self { _timer: timer })
    }
}

impl Drop for Interruptions {
    fn drop(&mut self) {
        TURNS.set(None);
    }
}

/// Waits for something without being woken by interruptions. A timer whose signal nobody takes rests.
pub(crate) fn uninterrupted<T>(waiting: impl FnOnce() -> T) -> T {
    let before = SigSet::from(SIGNAL).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let result = waiting();
    // Who slept was not kept from the core by others, and has nothing to make up for.
    TURNS.set(TURNS.get().map(|_| Turns::new(now())));
    if let Ok(before) = before {
        // It can't fail with a mask that was there a moment ago.
        let _set = before.thread_set_mask();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::offer_core;
    use super::*;

    thread_local! {
        static ARRIVED: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts what arrives on each thread, beside whoever else listens.
    #[allow(unsafe_code, reason = "a handler of signals may do few things only")]
    fn count_arrivals() {
        ARRIVED.set(0);
        // SAFETY: counting takes no lock and needs no memory; the cell is never dropped.
        unsafe { signal_hook_registry::register(SIGNAL as i32, || ARRIVED.set(ARRIVED.get() + 1)) }
            .expect("a listener");
    }

    /// Works until that many more have arrived, or for a long time.
    fn work_until(more: usize) {
        let (begun, enough) = (now(), ARRIVED.get() + more);
        while ARRIVED.get() < enough {
            assert!(begun.elapsed() < Duration::from_secs(30), "worked in vain for {more} interruptions");
        }
    }

    fn arrive_in(span: Duration) -> usize {
        let (begun, before) = (now(), ARRIVED.get());
        while begun.elapsed() < span {}
        ARRIVED.get() - before
    }

    #[test]
    fn work_is_interrupted_again_and_again_but_for_waits_and_until_the_offer_is_over() {
        count_arrivals();
        let offers = offer_core();
        work_until(10);
        assert_eq!(uninterrupted(|| arrive_in(TURN * 50)), 0);
        work_until(10);
        drop(offers);
        assert_eq!(arrive_in(TURN * 50), 0);
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_thread_keeps_the_core_for_a_ninth_of_the_time_that_others_had_it() {
        let begun = now();
        let mut turns = Turns::new(begun);
        assert!(turns.is_over(begun + TURN), "nobody had it yet");
        let mut at = begun + TURN + MS * 18;
        turns.resume(begun + TURN, at);
        for (span, over) in [(TURN, false), (TURN * 8, false), (TURN, true)] {
            at += span;
            // Kept for two milliseconds. That it did not give it up is no time that others had.
            assert_eq!(Turns { resumed: at, ..turns }.is_over(at), over, "{span:?} later");
        }
    }

    #[test]
    fn a_core_that_was_taken_counts_as_one_that_was_offered_but_an_hour_is_no_more_than_a_tick() {
        let begun = now();
        let mut turns = Turns::new(begun);
        let back = begun + MS * 3_600_000;
        assert!(!turns.is_over(back));
        assert_eq!(turns.keeps_until, back + KEPT_MAX);
    }
}
