//! The last look before a write: a batch that deletes what is not provably ours, or empties a name
//! that is still wanted, cannot be handed to a provider. It judges by what was read and by the
//! batch alone, whatever the planner thought.

use super::{
    Adoption, Change, Listing, RecordSet, Rendered, SetKey, adopt,
    diff::{self, Action},
    mark::{self, Epoch, Marked, Owner, Written},
};
use crate::{
    model::{Key, Name},
    records::RecordType,
};
use std::collections::BTreeMap;

/// A batch that may be written: made by [`permit`] alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Permitted {
    zone: Name,
    epoch: (Option<RecordSet>, RecordSet),
    generation: u64,
    changes: Vec<Change>,
}

/// Why a batch may not be written: a mistake of ours, never the user's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name}: {reason}; nothing of it was written")]
pub struct Refusal {
    /// The name.
    pub name: Name,
    /// What is wrong.
    pub reason: String,
}

impl Permitted {
    /// The zone's apex.
    #[must_use]
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// The generation that it makes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation record: as it must be there (`None`: it must not be), and as it will be.
    #[must_use]
    pub fn epoch(&self) -> (Option<&RecordSet>, &RecordSet) {
        (self.epoch.0.as_ref(), &self.epoch.1)
    }

    /// The names that change.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Every set that goes, the generation record's old one first; each must be there exactly so.
    pub fn deletes(&self) -> impl Iterator<Item = &RecordSet> {
        self.epoch.0.iter().chain(self.changes.iter().flat_map(|change| &change.delete))
    }

    /// Every set that comes, the generation record first; none may be there unless it is deleted.
    pub fn creates(&self) -> impl Iterator<Item = &RecordSet> {
        std::iter::once(&self.epoch.1).chain(self.changes.iter().flat_map(|change| &change.create))
    }
}

/// Judges a batch against what was read.
///
/// # Errors
/// When it touches what is not proven to be this installation's, or empties what is wanted.
pub fn permit(
    owner: &Owner,
    existing: &Listing,
    changes: Vec<Change>,
    adopting: Option<(&Adoption, &Rendered)>,
) -> Result<Permitted, Refusal> {
    let zone = existing.zone();
    for change in &changes {
        let judged = match (change.action, adopting) {
            (Action::Adopt, word) => adopts(owner, existing, change, word),
            (Action::Switch, _) => switches(existing, change),
            _ => judge(owner, existing, change),
        };
        judged.map_err(|reason| Refusal { name: change.name.clone(), reason })?;
    }
    let generation = match diff::epoch(existing, owner) {
        Written::Last(last) => last.generation + 1,
        Written::Never => 1,
        Written::Forged => {
            let (name, reason) = (mark::epoch_name(owner, zone), "is not signed with our key");
            return Err(Refusal { name, reason: reason.to_owned() });
        }
    };
    let new = Epoch { instance: owner.instance.clone(), generation }.set(owner, zone);
    let old = existing.get(&new.key).cloned();
    Ok(Permitted { zone: zone.clone(), epoch: (old, new), generation, changes })
}

/// A name is taken over exactly as a person's word and the zone as read say.
fn adopts(
    owner: &Owner,
    existing: &Listing,
    change: &Change,
    word: Option<(&Adoption, &Rendered)>,
) -> Result<(), String> {
    let (adoption, wanted) = word.ok_or("it would be taken over without a person's word")?;
    match adopt::one(adoption, wanted, existing, owner, &change.name) {
        Ok(own) if own == *change => Ok(()),
        _ => Err("it would be taken over otherwise than that word covers".to_owned()),
    }
}

/// A switch is no record: it touches nobody's.
fn switches(existing: &Listing, change: &Change) -> Result<(), String> {
    let sets = || change.delete.iter().chain(&change.create);
    let own = |set: &RecordSet| {
        mark::switch_of(set)
            .is_some_and(|(cluster, off)| *set == mark::switch_set(existing.zone(), cluster, off))
    };
    if sets().all(own) { Ok(()) } else { Err("it is no switch of a cluster".to_owned()) }
}

fn judge(owner: &Owner, existing: &Listing, change: &Change) -> Result<(), String> {
    let zone = existing.zone();
    let mark_key = SetKey::plain(&mark::mark_name(zone, &change.name), RecordType::TXT);
    let old = existing.get(&mark_key);
    let marked = mark::read_mark(owner, zone, &change.name, old);
    let own = match &marked {
        Marked::Ours(mark) => Some(mark),
        Marked::No => None,
        Marked::Foreign { .. } | Marked::Forged => return Err("its mark is not ours".to_owned()),
    };
    for set in &change.delete {
        let mark = own.ok_or_else(|| format!("`{set}` would be deleted without a mark"))?;
        let covered =
            set.key == mark_key || (set.key.owner == change.name.key() && diff::is_of(mark, set));
        if !covered {
            return Err(format!("`{set}` would be deleted, which the mark does not cover"));
        }
        if existing.get(&set.key) != Some(set) {
            return Err(format!("`{set}` would be deleted, which was not read so"));
        }
    }
    created(owner, existing, change, &mark_key, own)?;
    keeps_a_value(existing, change, own)
}

/// Everything that comes must be covered by a mark of ours that stands or comes with it, and may
/// not replace anything.
fn created(
    owner: &Owner,
    existing: &Listing,
    change: &Change,
    mark_key: &SetKey,
    own: Option<&mark::Mark>,
) -> Result<(), String> {
    let zone = existing.zone();
    let new = change.create.iter().find(|set| set.key == *mark_key);
    let coming = match new.map(|set| mark::read_mark(owner, zone, &change.name, Some(set))) {
        Some(Marked::Ours(mark)) => Some(mark),
        Some(_) => return Err("its new mark is not signed with our key".to_owned()),
        None => own.cloned(),
    };
    let deleted = |key: &SetKey| change.delete.iter().any(|set| set.key == *key);
    for set in &change.create {
        if existing.get(&set.key).is_some() && !deleted(&set.key) {
            return Err(format!("`{set}` would replace what is there"));
        }
        let of_name = set.key.owner == change.name.key();
        let covered = set.key == *mark_key
            || (of_name && coming.as_ref().is_some_and(|mark| diff::is_of(mark, set)));
        if !covered {
            return Err(format!("`{set}` would be created without a mark"));
        }
    }
    Ok(())
}

/// A name that is still wanted keeps at least one set (invariant I1).
fn keeps_a_value(
    existing: &Listing,
    change: &Change,
    own: Option<&mark::Mark>,
) -> Result<(), String> {
    if matches!(change.action, Action::Remove) {
        return Ok(());
    }
    let owner: Key = change.name.key();
    let before: BTreeMap<_, _> = existing
        .of_name(&owner)
        .filter(|set| own.is_some_and(|mark| diff::is_of(mark, set)))
        .map(|set| (&set.key, set))
        .collect();
    let left = before.keys().any(|key| !change.delete.iter().any(|set| set.key == **key));
    let comes = change.create.iter().any(|set| set.key.owner == owner);
    if before.is_empty() || left || comes {
        return Ok(());
    }
    Err("it would be left without a value although it is still wanted".to_owned())
}
