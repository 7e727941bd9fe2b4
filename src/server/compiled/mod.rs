//! Answers put together when state changes, so that a query copies octets: the same messages as
//! [`records::lookup`](crate::records::lookup) and [`encode`](super::encode) give, sooner.
//!
//! ```text
//! header · question │ alias chain, or records │ records of a steered name │ SOA │ OPT
//!    from the query │ put together before     │ chosen for this client    │ put together before
//! ```
//!
//! What is not here (types that a name has beside addresses, delegations, names below wildcards,
//! answers that must be cut, zones that are not complete) is answered by the slow way; so nothing is
//! wrong that is left out.

mod apexes;
mod choices;
mod compile;
mod keys;
mod names;
mod wire;

pub(super) use apexes::MOST_ZONES;
pub use compile::Compiler;

use super::{
    encode::{self, Written},
    message::{HEADER, Query, Rcode, plain_name},
    opt::{self, Extras},
    rrl::Kind,
};
use crate::{
    model::{Client, Name},
    records::{Led, RecordType},
};
use apexes::Apexes;
use choices::{Choice, Choices, Part, set_ttl};
use names::Names;
use smallvec::SmallVec;
use std::{hint::black_box, sync::Arc};
use wire::Soa;

/// All answers of one state, frozen; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    names: Names,
    /// How many labels the zones' own names have, the most first: where a name's zone is looked for.
    depths: SmallVec<[usize; DEPTHS]>,
    /// By [`Entry::zone`].
    zones: Vec<Soas>,
    apexes: Arc<Apexes>,
    /// Some zone is signed: who asks for signatures is answered with them.
    signed: bool,
}

/// A zone's SOA as it stands in negative answers.
#[derive(Clone, Debug)]
struct Soas {
    plain: Soa,
    /// With its signatures, where it has any; `None` for a form that cannot be moved.
    signed: Option<Soa>,
    standing: Standing,
}

/// What there is to an answer by its zone.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// What it is counted as; 0 for none.
    number: u16,
    /// It says that the zone is stale.
    stale: bool,
}

/// Zones of more depths than this are many: names that do not exist are left to the slow way then.
const DEPTHS: usize = 8;

/// Octets of the longest name, and one.
const LONGEST: usize = 256;

/// A name's uncompressed wire form in lower case.
type Lowered = SmallVec<[u8; 64]>;

/// A name that exists, with or without records of its own.
#[derive(Debug, Eq, PartialEq)]
struct Entry {
    name: Lowered,
    /// Whether it is a zone's own name.
    is_apex: bool,
    /// Whose SOA stands in its negative answers.
    zone: usize,
    bodies: Bodies,
    /// For those who ask for signatures, where that makes a difference.
    signed: Option<Box<Bodies>>,
    /// The types that it has, or may have; no others exist. Empty where nothing is known of that.
    others: Others,
    below: Below,
}

/// What is put together for addresses.
#[derive(Debug, Eq, PartialEq)]
struct Bodies {
    a: Body,
    aaaa: Body,
}

/// Where the answer to a packet probably is: found for all packets of a batch before the first is
/// answered, so that memory is waited for once and not for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lead<'c> {
    entry: Option<&'c Entry>,
    /// The type that is asked for.
    rtype: u16,
}

/// Those of a batch, in its order.
pub(super) type Leads<'c> = SmallVec<[Lead<'c>; BATCH]>;
/// Packets of a batch, mostly.
const BATCH: usize = 64;

/// What comes behind the question.
#[derive(Debug, Eq, PartialEq)]
enum Body {
    /// Nothing is put together: the slow way answers.
    Slow,
    /// The answer section.
    Records(Records),
    /// The alias chain, if any, the zone's SOA, and what proves it.
    Negative { before: Records, rcode: Rcode, zone: usize, after: Records },
    /// The alias chain, if any, and what is chosen for the client.
    Steered(Choices),
}

/// Records of one section as they go over the wire.
#[derive(Debug, Default, Eq, PartialEq)]
struct Records {
    octets: Box<[u8]>,
    count: u16,
    /// Whom the last of them lead to.
    led: Led,
}

/// What is answered to types that are not put together.
#[derive(Debug, Eq, PartialEq)]
enum Others {
    /// The slow way answers.
    Slow,
    /// "No such data", but for these.
    NoneBut(SmallVec<[RecordType; 4]>),
}

