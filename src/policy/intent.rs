//! What the owner of a service wants: a TrafficPolicy as it is in force, valid by construction.

use crate::{
    health::{Check, Protocol},
    model::{Address, AllDown, ClusterName, Location, Name, ServiceKey, Ttl},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc, time::Duration};

/// A TrafficPolicy in force.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficPolicy {
    /// Namespace and name of the object.
    pub key: ServiceKey,
    /// The services and hosts it is for.
    pub targets: Vec<PolicyTarget>,
    /// How clients are spread.
    pub steer: Arc<Steer>,
    /// In place of the federation's TTL.
    pub ttl: Option<Ttl>,
    /// In place of what the federation does when all is down.
    pub all_down: Option<AllDown>,
    /// How endpoints are checked; not at all when `None`.
    pub health: Option<HealthCheck>,
}

/// What a policy is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PolicyTarget {
    /// A Service of the policy's namespace.
    Service(ServiceKey),
    /// A host.
    Host(Name),
}

impl fmt::Display for PolicyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "service {key}"),
            Self::Host(name) => write!(f, "host {name}"),
        }
    }
}

/// How clients are spread over clusters. The default spreads nothing: all are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Steer {
    /// Which clusters come first for whom.
    pub order: Order,
    /// Which clients may be sent where at all.
    pub fence: Fence,
    /// Shares among equals.
    pub weights: Weights,
    /// How one is picked among equals.
    pub pick: Pick,
    /// At most so many addresses in an answer, 1 to 64.
    pub limit: usize,
    /// Capacity is taken as this many times what is needed before clients spill over, 1 to 100.
    pub spill: f64,
    /// What happens to a family that only some clusters have.
    pub family: Family,
}

impl Steer {
    /// Addresses in an answer when nobody says otherwise.
    pub const LIMIT: usize = 8;
    /// Envoy's overprovisioning factor.
    pub const SPILL: f64 = 1.4;

    /// Whether every client is answered alike with all there is, so that nothing is compiled.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.order == Order::None && self.fence.is_empty() && self.pick == Pick::All
    }
}

impl Default for Steer {
    fn default() -> Self {
        Self {
            order: Order::None,
            fence: Fence::default(),
            weights: Weights::Clusters,
            pick: Pick::All,
            limit: Self::LIMIT,
            spill: Self::SPILL,
            family: Family::Uniform,
        }
    }
}

/// Which clusters come first. Clusters that an order does not name come after those it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Order {
    /// All are equal.
    #[default]
    None,
    /// By the client's place, from a table.
    Geo(GeoTable),
    /// The nearest first.
    Proximity(Proximity),
    /// The same order for all clients.
    Failover(Vec<ClusterName>),
}

/// Places and their clusters. The row that names a client's place most closely counts (network,
/// subdivision, country, continent), so the order of rows means nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoTable {
    /// The rows.
    pub rows: Vec<GeoRow>,
    /// For clients that no row fits, and behind each row's own clusters.
    pub default: Vec<ClusterName>,
}

/// One row of a [`GeoTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoRow {
    /// Whom it is for.
    pub places: Places,
    /// The first that is healthy serves.
    pub clusters: Vec<ClusterName>,
}

/// A set of places and networks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Places {
    /// Two letters, upper case.
    pub continents: Vec<Arc<str>>,
    /// ISO 3166-1 alpha-2, upper case.
    pub countries: Vec<Arc<str>>,
    /// Country and ISO 3166-2 subdivision or its name, upper case.
    pub subdivisions: Vec<(Arc<str>, Arc<str>)>,
    /// Networks, at most as long as a compiled map can tell apart (/24 and /56).
    pub networks: Vec<IpNet>,
}

/// How closely a place was named.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Closeness {
    /// By its continent.
    Continent,
    /// By its country.
    Country,
    /// By its subdivision.
    Subdivision,
    /// By a network of that length.
    Network(u8),
}

impl Places {
    /// How closely this set names a client at that location, in those networks; `None` when not.
    #[must_use]
    pub fn closeness(&self, location: &Location, networks: &[IpNet]) -> Option<Closeness> {
        let within = self.networks.iter().filter(|own| networks.contains(own));
        let network = within.map(IpNet::prefix_len).max().map(Closeness::Network);
        let has = |list: &[Arc<str>], own: &Option<Arc<str>>| {
            own.as_ref().is_some_and(|own| list.iter().any(|one| one.eq_ignore_ascii_case(own)))
        };
        let subdivision = || {
            let (country, part) = (location.country.as_ref()?, location.subdivision.as_ref()?);
            let same = |(own, own_part): &(Arc<str>, Arc<str>)| {
                own.eq_ignore_ascii_case(country) && own_part.eq_ignore_ascii_case(part)
            };
            self.subdivisions.iter().any(same).then_some(Closeness::Subdivision)
        };
        let country = || has(&self.countries, &location.country).then_some(Closeness::Country);
        let continent =
            || has(&self.continents, &location.continent).then_some(Closeness::Continent);
        network.or_else(subdivision).or_else(country).or_else(continent)
    }
}

