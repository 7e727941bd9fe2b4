//! Counts what is noted about queries and answers beside their number: cookies, limits, extended
//! errors, and whom answers lead to.

use super::{
    compiled::MOST_ZONES,
    cookies::Worth,
    guard::Notes,
    rrl::Verdict,
    stats::{CookieCounts, StatsView},
};
use crate::records::{Led, RecordType};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters that all threads share.
#[derive(Debug)]
pub(super) struct Noted(Box<[AtomicU64]>);

/// What one thread has noted since it last told.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(SmallVec<[(usize, u64); 12]>);

/// Where each is counted.
const GOOD: usize = 0;
const BAD: usize = 1;
const NEW: usize = 2;
const SLIPPED: usize = 3;
const SPARED: usize = 4;
/// The first extended error, that of number 0.
const EXTENDED: usize = 5;
/// Those of RFC 8914 end at 24; the first of those whom answers lead to, that of number 0.
const LED: usize = EXTENDED + 25;
/// More of those than anyone gives numbers to; then the first of the zones.
const ZONE: usize = LED + 4_097;
/// Then the types, of which those above 255 are one.
const TYPE: usize = ZONE + MOST_ZONES + 1;
const PLACES: usize = TYPE + OTHER as usize + 1;
const OTHER: u16 = 256;

impl Default for Noted {
    fn default() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(PLACES).collect())
    }
}

impl Noted {
    /// Adds what a thread has noted.
    pub(super) fn add(&self, tally: &Tally) {
        for (place, many) in &tally.0 {
            if let Some(counter) = self.0.get(*place) {
                counter.fetch_add(*many, Relaxed);
            }
        }
    }

    /// What they say now.
    pub(super) fn view(&self, view: StatsView) -> StatsView {
        let at = |place: usize| self.0[place].load(Relaxed);
        let led = (0..).zip(LED..ZONE).map(|(number, place)| (Led(number), at(place)));
        let from = |first: usize, end: usize| -> Vec<(u16, u64)> {
            let all = (0..).zip(first..end).map(|(number, place)| (number, at(place)));
            all.filter(|(_, count)| *count > 0).collect()
        };
        let errors = (0..).zip(EXTENDED..LED).map(|(code, place)| (code, at(place)));
        StatsView {
            cookies: CookieCounts { good: at(GOOD), bad: at(BAD), new: at(NEW) },
            slipped: at(SLIPPED),
            spared: at(SPARED),
            extended: errors.filter(|(_, count)| *count > 0).collect(),
            led: led.filter(|(_, count)| *count > 0).collect(),
            zones: from(ZONE, TYPE),
            types: from(TYPE, PLACES).into_iter().map(named).collect(),
            ..view
        }
    }
}

fn named((rtype, count): (u16, u64)) -> (String, u64) {
    let name = match rtype {
        OTHER => "other".to_owned(),
        own => RecordType(own).to_string(),
    };
    (name, count)
}

impl Tally {
    pub(super) fn note(&mut self, notes: &Notes) {
        match notes.cookie {
            Some(Worth::Good) => self.raise(GOOD),
            Some(Worth::Bad) => self.raise(BAD),
            Some(Worth::New) => self.raise(NEW),
            None => {}
        }
        match notes.limited {
            Some(_) if notes.dry_run => self.raise(SPARED),
            Some(Verdict::Slip) => self.raise(SLIPPED),
            Some(Verdict::Drop | Verdict::Pass) | None => {}
        }
        if let Some(code) = notes.extended {
            self.raise(EXTENDED + usize::from(code));
        }
        if let Some(rtype) = notes.rtype {
            self.raise(TYPE + usize::from(rtype.0.min(OTHER)));
        }
        if notes.zone != 0 {
            self.raise(ZONE + usize::from(notes.zone));
        }
        if notes.led != Led::default() {
            self.raise(LED + usize::from(notes.led.0));
        }
    }

    fn raise(&mut self, place: usize) {
        match self.0.iter_mut().find(|(own, _)| *own == place) {
            Some((_, sum)) => *sum += 1,
            None => self.0.push((place, 1)),
        }
    }
}
