//! How long a change of one service takes to stand at each provider: a figure, not a test, so it is
//! run by hand: `cargo test --release --test battery -- --ignored --nocapture latency`.

use crate::{
    azure_target::AzureZone,
    cloud_dns_target::CloudDnsTarget,
    nameserver::NameServer,
    place::{Place, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use std::time::{Duration, Instant};

const SERVICES: u8 = 100;

/// From the manifest's edit to the provider's answer, sorted: one service after the other, at the
/// double's documented limits.
fn measure(target: &dyn Target) -> Vec<Duration> {
    let place = Place::new(&target.publish()).with_environment(target.environment());
    for (name, text) in target.files() {
        place.file(&name, &text);
    }
    let name = |one: u8| format!("s{one}");
    for one in 0..SERVICES {
        place.serve("aws", &name(one), &[&format!("1.2.3.{one}")]);
        place.serve("gke", &name(one), &[&format!("1.2.4.{one}")]);
    }
    let running = place.start();
    let until = Instant::now() + Duration::from_secs(600);
    while running.status()["phase"] != "inStep" {
        assert!(Instant::now() < until, "{}", running.status());
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut took = Vec::new();
    for one in 0..SERVICES {
        let new = format!("1.2.5.{one}");
        let from = Instant::now();
        place.serve("aws", &name(one), &[&new]);
        wait_for(&new, || target.get(&global(&name(one)), "A").contains(&new).then_some(()));
        took.push(from.elapsed());
        // As failures come: not back to back.
        std::thread::sleep(Duration::from_secs(2));
    }
    took.sort();
    took
}

fn show(provider: &str, target: &dyn Target) {
    let took = measure(target);
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    println!("{provider}: p50 {:?}, p99 {:?}, most {:?}", at(50), at(98), at(100));
}

macro_rules! figures {
    ($($name:ident: $start:expr;)*) => {$(
        #[test]
        #[ignore = "a figure that takes minutes; see the head of the file"]
        fn $name() {
            show(stringify!($name), &$start);
        }
    )*};
}

figures! {
    bind: NameServer::bind(ZONE);
    route_53: Aws::start();
    cloud_dns: CloudDnsTarget::start();
    azure: AzureZone::start();
}
