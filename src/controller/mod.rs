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
mod orders;
mod origin;
mod privileges;
mod publish;
mod resolve;
mod secrets;
mod signing;
mod sources;
mod state;
mod transfers;
mod vantages;
mod writers;
mod writing;

pub use clock::now;
pub use controls::Controls;
pub use handover::Handover;
pub use privileges::Identity;
pub use publish::Published;
pub use state::{Read, Store};
pub use transfers::TransferOptions;

use crate::{
    config::{Config, Flags, Loaded, Problem},
    fleet::{Event, Fleet, FleetConfig, Snapshot},
    health::Outcome,
    model::{ClusterEvent, ClusterName},
    server::{self, Handed, Listen, Stats, StatsView, Tap, Turn},
    telemetry::{Metrics, TransferMetrics},
    web,
};
use anyhow::Context;
use controls::Reloads;
use ipnet::IpNet;
use origin::Origin;
use std::{
    collections::BTreeSet, net::SocketAddr, os::fd::OwnedFd, path::PathBuf, sync::Arc,
    time::Duration,
};
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

/// Sockets that are taken: from here on nothing that the user could mend goes wrong.
#[derive(Debug)]
pub struct Ready {
    options: Options,
    dns: server::Bound,
    web: Option<std::net::TcpListener>,
    link: Option<handover::Link>,
    controls: Controls,
}

/// News that waits to be folded in; more than this and the sources wait.
const EVENTS: usize = 4_096;
/// Orders that wait; more than this and operators wait.
const ORDERS: usize = 64;
const TICK: Duration = Duration::from_secs(1);
/// How often the state is written, when it has changed.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// After this, what has not ended by itself is left behind.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// How long connections are served on once another process has taken over.
const LINGER: Duration = Duration::from_secs(10);
/// How often is looked whether any are left.
const LEFT_EVERY: Duration = Duration::from_millis(50);

/// Takes all sockets; what was `handed` to this process, or is by the one that it replaces, is not
/// bound anew.
///
/// # Errors
/// Names the address that cannot be had, and what to do.
pub async fn prepare(options: Options, mut handed: Handed) -> anyhow::Result<Ready> {
    let mut options = options;
    let begun = tokio::task::block_in_place(|| options.handover.begin(&mut handed));
    let link = begun?;
    options.dns.turn.alone = link.is_some().then(CancellationToken::new);
    let dns = server::bind_beside(&options.dns, &mut handed)?;
    let web = match options.web {
        None => None,
        Some(address) => Some(listen_web(address, &mut handed).await.with_context(|| {
            format!("cannot listen for HTTP on {address}; choose another address with --web-listen")
        })?),
    };
    if let Some(user) = &options.user {
        user.assume(options.state.as_deref())?;
    }
    secrets::load(&options.dns.guard, options.state.as_deref())?;
    Ok(Ready { options, dns, web, link, controls: Controls::new() })
}

async fn listen_web(
    address: SocketAddr,
    handed: &mut Handed,
) -> std::io::Result<std::net::TcpListener> {
    match handed.tcp(address) {
        Some(listener) => Ok(listener),
        None => tokio::net::TcpListener::bind(address).await?.into_std(),
    }
}

impl Ready {
    /// The addresses that DNS is served on.
    #[must_use]
    pub fn dns(&self) -> Vec<SocketAddr> {
        self.dns.local_addrs()
    }

    /// The addresses for encrypted queries, and what is spoken there.
    #[must_use]
    pub fn secure_dns(&self) -> Vec<(&'static str, SocketAddr)> {
        self.dns.secure_addrs()
    }

    /// What the process can be told once it runs.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The address of the web listener.
    #[must_use]
    pub fn web(&self) -> Option<SocketAddr> {
        self.web.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until shut down, or until another process does; then ends everything it began. Says
    /// when it is `serving`.
    ///
    /// # Errors
    /// When the flags are no configuration, a socket is lost, or the process that was to be
    /// replaced serves on.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        serving: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let tasks = TaskTracker::new();
        if let Some(link) = &mut self.link {
            tokio::task::block_in_place(|| link.pause())?;
        }
        let (transfers, state) = (self.options.transfers.clone(), self.options.state.clone());
        let replication = Replication::start(transfers, state, &tasks, &shutdown)?;
        let published = Arc::new(Published::new(now()).with(replication.transfers()));
        let stats = Arc::new(Stats::default());
        let (dns, web) = (self.dns(), self.web());
        let listeners = dns.iter().copied().chain(web).collect();
        let (gate, successors) = mpsc::channel(1);
        let mut controller =
            Controller::new(&self, listeners, published.clone(), &tasks, &shutdown)?;
        controller.replication = Some(replication);
        controller.successors = successors;
        controller.configure()?;
        // Answering is what ends last: everything else may take its time over what it has to save.
        let (answering, listening) = (TaskTracker::new(), CancellationToken::new());
        let turn = self.options.dns.turn.clone();
        let opening = Opening {
            readers: self
                .web
                .is_some()
                .then(|| controller.readers(dns, stats.clone(), self.options.dns.tap.clone())),
            ready: self,
            published,
            stats: stats.clone(),
            gate,
            tasks: tasks.clone(),
            answering: answering.clone(),
            listening: listening.clone(),
            shutdown: shutdown.clone(),
        };
        let failed = tokio::select! {
            () = controller.run() => None,
            Err(error) = opening.open(serving) => Some(error),
        };
        if let Some(successor) = controller.successor.take() {
            shutdown.cancel();
            leave(&turn, &stats, &successor).await;
        }
        shutdown.cancel();
        finish(&tasks).await;
        listening.cancel();
        finish(&answering).await;
        failed.map_or(Ok(()), Err)
    }
}

