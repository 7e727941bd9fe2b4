//! `meridian zone`: a zone as rows, or as a master file.

use super::{Output, Server, ask, show, table};
use crate::{records::Row, web::ZoneSummary};
use anyhow::bail;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(super) struct ZoneArgs {
    #[command(subcommand)]
    command: ZoneCommand,
}

#[derive(Debug, Subcommand)]
enum ZoneCommand {
    /// List the records: NAME TYPE TTL DATA
    Show {
        /// The zone; the only one when not given
        zone: Option<String>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        server: Server,
    },
    /// Print it as a master file: for `named-checkzone`, or an import into a provider
    Export {
        /// The zone; the only one when not given
        zone: Option<String>,
        /// Leave out what signs it, as a provider wants it that signs itself
        #[arg(long)]
        unsigned: bool,
        #[command(flatten)]
        server: Server,
    },
}

pub(super) fn run(args: &ZoneArgs) -> anyhow::Result<()> {
    match &args.command {
        ZoneCommand::Show { zone, output, server } => {
            let zone = pick(zone.as_deref(), server)?;
            let rows: Vec<Row> = ask::json(server, &format!("/api/v1/zones/{zone}"), &[])?;
            show(&rows, *output, |rows| listing(rows))
        }
        ZoneCommand::Export { zone, unsigned, server } => {
            let zone = pick(zone.as_deref(), server)?;
            let how: &[_] = if *unsigned { &[("unsigned", "true")] } else { &[] };
            super::print(&ask::text(server, &format!("/api/v1/zones/{zone}/master"), how)?);
            Ok(())
        }
    }
}

fn pick(zone: Option<&str>, server: &Server) -> anyhow::Result<String> {
    if let Some(zone) = zone {
        return Ok(zone.to_owned());
    }
    let zones: Vec<ZoneSummary> = ask::json(server, "/api/v1/zones", &[])?;
    match zones.as_slice() {
        [only] => Ok(only.zone.to_string()),
        [] => bail!("the process serves no zone"),
        several => {
            let names: Vec<_> = several.iter().map(|own| own.zone.to_string()).collect();
            bail!("say which zone; there are {}", names.join(", "))
        }
    }
}

/// As provider tools list a zone.
fn listing(rows: &[Row]) -> String {
    let row = |row: &Row| {
        vec![row.name.to_string(), row.rtype.to_string(), row.ttl.to_string(), row.data.clone()]
    };
    table::table(&["NAME", "TYPE", "TTL", "DATA"], &rows.iter().map(row).collect::<Vec<_>>())
}
