//! One packet to one answer.

use super::{
    Compiled,
    clock::Stamp,
    encode,
    guard::Guard,
    message::{self, Parsed, Query},
    messages::Messages,
    stats::Dropped,
    transfer::{self, Transfers},
};
use crate::records::{Answer, Client, Question};
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

    /// What was put together ahead of questions, of the state in force.
    fn compiled(&self) -> Arc<Compiled> {
        Arc::default()
    }

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
        Self { from, transport, client_subnet: true, at, idle: None, guard: None }
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

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// `out` holds the answer.
    Send {
        /// The whole response code, the extended bits included.
        rcode: u16,
        /// Whether it was cut short (TC).
        truncated: bool,
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
    respond_from(answers, &answers.compiled(), packet, arrival, out)
}

/// The same, with what was put together ahead at hand: it is fetched once for many packets.
pub(super) fn respond_from<A: Answers>(
    answers: &A,
    compiled: &Compiled,
    packet: &[u8],
    arrival: &Arrival<'_>,
    out: &mut Vec<u8>,
) -> Reply {
    if let Some(transfers) = answers.transfers().filter(|_| transfer::is_for(packet)) {
        return transfers.respond(answers, packet, arrival, out);
    }
    let (query, refused) = match message::parse(packet, arrival.client_subnet) {
        Parsed::Drop(why) => return Reply::Drop(why),
        Parsed::Refuse(query, rcode) => (query, Some(rcode)),
        Parsed::Query(query) => (query, None),
    };
    let limit = limit(&query, arrival.transport);
    let written = match refused {
        Some(rcode) => encode::error(&query, rcode, limit, out),
        None => look_up(answers, compiled, &query, arrival.from, limit, out),
    };
    Reply::Send { rcode: written.rcode.0, truncated: written.truncated }
}

fn look_up<A: Answers>(
    answers: &A,
    compiled: &Compiled,
    query: &Query<'_>,
    from: IpAddr,
    limit: usize,
    out: &mut Vec<u8>,
) -> encode::Written {
    let question = Question { name: query.name, rtype: query.rtype };
    let subnet = query.edns.and_then(|edns| edns.subnet).map(|subnet| subnet.network);
    let client = Client { address: Some(from), subnet, draw: fastrand::u64(..) };
    if let Some(written) = compiled.answer(query, &client, limit, out) {
        return written;
    }
    answers.answer(&question, &client, |answer| encode::answer(query, answer, limit, out))
}

fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (transport, _) if transport.is_stream() => usize::from(u16::MAX),
        (_, None) => MIN_UDP,
        (_, Some(edns)) => usize::from(edns.udp_size).clamp(MIN_UDP, MAX_UDP),
    }
}
