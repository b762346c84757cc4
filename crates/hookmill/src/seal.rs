//! Configuration that holds secrets is sealed before it is stored: who has the store's file, or a copy, has none of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hookmill_core::ports::{ConfigKey, Revision, Store, StoreError};
use hookmill_core::{Explain, TenantId};

/// The file with the key of a data directory to which none is given.
pub(crate) const KEY_FILE: &str = "secret.key";

/// What a sealed value begins with; everything else was stored before values were sealed.
const SEALED: &str = "sealed:v1:";

const NONCE_BYTES: usize = 24;

/// The key with which secrets are sealed: 32 random bytes, in text as base64. It never shows itself in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The key for secrets can't be used, or is another than the one with which the data directory was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// The text is no key.
    #[error("a secret key is the base64 of 32 random bytes")]
    Malformed,
    /// The file can't be read or made.
    #[error("failed to {attempted} the secret key {}: {cause}", file.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// What is stored was sealed with another key, or is damaged.
    #[error("the stored {kind} {name:?} can't be opened with this secret key")]
    Wrong {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl Explain for SecretKeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed | Self::File { .. } => "secret_key_unusable",
            Self::Wrong { .. } => "secret_key_wrong",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Malformed => "make one with `openssl rand -base64 32`".into(),
            Self::File { .. } => "check the file and who may read it, or give the key as HOOKMILL_SECRET_KEY".into(),
            Self::Wrong { .. } => format!(
                "give the key with which the data directory was written: its own {KEY_FILE}, --secret-key or HOOKMILL_SECRET_KEY"
            ),
        })
    }
}

impl SecretKey {
    /// Parses the text of a key.
    pub fn parse(text: &str) -> Result<Self, SecretKeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SecretKeyError::Malformed)?;
        bytes.try_into().map(Self).map_err(|_| SecretKeyError::Malformed)
    }

    /// Reads a key from a file.
    pub fn read(file: &Path) -> Result<Self, SecretKeyError> {
        let fault = |error: std::io::Error| fault("read", file, &error);
        Self::parse(&std::fs::read_to_string(file).map_err(fault)?)
    }

    /// Reads the key of a data directory or, at the first start, makes one that only its owner can read.
    pub(crate) fn of_directory(dir: &Path, check: &KeyCheck) -> Result<Self, SecretKeyError> {
        let file = dir.join(KEY_FILE);
        if file.exists() {
            return Self::read(&file);
        }
        // It was written with a key from elsewhere, which a new one would not be.
        if check.sealed.is_some() {
            return Err(KeyCheck::wrong());
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| fault("make", &file, &std::io::Error::other(error)))?;
        write_private(dir, &file, &STANDARD.encode(bytes)).map_err(|error| fault("write", &file, &error))?;
        Ok(Self(bytes))
    }
}

fn fault(attempted: &'static str, file: &Path, error: &std::io::Error) -> SecretKeyError {
    SecretKeyError::File { attempted, file: file.to_owned(), cause: error.to_string() }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(dir: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(new, "{text}")?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    std::fs::File::open(dir)?.sync_all()
}

/// Seals what is stored, and opens it again.
pub(crate) struct Sealer(XChaCha20Poly1305);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    pub(crate) fn new(key: &SecretKey) -> Self {
        Self(XChaCha20Poly1305::new(&key.0.into()))
    }

    /// Seals a value for its place: elsewhere it can't be opened.
    pub(crate) fn seal(&self, place: &ConfigKey, value: &str) -> String {
        self.seal_for(&context(place), value)
    }

    /// Opens what is stored at a place; what was stored before values were sealed comes back as it is.
    pub(crate) fn open(&self, place: &ConfigKey, stored: &str) -> Result<String, SecretKeyError> {
        let opened = self.open_for(&context(place), stored);
        opened.ok_or_else(|| SecretKeyError::Wrong { kind: place.kind, name: place.name.clone() })
    }

    /// Seals a value for whatever place has this context. The text it returns can stand in a URL, before the host.
    pub(crate) fn seal_for(&self, context: &[u8], value: &str) -> String {
        let mut nonce = [0; NONCE_BYTES];
        // Without random numbers nothing may be sealed; they fail on no system that has started.
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        let payload = Payload { msg: value.as_bytes(), aad: context };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).expect("a value is far below the cipher's bound");
        format!("{SEALED}{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for a context, and returns what never was sealed as it is; none with another key.
    pub(crate) fn open_for(&self, context: &[u8], stored: &str) -> Option<String> {
        let Some(encoded) = stored.strip_prefix(SEALED) else { return Some(stored.to_owned()) };
        // What was sealed before requests were has the other alphabet.
        let bytes = URL_SAFE_NO_PAD.decode(encoded).or_else(|_| STANDARD.decode(encoded)).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: sealed, aad: context };
        String::from_utf8(self.0.decrypt(&XNonce::from(nonce), payload).ok()?).ok()
    }
}

