//! Digests of what goes into a call and what comes out of it.

use hookmill_core::Digest;
use sha2::{Digest as _, Sha256};

/// A digest over fields, each with its length in front, so that no two lists of fields look alike.
pub(crate) struct FieldHash(Sha256);

impl FieldHash {
    /// Begins with what the fields are, so that digests of different things never agree.
    pub(crate) fn new(of: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.field(of);
        hash
    }

    pub(crate) fn field(&mut self, field: impl AsRef<[u8]>) -> &mut Self {
        let field = field.as_ref();
        self.count(field.len());
        self.0.update(field);
        self
    }

    pub(crate) fn optional(&mut self, field: Option<&str>) -> &mut Self {
        self.count(usize::from(field.is_some()));
        self.field(field.unwrap_or_default())
    }

    pub(crate) fn pairs(&mut self, pairs: &[(String, String)]) -> &mut Self {
        self.count(pairs.len());
        for (name, value) in pairs {
            self.field(name).field(value);
        }
        self
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

/// Lets whatever can be hashed be hashed for good: the standard library's own hash differs from build to build.
impl std::hash::Hasher for FieldHash {
    fn write(&mut self, bytes: &[u8]) {
        self.field(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
