//! What was transferred, as counters that any thread may raise.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// One thing that happened; its labels are words of ours, never what a packet says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Event {
    /// A transfer was given whole to its end, by kind: axfr, ixfr or soa.
    Given(&'static str),
    /// One ended before its end.
    Broken,
    /// One was not given, by why.
    Denied(&'static str),
    /// A signature was not taken, by its TSIG error.
    Tsig(&'static str),
    /// A notice came, by what became of it.
    NoticeIn(&'static str),
    /// A notice was sent, by what became of it.
    NoticeOut(&'static str),
    /// A zone was asked for, by what became of it.
    Taken(&'static str),
}

/// The counters of one process. None of this happens often, so one lock does.
#[derive(Debug, Default)]
pub struct Stats(Mutex<BTreeMap<Event, u64>>);

/// The counters at one time.
#[derive(Clone, Debug, Default)]
pub struct StatsView {
    /// How often each thing happened.
    pub events: BTreeMap<Event, u64>,
}

impl Stats {
    /// It happened once more.
    pub fn count(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *events.entry(event).or_default() += 1;
    }

    /// What they say now.
    #[must_use]
    pub fn view(&self) -> StatsView {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StatsView { events }
    }
}
