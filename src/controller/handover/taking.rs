//! The new process's side.

use super::{
    READY, SOON, Standing, WHOLE, WRITES,
    wire::{Channel, VERSION, Word, is_trusted},
};
use crate::server::Handed;
use anyhow::{Context, bail};
use std::time::Duration;

/// What connects us to the process that is replaced.
#[derive(Debug)]
pub(in crate::controller) struct Link {
    channel: Channel,
    /// How well it answers: as well as we have to before we take its place.
    stands: Standing,
}

/// Takes its sockets, without reading them.
///
/// # Errors
/// When it hands none over; it goes on as before.
pub(in crate::controller) fn ask(
    channel: Channel,
    user: Option<u32>,
    handed: &mut Handed,
) -> anyhow::Result<Link> {
    if !is_trusted(channel.other, user) {
        bail!(
            "{} offers sockets, but is neither root's nor ours: start as that user",
            channel.peer()
        );
    }
    channel.send(&Word::Hello { version: VERSION })?;
    let count = match channel.receive(SOON)?.0 {
        Word::Sockets { count } => count,
        Word::No { reason } => bail!("{} hands no sockets over: {reason}", channel.peer()),
        other => bail!("{} said {other:?} where its sockets were expected", channel.peer()),
    };
    for _ in 0..count {
        let (Word::Socket, Some(socket)) = channel.receive(SOON)? else {
            bail!("{} sent no socket where one was expected", channel.peer());
        };
        handed.add(socket).context("what was handed over is no socket")?;
    }
    Ok(Link { channel, stands: Standing { ready: true, lacking: 0 } })
}

impl Link {
    /// Whose place we take.
    pub(in crate::controller) fn peer(&self) -> String {
        self.channel.peer()
    }

    /// Has it publish and write no more: from here on its state is ours. Blocks.
    pub(in crate::controller) fn pause(&mut self) -> anyhow::Result<()> {
        self.channel.send(&Word::Prepared)?;
        match self.channel.receive(WRITES + SOON)?.0 {
            Word::Paused { ready, lacking } => self.stands = Standing { ready, lacking },
            Word::No { reason } => bail!("{} goes on: {reason}", self.channel.peer()),
            other => bail!("{} said {other:?} where Paused was expected", self.channel.peer()),
        }
        Ok(())
    }

    /// Waits until we can answer what it can; one that is gone answers nothing.
    pub(in crate::controller) async fn until_ready(
        &self,
        own: impl Fn() -> Standing,
    ) -> anyhow::Result<()> {
        let ready = until(|| self.channel.is_closed() || own().is_as_ready_as(self.stands));
        tokio::time::timeout(READY, ready).await.with_context(|| {
            format!(
                "not all clusters were seen within {READY:?}, and {} has; it serves on",
                self.channel.peer()
            )
        })?;
        let whole = until(|| self.channel.is_closed() || own().is_as_whole_as(self.stands));
        tokio::time::timeout(WHOLE, whole).await.with_context(|| {
            format!(
                "after {WHOLE:?}, {} zones still lack their signatures or the copy of their \
                 primary's, and {} of {} do; it serves on",
                own().lacking,
                self.stands.lacking,
                self.channel.peer()
            )
        })
    }

    /// Says that we could serve; from its answer on we must. So we must where it is gone without a
    /// word: one that goes on says so. Blocks.
    pub(in crate::controller) fn ready(&self) -> anyhow::Result<()> {
        // Whether there was somebody to hear it shows in what comes back.
        let _ = self.channel.send(&Word::Ready);
        match self.channel.next(SOON)?.map(|came| came.0) {
            Some(Word::Go) => {}
            None => tracing::warn!("{} ended before it gave its place up", self.channel.peer()),
            Some(Word::No { reason }) => bail!("{} goes on: {reason}", self.channel.peer()),
            Some(other) => bail!("{} said {other:?} where Go was expected", self.channel.peer()),
        }
        Ok(())
    }

    /// Says that we do, also where it is gone by now.
    ///
    /// # Errors
    /// It has waited for that as long as it does, and goes on: two may not publish.
    pub(in crate::controller) fn serving(&self) -> anyhow::Result<()> {
        if let Some(Word::No { reason }) = self.channel.waiting() {
            bail!("{} goes on, since this process was too slow: {reason}", self.channel.peer());
        }
        let _ = self.channel.send(&Word::Serving);
        Ok(())
    }

    /// Waits until it has nothing more to say. Blocks.
    pub(in crate::controller) fn until_alone(&self) {
        // Also when it went without a word.
        if let Ok(Some((Word::No { reason }, _))) = self.channel.next(SOON) {
            tracing::error!(
                "{} goes on beside this process: stop one of the two: {reason}",
                self.channel.peer()
            );
        }
    }
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How often is looked whether we are ready.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_given_up_by_the_process_that_it_was_to_replace_does_not_serve_beside_it() {
        let (channel, old) = Channel::pair();
        let link = Link { channel, stands: Standing { ready: true, lacking: 0 } };
        old.send(&Word::Go).unwrap();
        link.ready().unwrap();
        old.send(&Word::No { reason: "it said nothing".to_owned() }).unwrap();
        let error = link.serving().unwrap_err().to_string();
        assert!(error.contains("goes on") && error.ends_with("it said nothing"), "{error}");
    }

    #[test]
    fn who_is_waited_for_or_left_alone_serves() {
        for gone in [false, true] {
            let (channel, old) = Channel::pair();
            let link = Link { channel, stands: Standing { ready: true, lacking: 0 } };
            let old = (!gone).then_some(old);
            link.serving().unwrap();
            if let Some(old) = old {
                old.expect(&Word::Serving, SOON).unwrap();
            }
        }
    }
}
