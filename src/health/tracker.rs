//! Votes in, verdicts out, for all targets.
//!
//! ```text
//! votes        own and other vantage points', fresh ones alone; an isolated vantage abstains
//! quorum       down when a majority says so (both of two); too few votes: as it was
//! hold-down    down again soon after it came back: no way up for 30 s, 60 s, 120 s … 10 min
//! slow start   back up: 10 % of its share at first, all of it after 60 s
//! ```
//! `reference/geo-steering-dashboard.md` §3.4, §4.2.

use super::{
    Outcome, Target,
    entry::{Entry, Vantage},
    report::{Heard, Report, ReportError, ReportedVote},
    saved::{Saved, SavedVerdict},
};
use crate::model::Moment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

/// Whether a target works.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nobody could tell yet. Counts as up, for short.
    Unknown,
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// What is believed of a target, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it works.
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Which part of its share it should get while it warms up: above 0, at most 1.
    pub ramp: f64,
    /// Counted from its last check, the soonest that the state could be another; `None` when
    /// checks cannot turn it.
    pub flips_in: Option<Duration>,
    /// Why, in a sentence; empty when it is plainly up.
    pub reason: String,
}

/// How verdicts come about.
#[derive(Clone, Debug)]
pub struct Settings {
    /// After the second time down; doubled each further time.
    pub hold_down: Duration,
    /// At most so long.
    pub most_hold_down: Duration,
    /// So long up, and earlier times down are forgotten.
    pub forgive: Duration,
    /// From its return until a target gets its whole share.
    pub slow_start: Duration,
    /// Fewer votes than this change nothing.
    pub min_votes: usize,
    /// So many votes take a target down; a majority when `None`.
    pub quorum: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hold_down: Duration::from_secs(30),
            most_hold_down: Duration::from_secs(600),
            forgive: Duration::from_secs(600),
            slow_start: Duration::from_secs(60),
            min_votes: 1,
            quorum: None,
        }
    }
}

/// All targets with what is known of them.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) settings: Settings,
    entries: HashMap<Target, Entry>,
    by_id: HashMap<Arc<str>, Target>,
    /// How many different addresses are checked.
    addresses: usize,
    /// Other vantage points, each with when it was last heard and whether it finds all down.
    pub(super) vantages: BTreeMap<Arc<str>, Vantage>,
    /// Whether this process found all down when others did not.
    pub(super) isolated: bool,
    /// Verdicts from before a restart, of targets that are not wanted yet.
    remembered: HashMap<Arc<str>, SavedVerdict>,
}