/// A sealed value in the store by which a wrong key is known at the start, whatever else is stored.
#[derive(Debug)]
pub(crate) struct KeyCheck {
    sealed: Option<String>,
}

impl KeyCheck {
    const KIND: &str = "secret_key";
    const VALUE: &str = "opened";

    fn place() -> ConfigKey {
        ConfigKey { tenant: TenantId::default_tenant(), kind: Self::KIND, name: "check".into() }
    }

    fn wrong() -> SecretKeyError {
        SecretKeyError::Wrong { kind: Self::KIND, name: Self::place().name }
    }

    /// Reads what an earlier start wrote.
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let sealed = store.config(Self::KIND).await?.pop().map(|entry| entry.value);
        Ok(Self { sealed })
    }

    /// Refuses a key with which the store was not written.
    pub(crate) fn check(&self, sealer: &Sealer) -> Result<(), SecretKeyError> {
        match &self.sealed {
            Some(sealed) if sealer.open(&Self::place(), sealed).ok().as_deref() != Some(Self::VALUE) => {
                Err(Self::wrong())
            }
            _ => Ok(()),
        }
    }

    /// Writes the value for later starts, where it is missing; what else is stored opened with this key.
    pub(crate) async fn keep(self, store: &dyn Store, sealer: &Sealer) -> Result<(), StoreError> {
        if self.sealed.is_none() {
            let value = sealer.seal(&Self::place(), Self::VALUE);
            store.put_config(Self::place(), Some(value), Revision(0)).await?;
        }
        Ok(())
    }
}

/// What a piece of configuration is bound to.
fn context(place: &ConfigKey) -> Vec<u8> {
    format!("{}\0{}\0{}", place.tenant, place.kind, place.name).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> ConfigKey {
        ConfigKey { tenant: TenantId::default_tenant(), kind: "webhook", name: name.into() }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_with_its_key_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::new(&SecretKey::of_directory(dir.path(), &KeyCheck { sealed: None }).expect("a key"));
        let sealed = sealer.seal(&place("a"), r#"{"secrets":["whsec_x"]}"#);
        assert!(!sealed.contains("whsec") && sealed != sealer.seal(&place("a"), r#"{"secrets":["whsec_x"]}"#));
        let again =
            Sealer::new(&SecretKey::of_directory(dir.path(), &KeyCheck { sealed: None }).expect("the same key"));
        assert_eq!(again.open(&place("a"), &sealed).expect("opens"), r#"{"secrets":["whsec_x"]}"#);
        assert_eq!(again.open(&place("a"), "{}").expect("as it is"), "{}");
        let other = Sealer::new(&SecretKey([7; 32]));
        for refused in [other.open(&place("a"), &sealed), again.open(&place("b"), &sealed)] {
            assert_eq!(refused.expect_err("refused").code(), "secret_key_wrong");
        }
        let mut changed = sealed.into_bytes();
        changed[40] ^= 1;
        assert!(again.open(&place("a"), &String::from_utf8(changed).expect("text")).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "short", "AAAA", &"A".repeat(43)] {
            assert_eq!(SecretKey::parse(text).expect_err(text).code(), "secret_key_unusable");
        }
        assert!(SecretKey::parse(&format!(" {}\n", STANDARD.encode([1; 32]))).is_ok());
    }
}
