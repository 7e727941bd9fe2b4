//! One zone: its keys as they are now, and its signatures.

use super::{
    Board,
    files::{KeyRing, Place},
    people::{Watch, said, state},
};
use crate::{
    dnssec::{
        self, Before, Key, KeyView, Keys, OnlineSigner, Role, Rollover, Settings, Stage, Timing,
        Track, Turn, Validity, View, ds_text,
    },
    model::{Key as NameKey, Moment, Name, Serial, Ttl},
    records::{Completeness, Denial, Zone},
};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use std::{
    collections::BTreeSet,
    num::NonZero,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A zone that is to be signed.
pub(super) struct SignedZone {
    zone: Name,
    settings: Settings,
    /// `None` while there never were keys that could be read.
    keys: Option<(Place, KeyRing)>,
    before: Option<Before>,
    /// Of the zone as it was served last; outlives `before`.
    last: Option<Serial>,
    online: Option<Arc<OnlineSigner>>,
    /// The longest TTL there has been.
    zone_ttl: Ttl,
    /// When it was last looked for what is due.
    looked: i64,
    /// When the online signer was given its budget last.
    refilled: i64,
    /// When the first signature ends, as of the last look.
    ends: Option<i64>,
    /// Signatures to be made again.
    due: Vec<NameKey>,
    /// Keys or settings are others than those that signed.
    changed: bool,
    problem: Option<String>,
}

/// Names signed again at once: some tens of milliseconds.
const AT_ONCE: usize = 1_000;
/// Names that are looked at in a second without anybody noticing.
const LOOKED_AT: usize = 1_000;
/// Of more names than this, signing is announced.
const WORTH_SAYING: usize = 5_000;
/// How far a validator's clock may be behind, in seconds.
const CLOCKS: i64 = 3_600;

impl SignedZone {
    /// `last` is the serial that the zone was served with before, if it was.
    pub(super) fn new(zone: Name, settings: Settings, last: Option<Serial>) -> Self {
        Self {
            zone,
            settings,
            keys: None,
            before: None,
            last,
            online: None,
            zone_ttl: Ttl::from_secs(0),
            looked: 0,
            refilled: 0,
            ends: None,
            due: Vec::new(),
            changed: true,
            problem: None,
        }
    }

    /// Takes up settings, and reads the keys again.
    pub(super) fn configure(&mut self, settings: &Settings, state: Option<&Path>, at: Moment) {
        if self.settings.compact != settings.compact {
            self.before = None; // Every proof is another.
        }
        let other = self.settings != *settings;
        self.settings = settings.clone();
        let loaded = Place::new(&self.zone, settings, state).and_then(|place| {
            // What is in force here is never behind what is on disk.
            let known = self.keys.as_ref().map(|(_, ring)| &ring.rollover);
            let ring = place.load(settings, known, at.wall.as_second())?;
            Ok((place, ring))
        });
        let problem = match loaded {
            Ok((place, ring)) => {
                self.changed |= self.keys.as_ref().map(|(_, own)| own) != Some(&ring) || other;
                let odd = self.oddities(&ring);
                self.keys = Some((place, ring));
                odd
            }
            Err(error) => Some(format!("zone {}: {error}; {}", self.zone, self.stays())),
        };
        // The configuration is read every few seconds; what is wrong is said once.
        if let Some(problem) = problem.as_ref().filter(|own| self.problem.as_ref() != Some(*own)) {
            tracing::error!("{problem}");
        }
        self.problem = problem;
    }

    fn stays(&self) -> &'static str {
        match self.keys {
            Some(_) => "the keys that were read before stay in force",
            None => {
                "the zone is served without signatures, which validators refuse if its DS is \
                     at the parent"
            }
        }
    }

    /// What the keys in force do not do that is configured.
    fn oddities(&self, ring: &KeyRing) -> Option<String> {
        let other = ring.keys.values().find(|key| key.algorithm != self.settings.algorithm);
        if let Some(key) = other {
            return Some(format!(
                "zone {}: spec.dnssec.algorithm is {}, but its keys are {}, and stay in force: a \
                 change of algorithm is not made by itself",
                self.zone,
                self.settings.algorithm.mnemonic(),
                key.algorithm.mnemonic()
            ));
        }
        let roles: BTreeSet<Role> = ring.rollover.keys.iter().map(|key| key.role).collect();
        let wanted: BTreeSet<Role> = self.settings.roles().iter().copied().collect();
        (roles != wanted).then(|| {
            let names = |roles: &BTreeSet<Role>| {
                roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
            };
            format!(
                "zone {}: spec.dnssec.keys wants {}, but its keys are {}, and stay in force",
                self.zone,
                names(&wanted),
                names(&roles)
            )
        })
    }

    // === Time ===

    /// What time brings about; whether the zone is to be signed again.
    pub(super) fn tick(&mut self, at: Moment) -> bool {
        let now = at.wall.as_second();
        if let Some(online) = self.online.as_ref().filter(|_| self.refilled != now) {
            self.refilled = now;
            online.refill();
        }
        let names = self.before.as_ref().map_or(0, |before| before.signed.len());
        let pause = i64::try_from(names / LOOKED_AT).unwrap_or(i64::MAX).clamp(1, 60);
        // Also when the clock was put back.
        if !(0..pause).contains(&(now - self.looked)) {
            self.looked = now;
            self.turn(now);
            self.find_due(now);
        }
        self.changed || !self.due.is_empty()
    }

    fn turn(&mut self, now: i64) {
        let timing = self.timing();
        let Some((place, ring)) = &mut self.keys else { return };
        let handing_over = ring.rollover.keys.iter().any(|key| is(key.zsk, Stage::Retired));
        let signing = match (&self.before, handing_over) {
            (Some(before), true) => dnssec::signers(&before.signed).into_keys().collect(),
            _ => BTreeSet::new(),
        };
        let before = ring.rollover.clone();
        let turns = ring.rollover.tick(now, &timing, &signing);
        if ring.rollover == before {
            return;
        }
        let mut outcome = Ok(());
        for turn in &turns {
            tracing::info!("zone {}: {}", self.zone, said(*turn));
            if let Turn::Gone(tag) = turn {
                outcome = outcome.and(place.retire(ring, *tag, now));
            }
        }
        outcome = outcome.and(place.save(ring));
        self.changed |= !turns.is_empty();
        if let Err(error) = outcome {
            let text = format!(
                "zone {}: {error}; its keys go on as they are, but a restart would begin this step \
                 of their change again",
                self.zone
            );
            tracing::error!("{text}");
            self.problem = Some(text);
        }
    }

    fn find_due(&mut self, now: i64) {
        let Some(before) = self.before.clone() else { return };
        let Some(with) = self.signing(now) else { return };
        self.due = with.due(&before.signed).take(AT_ONCE).collect();
        self.ends = first_end(&before.signed);
        // More than one helping: the next one at once.
        if self.due.len() == AT_ONCE {
            self.looked = 0;
        }
        let online = self.online.as_ref().map(|own| own.validity().expiration - now);
        self.changed |= online.is_some_and(|left| left < self.settings.lifetime / 4);
    }

    fn timing(&self) -> Timing {
        self.settings.timing(self.zone_ttl)
    }

    // === Signing ===

    /// The zone with signatures; `None` where it has none yet, and is served as it is.
    pub(super) fn sign(
        &mut self,
        source: &Arc<Zone>,
        at: Moment,
        board: &Board,
    ) -> Option<Arc<Zone>> {
        let now = at.wall.as_second();
        if source.completeness == Completeness::Pending {
            return None; // Nothing is answered from it.
        }
        if let Some(same) = self.unchanged(source) {
            return Some(same);
        }
        let with = self.signing(now)?;
        self.note_ttls(source);
        let serial = self.next_serial(source, now);
        let progress = Arc::new(AtomicUsize::new(0));
        let watched = self.watch(source, &progress, at, board);
        let due = std::mem::take(&mut self.due);
        let random = SystemRandom::new();
        let signed = with.sign(source, serial, self.before.as_ref(), due, &random, &progress);
        drop(watched);
        let Some(signed) = signed else {
            let text = format!(
                "zone {}: a key could not sign; the signatures before stay in force",
                self.zone
            );
            tracing::error!("{text}");
            self.problem = Some(text);
            return self.before.as_ref().map(|before| before.signed.clone());
        };
        self.changed = false;
        let signed = Arc::new(signed);
        self.last = Some(serial);
        if self.before.is_none() {
            self.ends = first_end(&signed);
        }
        self.before = Some(Before { source: source.clone(), signed: signed.clone() });
        Some(signed)
    }

    /// What was signed before, where nothing else is to be.
    fn unchanged(&mut self, source: &Arc<Zone>) -> Option<Arc<Zone>> {
        let before = self.before.as_mut().filter(|_| !self.changed && self.due.is_empty())?;
        if Arc::ptr_eq(&before.source, source) {
            return Some(before.signed.clone());
        }
        if source.changes(&before.source).next().is_some() {
            return None;
        }
        let mut signed = Zone::clone(&before.signed);
        (signed.completeness, signed.stale) = (source.completeness, source.stale);
        *before = Before { source: source.clone(), signed: Arc::new(signed) };
        Some(before.signed.clone())
    }

    fn signing(&mut self, now: i64) -> Option<dnssec::Signing> {
        let (_, ring) = self.keys.as_ref()?;
        let keys = keys(&ring.rollover, ring);
        let denial = match self.settings.compact {
            false => Denial::Chain,
            true => Denial::Compact(self.online(&keys.sign_zone, now)),
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let Settings { key_ttl, lifetime, .. } = self.settings;
        Some(dnssec::Signing { keys, key_ttl, lifetime, denial, now, threads })
    }

    /// The one there is, while its keys and times are right.
    fn online(&mut self, keys: &[Arc<Key>], now: i64) -> Arc<OnlineSigner> {
        let lifetime = self.settings.lifetime;
        let fits = |own: &&Arc<OnlineSigner>| {
            own.keys() == keys && own.validity().expiration - now >= lifetime / 4
        };
        if let Some(online) = self.online.as_ref().filter(fits) {
            return online.clone();
        }
        let validity = Validity { inception: now - CLOCKS, expiration: now + lifetime };
        let online = OnlineSigner::new(self.zone.clone(), keys.to_vec(), validity);
        self.online.insert(Arc::new(online)).clone()
    }

    /// Rises also where only signatures change, and after a restart.
    fn next_serial(&self, source: &Zone, now: i64) -> Serial {
        let seconds = u64::try_from(now).unwrap_or_default();
        match self.last {
            None => source.serial().next(seconds),
            Some(last) if source.serial().is_after(last) => source.serial(),
            Some(last) => last.next(seconds),
        }
    }

    /// Of the zone as it was served last; `None` where it never was.
    pub(super) fn serial(&self) -> Option<Serial> {
        self.last
    }

    fn note_ttls(&mut self, source: &Zone) {
        let mut seen = |node: &crate::records::Node| {
            let longest = node.iter().map(|rrset| rrset.ttl).max();
            self.zone_ttl = self.zone_ttl.max(longest.unwrap_or(Ttl::from_secs(0)));
        };
        match &self.before {
            None => source.nodes().for_each(|(_, node)| seen(node)),
            Some(before) => {
                source.changes(&before.source).filter_map(|own| own.1).for_each(&mut seen);
            }
        }
    }

    /// While a large zone is signed, says how far that has come.
    fn watch(
        &self,
        source: &Zone,
        progress: &Arc<AtomicUsize>,
        at: Moment,
        board: &Board,
    ) -> Option<Watch> {
        if self.before.is_some() || source.len() < WORTH_SAYING {
            return None;
        }
        tracing::info!("zone {}: signing {} names", self.zone, source.len());
        let (board, progress) = (board.clone(), progress.clone());
        let view = View { names: source.len(), ..self.view(at) };
        Some(Watch::start(move || {
            let signed = progress.load(Ordering::Relaxed);
            board.put(View { signed, ..view.clone() });
        }))
    }

    // === Orders ===

    pub(super) fn roll(&mut self, role: Option<Role>, at: Moment) -> Result<String, String> {
        let now = at.wall.as_second();
        let settings = self.settings.clone();
        let timing = self.timing();
        let (place, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        let roles: BTreeSet<Role> = ring.rollover.keys.iter().map(|key| key.role).collect();
        let role = match (role, roles.iter().next()) {
            (Some(role), _) => role,
            (None, Some(only)) if roles.len() == 1 => *only,
            (None, _) => return Err("say which key: --key ksk, or --key zsk".to_owned()),
        };
        ring.rollover.may_roll(role).map_err(|refusal| refusal.to_string())?;
        let tag = place.successor(ring, &settings, role, now)?;
        let mut rollover = ring.rollover.clone();
        rollover.roll(tag, role, now).map_err(|refusal| refusal.to_string())?;
        let old = std::mem::replace(&mut ring.rollover, rollover);
        if let Err(error) = place.save(ring) {
            ring.rollover = old;
            return Err(error);
        }
        self.changed = true;
        let known = Timestamp::from_second(now + timing.key_ttl + timing.propagation);
        let known = known.map(|time| time.to_string()).unwrap_or_default();
        let then = match role {
            Role::Zsk => "signs the zone from then on".to_owned(),
            Role::Csk | Role::Ksk => {
                format!("its DS may be put at the parent then (`meridian dnssec ds {}`)", self.zone)
            }
        };
        Ok(format!("{role} {tag} is published; every cache knows it at {known}, and {then}"))
    }

    pub(super) fn ds_seen(&mut self, tags: &[u16], at: Moment) -> Result<String, String> {
        let (now, timing) = (at.wall.as_second(), self.timing());
        let (place, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        let mut rollover = ring.rollover.clone();
        let waiting: Vec<u16> = rollover
            .keys
            .iter()
            .filter(|key| !is(key.ksk, Stage::Active))
            .map(|key| key.tag)
            .collect();
        // A parent often has the old DS beside the new one for a while.
        let tag = tags.iter().find(|tag| waiting.contains(tag)).or(tags.first());
        let tag = *tag.ok_or("the parent has no DS of the zone")?;
        rollover.ds_seen(tag, &timing, now).map_err(|refusal| refusal.to_string())?;
        let old = std::mem::replace(&mut ring.rollover, rollover);
        if let Err(error) = place.save(ring) {
            ring.rollover = old;
            return Err(error);
        }
        self.changed = true;
        Ok(format!("key {tag} is in force: the parent has its DS"))
    }

    // === For people ===

    /// What is wrong, and what stays in force.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn view(&self, at: Moment) -> View {
        let signed = self.before.as_ref().map(|before| &before.signed);
        let names = signed.and_then(|zone| zone.signed()).map(|own| own.names());
        let time = |seconds: i64| Timestamp::from_second(seconds).ok().map(|own| own.to_string());
        let count = names.map_or(0, imbl::OrdMap::len);
        let timing = self.timing();
        let ring = self.keys.as_ref().map(|(_, ring)| ring);
        let key = |ring: &KeyRing, own: &dnssec::KeyState| KeyView {
            tag: own.tag,
            role: own.role,
            algorithm: ring
                .keys
                .get(&own.tag)
                .map_or("?", |key| key.algorithm.mnemonic())
                .to_owned(),
            state: state(own.ksk, own.zsk),
            next: ring
                .rollover
                .next_at(own, &timing)
                .map(|next| next.max(at.wall.as_second()))
                .and_then(time),
        };
        View {
            zone: self.zone.clone(),
            denial: if self.settings.compact { "compact" } else { "nsec" }.to_owned(),
            serial: signed.map(|zone| zone.serial().0),
            names: count,
            signed: count,
            expires: self.ends.and_then(time),
            keys: ring.map_or_else(Vec::new, |ring| {
                ring.rollover.keys.iter().map(|own| key(ring, own)).collect()
            }),
            ds: ring.map_or_else(Vec::new, |ring| {
                let wished = keys(&ring.rollover, ring).wished;
                wished.iter().map(|key| ds_text(&key.ds(&self.zone))).collect()
            }),
            problem: self.problem.clone(),
        }
    }
}

fn keys(rollover: &Rollover, ring: &KeyRing) -> Keys {
    let of = |tags: &mut dyn Iterator<Item = u16>| {
        tags.filter_map(|tag| ring.keys.get(&tag).cloned()).collect()
    };
    Keys {
        published: of(&mut rollover.keys.iter().map(|key| key.tag)),
        sign_keys: of(&mut rollover.sign_keys()),
        sign_zone: of(&mut rollover.sign_zone()),
        wished: of(&mut rollover.wished()),
    }
}

fn is(track: Option<Track>, stage: Stage) -> bool {
    track.is_some_and(|track| track.stage == stage)
}

fn first_end(zone: &Zone) -> Option<i64> {
    zone.signed()?.names().values().map(|name| name.until).min()
}
