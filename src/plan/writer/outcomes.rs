//! What a writer makes of an outcome: what it knows from then on, and how long it waits.

use super::{ASIDE, DENIED_PAUSE, Entry, FIRST_PAUSE, LONGEST_PAUSE, SetAside, Versions, Writer};
use crate::{
    model::{Key, Moment},
    plan::{
        Action, Change, Failure, FailureKind, Listing, Marked, Owner, Permitted, RecordSet, SetKey,
        WINDOW, Written,
        diff::{self, epoch},
        mark_name, read_mark,
    },
    records::RecordType,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

impl Writer {
    /// What a read found.
    pub fn read(&mut self, at: Moment, outcome: Result<Listing, Failure>) {
        self.reading = false;
        self.status.reads += 1;
        match outcome {
            Ok(listing) => {
                self.went_well();
                self.status.looked = Some(at.wall);
                let look = self.jittered(self.manner.look);
                self.look_at = Some(at.mono + look);
                self.other = self.other_instance(&listing);
                self.notice_drift(at, &listing);
                self.uncertain.clear();
                self.last = Some(listing.clone());
                self.known = Some(listing);
                self.plan_again();
            }
            Err(failure) => self.pause_after(at, &failure),
        }
    }

    /// A copy of this installation that wrote here and is not us.
    fn other_instance(&mut self, listing: &Listing) -> Option<Arc<str>> {
        let problem = match epoch(listing, &self.owner) {
            Written::Never => return None,
            Written::Last(last) if last.instance == self.owner.instance => return None,
            Written::Last(last) if self.taking_over.as_ref() == Some(&last.instance) => {
                return None;
            }
            Written::Last(last) => {
                self.status.refused(&last.instance);
                return Some(last.instance);
            }
            Written::Forged => {
                "its generation record carries this installation's id but is not signed with its \
                 key; bring installation.json back from a backup, or give this installation \
                 another id"
            }
        };
        self.status.problem = Some(problem.to_owned());
        Some("unknown".into())
    }

    /// What others changed of ours is put right once, then left to people.
    fn notice_drift(&mut self, at: Moment, now: &Listing) {
        let Some(last) = self.last.take() else { return };
        for name in drifted(&self.owner, &last, now) {
            if self.uncertain.contains(&name) {
                continue;
            }
            self.status.drift += 1;
            let again = self.repaired.get(&name);
            if again.is_some_and(|when| at.mono.duration_since(*when) < WINDOW) {
                let reason = "somebody else changed it again within an hour of its repair; it is \
                              left alone for now, find out who writes it"
                    .to_owned();
                self.set_aside(at, &name, reason, WINDOW);
            } else {
                self.repaired.insert(name, at.mono);
            }
        }
    }

    /// What a write came to.
    pub fn wrote(&mut self, at: Moment, outcome: Result<Versions, Failure>) {
        let Some(batch) = self.flight.take() else { return };
        self.status.writes += 1;
        match outcome {
            Ok(versions) => self.applied(at, &batch, versions),
            Err(Failure::Unchecked(lack)) => self.go_without(at, &batch, &lack),
            Err(Failure::Rejected(reason)) if self.may_go_without(at, &batch, &reason) => {}
            Err(Failure::Rejected(reason)) => {
                let reason = format!("the provider refuses it: {reason}");
                self.refuse(at, batch.changes(), &reason);
                if !self.can.atomic {
                    self.most = (batch.changes().len() / 2).max(1);
                    self.half_done(&batch);
                }
            }
            Err(failure) => {
                let doubtful = matches!(failure.kind(), FailureKind::Lost | FailureKind::Unknown);
                if failure.kind() == FailureKind::Lost {
                    self.status.lost += 1;
                }
                if doubtful || !self.can.atomic {
                    self.half_done(&batch);
                }
                self.plan_again();
                self.pause_after(at, &failure);
            }
        }
    }

    /// Some of it may have been carried out: it is read again, and what is left is planned anew.
    fn half_done(&mut self, batch: &Permitted) {
        self.uncertain.extend(batch.changes().iter().map(|one| one.name.key()));
        self.known = None;
        self.plan_again();
    }

    fn applied(&mut self, at: Moment, batch: &Permitted, versions: Versions) {
        self.went_well();
        let Some(known) = self.known.take() else { return };
        let mut known = known.after(batch);
        known.set_versions(versions);
        self.last = Some(known.clone());
        self.known = Some(known);
        let removed = batch.changes().iter().filter(|change| change.action == Action::Remove);
        let removed: Vec<Key> = removed.map(|change| change.name.key()).collect();
        if !removed.is_empty() {
            self.removed.push_back((at.mono, removed.len()));
        }
        for key in &removed {
            self.provenance.remove(key);
        }
        self.taking_over = None;
        self.status.applied(at, batch);
        let approval = self.approval.as_ref();
        let entries = Entry::of(at.wall, &self.status, batch, approval);
        self.entries.extend(entries);
        if let Some(approval) = &mut self.approval {
            // What went no longer may: the ceiling is for all of it together.
            approval.ceiling = approval.ceiling.saturating_sub(removed.len());
        }
        if self.queue.is_empty() {
            // What was adopted is planned for next.
            self.adopting = None;
            self.plan = None;
            self.most = usize::MAX;
        }
    }

    /// Halves a batch that was refused; a name that is refused alone is left for a while.
    pub(super) fn refuse(&mut self, at: Moment, changes: &[Change], reason: &str) {
        match changes {
            [] => {}
            [one] => {
                self.set_aside(at, &one.name.key(), reason.to_owned(), ASIDE);
                self.plan = None;
                self.queue.clear();
            }
            many => {
                let (first, second) = many.split_at(many.len() / 2);
                self.queue.push_front(second.to_vec());
                self.queue.push_front(first.to_vec());
            }
        }
    }

    pub(super) fn set_aside(&mut self, at: Moment, key: &Key, reason: String, time: Duration) {
        let wanted = self.wanted.as_ref().and_then(|all| all.names.get(key)?.sets.clone());
        let until = at.mono + self.jittered(time);
        self.set_aside.insert(key.clone(), SetAside { reason, until, wanted });
    }

    fn went_well(&mut self) {
        self.failures = 0;
        self.status.problem = None;
        self.status.failure = None;
    }

    fn pause_after(&mut self, at: Moment, failure: &Failure) {
        let doubled = FIRST_PAUSE * (1 << self.failures.min(10));
        self.failures += 1;
        let pause = match failure {
            Failure::Throttled(after, _) => {
                self.calls.empty(at.mono);
                after.unwrap_or(doubled).max(FIRST_PAUSE)
            }
            Failure::Denied(_) | Failure::Zone(_) => DENIED_PAUSE.max(doubled),
            // The one who won may be at it still.
            Failure::Lost(_) => doubled / 4,
            _ => doubled,
        };
        let pause = self.jittered(pause.min(LONGEST_PAUSE));
        self.pause = Some(at.mono + pause);
        self.status.failed(failure);
    }

    /// Up to a tenth longer or shorter.
    pub(super) fn jittered(&mut self, time: Duration) -> Duration {
        time.mul_f64(0.9 + 0.2 * self.random.f64())
    }
}

/// Names whose records are ours and are not as they were last known.
fn drifted(owner: &Owner, last: &Listing, now: &Listing) -> BTreeSet<Key> {
    let own = |set: &&RecordSet| {
        let name = set.key.name();
        let mark = mark_name(last.zone(), &name);
        let key = SetKey::plain(&mark, RecordType::TXT);
        let marked = read_mark(owner, last.zone(), &name, last.get(&key));
        matches!(marked, Marked::Ours(mark) if diff::is_of(&mark, set))
    };
    let changed = |set: &&RecordSet| now.get(&set.key).is_none_or(|other| !other.says_as(set));
    let changed = last.sets().filter(changed).filter(own);
    changed.map(|set| set.key.owner.clone()).collect()
}
