//! One packet to one answer.

use super::{
    Compiled,
    clock::Stamp,
    compiled::Lead,
    encode::{self, Written},
    guard::{Guard, Notes, Vetted},
    message::{self, Parsed, Query, Rcode},
    messages::{self, Messages},
    opt::{self, Extended},
    rrl::{Kind, Verdict},
    stats::Dropped,
    transfer::{self, Transfers},
};
use crate::records::{
    self, Answer, Client, DnssecOk, Outcome, Owner, Question, RecordType, ZoneSet,
};
use std::{net::IpAddr, sync::Arc};

/// Whoever decides: the server hands a question over and encodes what comes back.
pub trait Answers: Send + Sync + 'static {
    /// Decides the answer and hands it to `encode`, all from one frozen state.
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R;

    /// The messages that answer a transfer (AXFR or IXFR) that was asked for over a connection;
    /// `None` where one message answers it, as a refusal does.
    fn transfer(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        let _ = (packet, arrival);
        None
    }

    /// Who answers transfers, notices and whatever is signed; without it they are as any query.
    fn transfers(&self) -> Option<&Transfers> {
        None
    }

    /// What was put together ahead of questions, of the state in force.
    fn compiled(&self) -> Arc<Compiled> {
        Arc::default()
    }
}

/// Zones answer for themselves.
impl Answers for ZoneSet {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        encode(&records::lookup(self, question, client))
    }
}

/// How a packet came, and what is to be heeded in it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'g> {
    /// Whose packet it is.
    pub from: IpAddr,
    /// What it came over.
    pub transport: Transport,
    /// Whether the client-subnet option is heeded ([`Listen::client_subnet`](super::Listen)).
    pub client_subnet: bool,
    /// When it came.
    pub at: Stamp,
    /// Whether nobody can read along as RFC 9103 §7.1 wants it: TLS 1.3 as `dot`, or QUIC.
    pub private: bool,
    /// How long its connection may stay idle, in units of 100 milliseconds: told to clients that
    /// ask for it (RFC 7828); `None` where there is no connection, or nothing to tell.
    pub idle: Option<u16>,
    /// What guards against abuse.
    pub guard: Option<&'g Guard>,
}

impl Arrival<'_> {
    /// At the beginning of time, with the client subnet heeded and without a guard.
    #[must_use]
    pub const fn new(from: IpAddr, transport: Transport) -> Self {
        let at = Stamp { seconds: 0, millis: 0 };
        let private = transport.is_encrypted();
        Self { from, transport, client_subnet: true, at, private, idle: None, guard: None }
    }
}

/// What a packet came over, which says how large its answer may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// At most what the client offers, and [`MAX_UDP`].
    Udp,
    /// At most 65,535 octets, as over all others but UDP.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over dedicated QUIC connections (RFC 9250).
    Quic,
}

impl Transport {
    /// Whether the client has proven its address by a handshake, and answers may be long.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether nobody on the way can read it, but sees how long it is.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// No UDP answer is larger, whatever a client offers: larger ones come in fragments, which can be
/// forged and get lost (DNS flag day 2020, RFC 9715).
pub const MAX_UDP: usize = 1232;
/// Without EDNS (RFC 1035 §4.2.1), and the least that EDNS can mean (RFC 6891 §6.2.3).
const MIN_UDP: usize = 512;
/// Zone transfers (RFC 1995, RFC 5936).
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// `out` holds the answer.
    Send {
        /// The whole response code, the extended bits included.
        rcode: u16,
        /// Whether it was cut short (TC).
        truncated: bool,
        /// What else is worth counting.
        notes: Notes,
    },
    /// There is none.
    Drop(Dropped),
}

/// Answers one packet into `out`.
pub fn respond<A: Answers>(
    answers: &A,
    packet: &[u8],
    arrival: &Arrival<'_>,
    out: &mut Vec<u8>,
) -> Reply {
    let compiled = answers.compiled();
    respond_from(answers, (&compiled, Lead::default()), packet, arrival, out)
}

