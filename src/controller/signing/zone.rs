//! One zone: its keys as they are now, and its signatures.

use super::{
    Board,
    files::{KeyRing, Place},
    job::Job,
    people::{Watch, said, state},
    problems::{About, Problems},
};
use crate::{
    dnssec::{
        self, Before, Key, KeyView, Keys, OnlineSigner, Role, Rollover, Settings, Signatures,
        Stage, Timing, Track, Validity, View, ds_text,
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
    pub(super) zone: Name,
    pub(super) settings: Settings,
    /// `None` while there never were keys that could be read.
    pub(super) keys: Option<(Place, KeyRing)>,
    before: Option<Before>,
    /// All of it is being signed elsewhere.
    job: Option<Job>,
    /// As it was served last with signatures; outlives `before`, too.
    shown: Option<Arc<Zone>>,
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
    pub(super) changed: bool,
    pub(super) problems: Problems,
}

/// Names signed again at once: some tens of milliseconds.
const AT_ONCE: usize = 1_000;
/// Names that are looked at in a second without anybody noticing.
const LOOKED_AT: usize = 1_000;
/// So many names are signed in the background where all of them are to be: some tenths of a second.
const MANY: usize = 5_000;
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
            job: None,
            shown: None,
            last,
            online: None,
            zone_ttl: Ttl::from_secs(0),
            looked: 0,
            refilled: 0,
            ends: None,
            due: Vec::new(),
            changed: true,
            problems: Problems::default(),
        }
    }

    /// Takes up settings, and reads the keys again.
    pub(super) fn configure(&mut self, settings: &Settings, state: Option<&Path>, at: Moment) {
        if self.settings.compact != settings.compact {
            (self.before, self.job) = (None, None); // Every proof is another.
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
        self.problems.set(About::Configuration, problem);
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
        let other = ring.algorithm().filter(|own| *own != self.settings.algorithm);
        if let Some(algorithm) = other {
            return Some(format!(
                "zone {}: spec.dnssec.algorithm is {}, but its keys are {}, and stay in force; say \
                 `meridian dnssec roll --algorithm` to have it changed step by step",
                self.zone,
                self.settings.algorithm.mnemonic(),
                algorithm.mnemonic()
            ));
        }
        let staying = ring.rollover.keys.iter();
        let staying = staying.filter(|key| !ring.rollover.leaving.contains(&key.tag));
        let roles: BTreeSet<Role> = staying.map(|key| key.role).collect();
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
            self.schedule(now);
            self.find_due(now);
        }
        let (idle, news) = (self.job.is_none(), self.problems.take_news());
        news || (idle && (self.changed || !self.due.is_empty()))
            || self.job.as_ref().is_some_and(Job::is_done)
    }

    fn turn(&mut self, now: i64) {
        let timing = self.timing();
        let Some((place, ring)) = &mut self.keys else { return };
        let retired = ring.rollover.keys.iter().any(|key| is(key.zsk, Stage::Retired));
        let handing_over = retired || !ring.rollover.leaving.is_empty();
        let signing = match (&self.before, handing_over) {
            (Some(before), true) => signatures(&before.signed),
            _ => Signatures::default(),
        };
        let before = ring.rollover.clone();
        let turns = ring.rollover.tick(now, &timing, &signing);
        if ring.rollover == before && !self.problems.has(About::Saving) {
            return;
        }
        for turn in &turns {
            tracing::info!("zone {}: {}", self.zone, said(*turn));
        }
        self.changed |= !turns.is_empty();
        let problem = place.save_step(ring, now).err().map(|error| {
            format!(
                "zone {}: {error}; its keys go on as they are, but a restart would begin this step \
                 of their change again; it is written down as soon as that can be done",
                self.zone
            )
        });
        self.problems.set(About::Saving, problem);
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
    }

    pub(super) fn timing(&self) -> Timing {
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
        if let Some(job) = self.job.take_if(|job| job.is_done()) {
            self.take(job.source.clone(), job.end());
        }
        if self.job.is_some() {
            return self.meanwhile(source);
        }
        if let Some(same) = self.unchanged(source) {
            return Some(same);
        }
        let with = self.signing(now)?;
        self.note_ttls(source);
        let serial = self.next_serial(source, now);
        if self.before.is_none() && source.len() >= MANY {
            self.job = Some(self.start(with, source, serial, at, board));
            self.changed = false;
            return self.meanwhile(source);
        }
        let (due, progress) = (std::mem::take(&mut self.due), AtomicUsize::new(0));
        let random = SystemRandom::new();
        let signed = with.sign(source, serial, self.before.as_ref(), due, &random, &progress);
        self.changed &= signed.is_none();
        self.take(source.clone(), signed)
    }

    /// Takes up what was signed, if it was; what is to be served then.
    fn take(&mut self, source: Arc<Zone>, signed: Option<Zone>) -> Option<Arc<Zone>> {
        let Some(signed) = signed.map(Arc::new) else {
            let text = format!(
                "zone {}: a key could not sign; the signatures before stay in force",
                self.zone
            );
            self.problems.set(About::Signatures, Some(text));
            return self.before.as_ref().map(|before| before.signed.clone());
        };
        self.problems.set(About::Signatures, None);
        let ahead = self.last.filter(|last| !signed.serial().is_after(*last));
        self.last = ahead.or(Some(signed.serial()));
        if self.before.is_none() {
            self.ends = first_end(&signed);
        }
        self.before = Some(Before { source, signed: signed.clone() });
        self.shown = Some(signed.clone());
        Some(signed)
    }

    // === Much at once ===

    /// Has all of a large zone signed by threads of its own, so that nobody waits for it.
    fn start(
        &self,
        with: dnssec::Signing,
        source: &Arc<Zone>,
        serial: Serial,
        at: Moment,
        board: &Board,
    ) -> Job {
        let progress = Arc::new(AtomicUsize::new(0));
        let watched = self.watch(source, &progress, at, board);
        let zone = source.clone();
        Job::start(source.clone(), move || {
            let _watched = watched;
            with.sign(&zone, serial, None, [], &SystemRandom::new(), &progress)
        })
    }

    /// What is served while all is being signed. As it was signed before; else nothing of a zone
    /// whose DS is at the parent, since validators refuse it without signatures; else as it is.
    fn meanwhile(&mut self, source: &Arc<Zone>) -> Option<Arc<Zone>> {
        if let Some(shown) = &self.shown {
            return Some(shown.clone());
        }
        if self.is_trusted() {
            let mut waits = Zone::clone(source);
            waits.completeness = Completeness::Pending;
            return Some(Arc::new(waits));
        }
        let newer = self.last.is_none_or(|last| source.serial().is_after(last));
        self.last = if newer { Some(source.serial()) } else { self.last };
        None
    }

    /// Whether the parent has a DS of the zone, as far as is known.
    fn is_trusted(&self) -> bool {
        let Some((_, ring)) = &self.keys else { return false };
        ring.rollover
            .keys
            .iter()
            .any(|key| is(key.ksk, Stage::Active) || is(key.ksk, Stage::Retired))
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

    /// The one there is, while its keys and times are right; another is in force only once the zone
    /// is served with it.
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
        self.changed = true;
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
    ) -> Watch {
        tracing::info!("zone {}: signing {} names", self.zone, source.len());
        let (board, progress) = (board.clone(), progress.clone());
        let view = View { names: source.len(), ..self.view(at) };
        Watch::start(move || {
            let signed = progress.load(Ordering::Relaxed);
            board.put(View { signed, ..view.clone() });
        })
    }

    // === For people ===

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
            problem: self.problems.text(),
        }
    }
}

fn keys(rollover: &Rollover, ring: &KeyRing) -> Keys {
    let of = |tags: &mut dyn Iterator<Item = u16>| {
        tags.filter_map(|tag| ring.keys.get(&tag).cloned()).collect()
    };
    Keys {
        published: of(&mut rollover.published()),
        sign_keys: of(&mut rollover.sign_keys()),
        sign_zone: of(&mut rollover.sign_zone()),
        wished: of(&mut rollover.wished()),
    }
}

/// Which keys have signed some of a zone, and which all of it.
fn signatures(zone: &Zone) -> Signatures {
    let names = zone.signed().map_or(0, |own| own.names().len());
    let count = dnssec::signers(zone);
    let all = count.iter().filter(|(_, own)| **own == names).map(|(tag, _)| *tag).collect();
    Signatures { some: count.into_keys().collect(), all }
}

fn is(track: Option<Track>, stage: Stage) -> bool {
    track.is_some_and(|track| track.stage == stage)
}

fn first_end(zone: &Zone) -> Option<i64> {
    zone.signed()?.names().values().map(|name| name.until).min()
}
