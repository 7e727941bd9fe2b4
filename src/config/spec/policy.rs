//! A TrafficPolicy as it is written.

#![allow(unreachable_pub)] // the derive of KubeSchema puts a copy of each struct into a function

use super::{AllDownSpec, ConditionStatus};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// How one is picked among equals; sticky when order or weights are given, else all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// What happens to an address family that only some clusters have; uniform when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyWord>,
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

/// A table of places. The row that names a client's place most closely counts: by network, else
/// by subdivision, country, continent.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GeoSpec {
    /// The rows.
    pub map: Vec<GeoRow>,
    /// For clients that no row fits, and behind each row's own clusters.
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
    /// The first that is healthy serves; then those of `default`, then all others.
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
    /// Percent from -99 to 99: above 0 draws clients to a cluster, below 0 keeps them away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bias: BTreeMap<String, f64>,
    /// For clients whose place is not known; in order of names when not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<String>,
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
#[serde(
    untagged,
    expecting = "expected a number from 0 to 1048576 for each cluster, or readyEndpoints"
)]
pub enum WeightsSpec {
    /// 0 to 1048576 each; a cluster that is not named has 0.
    Fixed(BTreeMap<String, i64>),
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

/// What happens to an address family that only some clusters have.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FamilyWord {
    /// It is left out, as long as all clusters have the other.
    Uniform,
    /// Each family is steered among the clusters that have it.
    Independent,
}

/// How endpoints are probed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthSpec {
    /// tcp, http, https or grpc; tcp when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProbeProtocol>,
    /// 1 to 65535; the Service's first port, or 443 or 80 of an Ingress, when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// GET or HEAD, for http and https; GET when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<ProbeMethod>,
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
    /// For grpc: the service asked about; the server as a whole when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// For https, and for grpc over TLS: how the certificate is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Ready endpoints that a cluster needs to count as whole; all that it has when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub expected: Option<u32>,
    /// As in `10s`, which it is when not said; at least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// As in `3s`, which it is when not said; less than the interval.
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

/// How a probe asks.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub enum ProbeMethod {
    /// With a body in the response.
    #[serde(rename = "GET")]
    Get,
    /// Without.
    #[serde(rename = "HEAD")]
    Head,
}

/// How a certificate is judged.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSpec {
    /// Set where any certificate will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// PEM certificates to trust in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
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
