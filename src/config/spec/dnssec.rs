//! How a federation's zone is signed, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the zone is signed (DNSSEC), where this server answers for it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnssecSpec {
    /// ECDSAP256SHA256 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<DnssecAlgorithmSpec>,
    /// csk when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<DnssecKeysSpec>,
    /// nsec when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DnssecDenialSpec>,
    /// How long signatures hold, as in `336h`, which it is when not said. They are made again when
    /// a quarter of it is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures_last: Option<String>,
    /// Seconds that the zone's keys may be kept; 3600 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub key_ttl: Option<u32>,
    /// The TTL of the DS records at the parent, as in `24h`, which it is when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ds_ttl: Option<String>,
    /// How long it takes until all name servers of the zone, and of its parent, have what one of
    /// them has, as in `1h`, which it is when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<String>,
    /// How long a key signs before another takes its place, as in `720h`, where one key signs the
    /// keys and one the rest (`keys: split`); until it is ordered when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zsk_lifetime: Option<String>,
    /// A directory with the zone's keys, as `dnssec-keygen` writes them (`K<zone>+013+12345.key`
    /// and `.private`); keys are made and kept in the state directory when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_directory: Option<String>,
}

/// The algorithm of its keys; ECDSAP256SHA256 when not said.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub enum DnssecAlgorithmSpec {
    /// Number 13.
    #[serde(rename = "ECDSAP256SHA256")]
    EcdsaP256Sha256,
    /// Number 15.
    #[serde(rename = "ED25519")]
    Ed25519,
}

/// One key for all (csk), or one for the keys and one for the rest (split); csk when not said.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DnssecKeysSpec {
    /// One key for all.
    Csk,
    /// One key for the keys, one for all the rest.
    Split,
}

/// How names that do not exist are denied; nsec when not said.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DnssecDenialSpec {
    /// By the names on both sides: nothing is signed when it is asked for.
    Nsec,
    /// By records made for the name that is asked for (RFC 9824): the zone cannot be walked.
    Compact,
}
