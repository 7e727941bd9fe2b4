//! An operator's word on a cluster: it stands over what its objects and checks say, and it ends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a cluster counts as.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Forced {
    /// Healthy.
    Up,
    /// Failed.
    Down,
    /// Healthy, but without new clients as long as another cluster can serve them.
    Drain,
}

/// The word, by whom, why and for how long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// What.
    pub kind: Forced,
    /// Why, for whoever looks at it later.
    pub reason: String,
    /// Who said so, as far as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was said.
    pub since: Timestamp,
    /// When it ends by itself; never when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Override {
    /// Whether it is over.
    #[must_use]
    pub fn expired(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= at)
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Forced::Up => "forced up",
            Forced::Down => "forced down",
            Forced::Drain => "drained",
        })?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        if let Some(until) = &self.until {
            write!(f, " until {until:.0}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
