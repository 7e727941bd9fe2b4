//! A federation in force: a named set of clusters under one DNS zone.

use super::{Address, AddressRules, ClusterName, Name, Ttl};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, net::IpAddr, sync::Arc, time::Duration};

/// The `<fed>` in a federated name: one DNS label.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FederationName(pub Arc<str>);

impl fmt::Display for FederationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A federation as it is in force: valid by construction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Federation {
    /// `<fed>`.
    pub name: FederationName,
    /// The DNS zone that its names lie in.
    pub zone: Name,
    /// Whether this server answers for it.
    pub served: bool,
    /// For every record it makes, unless an annotation says otherwise.
    pub ttl: Ttl,
    /// TTLs are shortened to no less than this while health may turn.
    pub min_ttl: Ttl,
    /// Its member clusters; all there are when `None`.
    pub clusters: Option<BTreeSet<ClusterName>>,
    /// Which Services are federated.
    pub services: ServiceSelector,
    /// Which addresses may be targets.
    pub targets: AddressRules,
    /// What happens to a cluster's endpoints when its API cannot be reached.
    pub offline: Offline,
    /// What a name answers when no endpoint of it is healthy.
    pub all_down: AllDown,
}

impl Federation {
    /// Whether that cluster is a member.
    #[must_use]
    pub fn has(&self, cluster: &ClusterName) -> bool {
        self.clusters.as_ref().is_none_or(|members| members.contains(cluster))
    }
}

/// The values of a generated SOA record, beside its serial (RFC 1035 §3.3.13, RFC 2308 §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SoaValues {
    /// Host name of the primary name server.
    pub mname: Name,
    /// Mail address of who is responsible, as a name.
    pub rname: Name,
    /// Seconds between a secondary's checks.
    pub refresh: u32,
    /// Seconds before a failed check is repeated.
    pub retry: u32,
    /// Seconds after which a secondary stops answering.
    pub expire: u32,
    /// Upper bound on how long "no such name" may be kept.
    pub minimum: u32,
    /// TTL of the SOA record itself.
    pub ttl: Ttl,
}

/// One name server of a zone, with its glue where it lies inside the zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameServer {
    /// Its host name.
    pub name: Name,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Which Services of type LoadBalancer a federation takes up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ServiceSelector {
    /// All, but those annotated `meridian.dev/exclude: "true"`.
    #[default]
    All,
    /// Of those, the ones that carry every one of these labels.
    Labels(Vec<(Arc<str>, Arc<str>)>),
}

impl ServiceSelector {
    /// Whether an object with these labels is taken up.
    #[must_use]
    pub fn admits(&self, labels: &[(Arc<str>, Arc<str>)]) -> bool {
        match self {
            Self::All => true,
            Self::Labels(wanted) => wanted.iter().all(|pair| labels.contains(pair)),
        }
    }
}

/// What losing sight of a cluster's API means for its endpoints, at all three levels alike.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Offline {
    /// Nothing: they stay as last seen (invariant I5).
    #[default]
    Keep,
    /// They stay that long, then are withdrawn as long as another cluster has some.
    DrainAfter(Duration),
    /// They are withdrawn at once, as long as another cluster has some.
    Drop,
}

impl Offline {
    /// The operator's wish as a delay; `None` for never.
    #[must_use]
    pub fn delay(self) -> Option<Duration> {
        match self {
            Self::Keep => None,
            Self::DrainAfter(delay) => Some(delay),
            Self::Drop => Some(Duration::ZERO),
        }
    }
}

/// What a name answers while none of its endpoints is healthy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AllDown {
    /// The addresses it had when one was last healthy (invariants I1 and I6).
    #[default]
    LastKnown,
    /// Every address that is configured, healthy or not.
    AllConfigured,
    /// No address.
    NoData,
    /// These instead, such as a page that says sorry.
    Fallback(Vec<Address>),
}
