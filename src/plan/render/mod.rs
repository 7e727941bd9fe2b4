//! A federation's wishes in a provider's words, and the list of what those words cannot say.

mod checks;
mod cloud_checks;
mod cloud_dns;
mod native;
mod profile;
mod route53;
mod switches;
mod traffic_manager;

pub use cloud_dns::policy_text;

use super::{Capabilities, Checking, Desired, RecordSet, Routing, Sight, Wanted};
use crate::{
    model::{ClusterName, Key, Name, Ttl},
    policy::{Fence, Steering},
    records::{RecordType, Rrset},
};
use cloud_checks::Checks;
pub use profile::{Profile, ProfileEndpoint, ProfileTarget};

use native::Route;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use traffic_manager::Said;

/// A zone in a provider's words.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Every name that is wanted.
    pub names: BTreeMap<Key, Say>,
    /// The switches of clusters, where the provider has such.
    pub switches: Switches,
    /// What could not be said, or not exactly.
    pub degraded: Vec<Degraded>,
    /// How far absence can be believed.
    pub sight: Sight,
}

/// See [`Rendered::switches`].
#[derive(Clone, Debug, Default)]
pub struct Switches {
    /// Clusters that sets name a switch of.
    pub named: BTreeSet<ClusterName>,
    /// Clusters whose switch is to be off, if there is one.
    pub away: BTreeSet<ClusterName>,
}

/// One name.
#[derive(Clone, Debug)]
pub struct Say {
    /// What it comes from.
    pub object: Arc<str>,
    /// The clusters that offer it.
    pub clusters: Arc<std::collections::BTreeSet<crate::model::ClusterName>>,
    /// Its sets; `None` where the provider cannot say it at all: what stands there stays.
    pub sets: Option<Vec<RecordSet>>,
    /// What is written where the health checks that its sets name cannot be had; `None` where it
    /// waits for them, or names none.
    pub unchecked: Option<Vec<RecordSet>>,
}

/// Something that a provider's words do not say as it was meant.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Degraded {
    /// The name.
    pub name: Name,
    /// Which part of what was wanted, such as `order.geo` or `ttl`.
    pub clause: &'static str,
    /// How near it comes.
    pub fidelity: Fidelity,
    /// What is written in its place.
    pub text: String,
}

/// How near a provider's words come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fidelity {
    /// Nearly.
    Approximate,
    /// Not at all.
    Unsupported,
}

/// Says a zone in a provider's words.
#[must_use]
pub fn render(desired: &Desired, can: &Capabilities) -> Rendered {
    let mut rendering =
        Rendering { can, zone: &desired.zone, notes: Notes::default(), switched: BTreeSet::new() };
    let mut names = BTreeMap::new();
    for (key, wanted) in &desired.names {
        let name = key.to_name();
        let sets = rendering.name(&name, wanted);
        let unchecked = rendering.unchecked(&name, wanted, sets.as_deref());
        let (object, clusters) = (wanted.object.clone(), wanted.clusters.clone());
        names.insert(key.clone(), Say { object, clusters, sets, unchecked });
    }
    let named = std::mem::take(&mut rendering.switched);
    let switches = Switches { named, away: desired.away.clone() };
    let degraded = rendering.notes.finish();
    Rendered { names, switches, degraded, sight: desired.sight.clone() }
}

struct Rendering<'r> {
    can: &'r Capabilities,
    zone: &'r Name,
    notes: Notes,
    switched: BTreeSet<ClusterName>,
}

/// What could not be said, as it is found.
#[derive(Default)]
struct Notes(Vec<Degraded>);

impl Notes {
    fn note(&mut self, name: &Name, clause: &'static str, fidelity: Fidelity, text: String) {
        self.0.push(Degraded { name: name.clone(), clause, fidelity, text });
    }

    /// Each once.
    fn finish(mut self) -> Vec<Degraded> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

impl Rendering<'_> {
    fn name(&mut self, name: &Name, wanted: &Wanted) -> Option<Vec<RecordSet>> {
        if let Some(reason) = self.refusal(name, wanted) {
            self.note(name, "name", Fidelity::Unsupported, reason);
            return None;
        }
        let routed = match wanted.node.steering() {
            Some(steered) => match self.routed(name, wanted, steered.steering()) {
                Ok(sets) => sets,
                Err(reason) => {
                    self.notes.note(name, "fence", Fidelity::Unsupported, reason);
                    return None;
                }
            },
            None => None,
        };
        let steered = routed.is_some();
        let plain = wanted.node.iter().filter(|rrset| !steered || !is_address(rrset.rtype));
        let mut sets = Vec::new();
        for rrset in plain {
            match self.multivalue(name, wanted, rrset) {
                Some(own) => sets.extend(own),
                None => sets.extend(self.rrset(name, rrset)),
            }
        }
        sets.extend(routed.into_iter().flatten());
        // From a set that is switched off, clients go on to the next larger place: maybe out of
        // their fence.
        let fence = wanted.node.steering().map(|own| &own.steering().steer.fence);
        let open = fence.is_none_or(Fence::is_empty);
        if self.can.checks == Checking::Clusters && open {
            self.switched.extend(switches::put(wanted, &mut sets));
        }
        // A name of which nothing can be said is kept, not emptied.
        (!sets.is_empty()).then_some(sets)
    }