/// What is answered for names below that do not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Below {
    /// The slow way answers: there is a wildcard, a delegation or a DNAME.
    Slow,
    /// "No such name".
    Nothing,
}

impl Entry {
    /// One whose answers are all left to the slow way.
    fn left_out(name: Lowered, is_apex: bool) -> Self {
        let bodies = Bodies { a: Body::Slow, aaaa: Body::Slow };
        let (others, below) = (Others::Slow, Below::Slow);
        Self { name, is_apex, zone: 0, bodies, signed: None, others, below }
    }
}

impl Records {
    fn part(&self) -> Part<'_> {
        Part { octets: &self.octets, count: self.count, led: self.led }
    }
}

impl Compiled {
    /// How many names it answers for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it answers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.len() == 0
    }

    /// Where the answers to these packets probably are.
    ///
    /// Each step reads for all packets what it reads, so that the processor waits for their memory
    /// at once.
    pub(super) fn leads<'p>(&self, packets: impl Iterator<Item = &'p [u8]>) -> Leads<'_> {
        let asked: SmallVec<[Option<(u64, u16)>; BATCH]> =
            packets.map(|packet| self.glance(packet)).collect();
        let hashes = asked.iter().flatten();
        black_box(hashes.fold(0, |sum, (hash, _)| sum ^ self.names.touch(*hash)));
        let lead = |asked: &Option<(u64, u16)>| {
            let (hash, rtype) = (*asked)?;
            Some(Lead { entry: self.names.lead(hash), rtype })
        };
        let leads: Leads<'_> = asked.iter().map(|own| lead(own).unwrap_or_default()).collect();
        black_box(leads.iter().fold(0, |sum, lead| sum ^ lead.touch()));
        black_box(leads.iter().fold(0, |sum, lead| sum ^ lead.touch_body()));
        leads
    }

    /// The hash of the name and the type that a packet asks for, as far as a glance shows.
    fn glance(&self, packet: &[u8]) -> Option<(u64, u16)> {
        let question = packet.get(HEADER..)?;
        let end = plain_name(question)?;
        let rtype = u16::from_be_bytes(*question.get(end..)?.first_chunk()?);
        Some((self.names.hash(&lower(question.get(..end)?)), rtype))
    }

    /// Writes the answer into `out`, where it is put together and fits; else `out` is of no use.
    /// Also says what the limiter counts it as. `lead` may be of another packet, but helps then
    /// little.
    pub(super) fn answer(
        &self,
        query: &Query<'_>,
        lead: Lead<'_>,
        client: &Client,
        (extras, limit): (&Extras<'_>, usize),
        out: &mut Vec<u8>,
    ) -> Option<(Written, Kind<'_>)> {
        if self.is_empty() {
            return None;
        }
        let dnssec = query.edns.filter(|edns| edns.dnssec_ok && self.signed);
        // The answer says whether the zone denies compactly (RFC 9824 §5.1).
        if dnssec.is_some_and(|edns| edns.compact_ok) {
            return None;
        }
        let (zones, signed, zone) = (&self.zones, dnssec.is_some(), Standing::default());
        let composer = Composer { zones, query, signed, zone, extras, limit, out };
        // Lengths of labels are no letters, so case is all that this passes over.
        let led = lead.entry.filter(|entry| entry.name.eq_ignore_ascii_case(query.name));
        match led {
            Some(entry) => composer.known(entry, client),
            None => self.unled(composer, client),
        }
    }

    /// The answer to a name that no lead was good for.
    fn unled<'c>(
        &'c self,
        composer: Composer<'c, '_>,
        client: &Client,
    ) -> Option<(Written, Kind<'c>)> {
        let lowered = lower(composer.query.name);
        match self.names.get(&lowered) {
            Some(entry) => composer.known(entry, client),
            None => composer.unknown(self.encloser(&lowered)?, &lowered),
        }
    }

    /// What answers to a name are counted as, by its zone.
    pub(super) fn zone_of(&self, name: &[u8]) -> u16 {
        self.apexes.above(&lower(name))
    }

    /// The zone that is counted under that number.
    #[must_use]
    pub fn zone(&self, number: u16) -> Option<&Name> {
        self.apexes.name(number)
    }

    /// The same zones, and nothing put together.
    #[must_use]
    pub fn without_answers(&self) -> Self {
        Self { apexes: self.apexes.clone(), ..Self::default() }
    }

    /// The lowest existing name above one that does not exist. Within a zone, what is above an
    /// existing name exists, so few look-ups find it however many labels there are.
    fn encloser(&self, lowered: &[u8]) -> Option<&Entry> {
        let starts = label_starts(lowered);
        let labels = starts.len().checked_sub(1)?;
        let entry = |at: usize| self.names.get(lowered.get(at..)?);
        // The apex is the lowest of the names above that is one.
        let mut depths = self.depths.iter().filter(|depth| **depth < labels);
        let apex = depths.find_map(|depth| {
            let place = labels - depth;
            entry(starts[place]).filter(|own| own.is_apex).map(|_| place)
        })?;
        let parents = starts.get(1..=apex)?;
        // Most are asked for right below a name that exists.
        if let Some(parent) = parents.first().and_then(|at| entry(*at)) {
            return Some(parent);
        }
        entry(*parents.get(parents.partition_point(|at| entry(*at).is_none()))?)
    }
}

