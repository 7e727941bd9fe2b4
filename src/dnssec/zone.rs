//! Signs a zone: all of it the first time, then what changed, and what is due to be signed again.
//! Signatures over what stayed the same are kept.

use super::{
    bitmap::bitmap,
    fit::SIGNERS_OWN,
    key::{Key, wished},
    sign::{self, Validity},
};
use crate::{
    model::{Key as NameKey, Name, Serial, Ttl},
    records::{
        Denial, Node, Proof, RecordType, Rrset, Signed, SignedFamily, SignedName, Steered, Zone,
        compact_nsec, denial_ttl,
    },
};
use imbl::OrdMap;
use ring::rand::SecureRandom;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Which keys do what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keys {
    /// All that are published.
    pub published: Vec<Arc<Key>>,
    /// Those that sign DNSKEY, CDS and CDNSKEY.
    pub sign_keys: Vec<Arc<Key>>,
    /// Those that sign all the rest.
    pub sign_zone: Vec<Arc<Key>>,
    /// Those that the parent should have a DS of.
    pub wished: Vec<Arc<Key>>,
}

/// How a zone is signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// With which keys.
    pub keys: Keys,
    /// The TTL of DNSKEY, CDS and CDNSKEY.
    pub key_ttl: Ttl,
    /// Seconds that a signature holds at most; by up to a quarter less, so that not all end at
    /// once.
    pub lifetime: i64,
    /// How names that do not exist are denied.
    pub denial: Denial,
    /// Seconds since 1970.
    pub now: i64,
    /// How many threads may sign.
    pub threads: usize,
}

/// A zone as it was signed last.
#[derive(Clone, Debug)]
pub struct Before {
    /// As it came.
    pub source: Arc<Zone>,
    /// As it was signed.
    pub signed: Arc<Zone>,
}

impl Signing {
    /// Signs a zone; of the one before, what stayed the same is kept, but for the names in `due`.
    /// Counts the names that are done in `progress`. `None` when a key cannot sign.
    #[must_use]
    pub fn sign(
        &self,
        source: &Zone,
        serial: Serial,
        before: Option<&Before>,
        due: impl IntoIterator<Item = NameKey>,
        random: &(dyn SecureRandom + Sync),
        progress: &AtomicUsize,
    ) -> Option<Zone> {
        let zone = self.with_keys(source, serial);
        let old = before.and_then(|before| before.signed.signed());
        let mut names = old.map(|old| old.names().clone()).unwrap_or_default();
        let changed: BTreeSet<NameKey> = match before {
            Some(before) => touched(source, &before.source).into_iter().chain(due).collect(),
            None => source.nodes().map(|(key, _)| key.clone()).collect(),
        };
        let mut due = self.placed(&zone, changed, &mut names);
        due.insert(zone.key().clone());
        let tasks: Vec<Task<'_>> = due
            .iter()
            .filter_map(|key| {
                let node = zone.node(key.as_bytes())?;
                let next = next_name(&names, key, &zone);
                let old = before.and_then(|before| before.of(key));
                Some(Task { key, node, next, old })
            })
            .collect();
        let made = self.in_parallel(&zone, &tasks, random, progress)?;
        for (task, name) in tasks.iter().zip(made) {
            names.insert(task.key.clone(), Arc::new(name));
        }
        let signed = Signed::new(names, self.denial.clone());
        Some(zone.with_signatures(Arc::new(signed)))
    }

    /// The names whose signatures should be made again: a quarter of the lifetime is left, or other
    /// keys should have made them.
    pub fn due<'z>(&'z self, zone: &'z Zone) -> impl Iterator<Item = NameKey> + 'z {
        let names = zone.signed().into_iter().flat_map(|signed| signed.names().iter());
        let tags = tags(&self.keys.sign_zone);
        names
            .filter(move |(_, name)| {
                name.until - self.now < self.lifetime / 4 || made_by(&name.nsec.rrsig) != tags
            })
            .map(|(key, _)| key.clone())
    }

    /// The zone with its keys, at that serial. What somebody else signed was taken out where the
    /// zone came from ([`super::fitted`]).
    fn with_keys(&self, source: &Zone, serial: Serial) -> Zone {
        let apex = source.key();
        let mut node = source.node(apex.as_bytes()).cloned().unwrap_or_default();
        let others = node.get(RecordType::DNSKEY).cloned();
        let own: Vec<Vec<u8>> = self.keys.published.iter().map(|key| key.dnskey()).collect();
        let all = others.iter().flat_map(Rrset::rdata).chain(own.iter().map(Vec::as_slice));
        let wanted: Vec<&Key> = self.keys.wished.iter().map(|key| &**key).collect();
        let keys = Rrset::new(RecordType::DNSKEY, self.key_ttl, all);
        let wishes = wished(source.apex(), &wanted, self.key_ttl);
        wishes.into_iter().chain([keys]).flatten().for_each(|rrset| node.put(rrset));
        source.with([(apex.clone(), Some(node))], serial)
    }

