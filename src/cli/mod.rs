//! The command line. Exit codes: 0 well, 1 an error that was said, 2 wrong usage; `plan` and
//! `apply` also say 2 for changes to make and 3 for changes that are held.

mod ask;
mod check;
mod demo;
mod dns;
mod dnssec;
mod drain;
mod drill;
mod explain;
mod geoip;
mod get;
mod handover;
mod providers;
mod run;
mod table;
mod tap;
mod transfer;
mod transports;
mod zone;

use crate::config;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::process::ExitCode;

/// Sends each client of a multi-cluster Kubernetes service to the right healthy cluster, by DNS.
#[derive(Debug, Parser)]
#[command(
    name = "meridian",
    version,
    about,
    long_about = "Meridian watches the LoadBalancer Services and Ingresses of every member \
                  cluster and answers for the federation's DNS zone.\n\nStart with `meridian demo`: \
                  it needs nothing else. Then give it your clusters with `meridian run`, and ask \
                  it with `meridian get`, `meridian explain` and `dig`."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the clusters and serve the zone
    Run(Box<run::RunArgs>),
    /// Show it at work: three clusters from manifests, on loopback, nothing else needed
    Demo(demo::DemoArgs),
    /// Validate a configuration directory; exits 1 when something is wrong
    Check(check::CheckArgs),
    /// Print the custom resource definitions, for `kubectl apply -f -`
    Crds,
    /// Show or export a zone of a running process
    Zone(zone::ZoneArgs),
    /// List clusters, services, endpoints, hosts or zones of a running process
    Get(get::GetArgs),
    /// Say why a name answers what it does, to a client, or if clusters were otherwise
    Explain(explain::ExplainArgs),
    /// Show who would be sent where if clusters failed, were drained or weighed otherwise
    Drill(drill::DrillArgs),
    /// Say where clients are taken to be, or put another database in force
    Geoip(geoip::GeoipArgs),
    /// Show how signed zones stand, print their DS records, change their keys
    Dnssec(dnssec::DnssecArgs),
    /// Send a cluster no new clients for a while
    Drain(drain::DrainArgs),
    /// End a drain, or what was forced
    Undrain(drain::UndrainArgs),
    /// Show what would be written to providers; exits 0 for nothing, 2 for changes, 3 for held ones
    Plan(providers::PlanArgs),
    /// Have it written now, and approve removals that are held
    Apply(providers::ApplyArgs),
    /// Take names over from external-dns, another installation, or nobody
    Adopt(providers::AdoptArgs),
    /// List what departed clusters and services left at providers, and remove it on approval
    Gc(providers::GcArgs),
    /// Stop all writes to providers; answers and checks go on
    Freeze(providers::FreezeArgs),
    /// Let writes to providers go on
    Thaw(providers::ThawArgs),
    /// List what was written to providers: when, what, from which object
    History(providers::HistoryArgs),
    /// Take a cluster for up or down, whatever its objects and checks say
    Force(drain::ForceArgs),
}

/// How to reach the running process.
#[derive(Args, Clone, Debug)]
struct Server {
    /// Web listener of the running process
    #[arg(long, env = "MERIDIAN_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

impl Cli {
    /// Does what was asked.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Run(args) => run::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Check(args) => return check::run(&args),
            Command::Crds => crds(),
            Command::Zone(args) => zone::run(&args),
            Command::Get(args) => get::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Drill(args) => drill::run(&args),
            Command::Geoip(args) => geoip::run(&args),
            Command::Dnssec(args) => dnssec::run(&args),
            Command::Drain(args) => drain::drain(&args),
            Command::Undrain(args) => drain::undrain(&args),
            Command::Force(args) => drain::force(&args),
            Command::Plan(args) => return code(providers::plan(&args)),
            Command::Apply(args) => return code(providers::apply(&args)),
            Command::Adopt(args) => providers::adopt(&args),
            Command::Gc(args) => return code(providers::gc(&args)),
            Command::Freeze(args) => providers::freeze(&args),
            Command::Thaw(args) => providers::thaw(&args),
            Command::History(args) => providers::history(&args),
        };
        code(outcome.map(|()| ExitCode::SUCCESS))
    }
}

fn code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("meridian: {error:#}");
        ExitCode::FAILURE
    })
}

fn crds() -> anyhow::Result<()> {
    print(&config::crds()?);
    Ok(())
}

/// Prints text; a reader that went away (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints values as asked; `table` makes the form for people.
fn show<T: Serialize>(
    values: &T,
    output: Output,
    table: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(values),
        Output::Json => serde_json::to_string_pretty(values)? + "\n",
        Output::Yaml => serde_saphyr::to_string(values)?,
    };
    print(&text);
    Ok(())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
