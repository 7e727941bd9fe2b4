//! How a zone is to be signed, as it is in force, and how it stands, for people.

use super::{key::Algorithm, key::Role, roll::Timing};
use crate::model::{Name, Ttl};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a zone is to be signed: valid by construction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Of new keys.
    pub algorithm: Algorithm,
    /// Whether one key signs the keys, and another all the rest.
    pub split: bool,
    /// Whether names are denied compactly (RFC 9824).
    pub compact: bool,
    /// Seconds that signatures hold.
    pub lifetime: i64,
    /// Of DNSKEY, CDS and CDNSKEY.
    pub key_ttl: Ttl,
    /// How long the parent's DS may be kept, in seconds.
    pub ds_ttl: i64,
    /// Until all name servers have what one has, in seconds.
    pub propagation: i64,
    /// Seconds after which a key that signs all but the keys gives way to another; never by itself
    /// when `None`.
    pub zsk_lifetime: Option<i64>,
    /// Where the keys are; in the state directory when `None`.
    pub directory: Option<PathBuf>,
}

impl Settings {
    /// The roles of a zone's keys.
    #[must_use]
    pub fn roles(&self) -> &'static [Role] {
        if self.split { &[Role::Ksk, Role::Zsk] } else { &[Role::Csk] }
    }

    /// How long steps of a change take, where no record of the zone has a longer TTL than that.
    #[must_use]
    pub fn timing(&self, zone_ttl: Ttl) -> Timing {
        Timing {
            key_ttl: self.key_ttl.as_secs().into(),
            zone_ttl: zone_ttl.as_secs().into(),
            ds_ttl: self.ds_ttl,
            propagation: self.propagation,
            parent_propagation: self.propagation,
        }
    }
}

/// How a signed zone stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Its apex.
    pub zone: Name,
    /// `nsec` or `compact`.
    pub denial: String,
    /// The serial that is served; `None` before it was signed.
    pub serial: Option<u32>,
    /// How many names there are to be signed.
    pub names: usize,
    /// How many are signed, while that goes on.
    pub signed: usize,
    /// When the first signature ends, as RFC 3339 has it.
    #[serde(default)]
    pub expires: Option<String>,
    /// Its keys.
    pub keys: Vec<KeyView>,
    /// The DS records that the parent should have, as text.
    pub ds: Vec<String>,
    /// What is wrong, and what stays in force.
    #[serde(default)]
    pub problem: Option<String>,
}

/// One key, for people.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its tag.
    pub tag: u16,
    /// CSK, KSK or ZSK.
    pub role: Role,
    /// Its algorithm's mnemonic.
    pub algorithm: String,
    /// How far it has come, as in `ksk Ready, zsk Active`.
    pub state: String,
    /// When its next step comes by itself; `None` when it waits for somebody.
    #[serde(default)]
    pub next: Option<String>,
}
