//! A key of a zone: what signs, what is published of it, and what its parent is given.

use crate::{
    model::Name,
    records::{RecordType, Rrset},
};
use data_encoding::{BASE64, HEXUPPER};
use ring::{
    digest,
    rand::SecureRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a zone is signed: both that RFC 8624 §3.1 recommends and every validator knows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Algorithm {
    /// ECDSA on the curve P-256 with SHA-256 (RFC 6605), number 13.
    #[serde(rename = "ECDSAP256SHA256")]
    EcdsaP256,
    /// Ed25519 (RFC 8080), number 15.
    #[serde(rename = "ED25519")]
    Ed25519,
}

impl Algorithm {
    /// Its number in the IANA registry.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::EcdsaP256 => 13,
            Self::Ed25519 => 15,
        }
    }

    /// That of a number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::EcdsaP256, Self::Ed25519].into_iter().find(|own| own.number() == number)
    }

    /// Its mnemonic.
    #[must_use]
    pub fn mnemonic(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSAP256SHA256",
            Self::Ed25519 => "ED25519",
        }
    }
}

/// What a key signs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// All; its DS is at the parent.
    Csk,
    /// The keys; its DS is at the parent.
    Ksk,
    /// All but the keys.
    Zsk,
}

impl Role {
    /// The flags field of such a key (RFC 4034 §2.1.1): zone key, and secure entry point where the
    /// parent has a DS of it.
    #[must_use]
    pub fn flags(self) -> u16 {
        match self {
            Self::Csk | Self::Ksk => 257,
            Self::Zsk => 256,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Csk => "CSK",
            Self::Ksk => "KSK",
            Self::Zsk => "ZSK",
        })
    }
}

/// A key with its secret.
pub struct Key {
    /// How it signs.
    pub algorithm: Algorithm,
    /// RFC 4034 §2.1.1.
    pub flags: u16,
    public: Vec<u8>,
    secret: Vec<u8>,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why octets are not a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The secret and the public part do not belong together, or are no key.
    #[error("the private key is not one of {algorithm}, or does not belong to the public one")]
    Rejected {
        /// Of which algorithm it should be.
        algorithm: &'static str,
    },
    /// The system gave no random octets.
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// When there are no random octets to be had.
    pub fn generate(
        algorithm: Algorithm,
        flags: u16,
        random: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::EcdsaP256 => {
                let whole = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random);
                let whole = whole.map_err(|_| KeyError::NoRandom)?;
                let parts = pkcs8_parts(whole.as_ref()).ok_or(rejected(algorithm))?;
                Self::new(algorithm, flags, parts.0, parts.1, random)
            }
            Algorithm::Ed25519 => {
                let mut seed = [0; 32];
                random.fill(&mut seed).map_err(|_| KeyError::NoRandom)?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
                let pair = pair.map_err(|_| rejected(algorithm))?;
                let public = pair.public_key().as_ref().to_vec();
                Self::new(algorithm, flags, &seed, &public, random)
            }
        }
    }

    /// The key of these parts, as DNSKEY (RFC 6605 §4, RFC 8080 §3) and private-key files have
    /// them.
    ///
    /// # Errors
    /// When they are no key, or not two parts of one.
    pub fn new(
        algorithm: Algorithm,
        flags: u16,
        secret: &[u8],
        public: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::EcdsaP256 => {
                // Uncompressed, which DNSKEY leaves unsaid.
                let point = [&[4], public].concat();
                let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(scheme, secret, &point, random)
                    .map(Pair::Ecdsa)
            }
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_seed_and_public_key(secret, public).map(Pair::Ed25519)
            }
        };
        let pair = pair.map_err(|_| rejected(algorithm))?;
        let (secret, public) = (secret.to_vec(), public.to_vec());
        Ok(Self { algorithm, flags, public, secret, pair })
    }

    /// The DNSKEY record's data (RFC 4034 §2.1).
    #[must_use]
    pub fn dnskey(&self) -> Vec<u8> {
        let [high, low] = self.flags.to_be_bytes();
        [&[high, low, PROTOCOL, self.algorithm.number()], &*self.public].concat()
    }

    /// Its tag (RFC 4034, appendix B).
    #[must_use]
    pub fn tag(&self) -> u16 {
        key_tag(&self.dnskey())
    }

    /// Whether a DS at the parent may point at it.
    #[must_use]
    pub fn is_entry_point(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The data of its DS, and of the CDS that wishes for it (RFC 4034 §5.1.4, RFC 4509).
    #[must_use]
    pub fn ds(&self, owner: &Name) -> Vec<u8> {
        let whole = [owner.to_lowercase().as_wire(), &self.dnskey()].concat();
        let digest = digest::digest(&digest::SHA256, &whole);
        let [high, low] = self.tag().to_be_bytes();
        [&[high, low, self.algorithm.number(), SHA_256], digest.as_ref()].concat()
    }

    /// The secret part, for the file that it is kept in.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The public part in base 64.
    #[must_use]
    pub fn public_text(&self) -> String {
        BASE64.encode(&self.public)
    }

    /// Signs octets; `None` when there are no random octets, which ECDSA needs.
    #[must_use]
    pub fn sign(&self, octets: &[u8], random: &dyn SecureRandom) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ecdsa(pair) => Some(pair.sign(random, octets).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.sign(octets).as_ref().to_vec()),
        }
    }
}

