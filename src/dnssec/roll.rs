//! How one key gives way to another without a moment at which a validator could fail: a machine
//! that is told the time and what was seen, and says which keys do what (RFC 7583).
//!
//! ```text
//! as KSK:  Published ──▶ Ready ──▶ Active ──▶ Retired ──▶ gone     Double-KSK (§3.3.1)
//!              keys' TTL    DS seen    successor's   DS' TTL
//!                           at parent  DS seen
//! as ZSK:  Published ──▶ Active ──▶ Retired ──▶ gone               Pre-Publication (§3.2.1)
//!              keys' TTL    successor    longest TTL since the last
//!                           active       signature was replaced
//! ```
//! A CSK is on both ways at once, each at its own pace; a key goes when it has come to the end of
//! all its ways. A change of algorithm takes all keys at once (`algorithm.rs`):
//!
//! ```text
//! new:  Hidden ──▶ Published (KSK), Active (ZSK) ──▶ …                RFC 6781 §4.1.4, conservative
//!          TTL of all signatures
//! old:  … Retired (KSK), Active (ZSK) ──▶ Withdrawn (ZSK) ──▶ gone
//!                          DS' TTL           keys' TTL
//! ```

use super::key::Role;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// How far a key has come on one way.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Of another algorithm than the keys in force: what it signs is there, but not the key, since
    /// validators may want signatures of every algorithm that a key is of (RFC 4035 §2.2).
    Hidden,
    /// In the DNSKEY rrset; caches may hold one without it.
    Published,
    /// Known to every cache: its DS may be put at the parent. KSKs only.
    Ready,
    /// In force.
    Active,
    /// Another is in force; caches may hold what hangs on this one.
    Retired,
    /// Of the algorithm before: no longer in the DNSKEY rrset, but it signs as long as caches may
    /// hold one with it.
    Withdrawn,
}

/// One way of a key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Track {
    /// How far it has come.
    pub stage: Stage,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// One key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyState {
    /// Its tag, unique among the keys of the zone.
    pub tag: u16,
    /// What it signs.
    pub role: Role,
    /// Its way as a KSK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ksk: Option<Track>,
    /// Its way as a ZSK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zsk: Option<Track>,
}

/// How long things take to be true everywhere, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// Of DNSKEY.
    pub key_ttl: i64,
    /// The longest in the zone.
    pub zone_ttl: i64,
    /// Of the DS at the parent.
    pub ds_ttl: i64,
    /// Until all name servers of the zone have what one has.
    pub propagation: i64,
    /// Until all of the parent's have.
    pub parent_propagation: i64,
}

/// The keys of a zone on their ways.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rollover {
    /// All keys that are published, sign, or will.
    pub keys: Vec<KeyState>,
    /// Those that go with their algorithm, while that is changed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaving: BTreeSet<u16>,
    /// Those that came to their end: a key is not taken up again, whyever it was given up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<u16>,
}

/// What signatures a zone has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signatures {
    /// The keys that made some of them.
    pub some: BTreeSet<u16>,
    /// The keys that signed everything.
    pub all: BTreeSet<u16>,
}

/// A step that a key took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It is in the DNSKEY rrset from now on, as what it signed is known everywhere.
    Published(u16),
    /// It is no longer there, but goes on signing.
    Withdrawn(u16),
    /// Its DS may be put at the parent now.
    Ready(u16),
    /// It signs the zone from now on.
    Signs(u16),
    /// It is gone.
    Gone(u16),
}

