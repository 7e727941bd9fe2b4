//! A signed zone at NSD, Knot and BIND: they have every signature that we have, through changes and
//! through signatures that are made again, and a validator believes what they answer.

use crate::{
    others::{ALL, Plan, Server},
    process::{Config, KEY, Meridian, ZONE, free_port, until},
};
use std::{fs, path::Path, process::Command};

const POLICIES: &str = "\
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: near, namespace: default}
spec:
  targets: [{kind: Service, name: s1}]
  order: {geo: {map: [{continents: [EU], clusters: [one]}], default: [one]}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: fenced, namespace: default}
spec:
  targets: [{kind: Service, name: s2}]
  order: {geo: {map: [{continents: [EU], clusters: [one]}], default: [one]}}
  fence: {allow: {one: {countries: [DE]}}, allowNoData: true}
";

const STATIC: &str = "$TTL 5\n@ MX 10 mail\nmail A 192.0.2.25\n*.wild A 192.0.2.26\nsub NS ns.sub\nns.sub A \
                      192.0.2.27\nsafe NS ns.safe\nsafe DS 60485 13 2 \
                      d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a\nns.safe A \
                      192.0.2.28\ndeep.ent TXT deep\n";

/// Steered names, one that nobody in particular gets, and every kind of denial.
const QUESTIONS: [(&str, &str); 11] = [
    ("@", "SOA"),
    ("@", "DNSKEY"),
    ("mail", "A"),
    ("mail", "MX"),
    ("nothing", "A"),
    ("ent", "A"),
    ("x.wild", "A"),
    ("x.wild", "TXT"),
    ("sub", "DS"),
    ("s1.default.fed.svc", "A"),
    ("s2.default.fed.svc", "A"),
];

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program} is installed by setup.sh: {error}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// All records, in an order that does not depend on who gives them; SOA first.
fn whole(port: u16) -> Vec<String> {
    let port = port.to_string();
    let args = ["@127.0.0.1", "-p", &port, "+noall", "+answer", "+onesoa", ZONE, "AXFR"];
    let text = run("dig", &args);
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut all: Vec<String> = text.lines().map(line).filter(|own| own.contains(" IN ")).collect();
    all.sort_by_key(|own| (!own.contains(" IN SOA "), own.clone()));
    all
}

/// What the zone says of itself is whole and holds together.
fn verify(place: &Path, zone: &[String], who: &str) {
    let file = place.join("zone");
    fs::write(&file, zone.join("\n") + "\n").unwrap();
    let said = run("ldns-verify-zone", &[file.to_str().unwrap()]);
    assert!(said.contains("Zone is verified and complete"), "{who}: {said}\n{}", zone.join("\n"));
}

/// A validator that knows the zone's key believes every answer of that server.
fn validate(place: &Path, zone: &[String], port: u16, who: &str) {
    let key = zone.iter().find(|own| own.contains(" IN DNSKEY 257 ")).unwrap();
    let words: Vec<&str> = key.split(' ').collect();
    let anchors = place.join("anchors");
    let (algorithm, key) = (words[6], words[7..].concat());
    let text = format!("trust-anchors {{ \"{ZONE}\" static-key 257 3 {algorithm} \"{key}\"; }};");
    fs::write(&anchors, text).unwrap();
    let (anchors, root) = (anchors.to_str().unwrap(), format!("+root={ZONE}"));
    let port = port.to_string();
    for (name, rtype) in QUESTIONS {
        let name = if name == "@" { ZONE.to_owned() } else { format!("{name}.{ZONE}") };
        let args = ["-a", anchors, &root, "@127.0.0.1", "-p", &port, &name, rtype];
        let text = run("delv", &args);
        assert!(text.contains("fully validated"), "{who}: {name} {rtype}: {text}");
    }
}

/// Every secondary gets to what we have, and that is right.
fn in_step(ours: &Meridian, all: &[Server], place: &Path, when: &str) -> Vec<String> {
    let mut zone = Vec::new();
    for own in all {
        let who = format!("{:?} {when}", own.kind);
        until(&format!("{who} has all that we have"), || {
            zone = whole(ours.port);
            whole(own.port) == zone
        });
        verify(place, &zone, &who);
        validate(place, &zone, own.port, &who);
    }
    zone
}

