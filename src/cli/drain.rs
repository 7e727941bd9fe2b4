//! `meridian drain`, `undrain` and `force`: an operator's word on a cluster.

use super::{Output, Server, ask, show};
use crate::{
    health::{Forced, Override},
    web::Forcing,
};
use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(super) struct DrainArgs {
    /// The member cluster that is to get no new clients
    cluster: String,
    #[command(flatten)]
    word: Word,
}

#[derive(Args, Debug)]
pub(super) struct UndrainArgs {
    /// The member cluster that is drained, or forced up or down
    cluster: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
pub(super) struct ForceArgs {
    /// The member cluster
    cluster: String,
    /// What it counts as, whatever its objects and checks say
    #[arg(value_enum)]
    state: State,
    #[command(flatten)]
    word: Word,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// All its endpoints are taken for healthy
    Up,
    /// All its endpoints are taken for failed
    Down,
}

#[derive(Args, Debug)]
struct Word {
    /// How long, as in 30m or 2h; until `meridian undrain` when not given
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<String>,
    /// Why, for whoever looks at it later
    #[arg(long)]
    reason: String,
    /// Who says so
    #[arg(long, env = "USER")]
    by: Option<String>,
    /// Do it even if names are left without a healthy target; their answers then stay as a last
    /// resort
    #[arg(long)]
    force: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<()> {
    say(&args.cluster, Forced::Drain, &args.word)
}

pub(super) fn force(args: &ForceArgs) -> anyhow::Result<()> {
    let kind = match args.state {
        State::Up => Forced::Up,
        State::Down => Forced::Down,
    };
    say(&args.cluster, kind, &args.word)
}

pub(super) fn undrain(args: &UndrainArgs) -> anyhow::Result<()> {
    let word: Override = ask::delete(&args.server, &path(&args.cluster))?;
    show(&word, args.output, |word| format!("cluster {}: no longer {word}\n", args.cluster))
}

fn say(cluster: &str, kind: Forced, word: &Word) -> anyhow::Result<()> {
    let forcing = Forcing {
        kind,
        reason: word.reason.clone(),
        by: word.by.clone(),
        lasting: word.lasting.clone(),
        anyway: word.force,
    };
    let own: Override = ask::post(&word.server, &path(cluster), &forcing)?;
    show(&own, word.output, |own| format!("cluster {cluster}: {own}\n"))
}

fn path(cluster: &str) -> String {
    format!("/api/v1/clusters/{cluster}/force")
}
