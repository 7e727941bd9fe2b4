//! The fuzz targets without their engine: all that is kept in `inputs/`, and some thousand changes of
//! it, which are the same in every run.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

#[path = "src/lib.rs"]
mod targets;

use data_encoding::BASE64;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use targets::{ALL, Target};

/// Changed inputs of each target.
const CHANGED: usize = 3_000;
/// What is kept in all: the repository is not an archive.
const MOST_KEPT: u64 = 1_500_000;

/// What an input takes is counted for the whole process, so they go one after another.
static ONE: Mutex<()> = Mutex::new(());

fn replay(name: &str, changed: usize) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = ALL.iter().find(|own| own.name == name).unwrap();
    let mut inputs = kept(name);
    inputs.extend((target.seeds)());
    inputs.iter().for_each(|input| run(target, input));
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..changed {
        let mut input = inputs[rng.usize(..inputs.len())].clone();
        (0..=rng.usize(..3)).for_each(|_| change(&mut input, &inputs, &mut rng));
        run(target, &input);
    }
}

/// An input that fails is shown as `inputs/` would have it.
fn run(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("{} fails on {}", target.name, BASE64.encode(input));
        resume_unwind(panic);
    }
}

fn change(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut fastrand::Rng) {
    let at = rng.usize(..=input.len());
    let end = (at + rng.usize(..=16)).min(input.len());
    match rng.u8(..7) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => {
            input[at] = *rng.choice(&[0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff]).unwrap();
        }
        2 => drop(input.drain(at..end)),
        3 => {
            let part = input[at..end].to_vec();
            drop(input.splice(at..at, part));
        }
        4 => input.truncate(at),
        5 => {
            let other = &others[rng.usize(..others.len())];
            let from = rng.usize(..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => input.insert(at, rng.u8(..)),
    }
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fuzz/inputs", name].iter().collect()
}

/// What is kept of a target: an input on each line, in base 64.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(file(name)).unwrap_or_default();
    text.lines().map(|line| BASE64.decode(line.as_bytes()).unwrap()).collect()
}

#[test]
fn packets_are_answered_within_bounds_and_alike_both_ways() {
    replay("packet", CHANGED);
}

#[test]
fn names_are_themselves_however_they_are_written() {
    replay("name", 10 * CHANGED);
}

#[test]
fn options_are_answered_as_the_rfcs_say() {
    replay("edns", CHANGED);
}

#[test]
fn messages_come_out_of_a_connection_however_they_are_cut() {
    replay("stream", CHANGED / 10);
}

#[test]
fn master_files_are_read_written_and_read_again() {
    replay("master", CHANGED);
}

#[test]
fn damaged_files_of_the_state_directory_are_said_to_be_damaged() {
    replay("state", CHANGED / 3);
}

#[test]
fn nothing_that_was_changed_is_believed() {
    replay("tsig", CHANGED);
}

#[test]
fn transfers_from_anybody_end_in_a_zone_or_in_nothing() {
    replay("transfer", CHANGED);
}

#[test]
fn headers_of_proxies_are_read_no_further_than_they_go() {
    replay("proxy", 10 * CHANGED);
}

#[test]
fn what_is_kept_is_little_and_of_these_targets() {
    let mut octets = 0;
    for entry in fs::read_dir(file("")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(ALL.iter().any(|target| target.name == name), "{name} is no target");
        octets += entry.metadata().unwrap().len();
    }
    assert!(octets < MOST_KEPT, "{octets} octets");
}

/// Adds what every target begins with to `inputs/`: once, when a target is new.
#[test]
#[ignore = "writes to the repository"]
fn write_seeds() {
    fs::create_dir_all(file("")).unwrap();
    for target in &ALL {
        let known: BTreeSet<_> = kept(target.name).into_iter().collect();
        let mut file =
            fs::File::options().create(true).append(true).open(file(target.name)).unwrap();
        for seed in (target.seeds)().iter().filter(|seed| !known.contains(*seed)) {
            writeln!(file, "{}", BASE64.encode(seed)).unwrap();
        }
    }
}
