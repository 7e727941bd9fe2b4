//! A cluster behind an API server: one connection at a time, replaced when its kubeconfig changes
//! or its credentials are refused. What was read outlives the connection.

use super::{
    Reporter, Timing,
    client::Api,
    connect::{Connection, Connector},
    follow::{Backoff, Session, Unauthorized, View, Watched, follow},
    kubeconfig::Wanted,
    objects::{EndpointSlice, Ingress, Node, Service},
    problems::{Problems, Subject},
};
use crate::model::{ClusterEvent, Kind};
use tokio::{sync::Semaphore, time::sleep};

/// Watches until dropped, whatever fails.
pub(super) async fn watch(
    reporter: &Reporter,
    wanted: Wanted,
    starts: &Semaphore,
    timing: &Timing,
) {
    let mut cluster = Cluster {
        reporter,
        starts,
        timing,
        connector: Connector::new(wanted, timing.patience),
        views: Views::default(),
        problems: Problems::default(),
        backoff: Backoff::new(timing.backoff_limit),
    };
    let mut connection = cluster.connect().await;
    loop {
        connection = match cluster.serve(&connection).await {
            Some(newer) => {
                if newer.server != connection.server {
                    cluster.views.forget_versions();
                }
                cluster.backoff.reset();
                newer
            }
            None => {
                sleep(cluster.backoff.next()).await;
                cluster.connect().await
            }
        };
    }
}

struct Cluster<'c> {
    reporter: &'c Reporter,
    starts: &'c Semaphore,
    timing: &'c Timing,
    connector: Connector,
    views: Views,
    problems: Problems,
    backoff: Backoff,
}

impl Cluster<'_> {
    /// Tries until there is a client; says why there is none.
    async fn connect(&mut self) -> Connection {
        let mut told = None;
        loop {
            let reason = match self.connector.connect().await {
                Ok(connection) => return connection,
                Err(reason) => reason,
            };
            if told.as_ref() != Some(&reason) {
                self.reporter.send(ClusterEvent::Refused(reason.clone())).await;
                told = Some(reason);
            }
            sleep(self.backoff.next()).await;
        }
    }

    /// Watches over this connection until there is a newer one, or (`None`) its credentials are
    /// refused.
    async fn serve(&mut self, connection: &Connection) -> Option<Connection> {
        let timing = self.timing;
        let api = Api::new(connection.client.clone(), timing.patience, timing.probe_patience);
        let session = Session {
            reporter: self.reporter,
            api,
            starts: self.starts,
            problems: &self.problems,
            timing,
        };
        let Views { nodes, services, slices, ingresses } = &mut self.views;
        tokio::select! {
            newer = newer(&mut self.connector, connection, &session) => Some(newer),
            Unauthorized = follow::<Node>(&session, nodes) => None,
            Unauthorized = follow::<Service>(&session, services) => None,
            Unauthorized = follow::<EndpointSlice>(&session, slices) => None,
            Unauthorized = follow::<Ingress>(&session, ingresses) => None,
            () = probe(&session) => None,
        }
    }
}

/// Waits for a kubeconfig with other content that works. One that does not, or that is gone,
/// leaves the connection that works alone.
async fn newer(
    connector: &mut Connector,
    connection: &Connection,
    session: &Session<'_>,
) -> Connection {
    loop {
        sleep(session.timing.reload).await;
        let problem = match connector.replacement(connection).await {
            Ok(None) => None,
            Ok(Some(newer)) => {
                session.problems.set(Subject::Connection, Vec::new());
                return newer;
            }
            Err(reason) => Some(format!("{reason}; the connection that was made before stands")),
        };
        session.problems.set(Subject::Connection, problem.into_iter().collect());
        session.problems.tell(session.reporter).await;
    }
}

/// Asks again and again whether the API server is ready.
async fn probe(session: &Session<'_>) {
    loop {
        let ready = session.api.is_ready().await;
        session.reporter.send(ClusterEvent::Probed(ready)).await;
        sleep(session.timing.probe_every).await;
    }
}

/// How far each kind has been read.
#[derive(Debug, Default)]
struct Views {
    nodes: View,
    services: View,
    slices: View,
    ingresses: View,
}

impl Views {
    /// Another cluster's versions mean nothing. What is known stays until the lists are in.
    fn forget_versions(&mut self) {
        let Self { nodes, services, slices, ingresses } = self;
        [nodes, services, slices, ingresses].into_iter().for_each(View::forget_version);
    }
}

impl Watched for Node {
    const KIND: Kind = Kind::Node;
    const PAGE: u32 = 500;
}

impl Watched for Service {
    const KIND: Kind = Kind::Service;
    const PAGE: u32 = 500;
}

impl Watched for EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;
    /// They are the largest objects (`reference/kubernetes.md` §7).
    const PAGE: u32 = 250;
}

impl Watched for Ingress {
    const KIND: Kind = Kind::Ingress;
    const PAGE: u32 = 500;
}
