//! Connections that are held, not read, or filled: from a thousand addresses, since one address has
//! few.

use super::{SERVER, Sent, flood::question};
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Connections that are held; more than the server has places for.
const HELD: usize = 5_000;
/// Octets of an answer with one address and an OPT, and its length.
const ANSWER: u64 = 2 + 12 + 21 + 16 + 11;
/// Connections that are kept busy.
const BUSY: usize = 100;

pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

pub fn connect(from: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&from.into())?;
    socket.connect_timeout(&SERVER.into(), patience)?;
    Ok(socket.into())
}

/// One of a thousand addresses, in two hundred networks.
fn stranger(turn: usize) -> SocketAddr {
    let (network, host) = (turn % 200, turn / 200 % 5);
    SocketAddr::from(([198, 18, 20 + network as u8, 1 + host as u8], 0))
}

fn open(turn: usize) -> Option<TcpStream> {
    let stream = connect(stranger(turn), Duration::from_millis(200)).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Keeps so many connections open, replacing those that were closed, and does something with each in
/// turn: it says how many messages and octets it sent, or that the connection is gone.
fn keep(many: usize, until: Instant, act: impl Fn(&mut Held) -> io::Result<(u64, u64)>) -> Sent {
    let mut sent = Sent::default();
    let mut held: Vec<Option<Held>> = (0..many).map(|_| None).collect();
    let mut turn = 0;
    while Instant::now() < until {
        for place in &mut held {
            if Instant::now() >= until {
                break;
            }
            if place.is_none() {
                turn += 1;
                *place = open(turn).map(|stream| Held { stream, at: 0 });
            }
            let Some(own) = place else { continue };
            match act(own) {
                Ok((messages, octets)) => {
                    sent.packets += messages;
                    sent.octets += octets;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => *place = None,
            }
        }
    }
    sent
}

/// A connection, and how far it is.
struct Held {
    stream: TcpStream,
    at: usize,
}

impl Held {
    /// Goes on with octets that are sent over and over; how many whole ones and octets went.
    fn send(&mut self, octets: &[u8], messages: u64) -> io::Result<(u64, u64)> {
        let written = self.stream.write(&octets[self.at..])?;
        self.at += written;
        let whole = self.at == octets.len();
        if whole {
            self.at = 0;
        }
        Ok((if whole { messages } else { 0 }, written as u64))
    }

    /// Whether it is still there; takes what has come, where it reads.
    fn read(&mut self) -> io::Result<u64> {
        let (mut buffer, mut octets) = ([0; 65_536], 0);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => octets += length as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(octets),
                Err(error) => return Err(error),
            }
        }
    }
}

/// An octet now and then.
pub fn slowloris(until: Instant) -> Sent {
    let octets = framed(&question(b"\x03www\x07example\x03org\0", 1));
    keep(HELD, until, |held| {
        held.read()?;
        let next = [octets[held.at % octets.len()]];
        held.at += 1;
        held.stream.write_all(&next)?;
        Ok((1, 1))
    })
}

/// Half a message, and nothing more.
pub fn half_frames(until: Instant) -> Sent {
    let octets = framed(&question(b"\x03www\x07example\x03org\0", 1));
    keep(HELD, until, |held| {
        held.read()?;
        if held.at > 0 {
            return Ok((0, 0));
        }
        held.at = 1;
        held.stream.write_all(&octets[..20])?;
        Ok((1, 20))
    })
}

/// Queries for the largest answer, none of which is taken.
pub fn never_read(until: Instant) -> Sent {
    let octets = framed(&question(b"\x03big\x07example\x03org\0", 1)).repeat(100);
    keep(HELD, until, |held| held.send(&octets, 100))
}

/// Messages as long as can be, that mean nothing.
pub fn long_messages(until: Instant) -> Sent {
    let mut message = question(b"\x03www\x07example\x03org\0", 1);
    message.resize(65_535, 0);
    let octets = framed(&message);
    keep(BUSY, until, |held| {
        held.read()?;
        held.send(&octets, 1)
    })
}

/// Ten thousand queries at a time; what is counted is answers, since the system takes far more queries
/// than the server.
pub fn pipelined(until: Instant) -> Sent {
    let octets = framed(&question(b"\x03www\x07example\x03org\0", 1)).repeat(10_000);
    keep(BUSY, until, |held| {
        let answers = held.read()? / ANSWER;
        match held.send(&octets, 0) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok((answers, 0)),
        }
    })
}
