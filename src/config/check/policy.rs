//! Checks a TrafficPolicy and puts it into force.

use super::{Checked, Findings, all_down, country_code, networks, probe};
use crate::{
    config::spec::{
        FamilyWord, FenceRow, FenceSpec, GeoRow as GeoRowSpec, GeoSpec, OrderSpec,
        Pick as PickWord, ProximitySpec, TargetKind, TrafficPolicySpec, WeightsSpec,
    },
    model::{ClusterName, ServiceKey, Weight},
    policy::{
        Family, Fence, Fenced, GeoRow, GeoTable, Order, Pick, Places, PolicyTarget, Proximity,
        Steer, TrafficPolicy, Weights,
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(in crate::config) fn policy(
    key: ServiceKey,
    spec: &TrafficPolicySpec,
) -> Checked<TrafficPolicy> {
    let mut findings = Findings::default();
    let policy = TrafficPolicy {
        targets: targets(&mut findings, &key, spec),
        key,
        steer: Arc::new(steer(&mut findings, spec)),
        ttl: findings.ttl("spec.ttl", spec.ttl),
        all_down: all_down(&mut findings, spec.all_down.as_ref()),
        health: spec.health.as_ref().and_then(|health| probe::health(&mut findings, health)),
    };
    findings.finish(Some(policy))
}

/// The clusters that a policy names, by the field that does.
pub(super) fn named_clusters(
    policy: &TrafficPolicy,
) -> Vec<(Cow<'static, str>, Vec<&ClusterName>)> {
    let steer = &policy.steer;
    let mut named: Vec<(Cow<'static, str>, Vec<&ClusterName>)> = match &steer.order {
        Order::None => Vec::new(),
        Order::Failover(list) => vec![("spec.order.failover".into(), list.iter().collect())],
        Order::Proximity(wish) => vec![
            ("spec.order.proximity.bias".into(), wish.bias.keys().collect()),
            ("spec.order.proximity.default".into(), wish.default.iter().collect()),
        ],
        Order::Geo(table) => {
            let rows = table.rows.iter().enumerate().map(|(at, row)| {
                let field = format!("spec.order.geo.map[{at}].clusters");
                (field.into(), row.clusters.iter().collect())
            });
            let default = ("spec.order.geo.default".into(), table.default.iter().collect());
            rows.chain([default]).collect()
        }
    };
    named.push(("spec.fence.allow".into(), steer.fence.allow.keys().collect()));
    named.push(("spec.fence.deny".into(), steer.fence.deny.keys().collect()));
    if let Weights::Fixed(weights) = &steer.weights {
        named.push(("spec.weights".into(), weights.keys().collect()));
    }
    named
}

fn targets(
    findings: &mut Findings,
    key: &ServiceKey,
    spec: &TrafficPolicySpec,
) -> Vec<PolicyTarget> {
    let mut targets = Vec::new();
    for (at, target) in spec.targets.iter().enumerate() {
        let field = format!("spec.targets[{at}].name");
        targets.extend(match target.kind {
            TargetKind::Service => {
                let service = ServiceKey::new(key.namespace.clone(), target.name.as_str());
                Some(PolicyTarget::Service(service))
            }
            TargetKind::Host => findings.name(&field, &target.name).map(PolicyTarget::Host),
        });
    }
    let mut seen = BTreeSet::new();
    for target in targets.iter().filter(|target| !seen.insert(*target)) {
        findings.error(format!("spec.targets: {target} stands there twice; expected each once"));
    }
    if spec.targets.is_empty() {
        findings
            .error("spec.targets: [] is empty; expected at least one Service or Host".to_owned());
    }
    targets
}

fn steer(findings: &mut Findings, spec: &TrafficPolicySpec) -> Steer {
    if let Some(limit) = spec.limit.filter(|limit| !(1..=64).contains(limit)) {
        findings.error(format!("spec.limit: {limit} is not from 1 to 64"));
    }
    if let Some(spill) = spec.spill.filter(|spill| !(1.0..=100.0).contains(spill)) {
        findings.error(format!("spec.spill: {spill} is not from 1 to 100"));
    }
    // Whoever asks for an order or shares means that one cluster is picked.
    let picks = spec.order.is_some() || spec.weights.is_some();
    Steer {
        order: spec.order.as_ref().map(|order| order_of(findings, order)).unwrap_or_default(),
        fence: spec.fence.as_ref().map(|fence| fence_of(findings, fence)).unwrap_or_default(),
        weights: spec.weights.as_ref().map(|own| weights(findings, own)).unwrap_or_default(),
        pick: match spec.pick {
            Some(PickWord::Sticky) => Pick::Sticky,
            Some(PickWord::Random) => Pick::Random,
            Some(PickWord::All) => Pick::All,
            None => {
                if picks {
                    Pick::Sticky
                } else {
                    Pick::All
                }
            }
        },
        limit: spec.limit.map_or(Steer::LIMIT, usize::from),
        spill: spec.spill.unwrap_or(Steer::SPILL),
        family: match spec.family {
            Some(FamilyWord::Independent) => Family::Independent,
            Some(FamilyWord::Uniform) | None => Family::Uniform,
        },
    }
}

// === Order ===

fn order_of(findings: &mut Findings, spec: &OrderSpec) -> Order {
    match (&spec.geo, &spec.proximity, &spec.failover) {
        (Some(geo), None, None) => Order::Geo(geo_table(findings, geo)),
        (None, Some(proximity), None) => Order::Proximity(proximity_of(findings, proximity)),
        (None, None, Some(list)) => {
            if list.is_empty() {
                findings.error(
                    "spec.order.failover: [] is empty; expected at least one cluster".to_owned(),
                );
            }
            Order::Failover(clusters(findings, "spec.order.failover", list))
        }
        _ => {
            findings.error(
                "spec.order: expected exactly one of geo, proximity and failover".to_owned(),
            );
            Order::None
        }
    }
}

fn geo_table(findings: &mut Findings, spec: &GeoSpec) -> GeoTable {
    if spec.map.is_empty() {
        findings.error("spec.order.geo.map: [] is empty; expected at least one row".to_owned());
    }
    let rows: Vec<GeoRow> =
        spec.map.iter().enumerate().map(|(at, row)| geo_row(findings, at, row)).collect();
    each_place_once(findings, &rows);
    GeoTable { rows, default: clusters(findings, "spec.order.geo.default", &spec.default) }
}

/// A network within another row's is no overlap: the longer one counts for its clients.
fn each_place_once(findings: &mut Findings, rows: &[GeoRow]) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let field = format!("spec.order.geo.map[{at}]");
        for place in names_of(&row.places) {
            if let Some(first) = places.insert(place.clone(), at) {
                findings.error(format!(
                    "{field}: {place} stands in spec.order.geo.map[{first}] too; expected each \
                     place once"
                ));
            }
        }
        let networks = &row.places.networks;
        for inner in networks {
            let outer = networks.iter().find(|outer| *outer != inner && outer.contains(inner));
            findings.warnings.extend(outer.map(|outer| {
                format!(
                    "{field}.networks: {inner} lies inside {outer} of the same row, so it adds \
                     nothing"
                )
            }));
        }
    }
}

