//! Names that are written without the provider's health checks for a while, since those cannot be
//! had: too many, not allowed, or refused. The records matter more than their checks.

use super::{ASIDE, Writer};
use crate::{
    model::{Key, Moment},
    plan::{Change, Degraded, Fidelity, Permitted, RecordSet, Rendered, Unchecked},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

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
    /// The checks that were wanted then: others are tried at once.
    checks: BTreeSet<Arc<str>>,
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
        let same = |lack: &&Lack| wanted.is_some_and(|sets| checks_of(sets) == lack.checks);
        let own = self.names.get(key).filter(same);
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
        let until = at.mono + self.jittered(if lack.lasting { LASTING } else { ASIDE });
        for name in names {
            if self.has_plain(&name) {
                self.lack(name, &lack.reason, until);
            } else {
                self.set_aside(at, &name, lack.reason.clone(), ASIDE);
            }
        }
        if lack.which.is_none() {
            self.lacking.all = Some((lack.reason.clone(), until));
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
        let until = at.mono + self.jittered(LASTING);
        self.lack(key, &format!("not checked by the provider, which refuses it: {reason}"), until);
        if self.queue.is_empty() {
            self.plan_again();
        }
        true
    }

    /// Whether it is known what a name holds without checks.
    fn has_plain(&self, key: &Key) -> bool {
        self.wanted.as_ref().and_then(|own| own.names.get(key)?.unchecked.as_ref()).is_some()
    }

    fn lack(&mut self, key: Key, reason: &str, until: Instant) {
        let wanted = self.wanted.as_ref().and_then(|own| own.names.get(&key)?.sets.as_deref());
        let checks = wanted.map(checks_of).unwrap_or_default();
        self.lacking.names.insert(key, Lack { reason: reason.to_owned(), until, checks });
    }
}

fn checks_of(sets: &[RecordSet]) -> BTreeSet<Arc<str>> {
    sets.iter().filter_map(|set| set.more.get("check").cloned()).collect()
}

/// The checks that the sets of a change are to have.
fn checks(change: &Change) -> impl Iterator<Item = &Arc<str>> {
    change.create.iter().filter_map(|set| set.more.get("check"))
}

