//! Instances that are kept for the next call, for plugins whose manifest asks for it.
//!
//! What one call leaves in the guest's memory, the next one finds; so an instance serves one plugin of one tenant alone,
//! and is dropped after anything but an answer, after enough calls, and when it has grown large.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::guest::Guest;

/// Calls that one instance serves: what a guest leaks, it leaks for so long.
const CALLS_MAX: u32 = 1_000;

/// An instance that has started.
pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    pub(crate) instance: Instance,
    pub(crate) calls: u32,
}

/// The instances of all plugins that wait for a call, the longest unused first.
pub(crate) struct WarmPool {
    idle: Mutex<VecDeque<(u64, Live)>>,
    size: usize,
}

impl WarmPool {
    /// Makes room for `size` instances.
    pub(crate) fn new(size: usize) -> Self {
        Self { idle: Mutex::new(VecDeque::with_capacity(size)), size }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(u64, Live)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the instance of `plugin` that was used last.
    pub(crate) fn take(&self, plugin: u64) -> Option<Live> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|(of, _)| *of == plugin)?;
        idle.remove(place).map(|(_, live)| live)
    }

    /// Keeps an instance whose last call ended with an answer, unless it has served its time.
    pub(crate) fn keep(&self, plugin: u64, mut live: Live) {
        live.calls += 1;
        if self.size == 0 || live.calls >= CALLS_MAX || live.store.data().meter.is_half_full() {
            return;
        }
        let mut idle = self.idle();
        let longest_unused = if idle.len() >= self.size { idle.pop_front() } else { None };
        idle.push_back((plugin, live));
        // Dropping an instance takes its time, and nobody should wait for the lock meanwhile.
        drop(idle);
        drop(longest_unused);
    }

    /// Drops all instances of a plugin.
    pub(crate) fn forget(&self, plugin: u64) {
        let mut idle = self.idle();
        let (forgotten, kept) = std::mem::take(&mut *idle).into_iter().partition(|(of, _)| *of == plugin);
        *idle = kept;
        drop(idle);
        let forgotten: VecDeque<(u64, Live)> = forgotten;
        drop(forgotten);
    }
}