fn geo_row(findings: &mut Findings, at: usize, spec: &GeoRowSpec) -> GeoRow {
    let field = format!("spec.order.geo.map[{at}]");
    if spec.clusters.is_empty() {
        findings.error(format!("{field}.clusters: [] is empty; expected at least one cluster"));
    }
    let places = Places {
        continents: continents(findings, &format!("{field}.continents"), &spec.continents),
        countries: countries(findings, &format!("{field}.countries"), &spec.countries),
        subdivisions: spec
            .subdivisions
            .iter()
            .filter_map(|text| subdivision(findings, &format!("{field}.subdivisions"), text))
            .collect(),
        networks: nets(findings, &format!("{field}.networks"), &spec.networks),
    };
    if names_of(&places).is_empty() {
        findings.error(format!(
            "{field}: expected a continent, country, subdivision or network; clients that no row \
             fits are those of spec.order.geo.default"
        ));
    }
    GeoRow { places, clusters: clusters(findings, &format!("{field}.clusters"), &spec.clusters) }
}

fn names_of(places: &Places) -> Vec<String> {
    let subdivisions =
        places.subdivisions.iter().map(|(country, part)| format!("subdivision {country}-{part}"));
    let continents = places.continents.iter().map(|own| format!("continent {own}"));
    let countries = places.countries.iter().map(|own| format!("country {own}"));
    let networks = places.networks.iter().map(|own| format!("network {own}"));
    continents.chain(countries).chain(subdivisions).chain(networks).collect()
}

fn proximity_of(findings: &mut Findings, spec: &ProximitySpec) -> Proximity {
    let mut slack = |field: &str, own: Option<f64>| {
        if let Some(number) = own.filter(|own| !own.is_finite() || *own < 0.0) {
            findings.error(format!("spec.order.proximity.{field}: {number} is not 0 or more"));
        }
        own.unwrap_or_default()
    };
    let (slack_percent, slack_km) =
        (slack("slackPercent", spec.slack_percent), slack("slackKm", spec.slack_km));
    for (cluster, bias) in &spec.bias {
        if !(-99.0..=99.0).contains(bias) {
            findings.error(format!(
                "spec.order.proximity.bias.{cluster}: {bias} is not from -99 to 99"
            ));
        }
    }
    let bias = spec.bias.iter().map(|(name, bias)| (ClusterName::from(name.as_str()), *bias));
    Proximity {
        slack_percent,
        slack_km,
        bias: bias.collect(),
        default: clusters(findings, "spec.order.proximity.default", &spec.default),
    }
}

