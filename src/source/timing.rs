//! How long to wait for what, in one place; tests wait less.

use std::{ops::Range, time::Duration};

/// The waits of one API server's watches.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    /// For every call but a watch, and for a watch to begin.
    pub(super) patience: Duration,
    /// Between two readiness probes, and for one's answer.
    pub(super) probe_every: Duration,
    pub(super) probe_patience: Duration,
    /// A watch gets a bookmark about once a minute; after this much silence it is dead.
    pub(super) silence: Duration,
    /// From the start of one watch to the start of the next.
    pub(super) watch_floor: Duration,
    /// After an empty list where there were objects, until it is asked for again.
    pub(super) confirm: Duration,
    /// After a periodic list that failed.
    pub(super) relist_retry: Duration,
    /// Between two looks at the kubeconfig.
    pub(super) reload: Duration,
    /// The longest pause after a failure.
    pub(super) backoff_limit: Duration,
    /// The pause after a refusal that is not believed yet.
    pub(super) refused: Duration,
    /// Seconds after which a refused kind is asked for again.
    pub(super) denied_seconds: Range<f64>,
    /// Seconds after which a kind is listed again, in case the API server's memory went wrong.
    pub(super) relist_seconds: Range<f64>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(30),
            probe_every: Duration::from_secs(5),
            probe_patience: Duration::from_secs(3),
            silence: Duration::from_secs(100),
            watch_floor: Duration::from_secs(1),
            confirm: Duration::from_secs(2),
            relist_retry: Duration::from_secs(60),
            reload: Duration::from_secs(10),
            backoff_limit: Duration::from_secs(10),
            refused: Duration::from_secs(2),
            denied_seconds: 30.0..60.0,
            relist_seconds: 1_800.0..3_600.0,
        }
    }
}

impl Timing {
    /// How long a watch may last, in seconds: each another time, so that they do not all start
    /// anew together.
    #[must_use]
    pub(super) fn watch_seconds(&self) -> u32 {
        fastrand::u32(240..=290)
    }

    #[must_use]
    pub(super) fn denied(&self) -> Duration {
        random(&self.denied_seconds)
    }

    #[must_use]
    pub(super) fn relist(&self) -> Duration {
        random(&self.relist_seconds)
    }
}

fn random(seconds: &Range<f64>) -> Duration {
    Duration::from_secs_f64(seconds.start + (seconds.end - seconds.start) * fastrand::f64())
}