    /// What a name holds where its checks cannot be had: the same without them.
    fn unchecked(
        &self,
        name: &Name,
        wanted: &Wanted,
        sets: Option<&[RecordSet]>,
    ) -> Option<Vec<RecordSet>> {
        self.signed()?;
        sets?.iter().any(|set| set.more.contains_key("check")).then_some(())?;
        let can = Capabilities { checks: Checking::None, ..self.can.clone() };
        let (notes, switched) = (Notes::default(), BTreeSet::new());
        Rendering { can: &can, zone: self.zone, notes, switched }.name(name, wanted)
    }

    /// Where policies' addresses are checked: whether the zone is signed.
    fn signed(&self) -> Option<bool> {
        match self.can.checks {
            Checking::Policies { signed } => Some(signed),
            Checking::None | Checking::Endpoints | Checking::Clusters => None,
        }
    }

    /// The addresses of a steered name in the provider's own routing; `None` where it has none.
    fn routed(
        &mut self,
        name: &Name,
        wanted: &Wanted,
        steering: &Steering,
    ) -> Result<Option<Vec<RecordSet>>, String> {
        if self.can.routing == Routing::None {
            if self.tells_apart(name, steering) {
                let text = "all clients get the records of those whose place is not known, since \
                            clients are not told apart there";
                self.note(name, "order", Fidelity::Unsupported, text.to_owned());
            }
            return Ok(None);
        }
        let ttl = wanted.node.iter().find(|rrset| is_address(rrset.rtype)).map(|rrset| rrset.ttl);
        let ttl = ttl.unwrap_or(Ttl::WRITTEN);
        let mut sets = Vec::new();
        for v6 in [false, true] {
            if let Some(own) = self.failover(name, ttl, v6, steering, wanted) {
                sets.extend(own);
                continue;
            }
            let Some(route) = native::route(name, steering, v6, &mut self.notes) else { continue };
            let route = route?;
            if matches!(route, Route::Shares(_)) && !steering.is_random() {
                native::note_draws(name, &mut self.notes);
            }
            match self.can.routing {
                Routing::Route53 => {
                    sets.extend(route53::sets(name, ttl, v6, &route, &mut self.notes));
                }
                Routing::TrafficManager => {
                    if !steering.is_random() {
                        traffic_manager::note_shares(name, &route, &mut self.notes);
                    }
                    sets.extend(self.profiles(name, ttl, v6, &route, wanted));
                }
                _ => {
                    let mut set = cloud_dns::set(name, ttl, v6, &route, steering, &mut self.notes);
                    if let Some((own, signed)) = set.as_mut().zip(self.signed()) {
                        Checks { name, wanted, signed }.put(steering, own, &mut self.notes);
                    }
                    sets.extend(set);
                }
            }
        }
        if self.can.checks == Checking::Endpoints {
            checks::put(name, wanted, steering, &mut sets, &mut self.notes);
        }
        Ok(Some(sets))
    }

    /// A failover list as a pair, where the provider checks the first of it.
    fn failover(
        &mut self,
        name: &Name,
        ttl: Ttl,
        v6: bool,
        steering: &Steering,
        wanted: &Wanted,
    ) -> Option<Vec<RecordSet>> {
        if let Some(signed) = self.signed() {
            let own = Checks { name, wanted, signed };
            return Some(vec![own.failover(ttl, v6, steering, &mut self.notes)?]);
        }
        let pair = native::failover(steering, v6)?;
        let sets = route53::failover(name, ttl, v6, &pair);
        let checked = match self.can.checks {
            Checking::None | Checking::Policies { .. } => false,
            Checking::Endpoints => checks::can_check_all(sets.get(..1)?, wanted),
            Checking::Clusters => true,
        };
        checked.then_some(sets)
    }

