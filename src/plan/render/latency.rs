//! The nearest cluster as Route 53's latency sets: by what AWS measures between networks and its
//! regions, in place of distance.
//!
//! There is one set for a region, and it holds one record (API reference, `ResourceRecordSet`:
//! `Region`; providers.md §1.4). Where a name has more to say for a region, the whole name is said
//! by distance, so that no address is left out.

use super::{
    Fidelity, Notes,
    native::{Near, Route},
    route53,
};
use crate::{
    geo,
    model::{ClusterName, Name, Ttl},
    plan::RecordSet,
    policy::distance_km,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// The region that each cluster says it is in.
pub(super) type Regions = BTreeMap<ClusterName, Arc<str>>;

/// The sets of one family; `None` where they cannot be said so.
pub(super) fn sets(
    name: &Name,
    ttl: Ttl,
    v6: bool,
    route: &Route,
    regions: &Regions,
    notes: &mut Notes,
) -> Option<Vec<RecordSet>> {
    let Route::Nearest(all) = route else { return None };
    let placed: Vec<(&Near, Placed)> =
        all.iter().filter_map(|near| Some((near, place(near, regions)?))).collect();
    let mut note = |clause, fidelity, text: String| notes.note(name, clause, fidelity, text);
    let mut answers: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    for (near, placed) in &placed {
        answers.entry(placed.region).or_default().extend(near.addresses.iter().copied());
    }
    if let Some((region, several)) = answers.iter().find(|(_, all)| all.len() > 1) {
        let clusters: Vec<_> = placed
            .iter()
            .filter(|(_, placed)| placed.region == *region)
            .map(|(near, _)| near.cluster.to_string())
            .collect();
        let text = format!(
            "{} addresses in {region} (clusters: {}), of which a latency set holds one: the name is \
             written by distance",
            several.len(),
            clusters.join(", ")
        );
        note("order.proximity", Fidelity::Approximate, text);
        return None;
    }
    if placed.iter().any(|(near, _)| near.bias.abs() > 0.0) {
        let text = "latency sets know no bias: it is left out".to_owned();
        note("order.proximity.bias", Fidelity::Unsupported, text);
    }
    for (near, placed) in placed.iter().filter(|(_, placed)| placed.approximate) {
        let (cluster, region) = (&near.cluster, placed.region);
        let text =
            format!("cluster {cluster} is in no region of AWS: it is said to be in {region}");
        note("order.proximity", Fidelity::Approximate, text);
    }
    let mut written = BTreeSet::new();
    let own = placed.iter().filter(|(_, placed)| written.insert(placed.region));
    Some(own.filter_map(|(near, placed)| set(name, ttl, v6, near, placed.region)).collect())
}

fn set(name: &Name, ttl: Ttl, v6: bool, near: &Near, region: &str) -> Option<RecordSet> {
    let set = route53::plain(name, ttl, v6, &near.addresses)?;
    Some(route53::routed(set, &near.cluster.to_string(), [("region", region.to_owned())]))
}

/// Where AWS is to take a cluster to be.
struct Placed {
    region: &'static str,
    approximate: bool,
}

/// The region that the cluster says, if it is one of AWS's, else the one that is nearest.
fn place(near: &Near, regions: &Regions) -> Option<Placed> {
    let own = regions.get(&near.cluster).and_then(|own| geo::region(own));
    if let Some(own) = own.filter(|own| own.provider == "aws") {
        return Some(Placed { region: own.name, approximate: false });
    }
    nearest(near.point).map(|region| Placed { region, approximate: true })
}

/// Of the public cloud's regions; where two are equally near, the first by name.
fn nearest(point: (f64, f64)) -> Option<&'static str> {
    let public = |name: &str| !SOVEREIGN.iter().any(|prefix| name.starts_with(prefix));
    let all = geo::regions().filter(|own| own.provider == "aws" && public(own.name));
    let far = |own: &geo::Region| own.location().coordinates.map(|at| distance_km(at, point));
    let all = all.filter_map(|own| Some((far(&own)?, own.name)));
    all.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(other.1))).map(|own| own.1)
}

/// How regions of clouds apart from the public one begin.
const SOVEREIGN: [&str; 3] = ["cn-", "us-gov-", "eusc-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn near(cluster: &str, point: (f64, f64), ips: &[&str]) -> Near {
        let addresses = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Near { cluster: cluster.into(), point, bias: 0.0, addresses }
    }

    fn said(all: Vec<Near>, regions: &[(&str, &str)]) -> (Option<Vec<String>>, Vec<String>) {
        let regions = regions
            .iter()
            .map(|(cluster, region)| ((*cluster).into(), Arc::from(*region)))
            .collect();
        let (name, mut notes): (Name, _) = ("x.test".parse().unwrap(), Notes::default());
        let route = Route::Nearest(all);
        let sets = sets(&name, Ttl::WRITTEN, false, &route, &regions, &mut notes);
        let sets = sets.map(|sets| sets.iter().map(ToString::to_string).collect());
        (sets, notes.finish().into_iter().map(|own| own.text).collect())
    }

    const OREGON: (f64, f64) = (45.8, -119.7);
    const TAIWAN: (f64, f64) = (24.1, 120.6);

    #[test]
    fn a_cluster_is_in_its_region_of_aws_or_in_the_one_that_is_nearest() {
        let all = vec![near("aws", OREGON, &["1.2.3.1"]), near("gke", TAIWAN, &["1.2.3.2"])];
        let (sets, notes) = said(all, &[("aws", "us-west-2"), ("gke", "asia-east1")]);
        let sets = sets.unwrap();
        assert!(sets[0].contains("region=us-west-2"), "{sets:?}");
        assert!(sets[1].contains("region=ap-east-2"), "{sets:?}");
        let text = "cluster gke is in no region of AWS: it is said to be in ap-east-2";
        assert_eq!(notes, [text]);
    }

    #[test]
    fn what_one_record_cannot_hold_is_left_to_distance() {
        let two = vec![near("aws", OREGON, &["1.2.3.1"]), near("eks", OREGON, &["1.2.3.2"])];
        let regions = [("aws", "us-west-2"), ("eks", "us-west-2")];
        let (sets, notes) = said(two, &regions);
        assert_eq!(sets, None);
        assert!(notes[0].contains("2 addresses in us-west-2 (clusters: aws, eks)"), "{notes:?}");
        let many = vec![near("aws", OREGON, &["1.2.3.1", "1.2.3.2"])];
        assert_eq!(said(many, &regions).0, None);
        // Two that answer the same are one.
        let same = vec![near("aws", OREGON, &["1.2.3.1"]), near("eks", OREGON, &["1.2.3.1"])];
        assert_eq!(said(same, &regions).0.unwrap().len(), 1);
    }

    #[test]
    fn bias_is_said_to_be_left_out() {
        let biased = Near { bias: 20.0, ..near("aws", OREGON, &["1.2.3.1"]) };
        let (sets, notes) = said(vec![biased], &[("aws", "us-west-2")]);
        assert_eq!(sets.unwrap().len(), 1);
        assert!(notes[0].contains("no bias"), "{notes:?}");
    }
}