/// Why a step is not taken: what would break.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Two changes at once.
    #[error(
        "key {0} is still being changed; its way ends first (`meridian dnssec status` says when)"
    )]
    UnderWay(u16),
    /// There is no trust to be carried over.
    #[error(
        "the DS of key {0} was never seen at the parent, so nothing hangs on it yet; say \
         `meridian dnssec roll --ds-seen {0}` once it is there"
    )]
    NoDs(u16),
    /// Validators with an older DNSKEY rrset in their caches could not follow the new DS.
    #[error(
        "key {tag} is not in every cache before {until}; a DS of it alone would break validation \
         until then: leave the old DS at the parent beside it, and say --ds-seen afterwards"
    )]
    TooEarly {
        /// Which.
        tag: u16,
        /// When it will be.
        until: Moment,
    },
    /// Its DS has been seen.
    #[error("the DS of key {0} was seen before: it is in force")]
    InForce(u16),
    /// It is on its way out.
    #[error("key {0} is on its way out; the parent should have the DS of its successor")]
    Leaving(u16),
    /// An algorithm of which the parent has a DS must go on signing the keys (RFC 4035 §2.2).
    #[error(
        "the parent still has the DS of key {old}, whose algorithm is to go: take DS {old} out \
         first, leave that of key {new} there, and say it again"
    )]
    OldDs {
        /// Which is to go.
        old: u16,
        /// Which stays.
        new: u16,
    },
    /// Nothing to confirm.
    #[error("the parent has no DS of the zone")]
    NoDsAtAll,
    /// Not a KSK, or unknown.
    #[error("the zone has no key {0} that a DS could point at")]
    Unknown(u16),
    /// No key of that role.
    #[error("the zone has no {0} to be changed")]
    NoSuchRole(Role),
}

/// A second since 1970, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment(pub i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => fmt::Display::fmt(&time, f),
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

impl Rollover {
    /// The zone's first key of a role: it signs at once, since nothing at the parent says that the
    /// zone is signed at all.
    pub fn begin(&mut self, tag: u16, role: Role, now: i64) {
        let at = |stage| Track { stage, since: now };
        let ksk = (role != Role::Zsk).then(|| at(Stage::Published));
        let zsk = (role != Role::Ksk).then(|| at(Stage::Active));
        self.enter(KeyState { tag, role, ksk, zsk });
    }

    /// A key that was in use elsewhere before: taken over at that stage.
    pub fn adopt(&mut self, tag: u16, role: Role, stage: Stage, now: i64) {
        let track = Track { stage, since: now };
        let ksk = (role != Role::Zsk).then_some(track);
        let zsk = (role != Role::Ksk).then_some(track);
        self.enter(KeyState { tag, role, ksk, zsk });
    }

    /// Tags are short: another key may have that of one that is gone.
    fn enter(&mut self, key: KeyState) {
        self.gone.remove(&key.tag);
        self.keys.push(key);
    }

    /// Whether a key of that role may be given a successor now.
    ///
    /// # Errors
    /// When a change is under way, or nothing hangs on the key yet.
    pub fn may_roll(&self, role: Role) -> Result<(), Refusal> {
        if let Some(tag) = self.leaving.first() {
            return Err(Refusal::UnderWay(*tag));
        }
        let mut own = self.keys.iter().filter(|key| key.role == role).peekable();
        own.peek().ok_or(Refusal::NoSuchRole(role))?;
        for key in own {
            match key.ksk.map(|track| track.stage) {
                Some(Stage::Published | Stage::Ready) if !self.has_other_ksk(key.tag) => {
                    return Err(Refusal::NoDs(key.tag));
                }
                None | Some(Stage::Active) => {}
                Some(_) => return Err(Refusal::UnderWay(key.tag)),
            }
            if key.zsk.is_some_and(|track| track.stage != Stage::Active) {
                return Err(Refusal::UnderWay(key.tag));
            }
        }
        Ok(())
    }

    fn has_other_ksk(&self, tag: u16) -> bool {
        self.keys.iter().any(|key| key.tag != tag && key.ksk.is_some())
    }

    /// Puts a successor of that role beside the key in force.
    ///
    /// # Errors
    /// As [`Self::may_roll`].
    pub fn roll(&mut self, tag: u16, role: Role, now: i64) -> Result<(), Refusal> {
        self.may_roll(role)?;
        self.adopt(tag, role, Stage::Published, now);
        Ok(())
    }