/// The same, with what was put together ahead at hand, and where in it to look: both are fetched
/// once for many packets.
pub(super) fn respond_from<A: Answers>(
    answers: &A,
    ahead: (&Compiled, Lead<'_>),
    packet: &[u8],
    arrival: &Arrival<'_>,
    out: &mut Vec<u8>,
) -> Reply {
    if let Some(transfers) = answers.transfers().filter(|_| transfer::is_for(packet)) {
        return match transfers.respond(answers, packet, arrival, out) {
            Reply::Send { rcode, truncated, notes } if notes.rtype.is_none() => {
                let notes = messages::noted(answers, packet, notes);
                Reply::Send { rcode, truncated, notes }
            }
            reply => reply,
        };
    }
    let mut query = Query::unread();
    let refused = match message::parse(packet, arrival.client_subnet, &mut query) {
        Parsed::Drop(why) => return Reply::Drop(why),
        Parsed::Refuse(rcode) => Some(rcode),
        Parsed::Query => None,
    };
    let mut vetted = Vetted::new(refused, arrival);
    if let Err(why) = vetted.vet(&query, arrival) {
        return Reply::Drop(why);
    }
    let limit = limit(&query, arrival.transport);
    let asked = Asked { query: &query, arrival, limit };
    match vetted.refused {
        Some(rcode) => asked.refuse(&mut vetted, rcode, out),
        None => asked.look_up(answers, ahead, &mut vetted, out),
    }
}

/// A query on its way to an answer.
struct Asked<'a> {
    query: &'a Query<'a>,
    arrival: &'a Arrival<'a>,
    limit: usize,
}

impl Asked<'_> {
    fn refuse(&self, vetted: &mut Vetted<'_>, rcode: Rcode, out: &mut Vec<u8>) -> Reply {
        vetted.extras.error = why_refused(self.query, rcode);
        self.admitted(vetted, Kind::Error, out, |vetted, out| {
            encode::error(self.query, rcode, &vetted.extras, self.limit, out)
        })
    }

    fn look_up<A: Answers>(
        &self,
        answers: &A,
        (compiled, lead): (&Compiled, Lead<'_>),
        vetted: &mut Vetted<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let query = self.query;
        let dnssec = dnssec_ok(query);
        let question = Question { name: query.name, rtype: query.rtype, dnssec };
        let subnet = query.edns.as_ref().and_then(|edns| edns.subnet.as_ref());
        let subnet = subnet.map(|subnet| subnet.network);
        let client = Client { address: Some(self.arrival.from), subnet, draw: fastrand::u64(..) };
        // What is put together is copied sooner than it is counted.
        if let Some((written, kind)) =
            compiled.answer(query, lead, &client, (&vetted.extras, self.limit), out)
        {
            return self.admitted(vetted, kind, out, |_, _| written);
        }
        answers.answer(&question, &client, |answer| {
            vetted.extras.error = why(answer);
            vetted.extras.expire = expire(answers, query, answer, self.arrival.at);
            self.admitted(vetted, kind(query, answer), out, |vetted, out| {
                let zone = match answer.outcome {
                    Outcome::Refused => 0,
                    _ => compiled.zone_of(query.name),
                };
                let written = encode::answer(query, answer, &vetted.extras, self.limit, out);
                Written { zone, ..written }
            })
        })
    }

    /// Writes the answer as far as the limiter lets it.
    fn admitted<'g>(
        &self,
        vetted: &mut Vetted<'g>,
        kind: Kind<'_>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&Vetted<'g>, &mut Vec<u8>) -> encode::Written,
    ) -> Reply {
        let written = match vetted.admit(kind, self.arrival) {
            Verdict::Drop => return Reply::Drop(Dropped::Limited),
            Verdict::Slip => encode::slip(self.query, &vetted.extras, self.limit, out),
            Verdict::Pass => write(vetted, out),
        };
        let extended = written.error.filter(|_| self.query.edns.is_some());
        vetted.notes.extended = extended.map(|error| error.code);
        let (rcode, truncated) = (written.rcode.0, written.truncated);
        let Written { led, zone, .. } = written;
        let rtype = (!self.query.question.is_empty()).then_some(self.query.rtype);
        Reply::Send { rcode, truncated, notes: Notes { led, zone, rtype, ..vetted.notes } }
    }
}

