//! Cuts a plan's changes into batches that a provider takes. A name is never cut.

use super::{BatchLimits, Change, RecordSet, diff::Action, expense};
use std::collections::BTreeSet;

/// What removes comes last, so that a zone never holds less than it must; what must wait for health
/// checks comes after what need not.
#[must_use]
pub fn batches(mut changes: Vec<Change>, limits: &BatchLimits) -> Vec<Vec<Change>> {
    let waits = |change: &Change| !expense::checks(change).is_empty();
    changes.sort_by_cached_key(|change| (change.action == Action::Remove, waits(change)));
    // A cluster is taken out before its names are written anew, in a batch of its own.
    let (switches, changes): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.action == Action::Switch);
    let mut all: Vec<Vec<Change>> =
        Some(switches).filter(|own| !own.is_empty()).into_iter().collect();
    let mut left = Room::default();
    let mut waiting = false;
    for change in changes {
        let size = Room::of(&change);
        // What need not wait is in no batch that must.
        let first_to_wait = size.checks > 0 && !std::mem::replace(&mut waiting, size.checks > 0);
        // At first nothing is left, so that a batch is begun.
        match all.last_mut().filter(|_| left.holds(&size) && !first_to_wait) {
            Some(batch) => batch.push(change),
            None => {
                left = Room::whole(limits);
                all.push(vec![change]);
            }
        }
        left.take(&size);
    }
    all
}

/// What is left of a batch's limits.
#[derive(Default)]
struct Room {
    sets: usize,
    records: usize,
    characters: usize,
    checks: usize,
    calls: usize,
}

impl Room {
    /// Less what the generation record takes, old and new.
    fn whole(limits: &BatchLimits) -> Self {
        Self {
            sets: limits.sets.saturating_sub(2),
            records: limits.records.saturating_sub(2),
            characters: limits.characters.saturating_sub(512),
            checks: limits.checks,
            calls: limits.calls.saturating_sub(1),
        }
    }

    fn of(change: &Change) -> Self {
        let sets = || change.delete.iter().chain(&change.create);
        Self {
            sets: sets().count(),
            records: sets().map(RecordSet::records).sum(),
            characters: sets().map(characters).sum(),
            checks: expense::checks(change).len(),
            calls: sets().map(|set| &set.key).collect::<BTreeSet<_>>().len()
                + expense::profiles(change),
        }
    }

    fn holds(&self, other: &Self) -> bool {
        self.sets >= other.sets
            && self.records >= other.records
            && self.characters >= other.characters
            && self.checks >= other.checks
            && self.calls >= other.calls
    }

    fn take(&mut self, other: &Self) {
        self.sets = self.sets.saturating_sub(other.sets);
        self.records = self.records.saturating_sub(other.records);
        self.characters = self.characters.saturating_sub(other.characters);
        self.checks = self.checks.saturating_sub(other.checks);
        self.calls = self.calls.saturating_sub(other.calls);
    }
}

/// No less than a provider counts: text forms and what stands beside the data.
fn characters(set: &RecordSet) -> usize {
    let data: usize = set.texts_of_data().map(|text| text.len()).sum();
    data + set.more.values().map(|value| value.len()).sum::<usize>()
}