    /// Enters the changed names that are data of the zone, takes the others out; which names must
    /// be signed, those before a new or a gone one included.
    fn placed(
        &self,
        zone: &Zone,
        changed: BTreeSet<NameKey>,
        names: &mut OrdMap<NameKey, Arc<SignedName>>,
    ) -> BTreeSet<NameKey> {
        let chained = matches!(self.denial, Denial::Chain);
        let mut due = BTreeSet::new();
        let mut moved = Vec::new();
        for key in changed {
            let there = zone.node(key.as_bytes()).is_some_and(has_data);
            let there = there && !zone.is_occluded(key.as_bytes());
            let was = names.contains_key(&key);
            match (there, was) {
                (true, true) => drop(due.insert(key)),
                (true, false) => {
                    names.insert(key.clone(), Arc::new(unsigned(&key)));
                    moved.push(key.clone());
                    due.insert(key);
                }
                (false, true) => {
                    names.remove(&key);
                    moved.push(key);
                }
                (false, false) => {}
            }
        }
        if chained {
            for key in moved {
                due.extend(name_before(names, &key).cloned());
            }
        }
        due
    }

    fn in_parallel(
        &self,
        zone: &Zone,
        tasks: &[Task<'_>],
        random: &(dyn SecureRandom + Sync),
        progress: &AtomicUsize,
    ) -> Option<Vec<SignedName>> {
        let some = |tasks: &[Task<'_>]| -> Option<Vec<SignedName>> {
            let one = |task: &Task<'_>| {
                let name = Work::new(self, zone, task, random)?.name();
                progress.fetch_add(1, Ordering::Relaxed);
                name
            };
            tasks.iter().map(one).collect()
        };
        if tasks.len() < WORTH_A_THREAD || self.threads < 2 {
            return some(tasks);
        }
        let share = tasks.len().div_ceil(self.threads);
        let parts: Vec<Option<Vec<SignedName>>> = thread::scope(|scope| {
            let all: Vec<_> =
                tasks.chunks(share).map(|part| scope.spawn(move || some(part))).collect();
            // A thread that ended early signed nothing.
            all.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.concat())
    }
}

impl Before {
    fn of(&self, key: &NameKey) -> Option<(&Node, &SignedName)> {
        let signed = self.signed.signed()?.name(key.as_bytes())?;
        Some((self.signed.node(key.as_bytes())?, signed))
    }
}

/// One name to be signed.
struct Task<'t> {
    key: &'t NameKey,
    node: &'t Node,
    next: Name,
    old: Option<(&'t Node, &'t SignedName)>,
}

/// A name on its way to being signed, with all signatures that can be kept or were made.
struct Work<'w> {
    with: &'w Signing,
    zone: &'w Zone,
    task: &'w Task<'w>,
    random: &'w dyn SecureRandom,
    owner: Name,
    validity: Validity,
    until: i64,
    known: Vec<(Rrset, Rrset)>,
}

impl<'w> Work<'w> {
    fn new(
        with: &'w Signing,
        zone: &'w Zone,
        task: &'w Task<'w>,
        random: &'w dyn SecureRandom,
    ) -> Option<Self> {
        let owner = task.key.to_name();
        let early = i64::from(spread(task.key)) * (with.lifetime / 4) / i64::from(u16::MAX);
        let validity =
            Validity { inception: with.now - SLACK, expiration: with.now + with.lifetime - early };
        let (mut until, mut known) = (validity.expiration, Vec::new());
        if let Some((node, name)) = task.old
            && name.until - with.now >= with.lifetime / 4
        {
            until = until.min(name.until);
            known = pairs(node, name);
        }
        Some(Self { with, zone, task, random, owner, validity, until, known })
    }

    fn name(mut self) -> Option<SignedName> {
        let node = self.task.node;
        let mut rrsigs = smallvec::SmallVec::new();
        for rrset in self.own_rrsets() {
            rrsigs.push((rrset.rtype, self.signature(rrset)?));
        }
        let types = self.types();
        let nsec = self.proof(&types)?;
        let neutral = self.neutral(&types)?;
        let steered = match node.steering() {
            Some(steered) => Some(Box::new([
                self.family(steered, false, &types)?,
                self.family(steered, true, &types)?,
            ])),
            None => None,
        };
        Some(SignedName { owner: self.owner, rrsigs, nsec, neutral, steered, until: self.until })
    }

