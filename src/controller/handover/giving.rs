//! The running process's side.

use super::{
    READY_AT_LAST, SOON, Standing,
    wire::{Channel, VERSION, Word, accept, is_trusted, listen},
};
use anyhow::{Context, bail};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A process that asks for our place. Whoever owns the fleet lets it have the state, and hears what
/// comes of it; a channel that is dropped says that nothing does.
#[derive(Debug)]
pub(in crate::controller) struct Successor {
    /// To be told that nothing is written any more, and how well we answer.
    pub(in crate::controller) paused: oneshot::Sender<Standing>,
    /// Once it serves.
    pub(in crate::controller) taken: oneshot::Receiver<Channel>,
}

/// Where successors are announced.
pub(in crate::controller) type Gate = mpsc::Sender<Successor>;

/// Where they ask, and what they get.
#[derive(Debug)]
pub(in crate::controller) struct Place {
    pub(in crate::controller) path: PathBuf,
    pub(in crate::controller) sockets: Vec<OwnedFd>,
    pub(in crate::controller) gate: Gate,
}

impl Place {
    /// Hears successors until shut down, one after another.
    pub(in crate::controller) async fn serve(self, shutdown: CancellationToken) {
        let listener = match listen(&self.path) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(
                    "{} cannot be listened on ({error}); no other process can take over from this \
                     one: choose another place with --handover-socket",
                    self.path.display()
                );
                return;
            }
        };
        let own = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = accept(&listener) => accepted,
            };
            let Ok(channel) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (own, peer) = (own.clone(), channel.peer());
            let given = tokio::task::spawn_blocking(move || own.give(channel)).await;
            if let Ok(Err(error)) = given {
                tracing::warn!(
                    "{peer} asked to take over, and has not: {error:#}; this one goes on"
                );
            }
        }
    }

    /// The whole conversation, up to where it serves. Blocks.
    fn give(&self, channel: Channel) -> anyhow::Result<()> {
        match self.offer(&channel) {
            Ok(Some(taking)) => {
                let _ = taking.send(channel);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                // Who hears nothing at all has to believe that we are gone, and serves.
                let reason = format!("{error:#}").chars().take(REASON).collect();
                let _ = channel.send(&Word::No { reason });
                Err(error)
            }
        }
    }

    /// Who is to be told once it serves; `None` where it only looked who is here.
    fn offer(&self, channel: &Channel) -> anyhow::Result<Option<oneshot::Sender<Channel>>> {
        if !is_trusted(channel.other, None) {
            bail!("sockets are for processes of the same user and of root");
        }
        match channel.next(SOON)?.map(|came| came.0) {
            None => return Ok(None),
            Some(Word::Hello { version: VERSION }) => {}
            Some(Word::Hello { version }) => {
                bail!("version {VERSION} is spoken here, not {version}")
            }
            Some(other) => bail!("it said {other:?} where a greeting was expected"),
        }
        tracing::info!("{} asks to take over", channel.peer());
        channel.send(&Word::Sockets { count: self.sockets.len() })?;
        for socket in &self.sockets {
            channel.send_with(&Word::Socket, Some(socket.as_fd()))?;
        }
        channel.expect(&Word::Prepared, READY_AT_LAST)?;
        let (paused, when) = oneshot::channel();
        let (taking, taken) = oneshot::channel();
        self.gate.blocking_send(Successor { paused, taken }).context("this process ends")?;
        let Ok(Standing { ready, lacking }) = when.blocking_recv() else {
            bail!("writes to a provider are under way; try again");
        };
        channel.send(&Word::Paused { ready, lacking })?;
        channel.expect(&Word::Ready, READY_AT_LAST)?;
        channel.send(&Word::Go)?;
        channel.expect(&Word::Serving, SOON)?;
        tracing::info!("{} has taken over", channel.peer());
        Ok(Some(taking))
    }
}

/// Characters of a reason that a word has room for, whatever they are.
const REASON: usize = 150;
/// After a failed accept (no file descriptors left), a moment for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
