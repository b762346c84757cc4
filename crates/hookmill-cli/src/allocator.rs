//! The allocator of the whole program, and how long it holds on to what was freed.

use std::ffi::c_long;

/// Events become many small pieces on one thread that are freed on another, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the crate does not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds. The default of 10 hands memory back between two batches of events, and the kernel then clears it anew
/// for the next: a seventh of the server's time went there.
const KEPT_FOR: c_long = 1_000;

/// Makes the allocator keep freed memory for a second, unless the environment says otherwise.
#[allow(unsafe_code, reason = "the allocator's settings are reached through C alone")]
pub(crate) fn keep_freed_memory() {
    // SAFETY: the option exists, and no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, KEPT_FOR) };
}

/// Makes the system hand out memory in pages of 4 KiB alone. It clears a page of 2 MiB in one go, for which whoever wants that
/// core waits: milliseconds on a virtual machine. Such pages made nothing here faster.
#[cfg(target_os = "linux")]
pub(crate) fn take_memory_in_small_pages() {
    // Where it can't be had, all works all the same.
    let _small = rustix::thread::disable_transparent_huge_pages(true).is_ok();
}
