//! Edits of a configuration directory, noticed by a task of its own, so that none is lost because
//! something else was more urgent.

use crate::config::Watch;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Ticks once for all edits since it was last heard.
pub(super) fn watch(
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
