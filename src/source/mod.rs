//! Where endpoints come from: Kubernetes watches and manifest directories.

use std::path::PathBuf;

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
