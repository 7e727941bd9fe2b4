//! What the clusters offer for one service or host, and which of it is chosen.
//!
//! ```text
//! any endpoint Ready or Held      │ those                                      Healthy
//! else any Draining or Offline    │ those: reluctantly, better than none       Reluctant
//! else, as the federation says    │ last known · all configured · fallback · nothing
//! ```

use super::{
    cluster::{Cluster, is_federated},
    view::{AddressHealth, EndpointState, EndpointView, Serving},
};
use crate::{
    health,
    model::{
        Address, AllDown, Annotations, ClusterName, Federation, IngressObject, IngressRule, Kind,
        Moment, Name, ObjectKey, ServiceKey, ServiceObject, Ttl, Weight,
    },
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// What one object of one cluster offers.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) cluster: ClusterName,
    pub(super) object: ObjectKey,
    addresses: Vec<Address>,
    held: bool,
    pub(super) ready: Option<(u32, u32)>,
    ttl: Option<Ttl>,
    /// Where checks connect to unless a policy says otherwise.
    pub(super) port: Option<u16>,
    /// The TrafficPolicy that its annotation names.
    pub(super) policy: Option<Arc<str>>,
    pub(super) weight: Option<Weight>,
    problems: Vec<String>,
}

/// What is known of one address beyond what its cluster says: the verdict of its check, `None`
/// when there is no check of it.
pub(super) type Checked<'c> = &'c dyn Fn(IpAddr) -> Option<AddressHealth>;

/// All that judges an endpoint beside its own cluster.
#[derive(Clone, Copy)]
pub(super) struct Judging<'j> {
    pub(super) federation: &'j Federation,
    /// The addresses of a host name.
    pub(super) resolved: &'j dyn Fn(&Address) -> Vec<IpAddr>,
    /// `None` where nothing is checked.
    pub(super) checked: Option<Checked<'j>>,
    pub(super) at: Moment,
}

/// Addresses by the cluster that offers them.
pub(super) type Chosen = BTreeMap<ClusterName, Vec<Address>>;

/// The outcome for one service or host.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) serving: Serving,
    /// By cluster: for all levels when healthy or reluctant, else for the top level alone.
    pub(super) chosen: Chosen,
    /// Addresses that belong to no cluster: the fallback's.
    pub(super) fallback: Vec<Address>,
    pub(super) ttl: Option<Ttl>,
    pub(super) endpoints: Vec<EndpointView>,
    pub(super) problems: Vec<String>,
}

/// What that cluster offers for a federated Service, if it has it.
pub(super) fn of_service(
    cluster: &Cluster,
    key: &ServiceKey,
    federation: &Federation,
) -> Option<Offer> {
    let service = cluster.services.get(key)?;
    let taken = is_federated(service) && federation.services.admits(&service.labels);
    taken.then(|| service_offer(cluster, service))
}

/// What an object that claims a host offers for it.
pub(super) fn of_claim(
    cluster: &Cluster,
    object: &ObjectKey,
    host: &Name,
    federation: &Federation,
) -> Option<Offer> {
    match object.kind {
        Kind::Service => of_service(cluster, &object.key, federation),
        Kind::Ingress => {
            Some(ingress_offer(cluster, cluster.ingresses.get(&object.key)?.as_ref(), host))
        }
        Kind::EndpointSlice | Kind::Node => None,
    }
}

/// When the object that claims a host was made, in seconds since 1970; 0 when it does not say.
pub(super) fn created(cluster: &Cluster, object: &ObjectKey) -> i64 {
    match object.kind {
        Kind::Service => cluster.services.get(&object.key).map_or(0, |service| service.created),
        _ => cluster.ingresses.get(&object.key).map_or(0, |ingress| ingress.created),
    }
}

fn service_offer(cluster: &Cluster, service: &ServiceObject) -> Offer {
    let object = ObjectKey { kind: Kind::Service, key: service.key.clone() };
    let own = &service.ingress;
    let ready = cluster.readiness(&service.key);
    let offer = offer(cluster, object, own, service.annotations.as_deref(), ready);
    Offer { port: service.port, ..offer }
}

fn ingress_offer(cluster: &Cluster, ingress: &IngressObject, host: &Name) -> Offer {
    let object = ObjectKey { kind: Kind::Ingress, key: ingress.key.clone() };
    let annotations = ingress.annotations.as_deref();
    let ready = ingress_readiness(cluster, ingress, host);
    let mut offer = offer(cluster, object, &ingress.ingress, annotations, ready);
    let on_nodes = annotations.is_some_and(|annotations| annotations.nodes);
    if on_nodes && (offer.addresses.is_empty() || offer.held) {
        offer.addresses = cluster.node_addresses().into_iter().collect();
        offer.held = false;
    }
    offer.port = Some(if ingress.tls { 443 } else { 80 });
    offer
}

