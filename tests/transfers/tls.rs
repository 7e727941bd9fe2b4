//! Transfers over TLS (RFC 9103) with everything real: BIND and NSD as secondaries, BIND as the
//! primary, and kdig. (Knot transfers over TLS from 3.4 on; Debian has an older one.)

use crate::{
    others::{Kind, Plan, Server},
    process::{Config, KEY, Meridian, ZONE, free_port, local, same, secret, transferred, until},
};
use std::{fs, path::Path, process::Command};

/// The name that certificates are for.
const HOST: &str = "ns1.fed.example.com";

/// A certificate that stands for itself, its key beside it.
fn certificate(place: &Path) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let (chain, key) = (place.join("tls.crt"), place.join("tls.key"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (chain.display().to_string(), key.display().to_string())
}

#[test]
fn bind_and_nsd_have_the_zone_over_tls_alone_and_stay_in_step() {
    let (port, over_tls) = (free_port(), free_port());
    let kinds = [Kind::Bind, Kind::Nsd];
    let ports = kinds.map(|_| free_port());
    let told: String = ports
        .iter()
        .map(|own| format!("      - {{address: \"127.0.0.1:{own}\", key: {KEY}}}\n"))
        .collect();
    let config = Config::new(&format!(
        "  transfer:\n    allow: [{{key: {KEY}, tls: true}}]\n    notify:\n{told}"
    ));
    config.services(&[(1, 1)]);
    let (chain, key) = certificate(config.path());
    let listen = local(over_tls).to_string();
    let ours = Meridian::start(
        &config,
        port,
        &["--no-state", "--dot-listen", &listen, "--dns-tls-cert", &chain, "--dns-tls-key", &key],
    );
    until("its service is there", || ours.exported(ZONE).len() == 5);
    let tls = Some((HOST, chain.clone()));
    let plan = Plan { primary: over_tls, signed: true, zones: vec![ZONE], tls, ..Plan::default() };
    let all: Vec<Server> = kinds
        .iter()
        .zip(ports)
        .map(|(kind, own)| Server::secondary(*kind, own, &plan).ready(ZONE))
        .collect();
    for services in [vec![(1, 2)], vec![(1, 2), (2, 3)], vec![(2, 3)]] {
        let before = ours.serial();
        config.services(&services);
        until("the change is published", || ours.serial() != before);
        for own in &all {
            until(&format!("{:?} has it", own.kind), || {
                crate::process::serial(own.port, ZONE) == Some(ours.serial())
            });
            let has = transferred(own.port, ZONE, None).unwrap();
            same(&has, &ours.exported(ZONE), &format!("{:?}", own.kind));
        }
    }
    assert_eq!(
        ours.metric("meridian_transfer_denied_total{reason=\"tls\"}").unwrap_or_default(),
        0
    );

    let kdig = |port: u16, more: &[&str]| {
        let y = format!("hmac-sha256:{KEY}:{}", secret());
        let port = port.to_string();
        let output = Command::new("kdig")
            .args(["@127.0.0.1", "-p", &port, "-y", &y, ZONE, "AXFR"])
            .args(more)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let ca = format!("+tls-ca={chain}");
    let text = kdig(over_tls, &["+tls", &ca, &format!("+tls-hostname={HOST}")]);
    assert_eq!(text.matches("\tSOA\t").count(), 2, "{text}");
    let refused = kdig(port, &[]);
    assert!(refused.contains("REFUSED") && !refused.contains("\tSOA\t"), "{refused}");
    until("it is counted", || {
        ours.metric("meridian_transfer_denied_total{reason=\"tls\"}") == Some(1)
    });
}

#[test]
fn the_static_part_is_taken_from_bind_over_tls_and_from_nobody_who_cannot_prove_to_be_it() {
    let place = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(place.path());
    let text = "$TTL 300\n@ SOA ns.primary.example. hostmaster 10 2 1 1209600 30\n@ NS \
                ns.primary.example.\nmail A 192.0.2.25\n";
    let (primary, over_tls) = Server::primary_over_tls(ZONE, text, (&chain, &key));
    let pem: String = fs::read_to_string(&chain)
        .unwrap()
        .lines()
        .map(|line| format!("\n        {line}"))
        .collect();
    for (host, given) in [(HOST, true), ("ns2.fed.example.com", false)] {
        let port = free_port();
        let config = Config::new(&format!(
            "  transferFrom:\n    primary: \"127.0.0.1:{over_tls}\"\n    key: {KEY}\n    tls:\n      \
             serverName: {host}\n      caBundle: |{pem}\n"
        ));
        let ours = Meridian::start(&config, port, &["--no-state"]);
        if given {
            until("the static part is there", || {
                let row = "mail.fed.example.com. 300 A 192.0.2.25";
                meridian::records::rows(&ours.exported(ZONE)).any(|own| own.to_string() == row)
            });
        } else {
            until("it is said", || ours.says("cannot be taken for ns2.fed.example.com over TLS"));
        }
    }
    drop(primary);
}
