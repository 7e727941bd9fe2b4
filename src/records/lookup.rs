//! Answers one question from the zones: RFC 1034 §4.3.2, with wildcards (RFC 4592), empty
//! non-terminals (RFC 8020), delegations with glue (RFC 9471), DNAME (RFC 6672), negative answers
//! (RFC 2308) and minimal ANY (RFC 8482). Server, CLI and dashboard call this one function.

use super::{
    Answer, Client, Completeness, Entry, Node, Outcome, Owner, Question, RecordType, Rrset,
    Section, Zone, ZoneSet,
};
use crate::model::{Key, Name, Ttl};
use smallvec::SmallVec;
use std::{borrow::Cow, sync::Arc};

/// Answers the question for that client.
///
/// The name may be of any zone; outside all of them the answer is [`Outcome::Refused`]. Bounded
/// work: at most [`MAX_ALIASES`] aliases, each a walk over the labels of one name.
#[must_use]
pub fn lookup<'z>(zones: &'z ZoneSet, question: &Question<'_>, _client: &Client) -> Answer<'z> {
    let key = Key::of(labels(question.name));
    let Some(zone) = zone_for(zones, &key, question.rtype) else {
        return ended(Outcome::Refused, Section::new());
    };
    Walk { zones, question, answer: Section::new(), asked: key.clone() }.run(zone, key)
}

/// How many aliases are followed within our zones before the chain is given as it is.
pub const MAX_ALIASES: usize = 16;

/// Of two zones of ours on either side of a cut, DS is the upper one's (RFC 4035 §3.1.4.1).
fn zone_for<'z>(zones: &'z ZoneSet, key: &Key, rtype: RecordType) -> Option<&'z Zone> {
    let zone = zones.find(key.as_bytes())?;
    if rtype == RecordType::DS && zone.key() == key {
        let above = parent(key.as_bytes()).and_then(|above| zones.find(above));
        return Some(above.unwrap_or(zone));
    }
    Some(zone)
}

struct Walk<'z, 'q> {
    zones: &'z ZoneSet,
    question: &'q Question<'q>,
    answer: Section<'z>,
    asked: Key,
}

/// What stands at a name.
enum Found<'z> {
    /// Records, its own or a wildcard's.
    Node(&'z Node),
    /// Nothing, but there is something below (an empty non-terminal).
    Empty,
    /// Nothing at all.
    Nothing,
    /// It lies at or below a delegation: the cut's key and its NS.
    Cut(&'z [u8], &'z Rrset),
    /// It lies below a DNAME: the owner's key and the DNAME.
    Dname(&'z [u8], &'z Rrset),
}

