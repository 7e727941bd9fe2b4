//! The scheduler: starts what is due, at most so much at once, and passes on what came of it.

use super::{
    Guard, Stats,
    attempt::attempt,
    schedule::{Due, Id, Pace, Schedule},
    tls::Trust,
};
use crate::{
    health::{Failure, Outcome, Target},
    model::Moment,
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

/// How a prober works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Checks under way at most; each holds a socket and a few kilobytes. [`Settings::CONCURRENCY`]
    /// unless said otherwise.
    pub concurrency: usize,
    /// What may be checked.
    pub guard: Guard,
    /// Where in its interval a target is checked hangs on it, so observers should have their own.
    pub seed: u64,
    /// Reads the clock.
    pub clock: fn() -> Moment,
}

impl Settings {
    /// Enough for 10,000 targets at 10 s of which every second one lets its 3 s pass.
    pub const CONCURRENCY: usize = 2_048;

    /// What is said unless the operator says otherwise.
    #[must_use]
    pub fn new(clock: fn() -> Moment) -> Self {
        Self { concurrency: Self::CONCURRENCY, guard: Guard::default(), seed: 0, clock }
    }
}

/// Checks what is wanted until shut down, or until nobody takes outcomes any more; when it
/// returns, no check is under way.
///
/// The wanted set may change at any time: targets that stay keep their time, and nothing is told
/// of targets that went. Outcomes wait for their receiver, and further checks wait for them.
pub async fn run(
    settings: Settings,
    wanted: watch::Receiver<Arc<BTreeSet<Target>>>,
    outcomes: mpsc::Sender<Outcome>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) {
    let mut prober = Prober {
        schedule: Schedule::new(settings.seed),
        trust: Arc::new(Trust::new()),
        checks: JoinSet::new(),
        settings,
        outcomes,
        stats,
    };
    shutdown.run_until_cancelled(prober.work(wanted)).await;
    prober.checks.shutdown().await;
    prober.stats.at_work(0, 0, Duration::ZERO);
}

struct Prober {
    settings: Settings,
    schedule: Schedule,
    trust: Arc<Trust>,
    checks: JoinSet<(Id, Outcome)>,
    outcomes: mpsc::Sender<Outcome>,
    stats: Arc<Stats>,
}

/// Nobody takes outcomes any more.
struct Unheard;

impl Prober {
    async fn work(&mut self, mut wanted: watch::Receiver<Arc<BTreeSet<Target>>>) {
        self.want(&mut wanted);
        while self.turn(&mut wanted).await.is_ok() {}
    }

    /// Starts what is due, then waits for something to happen.
    async fn turn(
        &mut self,
        wanted: &mut watch::Receiver<Arc<BTreeSet<Target>>>,
    ) -> Result<(), Unheard> {
        let from = self.now();
        self.start_due(from).await?;
        let next = self.schedule.next().map(|due| due.max(from + GRAIN));
        let room = self.checks.len() < self.settings.concurrency.max(1);
        tokio::select! {
            Some(ended) = self.checks.join_next() => {
                self.ended(ended.ok()).await?;
                while let Some(ended) = self.checks.try_join_next() {
                    self.ended(ended.ok()).await?;
                }
            }
            // Once the other end is gone, the last word counts.
            Ok(()) = wanted.changed() => self.want(wanted),
            () = sleep_until(next.unwrap_or(from).into()), if room && next.is_some() => {}
            // Nothing is wanted, and nothing ever will be.
            () = self.outcomes.closed() => return Err(Unheard),
        }
        Ok(())
    }

    fn want(&mut self, wanted: &mut watch::Receiver<Arc<BTreeSet<Target>>>) {
        let wanted = wanted.borrow_and_update().clone();
        self.schedule.want(self.now(), &wanted);
        self.trust.keep_only(&wanted);
    }

    async fn start_due(&mut self, at: Instant) -> Result<(), Unheard> {
        let mut lag = Duration::ZERO;
        while self.checks.len() < self.settings.concurrency.max(1) {
            let Some(due) = self.schedule.start(at) else { break };
            lag = lag.max(due.late);
            self.start(due).await?;
        }
        let waiting = self.schedule.next().map(|due| at.saturating_duration_since(due));
        let lag = lag.max(waiting.unwrap_or_default());
        self.stats.at_work(self.schedule.len(), self.checks.len(), lag);
        Ok(())
    }

    async fn start(&mut self, Due { id, target, .. }: Due) -> Result<(), Unheard> {
        let port = target.check.port;
        if let Err(refused) = self.settings.guard.check(target.address, port) {
            let result = Err(Failure::Blocked(refused.to_string()));
            return self.tell(id, outcome(target, Duration::ZERO, result)).await;
        }
        let (trust, clock) = (self.trust.clone(), self.settings.clock);
        self.checks.spawn(async move {
            let from = clock().mono;
            let result = attempt(&target, &trust).await;
            let took = clock().mono.saturating_duration_since(from);
            (id, outcome(target, took, result))
        });
        Ok(())
    }

    /// A check that was lost starts again after its time; the schedule sees to that.
    async fn ended(&mut self, ended: Option<(Id, Outcome)>) -> Result<(), Unheard> {
        match ended {
            Some((id, outcome)) => self.tell(id, outcome).await,
            None => Ok(()),
        }
    }

    async fn tell(&mut self, id: Id, outcome: Outcome) -> Result<(), Unheard> {
        self.stats.ended(&outcome.target.check.protocol, &outcome.result);
        if !self.schedule.finish(self.now(), id, pace(&outcome.result)) {
            return Ok(());
        }
        self.outcomes.send(outcome).await.map_err(|_| Unheard)
    }

    fn now(&self) -> Instant {
        (self.settings.clock)().mono
    }
}

fn outcome(target: Target, took: Duration, result: Result<Option<Timestamp>, Failure>) -> Outcome {
    let expires = result.as_ref().ok().copied().flatten();
    Outcome { target, took, result: result.map(|_| ()), expires }
}

fn pace(result: &Result<(), Failure>) -> Pace {
    match result {
        Ok(()) => Pace::Usual,
        Err(Failure::Blocked(_)) => Pace::Rare,
        Err(_) => Pace::Soon,
    }
}

/// Checks that are due within so much time start together: waking costs more than a check.
const GRAIN: Duration = Duration::from_millis(5);
