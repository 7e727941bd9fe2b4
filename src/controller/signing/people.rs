//! What people are told of signing: how far it has come, and what keys do.

use crate::dnssec::{Track, Turn};
use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// A thread that says twice a second how far something has come.
pub(super) struct Watch {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread ends when the sender is gone.
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    pub(super) fn start(say: impl Fn() + Send + 'static) -> Self {
        let (end, ended) = channel::<()>();
        let every = Duration::from_millis(500);
        let thread = thread::spawn(move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

/// As in `ksk Ready, zsk Active`.
pub(super) fn state(ksk: Option<Track>, zsk: Option<Track>) -> String {
    let one =
        |name: &str, track: Option<Track>| track.map(|track| format!("{name} {:?}", track.stage));
    let all = [one("ksk", ksk), one("zsk", zsk)];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A step that a key took.
pub(super) fn said(turn: Turn) -> String {
    match turn {
        Turn::Published(tag) => {
            format!("every cache has signatures of key {tag}: it is published from now on")
        }
        Turn::Withdrawn(tag) => {
            format!("key {tag} is no longer published, and signs until no cache has it")
        }
        Turn::Ready(tag) => format!(
            "every cache knows key {tag}: put its DS at the parent, then say `meridian dnssec roll \
             --ds-seen {tag}`"
        ),
        Turn::Signs(tag) => format!("key {tag} signs from now on"),
        Turn::Gone(tag) => format!("key {tag} is no longer published"),
    }
}
