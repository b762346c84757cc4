//! Files of megabytes, in parts: between two of them a thread of lesser work can offer its core. A call of the system for the
//! whole holds the core until it is done, which takes milliseconds.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Copied in some tens of microseconds.
const PART: usize = 64 << 10;

/// Freed in about a tenth of a millisecond.
const FREED: u64 = 1 << 20;

/// Writes a file that only its owner may read, in place of what was in it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    bytes.chunks(PART).try_for_each(|part| file.write_all(part))
}

/// Reads a file that nobody changes meanwhile.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(length);
    while (&file).take(PART as u64).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// Removes a file, from its end.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let length = file.metadata()?.len();
    (0..length.div_ceil(FREED)).rev().try_for_each(|kept| file.set_len(kept * FREED))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_many_parts_is_what_was_written_until_it_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        for length in [0, 1, PART, PART + 1, (FREED as usize) * 2 + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 3) as u8).collect();
            write(&path, &bytes).expect("written");
            assert!(read(&path).expect("read") == bytes, "{length} bytes");
            remove(&path).expect("removed");
            assert!(!path.exists(), "{length} bytes");
        }
    }
}
