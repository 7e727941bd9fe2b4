//! What goes wrong at Route 53: keys, rights, zones, clocks, poisoned batches, storms, torn wires.

use crate::{
    double::common::{Denied, Fault},
    place::{Place, Running, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use serde_json::Value;
use std::time::{Duration, Instant};

const CHANGE: &str = "ChangeResourceRecordSets";
const LIST: &str = "ListResourceRecordSets";

fn place(aws: &Aws) -> Place {
    Place::new(&aws.publish()).with_environment(aws.environment())
}

fn holds(aws: &Aws, running: &Running, service: &str, ips: &[&str]) {
    let name = global(service);
    wait_for(&format!("{name} to be {ips:?}; {}\n{}", running.status(), running.log()), || {
        (aws.get(&name, "A") == ips).then_some(())
    });
}

/// The problem that a writer is stopped by.
fn problem(running: &Running, words: &[&str]) -> String {
    let found = |text: &str| words.iter().all(|word| text.contains(word));
    wait_for(&format!("a problem with {words:?}: {}", running.status()), || {
        running.status()["problem"].as_str().filter(|text| found(text)).map(str::to_owned)
    })
}

/// Looks at once, whatever it waits for; nothing is left to do.
fn in_step(running: &Running) {
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}\n{}", running.status());
}

// === Keys, rights, clocks ===

#[test]
fn without_keys_nothing_is_sent() {
    let aws = Aws::start();
    let mut environment = aws.environment();
    environment.retain(|(name, _)| !name.contains("KEY"));
    let place = Place::new(&aws.publish()).with_environment(environment);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    problem(&running, &["not allowed: "]);
    assert_eq!(aws.route53.control.total(), 0);
}

#[test]
fn keys_that_nobody_knows_and_secrets_that_do_not_fit_are_said() {
    for (name, code) in [
        ("AWS_ACCESS_KEY_ID", "InvalidClientTokenId"),
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
    ] {
        let aws = Aws::start();
        let mut environment = aws.environment();
        environment.retain(|pair| pair.0 != name);
        environment.push((name.to_owned(), "AKIDOTHER".to_owned()));
        let place = Place::new(&aws.publish()).with_environment(environment);
        place.serve("aws", "shop", &["1.2.3.1"]);
        let running = place.start();
        let text = problem(&running, &["not allowed: ", code]);
        assert!(!text.contains("clock"), "{text}");
        assert!(aws.data().is_empty());
    }
}

#[test]
fn who_may_only_read_is_told_which_right_is_missing() {
    let aws = Aws::start();
    aws.route53.deny(Denied::ReadOnly);
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    problem(&running, &["not allowed: ", "route53:ChangeResourceRecordSets"]);
    assert!(aws.data().is_empty());
    // No storm of calls that cannot succeed.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(aws.calls(CHANGE), 1);
    aws.route53.deny(Denied::None);
    running.say(&["plan"]);
    holds(&aws, &running, "shop", &["1.2.3.1"]);
}

#[test]
fn a_clock_that_is_off_is_said_as_such() {
    let aws = Aws::start();
    aws.route53.clock_ahead(Duration::from_secs(3_600));
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    problem(&running, &["not allowed: ", "clock is off"]);
    aws.route53.clock_ahead(Duration::ZERO);
    running.say(&["plan"]);
    holds(&aws, &running, "shop", &["1.2.3.1"]);
}

// === Zones ===

#[test]
fn of_two_zones_of_one_name_somebody_must_choose() {
    let aws = Aws::start();
    let private = aws.route53.private_zone(ZONE);
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let text = problem(&running, &["zoneId"]);
    for word in [format!("{} (public)", aws.zone), format!("{private} (private)")] {
        assert!(text.contains(&word), "{word}: {text}");
    }
    assert!(aws.data().is_empty());
    place.configure(&aws.publish_with(&format!(", zoneId: {}", aws.zone)), "");
    holds(&aws, &running, "shop", &["1.2.3.1"]);
    assert_eq!(aws.route53.sets(&private).len(), 2);
}

#[test]
fn a_zone_id_of_another_name_is_refused() {
    let aws = Aws::start();
    let other = aws.route53.zone("example.net");
    let place = place(&aws);
    place.configure(&aws.publish_with(&format!(", zoneId: {other}")), "");
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    problem(&running, &["example.net.", ZONE, &other]);
    assert_eq!((aws.calls(CHANGE), aws.calls(LIST)), (0, 0));
}

#[test]
fn a_zone_that_is_deleted_is_said_and_its_successor_is_found() {
    let aws = Aws::start();
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    holds(&aws, &running, "shop", &["1.2.3.1"]);
    aws.route53.drop_zone(&aws.zone);
    running.say(&["plan"]);
    problem(&running, &["no such hosted zone"]);
    let next = aws.route53.zone(ZONE);
    running.say(&["plan"]);
    wait_for(&format!("the new zone to be filled; {}", running.status()), || {
        let name = global("shop");
        aws.route53.sets(&next).iter().any(|set| set.name == name).then_some(())
    });
}

// === Batches ===

#[test]
fn one_poisoned_name_does_not_stop_the_others() {
    let aws = Aws::start();
    let poisoned = global("s5");
    aws.route53.protect(&aws.zone, &poisoned, "A");
    let place = place(&aws);
    for one in 0..12 {
        place.serve("aws", &format!("s{one}"), &[&format!("1.2.4.{one}")]);
    }
    let running = place.start();
    for one in (0..12).filter(|one| *one != 5) {
        holds(&aws, &running, &format!("s{one}"), &[&format!("1.2.4.{one}")]);
    }
    let status = wait_for("the poison to be found", || {
        let status = running.status();
        (status["setAside"][0][0] == *poisoned).then_some(status)
    });
    assert_eq!(status["setAside"].as_array().map(Vec::len), Some(1), "{status}");
    assert!(status["setAside"][0][1].as_str().unwrap().contains("is protected"), "{status}");
    assert!(aws.get(&poisoned, "A").is_empty());
}

#[test]
fn a_first_fill_of_a_thousand_names_keeps_to_the_limits() {
    let aws = Aws::start();
    let place = place(&aws);
    for one in 0..340 {
        place.serve("aws", &format!("s{one}"), &[&format!("1.2.{}.{}", one / 200, one % 200)]);
    }
    let running = place.start();
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let names = aws.data().len();
        if names >= 1_000 && running.status()["phase"] == "inStep" {
            break;
        }
        assert!(Instant::now() < until, "{names} names; {}", running.status());
        std::thread::sleep(Duration::from_millis(500));
    }
    let status = running.status();
    assert!(status["failures"].as_u64().unwrap() <= 3, "{status}");
    in_step(&running);
}