fn offer(
    cluster: &Cluster,
    object: ObjectKey,
    own: &[Address],
    annotations: Option<&Annotations>,
    ready: Option<(u32, u32)>,
) -> Offer {
    let override_ = annotations.map(|annotations| annotations.targets.as_slice());
    let override_ = override_.filter(|targets| !targets.is_empty());
    let held = cluster.held(&object).filter(|_| own.is_empty() && override_.is_none());
    let problem = |text: &String| format!("{object} in {}: {text}", cluster.name);
    Offer {
        cluster: cluster.name.clone(),
        addresses: override_.or(held).unwrap_or(own).to_vec(),
        held: held.is_some(),
        ready,
        ttl: annotations.and_then(|annotations| annotations.ttl),
        port: None,
        policy: annotations.and_then(|annotations| annotations.policy.clone()),
        weight: annotations.and_then(|annotations| annotations.weight),
        problems: annotations.iter().flat_map(|a| &a.problems).map(problem).collect(),
        object,
    }
}

/// Ready and all endpoints behind the rules that serve this host; `None` when not known, or when
/// no backend is a Service.
fn ingress_readiness(
    cluster: &Cluster,
    ingress: &IngressObject,
    host: &Name,
) -> Option<(u32, u32)> {
    let named: Vec<_> = ingress.rules.iter().filter(|r| r.host.as_ref() == Some(host)).collect();
    let rules: Vec<&IngressRule> = match named.is_empty() {
        true => ingress.rules.iter().filter(|rule| rule.host.is_none()).collect(),
        false => named,
    };
    let backends = rules.iter().flat_map(|rule| &rule.backends);
    let of = |name: &std::sync::Arc<str>| {
        cluster.readiness(&ServiceKey::new(ingress.key.namespace.clone(), name.clone()))
    };
    let counts: Option<Vec<_>> = backends.map(of).collect();
    let counts = counts.filter(|counts| !counts.is_empty())?;
    let sum = |(a, b): (u32, u32), (c, d): (u32, u32)| (a.saturating_add(c), b.saturating_add(d));
    Some(counts.into_iter().fold((0, 0), sum))
}

/// Chooses among the offers; `last` is what was chosen when one was last healthy.
pub(super) fn choose(
    offers: &[(&Cluster, Offer)],
    all_down: &AllDown,
    last: Option<&Chosen>,
    judging: Judging<'_>,
) -> Selection {
    let mut endpoints: Vec<EndpointView> =
        offers.iter().flat_map(|(cluster, offer)| judge(cluster, offer, judging)).collect();
    let wanted = |states: &[EndpointState]| by_cluster(&endpoints, states);
    let healthy = wanted(&[EndpointState::Ready, EndpointState::Held]);
    let reluctant = wanted(&[EndpointState::Draining, EndpointState::Offline]);
    let mut fallback = Vec::new();
    let (serving, chosen) = if !healthy.is_empty() {
        (Serving::Healthy, healthy)
    } else if !reluctant.is_empty() {
        (Serving::Reluctant, reluctant)
    } else {
        let all = wanted(&[EndpointState::NotReady, EndpointState::Failing]);
        // Their own clusters call these ready; that every check of them fails says as much about
        // the checks.
        let doubtful = wanted(&[EndpointState::Failing]);
        when_all_are_down(offers, all_down, last, (all, doubtful), &mut fallback)
    };
    for endpoint in &mut endpoints {
        let own = chosen.get(&endpoint.cluster);
        endpoint.serving = endpoint
            .address
            .as_ref()
            .is_some_and(|address| own.is_some_and(|addresses| addresses.contains(address)));
    }
    Selection {
        serving,
        chosen,
        fallback,
        ttl: offers.iter().filter_map(|(_, offer)| offer.ttl).min(),
        endpoints,
        problems: offers.iter().flat_map(|(_, offer)| offer.problems.clone()).collect(),
    }
}

fn when_all_are_down(
    offers: &[(&Cluster, Offer)],
    all_down: &AllDown,
    last: Option<&Chosen>,
    (all, doubtful): (Chosen, Chosen),
    fallback: &mut Vec<Address>,
) -> (Serving, Chosen) {
    let (serving, chosen) = match all_down {
        AllDown::LastKnown => match joined(still_offered(offers, last), doubtful) {
            // Those that were known are deleted; what is left is better than nothing.
            kept if kept.is_empty() && last.is_some() => (Serving::AllConfigured, all),
            kept => (Serving::LastKnown, kept),
        },
        AllDown::AllConfigured => (Serving::AllConfigured, all),
        AllDown::NoData => (Serving::Nothing, Chosen::new()),
        AllDown::Fallback(targets) => {
            fallback.clone_from(targets);
            (Serving::Fallback, Chosen::new())
        }
    };
    let nothing = chosen.is_empty() && fallback.is_empty();
    if nothing { (Serving::Nothing, chosen) } else { (serving, chosen) }
}

/// The last known addresses of clusters whose object is still there: a deletion counts even now.
fn still_offered(offers: &[(&Cluster, Offer)], last: Option<&Chosen>) -> Chosen {
    let offered = |name: &&ClusterName| offers.iter().any(|(_, offer)| offer.cluster == **name);
    let kept = last.into_iter().flatten().filter(|(name, _)| offered(name));
    kept.map(|(name, addresses)| (name.clone(), addresses.clone())).collect()
}

