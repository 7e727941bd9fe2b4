//! What a service's clusters are to steering: shares, scores and standings from endpoints.
//!
//! ```text
//! score      ready ÷ expected endpoints, at most the part of the addresses that checks find up,
//!            times the slow start
//! standing   an endpoint that serves       Serving
//!            drained or offline ones       Reluctant
//!            none that works               Down
//! ```

use super::{
    cluster::Cluster,
    offers::{Offer, Selection},
    view::{EndpointState, EndpointView, Serving},
};
use crate::{
    health,
    model::{Address, ClusterName},
    policy::{Candidate, Site, Standing, Subject, TrafficPolicy, Weights},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What subjects are made of.
pub(in crate::fleet) struct Subjects<'s> {
    pub(in crate::fleet) policy: &'s TrafficPolicy,
    pub(in crate::fleet) sites: &'s [Site],
    pub(in crate::fleet) offers: &'s [(&'s Cluster, Offer)],
    pub(in crate::fleet) selection: &'s Selection,
    /// A host name's addresses.
    pub(in crate::fleet) resolved: &'s dyn Fn(&Address) -> Vec<IpAddr>,
}

/// The clusters that offer a service, in order of sites.
pub(in crate::fleet) fn subjects(with: &Subjects<'_>) -> Vec<Subject> {
    let Subjects { policy, sites, offers, selection, resolved } = with;
    let of = |(index, site): (usize, &Site)| {
        let own = || offers.iter().filter(|(cluster, _)| cluster.name == site.cluster);
        let endpoints: Vec<&EndpointView> =
            selection.endpoints.iter().filter(|one| one.cluster == site.cluster).collect();
        let standing = standing(&endpoints, &site.cluster, selection)?;
        let addresses = addresses(standing, selection, &site.cluster, &endpoints, resolved);
        let candidate = Candidate {
            site: u16::try_from(index).ok()?,
            weight: own().map(|(cluster, offer)| weight(policy, cluster, offer)).max()?,
            score: score(policy, standing, &endpoints),
            standing,
        };
        let checks = endpoints.iter().flat_map(|one| &one.health);
        let flips_in = checks.filter_map(|one| one.flips_in).min().map(Duration::from_secs);
        Some(Subject { candidate, addresses, flips_in, reason: reason(&endpoints) })
    };
    sites.iter().enumerate().filter_map(of).collect()
}

/// `None` for a cluster that has nothing to answer with.
fn standing(
    endpoints: &[&EndpointView],
    cluster: &ClusterName,
    selection: &Selection,
) -> Option<Standing> {
    let states = endpoints.iter().filter_map(|one| match one.state {
        EndpointState::Ready | EndpointState::Held => Some(Standing::Serving),
        EndpointState::Draining | EndpointState::Offline => Some(Standing::Reluctant),
        EndpointState::NotReady | EndpointState::Failing => Some(Standing::Down),
        EndpointState::Refused | EndpointState::NoAddress => None,
    });
    match selection.serving {
        Serving::Healthy | Serving::Reluctant => states.min(),
        // What was last known to work stands, whatever its objects say now.
        _ => selection.chosen.contains_key(cluster).then_some(Standing::Down),
    }
}

fn addresses(
    standing: Standing,
    selection: &Selection,
    cluster: &ClusterName,
    endpoints: &[&EndpointView],
    resolved: &dyn Fn(&Address) -> Vec<IpAddr>,
) -> Vec<IpAddr> {
    if matches!(selection.serving, Serving::LastKnown | Serving::AllConfigured) {
        return selection.chosen.get(cluster).into_iter().flatten().flat_map(resolved).collect();
    }
    let fits = |one: &&&EndpointView| match standing {
        Standing::Serving => matches!(one.state, EndpointState::Ready | EndpointState::Held),
        Standing::Reluctant => {
            matches!(one.state, EndpointState::Draining | EndpointState::Offline)
        }
        Standing::Down => matches!(one.state, EndpointState::NotReady | EndpointState::Failing),
    };
    let own = endpoints.iter().filter(fits).flat_map(|one| {
        let failed: Vec<IpAddr> = one.failed().collect();
        let all = one.address.as_ref().map(resolved).unwrap_or_default();
        // Of a host name's addresses those that fail are left out, as long as others work.
        let up: Vec<IpAddr> = all.iter().filter(|ip| !failed.contains(ip)).copied().collect();
        if up.is_empty() { all } else { up }
    });
    own.collect()
}

fn weight(policy: &TrafficPolicy, cluster: &Cluster, offer: &Offer) -> u32 {
    if let Some(supposed) = cluster.supposed_weight {
        return supposed;
    }
    match &policy.steer.weights {
        Weights::Fixed(weights) => weights.get(&cluster.name).copied().unwrap_or_default(),
        Weights::ReadyEndpoints => offer.ready.map_or(1, |(ready, _)| ready.min(1 << 20)),
        Weights::Clusters => offer.weight.unwrap_or(cluster.member.weight).get(),
    }
}

/// In thousandths; at least one while it serves, so that it is told from one that is down.
fn score(policy: &TrafficPolicy, standing: Standing, endpoints: &[&EndpointView]) -> u16 {
    if standing == Standing::Down {
        return 0;
    }
    let expected = policy.health.as_ref().and_then(|health| health.expected);
    let ready = endpoints.iter().filter_map(|one| one.ready).max();
    let ready = ready
        .map_or(1.0, |(ready, total)| health::readiness(ready, expected.unwrap_or(total).max(1)));
    let checks: Vec<_> = endpoints.iter().flat_map(|one| &one.health).collect();
    let up: Vec<_> = checks.iter().filter(|one| !one.is_down()).collect();
    #[allow(clippy::cast_precision_loss)] // a handful of addresses
    let part =
        |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    let ramp = up.iter().map(|one| one.ramp).fold(1.0, f64::min);
    let score = ready.min(part(up.len(), checks.len())) * ramp * 1_000.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 1 to 1000
    let score = score.round().clamp(1.0, 1_000.0) as u16;
    score
}

/// Why it is not simply healthy, or an empty text.
fn reason(endpoints: &[&EndpointView]) -> Arc<str> {
    let own = endpoints.iter().filter(|one| !one.reason.is_empty()).map(|one| one.reason.as_str());
    let ready = endpoints.iter().filter_map(|one| one.ready).max();
    let short = ready.filter(|(ready, total)| ready < total);
    let short = short.map(|(ready, total)| format!("{ready} of {total} endpoints are ready"));
    let checks = endpoints.iter().flat_map(|one| &one.health).filter(|one| one.ramp < 1.0);
    let warming = checks.map(|one| one.reason.clone()).next();
    let mut all: Vec<String> = own.map(ToOwned::to_owned).chain(short).chain(warming).collect();
    all.dedup();
    all.join("; ").into()
}
