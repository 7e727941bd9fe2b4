//! The messages of dnstap (`dnstap.proto`), written field by field: a library would want its compiler
//! at build time for these few.

use super::Ends;
use crate::server::respond::Transport;
use jiff::Timestamp;
use std::net::{IpAddr, SocketAddr};

/// Which side's message it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Query,
    /// And when it was made.
    Answer(Timestamp),
}

/// The fields that are the same in each frame.
pub(super) fn who(identity: &str, version: &str) -> Vec<u8> {
    let mut out = Vec::new();
    octets(&mut out, IDENTITY, identity.as_bytes());
    octets(&mut out, VERSION, version.as_bytes());
    out
}

/// Writes one frame's `Dnstap`.
pub(super) fn write(
    out: &mut Vec<u8>,
    who: &[u8],
    kind: Kind,
    came: Timestamp,
    ends: &Ends,
    packet: &[u8],
) {
    out.extend_from_slice(who);
    number(out, TYPE, MESSAGE_TYPE);
    // The fields before the packet take some 60 octets with IPv6.
    let mut body = Vec::with_capacity(96 + packet.len());
    message(&mut body, kind, came, ends, packet);
    octets(out, MESSAGE, &body);
}

fn message(out: &mut Vec<u8>, kind: Kind, came: Timestamp, ends: &Ends, packet: &[u8]) {
    let (about, made) = match kind {
        Kind::Query => (AUTH_QUERY, None),
        Kind::Answer(made) => (AUTH_RESPONSE, Some(made)),
    };
    number(out, 1, about);
    number(out, 2, if ends.client.is_ipv4() { INET } else { INET6 });
    number(out, 3, protocol(ends.transport));
    address(out, [4, 6], ends.client);
    address(out, [5, 7], ends.server);
    time(out, [8, 9], came);
    match made {
        None => octets(out, 10, packet),
        Some(made) => {
            time(out, [12, 13], made);
            octets(out, 14, packet);
        }
    }
}

const fn protocol(transport: Transport) -> u64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Https => 4,
        // 5 and 6 are DNSCrypt's.
        Transport::Quic => 7,
    }
}

/// The address and the port; an unknown port is left out.
fn address(out: &mut Vec<u8>, [ip, port]: [u8; 2], end: SocketAddr) {
    match end.ip() {
        IpAddr::V4(own) => octets(out, ip, &own.octets()),
        IpAddr::V6(own) => octets(out, ip, &own.octets()),
    }
    if end.port() != 0 {
        number(out, port, end.port().into());
    }
}

fn time(out: &mut Vec<u8>, [seconds, nanos]: [u8; 2], at: Timestamp) {
    number(out, seconds, at.as_second().try_into().unwrap_or_default());
    out.push(nanos << 3 | FIXED32);
    let nanos: u32 = at.subsec_nanosecond().try_into().unwrap_or_default();
    out.extend_from_slice(&nanos.to_le_bytes());
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3 | VARINT);
    varint(out, value);
}

fn octets(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | LENGTH);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits in each octet, the lowest first; the eighth says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

// What a field's number is followed by: `field << 3 | kind`. All our fields are below 16, so one
// octet holds both.
const VARINT: u8 = 0;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

// Fields of `Dnstap`.
const IDENTITY: u8 = 1;
const VERSION: u8 = 2;
const MESSAGE: u8 = 14;
const TYPE: u8 = 15;

// Values of `Dnstap.type`, `Message.type` and `Message.socket_family`.
const MESSAGE_TYPE: u64 = 1;
const AUTH_QUERY: u64 = 1;
const AUTH_RESPONSE: u64 = 2;
const INET: u64 = 1;
const INET6: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_octets_as_they_need() {
        let written = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [127]);
        assert_eq!(written(300), [0xac, 2]);
        assert_eq!(written(u64::MAX).len(), 10);
    }

    #[test]
    fn each_transport_has_the_number_of_the_definition() {
        let all =
            [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic];
        assert_eq!(all.map(protocol), [1, 2, 3, 4, 7]);
    }

    #[test]
    fn a_frame_is_what_the_definition_says() {
        let ends = Ends {
            transport: Transport::Udp,
            client: "192.0.2.1:5300".parse().unwrap(),
            server: "[2001:db8::1]:53".parse().unwrap(),
        };
        let mut out = Vec::new();
        let came = Timestamp::new(300, 5).unwrap();
        write(&mut out, &who("a", "b"), Kind::Query, came, &ends, b"query");
        let server = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1]].concat();
        let message = [
            &[8, 1, 16, 1, 24, 1, 0x22, 4, 192, 0, 2, 1, 48, 0xb4, 41, 0x2a, 16][..],
            &server,
            &[56, 53, 64, 0xac, 2, 77, 5, 0, 0, 0, 0x52, 5],
            b"query",
        ]
        .concat();
        let length = u8::try_from(message.len()).unwrap();
        let head = [0x0a, 1, b'a', 0x12, 1, b'b', 0x78, 1, 0x72, length];
        assert_eq!(out, [&head[..], &message].concat());
    }
}
