//! Why a name answers what it does: the same lookup that the server makes, with its reasons.

use super::{
    levels::Level,
    snapshot::Snapshot,
    view::{ClusterView, UnitView},
};
use crate::{
    geo::{CAP_V4, CAP_V6, Database},
    model::{Location, Name, ServiceKey, Ttl},
    policy::Trace,
    records::{self, Answer, Client, DnssecOk, Outcome, Owner, Question, RecordType},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The answers for one name, and what led to them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was asked.
    pub name: Name,
    /// For clients in which network; `None` for nobody in particular.
    pub client: Option<IpNet>,
    /// What was supposed, as in `aws=down`; empty for what is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supposed: Vec<String>,
    /// Where these clients are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The zone it lies in, with its serial; `None` outside all our zones.
    pub zone: Option<(Name, u32)>,
    /// The generation that was looked at.
    pub generation: u64,
    /// What kind of name it is, in a sentence.
    pub level: String,
    /// The A answer.
    pub ipv4: ShownAnswer,
    /// The AAAA answer.
    pub ipv6: ShownAnswer,
    /// How clients are told apart; `None` where all get the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<ShownSteering>,
    /// How it stands at each provider that its zone is written to, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Options for `dig` that ask the same: the name, the type, the client's subnet.
    #[serde(default)]
    pub dig: Vec<String>,
    /// Where DNS is served, when the process says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// The service or host behind it, with every endpoint.
    pub unit: Option<UnitView>,
    /// The clusters that offer it.
    pub clusters: Vec<ClusterView>,
    /// Why it is so, a sentence each.
    pub because: Vec<String>,
}

/// Where a client is, as far as the database knows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The place.
    pub location: Location,
    /// The database's network that says so; `None` where it has none.
    pub network: Option<IpNet>,
    /// The database.
    pub database: String,
}

/// The decision for each family.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownSteering {
    /// The name that is steered: the one asked for, or where its aliases lead.
    pub name: Name,
    /// The TrafficPolicy.
    pub policy: ServiceKey,
    /// For A; `None` where the family is left out for all clients.
    pub ipv4: Option<Trace>,
    /// For AAAA.
    pub ipv6: Option<Trace>,
}

/// One answer as it goes out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownAnswer {
    /// The response code.
    pub rcode: String,
    /// The answer section, in order.
    pub answer: Vec<ShownRrset>,
    /// Leading bits of the client's subnet that it holds for (RFC 7871); 0 for all clients.
    #[serde(default)]
    pub scope: u8,
}

/// One rrset as text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ShownRrset {
    /// The owner.
    pub name: Name,
    /// In seconds.
    pub ttl: Ttl,
    /// As in `A`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Each record's data in master-file form.
    pub data: Vec<String>,
}

/// Explains a name as clients in that network would see it, or nobody in particular.
#[must_use]
pub fn explain(snapshot: &Snapshot, name: &Name, net: Option<IpNet>) -> Explanation {
    let net = net.map(|net| capped(&net));
    let client = Client { address: net.map(|net| net.addr()), subnet: net, draw: 0 };
    let place = net.map(|net| place(snapshot, net.addr()));
    let location = place.as_ref().map(|place| place.location.clone()).unwrap_or_default();
    let owner = snapshot.owner(name);
    let zone = snapshot.zones.find(name.key().as_bytes());
    let unit = owner.as_ref().map(|(unit, _)| UnitView::clone(unit));
    Explanation {
        name: name.clone(),
        client: net,
        supposed: Vec::new(),
        steering: steered(snapshot, name, &client, &location),
        place,
        dig: dig(name, net),
        providers: Vec::new(),
        dns: None,
        zone: zone.map(|zone| (zone.apex().clone(), zone.serial().0)),
        generation: snapshot.generation.0,
        level: describe(name, snapshot, owner.as_ref().map(|(_, level)| level)),
        ipv4: show(snapshot, name, RecordType::A, &client),
        ipv6: show(snapshot, name, RecordType::AAAA, &client),
        clusters: unit.iter().flat_map(|unit| clusters_of(snapshot, unit)).collect(),
        because: unit.as_ref().map(because).unwrap_or_default(),
        unit,
    }
}

/// As long as an answer may depend on: what resolvers send (RFC 7871 §11.1).
fn capped(net: &IpNet) -> IpNet {
    let cap = if net.addr().is_ipv4() { CAP_V4 } else { CAP_V6 };
    let capped = IpNet::new(net.addr(), net.prefix_len().min(cap));
    capped.unwrap_or(*net).trunc()
}

fn place(snapshot: &Snapshot, address: IpAddr) -> Place {
    let database = snapshot.geography.clone().unwrap_or_else(Database::embedded);
    let found = database.locate(address);
    Place {
        location: found.as_ref().map(|(location, _)| Location::clone(location)).unwrap_or_default(),
        network: found.map(|(_, network)| network),
        database: database.info().to_string(),
    }
}

