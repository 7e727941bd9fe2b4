//! One connection (RFC 7766): reads on while answers are written, with a bound on what waits.
//!
//! One task does both. Answers are made as queries come, in their order; what takes many messages
//! (a transfer) gives one whenever little waits, and takes turns with whatever else was asked.

use super::{
    buffers::{Input, Output},
    clients::{Ending, Phase, Seat},
};
use crate::server::{
    Clock, Stats,
    dnstap::Tapped,
    messages::{self, Messages, Next},
    respond::{Answers, Arrival, Reply, respond},
};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that go both ways: TCP, or TLS over it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<W: AsyncRead + AsyncWrite + Unpin + Send> Wire for W {}

/// What a connection works with.
pub(super) struct Connection<'c, A, W> {
    pub(super) wire: W,
    pub(super) answers: &'c A,
    pub(super) arrival: Arrival<'c>,
    pub(super) clock: Clock,
    pub(super) stats: &'c Stats,
    pub(super) tapped: Option<Tapped>,
    pub(super) seat: &'c Seat,
}

/// Serves until the client has closed its side and has all its answers, or the connection has to
/// end; then it is closed, with TLS's goodbye where there is TLS.
///
/// # Errors
/// What the network says.
pub(super) async fn serve<A: Answers, W: Wire>(
    connection: Connection<'_, A, W>,
) -> io::Result<Option<Ending>> {
    let mut exchange = Exchange::new(connection);
    exchange.seat().waits_for(Phase::First);
    let ended = std::future::poll_fn(|cx| exchange.poll(cx)).await;
    // What does not go at once is not waited for.
    let mut wire = exchange.connection.wire;
    std::future::poll_fn(|cx| {
        let _ = Pin::new(&mut wire).poll_shutdown(cx);
        Poll::Ready(())
    })
    .await;
    ended
}

struct Exchange<'c, A, W> {
    connection: Connection<'c, A, W>,
    input: Input,
    output: Output,
    /// An answer, before it is put behind the others.
    scratch: Vec<u8>,
    transfers: VecDeque<Box<dyn Messages>>,
    /// There was a message.
    greeted: bool,
    /// There was one since the seat was last noted.
    fresh: bool,
    /// What is noted at the seat.
    phase: Phase,
    /// Nothing more is read: the client has closed its side, or is not understood.
    done: bool,
    /// Nothing more is answered.
    broken: bool,
}

impl<'c, A: Answers, W: Wire> Exchange<'c, A, W> {
    fn new(connection: Connection<'c, A, W>) -> Self {
        Self {
            connection,
            input: Input::default(),
            output: Output::default(),
            scratch: Vec::new(),
            transfers: VecDeque::new(),
            greeted: false,
            fresh: false,
            phase: Phase::First,
            done: false,
            broken: false,
        }
    }