/// Never its secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {} {})", self.tag(), self.algorithm.mnemonic(), self.flags)
    }
}

/// The same key, whatever is known of it otherwise.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, self.flags, &self.public) == (other.algorithm, other.flags, &other.public)
    }
}

impl Eq for Key {}

/// The tag of a DNSKEY's data (RFC 4034, appendix B).
#[must_use]
pub fn key_tag(dnskey: &[u8]) -> u16 {
    let octets = dnskey.iter().enumerate();
    let sum: u32 = octets
        .map(|(at, octet)| if at % 2 == 0 { u32::from(*octet) << 8 } else { u32::from(*octet) })
        .fold(0, u32::wrapping_add);
    let folded = sum.wrapping_add(sum >> 16) & 0xffff;
    u16::try_from(folded).unwrap_or_default()
}

/// A DS record's data as a parent's form takes it: `12345 13 2 ABCD…`.
#[must_use]
pub fn ds_text(ds: &[u8]) -> String {
    let Some((head, digest)) = ds.split_first_chunk::<4>() else { return String::new() };
    let tag = u16::from_be_bytes([head[0], head[1]]);
    format!("{tag} {} {} {}", head[2], head[3], HEXUPPER.encode(digest))
}

/// What the keys whose DS the parent should have make of CDS and CDNSKEY (RFC 7344 §3).
#[must_use]
pub(super) fn wished(owner: &Name, keys: &[&Key], ttl: crate::model::Ttl) -> [Option<Rrset>; 2] {
    let cds = keys.iter().map(|key| key.ds(owner));
    let cdnskey = keys.iter().map(|key| key.dnskey());
    [Rrset::new(RecordType::CDS, ttl, cds), Rrset::new(RecordType::CDNSKEY, ttl, cdnskey)]
}

fn rejected(algorithm: Algorithm) -> KeyError {
    KeyError::Rejected { algorithm: algorithm.mnemonic() }
}

/// The secret and the public point of a P-256 key in the form that `ring` makes new ones in
/// (RFC 5958 around RFC 5915), where both always stand in the same place.
fn pkcs8_parts(whole: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((whole.get(36..68)?, whole.get(74..138)?))
}

/// RFC 4034 §2.1.2: always this.
const PROTOCOL: u8 = 3;
/// RFC 4509 §2.
const SHA_256: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

    fn base64(text: &str) -> Vec<u8> {
        BASE64.decode(text.as_bytes()).unwrap()
    }

    /// RFC 6605 §6.1: key, tag and DS.
    #[test]
    fn rfc6605_s6_1_the_example_for_p256() {
        let secret = base64("GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=");
        let public = base64(
            "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        );
        let random = SystemRandom::new();
        let key = Key::new(Algorithm::EcdsaP256, 257, &secret, &public, &random).unwrap();
        assert_eq!(key.tag(), 55648);
        assert_eq!(
            ds_text(&key.ds(&"example.net".parse().unwrap())),
            "55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17"
        );
    }

    /// RFC 8080 §6.1: two keys, their tags and DS.
    #[test]
    fn rfc8080_s6_1_the_examples_for_ed25519() {
        let random = SystemRandom::new();
        for (secret, public, ds) in [
            (
                "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
                "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
                "3613 15 2 3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B",
            ),
            (
                "DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=",
                "zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
                "35217 15 2 401781B934E392DE492EC77AE2E15D70F6575A1C0BC59C5275C04EBE80C6614C",
            ),
        ] {
            let (secret, public) = (base64(secret), base64(public));
            let key = Key::new(Algorithm::Ed25519, 257, &secret, &public, &random).unwrap();
            assert_eq!(ds_text(&key.ds(&"example.com".parse().unwrap())), ds);
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_no_key() {
        let random = SystemRandom::new();
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let make = || Key::generate(algorithm, 257, &random).unwrap();
            let (one, other) = (make(), make());
            let again = Key::new(algorithm, 257, one.secret(), &one.public, &random).unwrap();
            assert_eq!(again, one);
            let mixed = Key::new(algorithm, 257, one.secret(), &other.public, &random);
            assert_eq!(mixed.unwrap_err(), rejected(algorithm));
            assert!(Key::new(algorithm, 257, b"short", b"", &random).is_err());
        }
    }
}
