//! How all keys of a zone give way to keys of another algorithm: the conservative way of RFC 6781
//! §4.1.4, on which also validators that want signatures of every algorithm (RFC 4035 §2.2) find
//! them at every moment, whatever they have cached.

use super::key::Role;
use super::roll::{KeyState, Refusal, Rollover, Stage, Timing, Track, Turn};
use std::collections::BTreeSet;

impl Rollover {
    /// Whether the algorithm may be changed now: nothing else is under way, and the parent has a DS
    /// of the keys in force.
    ///
    /// # Errors
    /// What has to end, or to be done, before.
    pub fn may_change_algorithm(&self) -> Result<(), Refusal> {
        if let Some(tag) = self.leaving.first() {
            return Err(Refusal::UnderWay(*tag));
        }
        let settled = |track: Option<Track>| track.is_none_or(|own| own.stage == Stage::Active);
        if let Some(key) = self.keys.iter().find(|key| !settled(key.ksk) || !settled(key.zsk)) {
            let alone = self.keys.iter().filter(|key| key.ksk.is_some()).count() == 1;
            let waits =
                matches!(key.ksk.map(|own| own.stage), Some(Stage::Published | Stage::Ready));
            let no_ds = alone && waits && settled(key.zsk);
            return Err(if no_ds { Refusal::NoDs(key.tag) } else { Refusal::UnderWay(key.tag) });
        }
        Ok(())
    }

    /// Has keys of another algorithm, for all there is to be signed, take the place of all that
    /// there are.
    ///
    /// # Errors
    /// As [`Self::may_change_algorithm`].
    pub fn change_algorithm(&mut self, new: &[(u16, Role)], now: i64) -> Result<(), Refusal> {
        self.may_change_algorithm()?;
        self.leaving = self.keys.iter().map(|key| key.tag).collect();
        for (tag, role) in new {
            self.adopt(*tag, *role, Stage::Hidden, now);
        }
        Ok(())
    }

    /// `signed` are the keys that have signed everything.
    pub(super) fn tick_algorithm(
        &mut self,
        now: i64,
        timing: &Timing,
        signed: &BTreeSet<u16>,
        turns: &mut Vec<Turn>,
    ) {
        if self.leaving.is_empty() {
            return;
        }
        self.publish_hidden(now, timing, signed, turns);
        self.withdraw(now, turns);
        for key in &mut self.keys {
            let over = |own: &Track| own.is_over(Stage::Withdrawn, timing.until_known(false), now);
            if key.zsk.as_ref().is_some_and(over) {
                key.zsk = None;
            }
        }
    }

    /// The new keys, once all that they signed has been in every cache.
    fn publish_hidden(
        &mut self,
        now: i64,
        timing: &Timing,
        signed: &BTreeSet<u16>,
        turns: &mut Vec<Turn>,
    ) {
        let is_hidden = |track: &Track| track.stage == Stage::Hidden;
        for key in &mut self.keys {
            let lacking = !signed.contains(&key.tag);
            if let Some(track) = key.zsk.as_mut().filter(|own| is_hidden(own) && lacking) {
                track.since = now;
            }
        }
        let mut zsks = self.keys.iter().filter_map(|key| key.zsk).filter(is_hidden).peekable();
        let over = |own: Track| own.is_over(Stage::Hidden, timing.until_signed(), now);
        if zsks.peek().is_none() || !zsks.all(over) {
            return;
        }
        for key in self.keys.iter_mut().filter(|key| key.is_hidden()) {
            let at = |stage| Track { stage, since: now };
            key.ksk = key.ksk.map(|_| at(Stage::Published));
            key.zsk = key.zsk.map(|_| at(Stage::Active));
            turns.push(Turn::Published(key.tag));
        }
    }

    /// The old keys, once no cache has a DS of them.
    fn withdraw(&mut self, now: i64, turns: &mut Vec<Turn>) {
        let leaving = |key: &&mut KeyState| self.leaving.contains(&key.tag);
        if self.keys.iter().any(|key| self.leaving.contains(&key.tag) && key.ksk.is_some()) {
            return;
        }
        for key in self.keys.iter_mut().filter(leaving) {
            if let Some(track) = key.zsk.as_mut().filter(|own| own.stage == Stage::Active) {
                *track = Track { stage: Stage::Withdrawn, since: now };
                turns.push(Turn::Withdrawn(key.tag));
            }
        }
    }
}