    /// The parent has a DS of that key, and no longer needs those of others.
    ///
    /// # Errors
    /// When caches could still hold the keys without it, or there is nothing to confirm.
    pub fn ds_seen(&mut self, tag: u16, timing: &Timing, now: i64) -> Result<(), Refusal> {
        let first = !self.has_other_ksk(tag);
        let key = self.keys.iter_mut().find(|key| key.tag == tag);
        let track = key.and_then(|key| key.ksk.as_mut()).ok_or(Refusal::Unknown(tag))?;
        match track.stage {
            Stage::Ready => *track = Track { stage: Stage::Active, since: now },
            Stage::Published => {
                let until = Moment(track.since + timing.until_known(first));
                return Err(Refusal::TooEarly { tag, until });
            }
            Stage::Hidden => {
                let wait = timing.until_signed() + timing.until_known(false);
                return Err(Refusal::TooEarly { tag, until: Moment(track.since + wait) });
            }
            Stage::Active => return Err(Refusal::InForce(tag)),
            Stage::Retired | Stage::Withdrawn => return Err(Refusal::Leaving(tag)),
        }
        for other in self.keys.iter_mut().filter(|key| key.tag != tag) {
            if let Some(track) = other.ksk.as_mut().filter(|own| own.stage == Stage::Active) {
                *track = Track { stage: Stage::Retired, since: now };
            }
        }
        Ok(())
    }

    /// The parent has the DS records of these keys: the one that waits for its DS is in force. A
    /// parent often has the old DS beside the new one for a while; but where the algorithm is
    /// changed, the old one has to be gone.
    ///
    /// # Errors
    /// As [`Self::ds_seen`], of the key that waits, or else of the first. Nothing changes then.
    pub fn parent_has(&mut self, tags: &[u16], timing: &Timing, now: i64) -> Result<u16, Refusal> {
        let waiting = tags.iter().find(|tag| {
            self.keys.iter().any(|key| key.tag == **tag && key.ksk.is_some_and(Track::awaits_ds))
        });
        let new = *waiting.or(tags.first()).ok_or(Refusal::NoDsAtAll)?;
        let mut next = self.clone();
        next.ds_seen(new, timing, now)?;
        if let Some(old) = tags.iter().copied().find(|tag| self.leaving.contains(tag)) {
            return Err(Refusal::OldDs { old, new });
        }
        *self = next;
        Ok(new)
    }

    /// What time alone brings about. A key that no longer signs is kept at least until the zone has
    /// no signatures of it.
    pub fn tick(&mut self, now: i64, timing: &Timing, made: &Signatures) -> Vec<Turn> {
        let mut turns = Vec::new();
        self.tick_ksks(now, timing, &mut turns);
        self.tick_zsks(now, timing, &made.some, &mut turns);
        self.tick_algorithm(now, timing, &made.all, &mut turns);
        let gone: Vec<u16> =
            self.keys.iter().filter(|key| key.is_gone()).map(|own| own.tag).collect();
        self.keys.retain(|key| !key.is_gone());
        self.leaving.retain(|tag| self.keys.iter().any(|key| key.tag == *tag));
        self.gone.extend(&gone);
        turns.extend(gone.into_iter().map(Turn::Gone));
        turns
    }

    fn tick_ksks(&mut self, now: i64, timing: &Timing, turns: &mut Vec<Turn>) {
        let first = self.keys.iter().filter(|key| key.ksk.is_some()).count() == 1;
        for key in &mut self.keys {
            let tag = key.tag;
            match key.ksk.as_mut() {
                Some(track) if track.is_over(Stage::Published, timing.until_known(first), now) => {
                    *track = Track { stage: Stage::Ready, since: now };
                    turns.push(Turn::Ready(tag));
                }
                Some(track) if track.is_over(Stage::Retired, timing.until_ds_gone(), now) => {
                    key.ksk = None;
                }
                _ => {}
            }
        }
    }

