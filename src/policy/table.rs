//! Shares: for each order of a shape, how many clients go to which tier and cluster, as health is
//! now. Services of equal health share one table.
//!
//! ```text
//! health of a tier   Σ weight · score ÷ Σ weight          of its clusters, failed ones included
//! load of a tier     min(what is left, 1.4 · health ÷ total),   total = min(1, Σ 1.4 · health)
//! within a tier      weight · score
//! ```
//!
//! A cluster's own share so never falls when it gets healthier or another gets sicker
//! (`tests.rs`). Envoy scales the weight within a tier by 1.4 as well, which loses that.

use super::{
    intent::Pick,
    rank::{Ranked, Site},
};
use smallvec::SmallVec;
use std::collections::HashMap;

/// One cluster of a service, as steering sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Candidate {
    /// Its index among the shape's sites.
    pub site: u16,
    /// Its share beside others, 0 to 2²⁰.
    pub weight: u32,
    /// How much of it is healthy and warmed up, in thousandths: 0 to 1000.
    pub score: u16,
    /// Whether it may be used.
    pub standing: Standing,
}

/// Whether a cluster may be used: each only while no client's better one is there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Healthy, in whole or in part.
    Serving,
    /// Drained, long out of sight, or of unknown health: better than none.
    Reluctant,
    /// Failed; used when there is nothing else (fail open).
    Down,
}

/// The shares of every order of a shape.
#[derive(Debug, PartialEq)]
pub struct Table {
    /// What an answer can be made of: clusters by site, each set once.
    pub sets: Vec<SmallVec<[u16; 2]>>,
    /// By class.
    pub plans: Vec<Plan>,
    /// By class as well, and without looking at its plan: [`Plan::sole`].
    pub soles: Vec<Option<u32>>,
    /// How one is picked.
    pub pick: Pick,
}

/// The shares of one order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Tiers that get clients; none when these clients may be sent nowhere.
    pub tiers: SmallVec<[Tier; 1]>,
    /// The worst that had to be used, [`Standing::Down`] being fail open.
    pub standing: Option<Standing>,
}

impl Plan {
    /// Whether clients with the same order may be answered differently.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.tiers.len() > 1 || self.tiers.iter().any(|tier| tier.members.len() > 1)
    }

    /// The set that all clients with this order are answered with, where it is healthy: then
    /// nothing is left to decide for each of them.
    fn sole(&self) -> Option<u32> {
        let [tier] = self.tiers.as_slice() else { return None };
        let [member] = tier.members.as_slice() else { return None };
        (self.standing == Some(Standing::Serving)).then_some(member.set)
    }
}

/// One tier's share.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// Which of the order's tiers it is, counted from 0.
    pub index: usize,
    /// Where its part of 0 to 1 ends; the last ends above 1.
    pub until: f64,
    /// Its part.
    pub share: f64,
    /// One of these is picked; all of them are one set when all are answered.
    pub members: SmallVec<[Member; 1]>,
}

/// One choice within a tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Which of the table's sets.
    pub set: u32,
    /// Its part of the tier's clients, relative to the other members; above 0.
    pub weight: f64,
    /// Of the cluster's name: what the rendezvous hashes.
    pub seed: u64,
}

impl Table {
    /// Computes the shares of each order. Candidates are in order of sites, each site once.
    #[must_use]
    pub fn compile(
        orders: &[Ranked],
        sites: &[Site],
        candidates: &[Candidate],
        spill: f64,
        pick: Pick,
    ) -> Self {
        let mut compiler = Compiler { sites, candidates, spill, pick, sets: HashMap::new() };
        let plans: Vec<Plan> = orders.iter().map(|order| compiler.plan(order)).collect();
        let soles = plans.iter().map(Plan::sole).collect();
        let mut sets = vec![SmallVec::new(); compiler.sets.len()];
        for (set, at) in compiler.sets {
            sets[usize::try_from(at).unwrap_or_default()] = set;
        }
        Self { sets, plans, soles, pick }
    }
}

struct Compiler<'c> {
    sites: &'c [Site],
    candidates: &'c [Candidate],
    spill: f64,
    pick: Pick,
    sets: HashMap<SmallVec<[u16; 2]>, u32>,
}

/// A tier with the candidates that may be used, and how healthy it is.
struct Live {
    index: usize,
    members: Vec<(u16, f64)>,
    health: f64,
}

