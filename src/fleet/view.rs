//! What a snapshot shows of the inventory: for people, the API and `explain`. Decides nothing.

use crate::{
    health,
    model::{
        Address, ClusterName, Drain, FederationName, Freshness, Kind, KindState, Locality, Name,
        ObjectKey, ServiceKey, Ttl,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, sync::Arc};

/// One member cluster as it is known now.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Its name.
    pub name: ClusterName,
    /// `Ready`, `NotReady` or `Pending`, as federation v1 printed it.
    pub status: ClusterStatus,
    /// When it became a member, as far as this process and its state on disk know.
    pub joined: Timestamp,
    /// How much our view of it can be trusted.
    pub freshness: Freshness,
    /// When the watch that has been silent longest was last heard of.
    pub last_contact: Option<Timestamp>,
    /// Regions and topology zones of its nodes, or what its `MemberCluster` says instead.
    pub localities: Vec<Locality>,
    /// How each kind's watch is doing.
    pub kinds: BTreeMap<Kind, KindState>,
    /// Services of type LoadBalancer, Ingresses and nodes that are known.
    pub counts: Counts,
    /// Set while its configuration drains it.
    pub drain: Option<Drain>,
    /// What an operator said of it at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<health::Override>,
    /// What is wrong with it or its objects.
    pub problems: Vec<String>,
}

/// How many objects of a cluster count.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Services of type LoadBalancer that are not excluded.
    pub services: usize,
    /// Ingresses.
    pub ingresses: usize,
    /// Nodes.
    pub nodes: usize,
}

/// A cluster's condition in one word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ClusterStatus {
    /// Its objects are known and its API answers.
    Ready,
    /// Its objects are known, its API does not answer or our view is stale.
    NotReady,
    /// Its objects have not been seen yet.
    Pending,
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::Pending => "Pending",
        })
    }
}

/// What owns a set of names: a federated Service, or a host that an object claims.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Unit {
    /// `<svc>.<ns>.<fed>.svc…` at all levels.
    Service(ServiceKey),
    /// One host name.
    Host(Name),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "service {key}"),
            Self::Host(name) => write!(f, "host {name}"),
        }
    }
}

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(' ') {
            Some(("service", key)) => Ok(Self::Service(key.parse()?)),
            Some(("host", name)) => {
                name.parse().map(Self::Host).map_err(|error| format!("{name:?}: {error}"))
            }
            _ => Err(format!("{text:?} is neither `service NS/NAME` nor `host NAME`")),
        }
    }
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A service or host of a federation, with every endpoint that was looked at.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitView {
    /// Which federation's.
    pub federation: FederationName,
    /// What it is.
    pub unit: Unit,
    /// The name it is asked by: the global name, or the host.
    pub name: Name,
    /// What decides its answer.
    pub serving: Serving,
    /// The TTL that its policy or an annotation names, whatever health might shorten it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// Every endpoint, used or not, by cluster.
    pub endpoints: Vec<EndpointView>,
    /// The TrafficPolicy in force for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ServiceKey>,
    /// Seconds until checks have noticed a failure at the latest; `None` where nothing is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<u64>,
    /// How its addresses are checked, for providers that check too.
    #[serde(skip)]
    pub check: Option<Arc<health::Check>>,
    /// What is wrong with its objects.
    pub problems: Vec<String>,
}

impl UnitView {
    /// One that nothing is answered for.
    pub(super) fn refused(id: &(FederationName, Unit), name: Name, problems: Vec<String>) -> Self {
        Self {
            federation: id.0.clone(),
            unit: id.1.clone(),
            name,
            serving: Serving::Nothing,
            ttl: None,
            endpoints: Vec::new(),
            policy: None,
            detection: None,
            check: None,
            problems,
        }
    }

    pub(super) fn with(
        self,
        policy: Option<ServiceKey>,
        check: Option<Arc<health::Check>>,
    ) -> Self {
        let detection = check.as_ref().map(|check| check.detection().as_secs());
        Self { policy, detection, check, ..self }
    }
}

/// Why a name answers what it does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Serving {
    /// Endpoints that are ready and wanted.
    Healthy,
    /// Only endpoints that are drained or whose cluster is offline: better than none.
    Reluctant,
    /// No endpoint is ready: the last known addresses stand (fail open).
    LastKnown,
    /// No endpoint is ready: every configured address stands.
    AllConfigured,
    /// No endpoint is ready: the fallback stands.
    Fallback,
    /// There is no address to answer with.
    Nothing,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "Healthy",
            Self::Reluctant => "Reluctant",
            Self::LastKnown => "LastKnown",
            Self::AllConfigured => "AllConfigured",
            Self::Fallback => "Fallback",
            Self::Nothing => "Nothing",
        })
    }
}

/// One address of one cluster, and what became of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Whose.
    pub cluster: ClusterName,
    /// The object that offers it.
    pub object: ObjectKey,
    /// The address; `None` when the object has none (yet).
    pub address: Option<Address>,
    /// A host name's addresses, where it had to be resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<IpAddr>,
    /// Ready and all backends behind it; `None` when not known.
    pub ready: Option<(u32, u32)>,
    /// What is held against it, or `Ready`.
    pub state: EndpointState,
    /// Whether it is in the answer of at least the global name or host.
    pub serving: bool,
    /// What checks found at its addresses; empty when nothing is checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<AddressHealth>,
    /// The state in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What checks found at one address.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressHealth {
    /// The address: the endpoint's own, or one that its host name resolves to.
    pub address: IpAddr,
    /// The verdict.
    pub state: health::State,
    /// Its slow start: which part of its share it gets, above 0 and at most 1.
    pub ramp: f64,
    /// Seconds until the verdict could be another at the soonest; `None` when checks cannot turn it.
    pub flips_in: Option<u64>,
    /// The verdict in a sentence; empty when simply up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl AddressHealth {
    /// Whether checks found that it does not work.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.state == health::State::Down
    }
}

impl EndpointView {
    /// Addresses that checks found not to work.
    pub fn failed(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.health.iter().filter(|one| one.is_down()).map(|one| one.address)
    }
}

/// What is held against an endpoint.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum EndpointState {
    /// Nothing.
    Ready,
    /// Its load-balancer status went empty; its last addresses are held for a while.
    Held,
    /// Its cluster is being drained.
    Draining,
    /// Its cluster has not been heard of for longer than the federation bears.
    Offline,
    /// No backend behind it is ready.
    NotReady,
    /// Checks of its address fail, or an operator forced it down.
    Failing,
    /// It may not be a target.
    Refused,
    /// The object has no load-balancer address yet.
    NoAddress,
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "Ready",
            Self::Held => "Held",
            Self::Draining => "Draining",
            Self::Offline => "Offline",
            Self::NotReady => "NotReady",
            Self::Failing => "Failing",
            Self::Refused => "Refused",
            Self::NoAddress => "NoAddress",
        })
    }
}
