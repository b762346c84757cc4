//! The directory of a store: made for its owner alone, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use hookmill_core::ports::StoreErrorKind;

use super::schema;
use super::trouble::{Trouble, io_trouble, sync_trouble};

/// The name of the file whose lock says that a process has the store open.
const LOCK_NAME: &str = "hookmill.lock";

/// Says to others that the store is open, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Makes sure that nobody writes meanwhile, without writing oneself. A directory without the file is nobody's.
    pub(super) fn for_reading(dir: &Path) -> Result<Option<Self>, Trouble> {
        let path = dir.join(LOCK_NAME);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        let taken = file.try_lock_shared();
        Self::taken(file, taken, &path).map(Some)
    }

    fn for_writing(dir: &Path) -> Result<Self, Trouble> {
        let path = dir.join(LOCK_NAME);
        let file = private(&path).map_err(|error| io_trouble("open", &path, &error))?;
        let taken = file.try_lock();
        Self::taken(file, taken, &path)
    }

    fn taken(file: File, taken: Result<(), TryLockError>, path: &Path) -> Result<Self, Trouble> {
        match taken {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Trouble::new(StoreErrorKind::InUse, format!("another hookmill holds {}", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(io_trouble("lock", path, &error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would not do: a child of this process that is being started has a copy of the open file, and with
        // it the lock, until its program runs.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the store can't be given back before the process ends");
        }
    }
}

/// Makes the directory, for its owner only, and takes the lock.
pub(super) fn prepare(dir: &Path) -> Result<Lock, Trouble> {
    if !dir.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|error| io_trouble("make the directory", dir, &error))?;
        // Else a power cut could take the directory with everything that was synced inside it.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
    }
    // Documents are nobody else's business, even in a directory that others may enter; the log gets the same mode.
    let file = dir.join(schema::FILE_NAME);
    private(&file).map_err(|error| io_trouble("open", &file, &error))?;
    Lock::for_writing(dir)
}

/// Makes sure that the names of files made in `dir` are there after a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Trouble> {
    // Elsewhere directories can't be opened, and need not be.
    #[cfg(unix)]
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| sync_trouble(dir, &error))?;
    Ok(())
}

/// Opens a file that only its owner may read, made empty if it is not there.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
