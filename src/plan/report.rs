//! What a wire tells of a batch: what came of it, and what of it stands although it broke off.

use super::{Action, Change, Failure, Permitted, SetKey, Spent, Versions, is_bookkeeping};
use std::collections::BTreeSet;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether it was carried out whole.
    pub outcome: Result<Versions, Failure>,
    /// Where it was not: the sets of which it is known that they are as the batch says.
    pub done: BTreeSet<SetKey>,
    /// Calls that were made for it; `None` for as many as were reckoned.
    pub spent: Option<Spent>,
}

/// Of a batch that was carried out whole or not at all.
impl From<Result<Versions, Failure>> for Report {
    fn from(outcome: Result<Versions, Failure>) -> Self {
        Self { outcome, done: BTreeSet::new(), spent: None }
    }
}

/// The part of a batch's changes that stands. Bookkeeping alone is none, but where it is what is
/// changed.
pub(super) fn part(batch: &Permitted, done: &BTreeSet<SetKey>) -> Vec<Change> {
    let mut part = batch.changes().to_vec();
    part.retain_mut(|change| {
        change.delete.retain(|set| done.contains(&set.key));
        change.create.retain(|set| done.contains(&set.key));
        let of_bookkeeping = matches!(change.action, Action::Adopt | Action::Switch);
        let mut sets = change.delete.iter().chain(&change.create);
        sets.any(|set| of_bookkeeping || !is_bookkeeping(&set.key))
    });
    part
}
