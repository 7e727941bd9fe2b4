//! `meridian run`: everything in one process.

use super::{
    dns::DnsArgs,
    handover::{self, HandoverArgs},
    transfer::TransferArgs,
};
use crate::{
    config::Flags,
    controller::{self, Configured, Controls, Identity, Options, Probing, Ready},
    telemetry,
};
use anyhow::bail;
use clap::{Args, ValueEnum};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Either --config, or --federation with --zone and the --context of each member cluster.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Directory of Federation, MemberCluster and TrafficPolicy objects and .zone master files;
    /// read again whenever it is edited
    #[arg(long, value_name = "DIR", required_unless_present = "federation")]
    config: Option<PathBuf>,
    /// Name of the federation, when there is no --config
    #[arg(long, value_name = "NAME", conflicts_with = "config", requires = "zone")]
    federation: Option<String>,
    /// DNS zone of the federation, when there is no --config
    #[arg(long, value_name = "ZONE", requires = "federation")]
    zone: Option<String>,
    /// Context of the kubeconfig that is a member cluster; once for each
    #[arg(long, value_name = "NAME", requires = "federation")]
    context: Vec<String>,
    /// The kubeconfig; $KUBECONFIG or ~/.kube/config when not given
    #[arg(long, value_name = "FILE", requires = "federation")]
    kubeconfig: Option<PathBuf>,
    /// Let the kubeconfig run commands, read files and use plain HTTP
    #[arg(long, requires = "federation")]
    trust_kubeconfig: bool,
    /// Address of the web listener: readiness, metrics and the API that `get` and `explain` ask
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    web_listen: SocketAddr,
    /// Directory for the state that a restart begins with
    #[arg(long, value_name = "DIR", default_value = "/var/lib/meridian")]
    state_dir: PathBuf,
    /// Keep no state on disk
    #[arg(long, conflicts_with = "state_dir")]
    no_state: bool,
    /// Name server that looks up load balancers' host names; the system's when not given
    #[arg(long, value_name = "ADDR:PORT")]
    resolver: Vec<SocketAddr>,
    /// Private range that endpoint checks may connect to, beside what each Federation allows as
    /// targets; once for each
    #[arg(long, value_name = "CIDR")]
    probe_allow: Vec<ipnet::IpNet>,
    /// Web listener of another meridian whose checks count too, as in http://10.0.0.2:8080; once
    /// for each
    #[arg(long, value_name = "URL")]
    vantage: Vec<String>,
    /// How long news is gathered before it is published, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    settle: u64,
    /// How long to answer on after SIGTERM, while readiness is off and clients go elsewhere, in
    /// seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    drain: u64,
    /// Started as root: whom to become once all sockets are bound, as in meridian or
    /// meridian:meridian
    #[arg(long, value_name = "NAME[:GROUP]")]
    user: Option<Identity>,
    /// How logs are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    handover: HandoverArgs,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<()> {
    telemetry::log(args.log_format == LogFormat::Json, "info");
    raise_open_files();
    let state = (!args.no_state).then(|| args.state_dir.clone());
    let handover = args.handover.options(state.as_deref(), args.user.as_ref())?;
    let handed = handover::handed()?;
    let options = Options {
        configured: configured(args)?,
        dns: args.dns.listen()?,
        web: Some(args.web_listen),
        state,
        settle: Duration::from_millis(args.settle),
        resolvers: args.resolver.clone(),
        probing: Probing { allow: args.probe_allow.clone(), vantages: args.vantage.clone() },
        transfers: args.transfer.options(),
        handover,
        user: args.user.clone(),
    };
    let runtime = super::runtime()?;
    let served = runtime.block_on(async {
        let ready = controller::prepare(options, handed).await?;
        announce(&ready);
        serve(ready, Some(Duration::from_secs(args.drain))).await
    });
    // What has not ended within its time is left behind: whoever waits to take over sees us end.
    runtime.shutdown_background();
    served
}

/// As many open files as we may have: thousands of checks and connections hold a socket each, and
/// the usual limit is 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        let soft = limit.current.unwrap_or_default();
        tracing::warn!(
            "the limit on open files stays at {soft} ({error}); with many endpoints that time out, \
             some checks may have to wait"
        );
    }
}

fn configured(args: &RunArgs) -> anyhow::Result<Configured> {
    if let Some(directory) = &args.config {
        if !directory.is_dir() {
            bail!("--config {}: there is no such directory", directory.display());
        }
        return Ok(Configured::Directory(directory.clone()));
    }
    if args.context.is_empty() {
        let there = crate::source::contexts(args.kubeconfig.as_ref())?;
        bail!("name the member clusters with --context; the kubeconfig has {}", there.join(", "));
    }
    Ok(Configured::Flags(Flags {
        federation: args.federation.clone().unwrap_or_default(),
        zone: args.zone.clone().unwrap_or_default(),
        kubeconfig: args.kubeconfig.clone(),
        contexts: args.context.clone(),
        trusted: args.trust_kubeconfig,
    }))
}

fn announce(ready: &Ready) {
    for address in ready.dns() {
        tracing::info!("serving DNS on {address} (UDP and TCP)");
    }
    for (protocol, address) in ready.secure_dns() {
        tracing::info!("serving DNS on {address} ({protocol})");
    }
    if let Some(address) = ready.web() {
        tracing::info!("web listener on http://{address}");
    }
}

/// Serves until SIGINT or SIGTERM. After SIGTERM it is not ready any more, and answers for `drain`
/// longer, until clients have gone elsewhere; SIGHUP has all files read again, SIGUSR2 another
/// process take over. Without `drain` any of them ends it at once.
pub(super) async fn serve(ready: Ready, drain: Option<Duration>) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let mut signals = Signals::new()?;
    let controls = ready.controls();
    let served = ready.run(shutdown.clone(), handover::tell_manager);
    tokio::pin!(served);
    tokio::select! {
        outcome = &mut served => return outcome,
        () = signals.until_end(&controls, drain) => {}
    }
    tracing::info!("shutting down");
    shutdown.cancel();
    served.await
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    replace: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            replace: signal(SignalKind::user_defined2())?,
        })
    }

    async fn until_end(&mut self, controls: &Controls, drain: Option<Duration>) {
        let mut successors = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => break,
                _ = self.hangup.recv() => {
                    if drain.is_none() {
                        return;
                    }
                    tracing::info!("reading configuration, certificates and secrets again");
                    controls.reload();
                }
                _ = self.replace.recv() => {
                    if drain.is_none() {
                        return;
                    }
                    if successors.is_empty() {
                        tracing::info!("starting the process that is to take over");
                        successors.push(handover::successor());
                    }
                }
                Some(ended) = successors.next() => match ended {
                    Ok(status) => tracing::error!(
                        "the process that was to take over has ended ({status}); this one goes on"
                    ),
                    Err(error) => tracing::error!(
                        "the process that is to take over cannot be started ({error}); this one \
                         goes on"
                    ),
                }
            }
        }
        controls.drain();
        let Some(drain) = drain.filter(|drain| !drain.is_zero()) else { return };
        tracing::info!("told to end: not ready any more, answering for {drain:?} longer");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
