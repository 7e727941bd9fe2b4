//! Verdicts as they are kept over a restart, so that nothing is learnt again from "unknown".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// All verdicts at one time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// When they were saved.
    pub at: Timestamp,
    /// Those that were decided.
    pub verdicts: Vec<SavedVerdict>,
}

/// One verdict.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedVerdict {
    /// [`Target::id`](super::Target::id).
    pub target: Arc<str>,
    /// Whether it worked.
    pub up: bool,
    /// Since when.
    pub since: Timestamp,
    /// Times down since it was last up for long.
    #[serde(default)]
    pub falls: u8,
}

impl Saved {
    /// Older verdicts say nothing: whatever was down has had its time to come back.
    pub const GOOD_FOR: Duration = Duration::from_secs(900);

    /// Whether they may still be believed. A clock that went backwards makes them no older.
    #[must_use]
    pub fn is_good(&self, at: Timestamp) -> bool {
        at.duration_since(self.at)
            <= jiff::SignedDuration::try_from(Self::GOOD_FOR).unwrap_or_default()
    }
}
