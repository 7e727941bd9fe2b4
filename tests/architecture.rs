//! The dependency rule, checked: pure modules use only pure modules, downhill; wires never use
//! each other; only `controller` joins wires; only `cli` uses `config` and `controller`.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each module may use. The table is the rule.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("geo", &["model"]),
    ("health", &["model"]),
    ("policy", &["model", "geo", "health"]),
    ("records", &["model", "geo", "policy"]),
    ("dnssec", &["model", "records"]),
    ("transfer", &["model", "geo", "policy", "records"]),
    ("fleet", &["model", "geo", "health", "policy", "records"]),
    ("plan", &["model", "geo", "health", "policy", "records", "fleet"]),
    ("source", &["model"]),
    ("probe", &["model", "health"]),
    ("provider", &["model", "records", "plan"]),
    ("server", &["model", "records", "transfer"]),
    ("replica", &["model", "records", "transfer"]),
    ("web", &["model", "geo", "health", "policy", "records", "fleet", "plan", "dnssec"]),
    ("telemetry", &["model", "fleet", "plan", "probe", "server", "transfer"]),
    (
        "config",
        &[
            "model", "geo", "health", "policy", "records", "fleet", "plan", "source", "probe",
            "provider", "dnssec", "transfer",
        ],
    ),
    (
        "controller",
        &[
            "model",
            "geo",
            "health",
            "policy",
            "records",
            "fleet",
            "plan",
            "dnssec",
            "source",
            "probe",
            "provider",
            "server",
            "transfer",
            "replica",
            "web",
            "config",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "geo",
            "health",
            "policy",
            "records",
            "fleet",
            "plan",
            "dnssec",
            "source",
            "probe",
            "provider",
            "server",
            "transfer",
            "replica",
            "web",
            "config",
            "telemetry",
            "controller",
        ],
    ),
];

const PURE: &[&str] =
    &["model", "geo", "health", "policy", "records", "dnssec", "transfer", "fleet", "plan"];
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "kube",
    "reqwest",
    "tracing",
    "axum",
    "notify",
    "hickory_resolver",
    "hickory_server",
];
/// `hickory-proto` speaks to servers that take updates, and is a second opinion in the tests of
/// record data and of signatures; answers are ours.
const HICKORY_PROTO: &[&str] = &["records", "transfer", "provider"];

/// A longer file is searched, not read.
const MOST_LINES: usize = 500;

#[test]
fn modules_use_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        let Some(allowed) = table.get(module.as_str()) else {
            assert!(["main", "lib"].contains(&module.as_str()), "{module} is not in the table");
            continue;
        };
        for used in used_modules(&text) {
            if used != module && table.contains_key(used.as_str()) && !allowed.contains(&&*used) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_have_no_runtime_socket_log_or_kubernetes() {
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        for name in IMPURE_CRATES.iter().filter(|_| PURE.contains(&module.as_str())) {
            if text.contains(&format!("{name}::")) {
                wrong.push(format!("{} uses {name}", file.display()));
            }
        }
        if text.contains("hickory_proto::") && !HICKORY_PROTO.contains(&module.as_str()) {
            wrong.push(format!("{} uses hickory_proto", file.display()));
        }
        let impure_std = ["std::fs", "std::net::TcpListener", "std::net::UdpSocket", "std::env"];
        for name in impure_std.iter().filter(|_| PURE.contains(&module.as_str())) {
            if text.contains(name) {
                wrong.push(format!("{} uses {name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_decides_and_stays_readable() {
    let mut wrong = Vec::new();
    let tests = |file: &Path| file.file_name().is_some_and(|name| name == "tests.rs");
    for (_, file, text) in sources().into_iter().filter(|(_, file, _)| !tests(file)) {
        let shown = file.display();
        if !text.starts_with("//!") {
            wrong.push(format!("{shown} does not open with //!"));
        }
        let length = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if length > MOST_LINES {
            wrong
                .push(format!("{shown} has {length} lines before its tests, at most {MOST_LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_outside_tests_unwraps() {
    let mut wrong = Vec::new();
    let tests = |file: &Path| file.file_name().is_some_and(|name| name == "tests.rs");
    for (_, file, text) in sources().into_iter().filter(|(_, file, _)| !tests(file)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim().starts_with("//"))
        {
            if line.contains(".unwrap()") || line.contains("panic!(") || line.contains("todo!(") {
                wrong.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Module, path and text of every source file.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).unwrap().to_owned();
                let first = below.components().next().unwrap().as_os_str().to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                found.push((module, below, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The first segment of every `crate::…`, also within `use crate::{…}`.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            used.extend(group_heads(group));
        } else {
            used.insert(head(rest));
        }
    }
    used
}

/// The heads of a brace group's members at its first level.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut fresh) = (0, Vec::new(), true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            letter if fresh && (letter.is_alphabetic() || letter == '_') => {
                heads.push(head(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[test]
fn the_reader_of_imports_sees_through_groups() {
    let text =
        "use crate::{\n    fleet::{self, Snapshot},\n    model::Name,\n};\nuse crate::web::State;";
    let used: Vec<_> = used_modules(text).into_iter().collect();
    assert_eq!(used, ["fleet", "model", "web"]);
}
