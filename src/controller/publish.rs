//! The published snapshot: one writer, readers that never wait.

use crate::{
    fleet::Snapshot,
    model::Moment,
    records::{self, Answer, Client, Question},
    server::Answers,
};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The snapshot in force.
#[derive(Debug)]
pub struct Published(ArcSwap<Snapshot>);

impl Published {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        Self(ArcSwap::from_pointee(Snapshot::empty(at.wall)))
    }

    /// The snapshot in force.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts a snapshot in force; an older one never takes a newer one's place (invariant I2).
    pub fn store(&self, snapshot: Arc<Snapshot>) {
        if snapshot.generation >= self.0.load().generation {
            self.0.store(snapshot);
        }
    }
}

/// The server's answers: one load per query, so that an answer is wholly from one generation.
impl Answers for Published {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        let snapshot = self.0.load();
        encode(&records::lookup(&snapshot.served, question, client))
    }
}
