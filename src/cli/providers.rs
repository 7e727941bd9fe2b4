//! `meridian plan`, `apply`, `freeze`, `thaw`, `gc` and `history`: what is written to providers.

use super::{Output, Server, ask, show, table};
use crate::{
    model::Name,
    plan::{Adoption, Entry, Origin, Registry},
    web::{AdoptedView, Adopting, Applying, Freezing, Outcome, PlanView},
};
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// Of which zone, from whom, and how it is shown.
#[derive(Args, Debug)]
struct Scope {
    /// Only this zone
    #[arg(long)]
    zone: Option<Name>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    scope: Scope,
}

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    /// Let up to so many names be removed that are held; if more would go by now, none goes
    #[arg(long, value_name = "N")]
    approve: Option<usize>,
    /// How long the approval is good, as in 10m
    #[arg(long = "for", value_name = "TIME", requires = "approve")]
    lasting: Option<String>,
    /// Write although this other instance of the installation wrote last; only if it is gone
    #[arg(long, value_name = "INSTANCE")]
    take_over: Option<String>,
    /// Who says so
    #[arg(long, env = "USER")]
    by: Option<String>,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Args, Debug)]
pub(super) struct AdoptArgs {
    /// Who marked the names
    #[arg(long, value_enum)]
    from: From,
    /// Its owner id: --txt-owner-id of external-dns, or the id of the other installation
    #[arg(long, required_unless_present_any = ["name"])]
    owner: Option<String>,
    /// Only this name, with * for any run of characters; once for each
    #[arg(long)]
    name: Vec<String>,
    /// --txt-prefix of external-dns
    #[arg(long, default_value = "")]
    txt_prefix: String,
    /// --txt-suffix of external-dns
    #[arg(long, default_value = "")]
    txt_suffix: String,
    /// --txt-wildcard-replacement of external-dns
    #[arg(long, default_value = "")]
    txt_wildcard_replacement: String,
    /// Do it; without, only list
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum From {
    /// external-dns with its TXT registry
    ExternalDns,
    /// Another installation of Meridian, or this one before its key was lost
    Meridian,
    /// Nobody: name them with --name
    Unmarked,
}

#[derive(Args, Debug)]
pub(super) struct GcArgs {
    /// Remove them, if they are no more than so many by now
    #[arg(long, value_name = "N")]
    approve: Option<usize>,
    /// Who says so
    #[arg(long, env = "USER")]
    by: Option<String>,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Args, Debug)]
