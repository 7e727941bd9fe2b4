//! `meridian dnssec`: how signed zones stand, what their parents need, and keys that give way to
//! others.

use super::{Output, Server, ask, show, table};
use crate::{
    dnssec::{Role, View},
    model::Name,
    web::{DsSeen, Rolling},
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::{
        dnssec::rdata::DNSSECRData,
        rr::{RData, RecordType},
    },
};
use std::net::SocketAddr;

#[derive(Args, Debug)]
pub(super) struct DnssecArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show each signed zone: its keys, how far they have come, and until when signatures hold
    Status(Shown),
    /// Print the DS records that the parent should have
    Ds(Shown),
    /// Have a key give way to a new one, step by step; say with --ds-seen or --ask-parent that the
    /// parent has the new DS
    Roll(RollArgs),
}

#[derive(Args, Debug)]
struct Shown {
    /// The zone; all when not given
    #[arg(long)]
    zone: Option<Name>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
struct RollArgs {
    /// The zone; the only one when not given
    #[arg(long)]
    zone: Option<Name>,
    /// Which key; the only one when not given
    #[arg(long, value_enum, conflicts_with_all = ["ds_seen", "ask_parent"])]
    key: Option<KeyKind>,
    /// Have all keys give way to keys of another algorithm: that of spec.dnssec.algorithm
    #[arg(long, conflicts_with_all = ["key", "ds_seen", "ask_parent"])]
    algorithm: bool,
    /// The parent has a DS of the key with this tag
    #[arg(long, value_name = "TAG", conflicts_with = "ask_parent")]
    ds_seen: Option<u16>,
    /// Ask for the parent's DS records, and go by them
    #[arg(long)]
    ask_parent: bool,
    /// The name server that is asked for them, as in 192.0.2.1:53: a resolver, or one of the
    /// parent's own; the system's resolver when not given
    #[arg(long, value_name = "ADDR:PORT", requires = "ask_parent")]
    resolver: Option<SocketAddr>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyKind {
    /// The key that signs all
    Csk,
    /// The key that signs the keys
    Ksk,
    /// The key that signs all but the keys
    Zsk,
}

pub(super) fn run(args: &DnssecArgs) -> anyhow::Result<()> {
    match &args.command {
        Command::Status(own) => show(&zones(own)?, own.output, |all| status(all)),
        Command::Ds(own) => show(&zones(own)?, own.output, |all| ds(all)),
        Command::Roll(own) => roll(own),
    }
}

fn zones(own: &Shown) -> anyhow::Result<Vec<View>> {
    let mut all: Vec<View> = ask::json(&own.server, "/api/v1/dnssec", &[])?;
    if let Some(zone) = &own.zone {
        all.retain(|view| view.zone == *zone);
        if all.is_empty() {
            bail!("zone {zone} is not signed by the process");
        }
    }
    Ok(all)
}

fn status(all: &[View]) -> String {
    if all.is_empty() {
        return "no zone is signed; a Federation's spec.dnssec says that one is\n".to_owned();
    }
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(view: &View) -> String {
    let serial = view.serial.map_or("not signed yet".to_owned(), |own| format!("serial {own}"));
    let expires = view.expires.as_deref().unwrap_or("-");
    let mut text = format!(
        "{} {serial}, {} of {} names signed, denial {}, first signature ends {expires}\n",
        view.zone, view.signed, view.names, view.denial
    );
    let row = |key: &crate::dnssec::KeyView| {
        let next = key.next.clone().unwrap_or_default();
        vec![
            key.tag.to_string(),
            key.role.to_string(),
            key.algorithm.clone(),
            key.state.clone(),
            table::or_dash(next),
        ]
    };
    let rows: Vec<_> = view.keys.iter().map(row).collect();
    text += &table::table(&["KEY", "ROLE", "ALGORITHM", "STATE", "NEXT STEP"], &rows);
    text += &view.problem.iter().map(|own| format!("PROBLEM: {own}\n")).collect::<String>();
    text
}

fn ds(all: &[View]) -> String {
    let of = |view: &View| match view.ds.is_empty() {
        true => format!(
            "; {}: no DS yet: its key is not in every cache (`meridian dnssec status` says when)\n",
            view.zone
        ),
        false => view.ds.iter().map(|ds| format!("{} IN DS {ds}\n", view.zone)).collect(),
    };
    all.iter().map(of).collect()
}

fn roll(args: &RollArgs) -> anyhow::Result<()> {
    let zone = pick(args)?;
    let path = |what: &str| format!("/api/v1/dnssec/{zone}/{what}");
    let outcome: String = match (args.ds_seen, args.ask_parent) {
        (Some(tag), _) => seen(args, &path("ds-seen"), vec![tag])?,
        (None, true) => {
            let tags = super::runtime()?.block_on(parents(&zone, args.resolver))?;
            seen(args, &path("ds-seen"), tags)?
        }
        (None, false) => {
            let role = args.key.map(|kind| match kind {
                KeyKind::Csk => Role::Csk,
                KeyKind::Ksk => Role::Ksk,
                KeyKind::Zsk => Role::Zsk,
            });
            ask::post(&args.server, &path("roll"), &Rolling { role, algorithm: args.algorithm })?
        }
    };
    show(&outcome, args.output, |text| format!("{text}\n"))
}

fn seen(args: &RollArgs, path: &str, tags: Vec<u16>) -> anyhow::Result<String> {
    ask::post(&args.server, path, &DsSeen { tags })
}

fn pick(args: &RollArgs) -> anyhow::Result<Name> {
    if let Some(zone) = &args.zone {
        return Ok(zone.clone());
    }
    let all: Vec<View> = ask::json(&args.server, "/api/v1/dnssec", &[])?;
    match all.as_slice() {
        [only] => Ok(only.zone.clone()),
        [] => bail!("no zone is signed; a Federation's spec.dnssec says that one is"),
        several => {
            let names: Vec<_> = several.iter().map(|own| own.zone.to_string()).collect();
            bail!("say which with --zone; there are {}", names.join(", "))
        }
    }
}

/// The tags of the DS records that the parent has.
async fn parents(zone: &Name, server: Option<SocketAddr>) -> anyhow::Result<Vec<u16>> {
    let builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let mut own = NameServerConfig::udp_and_tcp(server.ip());
            let at_port = |connection: &mut ConnectionConfig| connection.port = server.port();
            own.connections.iter_mut().for_each(at_port);
            let config = ResolverConfig::from_parts(None, vec![], vec![own]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let found = builder.build()?.lookup(zone.to_string(), RecordType::DS).await;
    let found = found.with_context(|| format!("the parent's DS records of {zone}"))?;
    let tag = |data: &RData| match data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.key_tag()),
        _ => None,
    };
    Ok(found.answers().iter().filter_map(|record| tag(&record.data)).collect())
}
