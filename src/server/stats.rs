//! What was asked and answered, as counters that any thread may raise.

use super::{
    dnstap::TapView,
    guard::Notes,
    noted::{self, Noted},
    respond::Transport,
    stream::Ending,
};
use crate::{model::Name, records::Led};
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
    /// From a proxy, and without a header that says whose it is.
    Unproxied,
    /// The socket took no more.
    Send,
    /// Answers to its address came too fast.
    Limited,
    /// It breaks the transport's protocol: the connection is to be closed with an error
    /// (RFC 9250 §4.3.3).
    Protocol,
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
    limited: AtomicU64,
    protocol: AtomicU64,
    noted: Noted,
    refused: AtomicU64,
    overdue: AtomicU64,
    slowed: AtomicU64,
    unproxied: AtomicU64,
    datagrams_unproxied: AtomicU64,
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
    /// Answers that the rate limiter held back.
    pub limited: u64,
    /// Messages that broke their transport's protocol.
    pub protocol: u64,
    /// Queries with a good cookie, a bad one, and a client's alone.
    pub cookies: CookieCounts,
    /// Answers that the rate limiter sent empty, with TC or BADCOOKIE.
    pub slipped: u64,
    /// Answers that the rate limiter would have held back or sent empty, but only counts.
    pub spared: u64,
    /// Answers by extended error's number (RFC 8914), where there is any.
    pub extended: Vec<(u16, u64)>,
    /// Answers by whom they lead to, where there is any.
    pub led: Vec<(Led, u64)>,
    /// Answers by the number of their zone ([`Compiled::zone`](super::Compiled::zone)).
    pub zones: Vec<(u16, u64)>,
    /// The same by the zone's name, where whoever reads the counters has put it.
    pub by_zone: Vec<(Name, u64)>,
    /// Answers by the type asked for; those above 255 are `other`.
    pub types: Vec<(String, u64)>,
    /// Connections that were turned away or closed because others need their place.
    pub refused: u64,
    /// Connections that were closed because their time was up.
    pub overdue: u64,
    /// Times that a connection had to wait, since its client had used up its time.
    pub slowed: u64,
    /// Connections of proxies that did not begin with a header (PROXY protocol).
    pub unproxied: u64,
    /// Datagrams of proxies that did not.
    pub datagrams_unproxied: u64,
    /// Connections whose handshake (TLS, QUIC) failed.
    pub unshaken: u64,
    /// Connections that are open.
    pub open: u64,
    /// What became of dnstap's frames, where it is on.
    pub tap: Option<TapView>,
}

/// Queries by what their cookies were worth.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct CookieCounts {
    /// One of ours.
    pub good: u64,
    /// Of another time, secret or address, or made up.
    pub bad: u64,
    /// A client's, that had none of ours.
    pub new: u64,
}

/// What one thread has counted since it last told: threads that raised the same counters for
/// each query would wait for one another.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    rcodes: [u64; RCODES],
    truncated: u64,
    dropped: SmallVec<[(Dropped, u64); 4]>,
    noted: noted::Tally,
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

    pub(super) fn noted(&mut self, notes: &Notes) {
        self.noted.note(notes);
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
        let view = StatsView {
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
            limited: self.limited.load(Relaxed),
            protocol: self.protocol.load(Relaxed),
            refused: self.refused.load(Relaxed),
            overdue: self.overdue.load(Relaxed),
            slowed: self.slowed.load(Relaxed),
            unproxied: self.unproxied.load(Relaxed),
            datagrams_unproxied: self.datagrams_unproxied.load(Relaxed),
            unshaken: self.unshaken.load(Relaxed),
            open: self.open.load(Relaxed),
            ..StatsView::default()
        };
        self.noted.view(view)
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

    pub(super) fn noted(&self, notes: &Notes) {
        let mut tally = noted::Tally::default();
        tally.note(notes);
        self.noted.add(&tally);
    }

    pub(super) fn dropped(&self, why: Dropped) {
        self.dropped_many(why, 1);
    }

    fn dropped_many(&self, why: Dropped, many: u64) {
        let counter = match why {
            Dropped::Short => &self.short,
            Dropped::Response => &self.responses,
            Dropped::Source => &self.source,
            Dropped::Unproxied => &self.datagrams_unproxied,
            Dropped::Send => &self.send,
            Dropped::Limited => &self.limited,
            Dropped::Protocol => &self.protocol,
        };
        counter.fetch_add(many, Relaxed);
    }

    /// Adds what a thread has counted by itself.
    pub(super) fn add(&self, transport: Transport, tally: &Tally) {
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
        self.noted.add(&tally.noted);
        // Last, so that who sees the query sees what became of it.
        self.over(transport, tally.rcodes.iter().sum());
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn slowed(&self) {
        self.slowed.fetch_add(1, Relaxed);
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