impl Lead<'_> {
    /// Reads all of an entry that answers are made of, but not what it points to: where that is
    /// must have come before.
    fn touch(&self) -> usize {
        let Some(entry) = self.entry else { return 0 };
        let name = entry.name.first().into_iter().chain(entry.name.last());
        let name = name.fold(0, |sum, octet| sum ^ usize::from(*octet));
        let is_slow = matches!(self.body(entry), Body::Slow);
        name ^ entry.zone ^ usize::from(is_slow) ^ usize::from(entry.signed.is_some())
    }

    /// Reads what the entry points to.
    fn touch_body(&self) -> u8 {
        self.entry.map_or(0, |entry| self.body(entry).touch())
    }

    fn body<'c>(&self, entry: &'c Entry) -> &'c Body {
        let Bodies { a, aaaa } = &entry.bodies;
        if self.rtype == RecordType::AAAA.0 { aaaa } else { a }
    }
}

impl Body {
    fn touch(&self) -> u8 {
        match self {
            Self::Slow => 0,
            Self::Records(before) | Self::Negative { before, .. } => {
                before.octets.first().copied().unwrap_or_default()
            }
            Self::Steered(choices) => choices.touch(),
        }
    }
}

/// A name in lower case, with room for any name in place.
fn lower(name: &[u8]) -> SmallVec<[u8; LONGEST]> {
    let mut lowered = SmallVec::from_slice(name);
    lowered.make_ascii_lowercase();
    lowered
}

/// Where the labels of a name begin, the root's included.
fn label_starts(wire: &[u8]) -> SmallVec<[usize; 16]> {
    let mut starts = SmallVec::new();
    let mut at = 0;
    while let Some(length) = wire.get(at) {
        starts.push(at);
        at += 1 + usize::from(*length);
    }
    starts
}

/// Types that no name has are answered alike but for these: what they mean is not of the name alone
/// (DS, RFC 4035 §3.1.4.1; ANY, RFC 8482), or of signed zones (RRSIG, NSEC, NXNAME).
fn is_plain(rtype: RecordType) -> bool {
    !matches!(rtype.0, 0 | 43 | 46 | 47 | 128 | 249..=255)
}

/// One answer on its way.
struct Composer<'c, 'q> {
    zones: &'c [Soas],
    query: &'q Query<'q>,
    /// Whether signatures are wanted, and there are any.
    signed: bool,
    /// Of the name that was asked for.
    zone: Standing,
    extras: &'q Extras<'q>,
    limit: usize,
    out: &'q mut Vec<u8>,
}

