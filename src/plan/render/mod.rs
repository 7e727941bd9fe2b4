//! A federation's wishes in a provider's words, and the list of what those words cannot say.

use super::{Capabilities, Desired, RecordSet, Resource, ResourceKey, Sight, Wanted};
use crate::{
    model::{Key, Name, Ttl},
    records::{RecordType, Rrset},
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// A zone in a provider's words.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Every name that is wanted.
    pub names: BTreeMap<Key, Say>,
    /// What is wanted beside the zone.
    pub resources: BTreeMap<ResourceKey, Resource>,
    /// What could not be said, or not exactly.
    pub degraded: Vec<Degraded>,
    /// How far absence can be believed.
    pub sight: Sight,
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
    let mut rendering = Rendering { can, zone: &desired.zone, degraded: Vec::new() };
    let mut names = BTreeMap::new();
    for (key, wanted) in &desired.names {
        let name = key.to_name();
        let sets = rendering.name(&name, wanted);
        let (object, clusters) = (wanted.object.clone(), wanted.clusters.clone());
        names.insert(key.clone(), Say { object, clusters, sets });
    }
    let Rendering { degraded, .. } = rendering;
    Rendered { names, resources: BTreeMap::new(), degraded, sight: desired.sight.clone() }
}

struct Rendering<'r> {
    can: &'r Capabilities,
    zone: &'r Name,
    degraded: Vec<Degraded>,
}

impl Rendering<'_> {
    fn name(&mut self, name: &Name, wanted: &Wanted) -> Option<Vec<RecordSet>> {
        if let Some(reason) = self.refusal(name, wanted) {
            self.note(name, "name", Fidelity::Unsupported, reason);
            return None;
        }
        if wanted.node.steering().is_some() {
            let text = "all clients get the records of those whose place is not known, since \
                        this provider does not tell clients apart";
            self.note(name, "order", Fidelity::Unsupported, text.to_owned());
        }
        let sets: Vec<_> = wanted.node.iter().filter_map(|rrset| self.rrset(name, rrset)).collect();
        // A name of which nothing can be said is kept, not emptied.
        (!sets.is_empty()).then_some(sets)
    }

    /// Why a name cannot be written at all.
    fn refusal(&self, name: &Name, wanted: &Wanted) -> Option<String> {
        let alias = wanted.node.get(RecordType::CNAME).is_some();
        (alias && name == self.zone).then(|| {
            "the apex of a zone cannot be a CNAME (RFC 1034 §3.6.2), and the load balancer has no \
             address; what stands there stays"
                .to_owned()
        })
    }

    fn rrset(&mut self, name: &Name, rrset: &Rrset) -> Option<RecordSet> {
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
        self.degraded.push(Degraded { name: name.clone(), clause, fidelity, text });
    }
}
