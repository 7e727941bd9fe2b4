//! Token buckets on a clock that is handed in.

use crate::plan::Bucket;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub(super) struct Tokens {
    bucket: Bucket,
    left: f64,
    at: Option<Instant>,
}

impl Tokens {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, left: bucket.burst, at: None }
    }

    fn refill(&mut self, now: Instant) {
        let gone = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let gained = gone.as_secs_f64() * self.bucket.per_second;
        self.left = (self.left + gained).min(self.bucket.burst);
        self.at = Some(now);
    }

    /// How long until that many are there. More than the bucket holds are there when it is full:
    /// the rest is owed.
    pub(super) fn wait(&mut self, now: Instant, tokens: f64) -> Duration {
        self.refill(now);
        let missing = tokens.min(self.bucket.burst) - self.left;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.bucket.per_second).unwrap_or(Duration::MAX)
    }

    pub(super) fn take(&mut self, now: Instant, tokens: f64) {
        self.refill(now);
        self.left -= tokens;
    }

    /// What was taken and not spent.
    pub(super) fn give_back(&mut self, now: Instant, tokens: f64) {
        self.refill(now);
        self.left = (self.left + tokens).min(self.bucket.burst);
    }

    /// How many are there.
    pub(super) fn there(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.left
    }

    /// The provider says that there are none.
    pub(super) fn empty(&mut self, now: Instant) {
        self.refill(now);
        self.left = self.left.min(0.0);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test needs some instant to start from
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_with_time_and_large_batches_are_owed() {
        let start = Instant::now();
        let mut tokens = Tokens::new(Bucket { burst: 10.0, per_second: 2.0 });
        assert_eq!(tokens.wait(start, 10.0), Duration::ZERO);
        tokens.take(start, 10.0);
        assert_eq!(tokens.wait(start, 4.0), Duration::from_secs(2));
        let later = start + Duration::from_secs(100);
        assert_eq!(tokens.wait(later, 30.0), Duration::ZERO);
        tokens.take(later, 30.0);
        assert_eq!(tokens.wait(later, 1.0), Duration::from_millis(10_500));
    }
}
