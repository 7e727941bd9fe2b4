//! A connection without a network, for those who try what pieces its octets may come in
//! (`tests/fuzz/`): the code that serves a socket, on a script in place of one.

use super::{
    clients::Clients,
    connection::{self, Connection},
    limits::Limits,
};
use crate::server::{
    Clock, Stats,
    respond::{Answers, Arrival},
};
use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Serves a connection on which these pieces come, one at a time, before the client closes its
/// side; of what is written, it takes at most `gulp` octets at a time. Gives all that was written;
/// `None` where the connection had not ended when nothing was left to happen.
#[must_use]
pub fn rehearse<A: Answers>(
    answers: &A,
    arrival: Arrival<'_>,
    pieces: &[&[u8]],
    gulp: usize,
) -> Option<Vec<u8>> {
    let seat = Clients::new(Limits::default(), CancellationToken::new()).seat(None)?;
    let (stats, mut written) = (Stats::default(), Vec::new());
    let script = Script { now: &[], pieces, gulp: gulp.max(1), full: false, written: &mut written };
    let clock = Clock::default();
    let connection = Connection {
        wire: script,
        answers,
        arrival,
        clock,
        stats: &stats,
        tapped: None,
        seat: &seat,
    };
    let ended = runs_out(connection::serve(connection), pieces);
    ended.then_some(written)
}

/// Whether it ends within as many turns as there can be reasons for.
fn runs_out(serving: impl Future, pieces: &[&[u8]]) -> bool {
    let mut serving = pin!(serving);
    let mut cx = Context::from_waker(Waker::noop());
    let octets: usize = pieces.iter().map(|piece| piece.len()).sum();
    // Each piece and each message is a reason, and each gulp of an answer of 64 KiB at most.
    let most = 16 + 2 * pieces.len() + (octets / 14 + 1) * 2 * 65_537;
    (0..most).any(|_| serving.as_mut().poll(&mut cx).is_ready())
}

/// What comes, and room for what goes. Before each piece and each gulp it is not
/// ready once.
struct Script<'s> {
    /// What is left of the piece that is there.
    now: &'s [u8],
    pieces: &'s [&'s [u8]],
    gulp: usize,
    full: bool,
    written: &'s mut Vec<u8>,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.now.is_empty() {
            let Some((piece, rest)) = self.pieces.split_first() else { return Poll::Ready(Ok(())) };
            (self.now, self.pieces) = (piece, rest);
            return Poll::Pending;
        }
        let (read, left) = self.now.split_at(self.now.len().min(room.remaining()));
        room.put_slice(read);
        self.now = left;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.full = !self.full;
        if self.full {
            return Poll::Pending;
        }
        let taken = octets.len().min(self.gulp);
        self.written.extend_from_slice(&octets[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
