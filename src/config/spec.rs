//! The objects as they are written: serde types that are also Kubernetes custom resources.
//!
//! What is written here may still be wrong; [`super::check`] makes of it what is in force.

#![allow(unreachable_pub)] // the derive of KubeSchema puts a copy of each struct into a function

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

// === Federation ===

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
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name is a DNS label: it becomes part of every name")
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

// === MemberCluster ===

/// A member cluster: a source of endpoints with a location.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "meridian.dev",
    version = "v1alpha1",
    kind = "MemberCluster",
    category = "meridian",
    shortname = "mc",
    status = "MemberClusterStatus",
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".status.region"}"#,
    printcolumn = r#"{"name":"Zones","type":"string","jsonPath":".status.zones"}"#,
    printcolumn = r#"{"name":"Fresh","type":"string","jsonPath":".status.conditions[?(@.type==\"Fresh\")].status"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberClusterSpec {
    /// How it is reached.
    pub access: AccessSpec,
    /// Where it is, in place of what its region tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationSpec>,
    /// Its Kubernetes region, in place of the node labels'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its topology zones, in place of the node labels'; needs `region`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Its share beside other clusters; 100 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub weight: Option<u32>,
    /// No new clients while another cluster can serve them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainSpec>,
}

/// How a cluster is reached: exactly one of kubeconfigSecretRef, kubeconfig and directory.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("[has(self.kubeconfigSecretRef), has(self.kubeconfig), has(self.directory)].filter(set, set).size() == 1").message("set exactly one of kubeconfigSecretRef, kubeconfig and directory"))]
pub struct AccessSpec {
    /// A Secret of the hub cluster that holds a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<SecretRef>,
    /// A kubeconfig file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<KubeconfigSpec>,
    /// A directory of manifests, beside this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Whether the kubeconfig may run commands and read files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
}

/// A kubeconfig file and context.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeconfigSpec {
    /// The file, beside this one; `$KUBECONFIG` or `~/.kube/config` when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The context; the file's current one when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Where a cluster is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocationSpec {
    /// AF, AN, AS, EU, NA, OC or SA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continent: Option<String>,
    /// ISO 3166-1 alpha-2, as in `DE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// ISO 3166-2 without the country, as in `CA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
    /// Degrees north.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -90, max = 90))]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -180, max = 180))]
    pub longitude: Option<f64>,
}

/// A drain, with its reason and end.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainSpec {
    /// Why.
    pub reason: String,
    /// When it ends by itself (RFC 3339); never when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What became of a MemberCluster.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// `Ready` and `Fresh`.
    #[serde(default)]
    pub conditions: Vec<ConditionStatus>,
    /// Its region.
    #[serde(default)]
    pub region: Option<String>,
    /// Its topology zones.
    #[serde(default)]
    pub zones: Vec<String>,
    /// Federated Services.
    #[serde(default)]
    pub services: Option<u32>,
    /// Ingresses.
    #[serde(default)]
    pub ingresses: Option<u32>,
    /// When it was last heard of.
    #[serde(default)]
    pub last_contact: Option<String>,
}

// === TrafficPolicy ===

/// How clients of a service or host are spread over its clusters.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "meridian.dev",
    version = "v1alpha1",
    kind = "TrafficPolicy",
    namespaced,
    category = "meridian",
    shortname = "tp",
    status = "TrafficPolicyStatus",
    printcolumn = r#"{"name":"Targets","type":"string","jsonPath":".spec.targets[*].name"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficPolicySpec {
    /// The Services (of the policy's namespace) and hosts that it is for.
    #[schemars(length(min = 1))]
    pub targets: Vec<TargetSpec>,
    /// Which clusters come first for whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderSpec>,
    /// Which clients may be sent to which clusters at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceSpec>,
    /// Shares by cluster, or `readyEndpoints` to follow what is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSpec>,
    /// How one is picked among equals; all when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// At most so many addresses in an answer; 8 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub limit: Option<u8>,
    /// Capacity is thought of as this many times what is needed before load spills over; 1.4 when
    /// not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub spill: Option<f64>,
    /// Seconds that answers may be kept, in place of the federation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub ttl: Option<u32>,
    /// What to answer while no endpoint is healthy, in place of the federation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_down: Option<AllDownSpec>,
    /// How endpoints are probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSpec>,
}