impl<'c> Composer<'c, '_> {
    fn known(mut self, entry: &Entry, client: &Client) -> Option<(Written, Kind<'c>)> {
        self.zone = self.zones.get(entry.zone)?.standing;
        let signed = entry.signed.as_deref().filter(|_| self.signed);
        let bodies = signed.unwrap_or(&entry.bodies);
        match self.query.rtype {
            RecordType::A => self.body(&bodies.a, client),
            RecordType::AAAA => self.body(&bodies.aaaa, client),
            rtype => match &entry.others {
                Others::NoneBut(types)
                    if is_plain(rtype) && !types.contains(&rtype) && !self.signed =>
                {
                    self.denied(Rcode::NOERROR, entry.zone)
                }
                _ => None,
            },
        }
    }

    fn unknown(mut self, encloser: &Entry, lowered: &[u8]) -> Option<(Written, Kind<'c>)> {
        let zone = self.zones.get(encloser.zone)?;
        let soa = &zone.plain;
        self.zone = zone.standing;
        match encloser.below {
            Below::Nothing if !soa.is_near(lowered) && !self.signed => {
                self.denied(Rcode::NXDOMAIN, encloser.zone)
            }
            _ => None,
        }
    }

    /// There is no such thing, and nothing to prove it with.
    fn denied(self, rcode: Rcode, zone: usize) -> Option<(Written, Kind<'c>)> {
        let none = Records::default();
        self.negative(rcode, zone, &none, &none)
    }

    fn body(mut self, body: &Body, client: &Client) -> Option<(Written, Kind<'c>)> {
        match body {
            Body::Slow => None,
            Body::Records(before) => {
                self.begin(Rcode::NOERROR, before.part());
                self.finish(Rcode::NOERROR, 0, (Kind::Positive, before.led))
            }
            Body::Negative { before, rcode, zone, after } => {
                self.negative(*rcode, *zone, before, after)
            }
            Body::Steered(choices) => self.steered(choices, client),
        }
    }

    fn negative(
        mut self,
        rcode: Rcode,
        zone: usize,
        before: &Records,
        after: &Records,
    ) -> Option<(Written, Kind<'c>)> {
        let zone = self.zones.get(zone)?;
        let soa = if self.signed { zone.signed.as_ref()? } else { &zone.plain };
        self.begin(rcode, before.part());
        let authority = soa.count().saturating_add(after.count);
        self.out[8..10].copy_from_slice(&authority.to_be_bytes());
        soa.write(self.query.name.len(), self.out)?;
        self.out.extend_from_slice(&after.octets);
        let kind = match rcode {
            Rcode::NXDOMAIN => Kind::NxDomain(soa.apex()),
            _ => Kind::NoData(soa.apex()),
        };
        self.finish(rcode, 0, (kind, Led::default()))
    }

    fn steered(mut self, choices: &Choices, client: &Client) -> Option<(Written, Kind<'c>)> {
        let chain = choices.chain()?;
        let Choice { records, ttl, scope, led } = choices.choose(self.query.rtype, client)?;
        let count = chain.count.saturating_add(records.count);
        self.begin(Rcode::NOERROR, Part { count, ..chain });
        let start = self.out.len();
        self.out.extend_from_slice(records.octets);
        if let Some(ttl) = ttl {
            set_ttl(&mut self.out[start..], ttl);
        }
        self.finish(Rcode::NOERROR, scope, (Kind::Positive, led))
    }

    /// The header, the question, and what the answer section begins with; the count is the whole
    /// section's.
    fn begin(&mut self, rcode: Rcode, answer: Part<'_>) {
        encode::head(self.query, self.out);
        self.out[2] |= 0x84; // a response (QR), from authoritative data (AA)
        self.out[3] |= u8::try_from(rcode.0 & 0x0f).unwrap_or_default();
        self.out[6..8].copy_from_slice(&answer.count.to_be_bytes());
        self.out.extend_from_slice(answer.octets);
    }

    fn finish(
        self,
        rcode: Rcode,
        scope: u8,
        (kind, led): (Kind<'c>, Led),
    ) -> Option<(Written, Kind<'c>)> {
        let edns = self.query.edns.as_ref();
        if self.out.len() + opt::room(edns, self.extras) > self.limit {
            return None;
        }
        let error = self.zone.stale.then(|| opt::stale(rcode));
        let (own, extras);
        if error.is_some() {
            own = Extras { error, ..*self.extras };
            extras = &own;
        } else {
            extras = self.extras;
        }
        opt::write(edns, rcode, scope, extras, self.limit, self.out);
        Some((Written { rcode, truncated: false, error, led, zone: self.zone.number }, kind))
    }
}

#[cfg(test)]
fn entry_of(name: &[u8], zone: usize) -> Entry {
    Entry { zone, ..Entry::left_out(Lowered::from_slice(name), false) }
}

#[cfg(test)]
mod tests;
