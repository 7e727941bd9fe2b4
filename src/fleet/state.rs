//! What the fleet keeps on disk, so that a restart with every cluster out of reach answers as
//! before: the clusters' last views and the last known addresses, not the records made of them.

use super::{Fleet, cluster::SavedCluster, offers::Chosen, snapshot::Snapshot, view::Unit};
use crate::{
    health,
    model::{ClusterName, FederationName, Generation, Moment, Name, Serial},
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};

/// The fleet's memory. Unknown fields of a later version are ignored, so a rollback can read it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// The generation it was saved at; the next process goes on above it.
    pub generation: Generation,
    /// Clusters that have been seen whole.
    pub clusters: Vec<SavedCluster>,
    /// What each federation remembers.
    pub federations: Vec<SavedFederation>,
    /// The last good addresses of host names.
    pub resolved: Vec<(Name, Vec<IpAddr>)>,
    /// The verdicts on what was checked.
    #[serde(default)]
    pub health: Option<health::Saved>,
    /// What operators said of clusters at run time.
    #[serde(default)]
    pub forced: Vec<(ClusterName, health::Override)>,
}

/// What one federation remembers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedFederation {
    /// `<fed>`.
    pub name: FederationName,
    /// Its zone; the memory is void for another.
    pub zone: Name,
    /// The zone's serial; the next is after it.
    pub serial: Serial,
    /// Whether all its clusters had been seen.
    pub completed: bool,
    /// The addresses that each name had when one was last healthy, by cluster.
    pub last_known: Vec<(Unit, Chosen)>,
}

impl Fleet {
    /// What to keep on disk. Cheap for the caller: objects are shared, not copied.
    #[must_use]
    pub fn save(&self, at: Moment) -> Saved {
        let federations = self.federations.values().map(|state| SavedFederation {
            name: state.federation.name.clone(),
            zone: state.federation.zone.clone(),
            serial: state.zone.serial(),
            completed: state.completed,
            last_known: state.last_known.clone().into_iter().collect(),
        });
        let settled = self.clusters.values().filter(|cluster| cluster.is_settled());
        Saved {
            generation: self.published.generation,
            clusters: settled.map(super::cluster::Cluster::save).collect(),
            federations: federations.collect(),
            resolved: self.resolved.iter().map(|(host, ips)| (host.clone(), ips.clone())).collect(),
            health: Some(self.tracker.save(at)),
            forced: self.forced.clone().into_iter().collect(),
        }
    }

    /// A fleet that goes on from what was saved. Clusters and federations come to life when the
    /// configuration names them.
    #[must_use]
    pub fn restore(saved: Saved, at: Moment) -> Self {
        let mut fleet = Self::new(at);
        fleet.resolved = saved.resolved.into_iter().collect();
        fleet.forced = saved.forced.into_iter().collect();
        if let Some(health) = saved.health {
            fleet.tracker.restore(at, health);
        }
        fleet.saved = saved.federations.into_iter().map(|fed| (fed.name.clone(), fed)).collect();
        fleet.saved_clusters =
            saved.clusters.into_iter().map(|cluster| (cluster.name.clone(), cluster)).collect();
        let generation = saved.generation;
        fleet.published = Arc::new(Snapshot { generation, ..Snapshot::empty(at.wall) });
        fleet
    }
}