/// What a policy is for.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// Service or Host.
    pub kind: TargetKind,
    /// The Service's name, or the host.
    pub name: String,
}

/// See [`TargetSpec`].
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub enum TargetKind {
    /// A Service of the policy's namespace.
    Service,
    /// A host name.
    Host,
}

/// Exactly one of geo, proximity and failover.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("[has(self.geo), has(self.proximity), has(self.failover)].filter(set, set).size() == 1").message("set exactly one of geo, proximity and failover"))]
pub struct OrderSpec {
    /// Places in a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<GeoSpec>,
    /// The nearest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximity: Option<ProximitySpec>,
    /// The same order for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Vec<String>>,
}

/// A table of places; the first row that fits a client counts.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GeoSpec {
    /// The rows.
    pub map: Vec<GeoRow>,
    /// For clients that no row fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<String>,
}

/// Places, and the clusters for clients there in order.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GeoRow {
    /// As in `EU`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continents: Vec<String>,
    /// As in `DE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// As in `US-CA`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subdivisions: Vec<String>,
    /// As in `192.0.2.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// The first that is healthy serves.
    pub clusters: Vec<String>,
}

/// The nearest cluster first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProximitySpec {
    /// Clusters this much farther than the nearest count as equally near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack_percent: Option<f64>,
    /// The same in kilometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack_km: Option<f64>,
    /// Percent by which a cluster's distance is taken as larger (negative: smaller).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bias: BTreeMap<String, f64>,
}

/// Which clients may be sent where.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceSpec {
    /// Only these clients, by cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allow: BTreeMap<String, FenceRow>,
    /// Never these clients, by cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deny: BTreeMap<String, FenceRow>,
    /// An address or host name for clients that may go nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_target: Option<String>,
    /// Answer such clients with nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_no_data: Option<bool>,
}

/// Clients by where they are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FenceRow {
    /// As in `EU`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continents: Vec<String>,
    /// As in `DE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// As in `192.0.2.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// Shares by cluster, or the word `readyEndpoints`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum WeightsSpec {
    /// 0 to 1048576 each.
    Fixed(BTreeMap<String, u32>),
    /// A word.
    Follow(WeightsWord),
}

/// See [`WeightsSpec`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WeightsWord {
    /// Each cluster's share is its number of ready endpoints.
    ReadyEndpoints,
}

/// A map or a word has no structural schema, so the API server takes either and we check.
impl JsonSchema for WeightsSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "Shares by cluster (0 to 1048576), or the word readyEndpoints.",
            "x-kubernetes-preserve-unknown-fields": true
        })
    }
}

/// How one is picked among equals.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Pick {
    /// All of them are answered.
    All,
    /// One at random for each query.
    Random,
    /// The same for the same client network.
    Sticky,
}

/// How endpoints are probed.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthSpec {
    /// tcp, http, https or grpc.
    pub protocol: ProbeProtocol,
    /// 1 to 65535.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// For http and https; `/` when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Host header and server name; the name itself when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// As in `200-399`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_status: Vec<String>,
    /// Text that the first 5 KB of the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_match: Option<String>,
    /// As in `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// As in `3s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Failures in a row until down; 3 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub fall: Option<u8>,
    /// Successes in a row until up; 2 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub rise: Option<u8>,
}

/// What a probe speaks.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeProtocol {
    /// A connection.
    Tcp,
    /// A request.
    Http,
    /// A request over TLS.
    Https,
    /// The gRPC health service.
    Grpc,
}

/// What became of a TrafficPolicy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicyStatus {
    /// `Ready`.
    #[serde(default)]
    pub conditions: Vec<ConditionStatus>,
}
