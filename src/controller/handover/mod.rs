//! Hands the sockets of a running process to another one, so that an upgrade loses no query.
//!
//! ```text
//! new: hello ─▶ old                     the old answers, publishes and writes as ever
//! new ◀─ sockets ─ old                  both hold them; the old alone reads
//! new: prepared ─▶ old                  the old publishes and writes no more, saves its state, answers on
//! new ◀─ paused ─ old                   the new begins from that state, as after a restart
//! new: ready ─▶ old ─ go ─▶ new         it can answer what the old could
//! new: serving ─▶ old                   both read; the old takes nothing new, and ends
//! new ◀─ alone ─ old                    the old has said goodbye over QUIC
//! ```
//! At any time one process at most writes to the state directory and to providers, and one at least
//! answers. Where the new one fails before it serves, the old goes on as if nothing had been asked,
//! and says `No`: an end that is closed without it is of a process that is gone.

mod giving;
mod standing;
mod taking;
mod wire;

pub(super) use giving::{Gate, Place, Successor};
pub(super) use standing::Standing;
pub(super) use taking::{Link, ask};
pub(super) use wire::Channel;

use crate::server::Handed;
use anyhow::bail;
use std::{path::PathBuf, time::Duration};

/// How sockets come here, and go.
#[derive(Clone, Debug, Default)]
pub struct Handover {
    /// Where a new process asks for them; nowhere when `None`.
    pub socket: Option<PathBuf>,
    /// Whether to take those of the process that is asked there, if one runs.
    pub take: bool,
    /// A user beside root and ourselves whose process is believed: the one that privileges are
    /// dropped to.
    pub user: Option<u32>,
}

impl Handover {
    /// What the process that runs hands over, where there is one and it is to.
    ///
    /// # Errors
    /// When it does not, or when one runs that was not to be replaced.
    pub(super) fn begin(&self, handed: &mut Handed) -> anyhow::Result<Option<Link>> {
        let Some(path) = &self.socket else { return Ok(None) };
        let channel = match wire::connect(path) {
            Ok(Some(channel)) => channel,
            Ok(None) => return Ok(None),
            // Nobody is to be replaced: that nobody can be asked is no reason not to start.
            Err(error) if !self.take => {
                tracing::warn!(
                    "{error:#}; this process starts without having seen whether another one runs \
                     there: choose another place with --handover-socket"
                );
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if !self.take {
            bail!(
                "another meridian ({}) runs with {}; replace it with --take-over, or choose another \
                 --state-dir or --handover-socket",
                channel.peer(),
                path.display()
            );
        }
        ask(channel, self.user, handed).map(Some)
    }
}

/// How long either waits for a word that needs no work.
const SOON: Duration = Duration::from_secs(10);
/// How long the new process may take to have seen its clusters; then to have its zones whole, of
/// which large ones are signed anew; and how long the old one's publishing waits for both. The old
/// one's is longer, so that both know when it is over.
const READY: Duration = Duration::from_secs(15);
const WHOLE: Duration = Duration::from_secs(45);
const READY_AT_LAST: Duration = Duration::from_secs(65);
/// How long writes to providers that are under way may take.
pub(super) const WRITES: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_asked_at_keeps_only_those_from_starting_who_are_to_take_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        // More than an address of a Unix socket holds; and what is no directory.
        for place in [folder.path().join("x".repeat(120)), folder.path().join("file")] {
            let socket = Some(place.join("handover.sock"));
            let begin = |take| {
                let own = Handover { socket: socket.clone(), take, user: None };
                own.begin(&mut Handed::default())
            };
            assert!(begin(false).unwrap().is_none());
            let error = format!("{:#}", begin(true).unwrap_err());
            assert!(error.contains("cannot ask for sockets at"), "{error}");
        }
    }
}
