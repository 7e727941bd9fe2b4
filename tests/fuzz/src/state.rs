//! Every file that the state directory holds, and those that people put beside it: what is damaged
//! is said, what can be read can be gone on with.
//!
//! Octet 0 says which file; the state itself comes with or without its first line.

use super::{
    work,
    world::{config, fleet, moment, name},
};
use data_encoding::HEXLOWER;
use meridian::{
    controller::{Kept, check_kept, read_state},
    dnssec::bind,
    fleet::{Event, Fleet, FleetConfig, Saved},
    model::Client,
    records::{DnssecOk, Question, RecordType, lookup},
    server::Secrets,
    transfer::Keys,
};
use ring::rand::SystemRandom;
use sha2::{Digest, Sha256};

/// Octets of memory for each octet of a file, and for none.
const EACH: usize = 4_096;
const BASE: usize = 1 << 20;
/// What going on from a state takes, for each octet of it.
const GOING_ON: usize = 64 << 10;

/// See above.
pub fn run(data: &[u8]) {
    let Some((kind, octets)) = data.split_first() else { return };
    let most = BASE + EACH * octets.len();
    let kind = usize::from(*kind) % (Kept::ALL.len() + 5);
    if let Some(kept) = Kept::ALL.get(kind) {
        let checked = || check_kept(*kept, octets, &name("z.test"));
        return drop(work::at_most(most, "a file", checked));
    }
    let text = String::from_utf8_lossy(octets);
    match kind - Kept::ALL.len() {
        0 => drop(work::at_most(most, "the state", || read_state(octets))),
        1 => {
            let read = work::at_most(most, "the state", || read_state(&headed(octets)));
            if let Ok(saved) = read {
                go_on(saved, octets.len());
            }
        }
        2 => drop(work::at_most(most, "secrets", || Secrets::parse(&text))),
        3 => drop(work::at_most(most, "keys", || Keys::parse(&text).map(drop))),
        _ => pair(&text, most),
    }
}

/// A DNSSEC key: both files, with a line of `---` between them.
fn pair(text: &str, most: usize) {
    let (public, private) = text.split_once("---").unwrap_or((text, ""));
    let random = SystemRandom::new();
    let read = || bind::read(&name("z.test"), public, private, &random);
    if let Ok((key, times)) = work::at_most(most, "a key", read) {
        let private = bind::private_text(&key, &times);
        let public = bind::public_text(&name("z.test"), &key, &times);
        let again = bind::read(&name("z.test"), &public, &private, &random);
        assert_eq!(again.expect("what was written can be read"), (key, times));
    }
}

/// With the first line that belongs to it.
fn headed(body: &[u8]) -> Vec<u8> {
    let sum = HEXLOWER.encode(&Sha256::digest(body));
    [format!("meridian-state-1 {} {sum}\n", body.len()).as_bytes(), body].concat()
}

/// A fleet that goes on from there answers, and keeps what can be read again.
fn go_on(saved: Saved, length: usize) {
    let body = serde_json::to_vec(&saved).expect("it was JSON");
    let again = read_state(&headed(&body)).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("it was JSON"), body);
    work::at_most(BASE + GOING_ON * length, "going on", || {
        let mut fleet = Fleet::restore(saved, moment());
        // Steering is compiled from what is known of clusters, and takes its time.
        let config = FleetConfig { policies: Vec::new(), ..config() };
        fleet.apply(moment(), Event::Configured(config));
        let snapshot = fleet.snapshot(moment());
        for asked in ["svc0.default.magic.svc.fed.test", "fed.test", "x.fed.test"] {
            let asked = name(asked);
            let (rtype, dnssec) = (RecordType::A, DnssecOk::No);
            let question = Question { name: asked.as_wire(), rtype, dnssec };
            let _ = lookup(&snapshot.served, &question, &Client::NEUTRAL);
        }
        let body = serde_json::to_vec(&fleet.save(moment())).expect("a state is JSON");
        read_state(&headed(&body)).expect("what was written can be read");
    });
}

/// A file of each kind as it is written.
pub fn seeds() -> Vec<Vec<u8>> {
    let body = {
        let mut fleet = fleet();
        fleet.snapshot(moment());
        serde_json::to_vec(&fleet.save(moment())).unwrap()
    };
    let empty = serde_json::to_vec(&Fleet::new(moment()).save(moment())).unwrap();
    let rollover = br#"{"keys":[{"tag":1,"role":"CSK","dnskey":{"at":"Omnipresent","since":1}}]}"#;
    let texts: [(u8, &[u8]); 11] = [
        (0, rollover),
        (1, br#"{"id":"0011223344ff","instance":"0011223344ff","keys":["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}"#),
        (2, br#"{"a.z.test.":"Service"}"#),
        (3, br#"{"reason":"x","by":null,"since":"2026-01-01T00:00:00Z"}"#),
        (4, br#"{"at":"2026-01-01T00:00:00Z","zone":"z.test.","name":"a.z.test.","type":"A"}"#),
        (5, b"; meridian-transfer-1 confirmed 7\n@ 60 SOA a b 1 2 3 4 5\n@ 60 NS b.\n"),
        (7, &empty),
        (8, b"e5e973e5a6b2a43f48e7dc849e37bfcf # active\n445536bcd2513298075a5d379663c962\n"),
        (9, b"key \"k\" { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"; };\n/* x */ # y\n"),
        (9, b"k:hmac-sha512:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"),
        (
            10,
            b"z.test. IN DNSKEY 257 3 13 7nB0MKMjpFn3brhmtQfsyQZkhrEYcGMs831SvN4VZM2OaU7cVFCNU0qCjTOJy3XQRGmIM7xur/300dgZ1dADWQ==\n---Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: /V/pWWlqUBCZq8CMK4hViz82ctfGqsha1T5Opf1eYnI=\nCreated: 20261121112933\n",
        ),
    ];
    let mut seeds: Vec<_> = texts.iter().map(|(kind, own)| [&[*kind], *own].concat()).collect();
    seeds.push([&[6][..], &headed(&empty)].concat());
    seeds.push([&[7][..], &body].concat());
    seeds
}
