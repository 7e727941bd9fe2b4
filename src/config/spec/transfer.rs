//! Transfers of a Federation's zone as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may have the zone by transfer, and who is told of changes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferSpec {
    /// Who may have the zone (AXFR, IXFR); nobody when not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<TransferAllowSpec>,
    /// Secondaries that are told of each change (NOTIFY).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<TransferPeerSpec>,
}

/// Whom the zone is given to; where both are said, both must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferAllowSpec {
    /// The TSIG key that requests are signed with; a key of a `--tsig-key-file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Networks that requests come from, as in `192.0.2.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Whether requests must come over TLS (XoT, RFC 9103) or QUIC; not when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
}

/// Another server of the zone.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferPeerSpec {
    /// Its address, as in `192.0.2.1` or `192.0.2.1:53`.
    pub address: String,
    /// The TSIG key that notices are signed with; a key of a `--tsig-key-file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where the zone's static records live.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferFromSpec {
    /// Its primary server, as in `192.0.2.1` or `192.0.2.1:53`; port 853 when not said beside `tls`.
    pub primary: String,
    /// The TSIG key that requests are signed with; a key of a `--tsig-key-file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Has it asked over TLS (XoT, RFC 9103); over TCP when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TransferTlsSpec>,
}

/// How a primary proves over TLS who it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferTlsSpec {
    /// The name, or address, that its certificate must be for.
    pub server_name: String,
    /// PEM certificates to trust in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}
