//! Load balancers given as host names: looked up, and looked up again when their TTL ends.

use crate::model::Name;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// However short a TTL, a name is not asked for more often.
const SHORTEST: Duration = Duration::from_secs(5);
/// However long a TTL, a moved load balancer is noticed within this.
const LONGEST: Duration = Duration::from_secs(300);
/// After a failure; the last good addresses stand meanwhile.
const RETRY: Duration = Duration::from_secs(10);

/// What one lookup gave.
pub(super) struct Lookup {
    pub(super) host: Name,
    pub(super) outcome: Result<Vec<IpAddr>, String>,
}

/// A task for each host name that an answer needs.
pub(super) struct Lookups {
    resolver: Arc<TokioResolver>,
    running: BTreeMap<Name, CancellationToken>,
    wanted: Arc<BTreeSet<Name>>,
    results: mpsc::Sender<Lookup>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Lookups {
    pub(super) fn new(
        servers: &[SocketAddr],
        results: mpsc::Sender<Lookup>,
        tasks: TaskTracker,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let resolver = Arc::new(resolver(servers)?);
        let (running, wanted) = (BTreeMap::new(), Arc::default());
        Ok(Self { resolver, running, wanted, results, tasks, shutdown: shutdown.clone() })
    }

    /// Looks up exactly these from now on.
    pub(super) fn want(&mut self, wanted: &Arc<BTreeSet<Name>>) {
        if Arc::ptr_eq(&self.wanted, wanted) {
            return;
        }
        self.wanted = wanted.clone();
        self.running.retain(|host, stop| {
            let stays = wanted.contains(host);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for host in wanted.iter() {
            if !self.running.contains_key(host) {
                self.start(host.clone());
            }
        }
    }

    fn start(&mut self, host: Name) {
        let stop = self.shutdown.child_token();
        self.running.insert(host.clone(), stop.clone());
        let (resolver, results) = (self.resolver.clone(), self.results.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow(&resolver, &host, &results) => {}
            }
        });
    }
}

async fn follow(resolver: &TokioResolver, host: &Name, results: &mpsc::Sender<Lookup>) {
    loop {
        let (outcome, pause) = match resolver.lookup_ip(host.to_string()).await {
            Ok(found) => {
                let left = found.valid_until().saturating_duration_since(super::now().mono);
                let addresses: Vec<IpAddr> = found.iter().collect();
                let none = addresses.is_empty();
                let outcome = if none { Err("no addresses".to_owned()) } else { Ok(addresses) };
                (outcome, left.clamp(SHORTEST, LONGEST))
            }
            Err(error) => (Err(error.to_string()), RETRY),
        };
        // The receiver goes away only when the process ends.
        let _ = results.send(Lookup { host: host.clone(), outcome }).await;
        sleep(pause.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
    }
}

fn resolver(servers: &[SocketAddr]) -> anyhow::Result<TokioResolver> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(
                "the system's resolvers cannot be read ({error}); host names of load \
                            balancers are not followed; name some with --resolver"
            );
            let none = ResolverConfig::from_parts(None, vec![], vec![]);
            TokioResolver::builder_with_config(none, TokioRuntimeProvider::default())
        })
    } else {
        let config = ResolverConfig::from_parts(None, vec![], servers.iter().map(server).collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Our own schedule decides when a name is asked for again.
    options.cache_size = 0;
    Ok(builder.build()?)
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    let at_port = |connection: &mut ConnectionConfig| connection.port = address.port();
    config.connections.iter_mut().for_each(at_port);
    config
}
