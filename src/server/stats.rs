//! What was asked and answered, as counters that any thread may raise.

use super::respond::Transport;
use serde::Serialize;
use smallvec::SmallVec;
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
    rcodes: [AtomicU64; RCODES],
    truncated: AtomicU64,
    short: AtomicU64,
    responses: AtomicU64,
    source: AtomicU64,
    send: AtomicU64,
    refused: AtomicU64,
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
    /// TCP connections that a limit turned away or closed.
    pub refused: u64,
    /// TCP connections that are open.
    pub open: u64,
}

/// What one thread has counted since it last told: threads that raised the same counters for
/// each query would wait for one another.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    rcodes: [u64; RCODES],
    truncated: u64,
    dropped: SmallVec<[(Dropped, u64); 4]>,
}

/// Response codes that are counted apart: all that this server gives.
const RCODES: usize = 24;

impl Tally {
    pub(super) fn answered(&mut self, rcode: u16, truncated: bool) {
        self.truncated += u64::from(truncated);
        if let Some(counter) = self.rcodes.get_mut(usize::from(rcode)) {
            *counter += 1;
        }
    }

    pub(super) fn dropped(&mut self, why: Dropped, many: u64) {
        match self.dropped.iter_mut().find(|(own, _)| *own == why) {
            Some((_, sum)) => *sum += many,
            None if many > 0 => self.dropped.push((why, many)),
            None => {}
        }
    }
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
            open: self.open.load(Relaxed),
        }
    }

    pub(super) fn answered(&self, transport: Transport, rcode: u16, truncated: bool) {
        let mut tally = Tally::default();
        tally.answered(rcode, truncated);
        self.add(transport, &tally);
    }

    fn over(&self, transport: Transport, many: u64) {
        let counter = match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
            Transport::Https => &self.https,
            Transport::Quic => &self.quic,
        };
        counter.fetch_add(many, Relaxed);
    }

    pub(super) fn dropped(&self, why: Dropped) {
        self.dropped_many(why, 1);
    }

    fn dropped_many(&self, why: Dropped, many: u64) {
        let counter = match why {
            Dropped::Short => &self.short,
            Dropped::Response => &self.responses,
            Dropped::Source => &self.source,
            Dropped::Send => &self.send,
        };
        counter.fetch_add(many, Relaxed);
    }

    /// Adds what a thread has counted by itself.
    pub(super) fn add(&self, transport: Transport, tally: &Tally) {
        self.over(transport, tally.rcodes.iter().sum());
        for (counter, many) in self.rcodes.iter().zip(&tally.rcodes).filter(|(_, many)| **many > 0)
        {
            counter.fetch_add(*many, Relaxed);
        }
        if tally.truncated > 0 {
            self.truncated.fetch_add(tally.truncated, Relaxed);
        }
        for (why, many) in &tally.dropped {
            self.dropped_many(*why, *many);
        }
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}
