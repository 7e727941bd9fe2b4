//! One packet to one answer.

use super::{
    encode,
    message::{self, Parsed, Query},
    stats::Dropped,
};
use crate::records::{Answer, Client, DnssecOk, Question};
use std::net::IpAddr;

/// Whoever decides: the server hands a question over and encodes what comes back.
pub trait Answers: Send + Sync + 'static {
    /// Decides the answer and hands it to `encode`, all from one frozen state.
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R;
}

/// How a packet came, and what is to be heeded in it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whose packet it is.
    pub from: IpAddr,
    /// What it came over.
    pub transport: Transport,
    /// Whether the client-subnet option is heeded ([`Listen::client_subnet`](super::Listen)).
    pub client_subnet: bool,
}

/// What a packet came over, which says how large its answer may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// At most what the client offers, and [`MAX_UDP`].
    Udp,
    /// At most 65,535 octets.
    Tcp,
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
    arrival: &Arrival,
    out: &mut Vec<u8>,
) -> Reply {
    let (query, refused) = match message::parse(packet, arrival.client_subnet) {
        Parsed::Drop(why) => return Reply::Drop(why),
        Parsed::Refuse(query, rcode) => (query, Some(rcode)),
        Parsed::Query(query) => (query, None),
    };
    let limit = limit(&query, arrival.transport);
    let written = match refused {
        Some(rcode) => encode::error(&query, rcode, limit, out),
        None => look_up(answers, &query, arrival.from, limit, out),
    };
    Reply::Send { rcode: written.rcode.0, truncated: written.truncated }
}

fn look_up<A: Answers>(
    answers: &A,
    query: &Query<'_>,
    from: IpAddr,
    limit: usize,
    out: &mut Vec<u8>,
) -> encode::Written {
    let dnssec = match query.edns {
        Some(edns) if edns.dnssec_ok && edns.compact_ok => DnssecOk::Compact,
        Some(edns) if edns.dnssec_ok => DnssecOk::Yes,
        _ => DnssecOk::No,
    };
    let question = Question { name: query.name, rtype: query.rtype, dnssec };
    let subnet = query.edns.and_then(|edns| edns.subnet).map(|subnet| subnet.network);
    let client = Client { address: Some(from), subnet, draw: fastrand::u64(..) };
    answers.answer(&question, &client, |answer| encode::answer(query, answer, limit, out))
}

fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => MIN_UDP,
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_size).clamp(MIN_UDP, MAX_UDP),
    }
}
