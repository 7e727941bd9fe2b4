//! Puts answers together from zones, and again for the names that a change touched: its own, those
//! above it (which exist through it, or do no longer), and those whose aliases lead to it.

use super::{
    Below, Bodies, Body, Choices, Compiled, Composer, DEPTHS, Entry, Lowered, Others, Records,
    Soas, Standing,
    keys::{above, labels, signed_anew},
    wire::Soa,
};
use crate::{
    model::{Client, Key, Name},
    records::{
        self, Answer, DnssecOk, Entry as Found, Foreseen, Led, Node, Outcome, Owner, Question,
        RecordType, Rrset, SignedFamily, Zone, ZoneSet, foresee,
    },
    server::{
        encode,
        message::{HEADER, Query},
        opt::Extras,
    },
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Keeps the answers of the zones that it was last shown.
#[derive(Debug, Default)]
pub struct Compiler {
    zones: ZoneSet,
    compiled: Compiled,
    /// The index of each complete zone's SOA, by apex.
    indices: BTreeMap<Key, usize>,
    /// Names by those that their aliases lead to.
    dependents: HashMap<Key, BTreeSet<Key>>,
    /// The same the other way round, so that what a name no longer leads to is forgotten.
    leads: HashMap<Key, BTreeSet<Key>>,
}

impl Compiler {
    /// One that has put nothing together, and tells zones apart as these answers do.
    #[must_use]
    pub fn after(compiled: &Compiled) -> Self {
        Self { compiled: compiled.without_answers(), ..Self::default() }
    }

    /// Whether bringing the answers up to these zones is the work of many names, which takes
    /// longer than a publication should wait.
    #[must_use]
    pub fn is_long_work(&self, zones: &ZoneSet) -> bool {
        let names = |zones: &ZoneSet| zones.iter().map(|zone| zone.len()).sum::<usize>();
        if !self.can_follow(zones) {
            return names(zones) > MANY;
        }
        let mut names = 0;
        self.changed(zones).any(|key| {
            names += 1 + self.dependents.get(key).map_or(0, BTreeSet::len);
            names > MANY
        })
    }

    /// The answers of these zones.
    pub fn update(&mut self, zones: &ZoneSet) -> Compiled {
        if !self.follow(zones) {
            self.start_over(zones);
        }
        self.compiled.clone()
    }

    /// Brings up to these zones what changes touch; whether that was enough.
    fn follow(&mut self, zones: &ZoneSet) -> bool {
        if !self.can_follow(zones) {
            return false;
        }
        let touched = self.touched(zones);
        let indices = self.indices.clone();
        self.zones = zones.clone();
        self.set_soas();
        let same = indices == self.indices;
        touched.iter().filter(|_| same).for_each(|key| self.compile(key));
        same
    }

    /// Whether the answers that stand can be kept but for those that changes touch: not where the
    /// zones are others, where cuts changed (what is below answers otherwise), or the names in an
    /// SOA (which others are compressed against).
    fn can_follow(&self, zones: &ZoneSet) -> bool {
        let same = |(one, other): (&Arc<Zone>, &Arc<Zone>)| {
            one.key() == other.key()
                && one.completeness == other.completeness
                && one.signed().is_some() == other.signed().is_some()
        };
        self.zones.len() == zones.len()
            && self.zones.iter().zip(zones.iter()).all(same)
            && self.pairs(zones).all(|(before, after)| {
                soa_names(before) == soa_names(after)
                    && after.changes_since(before).all(|(key, old, new)| {
                        let inner = key != after.key();
                        ![old, new].into_iter().flatten().any(|node| is_cut(node, inner))
                    })
            })
    }

    fn pairs<'z>(&'z self, zones: &'z ZoneSet) -> impl Iterator<Item = (&'z Zone, &'z Zone)> {
        let pairs = self.zones.iter().zip(zones.iter());
        pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).map(|(one, other)| (&**one, &**other))
    }

    fn changed<'z>(&'z self, zones: &'z ZoneSet) -> impl Iterator<Item = &'z Key> {
        self.pairs(zones).flat_map(|(before, after)| {
            let records = after.changes_since(before).map(|change| change.0);
            records.chain(signed_anew(before, after))
        })
    }

    fn touched(&self, zones: &ZoneSet) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        for key in self.changed(zones) {
            touched.extend(above(key));
            touched.extend(self.dependents.get(key).into_iter().flatten().cloned());
        }
        touched
    }

    fn start_over(&mut self, zones: &ZoneSet) {
        *self = Self { zones: zones.clone(), ..Self::after(&self.compiled) };
        self.set_soas();
        let keys = zones.iter().flat_map(|zone| zone.nodes()).flat_map(|(key, _)| above(key));
        let keys: BTreeSet<Key> = keys.chain(zones.iter().map(|zone| zone.key().clone())).collect();
        keys.iter().for_each(|key| self.compile(key));
    }

    /// Each complete zone's SOA as it now is.
    fn set_soas(&mut self) {
        self.compiled.signed = self.zones.iter().any(|zone| zone.signed().is_some());
        self.compiled.zones.clear();
        self.indices.clear();
        let depths = self.zones.iter().map(|zone| labels(zone.key())).collect::<BTreeSet<_>>();
        let few = depths.len() <= DEPTHS;
        self.compiled.depths = depths.into_iter().rev().filter(|_| few).collect();
        let apexes = self.compiled.apexes.serving(self.zones.iter().map(|zone| zone.apex()));
        if let Some(apexes) = apexes {
            self.compiled.apexes = Arc::new(apexes);
        }
        for zone in self.zones.iter() {
            let number = self.compiled.zone_of(zone.apex().as_wire());
            if let Some(soas) = soas(&self.zones, zone, number) {
                self.indices.insert(zone.key().clone(), self.compiled.zones.len());
                self.compiled.zones.push(soas);
            }
        }
    }

    /// Puts one name's answers together, or takes them away where it exists no longer.
    fn compile(&mut self, key: &Key) {
        let zones = self.zones.clone();
        let name = key.to_name();
        let lowered = Lowered::from_slice(name.as_wire());
        let zone = zones.find(key.as_bytes()).filter(|zone| zone.exists(key.as_bytes()));
        let index = zone.and_then(|zone| self.indices.get(zone.key()).copied());
        let is_apex = zone.is_some_and(|zone| zone.key() == key);
        let Some((zone, index)) = zone.zip(index) else {
            self.compiled.names.remove(&lowered);
            // What is below is of that zone, not of one above.
            if is_apex {
                self.compiled.names.insert(Entry::left_out(lowered, true));
            }
            self.lead(key, BTreeSet::new());
            return;
        };
        let (soas, dnssec) = (self.compiled.zones.as_slice(), DnssecOk::No);
        let one = One { zones: &zones, soas, name: &name, index, dnssec };
        let mut passed = BTreeSet::new();
        let bodies = one.bodies(&mut passed);
        let signed = self.compiled.signed;
        let signed = signed.then(|| One { dnssec: DnssecOk::Yes, ..one }.bodies(&mut passed));
        let signed = signed.filter(|signed| *signed != bodies).map(Box::new);
        let entry = Entry {
            name: lowered,
            is_apex,
            zone: index,
            bodies,
            signed,
            others: one.others(zone.node(key.as_bytes())),
            below: one.below(),
        };
        self.lead(key, passed);
        self.compiled.names.insert(entry);
    }

    /// Notes which names a name's aliases lead to, in place of those they led to before.
    fn lead(&mut self, key: &Key, targets: BTreeSet<Key>) {
        for target in self.leads.remove(key).into_iter().flatten() {
            let dependents = self.dependents.get_mut(&target);
            if dependents.is_some_and(|own| own.remove(key) && own.is_empty()) {
                self.dependents.remove(&target);
            }
        }
        for target in &targets {
            self.dependents.entry(target.clone()).or_default().insert(key.clone());
        }
        if !targets.is_empty() {
            self.leads.insert(key.clone(), targets);
        }
    }

    /// How many notes about aliases it keeps.
    #[cfg(test)]
    pub(super) fn notes(&self) -> usize {
        self.dependents.len() + self.leads.len()
    }
}

