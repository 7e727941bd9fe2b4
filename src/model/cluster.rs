//! A member cluster: where it is, and how fresh our view of it is.

use super::{Moment, Weight};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

/// The name of a member cluster: its `MemberCluster`'s `metadata.name`, or its kubeconfig context.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ClusterName(pub Arc<str>);

impl From<&str> for ClusterName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl Borrow<str> for ClusterName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A Kubernetes region, and where known one of its topology zones.
///
/// Never called a zone: a Zone is a DNS zone.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Locality {
    /// As in the label `topology.kubernetes.io/region`.
    pub region: Arc<str>,
    /// As in the label `topology.kubernetes.io/zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}/{zone}", self.region),
            None => f.write_str(&self.region),
        }
    }
}

/// Where on earth something is; every part may be unknown.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Two letters: AF, AN, AS, EU, NA, OC or SA.
    pub continent: Option<Arc<str>>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<Arc<str>>,
    /// ISO 3166-2 without the country, as in `CA`.
    pub subdivision: Option<Arc<str>>,
    /// Degrees north and east: −90 to 90, −180 to 180.
    pub coordinates: Option<(f64, f64)>,
    /// Set where the coordinates stand for a whole country or region, so that a distance from
    /// them is a guess.
    #[serde(default)]
    pub approximate: bool,
}

/// What the operator said of one member cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// Region and zones that stand in place of the node labels.
    pub localities: Option<Vec<Locality>>,
    /// Location that stands in place of the region table's.
    pub location: Option<Location>,
    /// Its share beside the other clusters.
    pub weight: Weight,
    /// Set while no new clients should be sent there.
    pub drain: Option<Drain>,
}

/// An operator's wish that a cluster gets no clients as long as another can serve them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Drain {
    /// Why, for whoever looks at it later.
    pub reason: String,
    /// When it ends by itself; never when `None`.
    pub until: Option<Timestamp>,
}

impl Drain {
    /// Whether it is in force at that time.
    #[must_use]
    pub fn holds(&self, at: Moment) -> bool {
        self.until.is_none_or(|until| at.wall < until)
    }
}

/// The kinds of objects that are watched in a member cluster.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Kind {
    /// core/v1 Service.
    Service,
    /// discovery.k8s.io/v1 EndpointSlice; core/v1 Endpoints in manifest directories count as one.
    EndpointSlice,
    /// networking.k8s.io/v1 Ingress.
    Ingress,
    /// core/v1 Node.
    Node,
}

impl Kind {
    /// All of them, in the order they are listed.
    pub const ALL: [Self; 4] = [Self::Node, Self::Service, Self::EndpointSlice, Self::Ingress];

    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Ingress => "Ingress",
            Self::Node => "Node",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How one kind's watch in one cluster is doing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "camelCase")]
pub enum KindState {
    /// The first list has not come in yet.
    #[default]
    Pending,
    /// Listed, and followed since.
    Watching,
    /// The API answered 403: our account may not list or watch this kind.
    Denied(String),
    /// The API answered 404: the cluster does not have this kind.
    Missing(String),
    /// The last attempt failed otherwise, and is being repeated.
    Failing(String),
}

impl KindState {
    /// Whether nothing more is to be waited for: it is listed, or cannot be.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Watching | Self::Denied(_) | Self::Missing(_))
    }
}

/// How much our view of a cluster can be trusted. Stale is not down: its last view stays.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Freshness {
    /// Heard from within [`Freshness::CONTACT`], and the API server says it is ready.
    Fresh,
    /// One of the two is wanting.
    Stale,
    /// Both are.
    #[default]
    Unreachable,
}

impl Freshness {
    /// An API server sends a bookmark about once a minute on each watch, so more silence than
    /// this means that the watch is dead (`reference/kubernetes.md` §1.8).
    pub const CONTACT: Duration = Duration::from_secs(75);
    /// So many readiness probes in a row must fail before they count.
    pub const PROBES: u32 = 3;

    /// From the age of the oldest kind's last contact (`None`: never) and the failed probes.
    #[must_use]
    pub fn of(contact: Option<Duration>, failed_probes: u32) -> Self {
        let heard = contact.is_some_and(|age| age < Self::CONTACT);
        match (heard, failed_probes < Self::PROBES) {
            (true, true) => Self::Fresh,
            (false, false) => Self::Unreachable,
            (false, true) if contact.is_none() => Self::Unreachable,
            _ => Self::Stale,
        }
    }

    /// As printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "Fresh",
            Self::Stale => "Stale",
            Self::Unreachable => "Unreachable",
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_or_failed_probes_alone_mean_stale_and_both_mean_unreachable() {
        let (recent, old) = (Some(Duration::from_secs(5)), Some(Duration::from_secs(76)));
        assert_eq!(Freshness::of(recent, 2), Freshness::Fresh);
        assert_eq!(Freshness::of(recent, 3), Freshness::Stale);
        assert_eq!(Freshness::of(old, 0), Freshness::Stale);
        assert_eq!(Freshness::of(old, 3), Freshness::Unreachable);
        assert_eq!(Freshness::of(None, 0), Freshness::Unreachable);
    }
}
