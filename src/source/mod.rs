//! Where endpoints come from: Kubernetes watches and manifest directories.
//!
//! A wire that decides nothing: it turns what a cluster says into [`ClusterEvent`]s. An error is
//! reported and retried; it never becomes a deletion (invariant I5).

mod annotations;
mod client;
mod connect;
mod convert;
mod directory;
mod follow;
mod kubeconfig;
mod kubernetes;
mod manifest;
mod objects;
mod problems;
#[cfg(test)]
mod tests;
mod timing;

pub use kubeconfig::{KubeconfigError, contexts};
pub use manifest::yaml_options;

use timing::Timing;

use crate::model::{ClusterEvent, ClusterName};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::{Semaphore, mpsc};

/// How a member cluster is reached.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// An API server, as a kubeconfig's context describes it.
    Kubeconfig {
        /// The file; `$KUBECONFIG`, else `~/.kube/config`, when `None`.
        path: Option<PathBuf>,
        /// The context; the file's current one when `None`.
        context: Option<String>,
        /// Whether commands, token and certificate files and plain HTTP named in the kubeconfig
        /// may be used. Off unless the operator says so: a kubeconfig is input.
        trusted: bool,
    },
    /// A directory of manifests, as `kubectl get -o yaml` prints them.
    Directory(PathBuf),
}

/// Where a cluster's news goes: bounded, so that a flood waits instead of filling the memory.
pub type Sender = mpsc::Sender<(ClusterName, ClusterEvent)>;

/// So many lists are read at once, over all clusters; the others wait their turn.
pub const INITIAL_LISTS: usize = 8;

/// Watches one cluster until the future is dropped; never ends by itself, whatever fails.
pub async fn watch(name: ClusterName, access: Access, starts: Arc<Semaphore>, events: Sender) {
    let reporter = Reporter { name, events };
    match access {
        Access::Kubeconfig { path, context, trusted } => {
            let wanted = kubeconfig::Wanted { path, context, trusted };
            kubernetes::watch(&reporter, wanted, &starts, &Timing::default()).await;
        }
        Access::Directory(path) => directory::watch(&reporter, &path).await,
    }
}

/// Sends news under the cluster's name.
#[derive(Debug)]
struct Reporter {
    name: ClusterName,
    events: Sender,
}

impl Reporter {
    async fn send(&self, event: ClusterEvent) {
        // The receiver goes away only when the process ends.
        let _ = self.events.send((self.name.clone(), event)).await;
    }
}
