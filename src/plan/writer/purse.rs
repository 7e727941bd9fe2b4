//! What may be spent at a provider now: a token bucket for each thing that it counts.

use super::tokens::Tokens;
use crate::plan::{Pace, Spent};
use std::time::{Duration, Instant};

/// The buckets of [`Pace`].
#[derive(Clone, Debug)]
pub(super) struct Purse {
    calls: Tokens,
    changes: Tokens,
    made: Tokens,
    turned: Tokens,
    dropped: Tokens,
    /// What was taken for the batch under way.
    taken: Cost,
}

/// What a batch takes: its calls, and the sets that go and come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) spent: Spent,
    pub(super) changes: usize,
}

impl Purse {
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            calls: Tokens::new(pace.calls),
            changes: Tokens::new(pace.changes),
            made: Tokens::new(pace.checks_made),
            turned: Tokens::new(pace.checks_turned),
            dropped: Tokens::new(pace.checks_dropped),
            taken: Cost::default(),
        }
    }

    fn each(&mut self, cost: &Cost) -> [(&mut Tokens, f64); 5] {
        #[allow(clippy::cast_precision_loss)] // thousands at most
        let tokens = |count: usize| count as f64;
        [
            (&mut self.calls, tokens(cost.spent.calls())),
            (&mut self.changes, tokens(cost.changes)),
            (&mut self.made, tokens(cost.spent.made)),
            (&mut self.turned, tokens(cost.spent.turned)),
            (&mut self.dropped, tokens(cost.spent.dropped)),
        ]
    }

    /// How long until all of that is there.
    pub(super) fn wait(&mut self, now: Instant, cost: &Cost) -> Duration {
        let waits = self.each(cost).map(|(own, tokens)| match tokens > 0.0 {
            true => own.wait(now, tokens),
            false => Duration::ZERO,
        });
        waits.into_iter().max().unwrap_or_default()
    }

    pub(super) fn take(&mut self, now: Instant, cost: Cost) {
        self.each(&cost).into_iter().for_each(|(own, tokens)| own.take(now, tokens));
        self.taken = cost;
    }

    /// What was really taken, in place of what was reckoned.
    pub(super) fn settle(&mut self, now: Instant, really: Cost) {
        let taken = std::mem::take(&mut self.taken);
        self.each(&taken).into_iter().for_each(|(own, tokens)| own.give_back(now, tokens));
        self.each(&really).into_iter().for_each(|(own, tokens)| own.take(now, tokens));
    }

    /// The changes that were reckoned for the batch under way.
    pub(super) fn changes_taken(&self) -> usize {
        self.taken.changes
    }

    /// One call.
    pub(super) fn one() -> Cost {
        Cost { spent: Spent { records: 1, ..Spent::default() }, changes: 0 }
    }

    /// How many checks may be deleted now.
    pub(super) fn drops(&mut self, now: Instant) -> usize {
        let whole = self.dropped.there(now).min(self.calls.there(now));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // above zero, and small
        let whole = whole.clamp(0.0, 1e6) as usize;
        whole
    }

    /// The provider says that there are none.
    pub(super) fn empty(&mut self, now: Instant) {
        self.calls.empty(now);
    }
}