    fn seat(&self) -> &'c Seat {
        self.connection.seat
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Ending>>> {
        match self.seat().poll_ended(cx) {
            Poll::Pending => {}
            // What was read is still answered.
            Poll::Ready(Ending::Orderly) => self.done = true,
            Poll::Ready(ending) => return Poll::Ready(Ok(Some(ending))),
        }
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.note();
                    return Poll::Pending;
                }
            }
        }
        // Others have their turn.
        self.note();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Answers what has come, writes what can be written, reads what there is; `false` when all is
    /// done, and pending when there is nothing to do before something happens.
    fn round(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.answer();
        self.pull();
        let flushed = match self.write(cx) {
            Poll::Ready(written) => written.map(|()| true)?,
            Poll::Pending => false,
        };
        if flushed && (self.broken || self.done && self.has_all()) {
            return Poll::Ready(Ok(false));
        }
        if flushed && self.has_more() {
            return Poll::Ready(Ok(true));
        }
        if self.done || !self.has_room() {
            return Poll::Pending;
        }
        ready!(self.read(cx))?;
        Poll::Ready(Ok(true))
    }

    /// Answers the messages that have come, as long as there is room for answers.
    fn answer(&mut self) {
        if self.has_more() {
            self.connection.arrival.at = self.connection.clock.read();
            self.connection.arrival.idle = self.seat().idle();
        }
        while self.has_room() && !self.broken {
            match self.input.message() {
                Ok(Some(message)) => {
                    let end = message.end;
                    self.answer_one(message);
                    self.input.past(end);
                }
                Ok(None) => return,
                Err(_) => self.give_up(),
            }
        }
    }

    fn answer_one(&mut self, message: std::ops::Range<usize>) {
        let Connection { answers, arrival, stats, tapped, seat, .. } = &self.connection;
        let packet = self.input.octets(message);
        (self.greeted, self.fresh) = (true, true);
        seat.touch();
        if let Some(transfer) = messages::begin(*answers, packet, arrival, stats) {
            self.transfers.push_back(transfer);
            tapped.iter().for_each(|own| own.query(packet));
            return;
        }
        match respond(*answers, packet, arrival, &mut self.scratch) {
            Reply::Drop(why) => {
                stats.dropped(why);
                tapped.iter().for_each(|own| own.query(packet));
                self.give_up();
            }
            Reply::Send { rcode, truncated, notes } => {
                stats.answered(arrival.transport, rcode, truncated);
                stats.noted(&notes);
                tapped.iter().for_each(|own| own.both(packet, &self.scratch));
                self.output.add(&self.scratch);
                self.scratch.shrink_to(KEPT_SCRATCH);
            }
        }
    }

    /// The client is not understood: it gets the answers that are due, and no more.
    fn give_up(&mut self) {
        (self.done, self.broken) = (true, true);
        self.transfers.clear();
    }

    /// The next messages of transfers, in turns, as long as little waits.
    fn pull(&mut self) {
        while self.output.octets().len() < LITTLE
            && let Some(mut transfer) = self.transfers.pop_front()
        {
            self.scratch.clear();
            match transfer.next(self.connection.arrival.at, &mut self.scratch) {
                Next::Message => {
                    self.count_transferred();
                    self.output.add(&self.scratch);
                    self.transfers.push_back(transfer);
                }
                Next::End => {}
                Next::Abort => self.give_up(),
            }
            self.scratch.shrink_to(KEPT_SCRATCH);
        }
    }

    fn count_transferred(&self) {
        let Connection { arrival, stats, tapped, seat, .. } = &self.connection;
        tapped.iter().for_each(|own| own.answer(&self.scratch));
        let rcode = self.scratch.get(3).map_or(0, |octet| u16::from(octet & 0x0f));
        stats.answered(arrival.transport, rcode, false);
        seat.touch();
    }

    /// Ready when everything has gone.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.octets().is_empty() {
            let wire = Pin::new(&mut self.connection.wire);
            match ready!(wire.poll_write(cx, self.output.octets()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                octets => self.output.taken(octets),
            }
        }
        Pin::new(&mut self.connection.wire).poll_flush(cx)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = ReadBuf::new(self.input.room());
        ready!(Pin::new(&mut self.connection.wire).poll_read(cx, &mut room))?;
        let octets = room.filled().len();
        self.input.came(octets);
        self.done |= octets == 0;
        Poll::Ready(Ok(()))
    }

    /// Whether one more answer may wait.
    fn has_room(&self) -> bool {
        self.output.messages() + self.transfers.len() < self.seat().limits().in_flight
            && self.output.octets().len() < self.seat().much()
    }

    fn has_more(&self) -> bool {
        !self.transfers.is_empty() || !matches!(self.input.message(), Ok(None))
    }

    fn has_all(&self) -> bool {
        self.output.octets().is_empty() && !self.has_more()
    }

    /// Notes what the connection waits for, where that changed.
    fn note(&mut self) {
        let owes = !self.output.octets().is_empty() || !self.transfers.is_empty();
        let phase = match (self.greeted, self.input.is_partial()) {
            _ if owes || self.done => Phase::Busy,
            (false, false) => Phase::First,
            (false, true) => Phase::FirstRest,
            (true, true) => Phase::Rest,
            (true, false) => Phase::Idle,
        };
        // What waits for a message, or the rest of one, begins anew with each; all others go on.
        let renewed = self.fresh && matches!(phase, Phase::Idle | Phase::Rest);
        if renewed || phase != self.phase {
            (self.phase, self.fresh) = (phase, false);
            self.seat().waits_for(phase);
        }
    }
}

/// Rounds before other tasks have their turn: each reads some thousand octets at most.
const ROUNDS: usize = 16;
/// While no more than this waits, transfers give their next message.
const LITTLE: usize = 16_384;
/// What is kept for one answer.
const KEPT_SCRATCH: usize = 1_232;
