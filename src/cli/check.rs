//! `meridian check`: is a configuration directory valid?

use super::Output;
use crate::config::{Loaded, Loader, Problem};
use clap::Args;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The directory that `meridian run --config` would read
    directory: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Serialize)]
struct Report {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    federations: usize,
    clusters: usize,
    policies: usize,
    zones: usize,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let Loaded { config, errors, warnings } = Loader::strict(args.directory.clone()).load();
    let valid = errors.is_empty();
    let report = Report {
        errors,
        warnings,
        federations: config.federations.len(),
        clusters: config.members.len(),
        policies: config.policies.len(),
        zones: config.zones.len(),
    };
    match super::show(&report, args.output, text) {
        Ok(()) if valid => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("meridian: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    report.errors.iter().for_each(|problem| text.push_str(&format!("error: {problem}\n")));
    report.warnings.iter().for_each(|problem| text.push_str(&format!("warning: {problem}\n")));
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    };
    text.push_str(&format!(
        "{}, {}, {}, {}: {}, {}\n",
        count(report.federations, "federation", "federations"),
        count(report.clusters, "cluster", "clusters"),
        count(report.policies, "policy", "policies"),
        count(report.zones, "plain zone", "plain zones"),
        count(report.errors.len(), "error", "errors"),
        count(report.warnings.len(), "warning", "warnings"),
    ));
    text
}
