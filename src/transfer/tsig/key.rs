//! Keys that are shared with other servers, and the algorithms that they are for.

use super::file::{self, KeyFileError};
use crate::model::Name;
use ring::hmac;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// How a signature is made (RFC 8945 §6); MD5 and SHA-1 are not offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// hmac-sha256.
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name without the final dot.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    /// Its name as a domain name, in wire form.
    pub(super) fn wire(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"\x0bhmac-sha256\0",
            Self::Sha384 => b"\x0bhmac-sha384\0",
            Self::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    /// Octets of a whole signature.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

impl std::str::FromStr for Algorithm {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::ALL.into_iter().find(|own| own.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// A key that is shared with another server.
#[derive(Clone)]
pub struct Key {
    /// Its name, the same on both sides.
    pub name: Name,
    /// What it is for.
    pub algorithm: Algorithm,
    secret: hmac::Key,
}

/// The secret stays out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.as_str())
    }
}

impl Key {
    /// A key of that secret.
    #[must_use]
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { name, algorithm, secret: hmac::Key::new(algorithm.hmac(), secret) }
    }

    pub(super) fn begin(&self) -> hmac::Context {
        hmac::Context::with_key(&self.secret)
    }

    /// Whether two signatures are the same, in a time that does not tell how much of them is: what
    /// is compared are signatures over them, by ring's own comparison.
    pub(super) fn same(&self, one: &[u8], other: &[u8]) -> bool {
        let tag = hmac::sign(&self.secret, one);
        hmac::verify(&self.secret, other, tag.as_ref()).is_ok()
    }
}

/// The keys that are known, by name.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<Name, Arc<Key>>);

impl Keys {
    /// Those of a file: BIND's `key` clauses, or lines `name:algorithm:secret`.
    ///
    /// # Errors
    /// The line, and what was expected there. Secrets are never shown.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        file::parse(text)
    }

    /// Adds a key; whether there was none of that name.
    pub fn put(&mut self, key: Key) -> bool {
        self.0.insert(key.name.clone(), Arc::new(key)).is_none()
    }

    /// The key of that name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<Key>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.0.values()
    }
}
