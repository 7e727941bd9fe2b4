//! From a status patch at a real API server to a changed answer: 200 changes on loopback.
//!
//! `cargo bench --bench status_to_answer`. The time is from the patch's HTTP answer to the first
//! DNS answer with the new address, asked for without pause.

#![allow(missing_docs, dead_code)] // a bench has no public side, and uses a part of the harness
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

#[path = "../tests/cluster/harness.rs"]
mod harness;
#[path = "../tests/support/ports.rs"]
mod ports;

use harness::{Clusters, Meridian};
use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

const CHANGES: u8 = 200;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let clusters = Clusters::lock();
    let meridian = Meridian::start(&clusters, &[]);
    clusters.aws.serve("timed", "198.51.100.250");
    meridian.answers("timed.default.magicring.svc", &["198.51.100.250"]);
    let mut times: Vec<Duration> = (0..CHANGES)
        .map(|change| {
            let ip = Ipv4Addr::new(198, 51, 100, change);
            clusters.aws.patch_status("service", "timed", &[&ip.to_string()]);
            until_answered(meridian.dns, ip)
        })
        .collect();
    times.sort();
    let at = |part: f64| times[(f64::from(CHANGES - 1) * part) as usize];
    println!(
        "status patch → changed answer, {CHANGES} changes: p50 {:.1?}, p99 {:.1?}, most {:.1?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn until_answered(port: u16, ip: Ipv4Addr) -> Duration {
    let start = Instant::now();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let name = "timed.default.magicring.svc.demo.madeden.net".parse::<meridian::model::Name>();
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name.unwrap().as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1]);
    let mut answer = [0; 512];
    loop {
        socket.send(&packet).unwrap();
        let length = socket.recv(&mut answer).unwrap();
        if answer[..length].ends_with(&ip.octets()) {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{ip} is not answered");
        std::thread::sleep(Duration::from_millis(1));
    }
}