/// The steering that decides a name, behind aliases within our zones.
fn steered(
    snapshot: &Snapshot,
    name: &Name,
    client: &Client,
    location: &Location,
) -> Option<ShownSteering> {
    let mut name = name.clone();
    for _ in 0..ALIASES {
        let key = name.key();
        let node = snapshot.zones.find(key.as_bytes())?.node(key.as_bytes())?;
        if let Some(own) = node.steering() {
            let steering = own.steering();
            let trace = |v6| {
                let decision = steering.decide(v6, client)?;
                Some(steering.trace(v6, &decision, client.address, location))
            };
            let (ipv4, ipv6) = (trace(false), trace(true));
            return Some(ShownSteering { name, policy: steering.policy.clone(), ipv4, ipv6 });
        }
        let alias = node.get(RecordType::CNAME)?.rdata().next()?;
        name = Name::from_wire(alias).ok()?;
    }
    None
}

fn dig(name: &Name, net: Option<IpNet>) -> Vec<String> {
    let subnet = net.map(|net| format!("+subnet={net}"));
    [name.to_string(), "A".to_owned()].into_iter().chain(subnet).collect()
}

/// A name leads to its region's, that to the global name; one more to spare.
const ALIASES: usize = 4;

fn clusters_of(snapshot: &Snapshot, unit: &UnitView) -> Vec<ClusterView> {
    let mut names: Vec<_> = unit.endpoints.iter().map(|endpoint| &endpoint.cluster).collect();
    names.dedup();
    let view = |name| snapshot.clusters.get(name).map(|view| ClusterView::clone(view));
    names.into_iter().filter_map(view).collect()
}

fn describe(name: &Name, snapshot: &Snapshot, level: Option<&Level>) -> String {
    match level {
        Some(Level::Global) => "all clusters".to_owned(),
        Some(Level::Region(region)) => format!("the clusters in region {region}"),
        Some(Level::Zone(locality)) => format!("the clusters in {locality}"),
        None => match snapshot.zones.find(name.key().as_bytes()) {
            Some(zone) if zone.exists(name.key().as_bytes()) => "a static record".to_owned(),
            Some(zone) => format!("no name of zone {}", zone.apex()),
            None => "outside every zone that is served here".to_owned(),
        },
    }
}

fn because(unit: &UnitView) -> Vec<String> {
    use super::view::Serving;
    let total = unit.endpoints.len();
    let used = unit.endpoints.iter().filter(|endpoint| endpoint.serving).count();
    let first = match unit.serving {
        Serving::Healthy if unit.policy.is_some() => {
            format!("{used} of {total} endpoints are healthy; the policy chooses among them")
        }
        Serving::Healthy => format!("{used} of {total} endpoints are ready and answered"),
        Serving::Reluctant => "only drained or offline clusters are left; better than none".into(),
        Serving::LastKnown => {
            "no endpoint is healthy: the last known addresses stand (fail open)".into()
        }
        Serving::AllConfigured => "no endpoint is ready: all configured addresses stand".into(),
        Serving::Fallback => "no endpoint is ready: the fallback stands".into(),
        Serving::Nothing => "no endpoint has been ready yet, so there is no address to give".into(),
    };
    let held = unit.endpoints.iter().filter(|endpoint| !endpoint.reason.is_empty());
    let held = held.map(|endpoint| {
        let address = endpoint.address.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {address}: {}: {}", endpoint.cluster, endpoint.state, endpoint.reason)
    });
    std::iter::once(first).chain(held).chain(unit.problems.iter().cloned()).collect()
}

fn show(snapshot: &Snapshot, name: &Name, rtype: RecordType, client: &Client) -> ShownAnswer {
    let question = Question { name: name.as_wire(), rtype, dnssec: DnssecOk::No };
    let answer = records::lookup(&snapshot.zones, &question, client);
    ShownAnswer {
        rcode: rcode(answer.outcome).to_owned(),
        answer: shown(&answer, name),
        scope: answer.scope,
    }
}

fn shown(answer: &Answer<'_>, asked: &Name) -> Vec<ShownRrset> {
    let rrset = |entry: &records::Entry<'_>| ShownRrset {
        name: match &entry.owner {
            Owner::Asked => asked.clone(),
            Owner::Name(name) => Name::clone(name),
        },
        ttl: entry.ttl,
        rtype: entry.rrset.rtype.to_string(),
        data: entry
            .rrset
            .rdata()
            .map(|data| records::rdata_to_text(entry.rrset.rtype, data))
            .collect(),
    };
    answer.answer.iter().map(rrset).collect()
}

fn rcode(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Data | Outcome::NoData | Outcome::Referral | Outcome::Alias => "NOERROR",
        Outcome::NxDomain => "NXDOMAIN",
        Outcome::YxDomain => "YXDOMAIN",
        Outcome::Refused => "REFUSED",
        Outcome::NotReady => "SERVFAIL",
    }
}
