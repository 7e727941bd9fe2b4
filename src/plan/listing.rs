//! What a provider holds in one zone, read whole: nothing else can be planned against.

use super::{RecordSet, SetKey, permit::Permitted};
use crate::{
    model::{Key, Name},
    records::RecordType,
};
use imbl::OrdMap;
use std::{collections::BTreeMap, sync::Arc};

/// A zone's record sets, and what belongs to them outside the zone, as one complete read found it.
///
/// A read that failed half-way cannot become one: the wires return it only at the end, and an
/// error in its place otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    zone: Name,
    /// Shared between a listing and what it becomes: a batch costs what it changes.
    sets: OrdMap<SetKey, RecordSet>,
    resources: BTreeMap<ResourceKey, Resource>,
}

/// What a provider keeps beside a zone for it: a health check, a Traffic Manager profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// Which.
    pub key: ResourceKey,
    /// Its settings, in the provider's words.
    pub settings: super::Attributes,
    /// The provider's own name for it, where it gives one.
    pub handle: Option<Arc<str>>,
    /// What the provider asks for when it is changed.
    pub version: Option<Arc<str>>,
}

/// Names a resource; the name is made by us and carries the installation's id.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ResourceKey {
    /// Such as `health-check` or `profile`.
    pub kind: &'static str,
    /// Such as `meridian/<owner>/shop.prod…/aws`.
    pub name: Arc<str>,
}

impl Listing {
    /// All that a read found.
    pub fn whole(zone: Name, sets: impl IntoIterator<Item = RecordSet>) -> Self {
        let sets = sets.into_iter().map(|set| (set.key.clone(), set)).collect();
        Self { zone, sets, resources: BTreeMap::new() }
    }

    /// The same with what was found beside the zone.
    #[must_use]
    pub fn with(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.resources = resources.into_iter().map(|one| (one.key.clone(), one)).collect();
        self
    }

    /// The zone's apex.
    #[must_use]
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// One set.
    #[must_use]
    pub fn get(&self, key: &SetKey) -> Option<&RecordSet> {
        self.sets.get(key)
    }

    /// All sets, in canonical order of names.
    pub fn sets(&self) -> impl Iterator<Item = &RecordSet> {
        self.sets.values()
    }

    /// The sets of one name.
    pub fn of_name<'l>(&'l self, owner: &'l Key) -> impl Iterator<Item = &'l RecordSet> {
        let first = SetKey { owner: owner.clone(), rtype: RecordType(0), id: None };
        let from = self.sets.range(first..).map(|(_, set)| set);
        from.take_while(move |set| set.key.owner == *owner)
    }

    /// All resources.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// How many sets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether it holds nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Whether a batch fits what is here: everything it deletes is here exactly so, and nothing
    /// that it creates is.
    #[must_use]
    pub fn fits(&self, batch: &Permitted) -> bool {
        let deleted: BTreeMap<_, _> = batch.deletes().map(|set| (&set.key, set)).collect();
        deleted.iter().all(|(key, set)| self.get(key).is_some_and(|own| own.says_as(set)))
            && batch
                .creates()
                .all(|set| !self.sets.contains_key(&set.key) || deleted.contains_key(&set.key))
    }

    /// What is here once a batch was carried out whole.
    #[must_use]
    pub fn after(mut self, batch: &Permitted) -> Self {
        for set in batch.deletes() {
            self.sets.remove(&set.key);
        }
        for set in batch.creates() {
            self.sets.insert(set.key.clone(), set.clone());
        }
        self
    }

    /// Takes note of the versions that a provider gave to what was written.
    pub fn set_versions(&mut self, versions: impl IntoIterator<Item = (SetKey, Arc<str>)>) {
        for (key, version) in versions {
            if let Some(set) = self.sets.get_mut(&key) {
                set.version = Some(version);
            }
        }
    }

    /// Puts a set in, as somebody else's hand would.
    pub fn put(&mut self, set: RecordSet) {
        self.sets.insert(set.key.clone(), set);
    }

    /// Takes a set out, as somebody else's hand would.
    pub fn take(&mut self, key: &SetKey) -> Option<RecordSet> {
        self.sets.remove(key)
    }
}
