//! Secrets, and the signatures that they make.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookmill_core::Explain;
use sha2::Sha256;

/// The prefix of a symmetric secret in text.
const SYMMETRIC: &str = "whsec_";

/// The prefix of an Ed25519 secret in text.
const PRIVATE: &str = "whsk_";

/// The prefix of an Ed25519 public key in text.
const PUBLIC: &str = "whpk_";

/// Bytes of a symmetric secret: the range that Standard Webhooks recommends.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bytes of an Ed25519 seed, and of a public key.
const SEED_BYTES: usize = 32;

/// Characters of a secret that may be any text.
const TEXT_CHARS_MAX: usize = 1024;

/// A secret of Standard Webhooks 1.0. It never shows itself in debug output.
#[derive(Clone)]
pub struct SigningSecret(Key);

#[derive(Clone)]
enum Key {
    Symmetric(Vec<u8>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// A secret that can't be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// It is none of the two forms that Standard Webhooks has.
    #[error(
        "a secret is `whsec_` and the base64 of {} to {} random bytes, or `whsk_` and the base64 of an Ed25519 seed, \
         alone or with its public key after it",
        SECRET_BYTES.start(),
        SECRET_BYTES.end()
    )]
    Standard,
    /// The public key is not that of the seed.
    #[error("the second half of a `whsk_` secret is not the public key of its first half")]
    OtherPublicKey,
    /// It is empty or too long.
    #[error("a secret has 1 to {TEXT_CHARS_MAX} characters")]
    Text,
}

impl Explain for InvalidSecret {
    fn code(&self) -> &'static str {
        "webhook_bad_secret"
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Standard => Some(
                "make one with `echo whsec_$(openssl rand -base64 32)`, or for Ed25519 \
                 `echo whsk_$(openssl rand -base64 32)`"
                    .into(),
            ),
            Self::OtherPublicKey => Some("leave the public key out: the seed's 32 bytes are enough".into()),
            Self::Text => None,
        }
    }
}

impl SigningSecret {
    /// Parses the text form; the key is what the base64 stands for, not the text.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if let Some(encoded) = text.strip_prefix(PRIVATE) {
            let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret::Standard)?;
            return ed25519(&bytes).map(|pair| Self(Key::Ed25519(Arc::new(pair))));
        }
        let key = text.strip_prefix(SYMMETRIC).and_then(|encoded| STANDARD.decode(encoded).ok());
        match key {
            Some(key) if SECRET_BYTES.contains(&key.len()) => Ok(Self(Key::Symmetric(key))),
            _ => Err(InvalidSecret::Standard),
        }
    }

    /// Signs `{id}.{timestamp}.{body}`; returns one entry of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        match &self.0 {
            Key::Symmetric(key) => format!("v1,{}", STANDARD.encode(hmac_sha256(key, &[head.as_bytes(), body]))),
            Key::Ed25519(pair) => {
                format!("v1a,{}", STANDARD.encode(pair.sign(&[head.as_bytes(), body].concat())))
            }
        }
    }

    /// Returns what receivers verify with, if that is not the secret itself: `whpk_` and base64.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Key::Symmetric(_) => None,
            Key::Ed25519(pair) => Some(format!("{PUBLIC}{}", STANDARD.encode(pair.public_key()))),
        }
    }
}

fn ed25519(bytes: &[u8]) -> Result<Ed25519KeyPair, InvalidSecret> {
    match bytes.split_at_checked(SEED_BYTES) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| InvalidSecret::Standard),
        Some((seed, public)) if public.len() == SEED_BYTES => {
            Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| InvalidSecret::OtherPublicKey)
        }
        _ => Err(InvalidSecret::Standard),
    }
}

/// Checks a secret that may be any text.
pub(crate) fn check_text(text: &str) -> Result<(), InvalidSecret> {
    if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX { Err(InvalidSecret::Text) } else { Ok(()) }
}

/// Returns the HMAC-SHA256 of the parts, one after another.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(secret: &str) -> String {
        let secret = SigningSecret::parse(secret).expect("valid");
        secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn the_published_vectors_come_out() {
        let symmetric = signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(symmetric, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let asymmetric = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        let with_public_key =
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        assert_eq!(signed(with_public_key), asymmetric);
        assert_eq!(signed("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="), asymmetric);
        let public = SigningSecret::parse(with_public_key).expect("valid").public_key();
        assert_eq!(public.as_deref(), Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let short_seed = format!("whsk_{}", STANDARD.encode([1; 31]));
        let long_seed = format!("whsk_{}", STANDARD.encode([1; 65]));
        for text in [
            "",
            "whsec_",
            "whsec_!!!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsk_",
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            &short_seed,
            &long_seed,
        ] {
            assert_eq!(SigningSecret::parse(text).map(drop), Err(InvalidSecret::Standard), "{text}");
        }
        let other = format!("whsk_{}", STANDARD.encode([1; 64]));
        assert_eq!(SigningSecret::parse(&other).map(drop), Err(InvalidSecret::OtherPublicKey));
        let shown = format!("{:?}", SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert!(!shown.contains("MfKQ"), "{shown}");
    }
}