    /// What is signed at the name: of a delegation the DS alone (RFC 4035 §2.2).
    fn own_rrsets(&self) -> impl Iterator<Item = &'w Rrset> + use<'w> {
        let delegated = self.is_delegated();
        let ours = |rrset: &&Rrset| !SIGNERS_OWN.contains(&rrset.rtype);
        let node = self.task.node;
        let kept = move |rrset: &&Rrset| !delegated || rrset.rtype == RecordType::DS;
        node.iter().filter(ours).filter(kept)
    }

    fn is_delegated(&self) -> bool {
        self.task.key != self.zone.key() && self.task.node.get(RecordType::NS).is_some()
    }

    /// RFC 4034 §4.1.2; a steered family is there for all clients, whatever one of them is given.
    fn types(&self) -> BTreeSet<RecordType> {
        let mut types = self.neutral_types();
        if let Some(steered) = self.task.node.steering().filter(|_| !self.is_delegated()) {
            types.extend(steered.has(false).then_some(RecordType::A));
            types.extend(steered.has(true).then_some(RecordType::AAAA));
        }
        types
    }

    /// The types that nobody in particular gets.
    fn neutral_types(&self) -> BTreeSet<RecordType> {
        let mut types: BTreeSet<RecordType> = self.own_rrsets().map(|rrset| rrset.rtype).collect();
        types.extend([RecordType::RRSIG, RecordType::NSEC]);
        types.extend(self.is_delegated().then_some(RecordType::NS));
        types
    }

    /// See [`SignedName::neutral`]; the outer `None` when a key cannot sign.
    fn neutral(&mut self, types: &BTreeSet<RecordType>) -> Option<Option<Proof>> {
        let own = self.neutral_types();
        if own == *types || matches!(self.with.denial, Denial::Compact(_)) {
            return Some(None); // Compact denial is never copied.
        }
        self.proof(&own).map(Some)
    }

    fn proof(&mut self, types: &BTreeSet<RecordType>) -> Option<Proof> {
        let (bits, ttl) = (bitmap(types), denial_ttl(self.zone));
        let nsec = match self.with.denial {
            Denial::Chain => {
                let next = self.task.next.as_wire();
                Rrset::new(RecordType::NSEC, ttl, [[next, &bits].concat()])
            }
            Denial::Compact(_) => compact_nsec(&self.owner, &bits, ttl),
        }?;
        let rrsig = self.signature(&nsec)?;
        Some(Proof { nsec, rrsig })
    }

    fn family(
        &mut self,
        steered: &Steered,
        v6: bool,
        types: &BTreeSet<RecordType>,
    ) -> Option<SignedFamily> {
        if !steered.has(v6) {
            return Some(SignedFamily::default());
        }
        let mut variants = Vec::with_capacity(steered.variants(v6).len());
        for rrset in steered.variants(v6) {
            variants.push(match rrset {
                Some(rrset) => Some(self.signature(rrset)?),
                None => None,
            });
        }
        let outside = match steered.outside(v6) {
            Some(rrset) => Some(self.signature(rrset)?),
            None => None,
        };
        // What a client is told that gets none: this family is not there.
        let mut fewer = types.clone();
        fewer.remove(if v6 { &RecordType::AAAA } else { &RecordType::A });
        Some(SignedFamily { variants, outside, fenced: Some(self.proof(&fewer)?) })
    }

    /// The signatures over an rrset: those that are known, else new ones.
    fn signature(&mut self, rrset: &Rrset) -> Option<Rrset> {
        let keys = match rrset.rtype {
            RecordType::DNSKEY | RecordType::CDS | RecordType::CDNSKEY => &self.with.keys.sign_keys,
            _ => &self.with.keys.sign_zone,
        };
        let wanted = tags(keys);
        let mut known = self.known.iter();
        if let Some((_, own)) = known.find(|(over, own)| over == rrset && made_by(own) == wanted) {
            return Some(own.clone());
        }
        let (apex, keys) = (self.zone.apex(), keys.iter().map(|key| &**key));
        let own = sign::rrsig(apex, &self.owner, rrset, keys, self.validity, self.random)?;
        self.known.push((rrset.clone(), own.clone()));
        Some(own)
    }
}