    fn tick_zsks(
        &mut self,
        now: i64,
        timing: &Timing,
        signing: &BTreeSet<u16>,
        turns: &mut Vec<Turn>,
    ) {
        let known = timing.until_known(false);
        let new = self
            .keys
            .iter()
            .find(|key| key.zsk.is_some_and(|track| track.is_over(Stage::Published, known, now)));
        if let Some(tag) = new.map(|key| key.tag) {
            self.hand_over(tag, now);
            turns.push(Turn::Signs(tag));
        }
        for key in &mut self.keys {
            let Some(track) = key.zsk.as_mut() else { continue };
            if track.stage == Stage::Retired && signing.contains(&key.tag) {
                track.since = now;
            }
            if track.is_over(Stage::Retired, timing.until_signed(), now) {
                key.zsk = None;
            }
        }
    }

    fn hand_over(&mut self, tag: u16, now: i64) {
        for key in &mut self.keys {
            let Some(track) = key.zsk.as_mut() else { continue };
            let next = if key.tag == tag { Stage::Active } else { Stage::Retired };
            if key.tag == tag || track.stage == Stage::Active {
                *track = Track { stage: next, since: now };
            }
        }
    }

    /// The keys that are in the DNSKEY rrset.
    pub fn published(&self) -> impl Iterator<Item = u16> + '_ {
        self.keys.iter().filter(|key| key.is_published()).map(|key| key.tag)
    }

    /// The keys that sign DNSKEY, CDS and CDNSKEY: each that a DS may point at.
    pub fn sign_keys(&self) -> impl Iterator<Item = u16> + '_ {
        let own = self.keys.iter().filter(|key| key.ksk.is_some_and(Track::is_published));
        own.map(|key| key.tag)
    }

    /// The keys that sign all the rest.
    pub fn sign_zone(&self) -> impl Iterator<Item = u16> + '_ {
        self.keys.iter().filter(|key| key.zsk.is_some_and(Track::signs)).map(|key| key.tag)
    }

    /// The keys that the parent should have a DS of (RFC 7344 §4.1): the newest that every cache
    /// knows. Until then, the one in force.
    pub fn wished(&self) -> impl Iterator<Item = u16> + '_ {
        let stages =
            |wanted| move |key: &&KeyState| key.ksk.is_some_and(|track| track.stage == wanted);
        let ready = self.keys.iter().any(|key| stages(Stage::Ready)(&key));
        let wanted = if ready { Stage::Ready } else { Stage::Active };
        self.keys.iter().filter(stages(wanted)).map(|key| key.tag)
    }

    /// When the next step comes by itself, for people.
    #[must_use]
    pub fn next_at(&self, key: &KeyState, timing: &Timing) -> Option<i64> {
        let first = !self.has_other_ksk(key.tag);
        let ksk = key.ksk.and_then(|track| match track.stage {
            Stage::Hidden => Some(track.since + timing.until_signed()),
            Stage::Published => Some(track.since + timing.until_known(first)),
            Stage::Retired => Some(track.since + timing.until_ds_gone()),
            Stage::Ready | Stage::Active | Stage::Withdrawn => None,
        });
        let zsk = key.zsk.and_then(|track| match track.stage {
            Stage::Published | Stage::Withdrawn => Some(track.since + timing.until_known(false)),
            Stage::Hidden | Stage::Retired => Some(track.since + timing.until_signed()),
            Stage::Ready | Stage::Active => None,
        });
        ksk.into_iter().chain(zsk).min()
    }
}

impl KeyState {
    fn is_gone(&self) -> bool {
        self.ksk.is_none() && self.zsk.is_none()
    }

    fn is_published(&self) -> bool {
        [self.ksk, self.zsk].into_iter().flatten().any(Track::is_published)
    }
}

