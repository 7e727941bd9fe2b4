//! Ports for servers that cannot be told to take one that is free, as ours can with port 0.

use std::{
    net::{TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

const FIRST: u16 = 10_000;
/// Up to the ports that systems give to outgoing connections, so that no client takes one before
/// its server does.
const PORTS: u16 = 22_000;

/// A port that is free now on 127.0.0.1, for UDP and TCP. Test processes that run side by side
/// begin at different ones.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(process::id() % 22).unwrap() * 1_000;
    let port = || FIRST + (own + NEXT.fetch_add(1, Relaxed) % PORTS) % PORTS;
    let free = |port: &u16| {
        let udp = UdpSocket::bind(("127.0.0.1", *port));
        udp.is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    std::iter::repeat_with(port).find(free).unwrap()
}
