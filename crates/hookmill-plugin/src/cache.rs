//! Compiled components on disk, so that a restart compiles nothing.
//!
//! Loading native code is trusting it, so nothing is loaded that this host did not write. Beside each file of native
//! code, which is mapped and not read, lies a note with its hash and what was found out about its component. The note
//! bears a MAC under a key that never leaves the private directory. Hashing the whole file takes longer than all else,
//! so a note may say which file was hashed: as long as the system knows of no change to it, it is not hashed again.
//! Native code from users is never accepted. The source lines beside it are data that nobody has to trust.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hookmill_core::Digest;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile::{Compiled, lines_beside};
use crate::fixture::Fixture;
use crate::inspect::Inspection;
use crate::lines::SourceLines;

/// How old a change to a file must be before its time tells it from the next one. No system's clock for files is coarser
/// than a tenth of this.
const TELLING_AGE: Duration = Duration::from_millis(100);

/// A private directory of compiled components.
#[derive(Debug)]
pub(crate) struct CompiledCache {
    dir: PathBuf,
    key: [u8; 32],
}

/// What is known of a file of native code.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    inspection: Inspection,
    fixtures: Vec<Fixture>,
    /// The hash of the native code.
    native: blake3::Hash,
    /// The file that had this hash when it was read last.
    hashed: Option<Stamp>,
}

/// What changes with every change of a file, whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of a file, unless it changed so shortly ago that the next change might not show.
    #[cfg(unix)]
    fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let changed = (file.ctime(), file.ctime_nsec());
        let since = SystemTime::UNIX_EPOCH + Duration::new(changed.0.try_into().ok()?, changed.1.try_into().ok()?);
        // Of a change in the future nothing is known either.
        #[allow(clippy::disallowed_methods, reason = "held beside times of files, which are the system's too")]
        let telling = SystemTime::now().duration_since(since).is_ok_and(|age| age >= TELLING_AGE);
        telling.then(|| Self { device: file.dev(), inode: file.ino(), bytes: file.len(), changed })
    }

    #[cfg(not(unix))]
    fn of(_file: &Metadata) -> Option<Self> {
        None
    }
}

impl CompiledCache {
    /// Opens the cache, making directory and key where they are missing.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        make_private(dir, 0o700)?;
        let key_file = dir.join("key");
        let key = match fs::read(&key_file).map(<[u8; 32]>::try_from) {
            Ok(Ok(key)) => key,
            // A key of the wrong length was cut off by a crash; what was made under it is compiled again.
            Ok(Err(_)) => new_key(dir, &key_file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_key(dir, &key_file)?,
            Err(error) => return Err(error),
        };
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// Returns the directory, for scratch files of the compiler.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Loads the component with this digest and what was found out about it, if it was compiled by this version of
    /// hookmill under this key.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest) -> Option<(Component, SourceLines, Inspection)> {
        let file = self.file(engine, digest);
        let note = self.read_note(&file.with_extension("note"), digest)?;
        let stamp = Stamp::of(&fs::metadata(&file).ok()?);
        if stamp.is_none() || stamp != note.hashed {
            if hash_file(&file).ok()? != note.native {
                tracing::warn!(%digest, "a compiled component is damaged or foreign; it is compiled again");
                return None;
            }
            let hashed = Note { hashed: stamp, ..note };
            self.write_note(&file, digest, &hashed);
            return self.map(engine, &file, digest, hashed);
        }
        self.map(engine, &file, digest, note)
    }

    fn map(
        &self,
        engine: &Engine,
        file: &Path,
        digest: &Digest,
        note: Note,
    ) -> Option<(Component, SourceLines, Inspection)> {
        let component = map(engine, file)
            .inspect_err(|error| tracing::warn!(%digest, %error, "a compiled component can't be loaded"))
            .ok()?;
        let lines = SourceLines::in_file(lines_beside(file));
        Some((component, lines, Inspection { fixtures: note.fixtures, ..note.inspection }))
    }

    /// Loads what the compiler made just now.
    pub(crate) fn fresh(&self, engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Component> {
        map(engine, &compiled.native)
    }

    /// Keeps what the compiler made of a component that was tried out: what is kept is not tried out again.
    pub(crate) fn keep(&self, engine: &Engine, inspection: &Inspection, compiled: &Compiled) {
        let file = self.file(engine, &inspection.digest);
        let move_to = |place: &Path, new: &Path| {
            // The note must not outlive a power cut that its file did not.
            fs::File::open(new)?.sync_all()?;
            fs::rename(new, place)
        };
        let keep = || {
            let lines = lines_beside(&compiled.native);
            compiled.lines.as_ref().map(|_| move_to(&lines_beside(&file), &lines)).transpose()?;
            let hash = hash_file(&compiled.native)?;
            move_to(&file, &compiled.native)?;
            Ok::<_, io::Error>(hash)
        };
        match keep() {
            Ok(native) => {
                let (inspection, fixtures) = (inspection.clone(), inspection.fixtures.clone());
                let note = Note { inspection, fixtures, native, hashed: None };
                self.write_note(&file, &note.inspection.digest, &note);
            }
            // The plugin runs all the same; only the next start compiles it again.
            Err(error) => {
                tracing::warn!(digest = %inspection.digest, %error, "a compiled component could not be kept");
            }
        }
    }

    /// Removes what was made of this component, by whatever version of the engine.
    pub(crate) fn forget(&self, digest: &Digest) -> io::Result<()> {
        let start = format!("{digest}-");
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&start)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn read_note(&self, path: &Path, digest: &Digest) -> Option<Note> {
        let bytes = fs::read(path).ok()?;
        let (mac, json) = bytes.split_at_checked(blake3::OUT_LEN)?;
        // `blake3::Hash` compares in constant time.
        if self.mac(digest, json) != <[u8; blake3::OUT_LEN]>::try_from(mac).ok()? {
            tracing::warn!(%digest, "the note of a compiled component is damaged or foreign; it is compiled again");
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Writes the note of a file. Without one the component is compiled again, so a failure is told to the log.
    fn write_note(&self, file: &Path, digest: &Digest, note: &Note) {
        let write = || {
            let json = serde_json::to_vec(note)?;
            let mut new = tempfile::NamedTempFile::new_in(&self.dir)?;
            new.write_all(self.mac(digest, &json).as_bytes())?;
            new.write_all(&json)?;
            new.persist(file.with_extension("note")).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            tracing::warn!(%digest, %error, "the note of a compiled component could not be kept");
        }
    }

    fn mac(&self, digest: &Digest, note: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(digest.as_bytes()).update(note).finalize()
    }

    /// Returns the place of the native code: one for each version of hookmill, whose rules for components may differ, and
    /// for each setting of the engine.
    fn file(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        self.dir.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

fn hash_file(file: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(file)?)?;
    Ok(hasher.finalize())
}

#[expect(unsafe_code, reason = "wasmtime marks the loading of native code unsafe")]
fn map(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file came from the compiler just now; or it has the hash that stands in a note under a key that only this
    // host can read, so it is unchanged output of `precompile_component`; or no change to it is known since it had. It lies
    // in a directory that only this user can write, whose files are moved, replaced and removed but never written to, so it
    // stays as it is while it is mapped. The engine itself checks its version and settings.
    unsafe { Component::deserialize_file(engine, file) }
}

fn new_key(dir: &Path, file: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    // `NamedTempFile` is readable by its owner only.
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(&key)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(key)
}

#[cfg(unix)]
fn make_private(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn make_private(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}
