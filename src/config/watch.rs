//! Notices that a configuration directory was edited.

use notify::{RecursiveMode, Watcher};
use std::{path::PathBuf, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// Editors write in several steps: they are read as one.
const SETTLE: Duration = Duration::from_millis(100);
/// Looked at this often also without a notice, since not every file system gives one.
const POLL: Duration = Duration::from_secs(5);

/// A directory under watch.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    watcher: Option<notify::RecommendedWatcher>,
    noticed: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches from now on.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let (notices, noticed) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| !event.kind.is_access()) {
                // A full channel already holds a notice.
                let _ = notices.try_send(());
            }
        });
        Self { path, watcher: watcher.ok(), noticed }
    }

    /// Ends when the directory may have changed, at the latest after some seconds.
    pub async fn changed(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            let _ = watcher.watch(&self.path, RecursiveMode::Recursive);
        }
        tokio::select! {
            Some(()) = self.noticed.recv() => sleep(SETTLE).await,
            () = sleep(POLL) => {}
        }
        while self.noticed.try_recv().is_ok() {}
    }
}
