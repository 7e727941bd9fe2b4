//! `meridian get`: what a running process knows.

use super::{Output, Server, ask, show, table};
use crate::{
    controller,
    fleet::{ClusterView, EndpointView, Unit, UnitView},
    health::Forced,
    model::{KindState, Locality},
    web::ZoneSummary,
};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::collections::BTreeSet;

#[derive(Args, Debug)]
pub(super) struct GetArgs {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Member clusters: status, region, zones, freshness
    #[value(alias = "cluster")]
    Clusters,
    /// Federated Services
    #[value(alias = "service", alias = "svc")]
    Services,
    /// Every endpoint, used or not, and why
    #[value(alias = "endpoint", alias = "ep")]
    Endpoints,
    /// Hosts that Ingresses and annotations claim
    #[value(alias = "host")]
    Hosts,
    /// Zones that are served
    #[value(alias = "zone")]
    Zones,
    /// Zones at providers: what is written, what waits and why
    #[value(alias = "provider")]
    Providers,
    /// Objects that could not be taken up, and why
    #[value(alias = "problem")]
    Problems,
}

pub(super) fn run(args: &GetArgs) -> anyhow::Result<()> {
    let (server, output) = (&args.server, args.output);
    let now = controller::now().wall;
    match args.what {
        What::Clusters => {
            let all: Vec<ClusterView> = ask::json(server, "/api/v1/clusters", &[])?;
            show(&all, output, |all| clusters(all, now))
        }
        What::Services => {
            let all: Vec<UnitView> = ask::json(server, "/api/v1/services", &[])?;
            show(&all, output, |all| units(all))
        }
        What::Hosts => {
            let all: Vec<UnitView> = ask::json(server, "/api/v1/hosts", &[])?;
            show(&all, output, |all| units(all))
        }
        What::Endpoints => {
            let mut all: Vec<UnitView> = ask::json(server, "/api/v1/services", &[])?;
            all.extend(ask::json::<Vec<UnitView>>(server, "/api/v1/hosts", &[])?);
            show(&all, output, |all| endpoints(all))
        }
        What::Zones => {
            let all: Vec<ZoneSummary> = ask::json(server, "/api/v1/zones", &[])?;
            show(&all, output, |all| zones(all))
        }
        What::Providers => {
            let all: Vec<serde_json::Value> = ask::json(server, "/api/v1/providers", &[])?;
            show(&all, output, |all| super::providers::table(all))
        }
        What::Problems => {
            let all: Vec<String> = ask::json(server, "/api/v1/problems", &[])?;
            show(&all, output, |all| all.iter().map(|problem| format!("{problem}\n")).collect())
        }
    }
}

/// NAME STATUS AGE as `kubectl get clusters` printed in federation v1, and more.
fn clusters(all: &[ClusterView], now: Timestamp) -> String {
    let row = |view: &ClusterView| {
        let regions: BTreeSet<_> =
            view.localities.iter().map(|own| own.region.to_string()).collect();
        let zone = |own: &Locality| own.zone.as_ref().map(ToString::to_string);
        let zones: BTreeSet<_> = view.localities.iter().filter_map(zone).collect();
        let joined =
            |set: BTreeSet<String>| table::or_dash(set.into_iter().collect::<Vec<_>>().join(","));
        vec![
            view.name.to_string(),
            status(view),
            table::age(view.joined, now),
            joined(regions),
            joined(zones),
            view.freshness.to_string(),
            view.counts.services.to_string(),
            view.counts.ingresses.to_string(),
            table::or_dash(cluster_problems(view).join("; ")),
        ]
    };
    let headings =
        ["NAME", "STATUS", "AGE", "REGION", "ZONES", "FRESH", "SERVICES", "INGRESSES", "PROBLEMS"];
    table::table(&headings, &all.iter().map(row).collect::<Vec<_>>())
}

/// With what takes clients away, as kubectl shows a cordoned node.
fn status(view: &ClusterView) -> String {
    let forced = view.forced.as_ref().map(|own| match own.kind {
        Forced::Up => "ForcedUp",
        Forced::Down => "ForcedDown",
        Forced::Drain => "Drained",
    });
    match forced.or(view.drain.as_ref().map(|_| "Drained")) {
        Some(word) => format!("{},{word}", view.status),
        None => view.status.to_string(),
    }
}

fn cluster_problems(view: &ClusterView) -> Vec<String> {
    let kinds = view.kinds.iter().filter_map(|(kind, state)| match state {
        KindState::Denied(text) | KindState::Missing(text) | KindState::Failing(text) => {
            Some(format!("{kind}: {text}"))
        }
        KindState::Pending | KindState::Watching => None,
    });
    view.problems.iter().cloned().chain(kinds).collect()
}

fn units(all: &[UnitView]) -> String {
    let row = |view: &UnitView| {
        let serving = view.endpoints.iter().filter(|own| own.serving).count();
        let clusters: BTreeSet<_> = view
            .endpoints
            .iter()
            .filter(|own| own.serving)
            .map(|own| own.cluster.to_string())
            .collect();
        vec![
            unit_name(&view.unit),
            view.federation.to_string(),
            view.serving.to_string(),
            format!("{serving}/{}", view.endpoints.len()),
            table::or_dash(clusters.into_iter().collect::<Vec<_>>().join(",")),
            view.name.to_string(),
            table::or_dash(view.problems.join("; ")),
        ]
    };
    let headings =
        ["SERVICE OR HOST", "FEDERATION", "SERVING", "ENDPOINTS", "CLUSTERS", "NAME", "PROBLEMS"];
    table::table(&headings, &all.iter().map(row).collect::<Vec<_>>())
}

fn endpoints(all: &[UnitView]) -> String {
    let rows = all
        .iter()
        .flat_map(|view| view.endpoints.iter().map(|endpoint| endpoint_row(&view.unit, endpoint)));
    let headings = ["SERVICE OR HOST", "CLUSTER", "ADDRESS", "READY", "STATE", "SERVING", "REASON"];
    table::table(&headings, &rows.collect::<Vec<_>>())
}

fn endpoint_row(unit: &Unit, endpoint: &EndpointView) -> Vec<String> {
    let address = endpoint.address.as_ref().map(ToString::to_string).unwrap_or_default();
    let ready = endpoint.ready.map(|(ready, total)| format!("{ready}/{total}"));
    vec![
        unit_name(unit),
        endpoint.cluster.to_string(),
        table::or_dash(address),
        ready.unwrap_or_else(|| "?".to_owned()),
        endpoint.state.to_string(),
        if endpoint.serving { "yes" } else { "no" }.to_owned(),
        table::or_dash(endpoint.reason.clone()),
    ]
}

pub(super) fn unit_name(unit: &Unit) -> String {
    match unit {
        Unit::Service(key) => key.to_string(),
        Unit::Host(name) => name.to_string(),
    }
}

fn zones(all: &[ZoneSummary]) -> String {
    let row = |own: &ZoneSummary| {
        vec![own.zone.to_string(), own.serial.to_string(), own.names.to_string(), own.state.clone()]
    };
    table::table(&["ZONE", "SERIAL", "NAMES", "STATE"], &all.iter().map(row).collect::<Vec<_>>())
}
