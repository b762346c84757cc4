//! When work came in last that somebody waits for, known to all threads of lesser work, also in processes of their own.
//!
//! Linux takes a core for occupied on which even the lowest of threads runs, and who wakes on another core waits for a turn
//! there. So lesser work does not only offer its core: for a moment it leaves it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::nanosleep;
use rustix::time::{ClockId, clock_gettime};

/// For how long the core is left: about as long as an event takes to its receiver on an idle machine.
const MOMENT: Duration = Duration::from_micros(500);

const BYTES: usize = size_of::<AtomicU64>();

static SIGN: OnceLock<Sign> = OnceLock::new();

/// Nanoseconds of the monotonic clock, which all processes read alike, when work came in last.
struct Sign {
    last: &'static AtomicU64,
    /// Where the processes that this one starts find it; none where it is this process's alone, or another's.
    shared: Option<OwnedFd>,
}

impl Sign {
    fn new() -> Self {
        Self::shared().unwrap_or_else(|error| {
            tracing::debug!(%error, "deliveries may wait for a compiler that does not know of them");
            Self { last: Box::leak(Box::new(AtomicU64::new(0))), shared: None }
        })
    }

    fn shared() -> io::Result<Self> {
        let file = memfd_create("hookmill-way", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, BYTES as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self { last: map(&file, ProtFlags::READ | ProtFlags::WRITE)?, shared: Some(file) })
    }
}

/// Maps a sign for as long as the process lives.
#[allow(unsafe_code, reason = "no library shares a number between processes")]
fn map(file: impl AsFd, protection: ProtFlags) -> io::Result<&'static AtomicU64> {
    // SAFETY: a new place in memory, which is never given back.
    let place = unsafe { mmap(null_mut(), BYTES, protection, MapFlags::SHARED, file, 0) }?;
    // SAFETY: a page is as aligned as can be; all who map it read and write it as this type only; and its file is sealed, so
    // that nobody cuts it off.
    Ok(unsafe { &*place.cast::<AtomicU64>() })
}

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}

/// Makes all lesser work of this process, and of the processes that it started for that, leave its core within a fifth of a
/// millisecond and for half of one: something came in that somebody waits for.
pub fn make_way() {
    SIGN.get_or_init(Sign::new).last.store(nanoseconds(), Ordering::Relaxed);
}

/// Returns where a process that this one starts finds what tells it to [make way](make_way).
pub(crate) fn sign_for_child() -> Option<PathBuf> {
    let file = SIGN.get_or_init(Sign::new).shared.as_ref()?;
    Some(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into())
}

/// Makes this process's lesser work leave its core when the one that started it says so.
pub(crate) fn follow(sign: &Path) -> io::Result<()> {
    let last = map(File::open(sign)?, ProtFlags::READ)?;
    // Whoever follows another has nothing of its own that came in before.
    let _first = SIGN.set(Sign { last, shared: None }).is_ok();
    Ok(())
}

/// Leaves the core if work came in just now; tells whether it did. May be called in a signal's handler.
pub(super) fn leave() -> bool {
    let Some(sign) = SIGN.get() else { return false };
    let since = Duration::from_nanos(nanoseconds().saturating_sub(sign.last.load(Ordering::Relaxed)));
    let Some(rest) = MOMENT.checked_sub(since).filter(|rest| !rest.is_zero()) else { return false };
    // A moment cut short by another signal is as good.
    let _slept = nanosleep(&rest.try_into().unwrap_or_default());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_left_once_for_each_time_that_work_came_in() {
        // This thread may be late itself.
        let left = (0..10_000).any(|_| {
            make_way();
            leave()
        });
        assert!(left);
        // As said: a moment may be cut short, but not often.
        assert!((0..10_000).any(|_| !leave()));
    }

    #[test]
    fn whoever_follows_reads_what_is_said_here() {
        let file = File::open(sign_for_child().expect("a sign")).expect("a file");
        let last = map(&file, ProtFlags::READ).expect("a page");
        make_way();
        assert_ne!(last.load(Ordering::Relaxed), 0);
        let said = || SIGN.get().expect("a sign").last.load(Ordering::Relaxed);
        // Other tests say so too.
        assert!((0..1_000).any(|_| last.load(Ordering::Relaxed) == said()));
    }
}
