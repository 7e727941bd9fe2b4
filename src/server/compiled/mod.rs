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
mod names;
mod wire;

pub(super) use apexes::MOST_ZONES;
pub use compile::Compiler;

use super::{
    encode::{self, Written},
    message::{Query, Rcode},
    opt::{self, Extras},
    rrl::Kind,
};
use crate::{
    model::{Client, Name},
    records::{Led, RecordType},
};
use apexes::Apexes;
use choices::{Choice, Choices};
use names::Names;
use smallvec::SmallVec;
use std::sync::Arc;
use wire::Soa;

/// All answers of one state, frozen; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    names: Names,
    /// How many labels the zones' own names have, the most first: where a name's zone is looked for.
    depths: SmallVec<[usize; DEPTHS]>,
    /// By [`Entry::zone`].
    zones: Vec<Soa>,
    /// What answers of those zones are counted as.
    numbers: Vec<u16>,
    apexes: Arc<Apexes>,
    /// Some zone is signed: who asks for signatures is answered the slow way.
    signed: bool,
}

/// Zones of more depths than this are many: names that do not exist are left to the slow way then.
const DEPTHS: usize = 8;

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
    a: Body,
    aaaa: Body,
    /// The types that it has, or may have; no others exist. Empty where nothing is known of that.
    others: Others,
    below: Below,
}

/// What comes behind the question.
#[derive(Debug, Eq, PartialEq)]
enum Body {
    /// Nothing is put together: the slow way answers.
    Slow,
    /// The answer section.
    Records(Records),
    /// The alias chain, if any, and the zone's SOA.
    Negative { before: Records, rcode: Rcode, zone: usize },
    /// The alias chain, if any, and what is chosen for the client.
    Steered(Choices),
}

/// Records of the answer section as they go over the wire.
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
        let (a, aaaa) = (Body::Slow, Body::Slow);
        Self { name, is_apex, zone: 0, a, aaaa, others: Others::Slow, below: Below::Slow }
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

    /// Writes the answer into `out`, where it is put together and fits; else `out` is of no use.
    /// Also says what the limiter counts it as.
    pub(super) fn answer(
        &self,
        query: &Query<'_>,
        client: &Client,
        extras: &Extras<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Option<(Written, Kind<'_>)> {
        let wants_signatures = query.edns.is_some_and(|edns| edns.dnssec_ok);
        if self.is_empty() || (self.signed && wants_signatures) {
            return None;
        }
        let mut lowered = [0; Name::MAX_OCTETS];
        let lowered = lowered.get_mut(..query.name.len())?;
        lowered.copy_from_slice(query.name);
        lowered.make_ascii_lowercase();
        let composer = Composer { zones: &self.zones, query, extras, limit, out };
        let (zone, made) = match self.names.get(lowered) {
            Some(entry) => (entry.zone, composer.known(entry, client)),
            None => {
                let encloser = self.encloser(lowered)?;
                (encloser.zone, composer.unknown(encloser, lowered))
            }
        };
        let zone = self.numbers.get(zone).copied().unwrap_or_default();
        made.map(|(written, kind)| (Written { zone, ..written }, kind))
    }

    /// What answers to a name are counted as, by its zone.
    pub(super) fn zone_of(&self, name: &[u8]) -> u16 {
        self.apexes.above(&lower(name))
    }

    fn number(&self, apex: &Name) -> u16 {
        self.apexes.number(&lower(apex.as_wire()))
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

fn lower(name: &[u8]) -> Lowered {
    name.iter().map(u8::to_ascii_lowercase).collect()
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
    zones: &'c [Soa],
    query: &'q Query<'q>,
    extras: &'q Extras<'q>,
    limit: usize,
    out: &'q mut Vec<u8>,
}

impl<'c> Composer<'c, '_> {
    fn known(self, entry: &Entry, client: &Client) -> Option<(Written, Kind<'c>)> {
        match self.query.rtype {
            RecordType::A => self.body(&entry.a, client),
            RecordType::AAAA => self.body(&entry.aaaa, client),
            rtype => match &entry.others {
                Others::NoneBut(types) if is_plain(rtype) && !types.contains(&rtype) => {
                    self.negative(&Records::default(), Rcode::NOERROR, entry.zone)
                }
                _ => None,
            },
        }
    }

    fn unknown(self, encloser: &Entry, lowered: &[u8]) -> Option<(Written, Kind<'c>)> {
        let soa = self.zones.get(encloser.zone)?;
        match encloser.below {
            Below::Nothing if !soa.is_near(lowered) => {
                self.negative(&Records::default(), Rcode::NXDOMAIN, encloser.zone)
            }
            _ => None,
        }
    }

    fn body(mut self, body: &Body, client: &Client) -> Option<(Written, Kind<'c>)> {
        match body {
            Body::Slow => None,
            Body::Records(before) => {
                self.begin(Rcode::NOERROR, (&before.octets, before.count), 0);
                self.finish(Rcode::NOERROR, 0, (Kind::Positive, before.led))
            }
            Body::Negative { before, rcode, zone } => self.negative(before, *rcode, *zone),
            Body::Steered(choices) => self.steered(choices, client),
        }
    }

    fn negative(
        mut self,
        before: &Records,
        rcode: Rcode,
        zone: usize,
    ) -> Option<(Written, Kind<'c>)> {
        let soa = self.zones.get(zone)?;
        self.begin(rcode, (&before.octets, before.count), 1);
        soa.write(self.query.name.len(), self.out)?;
        let kind = match rcode {
            Rcode::NXDOMAIN => Kind::NxDomain(soa.apex()),
            _ => Kind::NoData(soa.apex()),
        };
        self.finish(rcode, 0, (kind, Led::default()))
    }

    /// Where the fence leaves nothing, or an alias stands outside of it, the slow way answers.
    fn steered(mut self, choices: &Choices, client: &Client) -> Option<(Written, Kind<'c>)> {
        let rtype = self.query.rtype;
        let (chain, before) = choices.chain();
        if let Some(Choice { records, count, scope, led }) = choices.settled(rtype, client) {
            self.begin(Rcode::NOERROR, (chain, count), 0);
            self.out.extend_from_slice(records);
            return self.finish(Rcode::NOERROR, scope, (Kind::Positive, led));
        }
        let chosen = choices.steered.choose(rtype, client)?;
        let rrset = chosen.rrset.filter(|rrset| rrset.rtype == rtype)?;
        let count = before.saturating_add(u16::try_from(rrset.len()).ok()?);
        self.begin(Rcode::NOERROR, (chain, count), 0);
        choices.write(rrset, chosen.ttl, self.out);
        self.finish(Rcode::NOERROR, chosen.scope, (Kind::Positive, rrset.led()))
    }

    /// The header, the question and what was put together.
    fn begin(&mut self, rcode: Rcode, (before, count): (&[u8], u16), authority: u8) {
        encode::head(self.query, self.out);
        self.out[2] |= 0x84; // a response (QR), from authoritative data (AA)
        self.out[3] |= u8::try_from(rcode.0 & 0x0f).unwrap_or_default();
        self.out[6..8].copy_from_slice(&count.to_be_bytes());
        self.out[9] = authority;
        self.out.extend_from_slice(before);
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
        opt::write(edns, rcode, scope, self.extras, self.limit, self.out);
        Some((Written { rcode, truncated: false, led, zone: 0 }, kind))
    }
}

#[cfg(test)]
fn entry_of(name: &[u8], zone: usize) -> Entry {
    Entry { zone, ..Entry::left_out(Lowered::from_slice(name), false) }
}

#[cfg(test)]
mod tests;