    /// Addresses that all clients get, as a set each, where the provider checks them.
    fn multivalue(
        &mut self,
        name: &Name,
        wanted: &Wanted,
        rrset: &Rrset,
    ) -> Option<Vec<RecordSet>> {
        let few = (2..=route53::MOST).contains(&rrset.len());
        if self.can.checks == Checking::None || !is_address(rrset.rtype) || !few {
            return None;
        }
        if let Some(signed) = self.signed() {
            let own = Checks { name, wanted, signed };
            let plain = RecordSet::of(name, rrset);
            let ips: Vec<_> = checks::addresses(&plain).collect();
            let v6 = rrset.rtype == RecordType::AAAA;
            return Some(vec![own.shared(v6, rrset.ttl, &ips, &mut self.notes)?]);
        }
        let mut sets = route53::multivalue(name, rrset);
        let checked = match self.can.checks {
            Checking::Endpoints => checks::can_check_all(&sets, wanted),
            // Addresses of one cluster alone come and go together as they are.
            _ => switches::are_of_several(wanted, &sets),
        };
        if !checked {
            return None;
        }
        if sets.len() > MULTIVALUE {
            let text = format!("{MULTIVALUE} of {} addresses are answered, drawn anew", sets.len());
            self.note(name, "limit", Fidelity::Approximate, text);
        }
        if self.can.checks == Checking::Endpoints {
            checks::put_each(name, wanted, &mut sets, &mut self.notes);
        }
        Some(sets)
    }

    /// One family of a steered name as an alias of profiles, or plain where that says it all.
    fn profiles(
        &mut self,
        name: &Name,
        ttl: Ttl,
        v6: bool,
        route: &Route,
        wanted: &Wanted,
    ) -> Option<RecordSet> {
        let rtype = if v6 { RecordType::AAAA } else { RecordType::A };
        let plain = match traffic_manager::set(name, ttl, v6, route, &mut self.notes) {
            Said::Routed(set) => return Some(set),
            Said::Plain(ips) if v6 => Rrset::aaaa(ttl, ips),
            Said::Plain(ips) => Rrset::a(ttl, ips),
            Said::Neutral => wanted.node.get(rtype).cloned(),
        };
        self.rrset(name, &plain?)
    }

    /// Whether some clients are answered otherwise than others.
    fn tells_apart(&self, name: &Name, steering: &Steering) -> bool {
        let route = |v6| native::route(name, steering, v6, &mut Notes::default());
        let routes = [route(false), route(true)];
        !routes.iter().flatten().all(|route| matches!(route, Ok(Route::Same(_))))
    }

    /// Why a name cannot be written at all.
    fn refusal(&self, name: &Name, wanted: &Wanted) -> Option<String> {
        let alias = wanted.node.get(RecordType::CNAME)?;
        let said = self.alias(name, alias).is_some();
        (!said && name == self.zone).then(|| {
            "the apex of a zone cannot be a CNAME (RFC 1034 §3.6.2), and the load balancer has no \
             address; what stands there stays"
                .to_owned()
        })
    }

    /// A CNAME as the provider's alias, where it has one for that target.
    fn alias(&self, name: &Name, rrset: &Rrset) -> Option<RecordSet> {
        let is_alias = rrset.rtype == RecordType::CNAME && self.can.routing == Routing::Route53;
        let target = rrset.rdata().next().filter(|_| is_alias)?;
        route53::alias(name, &Name::from_wire(target).ok()?)
    }

    fn rrset(&mut self, name: &Name, rrset: &Rrset) -> Option<RecordSet> {
        if let Some(alias) = self.alias(name, rrset) {
            return Some(alias);
        }
        if !self.can.takes(rrset.rtype) {
            let text = format!("{} takes no records of type {}", self.can.name, rrset.rtype);
            self.note(name, "type", Fidelity::Unsupported, text);
            return None;
        }
        let mut set = RecordSet::of(name, rrset);
        if set.data.len() > self.can.values {
            let (all, most) = (set.data.len(), self.can.values);
            let text = format!("{all} values, of which {} takes {most} in a set", self.can.name);
            self.note(name, "limit", Fidelity::Approximate, text);
            set.data.truncate(most);
        }
        if rrset.ttl.as_secs() < self.can.least_ttl {
            let least = self.can.least_ttl;
            let text =
                format!("{} s, of which {} takes {least} s at least", rrset.ttl, self.can.name);
            self.note(name, "ttl", Fidelity::Approximate, text);
            set.ttl = Some(Ttl::from_secs(least));
        }
        Some(set)
    }

    fn note(&mut self, name: &Name, clause: &'static str, fidelity: Fidelity, text: String) {
        self.notes.note(name, clause, fidelity, text);
    }
}

/// Answers that Route 53 gives of a multivalue name.
const MULTIVALUE: usize = 8;

fn is_address(rtype: RecordType) -> bool {
    [RecordType::A, RecordType::AAAA].contains(&rtype)
}
