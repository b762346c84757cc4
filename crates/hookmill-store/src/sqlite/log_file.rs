//! The write-ahead log as a file, before SQLite is trusted with it. Never changes a byte of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Bytes that are read and written at a time.
const CHUNK: u64 = 1 << 20;

/// Writes the log once more as it is; returns it, to be synced, if there is one.
///
/// A process whose sync failed may have left in the log what the system takes for synced and the disk never got. To
/// move such a log into the database is to mix both after a power cut; what is written anew, the next sync covers.
pub(super) fn write_anew(path: &Path) -> io::Result<Option<File>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut chunk = vec![];
    let mut at = 0;
    loop {
        chunk.clear();
        file.seek(SeekFrom::Start(at))?;
        (&file).take(CHUNK).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(Some(file));
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&chunk)?;
        at += chunk.len() as u64;
    }
}
