//! Signals of a timer, at which the thread that started it gives up its turn.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigEvent, SigSet, SigevNotify, SigmaskHow, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::gettid;
use signal_hook_registry::SigId;

/// How long a thread that is woken on the core may wait. An interruption costs some microseconds, on a virtual machine 30:
/// with turns half as long the compiler took a fifth longer, and nobody else waited noticeably less.
const TURN: Duration = Duration::from_micros(200);

/// How much longer others may have the core than this thread then keeps it. Giving up turns means giving up shares: of a
/// core that others always want, one that did so whenever it could would have nothing.
const OTHERS: u32 = 9;

/// Ignored where nobody listens, and hardly anybody does. Go's runtime interrupts its threads with the same.
const SIGNAL: Signal = Signal::SIGURG;

thread_local! {
    static KEEPS_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

static LISTENER: LazyLock<io::Result<SigId>> = LazyLock::new(listen);

#[allow(unsafe_code, reason = "a handler of signals may do few things only")]
fn listen() -> io::Result<SigId> {
    // SAFETY: reading the clock and yielding are system calls that take no lock, need no memory and leave `errno` as it was;
    // the cell needs no memory and is never dropped.
    unsafe { signal_hook_registry::register(SIGNAL as i32, give_up_turn) }
}

fn give_up_turn() {
    let before = now();
    if KEEPS_UNTIL.get().is_none_or(|until| until <= before) {
        yield_now();
        let after = now();
        KEEPS_UNTIL.set(Some(after + (after - before) / OTHERS));
    }
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
    _of_this_thread: PhantomData<*const ()>,
}

impl Interruptions {
    pub(super) fn start() -> io::Result<Self> {
        if let Err(error) = &*LISTENER {
            return Err(error.kind().into());
        }
        // Whoever started this thread may want no signals on its own.
        SigSet::from(SIGNAL).thread_unblock()?;
        let event =
            SigEvent::new(SigevNotify::SigevThreadId { signal: SIGNAL, thread_id: gettid().as_raw(), si_value: 0 });
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
        timer.set(Expiration::Interval(TURN.into()), TimerSetTimeFlags::empty())?;
        Ok(Self { _timer: timer, _of_this_thread: PhantomData })
    }
}

/// Waits for something without being woken by interruptions. A timer whose signal nobody takes rests.
pub(crate) fn uninterrupted<T>(waiting: impl FnOnce() -> T) -> T {
    let before = SigSet::from(SIGNAL).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let result = waiting();
    if let Ok(before) = before {
        // It can't fail with a mask that was there a moment ago.
        let _set = before.thread_set_mask();
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::offer_core;
    use super::*;

    /// Counts what arrives, beside whoever else listens.
    fn arriving() -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        #[allow(unsafe_code, reason = "a handler of signals may do few things only")]
        // SAFETY: counting takes no lock and needs no memory.
        unsafe {
            signal_hook_registry::register(SIGNAL as i32, move || {
                counter.fetch_add(1, Ordering::SeqCst);
            })
        }
        .expect("a listener");
        count
    }

    /// Works until that many more have arrived, or for a long time.
    fn work_until(arrived: &AtomicUsize, more: usize) {
        let (begun, enough) = (now(), arrived.load(Ordering::SeqCst) + more);
        while arrived.load(Ordering::SeqCst) < enough {
            assert!(begun.elapsed() < Duration::from_secs(30), "worked in vain for {more} interruptions");
        }
    }

    #[test]
    fn work_is_interrupted_again_and_again_but_for_waits_and_until_the_offer_is_over() {
        let arrived = arriving();
        let offers = offer_core();
        work_until(&arrived, 10);
        uninterrupted(|| {
            let before = arrived.load(Ordering::SeqCst);
            work_for(TURN * 50);
            assert_eq!(arrived.load(Ordering::SeqCst), before);
        });
        work_until(&arrived, 10);
        drop(offers);
        let before = arrived.load(Ordering::SeqCst);
        work_for(TURN * 50);
        assert_eq!(arrived.load(Ordering::SeqCst), before);
    }

    fn work_for(span: Duration) {
        let begun = now();
        while begun.elapsed() < span {}
    }

    #[test]
    fn a_thread_keeps_its_tenth_and_then_offers_again() {
        let keep_until = |until| {
            KEEPS_UNTIL.set(Some(until));
            give_up_turn();
            KEEPS_UNTIL.get() != Some(until)
        };
        assert!(!keep_until(now() + Duration::from_secs(3_600)));
        assert!(keep_until(now()));
    }
}
