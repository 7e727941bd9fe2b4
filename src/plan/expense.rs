//! What a change takes beside its records: health checks that must be made first, profiles that
//! stand behind an alias. Reckoned from what is said, so that it can be waited for before anything
//! is sent; what a wire really took is settled after.

use super::{
    Action, Change, Checking, Listing, Permitted, Profile, ProfileTarget, RecordSet, switch_of,
};
use std::collections::BTreeSet;

/// Calls that a wire made to write a batch, by what they did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spent {
    /// Wrote records: a batch each, or a set each.
    pub records: usize,
    /// Made a health check.
    pub made: usize,
    /// Turned one.
    pub turned: usize,
    /// Deleted one.
    pub dropped: usize,
    /// Made, changed or deleted a profile.
    pub profiles: usize,
}

impl Spent {
    /// All of them.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.records + self.made + self.turned + self.dropped + self.profiles
    }
}

/// The health checks that a change asks for and did not have.
pub(super) fn checks(change: &Change) -> BTreeSet<&str> {
    let had: BTreeSet<&str> = change.delete.iter().filter_map(check).collect();
    change.create.iter().filter_map(check).filter(|text| !had.contains(text)).collect()
}

fn check(set: &RecordSet) -> Option<&str> {
    set.more.get("check").map(|text| &**text)
}

/// Calls for the profiles behind a change's sets, no fewer than are needed.
pub(super) fn profiles(change: &Change) -> usize {
    let of = |sets: &[RecordSet], like: &RecordSet| {
        let same = sets.iter().find(|set| set.key == like.key);
        same.map(nodes).unwrap_or_default()
    };
    let come = change.create.iter().map(|set| {
        let (old, new) = (of(&change.delete, set), nodes(set));
        // An alias is made of a root that holds one address at first.
        let first = usize::from(old.is_empty() && new.len() > 1);
        new.difference(&old).count() + old.difference(&new).count() + first
    });
    let gone =
        change.delete.iter().filter(|set| change.create.iter().all(|new| new.key != set.key));
    come.sum::<usize>() + gone.map(|set| nodes(set).len()).sum::<usize>()
}

/// A set's profiles: where each is in the tree, and what it says.
fn nodes(set: &RecordSet) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let tree = set.more.get(Profile::WORD).and_then(|text| Profile::read(text).ok());
    if let Some(tree) = tree {
        walk("", &tree, &mut all);
    }
    all
}

fn walk(path: &str, tree: &Profile, all: &mut BTreeSet<(String, String)>) {
    all.insert((path.to_owned(), tree.text().to_string()));
    for own in &tree.endpoints {
        if let ProfileTarget::Profile(child) = &own.target {
            walk(&format!("{path}/{}", own.name), child, all);
        }
    }
}

/// What a batch is reckoned to take.
pub(super) fn of(batch: &Permitted, checking: Checking, atomic: bool, known: &Listing) -> Spent {
    let profiles = batch.changes().iter().map(profiles).sum();
    let keys: BTreeSet<_> = batch.deletes().chain(batch.creates()).map(|set| &set.key).collect();
    let records = if atomic { 1 } else { keys.len() };
    let (mut made, mut turned) = (0, 0);
    if checking != Checking::None {
        let asked: BTreeSet<&str> = batch.changes().iter().flat_map(checks).collect();
        let there: BTreeSet<&str> = if asked.is_empty() {
            BTreeSet::new()
        } else {
            known.sets().filter_map(check).collect()
        };
        let switches = batch.changes().iter().filter(|change| change.action == Action::Switch);
        turned = switches.flat_map(|change| &change.create).filter_map(switch_of).count();
        let new = batch.creates().filter(|set| switch_of(set).is_some());
        made = asked.difference(&there).count()
            + new.filter(|set| known.get(&set.key).is_none()).count();
    }
    Spent { records, made, turned, dropped: 0, profiles }
}
