//! Compiled components on disk, so that a restart compiles nothing.
//!
//! Loading native code is trusting it, so nothing is loaded that this host did not write: each file begins with a MAC
//! under a key that never leaves the private directory. Native code from users is never accepted.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hookmill_core::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

const MAC_BYTES: usize = blake3::OUT_LEN;

/// A private directory of compiled components.
#[derive(Debug)]
pub(crate) struct CompiledCache {
    dir: PathBuf,
    key: [u8; 32],
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

    /// Loads the component with this digest, if it was compiled by this version of the engine under this key.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let bytes = fs::read(self.file(engine, digest)).ok()?;
        let (mac, native) = bytes.split_at_checked(MAC_BYTES)?;
        // `blake3::Hash` compares in constant time.
        if self.mac(digest, native) != <[u8; MAC_BYTES]>::try_from(mac).ok()? {
            tracing::warn!(%digest, "a compiled component is damaged or foreign; it is compiled again");
            return None;
        }
        deserialize(engine, native)
            .inspect_err(|error| tracing::warn!(%digest, %error, "a compiled component can't be loaded"))
            .ok()
    }

    /// Loads what the compiler made just now.
    pub(crate) fn fresh(&self, engine: &Engine, native: &[u8]) -> wasmtime::Result<Component> {
        deserialize(engine, native)
    }

    /// Keeps what the compiler made of a component that was tried out: what is kept is not tried out again.
    pub(crate) fn keep(&self, engine: &Engine, digest: &Digest, native: &[u8]) {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(self.mac(digest, native).as_bytes())?;
            file.write_all(native)?;
            file.persist(self.file(engine, digest)).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            // The plugin runs all the same; only the next start compiles it again.
            tracing::warn!(%digest, %error, "a compiled component could not be kept");
        }
    }

    /// Removes what was made of this component, by whatever version of the engine.
    pub(crate) fn forget(&self, digest: &Digest) -> io::Result<()> {
        let start = format!("{digest}-");
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&start) && name.ends_with(".cwasm")) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn mac(&self, digest: &Digest, native: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(digest.as_bytes()).update(native).finalize()
    }

    fn file(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.dir.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

#[expect(unsafe_code, reason = "wasmtime marks the loading of native code unsafe")]
fn deserialize(engine: &Engine, native: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `native` came from the compiler just now, or bears a MAC under a key that only this host can read; so it
    // is unchanged output of `precompile_component`. The engine itself checks its version and settings.
    unsafe { Component::deserialize(engine, native) }
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
