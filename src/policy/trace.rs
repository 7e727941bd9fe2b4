//! A decision in words: where the client is, what was left out, how far each cluster is, how
//! healthy, and what each gets of clients like this one.

use super::{
    rank::{Because, Ranked},
    steering::{Decision, Steering, Subject, Variant},
    table::{Plan, Standing},
};
use crate::model::{ClusterName, Location};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One family's decision for one client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What decided the order, in a sentence.
    pub order: String,
    /// Clusters that these clients may not be sent to.
    pub fenced: Vec<ClusterName>,
    /// All tiers in order, those without clients too.
    pub tiers: Vec<TraceTier>,
    /// The clusters whose addresses are answered; none when the fence leaves nothing.
    pub chosen: Vec<ClusterName>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// In seconds.
    pub ttl: u32,
    /// Leading bits of the client's network that the answer holds for.
    pub scope: u8,
    /// Set when nothing that is known to work was left.
    pub fail_open: bool,
    /// The decision, a sentence for each step.
    pub because: Vec<String>,
}

/// Clusters that stand in for each other.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceTier {
    /// Its part of the clients with this order, 0 to 1.
    pub share: f64,
    /// Its clusters.
    pub clusters: Vec<TraceCluster>,
}

/// One cluster for this client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceCluster {
    /// Which.
    pub cluster: ClusterName,
    /// From the client, where the order goes by distance.
    pub distance_km: Option<f64>,
    /// Its part of the clients with this order, 0 to 1.
    pub share: f64,
    /// Beside others.
    pub weight: u32,
    /// How much of it is healthy and warmed up, 0 to 1.
    pub score: f64,
    /// Whether it may be used, in a word.
    pub standing: String,
    /// And why.
    pub reason: String,
}

impl Steering {
    /// Tells a decision; `location` is the client's.
    #[must_use]
    pub fn trace(
        &self,
        v6: bool,
        decision: &Decision,
        client: Option<IpAddr>,
        location: &Location,
    ) -> Trace {
        let own = client.map(|address| self.shape.rank_at(address, location));
        let compiled = self.shape.order_of(decision.matched.class);
        // The compiled order counts; what was ranked again only adds the distances.
        let same = |own: &Ranked| compiled.is_some_and(|order| order.tiers == own.tiers);
        let ranked = own.filter(same).or_else(|| compiled.cloned());
        let ranked =
            ranked.unwrap_or_else(|| self.shape.rank_at(IpAddr::from([0, 0, 0, 0]), location));
        let plan = self.plan(v6, decision.matched.class).cloned().unwrap_or_default();
        let chosen = self.chosen(v6, decision);
        Trace {
            order: sentence(&ranked.because),
            fenced: ranked.fenced.iter().filter_map(|site| self.cluster(*site)).collect(),
            tiers: self.tiers(v6, &ranked, &plan),
            because: self.because(v6, &ranked, &plan, decision, &chosen),
            addresses: self.addresses(v6, decision),
            chosen,
            ttl: decision.ttl.as_secs(),
            scope: decision.scope,
            fail_open: decision.standing == Some(Standing::Down),
        }
    }

    /// What each cluster gets of clients with that order, 0 to 1, in order of sites.
    #[must_use]
    pub fn shares(&self, v6: bool, plan: &Plan) -> Vec<(ClusterName, f64)> {
        let mut shares: Vec<(ClusterName, f64)> = self
            .subjects
            .iter()
            .filter_map(|one| Some((self.cluster(one.candidate.site)?, 0.0)))
            .collect();
        for tier in &plan.tiers {
            let whole: f64 = tier.members.iter().map(|member| member.weight).sum();
            for member in tier.members.iter().filter(|_| whole > 0.0) {
                let part = tier.share * member.weight / whole;
                let sites = self.set(v6, member.set);
                for site in sites {
                    let name = self.cluster(*site);
                    let own = shares.iter_mut().find(|(cluster, _)| Some(cluster) == name.as_ref());
                    own.into_iter().for_each(|(_, share)| *share += part);
                }
            }
        }
        shares
    }

    /// The addresses of a decision.
    #[must_use]
    pub fn addresses(&self, v6: bool, decision: &Decision) -> Vec<IpAddr> {
        let variants = self.variants(v6).unwrap_or_default();
        let chosen =
            decision.variant.and_then(|set| variants.get(usize::try_from(set).ok()?).cloned());
        match chosen.or_else(|| self.outside(v6)) {
            Some(Variant::Addresses(all)) => all,
            Some(Variant::Alias(_)) | None => Vec::new(),
        }
    }