fn joined(mut one: Chosen, other: Chosen) -> Chosen {
    for (cluster, addresses) in other {
        let own = one.entry(cluster).or_default();
        addresses.into_iter().for_each(|address| {
            if !own.contains(&address) {
                own.push(address);
            }
        });
    }
    one
}

fn by_cluster(endpoints: &[EndpointView], states: &[EndpointState]) -> Chosen {
    let mut chosen = Chosen::new();
    for endpoint in endpoints.iter().filter(|endpoint| states.contains(&endpoint.state)) {
        if let Some(address) = &endpoint.address {
            chosen.entry(endpoint.cluster.clone()).or_default().push(address.clone());
        }
    }
    chosen
}

/// One view per address of an offer, or one that says there is none.
fn judge(cluster: &Cluster, offer: &Offer, judging: Judging<'_>) -> Vec<EndpointView> {
    let view = |address: Option<Address>| EndpointView {
        cluster: offer.cluster.clone(),
        object: offer.object.clone(),
        address,
        resolved: Vec::new(),
        ready: offer.ready,
        state: EndpointState::NoAddress,
        serving: false,
        health: Vec::new(),
        reason: String::new(),
    };
    if offer.addresses.is_empty() {
        let reason = format!("{} has no load-balancer address yet", offer.object);
        return vec![EndpointView { reason, ..view(None) }];
    }
    let one = |address: &Address| {
        let mut endpoint = view(Some(address.clone()));
        (endpoint.state, endpoint.reason) = match address {
            Address::Ip(ip) if let Err(error) = judging.federation.targets.check(*ip) => {
                (EndpointState::Refused, error.to_string())
            }
            Address::Ip(_) | Address::Host(_) => {
                // What an operator said of the cluster stands over checks, whatever they find.
                let checked = judging.checked.filter(|_| !is_forced(cluster, judging.at));
                if let Some(checked) = checked {
                    let ips = (judging.resolved)(address);
                    endpoint.health = ips.into_iter().filter_map(checked).collect();
                }
                state(cluster, offer, &endpoint.health, judging)
            }
        };
        endpoint
    };
    offer.addresses.iter().map(one).collect()
}

/// What is held against an endpoint: what an operator forced, then what its cluster says, then
/// what checks found. An operator's word stands over both.
fn state(
    cluster: &Cluster,
    offer: &Offer,
    health: &[AddressHealth],
    judging: Judging<'_>,
) -> (EndpointState, String) {
    let forced = cluster.forced.as_ref().filter(|own| !own.expired(judging.at.wall));
    match forced.map(|own| own.kind) {
        Some(health::Forced::Up) => return (EndpointState::Ready, told(forced)),
        Some(health::Forced::Down) => return (EndpointState::Failing, told(forced)),
        Some(health::Forced::Drain) | None => {}
    }
    if let Some((0, total)) = offer.ready {
        let reason = format!("none of {total} backends is ready");
        return (EndpointState::NotReady, reason);
    }
    if !health.is_empty() && health.iter().all(AddressHealth::is_down) {
        let reasons: Vec<&str> = health.iter().map(|one| one.reason.as_str()).collect();
        return (EndpointState::Failing, reasons.join("; "));
    }
    if forced.is_some() {
        return (EndpointState::Draining, told(forced));
    }
    if let Some(drain) = cluster.member.drain.as_ref().filter(|drain| drain.holds(judging.at)) {
        return (EndpointState::Draining, format!("cluster is drained: {}", drain.reason));
    }
    // Checks that find it well outweigh the silence of its cluster's API.
    let well = health.iter().any(|one| one.state == health::State::Up);
    if !well && is_offline(cluster, judging.federation, judging.at) {
        let silent = cluster.stale_for(judging.at).as_secs();
        return (EndpointState::Offline, format!("cluster has not been fresh for {silent} s"));
    }
    if offer.held {
        let reason = "status.loadBalancer went empty; its last addresses are held";
        return (EndpointState::Held, reason.to_owned());
    }
    let doubts = health.iter().map(|one| one.reason.as_str()).filter(|reason| !reason.is_empty());
    (EndpointState::Ready, doubts.collect::<Vec<_>>().join("; "))
}

fn is_forced(cluster: &Cluster, at: Moment) -> bool {
    let forced = cluster.forced.as_ref().filter(|own| !own.expired(at.wall));
    forced.is_some_and(|own| own.kind != health::Forced::Drain)
}

fn told(forced: Option<&health::Override>) -> String {
    forced.map(ToString::to_string).unwrap_or_default()
}

/// Whether the federation no longer bears with a cluster that is not fresh.
pub(super) fn is_offline(cluster: &Cluster, federation: &Federation, at: Moment) -> bool {
    let silent = cluster.stale_for(at);
    federation.offline.delay().is_some_and(|delay| !silent.is_zero() && silent >= delay)
}
