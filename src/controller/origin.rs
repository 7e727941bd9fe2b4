//! Where the configuration comes from, and when it may have been edited.

use super::Configured;
use crate::config::{Flags, Loaded, Loader, Watch};
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) enum Origin {
    /// With a tick for each edit, from a task of its own: a notice must not be lost because
    /// something else was more urgent.
    Directory(Loader, mpsc::Receiver<()>),
    Flags(Flags),
}

impl Origin {
    pub(super) fn of(
        configured: &Configured,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        match configured {
            Configured::Directory(path) => {
                let edits = watch_edits(path.clone(), tasks, shutdown);
                Self::Directory(Loader::new(path.clone()), edits)
            }
            Configured::Flags(flags) => Self::Flags(flags.clone()),
        }
    }

    /// The first configuration.
    ///
    /// # Errors
    /// Flags that are wrong, each on a line; objects that are wrong are in what is loaded.
    pub(super) fn first(&mut self) -> anyhow::Result<Loaded> {
        match self {
            Self::Directory(loader, _) => Ok(loader.load()),
            Self::Flags(flags) => {
                let (config, warnings) = flags.config().map_err(|problems| {
                    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    anyhow::anyhow!("{}", texts.join("\n"))
                })?;
                Ok(Loaded { config, errors: Vec::new(), warnings })
            }
        }
    }

    /// The configuration as it now is; `None` where it cannot change.
    pub(super) fn again(&mut self) -> Option<Loaded> {
        match self {
            Self::Directory(loader, _) => Some(loader.load()),
            Self::Flags(_) => None,
        }
    }

    /// Ends when the configuration may have been edited; nothing is lost when it is dropped.
    pub(super) async fn edited(&mut self) {
        let edit = match self {
            Self::Directory(_, edits) => edits.recv().await,
            Self::Flags(_) => None,
        };
        if edit.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

fn watch_edits(
    path: PathBuf,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> mpsc::Receiver<()> {
    let (edits, edited) = mpsc::channel(1);
    let (mut watch, shutdown) = (Watch::new(path), shutdown.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = watch.changed() => {}
            }
            if edits.send(()).await.is_err() {
                return;
            }
        }
    });
    edited
}
