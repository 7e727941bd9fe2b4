//! A policy compiled against today's health, and the decision for one client from it: the function
//! that the server, `explain` and the drill all call.

use super::{
    intent::{Family, Fenced, Pick, STICKY_V4, STICKY_V6, Steer, sticky_key},
    shape::Shape,
    table::{Candidate, Member, Plan, Standing, Table, Tier, mix, seed},
};
use crate::{
    geo::{Class, Match},
    model::{Address, Client, ServiceKey, Ttl},
};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

/// One cluster that offers a service, with what it offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Its share, score and standing.
    pub candidate: Candidate,
    /// Its addresses, healthy ones first.
    pub addresses: Vec<IpAddr>,
    /// The soonest that its health could turn; `None` when nothing can turn it.
    pub flips_in: Option<Duration>,
    /// Its standing in words.
    pub reason: Arc<str>,
}

/// The policy of one service, compiled.
#[derive(Clone, Debug)]
pub struct Steering {
    /// The TrafficPolicy that it comes from.
    pub policy: ServiceKey,
    /// What that wants.
    pub steer: Arc<Steer>,
    /// Whom it ranks how.
    pub shape: Arc<Shape>,
    /// The clusters, in order of sites.
    pub subjects: Vec<Subject>,
    ttls: Ttls,
    /// Whole seconds until the soonest of them could turn.
    flips_in: u32,
    seed: u64,
    /// IPv4, IPv6; `None` where the family is left out for all clients.
    families: [Option<Published>; 2],
    outside: Option<Variant>,
}

/// The TTLs that a service's answers get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ttls {
    /// As configured.
    pub configured: Ttl,
    /// Never less than this, and no more than this when all is down.
    pub least: Ttl,
}

/// One family of a service.
#[derive(Clone, Debug)]
struct Published {
    table: Arc<Table>,
    /// By the table's sets.
    variants: Vec<Variant>,
}

/// Something to answer with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Variant {
    /// Addresses of one family, at most the limit; none is NODATA.
    Addresses(Vec<IpAddr>),
    /// An alias, for clients that the fence keeps out.
    Alias(crate::model::Name),
}

/// What one client gets, with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The client's order, and how many bits of its address that took.
    pub matched: Match,
    /// Which of the order's tiers; `None` when the fence leaves nothing.
    pub tier: Option<usize>,
    /// Which of [`Steering::variants`]; `None` for [`Steering::outside`].
    pub variant: Option<u32>,
    /// Where the client's point fell, 0 to 1, when tiers share their clients.
    pub point: f64,
    /// The worst that had to be used.
    pub standing: Option<Standing>,
    /// For this answer.
    pub ttl: Ttl,
    /// Leading bits of the client's subnet that it holds for; 0 without a subnet.
    pub scope: u8,
}

/// What is settled for all clients of one order alike, in one family of a service: [`Steering::decide`]
/// for them, of which little memory is touched.
#[derive(Clone, Debug)]
pub struct Settled {
    shape: Arc<Shape>,
    table: Arc<Table>,
    /// For these answers.
    pub ttl: Ttl,
}

impl Settled {
    /// Which of [`Steering::variants`] a client gets, and how many leading bits of its subnet that
    /// holds for; `None` where its own draw decides, or something must do that is not healthy.
    #[must_use]
    pub fn decide(&self, client: &Client) -> Option<(u32, u8)> {
        let place = client.place();
        let matched = find(&self.shape, place);
        let set = (*self.table.soles.get(usize::try_from(matched.class.0).ok()?)?)?;
        let is_subnet = place.is_some_and(|(_, is_subnet)| is_subnet);
        Some((set, if is_subnet { matched.depth } else { 0 }))
    }
}

impl Steering {
    /// Compiles a service; `tables` makes a table or finds one that is the same.
    #[must_use]
    pub fn compile(
        policy: ServiceKey,
        steer: Arc<Steer>,
        shape: Arc<Shape>,
        subjects: Vec<Subject>,
        ttls: Ttls,
        tables: impl FnMut(&Arc<Shape>, &[Candidate], &Steer) -> Arc<Table>,
    ) -> Self {
        let seed = seed(&policy.namespace) ^ seed(&policy.name).rotate_left(1);
        let outside = match &steer.fence.outside {
            Fenced::NoData => None,
            Fenced::Target(Address::Ip(ip)) => Some(Variant::Addresses(vec![*ip])),
            Fenced::Target(Address::Host(name)) => Some(Variant::Alias(name.clone())),
        };
        let (families, flips_in) = ([None, None], u32::MAX);
        let mut new =
            Self { policy, steer, shape, subjects, ttls, flips_in, seed, families, outside };
        new.publish(tables);
        new
    }

