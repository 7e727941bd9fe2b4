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
        Self { concurrency: Self::CONCURRENCY, seed: 0, clock }
    }
}

/// What is to be checked, and what may be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Each is checked in its own interval.
    pub targets: Arc<BTreeSet<Target>>,
    /// Those that it refuses are told as blocked, and nothing is sent to them.
    pub guard: Guard,
}

/// Checks what is wanted until shut down, or until nobody takes outcomes any more; when it
/// returns, no check is under way.
///
/// The wanted set may change at any time: targets that stay keep their time, and nothing is told
/// of targets that went. Outcomes wait for their receiver, and further checks wait for them.
pub async fn run(
    settings: Settings,
    wanted: watch::Receiver<Wanted>,
    outcomes: mpsc::Sender<Outcome>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) {
    let mut prober = Prober {
        schedule: Schedule::new(settings.seed),
        trust: Arc::new(Trust::new()),
        checks: JoinSet::new(),
        settings,
        guard: Guard::default(),
        outcomes,
        stats,
    };
    shutdown.run_until_cancelled(prober.work(wanted)).await;
    prober.checks.shutdown().await;
    prober.stats.at_work(0, 0, Duration::ZERO);
}

struct Prober {
    settings: Settings,
    guard: Guard,
    schedule: Schedule,
    trust: Arc<Trust>,
    checks: JoinSet<(Id, Outcome)>,
    outcomes: mpsc::Sender<Outcome>,
    stats: Arc<Stats>,
}

/// Nobody takes outcomes any more.
struct Unheard;

impl Prober {
    async fn work(&mut self, mut wanted: watch::Receiver<Wanted>) {
        self.want(&mut wanted);
        while self.turn(&mut wanted).await.is_ok() {}
    }

    /// Starts what is due, then waits for something to happen.
    async fn turn(&mut self, wanted: &mut watch::Receiver<Wanted>) -> Result<(), Unheard> {
        let from = self.now();
        self.start_due(from).await?;
        // Without room there is nothing to start, but the lag grows and has to be told.
        let pause = if self.has_room() { GRAIN } else { LAG_TOLD };
        let next = self.schedule.next().map(|due| due.max(from + pause));
        tokio::select! {
            Some(ended) = self.checks.join_next() => {
                self.ended(ended.ok()).await?;
                while let Some(ended) = self.checks.try_join_next() {
                    self.ended(ended.ok()).await?;
                }
            }
            // Once the other end is gone, the last word counts.
            Ok(()) = wanted.changed() => self.want(wanted),
            () = sleep_until(next.unwrap_or(from).into()), if next.is_some() => {}
            // Nothing is wanted, and nothing ever will be.
            () = self.outcomes.closed() => return Err(Unheard),
        }
        Ok(())
    }

    fn want(&mut self, wanted: &mut watch::Receiver<Wanted>) {
        let Wanted { targets, guard } = wanted.borrow_and_update().clone();
        self.guard = guard;
        self.schedule.want(self.now(), &targets);
        self.trust.keep_only(&targets);
    }

    async fn start_due(&mut self, at: Instant) -> Result<(), Unheard> {
        let mut lag = Duration::ZERO;
        while self.has_room() {
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
        if let Err(refused) = self.guard.check(target.address, port) {
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

    fn has_room(&self) -> bool {
        self.checks.len() < self.settings.concurrency.max(1)
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
/// Between two tellings of the lag while no check can start.
const LAG_TOLD: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::{Check, Protocol},
        probe::{
            StatsView,
            tests::{keep_silent, nobody, serve, target},
        },
    };
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };
    use tokio::{io::AsyncReadExt, sync::Notify, task::yield_now, time::timeout};
    use tokio_util::task::TaskTracker;

    /// A prober at work.
    struct Story {
        wanted: watch::Sender<Wanted>,
        outcomes: mpsc::Receiver<Outcome>,
        stats: Arc<Stats>,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    }

    #[allow(clippy::disallowed_methods)] // the clock of the tests
    fn clock() -> Moment {
        Moment { mono: Instant::now(), wall: Timestamp::now() }
    }

    fn settings() -> Settings {
        Settings::new(clock)
    }

    fn wanted(targets: impl IntoIterator<Item = Target>) -> Wanted {
        let guard = Guard { allow_loopback: true, ..Guard::default() };
        Wanted { targets: Arc::new(targets.into_iter().collect()), guard }
    }

    impl Story {
        fn start(settings: Settings, targets: impl IntoIterator<Item = Target>) -> Self {
            Self::want_first(settings, wanted(targets))
        }

        fn want_first(settings: Settings, wanted: Wanted) -> Self {
            let (wanted, watched) = watch::channel(wanted);
            let (sender, outcomes) = mpsc::channel(16);
            let (stats, shutdown) = (Arc::new(Stats::default()), CancellationToken::new());
            let tasks = TaskTracker::new();
            tasks.spawn(run(settings, watched, sender, stats.clone(), shutdown.clone()));
            tasks.close();
            Self { wanted, outcomes, stats, shutdown, tasks }
        }

        fn want(&self, targets: impl IntoIterator<Item = Target>) {
            self.wanted.send_replace(wanted(targets));
        }

        async fn next(&mut self) -> Outcome {
            patiently(self.outcomes.recv()).await.unwrap()
        }

        async fn until(&self, condition: impl Fn(&StatsView) -> bool) {
            let waited = async {
                while !condition(&self.stats.view()) {
                    yield_now().await;
                }
            };
            patiently(waited).await;
        }
    }

    async fn patiently<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(20), future).await.expect("this takes too long")
    }