impl Track {
    fn is_published(self) -> bool {
        !matches!(self.stage, Stage::Hidden | Stage::Withdrawn)
    }

    fn signs(self) -> bool {
        matches!(self.stage, Stage::Hidden | Stage::Active | Stage::Withdrawn)
    }

    fn awaits_ds(self) -> bool {
        matches!(self.stage, Stage::Hidden | Stage::Published | Stage::Ready)
    }

    pub(super) fn is_over(&self, stage: Stage, after: i64, now: i64) -> bool {
        self.stage == stage && now - self.since >= after
    }
}

impl Timing {
    /// Until a key that was published now is in every cache (RFC 7583 §3.2.1, Ipub). Before the
    /// first one, unsigned answers were there, too.
    pub(super) fn until_known(&self, first: bool) -> i64 {
        let ttl = if first { self.key_ttl.max(self.zone_ttl) } else { self.key_ttl };
        ttl + self.propagation
    }

    /// Until every cache has what was signed anew (RFC 7583 §3.2.1, Iret).
    pub(super) fn until_signed(&self) -> i64 {
        self.zone_ttl + self.propagation
    }

    /// Until no cache has a DS that the parent gave up now (RFC 7583 §3.3.1, Iret).
    fn until_ds_gone(&self) -> i64 {
        self.ds_ttl + self.parent_propagation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMING: Timing = Timing {
        key_ttl: 3_600,
        zone_ttl: 300,
        ds_ttl: 86_400,
        propagation: 300,
        parent_propagation: 3_600,
    };
    const KNOWN: i64 = 3_900;

    fn tick(keys: &mut Rollover, now: i64) -> Vec<Turn> {
        keys.tick(now, &TIMING, &everywhere(keys))
    }

    /// All is signed by whoever signs.
    fn everywhere(keys: &Rollover) -> Signatures {
        let all: BTreeSet<u16> = keys.sign_zone().collect();
        Signatures { some: all.clone(), all }
    }

    fn stages(keys: &Rollover) -> Vec<(u16, Option<Stage>, Option<Stage>)> {
        let stage = |track: Option<Track>| track.map(|own| own.stage);
        keys.keys.iter().map(|own| (own.tag, stage(own.ksk), stage(own.zsk))).collect()
    }

    fn csk_in_force() -> Rollover {
        let mut keys = Rollover::default();
        keys.begin(1, Role::Csk, 0);
        assert_eq!(tick(&mut keys, KNOWN), [Turn::Ready(1)]);
        keys.ds_seen(1, &TIMING, KNOWN).unwrap();
        keys
    }

    #[test]
    fn the_first_key_signs_at_once_and_asks_for_its_ds_when_every_cache_knows_it() {
        let mut keys = Rollover::default();
        keys.begin(1, Role::Csk, 0);
        assert_eq!(keys.sign_zone().collect::<Vec<_>>(), [1]);
        assert_eq!(keys.wished().count(), 0);
        assert_eq!(tick(&mut keys, KNOWN - 1), []);
        assert_eq!(tick(&mut keys, KNOWN), [Turn::Ready(1)]);
        assert_eq!(keys.wished().collect::<Vec<_>>(), [1]);
        assert_eq!(keys.may_roll(Role::Csk), Err(Refusal::NoDs(1)));
        keys.ds_seen(1, &TIMING, KNOWN).unwrap();
        assert_eq!(keys.ds_seen(1, &TIMING, KNOWN), Err(Refusal::InForce(1)));
        assert_eq!(keys.may_roll(Role::Csk), Ok(()));
        assert_eq!(keys.may_roll(Role::Ksk), Err(Refusal::NoSuchRole(Role::Ksk)));
    }

    #[test]
    fn rfc7583_s3_3_1_a_csk_gives_way_when_the_parent_has_the_new_ds() {
        let mut keys = csk_in_force();
        let start = 100_000;
        keys.roll(2, Role::Csk, start).unwrap();
        assert_eq!(keys.roll(3, Role::Csk, start), Err(Refusal::UnderWay(2)));
        assert_eq!(keys.sign_keys().collect::<Vec<_>>(), [1, 2], "both sign the keys");
        assert_eq!(keys.sign_zone().collect::<Vec<_>>(), [1], "the old one signs the zone");
        let until = Moment(start + KNOWN);
        assert_eq!(keys.ds_seen(2, &TIMING, start), Err(Refusal::TooEarly { tag: 2, until }));
        assert_eq!(keys.wished().collect::<Vec<_>>(), [1]);

        assert_eq!(tick(&mut keys, until.0), [Turn::Ready(2), Turn::Signs(2)]);
        assert_eq!(keys.sign_zone().collect::<Vec<_>>(), [2]);
        assert_eq!(keys.wished().collect::<Vec<_>>(), [2]);
        // However long it takes until the parent has it, the old key stays.
        assert_eq!(tick(&mut keys, until.0 + 10_000_000), []);
        assert_eq!(
            stages(&keys),
            [(1, Some(Stage::Active), None), (2, Some(Stage::Ready), Some(Stage::Active))]
        );
        let seen = until.0 + 10_000_000;
        keys.ds_seen(2, &TIMING, seen).unwrap();
        assert_eq!(keys.ds_seen(1, &TIMING, seen), Err(Refusal::Leaving(1)));
        assert_eq!(tick(&mut keys, seen + 89_999), []);
        assert_eq!(tick(&mut keys, seen + 90_000), [Turn::Gone(1)]);
        assert_eq!(keys.gone, [1].into());
        assert_eq!(keys.may_roll(Role::Csk), Ok(()));
    }

    #[test]
    fn of_several_ds_at_the_parent_the_one_that_was_waited_for_counts() {
        let mut keys = csk_in_force();
        keys.roll(2, Role::Csk, 0).unwrap();
        tick(&mut keys, KNOWN);
        assert_eq!(keys.parent_has(&[9], &TIMING, KNOWN), Err(Refusal::Unknown(9)));
        assert_eq!(keys.parent_has(&[1, 2], &TIMING, KNOWN), Ok(2));
        // The old key is on its way out, and waits for nothing.
        assert_eq!(keys.parent_has(&[2, 1], &TIMING, KNOWN), Err(Refusal::InForce(2)));
        assert_eq!(keys.parent_has(&[1], &TIMING, KNOWN), Err(Refusal::Leaving(1)));
    }

    #[test]
    fn rfc7583_s3_2_1_a_zsk_is_published_before_it_signs_and_stays_while_its_signatures_do() {
        let mut keys = Rollover::default();
        keys.begin(1, Role::Ksk, 0);
        keys.begin(2, Role::Zsk, 0);
        keys.roll(3, Role::Zsk, 10).unwrap();
        assert_eq!(keys.sign_zone().collect::<Vec<_>>(), [2]);
        assert!(tick(&mut keys, 10 + KNOWN).contains(&Turn::Signs(3)));
        let made = Signatures { some: [2, 3].into(), all: BTreeSet::new() };
        let busy = |keys: &mut Rollover, now| keys.tick(now, &TIMING, &made);
        assert_eq!(busy(&mut keys, 1_000_000), [], "its signatures are still there");
        assert_eq!(tick(&mut keys, 1_000_599), []);
        assert_eq!(tick(&mut keys, 1_000_600), [Turn::Gone(2)]);
        assert_eq!(keys.ds_seen(3, &TIMING, 0), Err(Refusal::Unknown(3)));
    }

    /// Which of two algorithms a key is of, in these tests.
    fn algorithm(tag: u16) -> u8 {
        if (tag / 1_000).is_multiple_of(2) { 13 } else { 15 }
    }

    /// Whatever a resolver has cached, it can validate: it holds some DS the parent had within the
    /// DS' TTL, some keys the zone had within the keys' TTL, some signatures of within the zone's.
    fn check(history: &[(i64, Vec<u16>, Rollover)], now: i64) -> Result<(), TestCaseError> {
        let within = |span: i64| {
            let next = history.iter().skip(1).map(|own| own.0).chain([now + 1]);
            history
                .iter()
                .zip(next)
                .filter(move |(_, until)| *until > now - span)
                .map(|(own, _)| own)
        };
        for (_, ds, _) in within(TIMING.ds_ttl + TIMING.parent_propagation) {
            for (_, _, keys) in within(TIMING.key_ttl + TIMING.propagation) {
                let trusted = ds.is_empty() || keys.sign_keys().any(|tag| ds.contains(&tag));
                // RFC 4035 §2.2: the keys are signed with each algorithm that a DS is of.
                let each = ds
                    .iter()
                    .all(|tag| keys.sign_keys().any(|own| algorithm(own) == algorithm(*tag)));
                prop_assert!(each, "at {now}: not all algorithms of DS {ds:?} sign {keys:?}");
                prop_assert!(trusted, "at {now}: DS {ds:?} trusts none of {keys:?}");
                if ds.is_empty() {
                    continue;
                }
                for (_, _, signed) in within(TIMING.zone_ttl + TIMING.propagation) {
                    let known = |tag: u16| keys.published().any(|own| own == tag);
                    prop_assert!(
                        signed.sign_zone().any(known),
                        "at {now}: {keys:?} cannot check what {signed:?} signed"
                    );
                    // The same section: each algorithm of a key has signed all there is.
                    let algorithms: BTreeSet<u8> = keys.published().map(algorithm).collect();
                    for own in algorithms {
                        prop_assert!(
                            signed
                                .sign_zone()
                                .filter(|tag| known(*tag))
                                .any(|tag| algorithm(tag) == own),
                            "at {now}: {keys:?} wants signatures of {own}, {signed:?} has none"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    proptest! {
        /// An operator who does all sorts of things, but says only what the parent does.
        #[test]
        fn no_order_of_steps_leaves_a_validator_without_a_chain(
            split in any::<bool>(),
            steps in proptest::collection::vec((0..6_u8, 1..50_000_i64), 1..80),
        ) {
            let (mut keys, mut ds, mut tag, mut now) = (Rollover::default(), vec![], 2, 0);
            let roles = if split { [Role::Ksk, Role::Zsk] } else { [Role::Csk; 2] };
            keys.begin(1, roles[0], 0);
            if split {
                keys.begin(2, roles[1], 0);
            }
            let mut history = vec![(now, ds.clone(), keys.clone())];
            for (what, wait) in steps {
                let was = keys.clone();
                match what {
                    0 | 1 => {
                        tag += 1;
                        let _ = keys.roll(tag, roles[usize::from(what)], now);
                    }
                    2 => {
                        // The parent takes what CDS wishes for, and the operator says so.
                        let wished: Vec<u16> = keys.wished().collect();
                        if !wished.is_empty() {
                            ds = wished;
                            let _ = keys.ds_seen(ds[0], &TIMING, now);
                        }
                    }
                    3 => {
                        let next = (tag / 1_000 + 1) * 1_000;
                        let new: Vec<(u16, Role)> = match split {
                            true => vec![(next, Role::Ksk), (next + 1, Role::Zsk)],
                            false => vec![(next, Role::Csk)],
                        };
                        if keys.change_algorithm(&new, now).is_ok() {
                            tag = next + 1;
                        }
                    }
                    _ => {
                        let made = everywhere(&keys);
                        drop(keys.tick(now, &TIMING, &made));
                    }
                }
                if keys != was || history.last().map(|own| &own.1) != Some(&ds) {
                    history.push((now, ds.clone(), keys.clone()));
                }
                check(&history, now)?;
                now += wait;
            }
        }
    }
}
