//! The hands: reads the clock, starts the wires, and turns their news into published snapshots.
//!
//! ```text
//! config ─┐
//! sources ─┼─▶ Fleet::apply ─▶ settle ─▶ Fleet::snapshot ─▶ Published ─┬─▶ server
//! lookups ─┘                                   │                       └─▶ web
//!                                              └─▶ state on disk
//! ```
//! One task owns the fleet. A storm of events is settled into one publication.

mod certificate;
mod checks;
mod clock;
mod controls;
pub mod geography;
mod handover;
mod history;
mod installation;
mod kept;
mod orders;
mod origin;
mod privileges;
mod publish;
mod ready;
mod resolve;
mod said;
mod secrets;
mod signing;
mod sources;
mod state;
mod transfers;
mod vantages;
mod writers;
mod writing;

pub use clock::{now, worked};
pub use controls::Controls;
pub use handover::Handover;
pub use kept::{Kept, check_kept, read_state};
pub use privileges::Identity;
pub use publish::Published;
pub use ready::{Ready, prepare};
pub use state::{Read, Store};
pub use transfers::TransferOptions;

use crate::{
    config::{Config, Flags, Loaded, Problem},
    fleet::{Event, Fleet, FleetConfig, Snapshot},
    health::Outcome,
    model::{ClusterEvent, ClusterName},
    server::{Listen, Stats, StatsView, Tap},
    telemetry::{Metrics, TransferMetrics},
    web,
};
use controls::Reloads;
use ipnet::IpNet;
use origin::Origin;
use said::Said;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use transfers::Replication;

/// What `meridian run` is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the configuration comes from.
    pub configured: Configured,
    /// Where DNS is served.
    pub dns: Listen,
    /// Where the web listener is; none when `None`.
    pub web: Option<SocketAddr>,
    /// The directory of the state on disk; none is kept when `None`.
    pub state: Option<PathBuf>,
    /// How long news is gathered before it is published.
    pub settle: Duration,
    /// Name servers that look up load balancers' host names; the system's when empty.
    pub resolvers: Vec<SocketAddr>,
    /// How endpoints are checked.
    pub probing: Probing,
    /// How zones are transferred.
    pub transfers: TransferOptions,
    /// How sockets come from the process before, and go to the next.
    pub handover: Handover,
    /// Whom the process is to be once its sockets are bound.
    pub user: Option<Identity>,
}

/// How endpoints are checked, beside what policies say.
#[derive(Clone, Debug, Default)]
pub struct Probing {
    /// Private ranges that may be checked, beside those that a Federation publishes. Loopback ones
    /// open all of loopback, for demos and tests.
    pub allow: Vec<IpNet>,
    /// Web listeners of other processes whose findings count too, as in `http://10.0.0.2:8080`.
    pub vantages: Vec<String>,
}

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum Configured {
    /// A directory of objects, read again whenever it is edited.
    Directory(PathBuf),
    /// The command line.
    Flags(Flags),
}

/// News that waits to be folded in; more than this and the sources wait.
const EVENTS: usize = 4_096;
/// Orders that wait; more than this and operators wait.
const ORDERS: usize = 64;
const TICK: Duration = Duration::from_secs(1);
/// How often the state is written, when it has changed.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The one owner of the fleet.
struct Controller {
    fleet: Fleet,
    published: Arc<Published>,
    settle: Duration,
    origin: Origin,
    sources: sources::Sources,
    lookups: resolve::Lookups,
    events: mpsc::Receiver<(ClusterName, ClusterEvent)>,
    resolved: mpsc::Receiver<resolve::Lookup>,
    checks: checks::Checks,
    checked: mpsc::Receiver<Outcome>,
    heard: mpsc::Receiver<vantages::Heard>,
    geography: mpsc::Receiver<geography::Found>,
    orders: mpsc::Receiver<web::Order>,
    order: mpsc::Sender<web::Order>,
    writers: writers::Writers,
    signing: signing::Signing,
    replication: Option<Replication>,
    store: Option<Store>,
    saved: Option<crate::model::Generation>,
    /// Set once nobody else serves from what is on disk: until then nothing is saved, so that the
    /// process before finds its own state where this one fails.
    succeeds: CancellationToken,
    told: Said<Problem>,
    controls: Controls,
    reloads: Reloads,
    /// Processes that ask to take over.
    successors: mpsc::Receiver<handover::Successor>,
    /// The one that has.
    successor: Option<handover::Channel>,
    shutdown: CancellationToken,
}

