//! Calls and seconds at each provider: filling a zone of 10,000 names, one endpoint changed, one
//! cluster lost, ten minutes of nothing.
//!
//! The real planner and writer against a zone in memory that answers at once, on a clock that is
//! turned by hand: the seconds are what the writer's own pace (a share of the provider's documented
//! limits, `plan::Capabilities`) makes of it. A provider's time to answer comes on top.
//!
//! `cargo bench --bench providers`

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // it may panic and read the clock

use meridian::{
    model::{Key, Moment, Name, Ttl},
    plan::{Capabilities, Listing, Manner, Owner, RecordSet, Rendered, Say, Sight, Step, Writer},
    records::RecordType,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

const NAMES: u16 = 10_000;

struct World {
    at: Moment,
    there: Listing,
    writer: Writer,
    calls: usize,
    atomic: bool,
}

/// `lost`: names whose second address is gone.
fn wanted(changed: usize, lost: bool) -> Arc<Rendered> {
    let name = |one: u16| -> Name { format!("s{one}.default.fed.svc.z.test").parse().unwrap() };
    let say = |one: u16| {
        let [high, low] = one.to_be_bytes();
        let mut data = vec![[1, 2, high, low], [1, 3, high, low]];
        if lost {
            data.truncate(1);
        }
        if usize::from(one) < changed {
            data[0][0] = 9;
        }
        let set = RecordSet::plain(&name(one), RecordType::A, Ttl::WRITTEN, data);
        let say = Say {
            object: "service default/s".into(),
            clusters: Arc::default(),
            sets: Some(vec![set]),
            unchecked: None,
        };
        (name(one).key(), say)
    };
    let names: BTreeMap<Key, Say> = (0..NAMES).map(say).collect();
    let sight = Sight::default();
    Arc::new(Rendered {
        names,
        switches: meridian::plan::Switches::default(),
        degraded: vec![],
        sight,
    })
}

impl World {
    fn new(can: &Capabilities) -> Self {
        let zone: Name = "z.test".parse().unwrap();
        let owner = Owner::new("bench", "one", &[vec![1; 32]]).unwrap();
        Self {
            at: Moment { mono: Instant::now(), wall: jiff::Timestamp::now() },
            there: Listing::whole(zone.clone(), []),
            writer: Writer::new(owner, zone, can.clone(), Manner::default()),
            calls: 0,
            atomic: can.atomic,
        }
    }

    /// Until nothing is to be done for five minutes: calls, seconds of the turned clock, and of ours.
    fn settle(&mut self) -> (usize, f64, f64) {
        let (calls, begun, real) = (self.calls, self.at.mono, Instant::now());
        let mut last = begun;
        loop {
            match self.writer.next(self.at) {
                Step::Read => {
                    self.calls += 1;
                    self.writer.read(self.at, Ok(self.there.clone()));
                }
                Step::Write(batch) => {
                    let sets: BTreeSet<_> =
                        batch.deletes().chain(batch.creates()).map(|set| &set.key).collect();
                    self.calls += if self.atomic { 1 } else { sets.len() };
                    assert!(self.there.fits(&batch));
                    self.there = self.there.clone().after(&batch);
                    self.writer.wrote(self.at, Ok(Vec::new()));
                    last = self.at.mono;
                }
                // Waits for the pace are shorter than this, the next look is farther off.
                Step::Sleep(Some(until)) if until < self.at.mono + Duration::from_secs(310) => {
                    self.at = self.at.after(until - self.at.mono);
                }
                Step::Sleep(_) => break,
            }
        }
        let paced = (last - begun).as_secs_f64();
        (self.calls - calls, paced, real.elapsed().as_secs_f64())
    }
}

fn main() {
    println!("{NAMES} names; calls, seconds at the writer's pace, seconds of its own work");
    println!(
        "{:<16} {:>26} {:>26} {:>26} {:>14}",
        "provider", "first fill", "one endpoint", "one cluster lost", "10 min idle"
    );
    let providers = [
        Capabilities::RFC2136,
        Capabilities::ROUTE53,
        Capabilities::CLOUD_DNS,
        Capabilities::AZURE,
    ];
    for can in providers {
        let mut world = World::new(&can);
        let shown =
            |(calls, paced, own): (usize, f64, f64)| format!("{calls} / {paced:.1} s / {own:.2} s");
        world.writer.want(Ok(wanted(0, false)));
        let fill = shown(world.settle());
        // Buckets are full again by the time that something changes.
        world.at = world.at.after(Duration::from_secs(600));
        world.writer.want(Ok(wanted(1, false)));
        let one = shown(world.settle());
        world.at = world.at.after(Duration::from_secs(400));
        world.writer.want(Ok(wanted(1, true)));
        let lost = shown(world.settle());
        let before = world.calls;
        for _ in 0..600 {
            world.at = world.at.after(Duration::from_secs(1));
            while !matches!(world.writer.next(world.at), Step::Sleep(_)) {
                world.calls += 1;
            }
        }
        let idle = world.calls - before;
        println!("{:<16} {fill:>26} {one:>26} {lost:>26} {idle:>14}", can.name);
    }
}