impl Tracker {
    /// One that watches nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: HashMap::new(),
            by_id: HashMap::new(),
            addresses: 0,
            vantages: BTreeMap::new(),
            isolated: false,
            remembered: HashMap::new(),
        }
    }

    /// Watches exactly these from now on: those that stay keep what is known of them, those that
    /// went are forgotten.
    pub fn want(&mut self, at: Moment, wanted: &BTreeSet<Target>) {
        self.entries.retain(|target, _| wanted.contains(target));
        self.by_id.retain(|_, target| wanted.contains(target));
        for target in wanted {
            if self.entries.contains_key(target) {
                continue;
            }
            let id: Arc<str> = target.id().into();
            let entry = Entry::new(id.clone(), at, self.remembered.remove(&id));
            self.by_id.insert(id, target.clone());
            self.entries.insert(target.clone(), entry);
        }
        let addresses: BTreeSet<IpAddr> = wanted.iter().map(|target| target.address).collect();
        self.addresses = addresses.len();
    }

    /// Counts one check; whether the verdict on its target is another, or could soon be.
    pub fn observe(&mut self, at: Moment, outcome: &Outcome) -> bool {
        let Some(entry) = self.entries.get_mut(&outcome.target) else { return false };
        let shown = entry.vote.count(at.mono, &outcome.target.check, outcome);
        let turned =
            entry.settle(at, &outcome.target, &self.settings, &self.vantages, self.isolated);
        shown || turned
    }

    /// What time alone changes: votes that are too old, slow starts, ends of hold-downs, vantage
    /// points that are cut off. Once a second. Tells the targets whose verdict is another.
    pub fn tick(&mut self, at: Moment) -> Vec<Target> {
        let quiet = |own: &Vantage| at.mono.saturating_duration_since(own.heard) >= LOST;
        self.vantages.retain(|_, own| !quiet(own));
        self.isolated = self.is_isolated(at);
        let mut touched = Vec::new();
        for (target, entry) in &mut self.entries {
            let turned = entry.settle(at, target, &self.settings, &self.vantages, self.isolated);
            if turned | entry.warm_up(at, &self.settings) {
                touched.push(target.clone());
            }
        }
        touched
    }

    /// What is believed of a target.
    #[must_use]
    pub fn verdict(&self, at: Moment, target: &Target) -> Verdict {
        if let Some(entry) = self.entries.get(target) {
            return entry.verdict(at, target, self);
        }
        // One that is not wanted yet may be known from before a restart.
        let id: Arc<str> = target.id().into();
        let remembered = self.remembered.get(&id).cloned();
        Entry::new(id, at, remembered).verdict(at, target, self)
    }

    // === Vantage points ===

    /// What this process finds, for others; nothing while it seems cut off.
    #[must_use]
    pub fn report(&self, at: Moment) -> Report {
        let fresh = |(target, entry): (&Target, &Entry)| {
            let heard =
                entry.vote.heard.filter(|_| entry.vote.is_fresh(at.mono, target.check.interval))?;
            let age = at.mono.saturating_duration_since(heard);
            let flips_in = entry.vote.flips_in(&target.check);
            Some(Report::vote(entry.id.clone(), entry.vote.up?, age, flips_in))
        };
        Report { isolated: self.isolated, votes: self.entries.iter().filter_map(fresh).collect() }
    }

    /// Takes in what another vantage point finds; tells the targets whose verdict is another.
    ///
    /// # Errors
    /// When the report cannot be true; what that vantage said before stands.
    pub fn hear(
        &mut self,
        at: Moment,
        vantage: &str,
        report: &Report,
    ) -> Result<Vec<Target>, ReportError> {
        let votes = report.check()?;
        let name: Arc<str> = vantage.into();
        let isolated = report.isolated || finds_all_down(votes);
        if self.vantages.len() >= VANTAGES && !self.vantages.contains_key(&name) {
            return Err(ReportError::TooManyVantages { most: VANTAGES });
        }
        self.vantages.insert(name.clone(), Vantage { heard: at.mono, isolated });
        self.isolated = self.is_isolated(at);
        let mut touched = Vec::new();
        for vote in votes {
            let Some(target) = self.by_id.get(&*vote.target) else { continue };
            let Some(entry) = self.entries.get_mut(target) else { continue };
            // What is shown of a verdict, its votes and how soon it could turn, is another then
            // even if the verdict stays.
            let news = Heard::new(vote, at.mono).is_some_and(|heard| entry.hear(&name, heard));
            if entry.settle(at, target, &self.settings, &self.vantages, self.isolated) | news {
                touched.push(target.clone());
            }
        }
        Ok(touched)
    }

    /// Finding everything down says more about oneself, when another vantage is there to say
    /// otherwise.
    fn is_isolated(&self, at: Moment) -> bool {
        let others = self.vantages.values().any(|own| !own.isolated);
        if !others || self.addresses < ISOLATION {
            return false;
        }
        let mut decided = self.entries.iter().filter_map(|(target, entry)| {
            entry.vote.up.filter(|_| entry.vote.is_fresh(at.mono, target.check.interval))
        });
        let mut all = decided.by_ref().peekable();
        all.peek().is_some() && all.all(|up| !up)
    }

    // === State on disk ===

    /// What to keep over a restart.
    #[must_use]
    pub fn save(&self, at: Moment) -> Saved {
        let saved = |entry: &Entry| SavedVerdict {
            target: entry.id.clone(),
            up: entry.state == State::Up,
            since: entry.since.wall,
            falls: entry.falls,
        };
        let decided = self.entries.values().filter(|entry| entry.state != State::Unknown);
        let mut verdicts: Vec<SavedVerdict> = decided.map(saved).collect();
        // What is not wanted yet, shortly after a start, must not be lost by the next.
        verdicts.extend(self.remembered.values().cloned());
        verdicts.sort_by(|one, other| one.target.cmp(&other.target));
        Saved { at: at.wall, verdicts }
    }

    /// Takes over what was kept, for targets that will be wanted. It is believed until checks
    /// decide otherwise, but not at all when it is older than [`Saved::GOOD_FOR`].
    pub fn restore(&mut self, at: Moment, saved: Saved) {
        if saved.is_good(at.wall) {
            self.remembered =
                saved.verdicts.into_iter().map(|own| (own.target.clone(), own)).collect();
        }
    }
}

/// Whether a vantage finds nothing up among enough to tell.
fn finds_all_down(votes: &[ReportedVote]) -> bool {
    votes.len() >= ISOLATION && votes.iter().all(|vote| !vote.up)
}

/// With fewer addresses, all of them may well be down.
const ISOLATION: usize = 3;
/// A vantage that is not heard for so long is gone.
const LOST: Duration = Duration::from_secs(60);
/// Vantage points that are listened to.
const VANTAGES: usize = 64;