/// What a name had, with the signatures over it.
fn pairs(node: &Node, name: &SignedName) -> Vec<(Rrset, Rrset)> {
    let plain = name.rrsigs.iter().filter_map(|(rtype, own)| Some((node.get(*rtype)?, own)));
    let mut all: Vec<(Rrset, Rrset)> =
        plain.map(|(rrset, own)| (rrset.clone(), own.clone())).collect();
    let proof = |proof: &Proof| (proof.nsec.clone(), proof.rrsig.clone());
    all.extend(std::iter::once(&name.nsec).chain(&name.neutral).map(proof));
    for (steered, v6) in [false, true].iter().filter_map(|v6| Some((node.steering()?, *v6))) {
        let Some(family) = name.steered.as_ref().map(|all| &all[usize::from(v6)]) else { continue };
        let variants = steered.variants(v6).iter().zip(&family.variants);
        let outside = steered.outside(v6).zip(family.outside.as_ref());
        let pair = |(rrset, own): (&Rrset, &Rrset)| (rrset.clone(), own.clone());
        all.extend(variants.filter_map(|(r, s)| Some(pair((r.as_ref()?, s.as_ref()?)))));
        all.extend(outside.map(pair));
        all.extend(family.fenced.as_ref().map(proof));
    }
    all
}

/// The names that differ, and where a delegation or DNAME came or went, all below it.
fn touched(now: &Zone, before: &Zone) -> Vec<NameKey> {
    let mut all = Vec::new();
    for (key, node) in now.changes(before) {
        let old = before.node(key.as_bytes());
        let apex = key == now.key();
        if is_cut(old, apex) != is_cut(node, apex) {
            let below = now.below(key.as_bytes()).chain(before.below(key.as_bytes()));
            all.extend(below.map(|(key, _)| key.clone()));
        }
        all.push(key.clone());
    }
    all
}

fn is_cut(node: Option<&Node>, apex: bool) -> bool {
    node.is_some_and(|node| {
        node.get(RecordType::DNAME).is_some() || (!apex && node.get(RecordType::NS).is_some())
    })
}

/// Whether a node has more than what a signer made.
fn has_data(node: &Node) -> bool {
    node.steering().is_some() || node.iter().any(|rrset| !SIGNERS_OWN.contains(&rrset.rtype))
}

fn unsigned(key: &NameKey) -> SignedName {
    let empty = Rrset::cname(Ttl::SERVED, &Name::root());
    SignedName {
        owner: key.to_name(),
        rrsigs: smallvec::SmallVec::new(),
        nsec: Proof { nsec: empty.clone(), rrsig: empty },
        neutral: None,
        steered: None,
        until: 0,
    }
}

/// The name behind that one; behind the last comes the apex (RFC 4034 §4.1.1).
fn next_name(names: &OrdMap<NameKey, Arc<SignedName>>, key: &NameKey, zone: &Zone) -> Name {
    let from = (Bound::Excluded(key), Bound::Unbounded);
    match names.range::<_, NameKey>(from).next() {
        Some((_, name)) => name.owner.clone(),
        None => zone.apex().to_lowercase(),
    }
}

/// The name before that one, whose NSEC leads to it.
fn name_before<'n>(
    names: &'n OrdMap<NameKey, Arc<SignedName>>,
    key: &NameKey,
) -> Option<&'n NameKey> {
    let to = (Bound::Unbounded, Bound::Excluded(key));
    names.range::<_, NameKey>(to).next_back().map(|(key, _)| key)
}

fn tags(keys: &[Arc<Key>]) -> BTreeSet<u16> {
    keys.iter().map(|key| key.tag()).collect()
}

fn made_by(rrsig: &Rrset) -> BTreeSet<u16> {
    rrsig.rdata().filter_map(sign::made_by).map(|(tag, _)| tag).collect()
}

/// The tags of the keys whose signatures over the zone's data are in force.
#[must_use]
pub fn signers(zone: &Zone) -> BTreeMap<u16, usize> {
    let mut count = BTreeMap::new();
    for name in zone.signed().into_iter().flat_map(|signed| signed.names().values()) {
        for tag in made_by(&name.nsec.rrsig) {
            *count.entry(tag).or_default() += 1;
        }
    }
    count
}

/// Where in the spread of expirations a name lies: the same each time (FNV-1a over its key).
fn spread(key: &NameKey) -> u16 {
    let mix = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    let hash = key.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix);
    u16::try_from(hash >> 48).unwrap_or_default()
}

/// How far a validator's clock may be behind.
const SLACK: i64 = 3_600;
/// Fewer names are signed sooner than threads are started.
const WORTH_A_THREAD: usize = 64;