impl<'z> Walk<'z, '_> {
    fn run(mut self, mut zone: &'z Zone, mut key: Key) -> Answer<'z> {
        let mut name: Option<Name> = None;
        for _ in 0..=MAX_ALIASES {
            if zone.completeness == Completeness::Pending {
                return ended(Outcome::NotReady, Section::new());
            }
            let target = match find(zone, &key, self.question.rtype) {
                Found::Node(node) => match self.take(node, name.as_ref(), zone) {
                    Ok(answer) => return answer,
                    Err(target) => target,
                },
                Found::Empty => return self.negative(Outcome::NoData, zone),
                Found::Nothing => return self.negative(Outcome::NxDomain, zone),
                Found::Cut(cut, ns) => return self.referral(zone, cut, ns),
                Found::Dname(owner, dname) => match self.rename(owner, dname, name.as_ref()) {
                    Ok(target) => target,
                    Err(answer) => return *answer,
                },
            };
            key = target.key();
            if self.was_asked(&key) {
                break;
            }
            let Some(next) = self.zones.find(key.as_bytes()) else { break };
            (zone, name) = (next, Some(target));
        }
        ended(Outcome::Alias, self.answer)
    }

    /// The records of the asked type, or the alias to follow (`Err`).
    fn take(
        &mut self,
        node: &'z Node,
        name: Option<&Name>,
        zone: &'z Zone,
    ) -> Result<Answer<'z>, Name> {
        let rtype = self.question.rtype;
        let own = match rtype {
            RecordType::ANY => node.iter().next(),
            _ => node.get(rtype),
        };
        if let Some(rrset) = own {
            self.push(name, Cow::Borrowed(rrset));
            let additional = self.additional(rrset);
            let answer = std::mem::take(&mut self.answer);
            return Ok(Answer { additional, ..ended(Outcome::Data, answer) });
        }
        let Some(cname) = node.get(RecordType::CNAME) else {
            return Ok(self.negative(Outcome::NoData, zone));
        };
        self.push(name, Cow::Borrowed(cname));
        Err(alias(cname).unwrap_or_else(Name::root))
    }

    /// DNAME (RFC 6672 §2.2): the DNAME itself, the CNAME made from it, and where that leads.
    fn rename(
        &mut self,
        owner: &[u8],
        dname: &'z Rrset,
        name: Option<&Name>,
    ) -> Result<Name, Box<Answer<'z>>> {
        let owner = key_name(owner);
        self.answer.push(entry(Owner::Name(Cow::Owned(owner.clone())), Cow::Borrowed(dname)));
        let own: Vec<&[u8]> = match name {
            Some(name) => name.labels().collect(),
            None => labels(self.question.name).collect(),
        };
        let kept = own.len() - owner.label_count();
        let Some(target) = alias(dname) else {
            return Err(Box::new(ended(Outcome::YxDomain, std::mem::take(&mut self.answer))));
        };
        let renamed = Name::from_labels(own.into_iter().take(kept).chain(target.labels()));
        let Ok(renamed) = renamed else {
            return Err(Box::new(ended(Outcome::YxDomain, std::mem::take(&mut self.answer))));
        };
        self.push(name, Cow::Owned(Rrset::cname(dname.ttl, &renamed)));
        if matches!(self.question.rtype, RecordType::CNAME | RecordType::ANY) {
            return Err(Box::new(ended(Outcome::Data, std::mem::take(&mut self.answer))));
        }
        Ok(renamed)
    }

    /// RFC 2308 §2: the SOA of the zone that denies, for at most its MINIMUM.
    fn negative(&mut self, outcome: Outcome, zone: &'z Zone) -> Answer<'z> {
        if zone.completeness != Completeness::Complete {
            return ended(Outcome::NotReady, Section::new());
        }
        let mut answer = ended(outcome, std::mem::take(&mut self.answer));
        if let Some(soa) = zone.soa() {
            let mut entry = entry(Owner::Name(Cow::Borrowed(zone.apex())), Cow::Borrowed(soa));
            entry.ttl = soa.ttl.min(minimum(soa).unwrap_or(soa.ttl));
            answer.authority.push(entry);
        }
        answer
    }

    /// RFC 1034 §4.3.2 step 3b: the cut's NS in authority, its glue in additional.
    fn referral(&mut self, zone: &'z Zone, cut: &[u8], ns: &'z Rrset) -> Answer<'z> {
        let chained = !self.answer.is_empty();
        let outcome = if chained { Outcome::Alias } else { Outcome::Referral };
        let mut answer = ended(outcome, std::mem::take(&mut self.answer));
        answer.authoritative = chained;
        answer.authority.push(entry(Owner::Name(Cow::Owned(key_name(cut))), Cow::Borrowed(ns)));
        for server in ns.rdata().filter_map(|data| Name::from_wire(data).ok()) {
            let key = server.key();
            if let Some(node) = zone.node(key.as_bytes()) {
                push_addresses(&mut answer.additional, &server, node);
            }
        }
        answer
    }

    /// Addresses of the names that the records point at, where they are ours and no alias.
    fn additional(&self, rrset: &Rrset) -> Section<'z> {
        let mut section = Section::new();
        let Some(skip) = name_offset(rrset.rtype) else { return section };
        for data in rrset.rdata() {
            let Some(target) = data.get(skip..).and_then(|name| Name::from_wire(name).ok()) else {
                continue;
            };
            let key = target.key();
            let zone = self.zones.find(key.as_bytes());
            if let Some(node) = zone.and_then(|zone| zone.node(key.as_bytes())) {
                push_addresses(&mut section, &target, node);
            }
        }
        section
    }

    fn push(&mut self, name: Option<&Name>, rrset: Cow<'z, Rrset>) {
        let owner = name.map_or(Owner::Asked, |name| Owner::Name(Cow::Owned(name.clone())));
        self.answer.push(entry(owner, rrset));
    }

    /// Whether an alias leads back to a name that has been looked at already.
    fn was_asked(&self, key: &Key) -> bool {
        *key == self.asked
            || self.answer.iter().any(|entry| match &entry.owner {
                Owner::Asked => false,
                Owner::Name(name) => name.key() == *key && entry.rrset.rtype == RecordType::CNAME,
            })
    }
}

