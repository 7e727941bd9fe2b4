//! What a cluster shows of itself. Decides nothing.

use super::Cluster;
use crate::{
    fleet::view::{ClusterStatus, ClusterView, Counts},
    model::Freshness,
};

impl Cluster {
    pub(in crate::fleet) fn view(&self) -> ClusterView {
        let problems = self.refused.iter().chain(&self.problems).cloned().collect();
        ClusterView {
            name: self.name.clone(),
            status: self.status(),
            joined: self.joined,
            freshness: self.freshness,
            last_contact: self.oldest_contact().map(|contact| contact.wall),
            localities: self.localities.keys().cloned().collect(),
            kinds: self.kinds.iter().map(|(kind, watch)| (*kind, watch.state.clone())).collect(),
            counts: self.counts(),
            drain: self.member.drain.clone(),
            forced: self.forced.clone(),
            problems,
        }
    }

    fn status(&self) -> ClusterStatus {
        match (self.is_settled(), self.freshness) {
            (false, _) => ClusterStatus::Pending,
            (true, Freshness::Fresh) => ClusterStatus::Ready,
            (true, Freshness::Stale | Freshness::Unreachable) => ClusterStatus::NotReady,
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            services: self.federated,
            ingresses: self.ingresses.len(),
            nodes: self.nodes.len(),
        }
    }
}
