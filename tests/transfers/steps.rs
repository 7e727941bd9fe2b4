//! Three secondaries stay in step through a thousand changes.

use crate::{
    others::{ALL, Plan, Server},
    process::{
        Config, KEY, Meridian, PATIENCE, ZONE, free_port, same, serial, serial_at, transferred,
        until,
    },
};
use meridian::model::Serial;
use std::{
    thread,
    time::{Duration, Instant},
};

const CHANGES: usize = 1_000;
/// After so many, all that the secondaries have is compared.
const COMPARED: usize = 100;

const STATIC: &str = "$TTL 300\n@ MX 10 mail\n@ TXT \"v=spf1 -all\"\nmail A 192.0.2.25\n*.wild A \
                      192.0.2.26\nsub NS ns.sub\nns.sub A 192.0.2.27\nsub DS 60485 5 1 \
                      2BB183AF5F22588179A53B0A98631FAD1A292118\n_x._tcp SRV 1 2 3 mail\nodd TYPE65280 \\# 3 \
                      010203\n";

/// What a secondary has been seen to answer.
struct Watched {
    server: Server,
    last: Serial,
}

impl Watched {
    /// Its serial never falls back.
    fn look(&mut self) -> Serial {
        if let Some(now) = serial(self.server.port, ZONE) {
            let kind = self.server.kind;
            let falls = now != self.last && !now.is_after(self.last);
            assert!(!falls, "{kind:?} falls back from {} to {now}", self.last);
            self.last = now;
        }
        self.last
    }
}

#[test]
fn nsd_knot_and_bind_stay_in_step_through_a_thousand_changes() {
    let port = free_port();
    let ports = ALL.map(|_| free_port());
    let told: String = ports
        .iter()
        .map(|own| format!("      - {{address: \"127.0.0.1:{own}\", key: {KEY}}}\n"))
        .collect();
    let config = Config::new(&format!(
        "  masterFile: static.zone\n  transfer:\n    allow: [{{key: {KEY}}}]\n    notify:\n{told}"
    ));
    config.write("static.zone", STATIC);
    let ours = Meridian::start(&config, port, &["--no-state", "--settle", "1"]);
    let plan = Plan { primary: port, signed: true, zones: vec![ZONE], ..Plan::default() };
    let mut all: Vec<Watched> = ALL
        .iter()
        .zip(ports)
        .map(|(kind, own)| Server::secondary(*kind, own, &plan).ready(ZONE))
        .map(|server| Watched { last: serial_at(server.port), server })
        .collect();
    let (mut random, mut services) = (fastrand::Rng::with_seed(1_995), vec![None; 40]);
    let mut last = ours.serial();
    for change in 1..=CHANGES {
        let at = random.usize(..services.len());
        // Another address, or gone.
        services[at] = match services[at] {
            Some(_) if random.u8(..4) == 0 => None,
            old => Some(old.map_or(1, |own: u8| own % 250 + 1)),
        };
        let set = services.iter().enumerate().filter_map(|(at, own)| Some((at, (*own)?)));
        config.services(&set.collect::<Vec<_>>());
        let start = Instant::now();
        let mut now = ours.serial();
        while now == last {
            assert!(start.elapsed() < PATIENCE, "change {change} is not published");
            thread::sleep(Duration::from_millis(2));
            now = ours.serial();
        }
        assert!(now.is_after(last), "ours falls back from {last} to {now}");
        last = now;
        for own in &mut all {
            own.look();
        }
        if change % COMPARED == 0 {
            compare(&ours, &mut all, change);
        }
    }
    let given = |kind: &str| {
        ours.metric(&format!("meridian_transfer_out_total{{kind=\"{kind}\"}}")).unwrap_or_default()
    };
    // Each took the zone whole once, and differences from then on.
    assert!(given("axfr") <= 2 * 3, "{} whole transfers", given("axfr"));
    assert!(given("ixfr") + given("datagram") >= 3 * 5, "{} differences", given("ixfr"));
    let answered = ours.metric("meridian_notify_out_total{result=\"answered\"}");
    assert!(answered.unwrap_or_default() >= 3, "{answered:?} notices were answered");
}

fn compare(ours: &Meridian, all: &mut [Watched], change: usize) {
    let exported = ours.exported(ZONE);
    for own in all {
        let kind = own.server.kind;
        until(&format!("{kind:?} has change {change}"), || own.look() == exported.serial());
        let has = transferred(own.server.port, ZONE, None).unwrap();
        same(&has, &exported, &format!("{kind:?} after {change} changes"));
    }
}
