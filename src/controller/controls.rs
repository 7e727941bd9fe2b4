//! What a running process is told from outside, as by signals: to read its files again, and that it
//! will end soon.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::watch;

/// Both may be told from any task, any number of times.
#[derive(Clone, Debug)]
pub struct Controls {
    reloads: watch::Sender<u64>,
    draining: Arc<AtomicBool>,
}

impl Controls {
    pub(super) fn new() -> Self {
        Self { reloads: watch::Sender::new(0), draining: Arc::default() }
    }

    /// Has configuration, certificates and secrets read again, whether or not they seem changed.
    pub fn reload(&self) {
        self.reloads.send_modify(|count| *count += 1);
    }

    /// Ends readiness, so that clients are sent elsewhere; everything else goes on.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Says when files are to be read again.
    pub(super) fn reloads(&self) -> Reloads {
        Reloads(self.reloads.subscribe())
    }
}

/// One listener's side of it.
#[derive(Debug)]
pub(super) struct Reloads(watch::Receiver<u64>);

impl Reloads {
    /// Ends when files are to be read again; nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