impl KeyState {
    fn is_hidden(&self) -> bool {
        [self.ksk, self.zsk].into_iter().flatten().any(|track| track.stage == Stage::Hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::super::roll::Signatures;
    use super::*;

    const TIMING: Timing = Timing {
        key_ttl: 3_600,
        zone_ttl: 300,
        ds_ttl: 86_400,
        propagation: 300,
        parent_propagation: 3_600,
    };

    fn tick(keys: &mut Rollover, now: i64) -> Vec<Turn> {
        let all: BTreeSet<u16> = keys.sign_zone().collect();
        keys.tick(now, &TIMING, &Signatures { some: all.clone(), all })
    }

    fn in_force(roles: &[(u16, Role)]) -> Rollover {
        let mut keys = Rollover::default();
        roles.iter().for_each(|(tag, role)| keys.adopt(*tag, *role, Stage::Active, 0));
        keys
    }

    fn all(tags: impl Iterator<Item = u16>) -> Vec<u16> {
        tags.collect()
    }

    #[test]
    fn rfc6781_s4_1_4_signatures_come_before_keys_and_keys_go_before_signatures() {
        let mut keys = in_force(&[(1, Role::Ksk), (2, Role::Zsk)]);
        keys.change_algorithm(&[(3, Role::Ksk), (4, Role::Zsk)], 0).unwrap();
        let shown =
            |keys: &Rollover| (all(keys.published()), all(keys.sign_keys()), all(keys.sign_zone()));
        // The new algorithm's signatures alone.
        assert_eq!(shown(&keys), (vec![1, 2], vec![1], vec![2, 4]));
        assert_eq!(tick(&mut keys, 599), []);
        // Then its keys.
        assert_eq!(tick(&mut keys, 600), [Turn::Published(3), Turn::Published(4)]);
        assert_eq!(shown(&keys), (vec![1, 2, 3, 4], vec![1, 3], vec![2, 4]));
        assert_eq!(all(keys.wished()), [1]);
        assert_eq!(tick(&mut keys, 600 + 3_899), []);
        // Then its DS.
        assert_eq!(tick(&mut keys, 600 + 3_900), [Turn::Ready(3)]);
        assert_eq!(all(keys.wished()), [3]);
        assert_eq!(tick(&mut keys, 10_000_000), [], "however long the parent takes");
        keys.ds_seen(3, &TIMING, 10_000_000).unwrap();
        // Then the old keys go, and at last their signatures.
        let gone = 10_000_000 + 90_000;
        assert_eq!(tick(&mut keys, gone - 1), []);
        assert_eq!(tick(&mut keys, gone), [Turn::Withdrawn(2), Turn::Gone(1)]);
        assert_eq!(shown(&keys), (vec![3, 4], vec![3], vec![2, 4]));
        assert_eq!(tick(&mut keys, gone + 3_900), [Turn::Gone(2)]);
        assert_eq!(shown(&keys), (vec![3, 4], vec![3], vec![4]));
        assert_eq!(keys.may_change_algorithm(), Ok(()));
    }

    #[test]
    fn the_old_ds_has_to_be_gone_from_the_parent_before_the_old_keys_may_go() {
        let mut keys = in_force(&[(1, Role::Ksk), (2, Role::Zsk)]);
        keys.change_algorithm(&[(3, Role::Ksk), (4, Role::Zsk)], 0).unwrap();
        let mut told = |now, tags: &[u16]| {
            tick(&mut keys, now);
            keys.parent_has(tags, &TIMING, now)
        };
        // Nobody is told to take out the only DS there is, nor the old one too early.
        assert_eq!(told(0, &[]), Err(Refusal::NoDsAtAll));
        assert_eq!(told(0, &[1]), Err(Refusal::InForce(1)));
        assert!(matches!(told(600, &[1, 3]), Err(Refusal::TooEarly { tag: 3, .. })));
        let both = Err(Refusal::OldDs { old: 1, new: 3 });
        assert_eq!(told(4_500, &[1, 3]), both);
        assert_eq!(told(4_500, &[3, 1]), both);
        assert_eq!(told(4_500, &[3]), Ok(3));
        assert_eq!(told(4_500, &[3, 1]), Err(Refusal::InForce(3)), "nothing waits any more");
    }

    #[test]
    fn a_zone_whose_names_are_not_all_signed_yet_does_not_show_the_key() {
        let mut keys = in_force(&[(1, Role::Csk)]);
        keys.change_algorithm(&[(2, Role::Csk)], 0).unwrap();
        let some = Signatures { some: [1, 2].into(), all: [1].into() };
        assert_eq!(keys.tick(5_000, &TIMING, &some), []);
        assert_eq!(tick(&mut keys, 5_599), [], "the time counts from when all were");
        assert_eq!(tick(&mut keys, 5_600), [Turn::Published(2)]);
    }

    #[test]
    fn nothing_else_is_changed_meanwhile_and_no_change_begins_in_another() {
        let mut keys = in_force(&[(1, Role::Ksk), (2, Role::Zsk)]);
        keys.roll(5, Role::Zsk, 0).unwrap();
        let refused = keys.change_algorithm(&[(3, Role::Csk)], 0);
        assert_eq!(refused, Err(Refusal::UnderWay(5)));
        let mut keys = in_force(&[(1, Role::Ksk), (2, Role::Zsk)]);
        keys.change_algorithm(&[(3, Role::Csk)], 0).unwrap();
        for role in [Role::Ksk, Role::Zsk, Role::Csk] {
            assert_eq!(keys.may_roll(role), Err(Refusal::UnderWay(1)));
        }
        assert_eq!(keys.change_algorithm(&[(4, Role::Csk)], 0), Err(Refusal::UnderWay(1)));
        assert!(matches!(keys.ds_seen(3, &TIMING, 0), Err(Refusal::TooEarly { tag: 3, .. })));

        let mut first = Rollover::default();
        first.begin(1, Role::Csk, 0);
        assert_eq!(first.change_algorithm(&[(2, Role::Csk)], 0), Err(Refusal::NoDs(1)));
    }
}
