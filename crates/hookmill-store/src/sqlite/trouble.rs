//! What SQLite complains about, in the words of the port. Never decides whether to go on; the writer does.

use std::io;
use std::path::Path;

use hookmill_core::ports::{StoreError, StoreErrorKind};
use rusqlite::{ErrorCode, ffi};

/// An error inside the store, which still knows whether the file can be trusted after it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: StoreErrorKind,
    pub(super) cause: String,
    /// Whether what was synced before can be in doubt, so that nothing may be acknowledged any more.
    pub(super) fatal: bool,
}

impl Trouble {
    pub(super) fn new(kind: StoreErrorKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), fatal: false }
    }

    /// Puts the trouble into the words of the port. Not consuming, because one trouble answers a whole group.
    pub(super) fn during(&self, attempted: &'static str) -> StoreError {
        StoreError { kind: self.kind, attempted, cause: self.cause.clone() }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        let (kind, fatal) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (StoreErrorKind::Full, false),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (StoreErrorKind::Busy, false),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (StoreErrorKind::Damaged, true),
            // The index of the log, which is rebuilt at any time, could not grow: there was no room.
            Some(ErrorCode::SystemIoFailure) if extended(&error) == ffi::SQLITE_IOERR_SHMSIZE => {
                (StoreErrorKind::Full, false)
            }
            Some(ErrorCode::SystemIoFailure) => (StoreErrorKind::Unavailable, true),
            Some(_) => (StoreErrorKind::Unavailable, false),
            // What SQLite handed over without complaint is not what was written.
            None => (StoreErrorKind::Damaged, false),
        };
        Self { kind, cause: error.to_string(), fatal }
    }
}

fn extended(error: &rusqlite::Error) -> std::ffi::c_int {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

/// Complains about a call to the system.
pub(super) fn io_trouble(attempted: &str, path: &Path, error: &io::Error) -> Trouble {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    };
    Trouble::new(kind, format!("could not {attempted} {}: {error}", path.display()))
}

/// Complains about a sync that failed. Also for want of room: what it should have made durable is in doubt.
pub(super) fn sync_trouble(path: &Path, error: &io::Error) -> Trouble {
    let cause = format!("could not sync {}: {error}", path.display());
    Trouble { kind: StoreErrorKind::Unavailable, cause, fatal: true }
}

/// Complains about a value that only damage can have put there.
pub(super) fn damaged(what: &str, cause: impl std::fmt::Display) -> Trouble {
    Trouble::new(StoreErrorKind::Damaged, format!("{what} can't be read: {cause}"))
}
