//! What is read of a cluster's objects, and the news of it: thin values, never whole objects.

use super::{Address, Kind, KindState, Name, ServiceKey, Ttl, Weight};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, sync::Arc};

/// Names one object of a cluster; `namespace` is empty for a Node.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ObjectKey {
    /// What it is.
    pub kind: Kind,
    /// Namespace and name.
    pub key: ServiceKey,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.key.namespace {
            "" => write!(f, "{} {}", self.kind, self.key.name),
            _ => write!(f, "{} {}", self.kind, self.key),
        }
    }
}

/// One object as a watch or a manifest showed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Object {
    /// A Service.
    Service(ServiceObject),
    /// An EndpointSlice (or Endpoints), as two counters.
    Slice(SliceCounts),
    /// An Ingress.
    Ingress(IngressObject),
    /// A Node.
    Node(NodeObject),
}

impl Object {
    /// Its kind, namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let (kind, key) = match self {
            Self::Service(service) => (Kind::Service, service.key.clone()),
            Self::Slice(slice) => (Kind::EndpointSlice, slice.key.clone()),
            Self::Ingress(ingress) => (Kind::Ingress, ingress.key.clone()),
            Self::Node(node) => (Kind::Node, ServiceKey::new("", node.name.clone())),
        };
        ObjectKey { kind, key }
    }
}

/// What we read of a Service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceObject {
    /// Namespace and name.
    pub key: ServiceKey,
    /// Whether `spec.type` is `LoadBalancer`.
    pub load_balancer: bool,
    /// `status.loadBalancer.ingress`, in its order: `ip` if set, else `hostname`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Address>,
    /// The first of `spec.ports[]` that speaks TCP: where it is checked unless a policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `metadata.labels`, for federations that select by label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// `metadata.creationTimestamp` in seconds since 1970; 0 where there is none.
    #[serde(default)]
    pub created: i64,
    /// What its annotations ask of us; `None` when they ask nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<Annotations>>,
}

/// What we read of an EndpointSlice: how many of its endpoints are ready.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SliceCounts {
    /// The slice's own namespace and name.
    pub key: ServiceKey,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: ServiceKey,
    /// Endpoints with `conditions.ready` true or absent, and not terminating.
    pub ready: u32,
    /// All its endpoints.
    pub total: u32,
}

/// What we read of an Ingress.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IngressObject {
    /// Namespace and name.
    pub key: ServiceKey,
    /// One for each of `spec.rules[]`, and one without a host for `spec.defaultBackend`.
    #[serde(default)]
    pub rules: Vec<IngressRule>,
    /// `status.loadBalancer.ingress`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Address>,
    /// Whether `spec.tls` holds anything: then it is checked on 443, else on 80.
    #[serde(default)]
    pub tls: bool,
    /// `metadata.creationTimestamp` in seconds since 1970; 0 where there is none.
    #[serde(default)]
    pub created: i64,
    /// What its annotations ask of us; `None` when they ask nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<Annotations>>,
}

/// One rule: a host, and the Services (of the Ingress's namespace) behind its paths.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IngressRule {
    /// `host`; `None` stands for all hosts.
    pub host: Option<Name>,
    /// Names of the backend Services, each once.
    pub backends: Vec<Arc<str>>,
}

/// What we read of a Node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeObject {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Label `topology.kubernetes.io/region`, else `failure-domain.beta.kubernetes.io/region`.
    pub region: Option<Arc<str>>,
    /// Label `topology.kubernetes.io/zone`, else `failure-domain.beta.kubernetes.io/zone`.
    pub zone: Option<Arc<str>>,
    /// `status.addresses[]` of type `ExternalIP`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<IpAddr>,
    /// Whether its `Ready` condition is `True` (or it has none) and it is not cordoned off for
    /// load balancers (label `node.kubernetes.io/exclude-from-external-load-balancers`).
    pub ready: bool,
}

/// What the annotations of one object ask of us.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Annotations {
    /// `meridian.dev/exclude: "true"`: leave this object out.
    pub exclude: bool,
    /// `meridian.dev/hostname` and external-dns's `hostname`: further names for its addresses.
    pub hostnames: Vec<Name>,
    /// external-dns's `target`: these addresses in place of the load balancer's.
    pub targets: Vec<Address>,
    /// `meridian.dev/ttl` or external-dns's `ttl`.
    pub ttl: Option<Ttl>,
    /// `meridian.dev/endpoints: nodes`: without a load balancer, use the nodes' external addresses.
    pub nodes: bool,
    /// `meridian.dev/weight`.
    pub weight: Option<Weight>,
    /// `meridian.dev/policy`: the TrafficPolicy (same namespace) that steers it.
    pub policy: Option<Arc<str>>,
    /// Values that could not be read: annotation, value, what was expected.
    pub problems: Vec<String>,
}

/// News of one cluster. Absence is never news: only `Deleted` and `Listed` remove (invariant I5).
#[derive(Clone, Debug)]
pub enum ClusterEvent {
    /// The object is now like this.
    Applied(Object),
    /// The object was seen deleted.
    Deleted(ObjectKey),
    /// The whole truth about a kind after a complete (re)list: what it omits is gone.
    Listed(Kind, Vec<Object>),
    /// A sign of life of this kind's watch: a bookmark, or a watch that ended in order.
    Contact(Kind),
    /// How this kind's watch is doing.
    Kind(Kind, KindState),
    /// Whether the API server said it is ready.
    Probed(bool),
    /// The cluster cannot be connected to as it is configured; what to do about it.
    Refused(String),
    /// Objects of this cluster that could not be read (object and reason); replaces the last list.
    Problems(Vec<String>),
}