fn signature<'z>(zone: &'z [String], name: &str) -> &'z str {
    let start = format!("{name}.{ZONE}. ");
    let found = zone.iter().find(|own| own.starts_with(&start) && own.contains(" IN RRSIG A "));
    found.unwrap_or_else(|| panic!("{name} has no signature: {zone:#?}"))
}

#[test]
fn nsd_knot_and_bind_answer_from_a_signed_zone_what_a_validator_believes() {
    let (port, ports) = (free_port(), ALL.map(|_| free_port()));
    let told: String = ports
        .iter()
        .map(|own| format!("      - {{address: \"127.0.0.1:{own}\", key: {KEY}}}\n"))
        .collect();
    let config = Config::new(&format!(
        "  ttl: 5\n  masterFile: static.zone\n  dnssec: {{keys: split, keyTtl: 2, dsTtl: 2s, propagation: \
         1s}}\n  transfer:\n    allow: [{{key: {KEY}}}, {{networks: [127.0.0.1/32]}}]\n    notify:\n{told}"
    ));
    config.write("static.zone", STATIC);
    config.write("policies.yaml", POLICIES);
    config.services(&[(1, 1), (2, 2), (3, 3)]);
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = Meridian::start(&config, port, &["--state-dir", state.path().to_str().unwrap()]);
    until("the services are signed", || {
        let zone = whole(port);
        let has =
            |name: &str| zone.iter().any(|own| own.starts_with(name) && own.contains(" RRSIG A "));
        has("s1.default.fed.svc") && has("s3.default.fed.svc")
    });
    let plan = Plan { primary: port, signed: true, zones: vec![ZONE], ..Plan::default() };
    let start = |(kind, own): (_, u16)| Server::secondary(kind, own, &plan).ready(ZONE);
    let all: Vec<Server> = ALL.into_iter().zip(ports).map(start).collect();
    let first = in_step(&ours, &all, place.path(), "at first");
    assert!(!signature(&first, "s1.default.fed.svc").is_empty(), "the default view is signed");
    let fenced = format!("s2.default.fed.svc.{ZONE}.");
    let fenced: Vec<&String> = first.iter().filter(|own| own.starts_with(&fenced)).collect();
    let nsec = fenced.iter().find(|own| own.contains(" IN NSEC ")).unwrap();
    let addressed = fenced.iter().any(|own| own.contains(" IN A "));
    assert_eq!(nsec.contains(" A RRSIG "), addressed, "NSEC says what the copy has: {fenced:#?}");

    let given = |kind: &str| {
        ours.metric(&format!("meridian_transfer_out_total{{kind=\"{kind}\"}}")).unwrap_or_default()
    };
    let whole_before = given("axfr");
    // One moves, one goes, one comes.
    config.services(&[(1, 1), (2, 2), (3, 33)]);
    until("the move", || whole(port).iter().any(|own| own.ends_with(" A 198.51.100.33")));
    in_step(&ours, &all, place.path(), "after a move");
    config.services(&[(1, 1), (2, 2), (4, 4)]);
    until("the other", || whole(port).iter().any(|own| own.ends_with(" A 198.51.100.4")));
    let changed = in_step(&ours, &all, place.path(), "after one went and one came");

    // Only signatures change: another key makes all of them again.
    until("the key may be changed", || ours.cli(&["dnssec", "roll", "--key", "zsk"]));
    until("all is signed again", || signature(&whole(port), "mail") != signature(&changed, "mail"));
    let renewed = in_step(&ours, &all, place.path(), "after signing again");
    assert_ne!(signature(&renewed, "mail"), signature(&changed, "mail"));
    assert_ne!(renewed[0], changed[0], "the serial has risen");
    // Our own looks above were whole; the secondaries came by differences.
    let by_differences = given("ixfr") + given("datagram");
    assert!(by_differences >= 3 * 3, "{by_differences} differences, {whole_before} whole before");
}
