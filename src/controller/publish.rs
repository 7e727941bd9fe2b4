//! The published snapshot: one writer, readers that never wait.

use crate::{
    fleet::Snapshot,
    model::{Moment, Name},
    records::{Answer, Client, Question},
    server::{Answers, Arrival, Compiled, Compiler, Messages, Transfers},
};
use arc_swap::ArcSwap;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
};

/// The snapshot in force, with the answers that are put together from it.
#[derive(Debug)]
pub struct Published {
    state: ArcSwap<State>,
    /// Keeps two writers apart.
    writing: Mutex<()>,
    /// Taken before `writing`, or tried.
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
            writing: Mutex::default(),
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

    /// Nothing put together, for the time until it is.
    fn without_answers(&self) -> Compiled {
        self.state.load().compiled.without_answers()
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
    /// Where many names changed, it is in force at once and a thread puts its answers together:
    /// until then they are decided for each query.
    pub fn store(self: &Arc<Self>, snapshot: Arc<Snapshot>) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshot.generation < self.state.load().snapshot.generation {
            return;
        }
        self.transfers.publish(&snapshot.served);
        let (compiled, is_behind) = match self.free_compiler() {
            Some(mut compiler) if !compiler.is_long_work(&snapshot.served) => {
                (compiler.update(&snapshot.served), false)
            }
            Some(_) => (self.without_answers(), true),
            // Who has it sees that there is something newer once he is done.
            None => (self.without_answers(), false),
        };
        self.state.store(Arc::new(State { snapshot, compiled: Arc::new(compiled) }));
        drop(writing);
        if is_behind {
            let own = self.clone();
            let catch_up = move || own.catch_up();
            if thread::Builder::new().name("answers".to_owned()).spawn(catch_up).is_err() {
                self.catch_up();
            }
        }
    }

    /// The compiler, if nobody has it; one that somebody broke begins anew.
    fn free_compiler(&self) -> Option<MutexGuard<'_, Compiler>> {
        match self.compiler.try_lock() {
            Ok(compiler) => Some(compiler),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(broken)) => Some(self.anew(broken)),
        }
    }

    fn anew<'c>(&self, broken: PoisonError<MutexGuard<'c, Compiler>>) -> MutexGuard<'c, Compiler> {
        self.compiler.clear_poison();
        let mut compiler = broken.into_inner();
        *compiler = Compiler::after(&self.state.load().compiled);
        compiler
    }

    /// Puts the answers of the snapshot in force together, and of the one that came meanwhile.
    fn catch_up(&self) {
        let mut compiler = self.compiler.lock().unwrap_or_else(|broken| self.anew(broken));
        loop {
            let snapshot = self.load();
            let compiled = Arc::new(compiler.update(&snapshot.served));
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&self.state.load().snapshot, &snapshot) {
                self.state.store(Arc::new(State { snapshot, compiled }));
                // Let go of before `writing`, so that the next writer finds it free.
                drop(compiler);
                return;
            }
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
        let state = self.state.load();
        state.snapshot.served.answer(question, client, encode)
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
