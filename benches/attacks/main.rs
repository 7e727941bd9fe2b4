//! What floods and hoarders cost `meridian run`, and what is left for honest clients meanwhile.
//!
//! `benches/attacks/run.sh [SECONDS] [ATTACK...]`: in a network namespace of its own, where every
//! address of 198.18.0.0/15 is this machine's, so that sources can be forged and limits by address
//! are in force as they are by default. A row for each attack, against a process that was started for
//! it.

#![allow(missing_docs, unreachable_pub)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

mod flood;
mod hoard;
mod honest;
mod process;

use process::{Cost, Process};
use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

/// Where the server listens.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 1), 5399);

/// What an attack has sent, and what came back to its victims.
#[derive(Default)]
struct Sent {
    /// Packets, or messages over connections.
    packets: u64,
    octets: u64,
    back: u64,
}

type Attack = fn(Instant) -> Sent;

const ATTACKS: [(&str, Attack); 11] = [
    ("nothing", |until| {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Sent::default()
    }),
    ("any", flood::any),
    ("subdomains", flood::subdomains),
    ("responses", flood::responses),
    ("self", flood::own_address),
    ("pointers", flood::pointers),
    ("slowloris", hoard::slowloris),
    ("half-frames", hoard::half_frames),
    ("never-read", hoard::never_read),
    ("64-kib", hoard::long_messages),
    ("pipelined", hoard::pipelined),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if UdpSocket::bind((*SERVER.ip(), 0)).is_err() {
        println!("attacks: needs addresses of its own; run benches/attacks/run.sh");
        return;
    }
    let seconds = arguments.iter().find_map(|own| own.parse().ok()).unwrap_or(10);
    let names: Vec<_> = arguments.iter().filter(|own| own.parse::<u64>().is_err()).collect();
    println!(
        "| attack | packets/s | CPU per packet | resident before, most, after | honest UDP | honest \
         TCP | octets out per octet in |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for (name, attack) in ATTACKS {
        let asked_for = names.is_empty() || names.iter().any(|own| *own == name);
        if asked_for || names.iter().all(|own| own.starts_with("--")) {
            row(name, attack, Duration::from_secs(seconds));
        }
    }
}

fn row(name: &str, attack: Attack, time: Duration) {
    let process = Process::start();
    let before = process.cost();
    let start = Instant::now();
    let until = start + time;
    let honest = honest::Clients::start(until);
    let watched = process.watch(until);
    let sent = attack(until);
    let took = start.elapsed();
    let most = watched.join().unwrap();
    let after_attack = process.cost();
    let [udp, tcp] = honest.shares();
    // What is kept longer than connections may idle is kept.
    std::thread::sleep(Duration::from_secs(12));
    let after = process.cost();
    assert!(process.answers(), "{name}: it answers no more");
    let cpu = Cost::cpu_between(&before, &after_attack);
    let each = match sent.packets {
        0 => format!("{:.1} % of one", 100.0 * cpu.as_secs_f64() / took.as_secs_f64()),
        packets => format!("{:.2} µs", cpu.as_secs_f64() * 1e6 / packets as f64),
    };
    let rate = sent.packets as f64 / took.as_secs_f64();
    let amplified = match sent.octets {
        0 => "–".to_owned(),
        octets => format!("{:.3}", sent.back as f64 / octets as f64),
    };
    println!(
        "| {name} | {rate:.0} | {each} | {:.1}, {:.1}, {:.1} MB | {udp} | {tcp} | {amplified} |",
        before.megabytes(),
        most.megabytes(),
        after.megabytes()
    );
}
