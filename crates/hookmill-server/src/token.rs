//! The bearer token: given by configuration, or made at the first start and shown once.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The file that holds the digest of a token that was made here. The token itself is kept nowhere.
const FILE: &str = "token.sha256";

/// What a caller must show.
#[derive(Clone)]
pub struct Token {
    digest: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token can't be read or made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempted} {}: {cause}", file.display())]
pub struct TokenError {
    attempted: &'static str,
    file: PathBuf,
    cause: String,
}

impl Token {
    /// Takes a token that configuration gives.
    pub fn given(text: &str) -> Self {
        Self { digest: Sha256::digest(text.as_bytes()).into() }
    }

    /// Reads the token of this data directory or, at the first start, makes one; then it is returned too, to be shown
    /// once.
    pub fn load_or_make(data_dir: &Path) -> Result<(Self, Option<String>), TokenError> {
        let file = data_dir.join(FILE);
        let fault = |attempted, cause: String| TokenError { attempted, file: file.clone(), cause };
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let digest = parse_hex(text.trim())
                    .ok_or_else(|| fault("read", "it is damaged; remove it, and a new token is made".into()))?;
                Ok((Self { digest }, None))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0; 24];
                getrandom::fill(&mut random).map_err(|error| fault("make", error.to_string()))?;
                let text = format!("hkm_{}", hex(&random));
                let token = Self::given(&text);
                write_private(data_dir, &file, &hex(&token.digest))
                    .map_err(|error| fault("write", error.to_string()))?;
                Ok((token, Some(text)))
            }
            Err(error) => Err(fault("read", error.to_string())),
        }
    }

    /// Tells whether `text` is the token, in a time that says nothing about it.
    pub(crate) fn is(&self, text: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.digest.ct_eq(&digest).into()
    }
}

fn write_private(dir: &Path, file: &Path, text: &str) -> io::Result<()> {
    // Readable by its owner only, and never half written.
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(new, "{text}")?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}