    /// Checked every 20 ms.
    fn quick(to: SocketAddr) -> Target {
        let mut target = target(to, Protocol::Tcp);
        let mut check = Check::clone(&target.check);
        (check.interval, check.timeout) = (Duration::from_millis(20), Duration::from_secs(5));
        target.check = Arc::new(check);
        target
    }

    #[tokio::test]
    async fn what_is_wanted_is_checked_again_and_again() {
        let (good, bad) = (quick(keep_silent()), quick(nobody()));
        let mut story = Story::start(settings(), [good.clone(), bad.clone()]);
        let (mut successes, mut failures) = (0, 0);
        while successes < 3 || failures < 3 {
            let outcome = story.next().await;
            assert_eq!(outcome.result.is_ok(), outcome.target == good, "{outcome:?}");
            successes += usize::from(outcome.target == good);
            failures += usize::from(outcome.target == bad);
        }
        let view = story.stats.view();
        let count = |result| {
            let found =
                view.checks.iter().find(|row| (row.protocol, row.result) == ("tcp", result));
            found.unwrap().count
        };
        assert!(count("ok") >= 3 && count("connect") >= 3 && view.targets == 2, "{view:?}");
    }

    #[tokio::test]
    async fn what_is_wanted_no_more_is_checked_no_more() {
        let (one, other) = (quick(keep_silent()), quick(keep_silent()));
        let mut story = Story::start(settings(), [one.clone()]);
        assert_eq!(story.next().await.target, one);
        story.want([other.clone()]);
        while story.next().await.target != other {}
        for _ in 0..5 {
            assert_eq!(story.next().await.target, other);
        }
        story.want([]);
        story.until(|view| view.targets == 0 && view.running == 0).await;
        while story.outcomes.try_recv().is_ok() {}
        story.want([one.clone()]);
        assert_eq!(story.next().await.target, one);
    }

    #[tokio::test]
    async fn a_target_that_may_not_be_checked_is_told_once_and_never_connected_to() {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let to = serve(move |_| {
            counter.fetch_add(1, SeqCst);
            async {}
        });
        let strict = |targets: [Target; 1]| Wanted {
            targets: Arc::new(targets.into()),
            guard: Guard::default(),
        };
        let mut story = Story::want_first(settings(), strict([quick(to)]));
        let outcome = story.next().await;
        assert!(matches!(&outcome.result, Err(Failure::Blocked(why)) if why.contains("loopback")));
        // Another target that is told of shows that time has passed.
        let blocked = Target { address: "10.0.0.1".parse().unwrap(), ..quick(to) };
        story.wanted.send_replace(strict([blocked.clone()]));
        assert_eq!(story.next().await.target, blocked);
        assert!(story.outcomes.try_recv().is_err());
        assert_eq!(connections.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn no_more_checks_run_than_allowed_and_the_lag_is_told() {
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let release = Arc::new(Notify::new());
        let (counter, peak, gate) = (open.clone(), most.clone(), release.clone());
        let to = serve(move |mut stream| {
            peak.fetch_max(counter.fetch_add(1, SeqCst) + 1, SeqCst);
            let (counter, gate) = (counter.clone(), gate.clone());
            async move {
                tokio::select! {
                    () = gate.notified() => {}
                    _ = async { while stream.read_u8().await.is_ok() {} } => {}
                }
                counter.fetch_sub(1, SeqCst);
            }
        });
        let http = |at: usize| {
            let path = format!("/{at}");
            let mut target = target(to, Protocol::Http(crate::probe::http::tests::get(&path)));
            target.check = Arc::new(Check {
                interval: Duration::from_millis(20),
                ..Check::clone(&target.check)
            });
            target
        };
        let story = Story::start(Settings { concurrency: 3, ..settings() }, (0..10).map(http));
        story.until(|view| view.running == 3 && view.lag > 0.05).await;
        assert_eq!((open.load(SeqCst), most.load(SeqCst)), (3, 3));
        release.notify_waiters();
        story
            .until(|view| view.checks.iter().any(|row| row.result == "protocol" && row.count >= 3))
            .await;
        assert_eq!(most.load(SeqCst), 3);
    }

    #[tokio::test]
    async fn shutting_down_ends_the_checks_that_are_under_way() {
        let mut waiting =
            target(keep_silent(), Protocol::Http(crate::probe::http::tests::get("/")));
        let long = Duration::from_secs(3_600);
        waiting.check = Arc::new(Check {
            interval: Duration::from_millis(20),
            timeout: long,
            ..Check::clone(&waiting.check)
        });
        let story = Story::start(settings(), [waiting]);
        story.until(|view| view.running == 1).await;
        story.shutdown.cancel();
        patiently(story.tasks.wait()).await;
        assert_eq!(story.stats.view().running, 0);
    }

    #[tokio::test]
    async fn a_prober_that_nobody_hears_ends() {
        let Story { outcomes, tasks, wanted, .. } = Story::start(settings(), []);
        drop(outcomes);
        patiently(tasks.wait()).await;
        drop(wanted);
    }

    #[tokio::test]
    async fn the_last_wanted_set_counts_when_nobody_changes_it_any_more() {
        let good = quick(keep_silent());
        let Story { mut outcomes, wanted, shutdown, .. } = Story::start(settings(), [good.clone()]);
        drop(wanted);
        for _ in 0..3 {
            assert_eq!(patiently(outcomes.recv()).await.unwrap().target, good);
        }
        shutdown.cancel();
    }
}
