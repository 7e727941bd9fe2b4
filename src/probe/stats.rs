//! What was checked and how it went, as counters that any thread may read.

use crate::health::{Failure, Protocol};
use serde::Serialize;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The counters of one prober.
#[derive(Debug, Default)]
pub struct Stats {
    checks: [[AtomicU64; RESULTS.len()]; PROTOCOLS.len()],
    targets: AtomicU64,
    running: AtomicU64,
    lag_micros: AtomicU64,
}

/// The counters at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StatsView {
    /// Checks that have ended, for every protocol and result.
    pub checks: Vec<CheckCount>,
    /// Targets that are wanted.
    pub targets: u64,
    /// Checks that are under way.
    pub running: u64,
    /// Seconds by which checks start too late at present; 0 unless there are more than can be
    /// made.
    pub lag: f64,
}

/// How many checks of a protocol ended in one way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CheckCount {
    /// As in `http`.
    pub protocol: &'static str,
    /// `ok`, or the kind of failure, as in `timeout`.
    pub result: &'static str,
    /// Since the start.
    pub count: u64,
}

impl Stats {
    /// What they say now.
    #[must_use]
    pub fn view(&self) -> StatsView {
        let rows = PROTOCOLS.iter().zip(&self.checks);
        let checks = rows.flat_map(|(protocol, counters)| {
            RESULTS.iter().zip(counters).map(|(result, counter)| CheckCount {
                protocol,
                result,
                count: counter.load(Relaxed),
            })
        });
        StatsView {
            checks: checks.collect(),
            targets: self.targets.load(Relaxed),
            running: self.running.load(Relaxed),
            lag: Duration::from_micros(self.lag_micros.load(Relaxed)).as_secs_f64(),
        }
    }

    pub(super) fn ended(&self, protocol: &Protocol, result: &Result<(), Failure>) {
        self.checks[row(protocol)][column(result)].fetch_add(1, Relaxed);
    }

    pub(super) fn at_work(&self, targets: usize, running: usize, lag: Duration) {
        self.targets.store(targets as u64, Relaxed);
        self.running.store(running as u64, Relaxed);
        self.lag_micros.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

fn row(protocol: &Protocol) -> usize {
    match protocol {
        Protocol::Tcp => 0,
        Protocol::Http(_) => 1,
        Protocol::Https(..) => 2,
        Protocol::Grpc(..) => 3,
    }
}

fn column(result: &Result<(), Failure>) -> usize {
    match result {
        Ok(()) => 0,
        Err(Failure::Connect(_)) => 1,
        Err(Failure::Timeout(_)) => 2,
        Err(Failure::Tls(_)) => 3,
        Err(Failure::Status(_)) => 4,
        Err(Failure::Body) => 5,
        Err(Failure::Grpc(_)) => 6,
        Err(Failure::Protocol(_)) => 7,
        Err(Failure::Blocked(_)) => 8,
        Err(Failure::Local(_)) => 9,
    }
}

const PROTOCOLS: [&str; 4] = ["tcp", "http", "https", "grpc"];
const RESULTS: [&str; 10] =
    ["ok", "connect", "timeout", "tls", "status", "body", "grpc", "protocol", "blocked", "local"];