/// How many seconds a copy of the zone may be used yet, where an SOA was asked for with that
/// question (RFC 7314 §2, §3).
fn expire<A: Answers>(
    answers: &A,
    query: &Query<'_>,
    answer: &Answer<'_>,
    at: Stamp,
) -> Option<u32> {
    let asked = query.edns.is_some_and(|edns| edns.expire) && query.rtype == RecordType::SOA;
    let soa = answer.answer.first().filter(|_| asked && answer.outcome == Outcome::Data)?;
    let data = soa.rrset.rdata().next().filter(|_| soa.rrset.rtype == RecordType::SOA)?;
    let own = u32::from_be_bytes(*data.get(data.len().checked_sub(8)?..)?.first_chunk()?);
    let left = answers.transfers().and_then(|all| all.left(query.name, at));
    Some(left.map_or(own, |left| left.min(own)))
}

/// What the query's flags say of signatures.
fn dnssec_ok(query: &Query<'_>) -> DnssecOk {
    match &query.edns {
        Some(edns) if edns.dnssec_ok && edns.compact_ok => DnssecOk::Compact,
        Some(edns) if edns.dnssec_ok => DnssecOk::Yes,
        _ => DnssecOk::No,
    }
}

/// What the limiter counts an answer as. A denial's zone is the owner of its SOA.
pub(super) fn kind<'z>(query: &Query<'z>, answer: &'z Answer<'_>) -> Kind<'z> {
    let zone = match answer.authority.first().map(|soa| &soa.owner) {
        Some(Owner::Name(apex)) => apex.as_wire(),
        Some(Owner::Asked) => query.name,
        None => &[],
    };
    match answer.outcome {
        Outcome::Data | Outcome::Alias => Kind::Positive,
        Outcome::NoData => Kind::NoData(zone),
        Outcome::NxDomain => Kind::NxDomain(zone),
        Outcome::Referral => Kind::Referral,
        Outcome::YxDomain | Outcome::Refused | Outcome::NotReady => Kind::Error,
    }
}

/// What there is to say to an answer beside its response code.
fn why(answer: &Answer<'_>) -> Option<Extended> {
    match answer.outcome {
        Outcome::Refused => Some(Extended::NOT_AUTHORITATIVE),
        Outcome::NotReady => Some(Extended::NOT_READY),
        _ if answer.fenced => Some(Extended::FILTERED),
        outcome if answer.stale => Some(opt::stale(encode::rcode(outcome))),
        Outcome::Data
        | Outcome::NoData
        | Outcome::NxDomain
        | Outcome::YxDomain
        | Outcome::Referral
        | Outcome::Alias => None,
    }
}

/// What there is to say to a query that was refused before it was looked up.
fn why_refused(query: &Query<'_>, rcode: Rcode) -> Option<Extended> {
    match rcode {
        Rcode::REFUSED if matches!(query.rtype.0, IXFR | AXFR) => Some(Extended::PROHIBITED),
        Rcode::REFUSED => Some(Extended::NOT_AUTHORITATIVE),
        Rcode::NOTIMP => Some(Extended::NOT_SUPPORTED),
        _ => None,
    }
}

fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, &query.edns) {
        (transport, _) if transport.is_stream() => usize::from(u16::MAX),
        (_, None) => MIN_UDP,
        (_, Some(edns)) => usize::from(edns.udp_size).clamp(MIN_UDP, MAX_UDP),
    }
}
