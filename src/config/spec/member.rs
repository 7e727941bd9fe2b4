//! A MemberCluster as it is written.

#![allow(unreachable_pub)] // the derive of KubeSchema puts a copy of each struct into a function

use super::{ConditionStatus, SecretRef};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
