//! Clients that ask as resolvers do, each from a network of its own, and count what is answered
//! within a second.

use super::{SERVER, flood::question};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Clients over each of UDP and TCP, and the pause between two questions of one of them.
const CLIENTS: u8 = 10;
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);

/// Asked, answered.
type Counts = (u64, u64);

pub struct Clients([Vec<JoinHandle<Counts>>; 2]);

impl Clients {
    pub fn start(until: Instant) -> Self {
        let start = |ask: fn(SocketAddr) -> bool| {
            (0..CLIENTS)
                .map(move |client| thread::spawn(move || asks(client, ask, until)))
                .collect()
        };
        Self([start(over_udp), start(over_tcp)])
    }

    /// What came of it, over UDP and over TCP.
    pub fn shares(self) -> [String; 2] {
        self.0.map(|all| {
            let all = all.into_iter().map(|one| one.join().unwrap());
            let (asked, answered) = all.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
            format!("{:.1} % of {asked}", 100.0 * answered as f64 / asked as f64)
        })
    }
}

fn asks(client: u8, ask: fn(SocketAddr) -> bool, until: Instant) -> Counts {
    let from = SocketAddr::from(([198, 19, client, 1], 0));
    let (mut asked, mut answered) = (0, 0);
    while Instant::now() + PATIENCE < until {
        asked += 1;
        answered += u64::from(ask(from));
        thread::sleep(PAUSE);
    }
    (asked, answered)
}

fn over_udp(from: SocketAddr) -> bool {
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let query = question(b"\x03www\x07example\x03org\0", 1);
    let mut answer = [0; 1_232];
    let sent = socket.send_to(&query, SERVER);
    sent.is_ok() && socket.recv(&mut answer).is_ok_and(|octets| octets > query.len())
}

fn over_tcp(from: SocketAddr) -> bool {
    try_tcp(from).unwrap_or(false)
}

fn try_tcp(from: SocketAddr) -> std::io::Result<bool> {
    let mut stream = super::hoard::connect(from, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&super::hoard::framed(&question(b"\x03www\x07example\x03org\0", 1)))?;
    let mut answer = [0; 40];
    TcpStream::read_exact(&mut stream, &mut answer)?;
    Ok(answer[9] == 1)
}