impl Controller {
    fn new(
        ready: &Ready,
        listeners: Vec<SocketAddr>,
        published: Arc<Published>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let options = &ready.options;
        let store = options.state.clone().map(Store::new);
        let (send_events, events) = mpsc::channel(EVENTS);
        let (send_resolved, resolved) = mpsc::channel(EVENTS);
        let (send_checked, checked) = mpsc::channel(EVENTS);
        let (order, orders) = mpsc::channel(ORDERS);
        let origin = Origin::of(&options.configured, tasks, shutdown);
        let lookups =
            resolve::Lookups::new(&options.resolvers, send_resolved, tasks.clone(), shutdown)?;
        let probing = &options.probing;
        let checks = checks::Checks::start(probing, listeners, send_checked, tasks, shutdown);
        let fleet = state::restore(store.as_ref());
        Ok(Self {
            signing: signing::Signing::new(options.state.clone()),
            writers: writers::Writers::new(options.state.clone(), tasks, shutdown),
            replication: None,
            checks,
            checked,
            heard: vantages::listen(&probing.vantages, tasks, shutdown)?,
            geography: geography::watch(options.state.clone(), tasks, shutdown),
            orders,
            order,
            fleet,
            published,
            settle: options.settle,
            origin,
            sources: sources::Sources::new(send_events, tasks.clone(), shutdown.clone()),
            lookups,
            events,
            resolved,
            store,
            saved: None,
            succeeds: ready.succeeds.clone(),
            told: Said::default(),
            controls: ready.controls.clone(),
            reloads: ready.controls.reloads(),
            successors: mpsc::channel(1).1,
            successor: None,
            shutdown: shutdown.clone(),
        })
    }

