//! The objects as they are written: serde types that are also Kubernetes custom resources.
//!
//! What is written here may still be wrong; `check` makes of it what is in force.

mod dnssec;
mod federation;
mod member;
mod policy;
mod transfer;

pub use dnssec::*;
pub use federation::*;
pub use member::*;
pub use policy::*;
pub use transfer::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Secret in the hub cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What a name answers while no endpoint is healthy.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllDownSpec {
    /// lastKnown when not said.
    pub policy: AllDownPolicy,
    /// For fallback: IP addresses or host names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

/// See [`AllDownSpec`].
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AllDownPolicy {
    /// The addresses that it had when one was last healthy.
    LastKnown,
    /// Every configured address.
    AllConfigured,
    /// No address.
    NoData,
    /// The addresses in `targets`.
    Fallback,
}

/// A Kubernetes condition.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionStatus {
    /// As in `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    #[serde(default)]
    pub reason: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
    /// Since when.
    #[serde(default)]
    pub last_transition_time: Option<String>,
}
