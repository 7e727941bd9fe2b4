//! `meridian explain`: why a name answers what it does.

use super::{Output, Server, ask, get, show, table};
use crate::{
    fleet::{EndpointView, Explanation, Place, ShownAnswer, ShownSteering},
    policy::{Trace, TraceCluster},
};
use clap::Args;
use std::{fmt::Write, net::SocketAddr};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The name, as a client would ask for it
    name: String,
    /// As clients at that address, or in that network, see it
    #[arg(long, value_name = "IP|PREFIX")]
    client: Option<String>,
    /// Suppose that clusters are otherwise, as in 'aws=down,gke=drained,azure=50' (a weight)
    #[arg(long, value_name = "CLUSTER=STATE,…")]
    at: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let mut query = vec![("name", args.name.as_str())];
    query.extend(args.client.as_deref().map(|client| ("client", client)));
    query.extend(args.at.as_deref().map(|at| ("at", at)));
    let explanation: Explanation = ask::json(&args.server, "/api/v1/explain", &query)?;
    show(&explanation, args.output, text)
}

fn text(own: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<10} {value}");
    };
    line("name", &own.name.to_string());
    let client = own.client.map_or_else(|| "anybody".to_owned(), |net| net.to_string());
    line("client", &client);
    if let Some(place) = &own.place {
        line("location", &location(place));
    }
    if !own.supposed.is_empty() {
        line("supposed", &own.supposed.join(", "));
    }
    match &own.zone {
        Some((zone, serial)) => line("zone", &format!("{zone} at serial {serial}")),
        None => line("zone", "none of ours: REFUSED"),
    }
    line("level", &own.level);
    if let Some(unit) = &own.unit {
        let what = get::unit_name(&unit.unit);
        line("for", &format!("{what} of federation {}: {}", unit.federation, unit.serving));
    }
    if let Some(steering) = &own.steering {
        line("policy", &format!("TrafficPolicy {}", steering.policy));
    }
    own.because.iter().for_each(|reason| line("because", reason));
    own.providers.iter().for_each(|provider| line("provider", provider));
    if let Some(steering) = &own.steering {
        text.push_str(&traces(steering));
    }
    text.push('\n');
    text.push_str(&answer("A", &own.ipv4));
    text.push_str(&answer("AAAA", &own.ipv6));
    text.push_str(&dig(own));
    if let Some(unit) = &own.unit {
        let row = |endpoint: &EndpointView| {
            let place = own.clusters.iter().find(|cluster| cluster.name == endpoint.cluster);
            let localities =
                place.map(|cluster| cluster.localities.iter().map(ToString::to_string));
            let localities: Vec<String> = localities.into_iter().flatten().collect();
            vec![
                endpoint.cluster.to_string(),
                place.map_or_else(|| "-".to_owned(), |cluster| cluster.freshness.to_string()),
                table::or_dash(localities.join(",")),
                endpoint.object.to_string(),
                table::or_dash(
                    endpoint.address.as_ref().map(ToString::to_string).unwrap_or_default(),
                ),
                endpoint.state.to_string(),
            ]
        };
        let headings = ["CLUSTER", "FRESH", "LOCALITY", "OBJECT", "ADDRESS", "STATE"];
        let rows: Vec<_> = unit.endpoints.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table::table(&headings, &rows));
    }
    text
}

fn location(place: &Place) -> String {
    let own = &place.location;
    let known = [&own.continent, &own.country, &own.subdivision];
    let mut words: Vec<String> =
        known.iter().filter_map(|word| word.as_ref()).map(ToString::to_string).collect();
    if let Some((north, east)) = own.coordinates {
        let about = if own.approximate { "about " } else { "" };
        words.push(format!("{about}{north:.1},{east:.1}"));
    }
    if words.is_empty() {
        return format!("not known to {}", place.database);
    }
    let network = place.network.map(|net| format!(" for {net}")).unwrap_or_default();
    format!("{} ({}{network})", words.join(" "), place.database)
}

/// The decision of each family; one where both are alike.
fn traces(steering: &ShownSteering) -> String {
    let (ipv4, ipv6) = (&steering.ipv4, &steering.ipv6);
    let mut text = String::new();
    for (family, trace) in [("A", ipv4), ("AAAA", ipv6)] {
        let Some(trace) = trace else { continue };
        let _ = write!(text, "\n{family} of {}:\n", steering.name);
        for reason in &trace.because {
            let _ = writeln!(text, "  {reason}");
        }
        text.push_str(&tiers(trace));
    }
    text
}

fn tiers(trace: &Trace) -> String {
    let row = |tier: usize, own: &TraceCluster| {
        let distance = own.distance_km.map(|km| format!("{km:.0} km"));
        let chosen = if trace.chosen.contains(&own.cluster) { "*" } else { "" };
        vec![
            format!("  {tier}"),
            format!("{}{chosen}", own.cluster),
            distance.unwrap_or_else(|| "-".to_owned()),
            own.standing.clone(),
            format!("{:.2}", own.score),
            own.weight.to_string(),
            format!("{:.0} %", own.share * 100.0),
            table::or_dash(own.reason.clone()),
        ]
    };
    let tiers = trace.tiers.iter().enumerate();
    let rows = tiers.flat_map(|(at, tier)| tier.clusters.iter().map(move |own| row(at + 1, own)));
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let headings =
        ["  TIER", "CLUSTER", "DISTANCE", "HEALTH", "SCORE", "WEIGHT", "SHARE", "REASON"];
    table::table(&headings, &rows)
}

/// The question again, for a terminal.
fn dig(own: &Explanation) -> String {
    if own.dig.is_empty() {
        return String::new();
    }
    let server = own.dns.map(|dns: SocketAddr| format!("@{} -p {} ", dns.ip(), dns.port()));
    format!("\ndig {}{}\n", server.unwrap_or_default(), own.dig.join(" "))
}

fn answer(rtype: &str, own: &ShownAnswer) -> String {
    let scope = if own.scope > 0 { format!(", scope /{}", own.scope) } else { String::new() };
    let mut text = format!("{rtype}: {}{scope}\n", own.rcode);
    for rrset in &own.answer {
        for data in &rrset.data {
            let _ = writeln!(text, "  {} {} {} {data}", rrset.name, rrset.ttl, rrset.rtype);
        }
    }
    text
}
