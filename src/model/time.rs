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

/// A duration as Go and Kubernetes write it (`1m30s`; units ms, s, m, h); `None` when it is none.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (amount, tail) = rest.split_at(digits);
        let unit = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        let amount: u32 = amount.parse().ok()?;
        let one = match &tail[..unit] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return None,
        };
        total = total.checked_add(one.checked_mul(amount)?)?;
        rest = &tail[unit..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "10", "s", "1d", "-1s", "99999999999s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
