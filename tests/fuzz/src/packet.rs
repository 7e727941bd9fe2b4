//! One packet to one answer: the whole decision of the server, by what is put together ahead and
//! without it, over every transport.
//!
//! ```text
//! octet 0    bits 0-2 transport, 3 cookies, 4 client subnet heeded, 5 signed, 6 over IPv6,
//!            7 cookies required
//! octet 1    the client's address and which key signs
//! the rest   the packet
//! ```

use super::{
    work,
    world::{NOW, Side, shared_keys, world},
};
use hickory_proto::op::Message;
use meridian::{
    server::{Answers, Arrival, Cookies, Guard, Next, Reply, Secrets, Transport, respond},
    transfer::Checker,
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, OnceLock},
};

/// Octets of memory that one answer may take, however it was asked for.
const MOST: usize = 160 << 10;
/// The same where names are signed as they are asked for: what was signed is remembered, and that
/// memory grows by doubling.
const MOST_ONLINE: usize = 4 << 20;
/// One message of a transfer.
const MOST_TRANSFER: usize = 2 << 20;

/// How a packet came.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub transport: Transport,
    pub cookies: bool,
    pub required: bool,
    pub client_subnet: bool,
    pub signed: bool,
    pub from: IpAddr,
    pub key: u8,
}

impl How {
    /// As two octets say.
    pub fn of(bits: u8, more: u8) -> Self {
        let transports =
            [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic];
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(more), 0, 0, 0, 0, 1);
        let v4 = [
            Ipv4Addr::new(192, 0, 2, more),
            Ipv4Addr::new(more, 37, 208, more),
            Ipv4Addr::new(81, more, 0, 1),
        ][usize::from(more % 3)];
        Self {
            transport: *transports.get(usize::from(bits & 7)).unwrap_or(&Transport::Udp),
            cookies: bits & 8 != 0,
            client_subnet: bits & 16 != 0,
            signed: bits & 32 != 0,
            from: if bits & 64 != 0 { v6.into() } else { v4.into() },
            required: bits & 128 != 0,
            key: more % 3,
        }
    }
}

/// See above.
pub fn run(data: &[u8]) {
    let Some(([bits, more], packet)) = data.split_first_chunk() else { return };
    let how = How::of(*bits, *more);
    let mut packet = packet.to_vec();
    if how.signed && packet.len() >= 12 {
        let key = Arc::new(shared_keys()[usize::from(how.key)].clone());
        let _ = Checker::sign(key, &mut packet, NOW.into());
    }
    if packet.len() <= usize::from(u16::MAX) {
        check(how, &packet);
    }
}

/// Asks both ways and looks at what comes back.
pub fn check(how: How, packet: &[u8]) -> Option<(Vec<u8>, Message)> {
    world().refill();
    let online = packet.windows(8).any(|part| part.eq_ignore_ascii_case(b"\x07compact"));
    let most = if online { MOST_ONLINE } else { MOST };
    let fast = work::at_most(most, "an answer", || ask(how, packet, true));
    let slow = ask(how, packet, false);
    assert_eq!(fast, slow, "{how:?}: what is put together ahead is another answer");
    if how.transport.is_stream() {
        transfer(how, packet);
    }
    let (rcode, answer) = fast?;
    Some(read(how, packet, rcode, answer))
}

fn guard(how: How) -> &'static Guard {
    static GUARDS: OnceLock<[Guard; 3]> = OnceLock::new();
    let cookies = |require| Some(Cookies::new(Secrets::one([3; 16]), require));
    let guards = GUARDS.get_or_init(|| {
        [None, cookies(false), cookies(true)].map(|cookies| Guard {
            cookies,
            nsid: Box::from(*b"ns1.fra"),
            ..Guard::default()
        })
    });
    &guards[usize::from(how.cookies) + usize::from(how.cookies && how.required)]
}

fn arrival(how: How) -> Arrival<'static> {
    let mut arrival = Arrival::new(how.from, how.transport);
    arrival.client_subnet = how.client_subnet;
    arrival.at.seconds = NOW;
    arrival.idle = how.transport.is_stream().then_some(100);
    arrival.guard = Some(guard(how));
    arrival
}

fn ask(how: How, packet: &[u8], fast: bool) -> Option<(u16, Vec<u8>)> {
    // Both draw the same.
    fastrand::seed(7);
    let mut out = Vec::with_capacity(512);
    match respond(&Side { fast, gives: true }, packet, &arrival(how), &mut out) {
        Reply::Send { rcode, truncated, .. } => {
            assert_eq!(out[2] & 2 != 0, truncated, "TC is not what was counted");
            Some((rcode, out))
        }
        Reply::Drop(_) => None,
    }
}

/// The answer is one, and another library can read it.
fn read(how: How, packet: &[u8], rcode: u16, answer: Vec<u8>) -> (Vec<u8>, Message) {
    let message = Message::from_vec(&readable(&answer))
        .unwrap_or_else(|error| panic!("{how:?}: cannot be read: {error}: {answer:02x?}"));
    assert_eq!(answer[..2], packet[..2], "the id is another");
    assert!(answer[2] & 0x80 != 0 && packet[2] & 0x80 == 0, "only queries have answers");
    assert_eq!(answer[2] & 0x78, packet[2] & 0x78, "the opcode is another");
    assert_eq!(u16::from(answer[3] & 0x0f), rcode & 0x0f);
    let limit = match how.transport {
        Transport::Udp if message.edns.is_none() => 512,
        Transport::Udp => 1_232,
        _ => 65_535,
    };
    assert!(answer.len() <= limit, "{how:?}: {} octets where {limit} fit", answer.len());
    if answer[4..6] == [0, 1] {
        let end = 12 + plain_name(&answer[12..]) + 4;
        assert_eq!(answer[12..end], packet[12..end], "the question is another");
    }
    (answer, message)
}