#[test]
fn a_storm_of_others_is_waited_out() {
    let aws = Aws::start();
    for call in [LIST, CHANGE, CHANGE] {
        aws.route53.control.fail(call, Fault::Throttled(None));
    }
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    holds(&aws, &running, "shop", &["1.2.3.1"]);
    assert_eq!(running.phase("inStep")["failures"], 3);
}

#[test]
fn a_zone_that_is_at_work_is_waited_for() {
    let aws = Aws::start();
    aws.route53.process_in(Duration::from_millis(1_500));
    let place = place(&aws);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    holds(&aws, &running, "shop", &["1.2.3.1"]);
    place.serve("aws", "shop", &["1.2.3.2"]);
    holds(&aws, &running, "shop", &["1.2.3.2"]);
    let status = running.phase("inStep");
    assert!(status["failures"].as_u64().unwrap() >= 1, "{status}");
    assert_eq!(status["setAside"], Value::Array(vec![]), "{status}");
}

#[test]
fn a_torn_wire_leaves_nothing_undone_and_nothing_twice() {
    for fault in [Fault::TornBefore, Fault::TornAfter, Fault::Status(503)] {
        let aws = Aws::start();
        aws.route53.control.fail(CHANGE, fault.clone());
        aws.route53.control.fail(LIST, Fault::TornAfter);
        let place = place(&aws);
        place.serve("aws", "shop", &["1.2.3.1"]);
        let running = place.start();
        holds(&aws, &running, "shop", &["1.2.3.1"]);
        let status = running.phase("inStep");
        let times = if fault == Fault::TornAfter { 1 } else { 2 };
        assert_eq!(aws.calls(CHANGE), times, "{fault:?} {status}");
        for list in ["conflicts", "held", "setAside"] {
            assert_eq!(status[list], Value::Array(vec![]), "{fault:?} {status}");
        }
        in_step(&running);
    }
}
