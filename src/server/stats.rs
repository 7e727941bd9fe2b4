//! What was asked and answered, as counters that any thread may raise.

use super::{respond::Transport, stream::Ending};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a packet got no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Shorter than a header.
    Short,
    /// A response: answering one could make two servers answer each other for ever.
    Response,
    /// From port 0, which no client has.
    Source,
    /// The socket took no more.
    Send,
}

/// The counters of one server; all sockets share them.
#[derive(Debug, Default)]
pub struct Stats {
    udp: AtomicU64,
    tcp: AtomicU64,
    tls: AtomicU64,
    https: AtomicU64,
    quic: AtomicU64,
    rcodes: [AtomicU64; 24],
    truncated: AtomicU64,
    short: AtomicU64,
    responses: AtomicU64,
    source: AtomicU64,
    send: AtomicU64,
    refused: AtomicU64,
    overdue: AtomicU64,
    unproxied: AtomicU64,
    unshaken: AtomicU64,
    open: AtomicU64,
}

/// The counters at one time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StatsView {
    /// Queries that came over UDP.
    pub udp: u64,
    /// Queries that came over TCP.
    pub tcp: u64,
    /// Queries that came over TLS.
    pub tls: u64,
    /// Queries that came over HTTPS.
    pub https: u64,
    /// Queries that came over QUIC.
    pub quic: u64,
    /// Answers by response code's number (BADVERS is 16).
    pub rcodes: Vec<u64>,
    /// Answers with TC.
    pub truncated: u64,
    /// Packets shorter than a header.
    pub short: u64,
    /// Packets that were responses.
    pub responses: u64,
    /// Packets from port 0.
    pub source: u64,
    /// Answers that the socket did not take.
    pub send: u64,
    /// Connections that were turned away or closed because others need their place.
    pub refused: u64,
    /// Connections that were closed because their time was up.
    pub overdue: u64,
    /// Connections of proxies that did not begin with a header (PROXY protocol).
    pub unproxied: u64,
    /// Connections whose handshake (TLS, QUIC) failed.
    pub unshaken: u64,
    /// Connections that are open.
    pub open: u64,
}

impl Stats {
    /// What they say now.
    #[must_use]
    pub fn view(&self) -> StatsView {
        StatsView {
            udp: self.udp.load(Relaxed),
            tcp: self.tcp.load(Relaxed),
            tls: self.tls.load(Relaxed),
            https: self.https.load(Relaxed),
            quic: self.quic.load(Relaxed),
            rcodes: self.rcodes.iter().map(|counter| counter.load(Relaxed)).collect(),
            truncated: self.truncated.load(Relaxed),
            short: self.short.load(Relaxed),
            responses: self.responses.load(Relaxed),
            source: self.source.load(Relaxed),
            send: self.send.load(Relaxed),
            refused: self.refused.load(Relaxed),
            overdue: self.overdue.load(Relaxed),
            unproxied: self.unproxied.load(Relaxed),
            unshaken: self.unshaken.load(Relaxed),
            open: self.open.load(Relaxed),
        }
    }

    pub(super) fn answered(&self, transport: Transport, rcode: u16, truncated: bool) {
        let counter = match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
            Transport::Https => &self.https,
            Transport::Quic => &self.quic,
        };
        counter.fetch_add(1, Relaxed);
        self.truncated.fetch_add(u64::from(truncated), Relaxed);
        if let Some(counter) = self.rcodes.get(usize::from(rcode)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn dropped(&self, why: Dropped) {
        let counter = match why {
            Dropped::Short => &self.short,
            Dropped::Response => &self.responses,
            Dropped::Source => &self.source,
            Dropped::Send => &self.send,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn unproxied(&self) {
        self.unproxied.fetch_add(1, Relaxed);
    }

    pub(super) fn unshaken(&self) {
        self.unshaken.fetch_add(1, Relaxed);
    }

    /// Why the server ended a connection.
    pub(super) fn ended(&self, ending: Ending) {
        match ending {
            Ending::Kicked => self.refused(),
            Ending::Overdue => {
                self.overdue.fetch_add(1, Relaxed);
            }
            Ending::Orderly | Ending::Cut => {}
        }
    }

    /// Counts a connection as open, until dropped.
    pub(super) fn open(&self) -> Open<'_> {
        self.open.fetch_add(1, Relaxed);
        Open(self)
    }
}

/// An open connection.
pub(super) struct Open<'s>(&'s Stats);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
