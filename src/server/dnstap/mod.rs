//! Queries and answers as they were, for whoever records them (dnstap, <https://dnstap.info>). It
//! never holds up an answer: what the reader does not take in time is counted and forgotten.

mod frames;
mod message;
mod sink;

pub use sink::Target;
pub(super) use sink::run;

use super::respond::Transport;
use crate::model::Moment;
use jiff::Timestamp;
use message::Kind;
use serde::Serialize;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::{Notify, mpsc};

/// One record of everything that is asked and answered.
#[derive(Debug)]
pub struct Tap {
    target: Target,
    /// Who we are, in each frame.
    who: Vec<u8>,
    now: fn() -> Moment,
    sheaves: mpsc::Sender<Bundle>,
    coming: Mutex<Option<mpsc::Receiver<Bundle>>>,
    /// Whether somebody takes them.
    open: AtomicBool,
    /// Octets that wait.
    waiting: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    /// That the file is to be opened anew.
    reopen: Notify,
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TapView {
    /// Frames that the reader or the file took.
    pub written: u64,
    /// Frames that were forgotten.
    pub dropped: u64,
}

/// Frames that were made together.
#[derive(Debug)]
struct Bundle {
    octets: Vec<u8>,
    frames: u64,
}

/// Between whom a message goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) transport: Transport,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// Octets that may wait for the reader: some ten thousand queries and their answers.
const WAITING: usize = 8 << 20;
/// Bundles that may wait.
const BUNDLES: usize = 4_096;

impl Tap {
    /// To that target, with our name and version in each frame.
    #[must_use]
    pub fn new(target: Target, identity: &str, version: &str, now: fn() -> Moment) -> Self {
        let (sheaves, coming) = mpsc::channel(BUNDLES);
        Self {
            target,
            who: message::who(identity, version),
            now,
            sheaves,
            coming: Mutex::new(Some(coming)),
            open: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            reopen: Notify::new(),
        }
    }

    /// What became of the frames until now.
    #[must_use]
    pub fn view(&self) -> TapView {
        TapView { written: self.written.load(Relaxed), dropped: self.dropped.load(Relaxed) }
    }

    /// Has the file opened anew, after it was moved away.
    pub fn reopen(&self) {
        self.reopen.notify_one();
    }

    /// Room for frames that are handed on together.
    pub(super) fn sheaf(&self) -> Sheaf<'_> {
        Sheaf { tap: self, octets: Vec::new(), frames: 0, came: (self.now)().wall }
    }

    fn hand_on(&self, bundle: Bundle) {
        let (octets, frames) = (bundle.octets.len(), bundle.frames);
        if frames == 0 {
            return;
        }
        let before = self.waiting.fetch_add(octets, Relaxed);
        if before + octets > WAITING || self.sheaves.try_send(bundle).is_err() {
            self.waiting.fetch_sub(octets, Relaxed);
            self.dropped.fetch_add(frames, Relaxed);
        }
    }

    /// A bundle waits no more: it was written, or not.
    fn took(&self, bundle: &Bundle, written: bool) {
        self.waiting.fetch_sub(bundle.octets.len(), Relaxed);
        let counted = if written { &self.written } else { &self.dropped };
        counted.fetch_add(bundle.frames, Relaxed);
    }

    /// The bundles to write; once.
    fn take_coming(&self) -> Option<mpsc::Receiver<Bundle>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The frames of one batch of messages; handed on when dropped.
pub(super) struct Sheaf<'t> {
    tap: &'t Tap,
    octets: Vec<u8>,
    frames: u64,
    came: Timestamp,
}

impl Sheaf<'_> {
    pub(super) fn query(&mut self, ends: &Ends, query: &[u8]) {
        self.add(Kind::Query, ends, query);
    }

    pub(super) fn answer(&mut self, ends: &Ends, answer: &[u8]) {
        self.add(Kind::Answer((self.tap.now)().wall), ends, answer);
    }

    fn add(&mut self, kind: Kind, ends: &Ends, octets: &[u8]) {
        if !self.tap.open.load(Relaxed) {
            self.tap.dropped.fetch_add(1, Relaxed);
            return;
        }
        let Self { tap, octets: out, came, .. } = self;
        frames::data(out, |out| message::write(out, &tap.who, kind, *came, ends, octets));
        self.frames += 1;
    }
}

impl Drop for Sheaf<'_> {
    fn drop(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        self.tap.hand_on(Bundle { octets, frames: self.frames });
    }
}

/// The record of one connection, where there is one.
#[derive(Clone, Debug)]
pub(super) struct Tapped {
    tap: Arc<Tap>,
    ends: Ends,
}

impl Tapped {
    pub(super) fn new(tap: &Arc<Tap>, ends: Ends) -> Self {
        Self { tap: tap.clone(), ends }
    }

    /// The same for the client whose connection a proxy passes on; its port is not known.
    pub(super) fn from(mut self, client: std::net::IpAddr) -> Self {
        if client != self.ends.client.ip() {
            self.ends.client = SocketAddr::new(client, 0);
        }
        self
    }

    pub(super) fn query(&self, query: &[u8]) {
        self.tap.sheaf().query(&self.ends, query);
    }

    pub(super) fn answer(&self, answer: &[u8]) {
        self.tap.sheaf().answer(&self.ends, answer);
    }

    pub(super) fn both(&self, query: &[u8], answer: &[u8]) {
        let mut sheaf = self.tap.sheaf();
        sheaf.query(&self.ends, query);
        sheaf.answer(&self.ends, answer);
    }
}
