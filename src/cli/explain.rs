//! `meridian explain`: why a name answers what it does.

use super::{Output, Server, ask, get, show, table};
use crate::fleet::{Explanation, ShownAnswer};
use clap::Args;
use std::{fmt::Write, net::IpAddr};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The name, as a client would ask for it
    name: String,
    /// As that client sees it
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let client = args.client.map(|ip| ip.to_string());
    let mut query = vec![("name", args.name.as_str())];
    query.extend(client.as_deref().map(|client| ("client", client)));
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
    let client = own.client.map_or_else(|| "anybody".to_owned(), |ip| ip.to_string());
    line("client", &client);
    match &own.zone {
        Some((zone, serial)) => line("zone", &format!("{zone} at serial {serial}")),
        None => line("zone", "none of ours: REFUSED"),
    }
    line("level", &own.level);
    if let Some(unit) = &own.unit {
        let what = get::unit_name(&unit.unit);
        line("for", &format!("{what} of federation {}: {}", unit.federation, unit.serving));
    }
    own.because.iter().for_each(|reason| line("because", reason));
    text.push('\n');
    text.push_str(&answer("A", &own.ipv4));
    text.push_str(&answer("AAAA", &own.ipv6));
    if let Some(unit) = &own.unit {
        let row = |endpoint: &crate::fleet::EndpointView| {
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

fn answer(rtype: &str, own: &ShownAnswer) -> String {
    let mut text = format!("{rtype}: {}\n", own.rcode);
    for rrset in &own.answer {
        for data in &rrset.data {
            let _ = writeln!(text, "  {} {} {} {data}", rrset.name, rrset.ttl, rrset.rtype);
        }
    }
    text
}
