//! A new data directory from what can be read of a damaged one.

use std::io;
use std::path::Path;

use hookmill_core::ports::{StoreError, StoreErrorKind};
use hookmill_store::Salvaged;

use crate::seal::KEY_FILE;

/// The file with the digest of the token for callers, which a server keeps beside the store.
const TOKEN_FILE: &str = "token.sha256";

/// Reads what can be read of the data directory `from` into a new one, `to`, on which an engine can be started: events,
/// deliveries, attempts, configuration and blobs, and the key and token beside them. Nothing in `from` is changed.
pub fn salvage(from: &Path, to: &Path) -> Result<Salvaged, StoreError> {
    let salvaged = hookmill_store::salvage(from, to)?;
    for name in [KEY_FILE, TOKEN_FILE] {
        copy(&from.join(name), &to.join(name)).map_err(|error| StoreError {
            kind: StoreErrorKind::Unavailable,
            attempted: "salvage",
            cause: format!("{name} can't be copied: {error}"),
        })?;
    }
    Ok(salvaged)
}

/// Copies a file with its mode, if it is there; a key may be kept elsewhere.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::copy(from, to) {
        Ok(_) => std::fs::File::open(to)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