// === Fence and weights ===

fn fence_of(findings: &mut Findings, spec: &FenceSpec) -> Fence {
    let mut rows = |side: &str, rows: &BTreeMap<String, FenceRow>| {
        let row = |(cluster, row): (&String, &FenceRow)| {
            let field = format!("spec.fence.{side}.{cluster}");
            (ClusterName::from(cluster.as_str()), fence_row(findings, &field, row))
        };
        rows.iter().map(row).collect::<BTreeMap<_, _>>()
    };
    let (allow, deny) = (rows("allow", &spec.allow), rows("deny", &spec.deny));
    let target = spec.fence_target.as_ref().and_then(|text| {
        let expected = "an IP address or a host name";
        findings.take("spec.fence.fenceTarget", text, expected, text.parse().ok())
    });
    let no_data = spec.allow_no_data.unwrap_or_default();
    if spec.fence_target.is_some() == no_data {
        findings.error(
            "spec.fence: expected either fenceTarget (an address or host name for clients that may \
             be sent nowhere) or allowNoData: true; resolvers keep an empty answer for all their \
             clients"
                .to_owned(),
        );
    }
    Fence { allow, deny, outside: target.map_or(Fenced::NoData, Fenced::Target) }
}

fn fence_row(findings: &mut Findings, field: &str, spec: &FenceRow) -> Places {
    let places = Places {
        continents: continents(findings, &format!("{field}.continents"), &spec.continents),
        countries: countries(findings, &format!("{field}.countries"), &spec.countries),
        subdivisions: Vec::new(),
        networks: nets(findings, &format!("{field}.networks"), &spec.networks),
    };
    if names_of(&places).is_empty() {
        findings.error(format!("{field}: expected a continent, country or network"));
    }
    places
}

fn weights(findings: &mut Findings, spec: &WeightsSpec) -> Weights {
    let WeightsSpec::Fixed(weights) = spec else { return Weights::ReadyEndpoints };
    if weights.is_empty() {
        findings.error("spec.weights: expected a weight for at least one cluster".to_owned());
    }
    let mut fixed = BTreeMap::new();
    for (cluster, weight) in weights {
        let field = format!("spec.weights.{cluster}");
        let read = u32::try_from(*weight).ok().and_then(Weight::new);
        let read = findings.take(&field, &weight.to_string(), "from 0 to 1048576", read);
        fixed.extend(read.map(|read| (ClusterName::from(cluster.as_str()), read.get())));
    }
    Weights::Fixed(fixed)
}

// === Words ===

fn clusters(findings: &mut Findings, field: &str, names: &[String]) -> Vec<ClusterName> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            findings.error(format!("{field}: {name:?} stands there twice"));
        }
    }
    names.iter().map(|name| ClusterName::from(name.as_str())).collect()
}

fn continents(findings: &mut Findings, field: &str, texts: &[String]) -> Vec<Arc<str>> {
    texts.iter().filter_map(|text| findings.continent(field, text)).collect()
}

fn countries(findings: &mut Findings, field: &str, texts: &[String]) -> Vec<Arc<str>> {
    texts.iter().filter_map(|text| findings.country(field, text)).collect()
}

fn subdivision(findings: &mut Findings, field: &str, text: &str) -> Option<(Arc<str>, Arc<str>)> {
    let read = text.split_once('-').filter(|(_, part)| !part.is_empty());
    let read = read.and_then(|(own, part)| Some((country_code(own)?, part.to_uppercase().into())));
    findings.take(field, text, "a country and its part as in US-CA (ISO 3166-2)", read)
}

/// Networks that a compiled map can tell apart.
fn nets(findings: &mut Findings, field: &str, texts: &[String]) -> Vec<ipnet::IpNet> {
    let nets = networks(findings, field, texts);
    for net in &nets {
        let longest = if net.addr().is_ipv4() { 24 } else { 56 };
        if net.prefix_len() > longest {
            findings.error(format!(
                "{field}: {net} is longer than /{longest}, the most that an answer can be tailored \
                 to (RFC 7871 §11.1)"
            ));
        }
        if net.trunc() != *net {
            findings
                .error(format!("{field}: {net} has bits beyond its length; write {}", net.trunc()));
        }
    }
    nets.iter().map(ipnet::IpNet::trunc).collect()
}
