//! The process from its sockets to its end: what is taken before anything else, what is begun once it
//! may answer, and in which order all of it goes.

use super::{
    Controller, Options, Published, certificate, controls::Controls, handover, now, secrets,
    transfers::Replication,
};
use crate::{
    server::{self, Handed, Stats, Turn},
    web,
};
use anyhow::Context;
use std::{net::SocketAddr, os::fd::OwnedFd, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Sockets that are taken: from here on nothing that the user could mend goes wrong.
#[derive(Debug)]
pub struct Ready {
    pub(super) options: Options,
    dns: server::Bound,
    web: Option<std::net::TcpListener>,
    link: Option<handover::Link>,
    /// Set once no process before this one goes on, if there was one.
    pub(super) succeeds: CancellationToken,
    pub(super) controls: Controls,
}

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
    let mut dns = server::bind_beside(&options.dns, &mut handed)?;
    if link.is_none() {
        dns.complete(); // While there may be privileges: nobody waits for what comes in.
    }
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
    let succeeds = CancellationToken::new();
    if link.is_none() {
        succeeds.cancel();
    }
    Ok(Ready { options, dns, web, link, succeeds, controls: Controls::new() })
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
            stands: Box::new(controller.standing()),
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
    stands: Box<dyn Fn() -> handover::Standing + Send>,
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
            link.until_ready(&self.stands).await?;
            tokio::task::block_in_place(|| link.ready())?;
        }
        self.ready.succeeds.cancel();
        let alone = self.ready.options.dns.turn.alone.clone();
        let (answering, listening) = (self.answering.clone(), self.listening.clone());
        self.serve()?;
        serving();
        if let (Some(link), Some(alone)) = (link, alone) {
            tokio::task::block_in_place(|| link.serving())?;
            tracing::info!("has taken over from {}", link.peer());
            // A task of its own, which goes on where another process has taken over meanwhile: that
            // one is told that it is alone once this one was, and not before.
            answering.spawn(async move {
                let over = tokio::task::spawn_blocking(move || link.until_alone());
                let _ = listening.run_until_cancelled(over).await;
                alone.cancel();
            });
        }
        std::future::pending().await
    }

    fn serve(self) -> anyhow::Result<()> {
        let Ready { options, mut dns, web, controls, .. } = self.ready;
        dns.complete();
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