fn find<'z>(zone: &'z Zone, key: &Key, rtype: RecordType) -> Found<'z> {
    if zone.has_cuts()
        && let Some(cut) = cut(zone, key, rtype)
    {
        return cut;
    }
    let bytes = key.as_bytes();
    if let Some(node) = zone.node(bytes) {
        return Found::Node(node);
    }
    if zone.exists(bytes) {
        return Found::Empty;
    }
    wildcard(zone, bytes)
}

/// The topmost delegation or DNAME between the apex and the name.
fn cut<'z>(zone: &'z Zone, key: &Key, rtype: RecordType) -> Option<Found<'z>> {
    let (bytes, apex) = (key.as_bytes(), zone.key().as_bytes().len());
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
    for end in std::iter::once(apex).chain(ends.filter(|end| *end > apex)) {
        let Some((found, node)) = zone.entry(&bytes[..end]) else { continue };
        let itself = end == bytes.len();
        let ns = node.get(RecordType::NS).filter(|_| end > apex);
        if let Some(ns) = ns.filter(|_| !(itself && rtype == RecordType::DS)) {
            return Some(Found::Cut(found.as_bytes(), ns));
        }
        if let Some(dname) = node.get(RecordType::DNAME).filter(|_| !itself) {
            return Some(Found::Dname(found.as_bytes(), dname));
        }
    }
    None
}

/// RFC 4592 §3.3.1: the wildcard right below the closest encloser, and no other.
fn wildcard<'z>(zone: &'z Zone, key: &[u8]) -> Found<'z> {
    let mut encloser = key;
    while let Some(above) =
        parent(encloser).filter(|above| above.len() >= zone.key().as_bytes().len())
    {
        encloser = above;
        if zone.exists(encloser) {
            break;
        }
    }
    let mut source: SmallVec<[u8; 80]> = SmallVec::from_slice(encloser);
    source.extend_from_slice(b"*\0");
    match zone.node(&source) {
        Some(node) => Found::Node(node),
        None if zone.exists(&source) => Found::Empty,
        None => Found::Nothing,
    }
}

fn parent(key: &[u8]) -> Option<&[u8]> {
    let inner = &key[..key.len().checked_sub(1)?];
    Some(&key[..inner.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1)])
}

fn entry<'z>(owner: Owner<'z>, rrset: Cow<'z, Rrset>) -> Entry<'z> {
    Entry { owner, ttl: rrset.ttl, rrset }
}

fn ended(outcome: Outcome, answer: Section<'_>) -> Answer<'_> {
    let authoritative =
        !matches!(outcome, Outcome::Referral | Outcome::Refused | Outcome::NotReady);
    Answer { outcome, authoritative, answer, authority: Section::new(), additional: Section::new() }
}

fn push_addresses<'z>(section: &mut Section<'z>, name: &Name, node: &'z Node) {
    for rtype in [RecordType::A, RecordType::AAAA] {
        if let Some(rrset) = node.get(rtype) {
            let owner = Owner::Name(Cow::Owned(name.clone()));
            section.push(entry(owner, Cow::Borrowed(rrset)));
        }
    }
}

/// Where in the data of such a record the name stands whose addresses are worth adding.
fn name_offset(rtype: RecordType) -> Option<usize> {
    match rtype {
        RecordType::NS => Some(0),
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

fn alias(rrset: &Rrset) -> Option<Name> {
    Name::from_wire(rrset.rdata().next()?).ok()
}

fn minimum(soa: &Rrset) -> Option<Ttl> {
    let data = soa.rdata().next()?;
    Some(Ttl::from_secs(u32::from_be_bytes(*data.last_chunk()?)))
}

fn key_name(key: &[u8]) -> Name {
    Key::from_bytes(key).to_name()
}

/// The labels of a valid name in wire form, leftmost first.
fn labels(wire: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let mut offsets: SmallVec<[u8; 24]> = SmallVec::new();
    let mut at = 0;
    while let Some(length) = wire.get(at).copied().filter(|length| *length > 0) {
        // A name has 255 octets at most, so an offset fits.
        offsets.push(u8::try_from(at).unwrap_or(u8::MAX));
        at += 1 + usize::from(length);
    }
    offsets.into_iter().map(move |at| {
        let at = usize::from(at);
        wire.get(at + 1..at + 1 + usize::from(wire[at])).unwrap_or_default()
    })
}

/// A set of one zone, for those who look names up in it alone.
impl From<Zone> for ZoneSet {
    fn from(zone: Zone) -> Self {
        let mut set = Self::default();
        set.put(Arc::new(zone));
        set
    }
}
