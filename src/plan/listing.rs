//! What a provider holds in one zone, read whole: nothing else can be planned against.

use super::{RecordSet, SetKey, permit::Permitted};
use crate::{
    model::{Key, Name},
    records::RecordType,
};
use imbl::OrdMap;
use std::{collections::BTreeMap, sync::Arc};

/// A zone's record sets, as one complete read found them.
///
/// A read that failed half-way cannot become one: the wires return it only at the end, and an
/// error in its place otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    zone: Name,
    /// Shared between a listing and what it becomes: a batch costs what it changes.
    sets: OrdMap<SetKey, RecordSet>,
}

impl Listing {
    /// All that a read found.
    pub fn whole(zone: Name, sets: impl IntoIterator<Item = RecordSet>) -> Self {
        let sets = sets.into_iter().map(|set| (set.key.clone(), set)).collect();
        Self { zone, sets }
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
