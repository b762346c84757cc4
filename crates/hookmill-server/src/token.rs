//! The bearer token: given by configuration, or made at the first start and shown once.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hookmill::Explain;
use hookmill::core::Digest;
use subtle::ConstantTimeEq as _;

/// The file that holds the digest of a token that was made here. The token itself is kept nowhere.
const FILE: &str = "token.sha256";

/// A token that someone chose has at least this many characters: nothing slows down who tries them all.
pub const TOKEN_CHARS_MIN: usize = 16;

/// What a caller must show.
#[derive(Clone)]
pub struct Token {
    digest: Digest,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token can't be used, read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is a token, but it says nothing.
    #[error("the token is empty, so that anyone could call")]
    Empty,
    /// The token can be found by trying.
    #[error("the token has {chars} characters, fewer than the {TOKEN_CHARS_MIN} that keep it from being guessed")]
    Short {
        /// How many it has.
        chars: usize,
    },
    /// The token can't be sent in a header.
    #[error("the token has a character that no header can carry, or blanks around it")]
    Unsendable,
    /// The file with the token's digest can't be read or written.
    #[error("failed to {attempted} {}: {cause}", file.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: String,
    },
}

impl Explain for TokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::Short { .. } | Self::Unsendable => "token_unusable",
            Self::File { .. } => "token_file_failed",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::File { .. } => "check the data directory; without token.sha256 a new token is made".into(),
            _ => "give another as HOOKMILL_TOKEN, --token or `token` in the file, or none: then one is made".into(),
        })
    }
}

impl Token {
    /// Takes a token that configuration gives. One that could be guessed, or that no caller could show, is refused.
    pub fn given(text: &str) -> Result<Self, TokenError> {
        let chars = text.chars().count();
        if text.trim().is_empty() {
            return Err(TokenError::Empty);
        }
        if text.trim() != text || !text.chars().all(|character| matches!(character, ' '..='~')) {
            return Err(TokenError::Unsendable);
        }
        if chars < TOKEN_CHARS_MIN {
            return Err(TokenError::Short { chars });
        }
        Ok(Self { digest: Digest::of(text.as_bytes()) })
    }

    /// Makes a token that nobody can guess; answers with its text too.
    pub fn random() -> io::Result<(Self, String)> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // No digest yet: only the type that spells 32 bytes out.
        let text = format!("hkm_{}", Digest::from_bytes(random));
        Ok((Self { digest: Digest::of(text.as_bytes()) }, text))
    }

    /// Reads the token of this data directory or, at the first start, makes one; then it is returned too, to be shown
    /// once.
    pub fn load_or_make(data_dir: &Path) -> Result<(Self, Option<String>), TokenError> {
        let file = data_dir.join(FILE);
        let fault = |attempted, cause: String| TokenError::File { attempted, file: file.clone(), cause };
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let digest = text.trim().parse().map_err(|_| fault("read", "it is damaged".into()))?;
                Ok((Self { digest }, None))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (token, text) = Self::random().map_err(|error| fault("make", error.to_string()))?;
                write_private(data_dir, &file, &token.digest.to_string())
                    .map_err(|error| fault("write", error.to_string()))?;
                Ok((token, Some(text)))
            }
            Err(error) => Err(fault("read", error.to_string())),
        }
    }

    /// Tells whether `text` is the token, in a time that says nothing about it.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.digest.as_bytes().ct_eq(Digest::of(text.as_bytes()).as_bytes()).into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_could_be_guessed_or_never_shown_is_refused() {
        let fault = |text: &str| Token::given(text).map(drop).map_err(|error| error.to_string());
        assert!(fault("").unwrap_err().contains("empty"));
        assert!(fault("  ").unwrap_err().contains("empty"));
        assert!(fault("fifteen letters").unwrap_err().contains("15 characters"));
        assert!(fault("a long enough token\n").unwrap_err().contains("blanks around it"));
        assert!(fault("ein Schlüssel mit Umlaut").unwrap_err().contains("no header"));
        assert!(fault("sixteen letters!").is_ok());
    }
}
