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
    report::{Heard, Report, ReportError, ReportedVote},
    saved::{Saved, SavedVerdict},
    vote::Vote,
};
use crate::model::Moment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
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
    settings: Settings,
    entries: HashMap<Target, Entry>,
    by_id: HashMap<Arc<str>, Target>,
    /// How many different addresses are checked.
    addresses: usize,
    /// Other vantage points, each with when it was last heard and whether it finds all down.
    vantages: BTreeMap<Arc<str>, Vantage>,
    /// Whether this process found all down when others did not.
    isolated: bool,
    /// Verdicts from before a restart, of targets that are not wanted yet.
    remembered: HashMap<Arc<str>, SavedVerdict>,
}

#[derive(Clone, Debug)]
struct Vantage {
    heard: Instant,
    isolated: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    id: Arc<str>,
    vote: Vote,
    others: BTreeMap<Arc<str>, Heard>,
    state: State,
    since: Moment,
    /// Times down since it was last up for long.
    falls: u8,
    held_until: Option<Instant>,
    /// When it came back, and how far its slow start was at the last look.
    warming: Option<(Instant, u8)>,
}

/// Votes for one target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Count {
    up: usize,
    down: usize,
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
            if let Some(heard) = Heard::new(vote, at.mono) {
                entry.others.insert(name.clone(), heard);
            }
            if entry.settle(at, target, &self.settings, &self.vantages, self.isolated) {
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

impl Entry {
    fn new(id: Arc<str>, at: Moment, remembered: Option<SavedVerdict>) -> Self {
        let mut entry = Self {
            id,
            vote: Vote::default(),
            others: BTreeMap::new(),
            state: State::Unknown,
            since: at,
            falls: 0,
            held_until: None,
            warming: None,
        };
        if let Some(own) = remembered {
            entry.vote = Vote::decided(own.up, at.mono);
            entry.state = if own.up { State::Up } else { State::Down };
            entry.since = Moment { wall: own.since, ..at };
            entry.falls = own.falls;
        }
        entry
    }

    /// Counts the votes; whether that turned the verdict.
    fn settle(
        &mut self,
        at: Moment,
        target: &Target,
        settings: &Settings,
        vantages: &BTreeMap<Arc<str>, Vantage>,
        isolated: bool,
    ) -> bool {
        self.others.retain(|name, heard| {
            vantages.contains_key(name) && heard.is_fresh(at.mono, target.check.interval)
        });
        let next = match self.decide(at, target, settings, vantages, isolated) {
            State::Up if self.is_held(at) => self.state,
            next => next,
        };
        if next == self.state {
            self.forgive(at, settings);
            return false;
        }
        match (self.state, next) {
            (_, State::Down) => self.fall(at, settings),
            (State::Down, _) => self.warming = Some((at.mono, 0)),
            _ => {}
        }
        (self.state, self.since) = (next, at);
        true
    }

    fn decide(
        &self,
        at: Moment,
        target: &Target,
        settings: &Settings,
        vantages: &BTreeMap<Arc<str>, Vantage>,
        isolated: bool,
    ) -> State {
        let count = self.count(at, target, vantages, isolated);
        let votes = count.up + count.down;
        if votes < settings.min_votes.max(1) {
            return self.state;
        }
        let quorum = settings.quorum.unwrap_or(votes / 2 + 1);
        if count.down >= quorum { State::Down } else { State::Up }
    }

    fn count(
        &self,
        at: Moment,
        target: &Target,
        vantages: &BTreeMap<Arc<str>, Vantage>,
        isolated: bool,
    ) -> Count {
        let mut count = Count::default();
        for (up, _) in self.votes(at, target, vantages, isolated) {
            *(if up { &mut count.up } else { &mut count.down }) += 1;
        }
        count
    }

    /// The votes that count, each with the time from its check until it could be another.
    fn votes(
        &self,
        at: Moment,
        target: &Target,
        vantages: &BTreeMap<Arc<str>, Vantage>,
        isolated: bool,
    ) -> impl Iterator<Item = (bool, Duration)> {
        let fresh = self.vote.is_fresh(at.mono, target.check.interval) && !isolated;
        let own = self.vote.up.filter(|_| fresh);
        let own = own.map(|up| (up, self.vote.flips_in(&target.check)));
        let counted = |name: &Arc<str>| vantages.get(name).is_some_and(|own| !own.isolated);
        let others = self.others.iter().filter(move |(name, _)| counted(name));
        own.into_iter().chain(others.map(|(_, own)| (own.up, own.flips_in)))
    }

    fn fall(&mut self, at: Moment, settings: &Settings) {
        self.warming = None;
        self.falls = self.falls.saturating_add(1);
        // The first time may be a fault that was mended; from the second on it is flapping.
        let Some(doubled) = self.falls.checked_sub(2) else { return };
        let factor = 1_u32.checked_shl(u32::from(doubled)).unwrap_or(u32::MAX);
        let hold = settings.hold_down.saturating_mul(factor).min(settings.most_hold_down);
        self.held_until = at.mono.checked_add(hold);
    }

    fn is_held(&self, at: Moment) -> bool {
        self.state == State::Down && self.held_until.is_some_and(|until| at.mono < until)
    }

    fn forgive(&mut self, at: Moment, settings: &Settings) {
        let up_for = at.mono.saturating_duration_since(self.since.mono);
        if self.state == State::Up && up_for >= settings.forgive {
            self.falls = 0;
        }
    }

    /// Moves the slow start on; whether it took a step.
    fn warm_up(&mut self, at: Moment, settings: &Settings) -> bool {
        let Some((since, before)) = self.warming else { return false };
        let now = step(at.mono.saturating_duration_since(since), settings.slow_start);
        self.warming = (now < STEPS).then_some((since, now));
        now != before
    }

    fn verdict(&self, at: Moment, target: &Target, tracker: &Tracker) -> Verdict {
        let ramp = self.warming.map_or(1.0, |(_, step)| f64::from(step.max(1)) / f64::from(STEPS));
        Verdict {
            state: self.state,
            since: self.since.wall,
            ramp,
            flips_in: self.flips_in(at, target, tracker),
            reason: self.reason(at, target, tracker, ramp),
        }
    }

    /// As soon as so many votes could turn that the verdict would, and a hold-down is over.
    fn flips_in(&self, at: Moment, target: &Target, tracker: &Tracker) -> Option<Duration> {
        if self.vote.unmade.is_some() && self.others.is_empty() {
            return None;
        }
        let up = self.state != State::Down;
        let votes = self.votes(at, target, &tracker.vantages, tracker.isolated);
        let (mut with, against): (Vec<_>, Vec<_>) = votes.partition(|(own, _)| *own == up);
        let all = with.len() + against.len();
        let quorum = tracker.settings.quorum.unwrap_or(all / 2 + 1);
        let needed = match self.state {
            State::Unknown => 0,
            State::Up => quorum.saturating_sub(against.len()),
            State::Down => (with.len() + 1).saturating_sub(quorum),
        };
        with.sort_by_key(|(_, time)| *time);
        let last = needed.checked_sub(1).and_then(|at| with.get(at));
        let soonest = last.map_or(Duration::ZERO, |(_, time)| *time);
        let held = self.held_until.filter(|_| self.state == State::Down);
        let held = held.map(|until| until.saturating_duration_since(at.mono));
        Some(soonest.max(held.unwrap_or_default()))
    }

    fn reason(&self, at: Moment, target: &Target, tracker: &Tracker, ramp: f64) -> String {
        let check = &target.check;
        let mut all = Vec::new();
        match (self.state, self.vote.failing()) {
            (State::Down, failing) => {
                let last = failing.map(|(_, failure)| format!(": {failure}")).unwrap_or_default();
                all.push(format!("down since {:.0}{last}", self.since.wall));
            }
            (State::Up, Some((fails, failure))) => {
                all.push(format!("{fails} of {} failures: {failure}", check.fall));
            }
            (State::Unknown, Some((fails, failure))) => {
                all.push(format!("not known yet, {fails} of {} failures: {failure}", check.fall));
            }
            (State::Unknown, None) if self.vote.unmade.is_none() => {
                all.push("not checked yet".to_owned());
            }
            (State::Up | State::Unknown, None) => {}
        }
        all.extend(self.vote.unmade.clone());
        let stale = self.vote.heard.is_some() && !self.vote.is_fresh(at.mono, check.interval);
        if stale && self.vote.unmade.is_none() {
            all.push("no check has ended for three intervals, so it stays as it was".to_owned());
        }
        if ramp < 1.0 {
            all.push(format!("slow start at {:.0} %", ramp * 100.0));
        }
        if self.is_held(at) {
            all.push(format!("held down after {} times down", self.falls));
        }
        if !self.others.is_empty() {
            let Count { up, down } = self.count(at, target, &tracker.vantages, tracker.isolated);
            if down > 0 {
                all.push(format!("{down} of {} vantage points find it down", up + down));
            }
        }
        if tracker.isolated {
            all.push("this process finds everything down and leaves it to others".to_owned());
        }
        all.join("; ")
    }
}

/// Whether a vantage finds nothing up among enough to tell.
fn finds_all_down(votes: &[ReportedVote]) -> bool {
    votes.len() >= ISOLATION && votes.iter().all(|vote| !vote.up)
}

/// How far a slow start is, in steps.
fn step(elapsed: Duration, whole: Duration) -> u8 {
    if elapsed >= whole {
        return STEPS;
    }
    let step = elapsed.as_millis() * u128::from(STEPS) / whole.as_millis().max(1);
    u8::try_from(step).unwrap_or(STEPS)
}

/// A slow start compiles its services this often.
const STEPS: u8 = 10;
/// With fewer addresses, all of them may well be down.
const ISOLATION: usize = 3;
/// A vantage that is not heard for so long is gone.
const LOST: Duration = Duration::from_secs(60);
/// Vantage points that are listened to.
const VANTAGES: usize = 64;
