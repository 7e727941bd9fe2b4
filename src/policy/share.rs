//! What clients at one place get, all of them together: for those who write it down elsewhere.

use super::{
    Steering,
    intent::Pick,
    rank::rank,
    table::{Candidate, Table},
};
use crate::model::{ClusterName, Location};
use ipnet::IpNet;
use std::net::IpAddr;

/// One answer, and which part of the clients get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The clusters whose addresses it holds.
    pub clusters: Vec<ClusterName>,
    /// Above 0, at most 1.
    pub part: f64,
    /// Of one family, at most the policy's limit, at least one.
    pub addresses: Vec<IpAddr>,
}

impl Steering {
    /// The answers for clients at that place, in those of the policy's own networks; none where
    /// the fence leaves nothing, `None` where the family is answered to nobody.
    #[must_use]
    pub fn answers_at(&self, v6: bool, at: &Location, networks: &[IpNet]) -> Option<Vec<Share>> {
        self.table(v6)?;
        let sites = &self.shape.sites;
        let ranked = rank(&self.steer.order, &self.steer.fence, sites, at, networks);
        let own =
            self.subjects.iter().filter(|one| one.addresses.iter().any(|ip| ip.is_ipv6() == v6));
        let candidates: Vec<Candidate> = own.map(|one| one.candidate).collect();
        let table =
            Table::compile(&[ranked], sites, &candidates, self.steer.spill, self.steer.pick);
        let mut shares: Vec<Share> = Vec::new();
        for tier in table.plans.first().into_iter().flat_map(|plan| &plan.tiers) {
            let whole: f64 = tier.members.iter().map(|member| member.weight).sum();
            for member in &tier.members {
                let set = usize::try_from(member.set).ok().and_then(|at| table.sets.get(at));
                let set = set.map_or(&[][..], smallvec::SmallVec::as_slice);
                shares.extend(self.share(set, tier.share * member.weight / whole, v6));
            }
        }
        Some(shares)
    }

    fn share(&self, sites: &[u16], part: f64, v6: bool) -> Option<Share> {
        let of = |site: &u16| self.subjects.iter().find(|one| one.candidate.site == *site);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for ip in sites.iter().filter_map(of).flat_map(|one| &one.addresses) {
            if ip.is_ipv6() == v6 && !addresses.contains(ip) && addresses.len() < self.steer.limit {
                addresses.push(*ip);
            }
        }
        let name = |site: &u16| Some(self.shape.sites.get(usize::from(*site))?.cluster.clone());
        let clusters = sites.iter().filter_map(name).collect();
        (!addresses.is_empty()).then_some(Share { clusters, part, addresses })
    }

    /// Whether the same client may be answered differently from one query to the next.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.steer.pick == Pick::Random
    }
}
