//! A transfer under way: its messages one by one, signed, and its place in the quota.

use super::MOST;
use crate::{
    server::{
        clock::Stamp,
        messages::{Messages, Next},
    },
    transfer::{Event, Expire, Outgoing, Signer, Stats, append_opt},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How many transfers there may be at a time, and are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// One transfer's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// `None` when all are taken.
    pub(super) fn take(&self) -> Option<Place> {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Place(self.taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Given {
    outgoing: Outgoing,
    signer: Option<Signer>,
    /// The first message has an OPT, where the request had one (RFC 6891 §7).
    opt: Option<Expire>,
    whole: bool,
    stats: Arc<Stats>,
    _place: Place,
}

impl Given {
    pub(super) fn new(
        outgoing: Outgoing,
        signer: Option<Signer>,
        opt: Option<Expire>,
        place: Place,
        stats: Arc<Stats>,
    ) -> Self {
        Self { outgoing, signer, opt, whole: false, stats, _place: place }
    }
}

impl Messages for Given {
    fn next(&mut self, at: Stamp, out: &mut Vec<u8>) -> Next {
        if self.outgoing.is_done() {
            return Next::End;
        }
        let room = self.signer.as_ref().map_or(0, Signer::room);
        let room = room + self.opt.map_or(0, Expire::room);
        let Some(message) = self.outgoing.next(MOST - room) else { return Next::Abort };
        *out = message;
        if let Some(expire) = self.opt.take() {
            append_opt(out, expire);
        }
        // Every message is signed: nobody has to keep what is not yet proven.
        if let Some(signer) = &mut self.signer {
            signer.sign(out, at.seconds.into());
        }
        if self.outgoing.is_done() {
            self.whole = true;
        }
        Next::Message
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let event = if self.whole { Event::Given(self.outgoing.kind()) } else { Event::Broken };
        self.stats.count(event);
    }
}
