//! A zone whose static part lives at BIND or Knot: taken, followed, and kept through failures.

use crate::{
    others::{Kind, Server},
    process::{Config, KEY, Meridian, ZONE, ask, free_port, secret, until},
};
use std::{
    io::Write,
    process::{Command, Stdio},
};

const TEXT: &str = "$TTL 300\n@ SOA ns.primary.example. hostmaster 10 3600 1 1209600 30\n@ NS \
                    ns.primary.example.\n@ MX 10 mail\nmail A 192.0.2.25\n";

fn update(server: &Server, lines: &str) {
    let mut child = Command::new("nsupdate")
        .args(["-y", &format!("hmac-sha256:{KEY}:{}", secret())])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("server 127.0.0.1 {}\nzone {ZONE}\n{lines}\nsend\n", server.port);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{lines}: {}", server.log());
}

fn has(ours: &Meridian, row: &str) -> bool {
    meridian::records::rows(&ours.exported(ZONE)).any(|own| own.to_string() == row)
}

fn rcode(port: u16, name: &str) -> u8 {
    let mut found = None;
    until("it answers", || {
        found = ask(port, name, 1);
        found.is_some()
    });
    found.unwrap()[3] & 0x0f
}

#[test]
fn the_static_part_is_taken_from_bind_and_knot_and_follows_their_changes() {
    for kind in [Kind::Bind, Kind::Knot] {
        let port = free_port();
        let primary = Server::primary(kind, ZONE, TEXT, port).ready(ZONE);
        let config = Config::new(&format!(
            "  transferFrom: {{primary: \"127.0.0.1:{}\", key: {KEY}}}\n  transfer: {{allow: [{{key: \
             {KEY}}}]}}\n",
            primary.port
        ));
        config.services(&[(1, 1)]);
        let state = tempfile::tempdir().unwrap();
        let kept = ["--state-dir", state.path().to_str().unwrap()];
        let ours = Meridian::start(&config, port, &kept);
        until("the static part is there", || has(&ours, "mail.fed.example.com. 300 A 192.0.2.25"));
        until("the services too", || {
            has(&ours, "s1.default.fed.svc.fed.example.com. 30 A 198.51.100.1")
        });
        assert_eq!(rcode(port, "nothing.fed.example.com"), 3);

        // A change comes by notice, as differences.
        update(
            &primary,
            "update add new.fed.example.com 60 A 192.0.2.77\nupdate delete mail.fed.example.com A",
        );
        until("the change is there", || has(&ours, "new.fed.example.com. 60 A 192.0.2.77"));
        assert!(!has(&ours, "mail.fed.example.com. 300 A 192.0.2.25"));
        assert!(ours.metric("meridian_notify_in_total{result=\"heeded\"}") >= Some(1));
        assert!(ours.metric("meridian_transfer_in_total{result=\"newer\"}") >= Some(2));

        // The primary is gone, and we start again: what it gave last is served.
        drop(primary);
        until("the state is on disk", || state.path().join("state").exists());
        let before = ours.serial();
        drop(ours);
        let again = Meridian::start(&config, port, &kept);
        until("the copy is served", || has(&again, "new.fed.example.com. 60 A 192.0.2.77"));
        until("the failure is said", || {
            again.metric("meridian_transfer_in_total{result=\"failed\"}") >= Some(1)
        });
        assert_eq!(rcode(port, "nothing.fed.example.com"), 3);
        let after = again.serial();
        assert!(after.is_after(before), "{kind:?}: {after} follows on {before}");
    }
}

#[test]
fn what_a_primary_signed_is_left_out_where_the_zone_is_signed_here() {
    let port = free_port();
    let text = format!(
        "{TEXT}old 86400 A 192.0.2.26\nold NSEC zz.{ZONE}. A RRSIG NSEC\nold RRSIG A 13 4 86400 \
         20360101000000 20250101000000 1 {ZONE}. YWJj\n"
    );
    let primary = Server::primary(Kind::Bind, ZONE, &text, port).ready(ZONE);
    let config = Config::new(&format!(
        "  transferFrom: {{primary: \"127.0.0.1:{}\", key: {KEY}}}\n  dnssec: {{signaturesLast: \
         24h}}\n",
        primary.port
    ));
    let state = tempfile::tempdir().unwrap();
    let kept = ["--state-dir", state.path().to_str().unwrap()];
    let ours = Meridian::start(&config, port, &kept);
    until("the static part is there", || has(&ours, "old.fed.example.com. 21600 A 192.0.2.26"));
    let rows: Vec<String> =
        meridian::records::rows(&ours.exported(ZONE)).map(|own| own.to_string()).collect();
    let foreign = |row: &String| row.contains("zz.") || row.contains("YWJj");
    assert!(!rows.iter().any(foreign), "{rows:#?}");
    let soa = rows.iter().find(|row| row.contains(" SOA ")).unwrap();
    assert!(soa.ends_with(" 21600 30"), "{soa}");
}

#[test]
fn before_the_primary_was_ever_reached_nothing_is_denied() {
    let (port, nobody) = (free_port(), free_port());
    let config = Config::new(&format!("  transferFrom: {{primary: \"127.0.0.1:{nobody}\"}}\n"));
    config.services(&[(1, 1)]);
    let ours = Meridian::start(&config, port, &["--no-state"]);
    until("a service is answered", || rcode(port, "s1.default.fed.svc.fed.example.com") == 0);
    assert_eq!(rcode(port, "mail.fed.example.com"), 2);
    until("the failure is said", || ours.says("cannot be reached over TCP"));
}

/// Invariant I13: what the primary has is denied by nobody who cannot ask it.
#[test]
fn a_key_that_goes_missing_denies_nothing_and_takes_no_copy_away() {
    let port = free_port();
    let primary = Server::primary(Kind::Knot, ZONE, TEXT, port).ready(ZONE);
    let config = Config::new(&format!(
        "  transferFrom: {{primary: \"127.0.0.1:{}\", key: {KEY}}}\n",
        primary.port
    ));
    config.services(&[(1, 1)]);
    let keys = std::fs::read_to_string(config.path().join("keys")).unwrap();
    let others = keys.replace(KEY, "another-key");
    let state = tempfile::tempdir().unwrap();
    let kept = ["--state-dir", state.path().to_str().unwrap()];
    let ours = Meridian::start(&config, port, &kept);
    until("the static part is there", || has(&ours, "mail.fed.example.com. 300 A 192.0.2.25"));

    // Taken from the file while it runs.
    config.write("keys", &others);
    until("it is said", || ours.says("is in no --tsig-key-file"));
    assert!(ours.says("its serial 10 stays in force"));
    assert_eq!(rcode(port, "mail.fed.example.com"), 0);
    drop(ours);

    // Missing from the start on.
    let again = Meridian::start(&config, port, &kept);
    until("the copy is served", || rcode(port, "mail.fed.example.com") == 0);
    until("it is said", || again.says("its serial 10 stays in force"));
    assert_eq!(rcode(port, "mail.fed.example.com"), 0);
    drop(again);

    // Without a copy, too; until the key is there.
    let bare = Meridian::start(&config, port, &["--no-state"]);
    until("a service is answered", || rcode(port, "s1.default.fed.svc.fed.example.com") == 0);
    assert_eq!(rcode(port, "mail.fed.example.com"), 2);
    until("it is said", || bare.says("SERVFAIL until it can be had"));
    assert_eq!(rcode(port, "mail.fed.example.com"), 2);
    config.write("keys", &keys);
    until("the static part is there", || has(&bare, "mail.fed.example.com. 300 A 192.0.2.25"));
}