    fn chosen(&self, v6: bool, decision: &Decision) -> Vec<ClusterName> {
        let sites = decision.variant.map_or(&[][..], |set| self.set(v6, set));
        sites.iter().filter_map(|site| self.cluster(*site)).collect()
    }

    fn set(&self, v6: bool, set: u32) -> &[u16] {
        let sets = self.table(v6).map_or(&[][..], |table| table.sets.as_slice());
        usize::try_from(set).ok().and_then(|set| sets.get(set)).map_or(&[], |set| set.as_slice())
    }

    fn cluster(&self, site: u16) -> Option<ClusterName> {
        Some(self.shape.sites.get(usize::from(site))?.cluster.clone())
    }

    fn tiers(&self, v6: bool, ranked: &Ranked, plan: &Plan) -> Vec<TraceTier> {
        let shares = self.shares(v6, plan);
        let cluster = |site: &u16| {
            let subject = self.subjects.iter().find(|one| one.candidate.site == *site)?;
            let name = self.cluster(*site)?;
            let share =
                shares.iter().find(|(own, _)| *own == name).map_or(0.0, |(_, share)| *share);
            let distance = ranked.distances.get(usize::from(*site)).copied().flatten();
            Some(traced(name, subject, share, distance))
        };
        let tier = |(index, sites): (usize, &Vec<u16>)| TraceTier {
            share: plan
                .tiers
                .iter()
                .find(|tier| tier.index == index)
                .map_or(0.0, |tier| tier.share),
            clusters: sites.iter().filter_map(cluster).collect(),
        };
        let tiers = ranked.tiers.iter().enumerate().map(tier);
        tiers.filter(|tier| !tier.clusters.is_empty()).collect()
    }

    fn because(
        &self,
        v6: bool,
        ranked: &Ranked,
        plan: &Plan,
        decision: &Decision,
        chosen: &[ClusterName],
    ) -> Vec<String> {
        let mut all = vec![sentence(&ranked.because)];
        if !ranked.fenced.is_empty() {
            let names: Vec<_> =
                ranked.fenced.iter().filter_map(|site| self.cluster(*site)).collect();
            all.push(format!("the fence keeps these clients from {}", list(&names)));
        }
        match plan.standing {
            None => all.push("the fence leaves no cluster for these clients".to_owned()),
            Some(Standing::Serving) => {}
            Some(Standing::Reluctant) => {
                all.push("no healthy cluster is left, so drained or stale ones serve".to_owned());
            }
            Some(Standing::Down) => all.push(
                "every cluster is down: all are answered as if they were up (fail open)".to_owned(),
            ),
        }
        if plan.tiers.len() > 1 {
            let shares = plan.tiers.iter().map(|tier| format!("{:.0} %", tier.share * 100.0));
            let shares: Vec<_> = shares.collect();
            let point = decision.point;
            all.push(format!(
                "tiers share clients {}; this one's point is {point:.3}",
                shares.join(" / ")
            ));
        }
        if let Some(tier) = plan.tiers.iter().find(|tier| Some(tier.index) == decision.tier)
            && tier.members.len() > 1
        {
            let one = tier.members.len();
            all.push(format!("one of the tier's {one} clusters is drawn by weight"));
        }
        if !chosen.is_empty() {
            all.push(format!("{} answered with {}", list(chosen), self.counted(v6, decision)));
        }
        all
    }

    fn counted(&self, v6: bool, decision: &Decision) -> String {
        let count = self.addresses(v6, decision).len();
        format!("{count} address{}", if count == 1 { "" } else { "es" })
    }
}

fn traced(
    name: ClusterName,
    subject: &Subject,
    share: f64,
    distance_km: Option<f64>,
) -> TraceCluster {
    TraceCluster {
        cluster: name,
        distance_km,
        share,
        weight: subject.candidate.weight,
        score: f64::from(subject.candidate.score) / 1_000.0,
        standing: match subject.candidate.standing {
            Standing::Serving => "healthy",
            Standing::Reluctant => "reluctant",
            Standing::Down => "down",
        }
        .to_owned(),
        reason: subject.reason.to_string(),
    }
}

fn sentence(because: &Because) -> String {
    match because {
        Because::AllEqual => "no order is asked for, so all clusters are equal".to_owned(),
        Because::Failover => "the failover list orders the clusters".to_owned(),
        Because::GeoRow(row) => format!("row {} of the geo map fits this place", row + 1),
        Because::GeoDefault => {
            "no row of the geo map fits this place, so its default does".to_owned()
        }
        Because::Proximity => "the nearest cluster comes first".to_owned(),
        Because::UnknownPlace => {
            "the client's place is not known, so the default order stands".to_owned()
        }
    }
}

fn list(names: &[ClusterName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
