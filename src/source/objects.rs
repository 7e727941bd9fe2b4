//! The parts of Kubernetes objects that we read; all other fields are passed over unread.

use k8s_openapi::{
    api::{core::v1, discovery::v1 as discovery, networking::v1 as networking},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, Serialize};

/// core/v1 Service.
#[derive(Clone, Debug, Deserialize, Resource, Serialize)]
#[resource(inherit = v1::Service)]
pub(super) struct Service {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Option<ServiceSpec>,
    #[serde(default)]
    pub(super) status: Option<WithLoadBalancer>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ServiceSpec {
    #[serde(default, rename = "type")]
    pub(super) type_: Option<String>,
    #[serde(default)]
    pub(super) ports: Option<Vec<ServicePort>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ServicePort {
    #[serde(default)]
    pub(super) port: Option<i32>,
    #[serde(default)]
    pub(super) protocol: Option<String>,
}

/// The `status` of a Service or an Ingress.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WithLoadBalancer {
    #[serde(default)]
    pub(super) load_balancer: Option<LoadBalancer>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct LoadBalancer {
    #[serde(default)]
    pub(super) ingress: Option<Vec<LoadBalancerIngress>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct LoadBalancerIngress {
    #[serde(default)]
    pub(super) ip: Option<String>,
    #[serde(default)]
    pub(super) hostname: Option<String>,
}

/// discovery.k8s.io/v1 EndpointSlice.
#[derive(Clone, Debug, Deserialize, Resource, Serialize)]
#[resource(inherit = discovery::EndpointSlice)]
pub(super) struct EndpointSlice {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    /// `null` for an empty slice.
    #[serde(default)]
    pub(super) endpoints: Option<Vec<SliceEndpoint>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct SliceEndpoint {
    #[serde(default)]
    pub(super) conditions: Option<SliceConditions>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct SliceConditions {
    #[serde(default)]
    pub(super) ready: Option<bool>,
    #[serde(default)]
    pub(super) terminating: Option<bool>,
}

/// core/v1 Endpoints, which manifest directories may hold in place of slices.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Endpoints {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) subsets: Option<Vec<Subset>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subset {
    #[serde(default)]
    pub(super) addresses: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default)]
    pub(super) not_ready_addresses: Option<Vec<serde::de::IgnoredAny>>,
}

/// networking.k8s.io/v1 Ingress.
#[derive(Clone, Debug, Deserialize, Resource, Serialize)]
#[resource(inherit = networking::Ingress)]
pub(super) struct Ingress {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Option<IngressSpec>,
    #[serde(default)]
    pub(super) status: Option<WithLoadBalancer>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IngressSpec {
    #[serde(default)]
    pub(super) default_backend: Option<Backend>,
    #[serde(default)]
    pub(super) rules: Option<Vec<Rule>>,
    #[serde(default)]
    pub(super) tls: Option<Vec<IngressTls>>,
}

/// Only whether there is any counts.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct IngressTls {}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) http: Option<Http>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Http {
    #[serde(default)]
    pub(super) paths: Option<Vec<Path>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Path {
    pub(super) backend: Backend,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Backend {
    #[serde(default)]
    pub(super) service: Option<BackendService>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct BackendService {
    pub(super) name: String,
}

/// core/v1 Node.
#[derive(Clone, Debug, Deserialize, Resource, Serialize)]
#[resource(inherit = v1::Node)]
pub(super) struct Node {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) status: Option<NodeStatus>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct NodeStatus {
    #[serde(default)]
    pub(super) addresses: Option<Vec<NodeAddress>>,
    #[serde(default)]
    pub(super) conditions: Option<Vec<NodeCondition>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) address: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct NodeCondition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) status: String,
}