/// The other library knows no client subnet without a family (RFC 7871 §6), which is echoed.
fn readable(answer: &[u8]) -> Vec<u8> {
    let mut copy = answer.to_vec();
    // A question may hold the same octets.
    let asked = if answer[4..6] == [0, 1] { 12 + plain_name(&answer[12..]) + 4 } else { 12 };
    let mut behind = answer[asked..].windows(8);
    if let Some(at) = behind.rposition(|part| part == [0, 8, 0, 4, 0, 0, 0, 0]) {
        copy[asked + at] = 0xfd;
    }
    copy
}

fn plain_name(octets: &[u8]) -> usize {
    let mut end = 0;
    while octets[end] != 0 {
        end += 1 + usize::from(octets[end]);
    }
    end + 1
}

fn transfer(how: How, packet: &[u8]) {
    let arrival = arrival(how);
    let Some(mut messages) = (Side { fast: true, gives: true }).transfer(packet, &arrival) else {
        return;
    };
    for _ in 0..50 {
        let mut out = Vec::new();
        let next = work::at_most(MOST_TRANSFER, "a transfer's message", || {
            messages.next(arrival.at, &mut out)
        });
        match next {
            Next::Message => {
                assert!(out.len() <= 65_535 && out[..2] == packet[..2]);
                Message::from_vec(&out).unwrap();
            }
            Next::End => return,
            Next::Abort => panic!("a transfer that cannot be gone on with"),
        }
    }
    panic!("a transfer of these zones does not take so many messages");
}

/// A query for it, as clients write them.
pub fn question(name: &str, rtype: u16, flags: u8) -> Vec<u8> {
    let name = super::world::name(name);
    let mut packet = vec![0xab, 0xcd, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// With an OPT behind it.
pub fn with_opt(mut packet: Vec<u8>, size: u16, flags: u8, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    packet.extend_from_slice(&[0, 0, 41]);
    packet.extend_from_slice(&size.to_be_bytes());
    packet.extend_from_slice(&[0, 0, flags, 0]);
    packet.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

/// Names of every kind.
pub const NAMES: [&str; 32] = [
    "z.test",
    "a.z.test",
    "A.Z.teST",
    "alias2.z.test",
    "gone.z.test",
    "out.z.test",
    "loop1.z.test",
    "x.y.wild.z.test",
    "x.wild.z.test",
    "q.walias.z.test",
    "went.z.test",
    "host.sub.z.test",
    "sub.z.test",
    "safe.z.test",
    "p.moved.z.test",
    "x.round.z.test",
    "big.z.test",
    "mx.z.test",
    "nothing.z.test",
    "sub.a.z.test",
    "signed.test",
    "a.signed.test",
    "x.y.wild.signed.test",
    "nothing.signed.test",
    "p.moved.signed.test",
    "nothing.compact.test",
    "safe.compact.test",
    "svc0.default.magic.svc.fed.test",
    "svc1.default.magic.svc.fed.test",
    "svc4.default.magic.svc.fed.test",
    "svc5.default.magic.svc.us-west-2.fed.test",
    "example.net",
];

/// Types of every kind.
pub const TYPES: [u16; 16] = [1, 28, 5, 2, 6, 15, 16, 43, 47, 48, 65, 255, 251, 252, 39, 65_280];

/// Every name, with types, flags and transports in turn.
pub fn seeds() -> Vec<Vec<u8>> {
    let cookie = [&[0, 10, 0, 8][..], b"abcdefgh"].concat();
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 81, 2, 3];
    let options = [&cookie[..], &subnet, &[0, 3, 0, 0, 0, 11, 0, 0, 0, 12, 0, 4, 0, 0, 0, 0]];
    let mut seeds = Vec::new();
    for (at, name) in NAMES.iter().enumerate() {
        for turn in 0..3 {
            let rtype = TYPES[(at * 3 + turn) % TYPES.len()];
            let plain = question(name, rtype, 1);
            let packet = match turn {
                0 => plain,
                1 => with_opt(plain, 1_232, 0x80, options[at % 3]),
                _ => with_opt(plain, 4_096, 0xc0, &options.concat()),
            };
            let bits = u8::try_from(((at + turn) % 5) | [0, 8, 24, 56][at % 4]).unwrap();
            seeds.push([&[bits, 7][..], &packet].concat());
        }
    }
    let mut ixfr = question("z.test", 251, 0);
    ixfr[9] = 1;
    ixfr.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0, 6]);
    ixfr.extend_from_slice(&[0; 16]);
    for bits in [0, 1, 2, 32, 33] {
        seeds.push([&[bits, 9][..], &ixfr].concat());
        seeds.push([&[bits, 9][..], &question("z.test", 252, 0)].concat());
        seeds.push([&[bits, 9][..], &question("z.test", 6, 0x20)].concat());
    }
    seeds
}
