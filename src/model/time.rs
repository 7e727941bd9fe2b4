//! One reading of the clock, handed in from outside.

use jiff::Timestamp;
use std::time::{Duration, Instant};

/// A point in time on both clocks: the monotonic one measures, the wall's outlives a restart.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For durations.
    pub mono: Instant,
    /// For what is written down or shown.
    pub wall: Timestamp,
}

impl Moment {
    /// That much later on both clocks.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let wall = self.wall.checked_add(delay).unwrap_or(Timestamp::MAX);
        Self { mono: self.mono + delay, wall }
    }
}
