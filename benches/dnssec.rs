//! Figures for signing: a zone of 10,000 services, signed whole and changed one name at a time, and
//! what answers with and without signatures cost.
//!
//! `cargo bench --bench dnssec`

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

use meridian::{
    dnssec::{Algorithm, Before, Key, Keys, OnlineSigner, Role, Signing, Validity},
    model::{Client, Name, Ttl},
    records::{
        self, Denial, DnssecOk, Node, Question, RecordType, Rrset, Zone, ZoneSet, no_includes,
        parse_master,
    },
    server::{Arrival, Transport, respond},
};
use ring::rand::SystemRandom;
use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZero,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::Instant,
};

const SERVICES: u32 = 10_000;

fn main() {
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{SERVICES} services, each with A and AAAA");
    let zone = zone();
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let with = signing(&zone, algorithm, false);
        let signed = whole(&zone, &with, algorithm);
        one_change(&zone, &signed, &with);
        if algorithm == Algorithm::EcdsaP256 {
            answers(&zone, &signed);
            compact(&zone);
        }
    }
}

fn name(at: u32) -> Name {
    format!("svc{at}.default.magic.svc.fed.bench").parse().unwrap()
}

fn node(at: u32, turn: u8) -> Node {
    let v4 = IpAddr::from(Ipv4Addr::from(0xc633_0000 | at));
    let v6: IpAddr = format!("2001:db8::{at:x}:{turn:x}").parse().unwrap();
    let ttl = Ttl::SERVED;
    Node::new([Rrset::a(ttl, [v4]), Rrset::aaaa(ttl, [v6])].into_iter().flatten())
}

fn zone() -> Zone {
    let text = "@ 60 SOA ns1 host 1 2 3 4 30\n@ 60 NS ns1.example.net.\n";
    let apex = "fed.bench".parse().unwrap();
    let base = parse_master(&apex, "bench", text, &mut no_includes).unwrap().zone;
    base.with((0..SERVICES).map(|at| (name(at).key(), Some(node(at, 0)))), base.serial())
}

fn signing(zone: &Zone, algorithm: Algorithm, compact: bool) -> Signing {
    let key = Arc::new(Key::generate(algorithm, Role::Csk.flags(), &SystemRandom::new()).unwrap());
    let all = || vec![key.clone()];
    let keys = Keys { published: all(), sign_keys: all(), sign_zone: all(), wished: all() };
    let validity = Validity { inception: 0, expiration: 4_000_000_000 };
    let denial = match compact {
        false => Denial::Chain,
        true => Denial::Compact(Arc::new(OnlineSigner::new(zone.apex().clone(), all(), validity))),
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let key_ttl = Ttl::from_secs(3_600);
    Signing { keys, key_ttl, lifetime: 1_209_600, denial, now: 1_800_000_000, threads }
}

fn sign(with: &Signing, zone: &Zone, before: Option<&Before>) -> Zone {
    let (random, progress) = (SystemRandom::new(), AtomicUsize::new(0));
    with.sign(zone, zone.serial(), before, [], &random, &progress).unwrap()
}

fn whole(zone: &Zone, with: &Signing, algorithm: Algorithm) -> Zone {
    let start = Instant::now();
    let signed = sign(with, zone, None);
    let took = start.elapsed();
    let signatures = u128::from(3 * SERVICES);
    let rate = signatures * 1_000_000_000 / took.as_nanos().max(1);
    let (threads, name) = (with.threads, algorithm.mnemonic());
    println!("{name:<16} whole zone    {took:.2?} ({rate} signatures/s, {threads} threads)");
    signed
}

fn one_change(zone: &Zone, signed: &Zone, with: &Signing) {
    const CHANGES: u32 = 200;
    let mut before = Before { source: Arc::new(zone.clone()), signed: Arc::new(signed.clone()) };
    let start = Instant::now();
    for turn in 0..CHANGES {
        let at = turn * 37 % SERVICES;
        let change = (name(at).key(), Some(node(at, 1 + u8::try_from(turn).unwrap())));
        let source = before.source.with([change], before.source.serial().next(0));
        let signed = sign(with, &source, Some(&before));
        before = Before { source: Arc::new(source), signed: Arc::new(signed) };
    }
    let each = start.elapsed() / CHANGES;
    println!("                 one change    {each:.2?} (A or AAAA, and SOA)");
}

fn query(name: &Name, dnssec_ok: bool) -> Vec<u8> {
    let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend([0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
    packet
}

fn answers(zone: &Zone, signed: &Zone) {
    let [plain, signed] = [zone, signed].map(|zone| ZoneSet::from(zone.clone()));
    let there: Vec<Name> = (0..1_000).map(|at| name(at * 7)).collect();
    let nowhere: Vec<Name> = (0..1_000)
        .map(|at| format!("no{at}.default.magic.svc.fed.bench").parse().unwrap())
        .collect();
    for (what, served, names, dnssec_ok) in [
        ("not signed", &plain, &there, false),
        ("signed, without DO", &signed, &there, false),
        ("signed, DO", &signed, &there, true),
        ("signed, NXDOMAIN", &signed, &nowhere, false),
        ("signed, NXDOMAIN, DO", &signed, &nowhere, true),
    ] {
        ask(what, served, names, dnssec_ok);
    }
}

fn compact(zone: &Zone) {
    let signed = ZoneSet::from(sign(&signing(zone, Algorithm::EcdsaP256, true), zone, None));
    let names: Vec<Name> = (0..1_000)
        .map(|at| format!("no{at}.default.magic.svc.fed.bench").parse().unwrap())
        .collect();
    let start = Instant::now();
    for name in &names {
        let dnssec = DnssecOk::Yes;
        let question = Question { name: name.as_wire(), rtype: RecordType::A, dnssec };
        black_box(records::lookup(&signed, &question, &Client::NEUTRAL));
    }
    println!("query, compact denial, first time    {:.2?}", start.elapsed() / 1_000);
    ask("compact denial, remembered", &signed, &names, true);
}

fn ask(what: &str, served: &ZoneSet, names: &[Name], dnssec_ok: bool) {
    const ROUNDS: u32 = 200;
    let packets: Vec<Vec<u8>> = names.iter().map(|name| query(name, dnssec_ok)).collect();
    let from = IpAddr::from([192, 0, 2, 1]);
    let arrival = Arrival::new(from, Transport::Udp);
    let (mut out, mut octets) = (Vec::new(), 0);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for packet in &packets {
            black_box(respond(served, packet, &arrival, &mut out));
            octets = out.len();
        }
    }
    let each = start.elapsed().as_nanos() / u128::from(ROUNDS) / packets.len() as u128;
    println!("query, {what:<30} {each} ns, {octets} octets");
}