/// More names than this are many: some milliseconds' work.
const MANY: usize = 2_000;

/// One name that is being put together.
#[derive(Clone, Copy)]
struct One<'z> {
    zones: &'z ZoneSet,
    soas: &'z [Soas],
    name: &'z Name,
    index: usize,
    /// Whether with signatures, where there are any.
    dnssec: DnssecOk,
}

impl One<'_> {
    fn bodies(&self, passed: &mut BTreeSet<Key>) -> Bodies {
        let a = self.body(RecordType::A, passed);
        Bodies { a, aaaa: self.body(RecordType::AAAA, passed) }
    }

    /// The answer for addresses; the names that its aliases lead to are added to `passed`.
    fn body(&self, rtype: RecordType, passed: &mut BTreeSet<Key>) -> Body {
        let question = Question { name: self.name.as_wire(), rtype, dnssec: self.dnssec };
        let Foreseen { answer, steered } = foresee(self.zones, &question);
        let targets: SmallVec<[Name; 2]> = aliases(&answer).collect();
        let exact = targets.iter().take_while(|target| self.is_exact(target)).count();
        // Behind the first that is not exact, nothing is put together that could change.
        passed.extend(targets.iter().take(exact + 1).map(Name::key));
        if !answer.answer.iter().all(|found| is_followed(found, rtype)) || exact < targets.len() {
            return Body::Slow;
        }
        if let Some((owner, steered)) = steered {
            return self.steered(answer, owner, rtype, steered).unwrap_or(Body::Slow);
        }
        match answer.outcome {
            Outcome::Data | Outcome::Alias if answer.authority.is_empty() => {
                Body::Records(self.records(&answer, rtype))
            }
            Outcome::NoData | Outcome::NxDomain => {
                self.negative(&answer, rtype).unwrap_or(Body::Slow)
            }
            _ => Body::Slow,
        }
    }

    /// Whether it is a name with records of its own, or in no zone of ours: else what it leads to
    /// may change without a change at that name (wildcards).
    fn is_exact(&self, target: &Name) -> bool {
        let key = target.key();
        match self.zones.find(key.as_bytes()) {
            Some(zone) => zone.node(key.as_bytes()).is_some(),
            None => true,
        }
    }

    /// The records of its answer section, when it has no other.
    fn records(&self, answer: &Answer<'_>, rtype: RecordType) -> Records {
        let whole = self.message(answer, rtype);
        let octets = whole.get(HEADER + self.name.as_wire().len() + 4..).unwrap_or_default();
        let led = answer.answer.last().map(|last| last.rrset.led()).unwrap_or_default();
        Records { octets: octets.into(), count: counted(&whole, 6), led }
    }

    /// A record that stands in for those to come shows where their owner's name is.
    fn steered(
        &self,
        mut answer: Answer<'_>,
        owner: Owner<'_>,
        rtype: RecordType,
        steered: &Arc<records::Steered>,
    ) -> Option<Body> {
        let rrset = Rrset::new(rtype, crate::model::Ttl::SERVED, [[0_u8; 4]])?;
        let signed = self.signed_family(&owner, rtype)?;
        let ttl = rrset.ttl;
        let rrset = std::borrow::Cow::Owned(rrset);
        answer.answer.push(Found { owner: into_owned(owner), rrset, ttl, rrsig: None });
        let all = self.records(&answer, rtype);
        let (octets, stand_in) = all.octets.split_last_chunk::<16>()?;
        let owner = u16::from_be_bytes([stand_in[0], stand_in[1]]);
        let count = all.count.checked_sub(1)?;
        let before = Records { octets: octets.into(), count, led: all.led };
        let choices = Choices::new(&before, owner, rtype, steered, signed)?;
        (owner >= 0xc000).then_some(Body::Steered(choices))
    }

    /// The signatures over what the owner's clients are answered with: `Some(None)` where none are
    /// wanted or the zone has none.
    fn signed_family(&self, owner: &Owner<'_>, rtype: RecordType) -> Option<Option<&SignedFamily>> {
        let key = match owner {
            Owner::Asked => self.name.key(),
            Owner::Name(name) => name.key(),
        };
        let signed = self.zones.find(key.as_bytes())?.signed();
        let Some(signed) = signed.filter(|_| self.dnssec != DnssecOk::No) else {
            return Some(None);
        };
        let families = signed.name(key.as_bytes())?.steered.as_ref()?;
        Some(Some(&families[usize::from(rtype == RecordType::AAAA)]))
    }

    /// Compared with what the slow way writes: names within the SOA may be compressed against
    /// those of the chain.
    fn negative(&self, answer: &Answer<'_>, rtype: RecordType) -> Option<Body> {
        let (soa, proof) = answer.authority.split_first()?;
        let Owner::Name(apex) = &soa.owner else { return None };
        if !self.is_own_proof(answer, proof) {
            return None;
        }
        let rcode = encode::rcode(answer.outcome);
        let before = self.records(&Answer { authority: SmallVec::new(), ..answer.clone() }, rtype);
        let zone = self.index_of(self.zones.get(apex)?)?;
        let whole = self.message(answer, rtype);
        let bare = Body::Negative { before, rcode, zone, after: Records::default() };
        let without = self.composed(&bare, rtype)?;
        let Body::Negative { before, .. } = bare else { return None };
        let after = Records {
            octets: whole.get(without.len()..)?.into(),
            count: counted(&whole, 8).checked_sub(counted(&without, 8))?,
            led: Led::default(),
        };
        let body = Body::Negative { before, rcode, zone, after };
        (self.composed(&body, rtype)? == whole).then_some(body)
    }

    /// Whether what proves that there are no such data is the NSEC of the name itself, or of the
    /// one that its aliases lead to, which are followed: not of its neighbours.
    fn is_own_proof(&self, answer: &Answer<'_>, proof: &[Found<'_>]) -> bool {
        let last = aliases(answer).last();
        let name = last.as_ref().unwrap_or(self.name);
        let own = |found: &Found<'_>| match &found.owner {
            Owner::Asked => last.is_none(),
            Owner::Name(owner) => **owner == *name,
        };
        let key = name.key();
        let is_known = |zone: &Arc<Zone>| zone.node(key.as_bytes()).is_some();
        proof.is_empty()
            || (matches!(proof, [one] if one.rrset.rtype == RecordType::NSEC && own(one))
                && answer.outcome == Outcome::NoData
                && !answer.compact
                && self.zones.find(key.as_bytes()).is_some_and(is_known))
    }

    /// The place of the zone's SOA: the name's own zone, unless an alias led to another, whose
    /// place is not known here.
    fn index_of(&self, zone: &Arc<Zone>) -> Option<usize> {
        let own = self.zones.find(self.name.key().as_bytes())?;
        Arc::ptr_eq(own, zone).then_some(self.index)
    }

    fn others(&self, node: Option<&Node>) -> Others {
        let question = Question { name: self.name.as_wire(), rtype: UNUSED, dnssec: DnssecOk::No };
        let answer = foresee(self.zones, &question).answer;
        let plain = answer.outcome == Outcome::NoData && answer.answer.is_empty();
        match self.negative(&answer, UNUSED).filter(|_| plain) {
            Some(_) => Others::NoneBut(node.into_iter().flat_map(types).collect()),
            None => Others::Slow,
        }
    }

    /// What a name below that nobody has is answered with shows what all of them are.
    fn below(&self) -> Below {
        let Ok(name) = self.name.prepend(&[0]) else { return Below::Slow };
        let child = One { name: &name, ..*self };
        let question = Question { name: name.as_wire(), rtype: UNUSED, dnssec: DnssecOk::No };
        let answer = foresee(self.zones, &question).answer;
        let nothing = answer.outcome == Outcome::NxDomain && answer.answer.is_empty();
        match child.negative(&answer, UNUSED).filter(|_| nothing) {
            Some(_) => Below::Nothing,
            None => Below::Slow,
        }
    }

    /// The message that the slow way writes.
    fn message(&self, answer: &Answer<'_>, rtype: RecordType) -> Vec<u8> {
        let mut out = Vec::new();
        let question = question(self.name, rtype);
        let query = Query::plain(&question, self.name.as_wire(), rtype);
        encode::answer(&query, answer, &Extras::default(), usize::from(u16::MAX), &mut out);
        out
    }

    /// The message that is composed of it.
    fn composed(&self, body: &Body, rtype: RecordType) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let question = question(self.name, rtype);
        let query = Query::plain(&question, self.name.as_wire(), rtype);
        let (limit, extras) = (usize::from(u16::MAX), Extras::default());
        let composer = Composer {
            zones: self.soas,
            query: &query,
            signed: self.dnssec != DnssecOk::No,
            zone: Standing::default(),
            extras: &extras,
            limit,
            out: &mut out,
        };
        composer.body(body, &Client::NEUTRAL)?;
        Some(out)
    }
}

