//! What turns the zone that is there into the zone that is wanted, without touching what is not
//! provably ours.

use super::{
    Listing, RecordSet, SetKey,
    mark::{self, Epoch, Mark, Marked, Owner, Written},
    render::{Degraded, Rendered, Say},
};
use crate::{
    model::{ClusterName, Key, Name},
    records::RecordType,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// All that would be done to one zone at one provider.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The zone.
    pub zone: Name,
    /// How many writes this installation has made there.
    pub generation: u64,
    /// What is done, a name each.
    pub changes: Vec<Change>,
    /// What waits, and for what.
    pub held: Vec<Held>,
    /// Names that somebody else has, left alone.
    pub conflicts: Vec<Conflict>,
    /// What the provider cannot say.
    pub degraded: Vec<Degraded>,
    /// Names that are ours there now.
    pub owned: usize,
    /// Of those, how many are as they should be.
    pub unchanged: usize,
}

/// What is done to one name: all of it together or nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The name.
    pub name: Name,
    /// In a word.
    pub action: Action,
    /// What it comes from, as in `service prod/shop`.
    pub object: Arc<str>,
    /// Sets that go, exactly as they are.
    pub delete: Vec<RecordSet>,
    /// Sets that come.
    pub create: Vec<RecordSet>,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// A name that was not there.
    Create,
    /// Other values, or another kind of records.
    Update,
    /// Nobody wants the name any more.
    Remove,
    /// Only our own marks.
    Tidy,
    /// Marks of a name that is taken over; its data stay as they are.
    Adopt,
    /// A cluster's switch: it is taken out of all names, or let in again.
    Switch,
}

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// What.
    pub change: Change,
    /// For what.
    pub reason: String,
}

/// A name that is wanted, and is somebody else's.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The name.
    pub name: Name,
    /// What wants it.
    pub object: Arc<str>,
    /// Whose it is, as far as can be told, and what can be done.
    pub reason: String,
}

/// Compares; takes nothing from anybody.
#[must_use]
pub fn diff(desired: &Rendered, existing: &Listing, owner: &Owner) -> Plan {
    let zone = existing.zone();
    let generation = match epoch(existing, owner) {
        Written::Last(epoch) => epoch.generation,
        Written::Never | Written::Forged => 0,
    };
    let mut plan = Plan {
        zone: zone.clone(),
        generation,
        changes: Vec::new(),
        held: Vec::new(),
        conflicts: Vec::new(),
        degraded: desired.degraded.clone(),
        owned: 0,
        unchanged: 0,
    };
    let names = by_name(existing);
    let keys: BTreeSet<&Key> = names.keys().chain(desired.names.keys()).collect();
    for key in keys {
        let there = names.get(key).map_or(&[][..], Vec::as_slice);
        Comparing::of(existing, owner, key, there).compare(desired.names.get(key), &mut plan);
    }
    plan.changes.extend(turns(desired, existing));
    plan
}

/// Switches that are to be made or turned: those that sets name, and those that are there.
fn turns(desired: &Rendered, existing: &Listing) -> Vec<Change> {
    let there = existing.sets().filter_map(|set| Some(ClusterName::from(mark::switch_of(set)?.0)));
    let clusters: BTreeSet<ClusterName> =
        there.chain(desired.switches.named.iter().cloned()).collect();
    let turn = |cluster: ClusterName| {
        let off = desired.switches.away.contains(&cluster);
        let new = mark::switch_set(existing.zone(), &cluster.0, off);
        let old = existing.get(&new.key).cloned();
        let same = old.as_ref().is_some_and(|old| old.says_as(&new));
        (!same).then(|| Change {
            name: new.key.name(),
            action: Action::Switch,
            object: format!("cluster {cluster}").into(),
            delete: old.into_iter().collect(),
            create: vec![new],
        })
    };
    clusters.into_iter().filter_map(turn).collect()
}

/// The generation record that stands in a listing.
#[must_use]
pub fn epoch(existing: &Listing, owner: &Owner) -> Written {
    let zone = existing.zone();
    let key = SetKey::plain(&mark::epoch_name(owner, zone), RecordType::TXT);
    Epoch::read(owner, zone, existing.get(&key))
}

