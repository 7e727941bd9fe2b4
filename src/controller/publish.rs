//! The published snapshot: one writer, readers that never wait.

use crate::{
    fleet::Snapshot,
    model::{Moment, Name},
    records::{self, Answer, Client, Question},
    server::{Answers, Arrival, Compiled, Compiler, Messages, Transfers},
};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

/// The snapshot in force, with the answers that are put together from it.
#[derive(Debug)]
pub struct Published {
    state: ArcSwap<State>,
    /// Also keeps two writers apart.
    compiler: Mutex<Compiler>,
    transfers: Arc<Transfers>,
}

#[derive(Clone, Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    compiled: Arc<Compiled>,
}

impl Published {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        let snapshot = Arc::new(Snapshot::empty(at.wall));
        let state = State { snapshot, compiled: Arc::default() };
        Self {
            state: ArcSwap::from_pointee(state),
            compiler: Mutex::default(),
            transfers: Arc::default(),
        }
    }

    /// With those who give zones out.
    #[must_use]
    pub fn with(self, transfers: Arc<Transfers>) -> Self {
        Self { transfers, ..self }
    }

    /// The snapshot in force.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.state.load().snapshot.clone()
    }

    /// What is counted by the numbers of zones, by their names.
    #[must_use]
    pub fn named(&self, numbers: &[(u16, u64)]) -> Vec<(Name, u64)> {
        let state = self.state.load();
        let name =
            |(number, count): &(u16, u64)| Some((state.compiled.zone(*number)?.clone(), *count));
        numbers.iter().filter_map(name).collect()
    }

    /// Puts a snapshot in force; an older one never takes a newer one's place (invariant I2).
    ///
    /// Where many names changed, it is in force at once and its answers are put together behind
    /// it: until then they are decided for each query.
    pub fn store(&self, snapshot: Arc<Snapshot>) {
        let mut compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshot.generation < self.state.load().snapshot.generation {
            return;
        }
        self.transfers.publish(&snapshot.served);
        if compiler.is_long_work(&snapshot.served) {
            let compiled = Arc::new(self.state.load().compiled.without_answers());
            self.state.store(Arc::new(State { snapshot: snapshot.clone(), compiled }));
        }
        let compiled = Arc::new(compiler.update(&snapshot.served));
        self.state.store(Arc::new(State { snapshot, compiled }));
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
        let state = self.state.load();
        encode(&records::lookup(&state.snapshot.served, question, client))
    }

    fn compiled(&self) -> Arc<Compiled> {
        self.state.load().compiled.clone()
    }

    fn transfer(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        self.transfers.open(packet, arrival)
    }

    fn transfers(&self) -> Option<&Transfers> {
        Some(&self.transfers)
    }
}