/// A type for private use (RFC 6895 §3.1): in question only here, to see what types are answered
/// with that a name has not.
const UNUSED: RecordType = RecordType(65_280);

/// A question section (RFC 1035 §4.1.2) in class IN.
fn question(name: &Name, rtype: RecordType) -> Vec<u8> {
    let [high, low] = rtype.0.to_be_bytes();
    [name.as_wire(), &[high, low, 0, 1]].concat()
}

/// A number of records in the header.
fn counted(message: &[u8], at: usize) -> u16 {
    let two = message.get(at..).and_then(|rest| rest.first_chunk());
    two.map_or(0, |two| u16::from_be_bytes(*two))
}

fn soas(zones: &ZoneSet, zone: &Zone, number: u16) -> Option<Soas> {
    let plain = soa(zones, zone, DnssecOk::No)?;
    let signed = soa(zones, zone, DnssecOk::Yes);
    Some(Soas { plain, signed, standing: Standing { number, stale: zone.stale } })
}

fn soa(zones: &ZoneSet, zone: &Zone, dnssec: DnssecOk) -> Option<Soa> {
    if zone.apex().is_root() || zone.completeness != records::Completeness::Complete {
        return None;
    }
    let question = Question { name: zone.apex().as_wire(), rtype: UNUSED, dnssec };
    let mut answer = foresee(zones, &question).answer;
    answer.authority.truncate(1);
    if answer.outcome != Outcome::NoData || !answer.answer.is_empty() {
        return None;
    }
    let one = One { zones, soas: &[], name: zone.apex(), index: 0, dnssec };
    let message = one.message(&answer, UNUSED);
    Soa::read(&message, zone.apex().to_lowercase().as_wire(), &soa_names(zone)?)
}

