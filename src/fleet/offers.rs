//! What the clusters offer for one service or host, and which of it is chosen.
//!
//! ```text
//! any endpoint Ready or Held      │ those                                      Healthy
//! else any Draining or Offline    │ those: reluctantly, better than none       Reluctant
//! else, as the federation says    │ last known · all configured · fallback · nothing
//! ```

use super::{
    cluster::{Cluster, is_federated},
    view::{EndpointState, EndpointView, Serving},
};
use crate::model::{
    Address, AllDown, Annotations, ClusterName, Federation, IngressObject, IngressRule, Kind,
    Moment, Name, ObjectKey, ServiceKey, ServiceObject, Ttl,
};
use std::collections::BTreeMap;

/// What one object of one cluster offers.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    cluster: ClusterName,
    object: ObjectKey,
    addresses: Vec<Address>,
    held: bool,
    ready: Option<(u32, u32)>,
    ttl: Option<Ttl>,
    problems: Vec<String>,
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
    offer(cluster, object, own, service.annotations.as_deref(), cluster.readiness(&service.key))
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
    federation: &Federation,
    all_down: &AllDown,
    last: Option<&Chosen>,
    at: Moment,
) -> Selection {
    let mut endpoints: Vec<EndpointView> =
        offers.iter().flat_map(|(cluster, offer)| judge(cluster, offer, federation, at)).collect();
    let wanted = |states: &[EndpointState]| by_cluster(&endpoints, states);
    let healthy = wanted(&[EndpointState::Ready, EndpointState::Held]);
    let reluctant = wanted(&[EndpointState::Draining, EndpointState::Offline]);
    let mut fallback = Vec::new();
    let (serving, chosen) = if !healthy.is_empty() {
        (Serving::Healthy, healthy)
    } else if !reluctant.is_empty() {
        (Serving::Reluctant, reluctant)
    } else {
        let all = wanted(&[EndpointState::NotReady]);
        when_all_are_down(offers, all_down, last, all, &mut fallback)
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
    all: Chosen,
    fallback: &mut Vec<Address>,
) -> (Serving, Chosen) {
    let (serving, chosen) = match all_down {
        AllDown::LastKnown => match still_offered(offers, last) {
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
fn judge(
    cluster: &Cluster,
    offer: &Offer,
    federation: &Federation,
    at: Moment,
) -> Vec<EndpointView> {
    let view = |address: Option<Address>, (state, reason): (EndpointState, String)| EndpointView {
        cluster: offer.cluster.clone(),
        object: offer.object.clone(),
        address,
        resolved: Vec::new(),
        ready: offer.ready,
        state,
        serving: false,
        reason,
    };
    if offer.addresses.is_empty() {
        let reason = format!("{} has no load-balancer address yet", offer.object);
        return vec![view(None, (EndpointState::NoAddress, reason))];
    }
    let whole = state(cluster, offer, federation, at);
    let one = |address: &Address| match address {
        Address::Ip(ip) => match federation.targets.check(*ip) {
            Err(error) => view(Some(address.clone()), (EndpointState::Refused, error.to_string())),
            Ok(()) => view(Some(address.clone()), whole.clone()),
        },
        Address::Host(_) => view(Some(address.clone()), whole.clone()),
    };
    offer.addresses.iter().map(one).collect()
}

fn state(
    cluster: &Cluster,
    offer: &Offer,
    federation: &Federation,
    at: Moment,
) -> (EndpointState, String) {
    if let Some((0, total)) = offer.ready {
        let reason = format!("none of {total} backends is ready");
        return (EndpointState::NotReady, reason);
    }
    if let Some(drain) = cluster.member.drain.as_ref().filter(|drain| drain.holds(at)) {
        return (EndpointState::Draining, format!("cluster is drained: {}", drain.reason));
    }
    if is_offline(cluster, federation, at) {
        let silent = cluster.stale_for(at).as_secs();
        return (EndpointState::Offline, format!("cluster has not been fresh for {silent} s"));
    }
    if offer.held {
        let reason = "status.loadBalancer went empty; its last addresses are held";
        return (EndpointState::Held, reason.to_owned());
    }
    (EndpointState::Ready, String::new())
}

/// Whether the federation no longer bears with a cluster that is not fresh.
pub(super) fn is_offline(cluster: &Cluster, federation: &Federation, at: Moment) -> bool {
    let silent = cluster.stale_for(at);
    federation.offline.delay().is_some_and(|delay| !silent.is_zero() && silent >= delay)
}
