//! Names that are written without the provider's health checks for a while, since those cannot be
//! had: too many, not allowed, or refused. The records matter more than their checks.

use super::{ASIDE, Writer};
use crate::{
    model::{Key, Moment},
    plan::{Change, Degraded, Fidelity, Permitted, RecordSet, Rendered, Unchecked},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Which names do without, and why.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    names: BTreeMap<Key, Lack>,
    /// For every name, where no check at all can be had.
    all: Option<(String, Instant)>,
}

/// See [`Lacking`].
#[derive(Debug)]
struct Lack {
    reason: String,
    until: Instant,
    /// What was wanted then: something else is tried at once.
    wanted: Option<Vec<RecordSet>>,
}

impl Lacking {
    /// When checks are tried again next.
    pub(super) fn due(&self) -> Option<Instant> {
        let all = self.all.iter().map(|(_, until)| *until);
        self.names.values().map(|lack| lack.until).chain(all).min()
    }

    /// Forgets what is over; whether there was such.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.names.len() + usize::from(self.all.is_some());
        self.names.retain(|_, lack| lack.until > now);
        self.all.take_if(|(_, until)| *until <= now);
        before > self.names.len() + usize::from(self.all.is_some())
    }

    /// What is wanted, with the names that do without as they are then.
    pub(super) fn applied(&self, wanted: &Arc<Rendered>) -> Arc<Rendered> {
        if self.names.is_empty() && self.all.is_none() {
            return wanted.clone();
        }
        let mut own = Rendered::clone(wanted);
        let mut reasons: BTreeMap<Key, String> = BTreeMap::new();
        for (key, say) in &mut own.names {
            let (Some(plain), Some(reason)) =
                (&say.unchecked, self.reason(key, say.sets.as_deref()))
            else {
                continue;
            };
            say.sets = Some(plain.clone());
            reasons.insert(key.clone(), reason.to_owned());
        }
        // What was to be said of its checks does not matter any more.
        own.degraded.retain(|one| one.clause != CLAUSE || !reasons.contains_key(&one.name.key()));
        own.degraded.extend(reasons.into_iter().map(|(key, text)| Degraded {
            name: key.to_name(),
            clause: CLAUSE,
            fidelity: Fidelity::Unsupported,
            text,
        }));
        own.degraded.sort();
        Arc::new(own)
    }

    fn reason(&self, key: &Key, wanted: Option<&[RecordSet]>) -> Option<&str> {
        let own = self.names.get(key).filter(|lack| lack.wanted.as_deref() == wanted);
        own.map(|lack| &lack.reason)
            .or(self.all.as_ref().map(|(reason, _)| reason))
            .map(|own| &**own)
    }

    fn holds(&self, key: &Key) -> bool {
        self.all.is_some() || self.names.contains_key(key)
    }
}

impl Writer {
    /// Checks that a batch needs cannot be had: its names are planned without them.
    pub(super) fn go_without(&mut self, at: Moment, batch: &Permitted, lack: &Unchecked) {
        let needs = |change: &&Change| {
            checks(change).any(|own| lack.which.as_ref().is_none_or(|which| which.contains(own)))
        };
        let names: Vec<Key> =
            batch.changes().iter().filter(needs).map(|one| one.name.key()).collect();
        for name in names {
            if self.has_plain(&name) {
                self.lack(at, name, &lack.reason);
            } else {
                self.set_aside(at, &name, lack.reason.clone(), ASIDE);
            }
        }
        if lack.which.is_none() {
            self.lacking.all = Some((lack.reason.clone(), at.mono + self.jittered(ASIDE)));
        }
        self.plan_again();
    }

    /// Whether a name that is refused alone is to be tried without its checks.
    pub(super) fn may_go_without(&mut self, at: Moment, batch: &Permitted, reason: &str) -> bool {
        let [one] = batch.changes() else { return false };
        let key = one.name.key();
        if !self.has_plain(&key) || self.lacking.holds(&key) || checks(one).next().is_none() {
            return false;
        }
        self.lack(at, key, &format!("not checked by the provider, which refuses it: {reason}"));
        self.plan_again();
        true
    }

    /// Whether it is known what a name holds without checks.
    fn has_plain(&self, key: &Key) -> bool {
        self.wanted.as_ref().and_then(|own| own.names.get(key)?.unchecked.as_ref()).is_some()
    }

    fn lack(&mut self, at: Moment, key: Key, reason: &str) {
        let wanted = self.wanted.as_ref().and_then(|own| own.names.get(&key)?.sets.clone());
        let until = at.mono + self.jittered(ASIDE);
        self.lacking.names.insert(key, Lack { reason: reason.to_owned(), until, wanted });
    }
}

/// The checks that the sets of a change are to have.
fn checks(change: &Change) -> impl Iterator<Item = &Arc<str>> {
    change.create.iter().filter_map(|set| set.more.get("check"))
}

/// The part of a policy that is not said.
const CLAUSE: &str = "health";