/// The primary's and the mailbox's name in the SOA.
fn soa_names(zone: &Zone) -> Option<[Lowered; 2]> {
    let data = zone.soa()?.rdata().next()?;
    let (primary, rest) = data.split_at_checked(crate::server::message::plain_name(data)?)?;
    let mailbox = rest.get(..crate::server::message::plain_name(rest)?)?;
    let lower = |name: &[u8]| name.iter().map(u8::to_ascii_lowercase).collect();
    Some([lower(primary), lower(mailbox)])
}

/// The names that aliases in the answer lead to.
fn aliases(answer: &Answer<'_>) -> impl Iterator<Item = Name> {
    let all = answer.answer.iter().filter(|found| found.rrset.rtype == RecordType::CNAME);
    all.filter_map(|found| Name::from_wire(found.rrset.rdata().next()?).ok())
}

/// Whether a record of the answer is of a kind that is followed through changes.
fn is_followed(found: &Found<'_>, rtype: RecordType) -> bool {
    found.rrset.rtype == rtype || found.rrset.rtype == RecordType::CNAME
}

fn is_cut(node: &Node, inner: bool) -> bool {
    node.get(RecordType::DNAME).is_some() || (inner && node.get(RecordType::NS).is_some())
}

/// The types that a name has, those that are chosen for each client included.
fn types(node: &Node) -> impl Iterator<Item = RecordType> {
    node.iter().map(|rrset| rrset.rtype)
}

fn into_owned(owner: Owner<'_>) -> Owner<'static> {
    match owner {
        Owner::Asked => Owner::Asked,
        Owner::Name(name) => Owner::Name(std::borrow::Cow::Owned(name.into_owned())),
    }
}
