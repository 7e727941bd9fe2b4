//! Outcomes of checks in, verdicts out: whether an endpoint can be sent clients, and for how long
//! that may be believed. Pure: time is an argument.

mod check;
mod entry;
mod report;
mod saved;
#[cfg(test)]
mod tests;
mod tracker;
mod vote;
mod word;

pub use check::{Check, Failure, Grpc, Http, Method, Outcome, Protocol, Statuses, Target, Tls};
pub use report::{Report, ReportError, ReportedVote};
pub use saved::{Saved, SavedVerdict};
pub use tracker::{Settings, State, Tracker, Verdict};
pub use word::{Forced, Override};

/// How much of a cluster is there: ready endpoints of those expected, 0 to 1. One that expects
/// none is whole.
#[must_use]
pub fn readiness(ready: u32, expected: u32) -> f64 {
    if expected == 0 { 1.0 } else { (f64::from(ready) / f64::from(expected)).min(1.0) }
}
