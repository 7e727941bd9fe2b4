//! Why a name answers what it does: the same lookup that the server makes, with its reasons.

use super::{
    levels::Level,
    snapshot::Snapshot,
    view::{ClusterView, UnitView},
};
use crate::{
    model::{Name, Ttl},
    records::{self, Answer, Client, Outcome, Owner, Question, RecordType},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The answers for one name, and what led to them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was asked.
    pub name: Name,
    /// For whom; `None` for nobody in particular.
    pub client: Option<IpAddr>,
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
    /// The service or host behind it, with every endpoint.
    pub unit: Option<UnitView>,
    /// The clusters that offer it.
    pub clusters: Vec<ClusterView>,
    /// Why it is so, a sentence each.
    pub because: Vec<String>,
}

/// One answer as it goes out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownAnswer {
    /// The response code.
    pub rcode: String,
    /// The answer section, in order.
    pub answer: Vec<ShownRrset>,
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

/// Explains a name as that client would see it.
#[must_use]
pub fn explain(snapshot: &Snapshot, name: &Name, client: Option<IpAddr>) -> Explanation {
    let owner = snapshot.owner(name);
    let zone = snapshot.zones.find(name.key().as_bytes());
    let unit = owner.as_ref().map(|(unit, _)| UnitView::clone(unit));
    Explanation {
        name: name.clone(),
        client,
        zone: zone.map(|zone| (zone.apex().clone(), zone.serial().0)),
        generation: snapshot.generation.0,
        level: describe(name, snapshot, owner.as_ref().map(|(_, level)| level)),
        ipv4: show(snapshot, name, RecordType::A, client),
        ipv6: show(snapshot, name, RecordType::AAAA, client),
        clusters: unit.iter().flat_map(|unit| clusters_of(snapshot, unit)).collect(),
        because: unit.as_ref().map(because).unwrap_or_default(),
        unit,
    }
}

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
        Serving::Healthy => format!("{used} of {total} endpoints are ready and answered"),
        Serving::Reluctant => "only drained or offline clusters are left; better than none".into(),
        Serving::LastKnown => {
            "no endpoint is ready: the last known addresses stand (fail open)".into()
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

fn show(
    snapshot: &Snapshot,
    name: &Name,
    rtype: RecordType,
    client: Option<IpAddr>,
) -> ShownAnswer {
    let question = Question { name: name.as_wire(), rtype };
    let answer =
        records::lookup(&snapshot.zones, &question, &Client { address: client, ..Client::NEUTRAL });
    ShownAnswer { rcode: rcode(answer.outcome).to_owned(), answer: shown(&answer, name) }
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
