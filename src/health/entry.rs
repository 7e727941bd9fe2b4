//! What is known of one target: its votes counted, its hold-down and slow start.

use super::{
    Settings, State, Target, Tracker, Verdict, report::Heard, saved::SavedVerdict, vote::Vote,
};
use crate::model::Moment;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Another vantage point.
#[derive(Clone, Debug)]
pub(super) struct Vantage {
    pub(super) heard: Instant,
    pub(super) isolated: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    pub(super) vote: Vote,
    pub(super) others: BTreeMap<Arc<str>, Heard>,
    pub(super) state: State,
    pub(super) since: Moment,
    /// Times down since it was last up for long.
    pub(super) falls: u8,
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

impl Entry {
    pub(super) fn new(id: Arc<str>, at: Moment, remembered: Option<SavedVerdict>) -> Self {
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

    /// Takes in another vantage's vote; whether it says something else than before.
    pub(super) fn hear(&mut self, vantage: &Arc<str>, heard: Heard) -> bool {
        let before = self.others.insert(vantage.clone(), heard);
        before.is_none_or(|before| (before.up, before.flips_in) != (heard.up, heard.flips_in))
    }

    /// Counts the votes; whether that turned the verdict, or a vote that was counted is too old.
    pub(super) fn settle(
        &mut self,
        at: Moment,
        target: &Target,
        settings: &Settings,
        vantages: &BTreeMap<Arc<str>, Vantage>,
        isolated: bool,
    ) -> bool {
        let heard = self.others.len();
        self.others.retain(|name, heard| {
            vantages.contains_key(name) && heard.is_fresh(at.mono, target.check.interval)
        });
        let silenced = self.others.len() != heard;
        let next = match self.decide(at, target, settings, vantages, isolated) {
            State::Up if self.is_held(at) => self.state,
            next => next,
        };
        if next == self.state {
            self.forgive(at, settings);
            return silenced;
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
    pub(super) fn warm_up(&mut self, at: Moment, settings: &Settings) -> bool {
        let Some((since, before)) = self.warming else { return false };
        let now = step(at.mono.saturating_duration_since(since), settings.slow_start);
        self.warming = (now < STEPS).then_some((since, now));
        now != before
    }

    pub(super) fn verdict(&self, at: Moment, target: &Target, tracker: &Tracker) -> Verdict {
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
