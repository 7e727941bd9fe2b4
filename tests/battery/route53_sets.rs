//! Route 53's own record sets, written by `meridian run`: names, pages, limits, and routing that is
//! asked from several countries.

use crate::{
    double::common::Shown,
    place::{Place, Running, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Service `shop` of both clusters, not started yet.
fn shop(aws: &Aws) -> Place {
    let place = Place::new(&aws.publish()).with_environment(aws.environment());
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("gke", "shop", &["1.2.3.2"]);
    place
}

/// The policy of service `shop`.
fn policy(place: &Place, spec: &str) {
    let text = format!(
        "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: shop, namespace: \
         default}}\nspec:\n  targets: [{{kind: Service, name: shop}}]\n{spec}"
    );
    place.file("policy.yaml", &text);
}

const WEIGHTED: &str = "  weights: {aws: 80, gke: 20}\n  pick: random\n";
const GEO: &str = "  order:\n    geo:\n      map:\n        - {continents: [EU], clusters: [gke]}\n        \
                   - {continents: [AS], clusters: [aws]}\n        - {countries: [JP], clusters: [gke]}\n      \
                   default: [aws, gke]\n";
const PROXIMITY: &str = "  order: {proximity: {}}\n";

/// Waits until the sets of the global name have these words in their extra.
fn routed(aws: &Aws, running: &Running, word: &str, count: usize) {
    let name = global("shop");
    let has = |set: &Shown| word.is_empty() || set.extra[word] != json!(null);
    wait_for(&format!("{count} sets with {word}; {}\n{}", running.status(), running.log()), || {
        let sets = aws.sets(&name, "A");
        (sets.len() == count && sets.iter().all(has)).then_some(())
    });
}

fn in_step(running: &Running) {
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}\n{}", running.status());
}

// === Names, pages, limits ===

#[test]
fn names_that_need_escaping_are_written_and_read_back() {
    let aws = Aws::start();
    let place = Place::new(&aws.publish()).with_environment(aws.environment());
    let text = "*.wild 60 A 1.2.3.8\nat\\@sign 60 A 1.2.3.9\ndot\\.ted 60 A 1.2.3.10\n";
    place.file("more.zone", text);
    place.configure(&aws.publish(), "  masterFile: more.zone\n");
    let running = place.start();
    for (name, ip) in
        [("*.wild", "1.2.3.8"), ("at\\100sign", "1.2.3.9"), ("dot\\056ted", "1.2.3.10")]
    {
        let name = format!("{name}.{ZONE}.");
        wait_for(&format!("{name}; {}\n{}", running.status(), running.log()), || {
            (aws.get(&name, "A") == [ip]).then_some(())
        });
    }
    assert_eq!(aws.answer(&format!("any.wild.{ZONE}."), "DE"), ["1.2.3.8"]);
    running.phase("inStep");
    in_step(&running);
    drop(running);
    // A process without memory finds them as its own.
    place.file("more.zone", "*.wild 60 A 1.2.3.8\n");
    let running = place.start();
    wait_for("the others to go", || {
        aws.get(&format!("at\\100sign.{ZONE}."), "A").is_empty().then_some(())
    });
    in_step(&running);
}

#[test]
fn a_zone_of_many_pages_is_read_whole() {
    let aws = Aws::start();
    for at in 0..800 {
        let shown = Shown {
            name: format!("theirs{}.{ZONE}.", at / 100),
            rtype: "A".to_owned(),
            ttl: Some(60),
            data: vec!["1.2.9.9".to_owned()],
            set: Some(format!("set {at}")),
            extra: json!({ "Weight": 1 }),
        };
        aws.route53.put(&aws.zone, &shown);
    }
    let place = shop(&aws);
    policy(&place, WEIGHTED);
    let running = place.start();
    routed(&aws, &running, "Weight", 2);
    assert!(aws.calls("ListResourceRecordSets") >= 3);
    running.phase("inStep");
    in_step(&running);
    assert_eq!(aws.sets(&format!("theirs7.{ZONE}."), "A").len(), 100);
}

#[test]
fn four_hundred_values_are_written_and_the_rest_is_said_to_be_missing() {
    let aws = Aws::start();
    let place = Place::new(&aws.publish()).with_environment(aws.environment());
    let ips: Vec<String> = (0..401).map(|one| format!("1.2.{}.{}", one / 200, one % 200)).collect();
    place.serve("aws", "many", &ips.iter().map(String::as_str).collect::<Vec<_>>());
    let running = place.start();
    wait_for(&format!("400 values; {}", running.status()), || {
        (aws.get(&global("many"), "A").len() == 400).then_some(())
    });
    let status = running.phase("inStep");
    let said = status["degraded"].to_string();
    assert!(said.contains("401 values, of which aws-route53 takes 400"), "{said}");
    in_step(&running);
}

// === Routing ===

/// Simple, weighted, by place, simple: sets of different kinds never stand beside each other, so
/// all go and come in one batch, and no client ever gets nothing.
#[test]
fn a_name_changes_its_kind_of_routing_without_a_gap() {
    let aws = Aws::start();
    let place = shop(&aws);
    let running = place.start();
    routed(&aws, &running, "", 1);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut gaps = 0;
            while !done.load(Ordering::Relaxed) {
                for country in ["DE", "US", "JP", "?"] {
                    gaps += usize::from(aws.answer(&global("shop"), country).is_empty());
                }
                thread::sleep(Duration::from_micros(200));
            }
            gaps
        });
        let steps = [(WEIGHTED, "Weight", 2), (GEO, "GeoLocation", 4), ("", "", 1)];
        for (spec, word, count) in steps.into_iter().chain([(GEO, "GeoLocation", 4)]) {
            policy(&place, spec);
            routed(&aws, &running, word, count);
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(asking.join().unwrap(), 0, "answers that were empty");
    });
    let status = running.phase("inStep");
    assert_eq!(status["failures"], 0, "{status}");
    in_step(&running);
}