/// All sets but bookkeeping, by owner; and names that have nothing but a mark.
fn by_name(existing: &Listing) -> BTreeMap<Key, Vec<&RecordSet>> {
    let mut names: BTreeMap<Key, Vec<&RecordSet>> = BTreeMap::new();
    for set in existing.sets() {
        if !mark::is_bookkeeping(&set.key) {
            names.entry(set.key.owner.clone()).or_default().push(set);
        } else if let Some(name) = mark::marked_name(&set.key.name()) {
            names.entry(name.key()).or_default();
        }
    }
    names
}

/// One name, with what stands there.
struct Comparing<'p> {
    zone: &'p Name,
    owner: &'p Owner,
    name: Name,
    there: &'p [&'p RecordSet],
    mark_set: Option<&'p RecordSet>,
    marked: Marked,
}

impl<'p> Comparing<'p> {
    fn of(existing: &'p Listing, owner: &'p Owner, key: &Key, there: &'p [&'p RecordSet]) -> Self {
        let (zone, name) = (existing.zone(), key.to_name());
        let mark_set = existing.get(&SetKey::plain(&mark::mark_name(zone, &name), RecordType::TXT));
        let marked = mark::read_mark(owner, zone, &name, mark_set);
        Self { zone, owner, name, there, mark_set, marked }
    }

    fn compare(&self, wanted: Option<&Say>, plan: &mut Plan) {
        match (&self.marked, wanted) {
            (Marked::Ours(mark), wanted) => {
                plan.owned += usize::from(self.there.iter().any(|set| is_of(mark, set)));
                self.ours(mark, wanted, plan);
            }
            (_, None | Some(Say { sets: None, .. })) => {}
            (Marked::No, Some(say)) => self.unmarked(say, plan),
            (Marked::Foreign { owner }, Some(say)) => {
                self.conflict(say, plan, &format!("is marked as owned by installation {owner}"));
            }
            (Marked::Forged, Some(say)) => self.conflict(
                say,
                plan,
                "carries a mark with this installation's id that is not signed with its key; \
                 bring the key back (installation.json), or adopt the name",
            ),
        }
    }

    /// A name without a mark: ours to take only if nothing stands in the way.
    fn unmarked(&self, say: &Say, plan: &mut Plan) {
        let Some(sets) = &say.sets else { return };
        match self.in_the_way(sets, |_| true) {
            Some(other) => {
                let reason = format!(
                    "has `{other}`, which this installation did not write; remove it, or hand it \
                     over with `meridian adopt`"
                );
                self.conflict(say, plan, &reason);
            }
            None => {
                let mut create = sets.clone();
                create.push(self.mark(say, types_of(sets), plan));
                // A TXT set of somebody's where the mark goes is not ours to replace.
                if let Some(other) = self.mark_set {
                    let reason = format!("has `{other}` where its mark would stand; remove that");
                    return self.conflict(say, plan, &reason);
                }
                plan.changes.push(self.change(Action::Create, &say.object, vec![], create));
            }
        }
    }

    /// A foreign set of the same type, or one that cannot stand beside what is wanted
    /// (RFC 2181 §10.1: a CNAME is alone).
    fn in_the_way(
        &self,
        sets: &[RecordSet],
        foreign: impl Fn(&RecordSet) -> bool,
    ) -> Option<&'p RecordSet> {
        let alias = sets.iter().any(|set| set.key.rtype == RecordType::CNAME);
        let clashes = |other: &RecordSet| {
            alias
                || other.key.rtype == RecordType::CNAME
                || sets.iter().any(|set| set.key.rtype == other.key.rtype)
        };
        self.there.iter().copied().find(|set| foreign(set) && clashes(set))
    }

    fn ours(&self, mark: &Mark, wanted: Option<&Say>, plan: &mut Plan) {
        let own: Vec<&RecordSet> =
            self.there.iter().copied().filter(|set| is_of(mark, set)).collect();
        let Some(say) = wanted else { return self.unwanted(mark, &own, plan) };
        // What the provider's words cannot say stays as it is (invariant I1).
        let Some(sets) = &say.sets else { return };
        if let Some(other) = self.in_the_way(sets, |set| !is_of(mark, set)) {
            let reason = format!(
                "has `{other}`, which this installation did not write, beside records that it \
                 did; what is there stays as it is until that is removed"
            );
            return self.conflict(say, plan, &reason);
        }
        let same = |a: &RecordSet, all: &[&RecordSet]| all.iter().any(|b| a.says_as(b));
        let wanted: Vec<&RecordSet> = sets.iter().collect();
        let gone = own.iter().filter(|set| !same(set, &wanted)).map(|set| (*set).clone());
        let come = sets.iter().filter(|set| !same(set, &own)).cloned();
        let (mut delete, mut create): (Vec<_>, Vec<_>) = (gone.collect(), come.collect());
        let data = !delete.is_empty() || !create.is_empty();
        let new = self.new_mark(mark, say, sets, &delete, plan);
        if let Some((old, new)) = new {
            delete.extend(old.cloned());
            create.push(new);
        }
        match (data, create.is_empty() && delete.is_empty()) {
            (true, _) => {
                let action = if own.is_empty() { Action::Create } else { Action::Update };
                plan.changes.push(self.change(action, &say.object, delete, create));
            }
            (false, false) => {
                plan.changes.push(self.change(Action::Tidy, &say.object, delete, create));
            }
            (false, true) => plan.unchanged += 1,
        }
    }

    /// A name of ours that nobody wants.
    fn unwanted(&self, mark: &Mark, own: &[&RecordSet], plan: &mut Plan) {
        let delete = own.iter().copied().chain(self.mark_set).cloned().collect();
        let action = if own.is_empty() { Action::Tidy } else { Action::Remove };
        plan.changes.push(self.change(action, &mark.object, delete, vec![]));
    }

    /// The mark to replace the old one with, where it says something else. While some types take
    /// the place of others beside them, it covers both, so that whatever ends the change half-way
    /// leaves nothing behind that is nobody's; the plan after that makes it say less.
    fn new_mark(
        &self,
        old: &Mark,
        say: &Say,
        sets: &[RecordSet],
        gone: &[RecordSet],
        plan: &Plan,
    ) -> Option<(Option<&'p RecordSet>, RecordSet)> {
        let object = self.owner.opaque(&say.object);
        let mut types = types_of(sets);
        let going = types_of(gone);
        let alone = types.union(&going).any(|rtype| *rtype == RecordType::CNAME);
        if !alone && !going.is_subset(&types) && !types.is_subset(&old.types) {
            types.extend(going);
        }
        let same = *old.object == *object && old.types == types;
        (!same).then(|| (self.mark_set, self.mark(say, types, plan)))
    }

    fn mark(&self, say: &Say, types: BTreeSet<RecordType>, plan: &Plan) -> RecordSet {
        let mark = Mark {
            owner: self.owner.id.clone(),
            object: self.owner.opaque(&say.object).into(),
            generation: plan.generation + 1,
            types,
        };
        mark.set(self.owner, self.zone, &self.name)
    }

    fn change(
        &self,
        action: Action,
        object: &Arc<str>,
        delete: Vec<RecordSet>,
        create: Vec<RecordSet>,
    ) -> Change {
        Change { name: self.name.clone(), action, object: object.clone(), delete, create }
    }

    fn conflict(&self, say: &Say, plan: &mut Plan, reason: &str) {
        let (name, object) = (self.name.clone(), say.object.clone());
        plan.conflicts.push(Conflict { name, object, reason: format!("{} {reason}", self.name) });
    }
}

fn types_of(sets: &[RecordSet]) -> BTreeSet<RecordType> {
    sets.iter().map(|set| set.key.rtype).collect()
}

/// Whether a mark covers a set: its type, and where sets stand beside each other, our own ids.
pub(super) fn is_of(mark: &Mark, set: &RecordSet) -> bool {
    mark.types.contains(&set.key.rtype)
        && set.key.id.as_ref().is_none_or(|id| id.starts_with(SET_PREFIX))
}

/// How the set identifiers that we choose begin.
pub const SET_PREFIX: &str = "meridian/";

impl Plan {
    /// Whether there is nothing to do and nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.held.is_empty()
    }

    /// Names that are removed by what is not held.
    #[must_use]
    pub fn removals(&self) -> usize {
        self.changes.iter().filter(|change| change.action == Action::Remove).count()
    }
}

/// Where each name came from when it was last wanted: what tells a removal's clusters.
pub type Provenance = BTreeMap<Key, Source>;

/// See [`Provenance`].
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, Serialize)]
pub struct Source {
    /// What it came from.
    pub object: Arc<str>,
    /// Which clusters offered it.
    pub clusters: Arc<BTreeSet<ClusterName>>,
}
