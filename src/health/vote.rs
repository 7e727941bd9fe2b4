//! What one vantage point makes of a target's checks: rise and fall.
//!
//! Failures are not forgotten at the first success, but only after `rise` of them in a row (as in
//! gdnsd): a target that loses every second check goes down too.
//!
//! ```text
//! undecided │ first success             → up       unknown counts as healthy meanwhile
//! undecided │ fall failures             → down
//! up        │ fall failures without rise successes in a row between → down
//! down      │ rise successes in a row   → up
//! ```

use super::{Check, Outcome};
use std::time::{Duration, Instant};

/// One vantage point's view of one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Vote {
    /// Up or down; `None` before it is decided.
    pub(super) up: Option<bool>,
    fails: u8,
    oks: u8,
    /// When a check last told something about the target.
    pub(super) heard: Option<Instant>,
    /// The last failure in words.
    pub(super) failure: Option<String>,
    /// Why the last check could not be made at all.
    pub(super) unmade: Option<String>,
}

impl Vote {
    /// One that was decided earlier, with everything still to be counted.
    pub(super) fn decided(up: bool, at: Instant) -> Self {
        Self { up: Some(up), heard: Some(at), ..Self::default() }
    }

    /// Counts an outcome; whether anything that is shown changed.
    pub(super) fn count(&mut self, at: Instant, check: &Check, outcome: &Outcome) -> bool {
        let before = self.shown();
        match &outcome.result {
            Err(failure) if !failure.counts() => {
                let text = failure.to_string();
                let changed = self.unmade.as_ref() != Some(&text);
                self.unmade = Some(text);
                return changed;
            }
            Err(failure) => self.fail(check, failure.to_string()),
            Ok(()) => self.succeed(check),
        }
        self.heard = Some(at);
        self.unmade = None;
        before != self.shown()
    }

    /// What verdicts show of it: successes count only while there is something to make up for.
    fn shown(&self) -> (Option<bool>, u8, u8, bool) {
        let counting = self.fails > 0 || self.up != Some(true);
        (self.up, self.fails, if counting { self.oks } else { 0 }, self.unmade.is_some())
    }

    fn fail(&mut self, check: &Check, failure: String) {
        self.oks = 0;
        self.fails = self.fails.saturating_add(1).min(check.fall);
        self.failure = Some(failure);
        if self.fails >= check.fall {
            self.up = Some(false);
        }
    }

    fn succeed(&mut self, check: &Check) {
        self.oks = self.oks.saturating_add(1).min(check.rise);
        if self.up.is_none() || self.oks >= check.rise {
            self.up = Some(true);
            self.fails = 0;
        }
    }

    /// Whether it may still be counted: heard within [`FRESH`] intervals.
    pub(super) fn is_fresh(&self, at: Instant, interval: Duration) -> bool {
        self.heard.is_some_and(|heard| at.saturating_duration_since(heard) < interval * FRESH)
    }

    /// From the last check, the time until it could be decided otherwise.
    pub(super) fn flips_in(&self, check: &Check) -> Duration {
        let left = match self.up {
            Some(true) => check.fall.saturating_sub(self.fails),
            Some(false) => check.rise.saturating_sub(self.oks),
            None => 0,
        };
        check.interval * u32::from(left)
    }

    /// Failures on the way down.
    pub(super) fn failing(&self) -> Option<(u8, &str)> {
        let failure = self.failure.as_deref().filter(|_| self.fails > 0)?;
        Some((self.fails, failure))
    }
}

/// Intervals after which a vote no longer counts.
pub(super) const FRESH: u32 = 3;