pub(super) struct FreezeArgs {
    /// Why, for whoever looks at it later
    #[arg(long)]
    reason: String,
    /// Who says so
    #[arg(long, env = "USER")]
    by: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
pub(super) struct ThawArgs {
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// Only this name
    name: Option<Name>,
    /// The last so many changes
    #[arg(long, default_value_t = 100)]
    most: usize,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// Exit code 0 when nothing is to be done, 2 for changes, 3 when some are held.
pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let zone = args.scope.zone.as_ref().map(ToString::to_string);
    let query: Vec<_> = zone.iter().map(|zone| ("zone", zone.as_str())).collect();
    let plans: Vec<PlanView> = ask::json(&args.scope.server, "/api/v1/plan", &query)?;
    show_plans(&plans, args.scope.output)
}

/// The same codes: what is left after it was carried out.
pub(super) fn apply(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let applying = Applying {
        zone: args.scope.zone.clone(),
        approve: args.approve,
        lasting: args.lasting.clone(),
        take_over: args.take_over.clone(),
        by: args.by.clone(),
    };
    let plans: Vec<PlanView> = ask::post(&args.scope.server, "/api/v1/apply", &applying)?;
    show_plans(&plans, args.scope.output)
}

fn show_plans(plans: &[PlanView], output: Output) -> anyhow::Result<ExitCode> {
    show(&plans, output, |plans| plans.iter().map(text).collect())?;
    let worst = plans.iter().map(|plan| plan.outcome).max().unwrap_or(Outcome::Nothing);
    Ok(match worst {
        Outcome::Nothing => ExitCode::SUCCESS,
        Outcome::Changes => ExitCode::from(2),
        Outcome::Held => ExitCode::from(3),
        Outcome::Unknown => ExitCode::FAILURE,
    })
}

fn text(plan: &PlanView) -> String {
    let problem = plan.problem.as_ref().map(|text| format!("! {text}\n")).unwrap_or_default();
    format!("{} ({}): {problem}{}", plan.provider, plan.phase, plan.text)
}

pub(super) fn adopt(args: &AdoptArgs) -> anyhow::Result<()> {
    let owner = args.owner.clone();
    let need = || anyhow::anyhow!("--owner: missing; whose names are taken over?");
    let from = match args.from {
        From::Unmarked => Origin::Unmarked,
        From::Meridian => Origin::Meridian { owner: owner.ok_or_else(need)? },
        From::ExternalDns => Origin::ExternalDns(Registry {
            owner: owner.ok_or_else(need)?,
            prefix: args.txt_prefix.clone(),
            suffix: args.txt_suffix.clone(),
            wildcard: args.txt_wildcard_replacement.clone(),
        }),
    };
    let adoption = Adoption { from, names: args.name.clone() };
    let adopting = Adopting { zone: args.scope.zone.clone(), adoption, go: args.yes };
    let views: Vec<AdoptedView> = ask::post(&args.scope.server, "/api/v1/adopt", &adopting)?;
    show(&views, args.scope.output, |views| {
        views.iter().map(|view| adopted(view, args.yes)).collect()
    })
}

fn adopted(view: &AdoptedView, yes: bool) -> String {
    let verb = match (view.begun, yes) {
        (true, _) => "taken over",
        (false, true) => "are left as they are",
        (false, false) => "would be taken over; say --yes to do it",
    };
    let mut text = format!("{} {}: {} names {verb}\n", view.provider, view.zone, view.taken.len());
    view.taken.iter().for_each(|name| text += &format!("  {name}\n"));
    view.left.iter().for_each(|(name, why)| text += &format!("  left: {name} ({why})\n"));
    view.problem.iter().for_each(|problem| text += &format!("  ! {problem}\n"));
    text
}

/// Lists what is ours at a provider and nobody wants any more, and removes it on approval. Exit
/// code 3 while some is left.
pub(super) fn gc(args: &GcArgs) -> anyhow::Result<ExitCode> {
    let applying = Applying {
        zone: args.scope.zone.clone(),
        approve: args.approve,
        by: args.by.clone(),
        ..Applying::default()
    };
    let mut plans: Vec<PlanView> = ask::post(&args.scope.server, "/api/v1/apply", &applying)?;
    for view in &mut plans {
        let held = view.plan["held"].as_array().into_iter().flatten();
        let lines = held.map(|held| {
            let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let (name, object) = (word(&held["change"]["name"]), word(&held["change"]["object"]));
            format!("{name} ({object}): {}\n", word(&held["reason"]))
        });
        view.text = lines.collect();
        if view.text.is_empty() {
            view.text = "nothing is left behind\n".to_owned();
        }
    }
    show_plans(&plans, args.scope.output)
}

pub(super) fn freeze(args: &FreezeArgs) -> anyhow::Result<()> {
    let freezing = Freezing { reason: args.reason.clone(), by: args.by.clone() };
    ask::post::<()>(&args.server, "/api/v1/freeze", &freezing)?;
    super::print("nothing is written to providers until `meridian thaw`; answers go on\n");
    Ok(())
}

pub(super) fn thaw(args: &ThawArgs) -> anyhow::Result<()> {
    ask::delete::<()>(&args.server, "/api/v1/freeze")?;
    super::print("writes to providers go on\n");
    Ok(())
}

pub(super) fn history(args: &HistoryArgs) -> anyhow::Result<()> {
    let (name, most) = (args.name.as_ref().map(ToString::to_string), args.most.to_string());
    let mut query = vec![("most", most.as_str())];
    query.extend(name.iter().map(|name| ("name", name.as_str())));
    let entries: Vec<Entry> = ask::json(&args.server, "/api/v1/history", &query)?;
    show(&entries, args.output, |entries| {
        let rows = entries.iter().map(row).collect::<Vec<_>>();
        table::table(&["AT", "PROVIDER", "GEN", "ACTION", "NAME", "OBJECT", "CHANGE"], &rows)
    })
}

fn row(entry: &Entry) -> Vec<String> {
    let gone = entry.deleted.iter().map(|set| format!("-{set}"));
    let come = entry.created.iter().map(|set| format!("+{set}"));
    let marks = |text: &String| !text.contains("heritage=meridian");
    vec![
        format!("{:.0}", entry.at),
        entry.provider.clone(),
        entry.generation.to_string(),
        entry.action.clone(),
        entry.name.to_string(),
        entry.object.clone(),
        gone.chain(come).filter(marks).collect::<Vec<_>>().join(" "),
    ]
}

// === get providers ===

/// A row for each zone at a provider; what is wrong with it below.
pub(super) fn table(all: &[serde_json::Value]) -> String {
    let headings =
        ["ZONE", "PROVIDER", "PHASE", "GEN", "NAMES", "HELD", "CONFLICTS", "DEGRADED", "WRITTEN"];
    let rows: Vec<_> = all.iter().map(provider_row).collect();
    let notes = all.iter().filter_map(note);
    table::table(&headings, &rows) + &notes.collect::<String>()
}

fn provider_row(one: &serde_json::Value) -> Vec<String> {
    let text = |field: &str| match &one[field] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let count = |field: &str| one[field].as_array().map_or(0, Vec::len).to_string();
    let phase = match one["progress"].as_object() {
        Some(progress) => {
            let left = progress["left"].as_u64().map(|left| format!(", {left}s left"));
            let left = left.unwrap_or_default();
            format!("{} {}/{}{left}", text("phase"), progress["done"], progress["total"])
        }
        None => text("phase"),
    };
    vec![
        text("zone"),
        text("provider"),
        phase,
        text("generation"),
        text("owned"),
        count("held"),
        count("conflicts"),
        count("degraded"),
        text("written").split('.').next().unwrap_or_default().to_owned(),
    ]
}

fn note(one: &serde_json::Value) -> Option<String> {
    let fields = ["frozen", "incomplete", "problem"];
    let problem = fields.iter().find_map(|field| one[*field].as_str())?;
    Some(format!("{} {}: {problem}\n", one["provider"].as_str()?, one["zone"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_said_to_be_taken_over_only_where_they_are() {
        let view = |begun, problem: Option<&str>| AdoptedView {
            provider: "memory".to_owned(),
            zone: "z.test".parse().unwrap(),
            taken: vec!["a.z.test".parse().unwrap()],
            left: Vec::new(),
            begun,
            problem: problem.map(str::to_owned),
        };
        let dry = adopted(&view(false, Some("dryRun is set: nothing is written")), true);
        assert!(dry.contains("1 names are left as they are") && dry.contains("! dryRun"), "{dry}");
        assert!(!dry.contains("taken over"), "{dry}");
        assert!(adopted(&view(true, None), true).contains("1 names taken over"));
        assert!(adopted(&view(false, None), false).contains("would be taken over"));
    }
}