/// What people must change is tried again so seldom.
const LASTING: Duration = Duration::from_secs(3_600);
/// The part of a policy that is not said.
const CLAUSE: &str = "health";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Name, Ttl},
        plan::{Capabilities, Failure, Listing, Manner, Owner, Phase, Say, Sight, Step, Switches},
        records::RecordType,
    };
    use proptest::prelude::*;

    fn name(one: u8) -> Name {
        format!("n{one}.z.test").parse().unwrap()
    }

    fn set(one: u8, check: Option<&str>) -> RecordSet {
        let mut set = RecordSet::plain(&name(one), RecordType::A, Ttl::WRITTEN, [[1, 2, 3, one]]);
        set.more.extend(check.map(|check| ("check".into(), check.into())));
        set
    }

    /// A name each; those of even number share one check, the others have one of their own.
    fn wanting(names: u8) -> Arc<Rendered> {
        let say = |one| {
            let check = if one % 2 == 0 { "even".to_owned() } else { format!("odd {one}") };
            let say = Say {
                object: "service prod/shop".into(),
                clusters: Arc::default(),
                sets: Some(vec![set(one, Some(&check))]),
                unchecked: Some(vec![set(one, None)]),
            };
            (name(one).key(), say)
        };
        let names = (0..names).map(say).collect();
        let (switches, sight) = (Switches::default(), Sight::default());
        Arc::new(Rendered { names, switches, degraded: Vec::new(), sight })
    }

    struct World {
        at: Moment,
        there: Listing,
        writer: Writer,
        writes: usize,
    }

    #[allow(clippy::disallowed_methods)] // some instant to start from
    fn world(names: u8) -> World {
        let zone: Name = "z.test".parse().unwrap();
        let owner = Owner::new("one", "i1", &[vec![1; 32]]).unwrap();
        let can = Capabilities::CLOUD_DNS_CHECKING;
        let mut writer = Writer::new(owner, zone.clone(), can, Manner::default());
        writer.want(Ok(wanting(names)));
        let at = Moment { mono: Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH };
        World { at, there: Listing::whole(zone, []), writer, writes: 0 }
    }

    impl World {
        /// Until it rests, over a provider that says what it thinks of each batch.
        fn settle(&mut self, mut judge: impl FnMut(&Permitted) -> Result<(), Failure>) {
            for _ in 0..500 {
                match self.writer.next(self.at) {
                    Step::Read => self.writer.read(self.at, Ok(self.there.clone())),
                    Step::Write(batch) => {
                        self.writes += 1;
                        let judged = judge(&batch);
                        if judged.is_ok() {
                            self.there = self.there.clone().after(&batch);
                        }
                        self.writer.wrote(self.at, judged.map(|()| Vec::new()));
                    }
                    Step::Sleep(Some(until)) if self.writer.status().phase == Phase::Waiting => {
                        self.at = self.at.after(until.saturating_duration_since(self.at.mono));
                    }
                    Step::Sleep(_) => return,
                }
            }
            panic!("it never rests: {:?}", self.writer.status());
        }

        /// Which names are there, and with their checks.
        fn there(&self, names: u8) -> Vec<Option<bool>> {
            let of = |one| {
                let set = self.there.get(&set(one, None).key)?;
                Some(set.more.contains_key("check"))
            };
            (0..names).map(of).collect()
        }
    }

    fn lacks(batch: &Permitted, check: &str, lasting: bool) -> Result<(), Failure> {
        if !batch.changes().iter().flat_map(checks).any(|own| &**own == check) {
            return Ok(());
        }
        let (which, reason) = (Some([check.into()].into()), "too many".to_owned());
        Err(Failure::Unchecked(Unchecked { which, reason, lasting }))
    }

    #[test]
    fn names_whose_check_cannot_be_had_are_written_without_and_tried_again_later() {
        for (lasting, minutes) in [(false, 6), (true, 70)] {
            let mut world = world(4);
            world.settle(|batch| lacks(batch, "even", lasting));
            assert_eq!(world.there(4), [Some(false), Some(true), Some(false), Some(true)]);
            // One that is refused, one of what needs no check, and one of what does.
            assert_eq!(world.writes, 3);
            let status = world.writer.status();
            let said: Vec<_> = status.degraded.iter().map(|own| (&own.name, &*own.text)).collect();
            assert_eq!(said, [(&name(0), "too many"), (&name(2), "too many")]);
            assert_eq!((status.phase, status.problem), (Phase::InStep, None));
            // It wakes up by itself, tries, and rests again.
            let due = world.writer.lacking.due().unwrap();
            assert!(due < world.at.mono + Duration::from_secs(minutes * 60));
            world.at = world.at.after(due - world.at.mono);
            world.settle(|batch| lacks(batch, "even", lasting));
            assert_eq!((world.writes, world.there(4)[0]), (4, Some(false)));
            let due = world.writer.lacking.due().unwrap();
            world.at = world.at.after(due - world.at.mono);
            world.settle(|_| Ok(()));
            assert_eq!(world.there(4), [Some(true); 4]);
            assert!(world.writer.status().degraded.is_empty());
        }
    }

    #[test]
    fn where_no_check_can_be_had_all_names_are_written_at_once() {
        let mut world = world(40);
        world.settle(|batch| {
            let needs = batch.changes().iter().flat_map(checks).next().is_some();
            let (which, reason) = (None, "not allowed".to_owned());
            let lack = Unchecked { which, reason, lasting: false };
            if needs { Err(Failure::Unchecked(lack)) } else { Ok(()) }
        });
        assert_eq!(world.there(40), [Some(false); 40]);
        assert_eq!(world.writes, 2);
    }

    #[test]
    fn another_wish_is_tried_at_once() {
        let mut world = world(2);
        world.settle(|batch| lacks(batch, "even", true));
        let mut other = Rendered::clone(&wanting(2));
        let say = other.names.get_mut(&name(0).key()).unwrap();
        say.sets = Some(vec![set(0, Some("another"))]);
        world.writer.want(Ok(Arc::new(other)));
        world.settle(|batch| lacks(batch, "even", true));
        assert_eq!(world.there(2), [Some(true), Some(true)]);
    }

    #[test]
    fn other_addresses_do_not_wait_for_a_check_that_cannot_be_had() {
        let mut world = world(1);
        world.settle(|batch| lacks(batch, "even", true));
        let mut other = Rendered::clone(&wanting(1));
        let say = other.names.get_mut(&name(0).key()).unwrap();
        for sets in [&mut say.sets, &mut say.unchecked] {
            sets.as_mut().unwrap()[0].data = vec![[9, 9, 9, 9][..].into()];
        }
        let writes = world.writes;
        world.writer.want(Ok(Arc::new(other)));
        world.settle(|batch| lacks(batch, "even", true));
        assert_eq!(world.writes, writes + 1);
        assert_eq!(&*world.there.get(&set(0, None).key).unwrap().data[0], [9, 9, 9, 9]);
    }

    proptest! {
        /// Whatever is refused with checks, every name is answered in the end.
        #[test]
        fn no_name_stays_without_records_for_want_of_a_check(
            refused in prop::collection::btree_set(0..12_u8, 0..12),
            unchecked in prop::collection::btree_set(0..12_u8, 0..12),
        ) {
            let mut world = world(12);
            let refused: BTreeSet<Key> = refused.iter().map(|one| name(*one).key()).collect();
            let lacking: BTreeSet<Arc<str>> =
                unchecked.iter().map(|one| format!("odd {one}").into()).collect();
            world.settle(|batch| {
                let needs: BTreeSet<Arc<str>> =
                    batch.changes().iter().flat_map(checks).cloned().collect();
                let which: BTreeSet<_> = needs.intersection(&lacking).cloned().collect();
                if !which.is_empty() {
                    let (which, reason) = (Some(which), "no".to_owned());
                    return Err(Failure::Unchecked(Unchecked { which, reason, lasting: true }));
                }
                let bad = |change: &Change| {
                    checks(change).next().is_some() && refused.contains(&change.name.key())
                };
                let bad = batch.changes().iter().any(bad);
                if bad { Err(Failure::Rejected("no".to_owned())) } else { Ok(()) }
            });
            for (one, found) in (0..12).zip(world.there(12)) {
                let lacks = lacking.contains(format!("odd {one}").as_str());
                let without = refused.contains(&name(one).key()) || (lacks && one % 2 == 1);
                prop_assert_eq!(found, Some(!without), "name {}", one);
            }
            prop_assert!(world.writer.status().set_aside.is_empty());
        }
    }
}
