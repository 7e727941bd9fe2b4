//! The one place that reads the clock.

use crate::model::Moment;

/// The time on both clocks.
#[allow(clippy::disallowed_methods)] // the one reader of the clock; everybody else is handed a Moment
#[must_use]
pub fn now() -> Moment {
    Moment { mono: std::time::Instant::now(), wall: jiff::Timestamp::now() }
}
