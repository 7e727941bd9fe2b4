//! `meridian demo`: a federation of three clusters on loopback, from manifests to be edited.

use super::{dns, run};
use crate::{
    controller::{self, Configured, Handover, Options, Probing, TransferOptions},
    server::Handed,
    telemetry,
};
use anyhow::Context;
use axum::{Router, http::StatusCode, routing::get};
use clap::Args;
use ipnet::Ipv4Net;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Address to serve DNS on (UDP and TCP)
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5353")]
    dns_listen: SocketAddr,
    /// Address of the web listener that `meridian get` and `meridian explain` ask
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    web_listen: SocketAddr,
}

/// The files that the demo begins with, and where.
const FILES: [(&str, &str); 5] = [
    ("federation.yaml", include_str!("../../deploy/demo/federation.yaml")),
    ("policy.yaml", include_str!("../../deploy/demo/policy.yaml")),
    ("clusters/aws/manifests.yaml", include_str!("../../deploy/demo/clusters/aws/manifests.yaml")),
    (
        "clusters/azure/manifests.yaml",
        include_str!("../../deploy/demo/clusters/azure/manifests.yaml"),
    ),
    ("clusters/gke/manifests.yaml", include_str!("../../deploy/demo/clusters/gke/manifests.yaml")),
];

/// What stands for each cluster's load balancer.
const BACKENDS: [(&str, &str); 3] =
    [("aws", "127.1.0.1:8081"), ("azure", "127.2.0.1:8081"), ("gke", "127.3.0.1:8081")];

/// Where all of the demo's backends are.
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    telemetry::log(false, "warn");
    // Goes with all it holds when the demo ends.
    let place = tempfile::Builder::new().prefix("meridian-demo-").tempdir()?;
    write_files(place.path())?;
    let options = Options {
        configured: Configured::Directory(place.path().to_owned()),
        dns: dns::listen(vec![args.dns_listen]),
        web: Some(args.web_listen),
        state: None,
        settle: Duration::from_millis(20),
        resolvers: Vec::new(),
        probing: Probing { allow: vec![LOOPBACK.into()], vantages: Vec::new() },
        transfers: TransferOptions::default(),
        handover: Handover::default(),
        user: None,
    };
    super::runtime()?.block_on(async {
        let ready = controller::prepare(options, Handed::default()).await?;
        let backends = start_backends().await;
        let dns = ready.dns().first().copied().unwrap_or(args.dns_listen);
        super::print(&guide(place.path(), dns, ready.web(), backends));
        run::serve(ready, None).await
    })?;
    place.close().context("the demo's directory cannot be removed")
}

fn write_files(place: &Path) -> anyhow::Result<()> {
    for (name, text) in FILES {
        let path = place.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// Starts what stands for the load balancers; how many could be.
async fn start_backends() -> usize {
    let mut started = 0;
    for (cluster, address) in BACKENDS {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => {
                let app = backend(format!("Hello from {cluster} ({address})\n"));
                // Ends with the runtime, at the end of the demo.
                #[allow(clippy::disallowed_methods)] // nothing has to wait for a demo's backend
                tokio::spawn(async move { axum::serve(listener, app).await });
                started += 1;
            }
            Err(error) => tracing::warn!(
                "{cluster}'s backend cannot listen on {address} ({error}); DNS answers all the same"
            ),
        }
    }
    started
}

/// A page, which `/stop` makes an error and `/start` a page again.
fn backend(text: String) -> Router {
    let stopped = Arc::new(AtomicBool::new(false));
    let set = |to: bool, stopped: &Arc<AtomicBool>| {
        let stopped = stopped.clone();
        get(move || async move {
            stopped.store(to, Ordering::Relaxed);
            if to { "stopped\n" } else { "started\n" }
        })
    };
    let router = Router::new().route("/stop", set(true, &stopped));
    let router = router.route("/start", set(false, &stopped));
    router.fallback(move || async move {
        match stopped.load(Ordering::Relaxed) {
            true => (StatusCode::SERVICE_UNAVAILABLE, "stopped\n".to_owned()),
            false => (StatusCode::OK, text),
        }
    })
}

fn guide(place: &Path, dns: SocketAddr, web: Option<SocketAddr>, backends: usize) -> String {
    let (ip, port) = (dns.ip(), dns.port());
    let dig = format!("dig @{ip} -p {port} +short");
    let aws = place.join("clusters/aws/manifests.yaml");
    let aws = aws.display();
    let server = web.map(|web| format!("http://{web}")).unwrap_or_default();
    let option = if server == "http://127.0.0.1:8080" {
        String::new()
    } else {
        format!(" --server {server}")
    };
    let shop = "shop.default.magicring.svc.demo.example.org";
    let stop = if backends > 0 {
        "\n  curl http://127.2.0.1:8081/stop                # azure's load balancer fails: ask again in 3 \
         seconds"
    } else {
        ""
    };
    let curl = if backends > 0 {
        "\n  curl http://127.1.0.1:8081/                    # what stands for aws's load balancer"
    } else {
        ""
    };
    format!(
        "Federation magicring serves demo.example.org on {dns}: clusters aws, azure and gke.\n\n\
         Ask it:\n  \
         {dig} microbot.default.magicring.svc.demo.example.org        # all clusters\n  \
         {dig} microbot.default.magicring.svc.us-west-2.demo.example.org   # one region\n  \
         {dig} microbot.default.magicring.svc.us-west-2a.us-west-2.demo.example.org\n  \
         {dig} whoami.demo.example.org                                # an Ingress host{curl}\n\n\
         Ask it from elsewhere; the service shop is steered (policy.yaml):\n  \
         {dig} +subnet=2.160.0.0/24 {shop}   # Germany: azure\n  \
         {dig} +subnet=3.80.0.0/24 {shop}    # United States: aws\n  \
         {dig} +subnet=133.11.0.0/24 {shop}   # Japan: gke\n  \
         meridian explain {shop} --client 2.160.0.0/24{option}\n  \
         meridian drill --down azure {shop}{option}{stop}\n\n\
         See why:\n  \
         meridian get clusters{option}\n  \
         meridian get endpoints{option}\n  \
         meridian explain microbot.default.magicring.svc.demo.example.org{option}\n\n\
         Change it, and ask again:\n  \
         sed -i 's/ready: true/ready: false/' {aws}\n      \
         aws has no ready endpoints: its zone and region become CNAMEs, azure and gke serve\n  \
         sed -i 's/127.1.0.1/127.1.0.9/' {aws}\n      \
         aws's load balancer has another address\n  \
         rm {aws}\n      \
         aws's objects are deleted: the others serve, the chain for us-west-2 stays\n\n\
         Ctrl-C ends it and leaves nothing behind.\n"
    )
}
