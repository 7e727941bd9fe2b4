//! The one place that reads the clock.

use crate::model::Moment;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time on both clocks.
#[allow(clippy::disallowed_methods)] // the one reader of the clock; everybody else is handed a Moment
#[must_use]
pub fn now() -> Moment {
    Moment { mono: std::time::Instant::now(), wall: jiff::Timestamp::now() }
}

/// How long this thread has had a processor: other than elapsed time, it is not more where others
/// had it meanwhile.
#[must_use]
pub fn worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