    async fn run(&mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut saves = interval(SAVE_EVERY);
        saves.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some((name, event)) = self.events.recv() => {
                    let speaks = !is_sign_of_life(&event);
                    self.fleet.apply(now(), Event::Cluster(name, event));
                    if speaks {
                        self.gather().await;
                        self.publish();
                    }
                }
                Some(lookup) = self.resolved.recv() => {
                    self.fleet.apply(now(), Event::Resolved(lookup.host, lookup.outcome));
                    self.publish();
                }
                Some(outcome) = self.checked.recv() => self.take_outcomes(outcome),
                Some(heard) = self.heard.recv() => {
                    let event = Event::Reported(heard.vantage, Box::new(heard.report));
                    self.fleet.apply(now(), event);
                    self.publish();
                }
                Some(order) = self.orders.recv() => self.carry_out(order),
                Some(found) = self.geography.recv() => {
                    tracing::info!("clients are located by {} from now on", found.database.info());
                    self.fleet.apply(now(), Event::Geography(found.database));
                    self.publish();
                }
                Some(config) = transferred(self.replication.as_mut()) => self.configured(config),
                () = self.origin.edited() => self.reload(),
                () = self.reloads.next() => self.reload(),
                Some(successor) = self.successors.recv() => {
                    if self.give_way(successor).await {
                        return;
                    }
                }
                _ = ticks.tick() => self.tick(),
                _ = saves.tick() => self.save(),
            }
        }
        self.save();
    }

    /// Lets a storm settle: all that comes in within the time is one publication.
    async fn gather(&mut self) {
        sleep(self.settle).await;
        while let Ok((name, event)) = self.events.try_recv() {
            self.fleet.apply(now(), Event::Cluster(name, event));
        }
    }

    /// All outcomes that wait are one publication.
    fn take_outcomes(&mut self, first: Outcome) {
        let at = now();
        self.fleet.apply(at, Event::Checked(first));
        while let Ok(outcome) = self.checked.try_recv() {
            self.fleet.apply(at, Event::Checked(outcome));
        }
        // Most checks find what they found before.
        if self.fleet.has_news() {
            self.publish();
        }
    }

    fn tick(&mut self) {
        let at = now();
        self.fleet.tick(at);
        // Those whose write went on after a successor had given up.
        self.writers.wake();
        self.publish();
    }

    fn publish(&mut self) {
        // A cold compile of a large fleet takes a while: other tasks of this thread move over.
        let snapshot = tokio::task::block_in_place(|| {
            let at = now();
            self.signing.sign(self.fleet.snapshot(at), at)
        });
        self.lookups.want(&snapshot.unresolved);
        self.checks.want(&snapshot.targets);
        self.writers.want(&snapshot);
        tokio::task::block_in_place(|| self.published.store(snapshot.clone()));
        if let Some(own) = &self.replication {
            own.published(&snapshot.served);
        }
    }

    // === Configuration ===

    /// The first configuration; flags that are wrong end the process, objects do not.
    fn configure(&mut self) -> anyhow::Result<()> {
        let Loaded { config, errors, warnings } = self.origin.first()?;
        self.take(&config, &errors, &warnings);
        Ok(())
    }

    fn reload(&mut self) {
        let Some(Loaded { config, errors, warnings }) = self.origin.again() else { return };
        self.take(&config, &errors, &warnings);
    }

    fn take(&mut self, config: &Config, errors: &[Problem], warnings: &[Problem]) {
        self.tell(errors, warnings);
        let fleet = config.fleet(errors);
        let fleet = match &mut self.replication {
            Some(own) => own.take(config, fleet),
            None => fleet,
        };
        self.fleet.apply(now(), Event::Configured(fleet));
        self.signing.configure(config);
        for problem in self.writers.run(config) {
            tracing::error!("{problem}");
        }
        self.checks.allow(config.federations.values().map(|own| &own.federation.targets));
        self.publish();
        // At the start what was kept is answered first: reading clusters anew may be a lot of work.
        self.sources.run(&config.members);
    }

    /// The same configuration with another static part of some zone.
    fn configured(&mut self, config: FleetConfig) {
        self.fleet.apply(now(), Event::Configured(config));
        self.publish();
    }

    /// What the web listener reads.
    fn readers(
        &self,
        dns: Vec<SocketAddr>,
        stats: Arc<Stats>,
        tap: Option<Arc<Tap>>,
    ) -> web::Readers {
        let (metrics, transfers) = (Metrics::new(), TransferMetrics::new());
        let transferred = self.replication.as_ref().map(Replication::reader);
        let (snapshots, counted) = (self.published.clone(), self.published.clone());
        let (checks, board) = (self.checks.stats(), self.writers.board());
        let (shown, controls) = (board.clone(), self.controls.clone());
        let signed = self.signing.board();
        web::Readers {
            snapshot: Box::new(move || snapshots.load()),
            metrics: Box::new(move || {
                let zones: Vec<_> = board.all().into_iter().map(|(_, status)| status).collect();
                let tapped = tap.as_ref().map(|tap| tap.view());
                let view = stats.view();
                let stats = StatsView { tap: tapped, by_zone: counted.named(&view.zones), ..view };
                let text = metrics.text(&counted.load(), &stats, &checks.view(), &zones);
                text + &transferred.as_ref().map_or(String::new(), |own| transfers.text(&own()))
            }),
            written: Box::new(move || shown.all()),
            dnssec: Box::new(move || signed.all()),
            orders: self.order.clone(),
            draining: Box::new(move || controls.is_draining()),
            dns,
        }
    }

    /// Logs each problem once, not at every look.
    fn tell(&mut self, errors: &[Problem], warnings: &[Problem]) {
        let news = self.told.news(errors.iter().chain(warnings).cloned().collect());
        for error in errors.iter().filter(|error| news.contains(error)) {
            tracing::error!("{error}");
        }
        for warning in warnings.iter().filter(|warning| news.contains(warning)) {
            tracing::warn!("{warning}");
        }
    }

    // === Making room for another process ===

    /// How well this process answers, also while others ask.
    fn standing(&self) -> impl Fn() -> handover::Standing + Send + use<> {
        let (published, signed) = (self.published.clone(), self.signing.board());
        move || {
            let signed = signed.all();
            let signed = signed.iter().map(|view| &view.zone);
            handover::Standing::of(&published.load(), signed)
        }
    }

    /// Writes and publishes nothing while a successor begins from what is saved here; whether this
    /// process writes no more: the other has taken over, or this one is to end meanwhile. Answers go
    /// on all the while.
    async fn give_way(&mut self, successor: handover::Successor) -> bool {
        if self.writers.rest().await {
            let replication = self.replication.as_ref();
            tokio::task::block_in_place(|| replication.into_iter().for_each(Replication::rest));
            self.save();
            // One that is gone already drops the other end too.
            let _ = successor.paused.send(self.standing()());
            self.successor = tokio::select! {
                // What was saved for the successor is the last that this process writes.
                () = self.shutdown.cancelled() => return true,
                taken = successor.taken => taken.ok(),
            };
        } else {
            drop(successor);
        }
        if self.successor.is_none() {
            self.go_on();
        }
        self.successor.is_some()
    }

    /// Writes again, and all anew: what is on disk may be what another process left there.
    fn go_on(&mut self) {
        self.writers.wake();
        self.saved = None;
        self.replication.iter_mut().for_each(Replication::wake);
    }

    // === State on disk ===

    fn save(&mut self) {
        if !self.succeeds.is_cancelled() {
            return;
        }
        if let Some(own) = &mut self.replication {
            tokio::task::block_in_place(|| own.save());
        }
        let generation = self.published.load().generation;
        let Some(store) = &self.store else { return };
        if self.saved == Some(generation) {
            return;
        }
        let saved = self.fleet.save(now());
        match tokio::task::block_in_place(|| store.write(&saved)) {
            Ok(()) => self.saved = Some(generation),
            Err(error) => tracing::warn!(
                "the state in {} cannot be written ({error}); after a restart, clusters that are \
                 out of reach would be missing; choose another place with --state-dir",
                store.path().display()
            ),
        }
    }
}

/// Ends when something was transferred; nothing is lost when it is dropped.
async fn transferred(replication: Option<&mut Replication>) -> Option<FleetConfig> {
    match replication {
        Some(own) => own.changed().await,
        None => std::future::pending().await,
    }
}

/// News that changes no answer waits for the next tick.
fn is_sign_of_life(event: &ClusterEvent) -> bool {
    matches!(event, ClusterEvent::Contact(_) | ClusterEvent::Probed(true))
}

/// A snapshot that a process on its own makes once, for commands that need no server.
#[must_use]
pub fn once(config: &Config) -> Arc<Snapshot> {
    let mut fleet = Fleet::new(now());
    fleet.apply(now(), Event::Configured(config.fleet(&[])));
    fleet.snapshot(now())
}
