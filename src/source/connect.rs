//! Makes clients from kubeconfigs: one attempt at a time, since it may run a command that hangs.

use super::kubeconfig::{self, Loaded, Wanted};
use kube::Client;
use std::time::Duration;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// A client, and what it was made from.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The API server's URL.
    pub(super) server: String,
    fingerprint: [u8; 32],
}

/// Makes the connections of one cluster.
pub(super) struct Connector {
    wanted: Wanted,
    patience: Duration,
    /// An attempt that did not end in time. It cannot be stopped, so it is waited for again
    /// instead of starting another beside it.
    attempt: Option<JoinHandle<Result<Connection, String>>>,
}

impl Connector {
    pub(super) fn new(wanted: Wanted, patience: Duration) -> Self {
        Self { wanted, patience, attempt: None }
    }

    /// A client as the kubeconfig now says.
    ///
    /// # Errors
    /// What is wrong with the kubeconfig, for a person.
    pub(super) async fn connect(&mut self) -> Result<Connection, String> {
        let wanted = &self.wanted;
        let attempt = self.attempt.get_or_insert_with(|| {
            let (wanted, runtime) = (wanted.clone(), Handle::current());
            spawn_blocking(move || runtime.block_on(connect(&wanted)))
        });
        let Ok(outcome) = timeout(self.patience, attempt).await else {
            let seconds = self.patience.as_secs_f32();
            return Err(format!("the kubeconfig's credentials command runs for over {seconds} s"));
        };
        self.attempt = None;
        outcome.unwrap_or_else(|error| Err(format!("the client could not be made: {error}")))
    }

    /// A newer client if the kubeconfig's content is another than `connection` was made from.
    ///
    /// # Errors
    /// When it cannot be read, or gives no client.
    pub(super) async fn replacement(
        &mut self,
        connection: &Connection,
    ) -> Result<Option<Connection>, String> {
        let wanted = self.wanted.clone();
        let now = spawn_blocking(move || kubeconfig::fingerprint(&wanted)).await;
        let now = now.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        if now == connection.fingerprint { Ok(None) } else { self.connect().await.map(Some) }
    }
}

async fn connect(wanted: &Wanted) -> Result<Connection, String> {
    let Loaded { config, fingerprint } =
        kubeconfig::load(wanted).await.map_err(|error| error.to_string())?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| kubeconfig::chain(&error))?;
    Ok(Connection { client, server, fingerprint })
}
