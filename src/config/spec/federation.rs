//! A Federation as it is written.

#![allow(unreachable_pub)] // the derive of KubeSchema puts a copy of each struct into a function

use super::{AllDownSpec, ConditionStatus, SecretRef};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named set of clusters under one DNS zone.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "meridian.dev",
    version = "v1alpha1",
    kind = "Federation",
    category = "meridian",
    shortname = "fed",
    status = "FederationStatus",
    printcolumn = r#"{"name":"Zone","type":"string","jsonPath":".spec.zone"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Serial","type":"integer","jsonPath":".status.serial"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name is a DNS label: it becomes part of every name"),
    validation = Rule::new("!has(self.spec.minTtl) || !has(self.spec.ttl) || self.spec.minTtl <= self.spec.ttl").message("spec.minTtl is at most spec.ttl")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederationSpec {
    /// The DNS zone that the federation's names lie in, as in `fed.example.org`.
    pub zone: String,
    /// The zone's name servers; `ns1.<zone>` when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<NameServerSpec>,
    /// Values of the SOA record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<SoaSpec>,
    /// Seconds that answers may be kept; 30 when served here, 180 when written to a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub ttl: Option<u32>,
    /// The least that health may shorten an answer's TTL to, in seconds, at most `ttl`; 5 when not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub min_ttl: Option<u32>,
    /// A master file (RFC 1035) with static records of the zone, beside this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_file: Option<String>,
    /// Whether this server answers for the zone; true when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<bool>,
    /// Providers that the zone is written to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<PublishSpec>,
    /// Names of the member clusters; all when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<String>>,
    /// Takes up only Services that carry these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<SelectorSpec>,
    /// Networks that may be targets although they are refused otherwise, as in `127.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_targets: Vec<String>,
    /// What losing sight of a cluster's API means for its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<OfflineSpec>,
    /// What a name answers while no endpoint is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_down: Option<AllDownSpec>,
    /// When a plan for a provider is held for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardSpec>,
}

/// One name server.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameServerSpec {
    /// Its host name.
    pub name: String,
    /// Its addresses; needed as glue where the name lies inside the zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// Values of the SOA record (RFC 1035 §3.3.13); seconds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SoaSpec {
    /// The primary name server; the first of `nameServers` when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mname: Option<String>,
    /// Who is responsible, as a name; `hostmaster.<zone>` when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rname: Option<String>,
    /// 7200 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<u32>,
    /// 900 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
    /// 1209600 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u32>,
    /// How long "no such name" may be kept; 30 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// The record's own TTL; the zone's when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
}

/// A provider that the zone is written to.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishSpec {
    /// Which one; named as in Kubernetes federation v1.
    pub provider: ProviderName,
    /// The zone's id at the provider, where its name is not unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// The Secret that holds the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// The providers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    /// Amazon Route 53.
    #[serde(rename = "aws-route53")]
    AwsRoute53,
    /// Google Cloud DNS.
    GoogleClouddns,
    /// Azure DNS.
    AzureAzuredns,
    /// Any server that takes dynamic updates (RFC 2136).
    Rfc2136,
}

/// Which Services are taken up.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorSpec {
    /// All of these must be there.
    pub match_labels: BTreeMap<String, String>,
}

/// What losing sight of a cluster's API means.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OfflineSpec {
    /// keep when not said.
    pub policy: OfflinePolicy,
    /// For drainAfter: how long endpoints stay, as in `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// See [`OfflineSpec`].
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OfflinePolicy {
    /// Endpoints stay as last seen.
    Keep,
    /// They are withdrawn after a while, as long as other clusters have some.
    DrainAfter,
    /// They are withdrawn at once, as long as other clusters have some.
    Drop,
}

/// When a plan is held for approval.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardSpec {
    /// 30 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_removed_percent: Option<u8>,
    /// 10 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_removed_names: Option<u32>,
}

/// What became of a Federation.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FederationStatus {
    /// `Ready`.
    #[serde(default)]
    pub conditions: Vec<ConditionStatus>,
    /// The zone's serial.
    #[serde(default)]
    pub serial: Option<u32>,
}
