//! How much room is left, and whether that is too little for anything new. Never frees any.

use std::path::Path;

use hookmill_core::ports::StoreErrorKind;
use rusqlite::Connection;

use super::trouble::Trouble;

/// What is kept free unless something else is asked for: some thousands of attempts before the log begins anew, which
/// then takes no more room.
const RESERVED_BYTES: u64 = 64 << 20;

/// The part of a smaller device that is kept free: it is not to be full from the start.
const RESERVED_PART: u64 = 16;

/// Says what is wrong if less room is left than is to be kept free; nothing if there is enough, or nobody can tell.
pub(super) fn shortage(db: &Connection, dir: &Path, reserve: Option<u64>) -> Option<Trouble> {
    let (left, whole) = of_device(dir)?;
    let reserve = reserve.unwrap_or_else(|| RESERVED_BYTES.min(whole / RESERVED_PART));
    if left >= reserve {
        return None;
    }
    // Pages that retention freed are used again before the file grows.
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let free = number("freelist_count").and_then(|pages| Ok(pages * number("page_size")?));
    if left.saturating_add(free.unwrap_or_default().cast_unsigned()) >= reserve {
        return None;
    }
    let cause = format!("{left} bytes are left on the device, and {reserve} are kept for what becomes of deliveries");
    Some(Trouble::new(StoreErrorKind::Full, cause))
}

/// Returns how many bytes the device has left for this process, and how many it has in all.
fn of_device(dir: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    return rustix::fs::statvfs(dir).ok().map(|device| {
        (device.f_bavail.saturating_mul(device.f_frsize), device.f_blocks.saturating_mul(device.f_frsize))
    });
    #[cfg(not(unix))]
    return None;
}
