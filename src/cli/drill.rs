//! `meridian drill`: who would be sent where if clusters were down, drained or weighed otherwise.

use super::{Output, Server, ask, show, table};
use crate::{
    fleet::{Drill, DrillCountry, DrillName, Shares},
    model::ClusterName,
};
use anyhow::bail;
use clap::Args;
use std::{collections::BTreeSet, fmt::Write};

#[derive(Args, Debug)]
pub(super) struct DrillArgs {
    /// The name to look at; all services and hosts when not given
    name: Option<String>,
    /// Suppose that this cluster's endpoints fail; once for each
    #[arg(long, value_name = "CLUSTER")]
    down: Vec<String>,
    /// Suppose that this cluster is drained; once for each
    #[arg(long, value_name = "CLUSTER")]
    drain: Vec<String>,
    /// Suppose that this cluster has that weight, whatever a policy says; once for each
    #[arg(long, value_name = "CLUSTER=N")]
    weight: Vec<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &DrillArgs) -> anyhow::Result<()> {
    let down = args.down.iter().map(|cluster| format!("{cluster}=down"));
    let drained = args.drain.iter().map(|cluster| format!("{cluster}=drained"));
    let all: Vec<String> = down.chain(drained).chain(args.weight.iter().cloned()).collect();
    if all.is_empty() {
        bail!("say what to suppose: --down CLUSTER, --drain CLUSTER or --weight CLUSTER=N");
    }
    let at = all.join(",");
    let mut query = vec![("at", at.as_str())];
    query.extend(args.name.as_deref().map(|name| ("name", name)));
    let drill: Drill = ask::json(&args.server, "/api/v1/drill", &query)?;
    show(&drill, args.output, text)
}

fn text(drill: &Drill) -> String {
    let clusters = clusters(drill);
    let mut text = format!("supposed: {}\n\n", drill.supposed.join(", "));
    text.push_str(&names(drill, &clusters));
    let moved: Vec<&DrillCountry> =
        drill.countries.iter().filter(|own| own.moved() >= LEAST).collect();
    if moved.is_empty() {
        text.push_str("\nno country's clients move\n");
        return text;
    }
    text.push('\n');
    text.push_str(&countries(&moved[..moved.len().min(SHOWN)], &clusters));
    if let Some(more) = moved.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "and {more} more countries; all of them with -o json");
    }
    text
}

fn names(drill: &Drill, clusters: &BTreeSet<ClusterName>) -> String {
    let row = |own: &DrillName| {
        let shares = clusters.iter().map(|cluster| change(&own.before, &own.after, cluster));
        let first = [own.name.to_string(), percent(own.moved())];
        let noticed = format!("{}s ({}s + TTL {}s)", own.notice(), own.detection, own.ttl);
        first.into_iter().chain(shares).chain([own.serving.to_string(), noticed]).collect()
    };
    let rows: Vec<Vec<String>> = drill.names.iter().map(row).collect();
    let columns: Vec<String> = clusters.iter().map(|own| own.to_string().to_uppercase()).collect();
    let mut headings = vec!["NAME", "MOVED"];
    headings.extend(columns.iter().map(String::as_str));
    headings.extend(["SERVING", "NOTICED WITHIN"]);
    table::table(&headings, &rows)
}

fn countries(all: &[&DrillCountry], clusters: &BTreeSet<ClusterName>) -> String {
    let row = |own: &&DrillCountry| {
        let shares = clusters.iter().map(|cluster| change(&own.before, &own.after, cluster));
        let first = [own.country.clone(), percent(own.part), percent(own.moved())];
        first.into_iter().chain(shares).collect()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let columns: Vec<String> = clusters.iter().map(|own| own.to_string().to_uppercase()).collect();
    let mut headings = vec!["COUNTRY", "OF IPV4", "MOVED"];
    headings.extend(columns.iter().map(String::as_str));
    table::table(&headings, &rows)
}

fn clusters(drill: &Drill) -> BTreeSet<ClusterName> {
    let both = drill.names.iter().flat_map(|own| [&own.before, &own.after]);
    both.flat_map(Shares::keys).cloned().collect()
}

fn change(before: &Shares, after: &Shares, cluster: &ClusterName) -> String {
    let of = |shares: &Shares| shares.get(cluster).copied().unwrap_or_default();
    let (before, after) = (of(before), of(after));
    if (before - after).abs() < LEAST {
        return percent(before);
    }
    format!("{} → {}", percent(before), percent(after))
}

fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.05 {
        "<0.1 %".to_owned()
    } else if percent < 0.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// What is not worth a row.
const LEAST: f64 = 0.000_5;
/// Countries in the listing for people.
const SHOWN: usize = 25;
