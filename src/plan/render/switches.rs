//! A switch for each cluster: every routed set whose addresses are all of one cluster names it, so
//! that turning it takes the cluster out of all names at once, before each is written anew.

use super::checks::addresses;
use crate::{
    model::ClusterName,
    plan::{RecordSet, Wanted},
};
use std::collections::BTreeSet;

/// Gives the sets their switches; which clusters got one.
pub(super) fn put(wanted: &Wanted, sets: &mut [RecordSet]) -> BTreeSet<ClusterName> {
    let mut switched = BTreeSet::new();
    for set in sets.iter_mut().filter(|set| set.key.id.is_some()) {
        if let Some(cluster) = only_cluster(wanted, set) {
            set.more.insert("check".into(), format!("switch {cluster}").into());
            switched.insert(cluster);
        }
    }
    switched
}

/// Whether the sets are of more than one cluster.
pub(super) fn are_of_several(wanted: &Wanted, sets: &[RecordSet]) -> bool {
    let clusters: BTreeSet<_> = sets.iter().map(|set| only_cluster(wanted, set)).collect();
    clusters.len() > 1
}

/// Names longer than this do not fit a caller reference.
const LONGEST: usize = 30;

fn only_cluster(wanted: &Wanted, set: &RecordSet) -> Option<ClusterName> {
    let mut clusters = addresses(set).map(|ip| wanted.owners.get(&ip));
    let first = clusters.next()??;
    let same = clusters.all(|other| other == Some(first));
    (same && first.0.len() <= LONGEST).then(|| first.clone())
}
