//! A Federation as it is written.

#![allow(unreachable_pub)] // the derive of KubeSchema puts a copy of each struct into a function

use super::{AllDownSpec, ConditionStatus, DnssecSpec, SecretRef, TransferFromSpec, TransferSpec};
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
    /// A primary server that the zone's static records are taken from, in place of a master file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_from: Option<TransferFromSpec>,
    /// Who may have the zone by transfer, and who is told of changes; nobody when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferSpec>,
    /// Whether this server answers for the zone; true when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<bool>,
    /// Signs the zone as it is served (DNSSEC); not signed when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<DnssecSpec>,
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
    /// The zone's id at the provider, where its name is not unique; for google-clouddns the
    /// managed zone's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// For rfc2136: the primary server, as in `192.0.2.1:53`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// For rfc2136: the key that signs updates and transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tsig: Option<TsigSpec>,
    /// For rfc2136: how the zone is read; axfr when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadSpec>,
    /// For the clouds: the API's URL, in place of the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// For google-clouddns: the URL of the API of health checks, in place of the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_endpoint: Option<String>,
    /// For google-clouddns: the project; that of the credentials when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// For azure-azuredns: the subscription that the zone is in, in place of configFile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// For azure-azuredns: the resource group that the zone is in, in place of configFile's; found
    /// by the zone's name when neither says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<String>,
    /// A file with the provider's settings, as Kubernetes federation v1 had it (`dns.conf`, one
    /// section `[Global]`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// For google-clouddns: the key of a service account, or the configuration of an external
    /// account; GOOGLE_APPLICATION_CREDENTIALS, else the metadata server, when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
    /// The Secret that holds the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// For aws-route53 and google-clouddns: has the provider check endpoints, too, as their
    /// policies say; not when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checks: Option<bool>,
    /// For aws-route53: a switch for each cluster, a health check that all its sets name, so that
    /// one call takes the cluster out of all names; not together with healthChecks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_switches: Option<bool>,
    /// For aws-route53: how the nearest cluster of `order.proximity` is found; geoproximity when
    /// not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximity: Option<NearestSpec>,
    /// For aws-route53: hosted zones of AWS services that the built-in table lacks, by the end of
    /// their hosts' names, as in `eu-west-2.vpce.amazonaws.com: Z7K1066E3PUKB`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosted_zones: BTreeMap<String, String>,
    /// Plans and shows, and writes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// How often the zone is read to find what others changed, as in `30m`, which it is when not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
}

/// A key that is shared with a DNS server (RFC 8945).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TsigSpec {
    /// Its name, the same on both sides.
    pub name: String,
    /// hmac-sha256 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<TsigAlgorithmSpec>,
    /// A file that holds the secret in base 64.
    pub secret_file: String,
}

/// See [`TsigSpec`].
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TsigAlgorithmSpec {
    /// hmac-sha256.
    HmacSha256,
    /// hmac-sha384.
    HmacSha384,
    /// hmac-sha512.
    HmacSha512,
}

/// How Route 53 finds the nearest cluster.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NearestSpec {
    /// By the clusters' coordinates, with bias.
    Geoproximity,
    /// By the latency that AWS measures to the clusters' regions.
    Latency,
}

/// How a zone is read from a DNS server.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadSpec {
    /// By transfer (RFC 5936).
    Axfr,
    /// By asking for each name; what others wrote at other names is not seen.
    Query,
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
    /// A zone in this process's memory, to see what would be written.
    Memory,
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