/// The nearest cluster first, by great-circle distance.
#[derive(Clone, Debug, PartialEq)]
pub struct Proximity {
    /// Clusters at most this many percent farther than the nearest count as equally near.
    pub slack_percent: f64,
    /// The same in kilometres.
    pub slack_km: f64,
    /// Percent, −99 to 99: above 0 draws clients to a cluster, below 0 keeps them away.
    pub bias: BTreeMap<ClusterName, f64>,
    /// For clients whose place is not known.
    pub default: Vec<ClusterName>,
}

impl Default for Proximity {
    fn default() -> Self {
        Self { slack_percent: 0.0, slack_km: 0.0, bias: BTreeMap::new(), default: Vec::new() }
    }
}

/// Which clients may be sent to which clusters, as a matter of law rather than taste.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fence {
    /// To these clusters, only clients in these places.
    pub allow: BTreeMap<ClusterName, Places>,
    /// To these clusters, no client in these places.
    pub deny: BTreeMap<ClusterName, Places>,
    /// What a client gets that may be sent nowhere.
    pub outside: Fenced,
}

impl Fence {
    /// Whether it keeps nobody out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether a client at that location, in those networks, may be sent to that cluster. Of a
    /// client whose place is not known, nothing can be said, so an allow list keeps it out.
    #[must_use]
    pub fn admits(&self, cluster: &ClusterName, location: &Location, networks: &[IpNet]) -> bool {
        let named = |places: &Places| places.closeness(location, networks).is_some();
        self.allow.get(cluster).is_none_or(named) && !self.deny.get(cluster).is_some_and(named)
    }
}

/// What a client gets that every cluster is fenced off from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Fenced {
    /// No address. Resolvers keep that for all their clients (RFC 7871 §7.4), for a few seconds.
    #[default]
    NoData,
    /// This, such as a page that says why.
    Target(Address),
}

/// Shares among clusters of one tier.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Weights {
    /// Each object's annotation, else each MemberCluster's weight.
    #[default]
    Clusters,
    /// These; clusters that are not named have 0.
    Fixed(BTreeMap<ClusterName, u32>),
    /// How many endpoints are ready there.
    ReadyEndpoints,
}

/// How one is picked among the clusters of a tier.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Pick {
    /// The same for the same client network (/24 and /56).
    #[default]
    Sticky,
    /// Another for each query.
    Random,
    /// All of them are answered.
    All,
}

/// What happens to an address family that only some clusters have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Family {
    /// It is left out as long as another family is had by all: otherwise the clients' choice of
    /// family would decide the cluster.
    #[default]
    Uniform,
    /// Each family is steered among the clusters that have it.
    Independent,
}

/// How the endpoints of a service are checked; what is `None` follows from the service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// Hosts within are empty where they are the name of the service itself.
    pub protocol: Protocol,
    /// The service's own when `None`.
    pub port: Option<u16>,
    /// See [`Check::interval`].
    pub interval: Duration,
    /// See [`Check::timeout`].
    pub timeout: Duration,
    /// See [`Check::fall`].
    pub fall: u8,
    /// See [`Check::rise`].
    pub rise: u8,
    /// Ready endpoints that a cluster needs to count as whole; all it has when `None`.
    pub expected: Option<u32>,
}

impl HealthCheck {
    /// The check of one service: its name where no host was given, its port where none was.
    #[must_use]
    pub fn check(&self, name: &Name, port: u16) -> Check {
        let text = name.to_string();
        let own: &str = text.strip_suffix('.').unwrap_or(&text);
        let host = |given: &mut Arc<str>| {
            if given.is_empty() {
                *given = own.into();
            }
        };
        let mut protocol = self.protocol.clone();
        match &mut protocol {
            Protocol::Tcp => {}
            Protocol::Http(http) | Protocol::Https(http, _) => host(&mut http.host),
            Protocol::Grpc(grpc, _) => host(&mut grpc.host),
        }
        Check {
            protocol,
            port: self.port.unwrap_or(port),
            interval: self.interval,
            timeout: self.timeout,
            fall: self.fall,
            rise: self.rise,
        }
    }
}

/// A client's network as the sticky choice sees it: its /24 or /56.
#[must_use]
pub(super) fn sticky_key(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> (32 - STICKY_V4)),
        IpAddr::V6(ip) => 1 << 63 | u64::try_from(ip.to_bits() >> (128 - STICKY_V6)).unwrap_or(0),
    }
}

/// Leading bits that a sticky choice looks at: what large resolvers send (RFC 7871 §11.1).
pub(super) const STICKY_V4: u8 = 24;
/// The same for IPv6.
pub(super) const STICKY_V6: u8 = 56;