impl Compiler<'_> {
    fn plan(&mut self, order: &Ranked) -> Plan {
        let tiers: Vec<(usize, Vec<Candidate>)> =
            order.tiers.iter().enumerate().map(|(at, tier)| (at, self.of_tier(tier))).collect();
        let all = tiers.iter().flat_map(|(_, members)| members);
        let Some(standing) = all.map(Candidate::standing).min() else { return Plan::default() };
        let live: Vec<Live> = tiers
            .iter()
            .filter(|(_, members)| !members.is_empty())
            .map(|(index, members)| live(*index, members, standing))
            .collect();
        Plan { tiers: self.tiers(live), standing: Some(standing) }
    }

    fn of_tier(&self, tier: &[u16]) -> Vec<Candidate> {
        let find = |site: &u16| self.candidates.binary_search_by_key(site, |own| own.site).ok();
        tier.iter().filter_map(find).map(|at| self.candidates[at]).collect()
    }

    fn tiers(&mut self, live: Vec<Live>) -> SmallVec<[Tier; 1]> {
        let loads = loads(&live.iter().map(|tier| tier.health).collect::<Vec<_>>(), self.spill);
        let mut tiers: SmallVec<[Tier; 1]> = SmallVec::new();
        let mut until = 0.0;
        for (tier, share) in live.into_iter().zip(loads).filter(|(_, share)| *share > 0.0) {
            until += share;
            let members = self.members(&tier.members);
            tiers.push(Tier { index: tier.index, until, share, members });
        }
        if let Some(last) = tiers.last_mut() {
            last.until = 2.0; // nothing falls off the end for a rounding error
        }
        tiers
    }

    fn members(&mut self, members: &[(u16, f64)]) -> SmallVec<[Member; 1]> {
        if self.pick == Pick::All {
            let all = members.iter().map(|(site, _)| *site).collect();
            return SmallVec::from_elem(Member { set: self.set(all), weight: 1.0, seed: 0 }, 1);
        }
        let one = |(site, weight): &(u16, f64)| Member {
            set: self.set(SmallVec::from_elem(*site, 1)),
            weight: *weight,
            seed: self.sites.get(usize::from(*site)).map_or(0, |site| seed(&site.cluster.0)),
        };
        members.iter().map(one).collect()
    }

    fn set(&mut self, sites: SmallVec<[u16; 2]>) -> u32 {
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        *self.sets.entry(sites).or_insert(next)
    }
}

impl Candidate {
    fn standing(&self) -> Standing {
        // One without any health left is down, whatever else is said of it.
        if self.score == 0 { self.standing.max(Standing::Down) } else { self.standing }
    }
}

/// A tier's members of that standing with what each can take, and the health of the whole tier.
/// Only the healthy are told apart by their score: when the rest must do, they all count as whole.
fn live(index: usize, tier: &[Candidate], standing: Standing) -> Live {
    let score = |one: &Candidate| match (one.standing() == standing, standing) {
        (false, _) => 0.0,
        (true, Standing::Serving) => f64::from(one.score.min(1_000)) / 1_000.0,
        (true, Standing::Reluctant | Standing::Down) => 1.0,
    };
    let weighted = |one: &&Candidate| one.weight > 0;
    // Weight 0 waits until nothing with a weight is left in its tier.
    let positive = tier.iter().filter(weighted).any(|one| score(one) > 0.0);
    let taking: Vec<(u16, f64, f64)> = tier
        .iter()
        .filter(|one| !positive || one.weight > 0)
        .map(|one| (one.site, if positive { f64::from(one.weight) } else { 1.0 }, score(one)))
        .collect();
    let whole: f64 = taking.iter().map(|(_, weight, _)| weight).sum();
    let healthy: f64 = taking.iter().map(|(_, weight, score)| weight * score).sum();
    let able = taking.iter().filter(|(_, weight, score)| weight * score > 0.0);
    let members = able.map(|(site, weight, score)| (*site, weight * score)).collect();
    Live { index, members, health: if whole > 0.0 { healthy / whole } else { 0.0 } }
}

/// Envoy's priority levels: a share for each tier from its health, 0 to 1 both. They add up to 1
/// unless all tiers are at 0.
#[must_use]
pub(super) fn loads(health: &[f64], spill: f64) -> Vec<f64> {
    let capacity: Vec<f64> = health.iter().map(|health| (health * spill).min(1.0)).collect();
    let total = capacity.iter().sum::<f64>().min(1.0);
    let mut left = 1.0_f64;
    let load = |capacity: &f64| {
        let load = if total > 0.0 { (capacity / total).min(left) } else { 0.0 };
        left -= load;
        // What rounding leaves over is no share.
        if load > 1e-9 { load } else { 0.0 }
    };
    capacity.iter().map(load).collect()
}

/// FNV-1a, 64 bits, then mixed: the same on every machine and in every version.
pub(super) fn seed(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The finalizer of MurmurHash3 (Appleby, public domain): every bit in moves every bit out.
pub(super) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
