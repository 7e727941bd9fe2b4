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
//! wrong that is left out. Hashes are keyed by numbers drawn at start, so nobody can choose names
//! that collide.

mod compile;
mod wire;

pub use compile::Compiler;

use super::{
    encode::{self, Written},
    message::{Query, Rcode},
    opt::{self, Extras},
    rrl::Kind,
};
use crate::{
    model::{Client, Name},
    records::{RecordType, Steered},
};
use imbl::HashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use wire::Soa;

/// All answers of one state, frozen; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    entries: HashMap<Lowered, Arc<Entry>>,
    /// By [`Entry::zone`].
    zones: Vec<Soa>,
    /// Some zone is signed: who asks for signatures is answered the slow way.
    signed: bool,
}

/// A name's uncompressed wire form in lower case.
type Lowered = SmallVec<[u8; 48]>;

/// A name that exists, with or without records of its own.
#[derive(Debug, Eq, PartialEq)]
struct Entry {
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
    /// The alias chain, if any, and what is chosen for the client, under the name that the pointer
    /// `owner` leads to.
    Steered { before: Records, owner: u16, steered: Arc<Steered> },
}

/// Records of the answer section as they go over the wire.
#[derive(Debug, Default, Eq, PartialEq)]
struct Records {
    octets: Box<[u8]>,
    count: u16,
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

impl Compiled {
    /// How many names it answers for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it answers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
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
        if self.entries.is_empty() || (self.signed && wants_signatures) {
            return None;
        }
        let mut lowered = [0; Name::MAX_OCTETS];
        let lowered = lowered.get_mut(..query.name.len())?;
        lowered.copy_from_slice(query.name);
        lowered.make_ascii_lowercase();
        let composer = Composer { zones: &self.zones, query, extras, limit, out, stale: false };
        match self.entries.get(&*lowered) {
            Some(entry) => composer.known(entry, client),
            None => composer.unknown(self.encloser(lowered)?, lowered),
        }
    }

    /// The lowest existing name above one that does not exist. What is above an existing name
    /// exists, so few look-ups find it however many labels there are.
    fn encloser(&self, lowered: &[u8]) -> Option<&Entry> {
        let starts = label_starts(lowered);
        let exists = |at: &usize| self.entries.contains_key(&lowered[*at..]);
        let parents = starts.get(1..)?;
        // Most are asked for right below a name that exists.
        let at = match parents.first() {
            Some(first) if exists(first) => first,
            _ => parents.get(parents.partition_point(|at| !exists(at)))?,
        };
        self.entries.get(&lowered[*at..]).map(|entry| &**entry)
    }
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
    /// The zone of the name is.
    stale: bool,
}

impl<'c> Composer<'c, '_> {
    fn known(mut self, entry: &Entry, client: &Client) -> Option<(Written, Kind<'c>)> {
        self.stale = self.zones.get(entry.zone)?.stale;
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

    fn unknown(mut self, encloser: &Entry, lowered: &[u8]) -> Option<(Written, Kind<'c>)> {
        let soa = self.zones.get(encloser.zone)?;
        self.stale = soa.stale;
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
                self.begin(Rcode::NOERROR, before, 0);
                self.finish(Rcode::NOERROR, 0, Kind::Positive)
            }
            Body::Negative { before, rcode, zone } => self.negative(before, *rcode, *zone),
            Body::Steered { before, owner, steered } => {
                self.steered(before, *owner, steered, client)
            }
        }
    }

    fn negative(
        mut self,
        before: &Records,
        rcode: Rcode,
        zone: usize,
    ) -> Option<(Written, Kind<'c>)> {
        let soa = self.zones.get(zone)?;
        self.begin(rcode, before, 1);
        soa.write(self.query.name.len(), self.out)?;
        let kind = match rcode {
            Rcode::NXDOMAIN => Kind::NxDomain(soa.apex()),
            _ => Kind::NoData(soa.apex()),
        };
        self.finish(rcode, 0, kind)
    }

    /// Where the fence leaves nothing, or an alias stands outside of it, the slow way answers.
    fn steered(
        mut self,
        before: &Records,
        owner: u16,
        steered: &Steered,
        client: &Client,
    ) -> Option<(Written, Kind<'c>)> {
        let chosen = steered.choose(self.query.rtype, client)?;
        let rrset = chosen.rrset.filter(|rrset| rrset.rtype == self.query.rtype)?;
        self.begin(Rcode::NOERROR, before, 0);
        let mut head = [0; RECORD_HEAD];
        head[..2].copy_from_slice(&owner.to_be_bytes());
        head[2..4].copy_from_slice(&rrset.rtype.0.to_be_bytes());
        head[5] = 1; // class IN
        head[6..].copy_from_slice(&chosen.ttl.as_secs().to_be_bytes());
        let mut total = before.count;
        for data in rrset.framed() {
            self.out.extend_from_slice(&head);
            self.out.extend_from_slice(data);
            total = total.saturating_add(1);
        }
        self.out[6..8].copy_from_slice(&total.to_be_bytes());
        self.finish(Rcode::NOERROR, chosen.scope, Kind::Positive)
    }

    /// The header, the question and what was put together.
    fn begin(&mut self, rcode: Rcode, before: &Records, authority: u8) {
        encode::head(self.query, self.out);
        self.out[2] |= 0x84; // a response (QR), from authoritative data (AA)
        self.out[3] |= u8::try_from(rcode.0 & 0x0f).unwrap_or_default();
        self.out[6..8].copy_from_slice(&before.count.to_be_bytes());
        self.out[9] = authority;
        self.out.extend_from_slice(&before.octets);
    }

    fn finish(self, rcode: Rcode, scope: u8, kind: Kind<'c>) -> Option<(Written, Kind<'c>)> {
        let edns = self.query.edns.as_ref();
        if self.out.len() + opt::room(edns, self.extras) > self.limit {
            return None;
        }
        let error = self.stale.then(|| opt::stale(rcode));
        let extras = &Extras { error, ..*self.extras };
        opt::write(edns, rcode, scope, extras, self.limit, self.out);
        Some((Written { rcode, truncated: false, error }, kind))
    }
}

/// Owner (a pointer), type, class and TTL (RFC 1035 §4.1.3).
const RECORD_HEAD: usize = 10;

#[cfg(test)]
mod tests;
