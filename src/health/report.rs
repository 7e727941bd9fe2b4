//! What one vantage point tells another: its votes, with their age.

use super::vote::FRESH;
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The votes of one process.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether it seems cut off to itself, so that its votes mean nothing.
    #[serde(default)]
    pub isolated: bool,
    /// Fresh ones alone.
    pub votes: Vec<ReportedVote>,
}

/// One vote.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedVote {
    /// [`Target::id`](super::Target::id).
    pub target: Arc<str>,
    /// Whether it works.
    pub up: bool,
    /// Milliseconds since the check that it rests on.
    pub age: u64,
    /// Milliseconds from that check until it could be another.
    #[serde(default)]
    pub flips_in: u64,
}

/// Why a report is not taken in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReportError {
    /// More than anybody checks.
    #[error("it has {count} votes; at most {most} are taken in")]
    TooLong {
        /// How many.
        count: usize,
        /// The bound.
        most: usize,
    },
    /// A target's name beyond all measure.
    #[error("it names a target with {octets} octets; at most {most} are taken in")]
    LongTarget {
        /// How many.
        octets: usize,
        /// The bound.
        most: usize,
    },
    /// More vantage points than are listened to.
    #[error("{most} other vantage points are listened to already")]
    TooManyVantages {
        /// The bound.
        most: usize,
    },
}

impl Report {
    pub(super) fn vote(
        target: Arc<str>,
        up: bool,
        age: Duration,
        flips_in: Duration,
    ) -> ReportedVote {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        ReportedVote { target, up, age: millis(age), flips_in: millis(flips_in) }
    }

    /// Its votes, when they can be taken in.
    pub(super) fn check(&self) -> Result<&[ReportedVote], ReportError> {
        if self.votes.len() > VOTES {
            return Err(ReportError::TooLong { count: self.votes.len(), most: VOTES });
        }
        let long = self.votes.iter().map(|own| own.target.len()).max().filter(|own| *own > OCTETS);
        if let Some(octets) = long {
            return Err(ReportError::LongTarget { octets, most: OCTETS });
        }
        Ok(&self.votes)
    }
}

/// Another vantage's vote on a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) up: bool,
    /// From its check until it could be another.
    pub(super) flips_in: Duration,
    /// When its check ended, by our clock.
    at: Instant,
}

impl Heard {
    /// `None` for one that is older than anything that counts.
    pub(super) fn new(vote: &ReportedVote, now: Instant) -> Option<Self> {
        let at = now.checked_sub(Duration::from_millis(vote.age))?;
        Some(Self { up: vote.up, flips_in: Duration::from_millis(vote.flips_in), at })
    }

    pub(super) fn is_fresh(&self, at: Instant, interval: Duration) -> bool {
        at.saturating_duration_since(self.at) < interval * FRESH + ON_THE_WAY
    }
}

/// How long a vote may be under way: reports are asked for every other second.
const ON_THE_WAY: Duration = Duration::from_secs(5);
/// Targets of the largest fleets, several times over.
const VOTES: usize = 200_000;
/// Address, host, path and expected text at their longest.
const OCTETS: usize = 8_192;
