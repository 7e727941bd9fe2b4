//! What clients of connections may use up; every number is one that a client cannot exceed.

use std::time::Duration;

/// What clients of TCP, TLS, HTTPS and QUIC may use up, all together (RFC 7766 §6.2 and RFC 9210
/// §4.2 ask for such limits).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all; at the limit the one that has been idle longest is closed.
    pub connections: usize,
    /// Connections of one address.
    pub per_client: usize,
    /// Connections of one /24 or /56.
    pub per_network: usize,
    /// For the handshake of TLS, and the header of a proxy before it.
    pub handshake: Duration,
    /// From there to the first whole message.
    pub first: Duration,
    /// From a message's first octet to its last: who sends slower keeps a place from others.
    pub message: Duration,
    /// Between messages.
    pub idle: Duration,
    /// The same while more than three quarters of all connections are taken.
    pub idle_pressed: Duration,
    /// How long a client may take none of the answers that wait for it.
    pub write: Duration,
    /// Answers that may wait or be under way on one connection; no more is read until they went.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_client: 32,
            per_network: 256,
            handshake: Duration::from_secs(2),
            first: Duration::from_secs(2),
            message: Duration::from_millis(500),
            idle: Duration::from_secs(10),
            idle_pressed: Duration::from_secs(2),
            write: Duration::from_secs(2),
            in_flight: 100,
        }
    }
}

impl Limits {
    /// Whether so many open connections are more than three quarters of all.
    pub(super) fn pressed(&self, open: usize) -> bool {
        open > self.connections / 4 * 3
    }
}
