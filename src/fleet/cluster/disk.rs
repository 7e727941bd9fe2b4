//! A cluster as it is kept on disk, and believed after a restart until its API is heard again.

use super::{Cluster, Held, count_of};
use crate::model::{
    ClusterName, IngressObject, Kind, KindState, Locality, Moment, NodeObject, ObjectKey,
    ServiceObject, SliceCounts,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A cluster as it is kept on disk, to be believed after a restart until its API is heard again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedCluster {
    /// Its name.
    pub name: ClusterName,
    joined: Timestamp,
    services: Vec<Arc<ServiceObject>>,
    slices: Vec<SliceCounts>,
    ingresses: Vec<Arc<IngressObject>>,
    nodes: Vec<NodeObject>,
    localities: Vec<(Locality, Option<Timestamp>)>,
    held: Vec<(ObjectKey, Held)>,
    kinds: BTreeMap<Kind, KindState>,
}

impl Cluster {
    pub(in crate::fleet) fn save(&self) -> SavedCluster {
        SavedCluster {
            name: self.name.clone(),
            joined: self.joined,
            services: self.services.values().cloned().collect(),
            slices: self.slices.values().cloned().collect(),
            ingresses: self.ingresses.values().cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            localities: self.localities.clone().into_iter().collect(),
            held: self.held.iter().map(|(key, held)| (key.clone(), held.clone())).collect(),
            kinds: self.kinds.iter().map(|(kind, watch)| (*kind, watch.state.clone())).collect(),
        }
    }

    /// Takes over what was saved; its contacts are not, so it is unreachable until heard.
    pub(in crate::fleet) fn restore(&mut self, saved: SavedCluster, at: Moment) {
        self.joined = saved.joined;
        self.localities = saved.localities.into_iter().collect();
        saved.slices.iter().for_each(|slice| drop(self.put_slice(slice)));
        saved.ingresses.iter().for_each(|object| {
            self.put_ingress(at, IngressObject::clone(object));
        });
        self.services = saved.services.into_iter().map(|s| (s.key.clone(), s)).collect();
        self.federated = self.services.values().map(|own| count_of(Some(own))).sum();
        self.nodes = saved.nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
        self.held = saved.held.into_iter().collect();
        self.restored = true;
        for (kind, state) in saved.kinds {
            // A kind that could not be read says nothing about readiness now either.
            if let (KindState::Denied(_) | KindState::Missing(_), Some(watch)) =
                (&state, self.kinds.get_mut(&kind))
            {
                watch.state = state;
            }
        }
        self.locate(at);
    }
}
