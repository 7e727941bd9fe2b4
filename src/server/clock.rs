//! What time it is for a packet: the two clocks that its answer may hang on, read outside.

use crate::model::Moment;
use std::time::{Duration, Instant};

/// When a packet came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    /// Seconds since 1970, modulo 2^32, as cookies count them (RFC 9018 §4.3).
    pub seconds: u32,
    /// Milliseconds of a clock that never goes back, from any beginning: what limits count.
    pub millis: u64,
}

/// Where stamps come from: one reading may serve a whole batch of packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<Running>);

#[derive(Clone, Copy, Debug)]
struct Running {
    now: fn() -> Moment,
    since: Instant,
    worked: Option<fn() -> Duration>,
}

impl Clock {
    /// Runs as `now` does; the default clock stands still.
    #[must_use]
    pub fn new(now: fn() -> Moment) -> Self {
        Self(Some(Running { now, since: now().mono, worked: None }))
    }

    /// Also knows how long the thread that asks has had a processor.
    #[must_use]
    pub fn with_work(self, worked: fn() -> Duration) -> Self {
        Self(self.0.map(|running| Running { worked: Some(worked), ..running }))
    }

    /// How long this thread has had a processor, since any beginning.
    pub(super) fn worked(&self) -> Duration {
        self.0.and_then(|running| running.worked).map_or(Duration::ZERO, |worked| worked())
    }

    /// The time now.
    #[must_use]
    pub fn read(&self) -> Stamp {
        let Some(Running { now, since, .. }) = self.0 else { return Stamp::default() };
        let at = now();
        let millis = at.mono.saturating_duration_since(since).as_millis();
        Stamp {
            seconds: u32::try_from(at.wall.as_second() & i64::from(u32::MAX)).unwrap_or_default(),
            millis: u64::try_from(millis).unwrap_or(u64::MAX),
        }
    }
}