#[test]
fn clients_get_what_the_policy_gives_their_place() {
    let aws = Aws::start();
    let place = shop(&aws);
    policy(&place, GEO);
    let running = place.start();
    routed(&aws, &running, "GeoLocation", 4);
    let name = global("shop");
    for (country, ip) in [("DE", "1.2.3.2"), ("US", "1.2.3.1"), ("JP", "1.2.3.2"), ("?", "1.2.3.1")]
    {
        assert_eq!(aws.answer(&name, country), [ip], "{country}");
    }
    policy(&place, PROXIMITY);
    routed(&aws, &running, "GeoProximityLocation", 2);
    for (country, ip) in [("US", "1.2.3.1"), ("JP", "1.2.3.2")] {
        assert_eq!(aws.answer(&name, country), [ip], "{country}");
    }
    in_step(&running);
}

/// From one way of finding the nearest to the other all sets go and come in one batch.
#[test]
fn the_nearest_is_found_by_latency_where_that_is_chosen() {
    let aws = Aws::start();
    let place = shop(&aws);
    policy(&place, PROXIMITY);
    let running = place.start();
    routed(&aws, &running, "GeoProximityLocation", 2);
    place.configure(&aws.publish_with(", proximity: latency"), "");
    routed(&aws, &running, "Region", 2);
    let sets = aws.sets(&global("shop"), "A");
    let regions: Vec<_> = sets.iter().map(|set| set.extra["Region"].clone()).collect();
    assert!(regions.contains(&json!("us-west-2")) && regions.contains(&json!("ap-east-2")));
    for (country, ip) in [("US", "1.2.3.1"), ("JP", "1.2.3.2")] {
        assert_eq!(aws.answer(&global("shop"), country), [ip], "{country}");
    }
    let status = running.phase("inStep");
    let said = status["degraded"].to_string();
    assert!(said.contains("gke is in no region of AWS: it is said to be in ap-east-2"), "{said}");
    in_step(&running);
    // A set holds one record: what has more is said by distance.
    place.serve("gke", "shop", &["1.2.3.2", "1.2.3.3"]);
    routed(&aws, &running, "GeoProximityLocation", 2);
    let status = running.phase("inStep");
    assert!(status["degraded"].to_string().contains("written by distance"), "{status}");
    place.serve("gke", "shop", &["1.2.3.2"]);
    routed(&aws, &running, "Region", 2);
    place.configure(&aws.publish(), "");
    routed(&aws, &running, "GeoProximityLocation", 2);
    let status = running.phase("inStep");
    assert_eq!(status["failures"], 0, "{status}");
    in_step(&running);
}

/// Route 53 takes no two geoproximity sets at one point.
#[test]
fn two_clusters_at_one_place_are_answered_together() {
    let aws = Aws::start();
    let place = shop(&aws);
    let node = std::fs::read_to_string(place.path("m").join("aws").join("node.yaml")).unwrap();
    std::fs::write(place.path("m").join("gke").join("node.yaml"), node).unwrap();
    policy(&place, PROXIMITY);
    let running = place.start();
    routed(&aws, &running, "GeoProximityLocation", 1);
    let status = running.phase("inStep");
    assert!(status["degraded"].to_string().contains("aws and gke are at one place"), "{status}");
    assert_eq!(aws.answer(&global("shop"), "US"), ["1.2.3.1", "1.2.3.2"]);
}

#[test]
fn clients_are_shared_by_weight_also_where_a_cluster_has_several_addresses() {
    let aws = Aws::start();
    let place = shop(&aws);
    place.serve("aws", "shop", &["1.2.3.1", "1.2.3.11"]);
    policy(&place, WEIGHTED);
    let running = place.start();
    routed(&aws, &running, "Weight", 3);
    let gke = (0..1_000).filter(|_| aws.answer(&global("shop"), "DE") == ["1.2.3.2"]).count();
    assert!((150..250).contains(&gke), "{gke} of 1000");
    in_step(&running);
}
