//! Signing all of a large zone, which takes seconds: in a thread, so that the one that owns the fleet
//! goes on meanwhile.

use crate::records::Zone;
use std::{sync::Arc, thread};

/// A zone that is being signed.
pub(super) struct Job {
    /// As it came.
    pub(super) source: Arc<Zone>,
    thread: thread::JoinHandle<Option<Zone>>,
}

impl Job {
    /// A job that is dropped ends by itself, and what comes of it is lost.
    pub(super) fn start(
        source: Arc<Zone>,
        sign: impl FnOnce() -> Option<Zone> + Send + 'static,
    ) -> Self {
        Self { source, thread: thread::spawn(sign) }
    }

    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// What came of it; `None` when a key could not sign. Waits for the end.
    pub(super) fn end(self) -> Option<Zone> {
        self.thread.join().ok().flatten()
    }
}