    /// The same service with other candidates: what a drill asks.
    #[must_use]
    pub fn with(&self, change: impl Fn(&mut Subject)) -> Self {
        let mut new = self.clone();
        new.subjects.iter_mut().for_each(change);
        new.publish(|shape, candidates, steer| Arc::new(table(shape, candidates, steer)));
        new
    }

    /// The TTL of its records; no decision answers with more.
    #[must_use]
    pub fn configured_ttl(&self) -> Ttl {
        self.ttls.configured
    }

    /// What can be answered with, by [`Decision::variant`]; `None` where the family is left out.
    #[must_use]
    pub fn variants(&self, v6: bool) -> Option<&[Variant]> {
        Some(&self.families[usize::from(v6)].as_ref()?.variants)
    }

    /// What clients get that may be sent nowhere, in that family; `None` for no data.
    #[must_use]
    pub fn outside(&self, v6: bool) -> Option<Variant> {
        match self.outside.as_ref()? {
            Variant::Addresses(all) => {
                let own = all.iter().filter(|ip| ip.is_ipv6() == v6).copied().collect();
                Some(Variant::Addresses(own))
            }
            alias @ Variant::Alias(_) => Some(alias.clone()),
        }
    }

    /// Whether that family is answered to nobody although some clusters have it.
    #[must_use]
    pub fn leaves_out(&self, v6: bool) -> bool {
        self.families[usize::from(v6)].is_none() && self.subjects.iter().any(|one| has(one, v6))
    }

    /// The shares of that family; `None` where it is left out.
    #[must_use]
    pub fn table(&self, v6: bool) -> Option<&Arc<Table>> {
        Some(&self.families[usize::from(v6)].as_ref()?.table)
    }

    /// The shares of clients with that order.
    #[must_use]
    pub fn plan(&self, v6: bool, class: Class) -> Option<&Plan> {
        self.table(v6)?.plans.get(usize::try_from(class.0).ok()?)
    }

    /// Decides what a client gets in one family; `None` where the family is left out for all.
    #[must_use]
    pub fn decide(&self, v6: bool, client: &Client) -> Option<Decision> {
        let table = self.table(v6)?;
        let place = client.place();
        let matched = find(&self.shape, place);
        let plan = table.plans.get(usize::try_from(matched.class.0).ok()?)?;
        let key = match (table.pick, place) {
            (Pick::Random, _) | (_, None) => client.draw,
            (Pick::Sticky | Pick::All, Some((address, _))) => sticky_key(address),
        };
        let point = unit(mix(self.seed ^ mix(key) ^ TIER));
        let tier = plan.tiers.iter().find(|tier| point < tier.until);
        let member = tier.and_then(|tier| pick(tier, self.seed ^ mix(key)));
        Some(Decision {
            matched,
            tier: tier.map(|tier| tier.index),
            variant: member.map(|member| member.set),
            point,
            standing: plan.standing,
            ttl: self.ttl_for(plan.standing),
            scope: scope(table.pick, plan, matched, place),
        })
    }

    /// What is settled ahead of clients; `None` where the family is left out for all.
    #[must_use]
    pub fn settled(&self, v6: bool) -> Option<Settled> {
        let table = self.table(v6)?.clone();
        let ttl = self.ttl_for(Some(Standing::Serving));
        Some(Settled { shape: self.shape.clone(), table, ttl })
    }

    /// What is answered where nobody in particular asks: the first tier of clients whose place is
    /// not known, whole.
    #[must_use]
    pub fn neutral(&self, v6: bool) -> Vec<IpAddr> {
        let Some(published) = &self.families[usize::from(v6)] else { return Vec::new() };
        let plan = self.plan(v6, self.shape.unknown());
        let first = plan.and_then(|plan| plan.tiers.first());
        let sets = first.into_iter().flat_map(|tier| &tier.members).map(|member| member.set);
        let variants = sets.filter_map(|set| published.variants.get(usize::try_from(set).ok()?));
        let addresses = variants.flat_map(|variant| match variant {
            Variant::Addresses(all) => all.as_slice(),
            Variant::Alias(_) => &[],
        });
        let mut seen = BTreeSet::new();
        addresses.copied().filter(|ip| seen.insert(*ip)).take(self.steer.limit).collect()
    }

    /// Configured, but no longer than until a cluster's health could turn, and the least when
    /// something had to be used that is not known to work.
    fn ttl_for(&self, standing: Option<Standing>) -> Ttl {
        let Ttls { configured, least } = self.ttls;
        let healthy = matches!(standing, Some(Standing::Serving));
        let seconds = if healthy { self.flips_in } else { least.as_secs() };
        let least = least.as_secs().min(configured.as_secs());
        Ttl::from_secs(seconds.clamp(least, configured.as_secs().max(least)))
    }

