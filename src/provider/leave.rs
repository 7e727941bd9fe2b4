//! Leave to write: a batch may be many calls, and a freeze (invariant I15) is for all that are not
//! sent yet. So each call that changes something asks first, and is counted.

use crate::plan::{Failure, Spent};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Asked before each call that changes something, of one batch.
#[derive(Debug)]
pub struct Leave {
    switch: Option<watch::Receiver<Option<String>>>,
    /// How many health checks that nobody uses may be deleted.
    drops: usize,
    spent: Mutex<Spent>,
}

/// What a call does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Writes records.
    Records,
    /// Makes a health check.
    Make,
    /// Turns one.
    Turn,
    /// Deletes one.
    Drop,
    /// Makes, changes or deletes a profile.
    Profile,
}

impl Leave {
    /// As long as nobody says why not. So many health checks may be deleted, which nothing waits
    /// for.
    #[must_use]
    pub fn until(switch: watch::Receiver<Option<String>>, drops: usize) -> Self {
        Self { switch: Some(switch), drops, spent: Mutex::default() }
    }

    /// Whatever happens.
    #[must_use]
    pub fn always() -> Self {
        Self { switch: None, drops: usize::MAX, spent: Mutex::default() }
    }

    /// Whether one more call may be sent, which is counted then.
    pub(super) fn go_on(&self, act: Act) -> Result<(), Failure> {
        let reason = self.switch.as_ref().and_then(|switch| switch.borrow().clone());
        if let Some(reason) = reason {
            return Err(Failure::Stopped(reason));
        }
        let mut spent = self.lock();
        *match act {
            Act::Records => &mut spent.records,
            Act::Make => &mut spent.made,
            Act::Turn => &mut spent.turned,
            Act::Drop => &mut spent.dropped,
            Act::Profile => &mut spent.profiles,
        } += 1;
        Ok(())
    }

    pub(super) fn drops(&self) -> usize {
        self.drops
    }

    /// The calls so far.
    pub(super) fn spent(&self) -> Spent {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_ends_the_moment_a_reason_is_given_and_comes_back() {
        let switch = watch::Sender::new(None);
        let leave = Leave::until(switch.subscribe(), 3);
        assert_eq!(leave.go_on(Act::Make), Ok(()));
        switch.send_replace(Some("incident 7".to_owned()));
        let stopped = Err(Failure::Stopped("incident 7".to_owned()));
        assert_eq!(leave.go_on(Act::Records), stopped);
        switch.send_replace(None);
        assert_eq!(leave.go_on(Act::Records), Ok(()));
        assert_eq!(leave.spent(), Spent { made: 1, records: 1, ..Spent::default() });
    }
}
