//! Secrets that are used by name: whoever writes `secret("name")` into a header never holds the secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::request::BuildError;

const OPENING: &str = "secret(\"";
const CLOSING: &str = "\")";

/// Secrets by name, filled in at the last moment before a request goes out. Printing them shows the names alone.
#[derive(Clone, Default)]
pub struct SecretHandles(BTreeMap<String, String>);

impl SecretHandles {
    /// Takes secrets by name.
    pub fn new(secrets: BTreeMap<String, String>) -> Self {
        Self(secrets)
    }

    /// Returns handles that give `mask` in place of every secret: for showing a request to people.
    pub fn masked(&self, mask: &str) -> Self {
        Self(self.0.keys().map(|name| (name.clone(), mask.to_owned())).collect())
    }

    /// Puts the secrets in that a header's value asks for.
    pub(crate) fn fill<'a>(&self, header: &str, value: &'a str) -> Result<Cow<'a, str>, BuildError> {
        let Some((mut before, mut rest)) = value.split_once(OPENING) else { return Ok(Cow::Borrowed(value)) };
        let mut filled = String::with_capacity(value.len());
        loop {
            filled.push_str(before);
            let unknown = |secret: &str| BuildError::UnknownSecret {
                header: header.chars().take(60).collect(),
                secret: secret.chars().take(60).collect(),
            };
            let (name, after) = rest.split_once(CLOSING).ok_or_else(|| unknown(rest))?;
            filled.push_str(self.0.get(name).ok_or_else(|| unknown(name))?);
            let Some(next) = after.split_once(OPENING) else {
                filled.push_str(after);
                return Ok(Cow::Owned(filled));
            };
            (before, rest) = next;
        }
    }
}

impl SecretHandles {
    /// Returns the secrets themselves.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }
}

impl fmt::Debug for SecretHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handles() -> SecretHandles {
        let secrets = [("token", "s3cret"), ("odd", "secret(\"token\")")];
        SecretHandles::new(secrets.map(|(name, secret)| (name.into(), secret.into())).into())
    }

    #[test]
    fn every_handle_becomes_its_secret_once() {
        let fill = |value| handles().fill("authorization", value).map(Cow::into_owned);
        assert_eq!(fill("plain"), Ok("plain".into()));
        assert_eq!(fill("Bearer secret(\"token\")!"), Ok("Bearer s3cret!".into()));
        assert_eq!(fill("secret(\"token\")secret(\"token\")"), Ok("s3crets3cret".into()));
        assert_eq!(fill("secret(\"odd\")"), Ok("secret(\"token\")".into()));
        for unknown in ["secret(\"nope\")", "secret(\"token", "secret(\"\")"] {
            assert!(matches!(fill(unknown), Err(BuildError::UnknownSecret { .. })), "{unknown}");
        }
    }

    #[test]
    fn printing_shows_no_secret() {
        assert!(!format!("{:?}", handles()).contains("s3cret"));
        assert_eq!(handles().masked("***").fill("a", "secret(\"token\")").expect("filled"), "***");
    }
}