/// Ends what another process does from now on, and what is left of our own.
async fn leave(turn: &Turn, stats: &Stats, successor: &handover::Channel) {
    turn.leaving.cancel();
    turn.quic.close();
    // What it may take for goodbyes is bounded there.
    turn.quic.wait().await;
    if let Err(error) = tokio::task::block_in_place(|| successor.say_alone()) {
        tracing::warn!("what took over seems to have ended: {error:#}");
    }
    let gone = async {
        while stats.view().open > 0 {
            sleep(LEFT_EVERY).await;
        }
    };
    // Those that are there still are told to go.
    let _ = tokio::time::timeout(LINGER, gone).await;
}

/// What is done once this process may answer: at once, or when the one it replaces lets it.
struct Opening {
    ready: Ready,
    published: Arc<Published>,
    stats: Arc<Stats>,
    readers: Option<web::Readers>,
    gate: handover::Gate,
    tasks: TaskTracker,
    answering: TaskTracker,
    listening: CancellationToken,
    shutdown: CancellationToken,
}

impl Opening {
    /// Says when it serves; ends with an error alone.
    async fn open(mut self, serving: impl FnOnce()) -> anyhow::Result<()> {
        let link = self.ready.link.take();
        if let Some(link) = &link {
            link.until_ready(|| self.published.load().is_ready()).await?;
            tokio::task::block_in_place(|| link.ready())?;
        }
        let alone = self.ready.options.dns.turn.alone.clone();
        self.serve()?;
        serving();
        if let (Some(link), Some(alone)) = (link, alone) {
            tokio::task::block_in_place(|| link.serving())?;
            tracing::info!("has taken over from {}", link.peer());
            let _ = tokio::task::spawn_blocking(move || link.until_alone()).await;
            alone.cancel();
        }
        std::future::pending().await
    }

    fn serve(self) -> anyhow::Result<()> {
        let Ready { options, dns, web, controls, .. } = self.ready;
        let (tasks, shutdown) = (&self.tasks, &self.shutdown);
        let place = options.handover.socket.map(|path| -> anyhow::Result<_> {
            let mut sockets = dns.sockets()?;
            sockets.extend(
                web.iter()
                    .map(|own| own.try_clone().map(OwnedFd::from))
                    .collect::<Result<Vec<_>, _>>()?,
            );
            Ok(handover::Place { path, sockets, gate: self.gate })
        });
        server::serve(dns, &self.published, &self.stats, &self.answering, &self.listening)?;
        let listen = &options.dns;
        tasks.spawn(secrets::follow(listen.guard.clone(), controls.reloads(), shutdown.clone()));
        if let Some(tap) = &listen.tap {
            let (tap, mut reloads, shutdown) = (tap.clone(), controls.reloads(), shutdown.clone());
            tasks.spawn(async move {
                while shutdown.run_until_cancelled(reloads.next()).await.is_some() {
                    tap.reopen();
                }
            });
        }
        if let Some(secure) = &listen.secure {
            let (shown, reloads) = (secure.certificate.clone(), controls.reloads());
            tasks.spawn(certificate::follow(shown, reloads, shutdown.clone()));
        }
        if let (Some(listener), Some(readers)) = (web, self.readers) {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(web::serve(listener, web::State::new(readers), shutdown.clone()));
        }
        if let Some(place) = place {
            tasks.spawn(place?.serve(shutdown.clone()));
        }
        Ok(())
    }
}

async fn finish(tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(SHUTDOWN, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end within {SHUTDOWN:?} and are left behind");
    }
}

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
    told: BTreeSet<Problem>,
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
            told: BTreeSet::new(),
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
        self.sources.run(&config.members);
        self.signing.configure(config);
        for problem in self.writers.run(config) {
            tracing::error!("{problem}");
        }
        self.checks.allow(config.federations.values().map(|own| &own.federation.targets));
        self.publish();
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
        for error in errors.iter().filter(|error| !self.told.contains(error)) {
            tracing::error!("{error}");
        }
        for warning in warnings.iter().filter(|warning| !self.told.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.told = errors.iter().chain(warnings).cloned().collect();
    }

    // === Making room for another process ===

    /// Writes and publishes nothing while a successor begins from what is saved here; whether it has
    /// taken over. Answers go on all the while.
    async fn give_way(&mut self, successor: handover::Successor) -> bool {
        if self.writers.rest().await {
            self.save();
            // One that is gone already drops the other end too.
            let _ = successor.paused.send(self.published.load().is_ready());
            self.successor = tokio::select! {
                () = self.shutdown.cancelled() => None,
                taken = successor.taken => taken.ok(),
            };
        } else {
            drop(successor);
        }
        if self.successor.is_none() {
            self.writers.wake();
        }
        self.successor.is_some()
    }

    // === State on disk ===

    fn save(&mut self) {
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