    fn publish(&mut self, mut tables: impl FnMut(&Arc<Shape>, &[Candidate], &Steer) -> Arc<Table>) {
        let soonest = self.subjects.iter().filter_map(|subject| subject.flips_in).min();
        let whole = |cap: Duration| u32::try_from(cap.as_secs()).unwrap_or(u32::MAX);
        self.flips_in = soonest.map_or(u32::MAX, whole);
        let families = [false, true].map(|v6| {
            self.is_published(v6).then(|| {
                let own = self.subjects.iter().filter(|one| has(one, v6)).map(|one| one.candidate);
                let table = tables(&self.shape, &own.collect::<Vec<_>>(), &self.steer);
                let variants = self.variants_of(&table, v6);
                Published { table, variants }
            })
        });
        self.families = families;
    }

    /// Whether that family is answered at all, to anyone: existence must not depend on the client.
    fn is_published(&self, v6: bool) -> bool {
        let all = |v6| {
            let mut subjects = self.subjects.iter().filter(|one| !one.addresses.is_empty());
            subjects.all(|one| has(one, v6))
        };
        let any = self.subjects.iter().any(|one| has(one, v6));
        match self.steer.family {
            Family::Independent => any,
            Family::Uniform => any && (all(v6) || !all(!v6)),
        }
    }

    fn variants_of(&self, table: &Table, v6: bool) -> Vec<Variant> {
        let of = |site: &u16| self.subjects.iter().find(|one| one.candidate.site == *site);
        let variant = |sites: &smallvec::SmallVec<[u16; 2]>| {
            let all = sites.iter().filter_map(of).flat_map(|one| &one.addresses);
            let own = all.filter(|ip| ip.is_ipv6() == v6).copied();
            let mut seen = BTreeSet::new();
            Variant::Addresses(own.filter(|ip| seen.insert(*ip)).take(self.steer.limit).collect())
        };
        table.sets.iter().map(variant).collect()
    }
}

/// Equal when every client gets the same answer.
impl PartialEq for Steering {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Option<Published>, other: &Option<Published>| match (one, other) {
            (Some(one), Some(other)) => {
                (Arc::ptr_eq(&one.table, &other.table) || one.table == other.table)
                    && one.variants == other.variants
            }
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(&self.shape, &other.shape)
            && self.seed == other.seed
            && self.ttls == other.ttls
            && self.outside == other.outside
            && self.subjects == other.subjects
            && same(&self.families[0], &other.families[0])
            && same(&self.families[1], &other.families[1])
    }
}

/// The order of a client at that place.
fn find(shape: &Shape, place: Option<(IpAddr, bool)>) -> Match {
    let unknown = Match { class: shape.unknown(), depth: 0 };
    place.map_or(unknown, |(address, _)| shape.find(address))
}

/// The table of these candidates under that policy.
#[must_use]
pub(super) fn table(shape: &Shape, candidates: &[Candidate], steer: &Steer) -> Table {
    Table::compile(&shape.orders, &shape.sites, candidates, steer.spill, steer.pick)
}

fn has(subject: &Subject, v6: bool) -> bool {
    subject.addresses.iter().any(|ip| ip.is_ipv6() == v6)
}

/// Weighted rendezvous (Mosharaf and others call it highest random weight): each member draws
/// −weight ÷ ln(u) from its own hash with the client's key, and the highest serves. When a member
/// leaves, only its own clients move.
fn pick(tier: &Tier, key: u64) -> Option<&Member> {
    if let [only] = tier.members.as_slice() {
        return Some(only);
    }
    let drawn = |member: &Member| -member.weight / libm::log(unit(mix(key ^ member.seed)));
    let best = tier.members.iter().map(|member| (drawn(member), member));
    best.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, member)| member)
}

/// How many bits of the subnet the answer depends on (RFC 7871 §7.2.1): those of its order, and
/// those of the sticky choice where there is one to make.
fn scope(pick: Pick, plan: &Plan, matched: Match, place: Option<(IpAddr, bool)>) -> u8 {
    let Some((address, true)) = place else { return 0 };
    let fenced_off = plan.tiers.is_empty();
    let sticky = match (pick, address) {
        (Pick::Random, _) => 0,
        _ if fenced_off || !plan.is_split() => 0,
        (_, IpAddr::V4(_)) => STICKY_V4,
        (_, IpAddr::V6(_)) => STICKY_V6,
    };
    matched.depth.max(sticky)
}

/// From 0 to 1, without both ends, so that its logarithm is finite and not 0.
#[allow(clippy::cast_precision_loss)] // 53 bits fit exactly
fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Keeps the draw of the tier apart from those of its members.
const TIER: u64 = 0x9e37_79b9_7f4a_7c15;
