//! dig and kdig ask for transfers, with and without a key, and secondaries without keys.

use crate::{
    others::{ALL, Plan, Server},
    process::{
        Config, KEY, Meridian, ZONE, free_port, key, name, same, secret, transferred, until,
    },
};
use meridian::records::{no_includes, parse_master};
use std::process::Command;

fn run(program: &str, port: u16, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(["@127.0.0.1", "-p", &port.to_string()])
        .args(args)
        .output()
        .expect("dig and kdig are installed by tests/setup.sh");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The zone as dig prints a transfer, its SOA a second time at the end.
fn printed(text: &str) -> meridian::records::Zone {
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).collect();
    assert_eq!(lines.first(), lines.last(), "{text}");
    assert!(lines[0].contains("SOA"), "{text}");
    let text = lines[..lines.len() - 1].join("\n");
    parse_master(&name(ZONE), "dig", &text, &mut no_includes).unwrap_or_else(|e| panic!("{e}")).zone
}

#[test]
fn dig_and_kdig_get_the_zone_with_the_key_alone() {
    let port = free_port();
    let config = Config::new(&format!("  transfer: {{allow: [{{key: {KEY}}}]}}\n"));
    config.services(&[(1, 1), (2, 2)]);
    let ours = Meridian::start(&config, port, &["--no-state"]);
    until("its services are there", || ours.exported(ZONE).len() == 8);
    let exported = ours.exported(ZONE);
    let y = format!("hmac-sha256:{KEY}:{}", secret());
    for program in ["dig", "kdig"] {
        let text = run(program, port, &["-y", &y, ZONE, "AXFR", "+noall", "+answer"]);
        same(&printed(&text), &exported, program);
    }
    let expire = run("dig", port, &["+expire", ZONE, "SOA"]);
    assert!(expire.contains("EXPIRE: ") && expire.contains("status: NOERROR"), "{expire}");
    let verified = run("dig", port, &["-y", &y, ZONE, "AXFR"]);
    assert!(
        !verified.contains("Couldn't verify") && !verified.contains("expected a TSIG"),
        "{verified}"
    );
    assert!(verified.contains("Query time"), "{verified}");

    let refused = run("dig", port, &[ZONE, "AXFR"]);
    assert!(refused.contains("Transfer failed"), "{refused}");
    let wrong = format!("hmac-sha256:{KEY}:{}", secret().replace('a', "b"));
    let text = run("dig", port, &["-y", &wrong, ZONE, "AXFR"]);
    assert!(text.contains("BADSIG") || text.contains("tsig verify failure"), "{text}");
    let text = run("dig", port, &["-y", &y.replace(KEY, "other"), ZONE, "AXFR"]);
    assert!(text.contains("BADKEY") || text.contains("tsig verify failure"), "{text}");
    assert!(ours.metric("meridian_tsig_refused_total{error=\"BADKEY\"}") >= Some(1));
    assert!(ours.metric("meridian_transfer_denied_total{reason=\"rules\"}") >= Some(1));

    // IXFR: the same serial is one SOA, an older one differences, an unknown one the whole.
    let before = exported.serial();
    config.services(&[(1, 7), (2, 2)]);
    until("the change is published", || ours.serial() != before);
    let ixfr = |serial: u32| {
        let wanted = format!("IXFR={serial}");
        run("dig", port, &["-y", &y, ZONE, &wanted, "+noall", "+answer", "+tcp"])
    };
    let soas = |text: &str| text.lines().filter(|line| line.contains("\tSOA\t")).count();
    let now = ours.serial();
    assert_eq!(ixfr(now.0).lines().count(), 1);
    let differences = ixfr(before.0);
    assert_eq!(soas(&differences), 4, "{differences}");
    assert!(differences.contains("198.51.100.1") && differences.contains("198.51.100.7"));
    same(&printed(&ixfr(1)), &ours.exported(ZONE), "an unknown serial");

    // A signed lookup is answered signed, over UDP too.
    let text = run("dig", port, &["-y", &y, ZONE, "SOA"]);
    assert!(text.contains("TSIG PSEUDOSECTION") && text.contains("NOERROR"), "{text}");
    assert!(!text.contains("Couldn't verify"), "{text}");
    let text = run("dig", port, &[ZONE, "AXFR", "+notcp", "+noall", "+comments"]);
    assert!(!text.contains("ANSWER: 1"), "{text}");
}

#[test]
fn networks_are_enough_where_no_key_is_asked_for() {
    let port = free_port();
    let ports = ALL.map(|_| free_port());
    let told: String =
        ports.iter().map(|own| format!("{{address: \"127.0.0.1:{own}\"}}, ")).collect();
    let config = Config::new(&format!(
        "  transfer: {{allow: [{{networks: [127.0.0.0/8]}}], notify: [{told}]}}\n"
    ));
    let ours = Meridian::start(&config, port, &["--no-state"]);
    let plan = Plan { primary: port, zones: vec![ZONE], ..Plan::default() };
    let all: Vec<_> = ALL
        .iter()
        .zip(ports)
        .map(|(kind, own)| Server::secondary(*kind, own, &plan).ready(ZONE))
        .collect();
    config.services(&[(3, 9)]);
    until("the change is published", || ours.exported(ZONE).len() == 5);
    for own in &all {
        let exported = ours.exported(ZONE);
        let has = || transferred(own.port, ZONE, None).ok();
        until(&format!("{:?} has the change", own.kind), || {
            has().is_some_and(|zone| zone.serial() == exported.serial())
        });
        same(&has().unwrap(), &exported, &format!("{:?}", own.kind));
    }
    // A key that is known is no hindrance.
    same(&transferred(port, ZONE, Some(&key())).unwrap(), &ours.exported(ZONE), "signed");
}

#[test]
fn nobody_gets_anything_unless_it_is_said() {
    let port = free_port();
    let config = Config::new("");
    let ours = Meridian::start(&config, port, &["--no-state"]);
    for key in [None, Some(key())] {
        let refused = transferred(ours.port, ZONE, key.as_ref()).unwrap_err();
        assert!(refused.contains("REFUSED"), "{refused}");
    }
    let elsewhere = transferred(ours.port, "example.net", None).unwrap_err();
    assert!(elsewhere.contains("REFUSED") || elsewhere.contains("NOTAUTH"), "{elsewhere}");
}
