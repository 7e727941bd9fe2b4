//! Small numbers with a unit, a range and a source.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How long a resolver may keep an answer, in seconds; 0 to 2³¹ − 1 (RFC 2181 §8).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest that RFC 2181 §8 allows.
    pub const MAX: Self = Self(i32::MAX as u32);
    /// For records that we serve ourselves, when nobody names another: three default probe
    /// intervals, so a resolver forgets a dead address about when we have noticed it.
    pub const SERVED: Self = Self(30);
    /// For records written to a provider: what Kubernetes federation v1 used (`minDNSTTL`).
    pub const WRITTEN: Self = Self(180);
    /// The least that answers are shortened to while health may turn, when nobody says otherwise:
    /// resolvers that ask every second gain nothing, and every failover costs them.
    pub const LEAST: Self = Self(5);

    /// A TTL of that many seconds; anything above [`Ttl::MAX`] is cut to it.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// In seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A zone's version number: 32 bits that wrap around (RFC 1982), so it has no `Ord`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// The next serial after `self` that is not behind the wall clock: seconds since 1970 where
    /// that is ahead (so a restart without state does not fall back), else one more.
    #[must_use]
    pub fn next(self, unix_seconds: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)] // serials live modulo 2³² (RFC 1982 §3)
        let clock = Self(unix_seconds as u32);
        if clock.is_after(self) { clock } else { Self(self.0.wrapping_add(1)) }
    }

    /// RFC 1982 §3.2: `self` is greater than `other`.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts publications; only rises, also across restarts (invariant I2).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share relative to its neighbours; 0 to 2²⁰, 100 when nobody says otherwise.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Weight(u32);

impl Weight {
    /// The largest weight.
    pub const MAX: Self = Self(1 << 20);

    /// That weight, or `None` above [`Weight::MAX`].
    #[must_use]
    pub fn new(weight: u32) -> Option<Self> {
        (weight <= Self::MAX.0).then_some(Self(weight))
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_follows_the_clock_and_never_falls() {
        assert_eq!(Serial(5).next(1_000), Serial(1_000));
        assert_eq!(Serial(1_000).next(1_000), Serial(1_001));
        assert_eq!(Serial(u32::MAX).next(0), Serial(0));
        assert!(Serial(0).is_after(Serial(u32::MAX)));
    }

    #[test]
    fn a_ttl_above_the_limit_is_cut() {
        assert_eq!(Ttl::from_secs(u32::MAX), Ttl::MAX);
    }
}
