//! Secondaries get differences also from a process that was started again.

use crate::process::{Config, KEY, Meridian, ZONE, free_port, name, secret, until};
use meridian::transfer::Past;
use std::{fs, process::Command};

#[test]
fn after_a_restart_differences_lead_on_from_what_was_served_before() {
    let port = free_port();
    let config = Config::new(&format!("  transfer: {{allow: [{{key: {KEY}}}]}}\n"));
    config.services(&[(1, 1), (2, 2)]);
    let state = tempfile::tempdir().unwrap();
    let kept = ["--state-dir", state.path().to_str().unwrap()];
    let ours = Meridian::start(&config, port, &kept);
    until("its services are there", || ours.exported(ZONE).len() == 8);
    let first = ours.serial();
    config.services(&[(1, 1), (2, 3)]);
    until("the change is there", || ours.serial() != first);
    let second = ours.serial();
    let journal = state.path().join("transfers").join(format!("{ZONE}.journal"));
    until("it is on disk, and the state too", || {
        let past = fs::read(&journal).ok().and_then(|own| Past::read(&name(ZONE), &own));
        past.and_then(|own| own.serial()) == Some(second) && state.path().join("state").exists()
    });
    drop(ours);
    config.services(&[(1, 1), (2, 4)]);
    let again = Meridian::start(&config, port, &kept);
    until("the newest is served", || {
        let rows = again.exported(ZONE);
        meridian::records::rows(&rows).any(|own| own.to_string().contains("198.51.100.4"))
    });
    for (serial, old) in [(first, "198.51.100.2"), (second, "198.51.100.3")] {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port.to_string(), "+tcp", "+noall", "+answer"])
            .args(["-y", &format!("hmac-sha256:{KEY}:{}", secret())])
            .args([ZONE, &format!("IXFR={serial}")])
            .output()
            .expect("dig is installed by tests/setup.sh");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!(" {serial} ")), "its SOA begins what goes: {text}");
        assert!(text.contains(old) && text.contains("198.51.100.4"), "{text}");
        assert!(!text.contains("198.51.100.1\n"), "what stayed the same is not sent: {text}");
    }
    assert_eq!(again.metric("meridian_transfer_out_total{kind=\"axfr\"}").unwrap_or_default(), 0);
    assert!(again.metric("meridian_transfer_out_total{kind=\"ixfr\"}") >= Some(2));
}
