//! The allocator of the whole program, and how long it holds on to what was freed.

use std::ffi::c_long;
use std::time::Duration;

use hookmill::plugin::priority::{offer_core, step_aside};

/// Events become many small pieces on one thread that are freed on another, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the crate does not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How often freed memory is handed back. The default of ten milliseconds does so between two batches of events, and the
/// kernel then clears it anew for the next: a seventh of the server's time went there.
const HANDED_BACK_EVERY: Duration = Duration::from_secs(1);

/// Milliseconds after which any thread that frees memory hands it back if nobody did.
const KEPT_FOR: c_long = 10_000;

/// Makes the allocator keep freed memory for a while, unless the environment says otherwise.
#[allow(unsafe_code, reason = "the allocator's settings are reached through C alone")]
pub(crate) fn keep_freed_memory() {
    // SAFETY: the option exists, and no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, KEPT_FOR) };
}

/// Hands freed memory back again and again, on a thread that nothing waits for: for the megabytes of an upload that takes
/// milliseconds.
pub(crate) fn keep_handing_back_memory() {
    // Without the thread it is handed back later.
    let _started = std::thread::Builder::new().name("allocator".into()).spawn(|| {
        step_aside();
        loop {
            std::thread::park_timeout(HANDED_BACK_EVERY);
            let _offers = offer_core();
            hand_back_memory();
        }
    });
}

/// Hands back all memory that was freed.
#[allow(unsafe_code, reason = "the allocator's settings are reached through C alone")]
pub(crate) fn hand_back_memory() {
    // SAFETY: any thread may ask for that at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Makes the system hand out memory in pages of 4 KiB alone. It clears a page of 2 MiB in one go, for which whoever wants that
/// core waits: milliseconds on a virtual machine. Such pages made nothing here faster.
#[cfg(target_os = "linux")]
pub(crate) fn take_memory_in_small_pages() {
    // Where it can't be had, all works all the same.
    let _small = rustix::thread::disable_transparent_huge_pages(true).is_ok();
}
