//! What was transferred, as counters that any thread may raise.

use crate::model::{Name, Serial};
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

/// What there is to say of transfers at one time.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What happened how often.
    pub stats: StatsView,
    /// Transfers out that are under way.
    pub running: usize,
    /// The zones that are given to somebody.
    pub journals: Vec<Journaled>,
    /// The zones that live elsewhere.
    pub replicas: Vec<Replicated>,
}

/// A zone that is given to somebody.
#[derive(Clone, Debug)]
pub struct Journaled {
    /// Its name.
    pub zone: Name,
    /// Older versions that differences are known of.
    pub versions: usize,
    /// Octets that these take, about.
    pub octets: usize,
}

/// A zone that lives elsewhere.
#[derive(Clone, Debug)]
pub struct Replicated {
    /// Its name.
    pub zone: Name,
    /// The serial of its primary that is served; `None` while it is missing.
    pub serial: Option<Serial>,
    /// When the primary last said that it is the newest, in seconds since 1970.
    pub confirmed: Option<u64>,
}
