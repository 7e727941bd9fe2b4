//! Health checks at Route 53 that are ours: made, reused, told again, replaced, and at work while
//! no process of ours is.

use crate::{
    double::{
        common::{Fault, Shown},
        route53::Route53,
    },
    place::{Place, Running, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

/// Service `shop` of both clusters by place, checked by Route 53. Port 90 is one that our own
/// probes never ask (`probe::Ports`), so that nothing leaves this machine.
struct Checked {
    aws: Aws,
    place: Place,
}

const CREATE: &str = "CreateHealthCheck";
const HTTP: &str = "{protocol: http, path: /healthz, port: 90, interval: 10s, timeout: 3s}";

impl Checked {
    fn new() -> Self {
        let aws = Aws::start();
        let publish = aws.publish_with(", healthChecks: true");
        let place = Place::new(&publish).with_environment(aws.environment());
        place.serve("aws", "shop", &["1.2.3.1"]);
        place.serve("gke", "shop", &["1.2.3.2"]);
        let own = Self { aws, place };
        own.policy(&["shop"], HTTP);
        own
    }

    fn policy(&self, services: &[&str], health: &str) {
        let order = "order:\n    geo:\n      map: [{continents: [EU], clusters: [gke]}]\n      default: \
                     [aws, gke]";
        self.policy_with(services, health, order);
    }

    fn policy_with(&self, services: &[&str], health: &str, order: &str) {
        let mut targets = String::new();
        for service in services {
            write!(targets, "{{kind: Service, name: {service}}}, ").unwrap();
        }
        self.place.file(
            "policy.yaml",
            &format!(
                "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: shop, \
                 namespace: default}}\nspec:\n  targets: [{targets}]\n  {order}\n  health: {health}\n"
            ),
        );
    }

    fn sets(&self) -> Vec<Shown> {
        self.aws.sets(&global("shop"), "A")
    }

    /// Waits until both sets have a check with that path, and gives their ids by address.
    fn checks(&self, running: &Running, path: &str) -> [String; 2] {
        wait_for(&format!("checks of {path}; {}\n{}", running.status(), running.log()), || {
            let ids = ["1.2.3.1", "1.2.3.2"].map(|ip| self.check(ip, path));
            let [Some(aws), Some(gke)] = ids else { return None };
            Some([aws, gke])
        })
    }

    /// The check that the set of that address names.
    fn check(&self, ip: &str, path: &str) -> Option<String> {
        let sets = self.sets();
        let set = sets.iter().find(|set| set.data == [ip])?;
        let id = set.extra["HealthCheckId"].as_str()?.to_owned();
        let config = config(&self.aws.route53, &id)?;
        (config["ResourcePath"] == path && config["IPAddress"] == ip).then_some(id)
    }
}

fn config(route53: &Route53, id: &str) -> Option<Value> {
    route53.checks().into_iter().find(|own| own.0 == id).map(|own| own.2)
}

fn in_step(running: &Running) {
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}\n{}", running.status());
}

/// Checks are made one by one before the batch that needs them; those made are used later.
#[test]
fn a_freeze_while_checks_are_made_makes_no_further_one() {
    let own = Checked::new();
    let names: Vec<String> = (0..8).map(|one| format!("s{one}")).collect();
    own.policy(&names.iter().map(String::as_str).collect::<Vec<_>>(), HTTP);
    for (name, last) in names.iter().zip(1..) {
        own.place.serve("aws", name, &[&format!("1.2.4.{last}")]);
        own.place.serve("gke", name, &[&format!("1.2.5.{last}")]);
        for _ in 0..2 {
            own.aws.route53.control.fail(CREATE, Fault::Slow(Duration::from_millis(200)));
        }
    }
    let running = own.place.start();
    wait_for("some checks", || (own.aws.calls(CREATE) > 3).then_some(()));
    assert_eq!(running.say(&["freeze", "--reason", "incident 7"]).0, 0);
    let at_freeze = own.aws.calls(CREATE);
    running.phase("frozen");
    let made = own.aws.calls(CREATE);
    assert!(made <= at_freeze + 1, "{made} after {at_freeze}");
    let routed =
        |name: &String| own.aws.sets(&global(name), "A").iter().any(|set| set.set.is_some());
    assert!(!names.iter().any(routed), "the batch itself was not sent");
    assert_eq!(running.say(&["plan"]).0, 2);
    assert_eq!(own.aws.calls(CREATE), made);
    assert_eq!(running.say(&["thaw"]).0, 0);
    wait_for("the names", || (own.aws.sets(&global("s7"), "A").len() == 2).then_some(()));
    in_step(&running);
    assert_eq!(own.aws.calls(CREATE), 16, "what was made before is used");
}

#[test]
fn checks_are_made_once_and_read_back_as_what_was_wanted() {
    let own = Checked::new();
    let running = own.place.start();
    let [aws, _] = own.checks(&running, "/healthz");
    let config = config(&own.aws.route53, &aws).unwrap();
    let host = global("shop");
    for (field, value) in [
        ("Type", json!("HTTP")),
        ("Port", json!(90)),
        ("FullyQualifiedDomainName", json!(host.trim_end_matches('.'))),
        ("RequestInterval", json!(10)),
        ("FailureThreshold", json!(3)),
    ] {
        assert_eq!(config[field], value, "{field}");
    }
    let references: Vec<_> = own.aws.route53.checks().into_iter().map(|own| own.1).collect();
    assert!(references.iter().all(|own| own.starts_with("meridian/")), "{references:?}");
    running.phase("inStep");
    in_step(&running);
    drop(running);
    let running = own.place.start();
    running.phase("inStep");
    in_step(&running);
    assert_eq!((own.aws.calls(CREATE), own.aws.route53.checks().len()), (2, 2));
}

#[test]
fn route_53_fails_over_while_we_are_away() {
    let own = Checked::new();
    let running = own.place.start();
    let [aws, gke] = own.checks(&running, "/healthz");
    running.phase("inStep");
    let name = global("shop");
    let answers = || ["DE", "US"].map(|country| own.aws.answer(&name, country).join(","));
    assert_eq!(answers(), ["1.2.3.2", "1.2.3.1"]);
    drop(running);
    own.aws.route53.observe(&gke, false);
    assert_eq!(answers(), ["1.2.3.1", "1.2.3.1"]);
    // With nobody left, everybody is answered as if all were well.
    own.aws.route53.observe(&aws, false);
    assert_eq!(answers(), ["1.2.3.2", "1.2.3.1"]);
    own.aws.route53.observe(&gke, true);
    assert_eq!(answers(), ["1.2.3.2", "1.2.3.1"]);
}

#[test]
fn a_failover_list_is_a_pair_that_route_53_turns_by_itself() {
    let own = Checked::new();
    own.policy_with(&["shop"], HTTP, "order: {failover: [gke, aws]}");
    let running = own.place.start();
    let [_, gke] = own.checks(&running, "/healthz");
    running.phase("inStep");
    in_step(&running);
    let name = global("shop");
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.2"]);
    drop(running);
    own.aws.route53.observe(&gke, false);
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.1"]);
    own.aws.route53.observe(&gke, true);
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.2"]);
}

#[test]
fn of_addresses_that_all_clients_get_route_53_leaves_out_what_fails() {
    let own = Checked::new();
    own.policy_with(&["shop"], HTTP, "pick: all");
    let running = own.place.start();
    let [aws, gke] = own.checks(&running, "/healthz");
    running.phase("inStep");
    in_step(&running);
    let name = global("shop");
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.1", "1.2.3.2"]);
    own.aws.route53.observe(&gke, false);
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.1"]);
    own.aws.route53.observe(&aws, false);
    assert_eq!(own.aws.answer(&name, "US"), ["1.2.3.1", "1.2.3.2"]);
    // Another wish makes another kind of sets of them, in one change.
    own.policy(&["shop"], HTTP);
    wait_for("sets by place", || {
        own.sets().iter().all(|set| !set.extra["GeoLocation"].is_null()).then_some(())
    });
}

#[test]
fn another_check_takes_the_place_of_the_old_which_stays_for_a_while() {
    let own = Checked::new();
    let running = own.place.start();
    let before = own.checks(&running, "/healthz");
    own.policy(&["shop"], &HTTP.replace("/healthz", "/ready"));
    let after = own.checks(&running, "/ready");
    assert!(before.iter().all(|id| !after.contains(id)));
    running.phase("inStep");
    in_step(&running);
    assert_eq!(own.aws.route53.checks().len(), 4);
    // Back again: the old ones are still there.
    own.policy(&["shop"], HTTP);
    assert_eq!(own.checks(&running, "/healthz"), before);
    assert_eq!((own.aws.calls(CREATE), own.aws.calls("DeleteHealthCheck")), (4, 0));
}

#[test]
fn a_check_that_somebody_deleted_is_made_again() {
    let own = Checked::new();
    let running = own.place.start();
    let [aws, gke] = own.checks(&running, "/healthz");
    running.phase("inStep");
    own.aws.route53.remove_check(&gke);
    running.say(&["plan"]);
    let after = own.checks(&running, "/healthz");
    assert_eq!(after[0], aws);
    assert_ne!(after[1], gke);
    running.phase("inStep");
    in_step(&running);
}

#[test]
fn a_torn_wire_and_a_limit_make_no_check_twice() {
    for fault in [Fault::TornAfter, Fault::TornBefore, Fault::Throttled(None)] {
        let own = Checked::new();
        own.aws.route53.control.fail(CREATE, fault.clone());
        let running = own.place.start();
        own.checks(&running, "/healthz");
        let status = running.phase("inStep");
        assert_eq!(status["setAside"], json!([]), "{status}");
        assert_eq!(own.aws.route53.checks().len(), 2, "{fault:?}");
        in_step(&running);
    }
}

#[test]
fn checks_come_and_go_with_the_setting() {
    let own = Checked::new();
    own.place.configure(&own.aws.publish(), "");
    let running = own.place.start();
    wait_for("sets", || (own.sets().len() == 2).then_some(()));
    running.phase("inStep");
    assert_eq!((own.aws.calls(CREATE), own.aws.calls("ListHealthChecks")), (0, 0));
    own.place.configure(&own.aws.publish_with(", healthChecks: true"), "");
    own.checks(&running, "/healthz");
    own.place.configure(&own.aws.publish(), "");
    wait_for("sets without checks", || {
        own.sets().iter().all(|set| set.extra["HealthCheckId"].is_null()).then_some(())
    });
    running.phase("inStep");
    in_step(&running);
}

#[test]
fn checks_of_others_stay_as_they_are() {
    let own = Checked::new();
    let running = own.place.start();
    let [theirs, _] = own.checks(&running, "/healthz");
    let shown = Shown {
        name: format!("theirs.{ZONE}."),
        rtype: "A".to_owned(),
        ttl: Some(60),
        data: vec!["1.2.9.9".to_owned()],
        set: Some("theirs".to_owned()),
        extra: json!({ "Weight": 1, "HealthCheckId": theirs }),
    };
    own.aws.route53.put(&own.aws.zone, &shown);
    in_step(&running);
    own.place.delete("aws", "shop");
    own.place.delete("gke", "shop");
    wait_for("our sets to go", || own.sets().is_empty().then_some(()));
    in_step(&running);
    assert_eq!(own.aws.sets(&shown.name, "A"), [shown]);
    assert_eq!(own.aws.calls("DeleteHealthCheck"), 0);
}

#[test]
fn what_route_53_cannot_check_is_written_without_a_check_and_said() {
    let own = Checked::new();
    own.policy(&["shop"], "{protocol: grpc, port: 90}");
    let running = own.place.start();
    wait_for("sets", || (own.sets().len() == 2).then_some(()));
    let status = running.phase("inStep");
    assert!(status["degraded"].to_string().contains("no checks by gRPC"), "{status}");
    assert_eq!(own.aws.calls(CREATE), 0);
}

#[test]
fn nobody_is_sent_out_of_a_fence_by_a_check() {
    let own = Checked::new();
    own.policy(
        &["shop"],
        &format!("{HTTP}\n  fence: {{deny: {{gke: {{continents: [NA]}}}}, allowNoData: true}}"),
    );
    let running = own.place.start();
    wait_for(&format!("sets; {}\n{}", running.status(), running.log()), || {
        (own.sets().len() >= 2).then_some(())
    });
    let status = running.phase("inStep");
    assert!(status["degraded"].to_string().contains("out of their fence"), "{status}");
    assert_eq!(own.aws.calls(CREATE), 0);
    in_step(&running);
}

#[test]
fn beyond_the_quota_of_checks_names_wait_and_the_reason_is_said() {
    let own = Checked::new();
    // Others have most of the account's two hundred.
    own.aws.route53.others_checks(184);
    let services: Vec<String> = (0..10).map(|one| format!("s{one}")).collect();
    for (one, service) in services.iter().enumerate() {
        own.place.serve("aws", service, &[&format!("1.2.4.{one}")]);
        own.place.serve("gke", service, &[&format!("1.2.5.{one}")]);
    }
    own.policy(&services.iter().map(String::as_str).collect::<Vec<_>>(), HTTP);
    let running = own.place.start();
    let until = Instant::now() + Duration::from_secs(120);
    let status = loop {
        let status = running.status();
        if status["setAside"].as_array().map(Vec::len) == Some(2) {
            break status;
        }
        assert!(Instant::now() < until, "{status}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let said = status["setAside"].to_string();
    assert!(said.contains("TooManyHealthChecks") && said.contains("quota"), "{said}");
    assert_eq!(own.aws.route53.checks().len(), 16);
    let written = wait_for("all others", || {
        let written = services.iter().filter(|own_name| {
            own.aws.sets(&global(own_name), "A").iter().any(|set| set.set.is_some())
        });
        let written = written.count();
        (written == 8).then_some(written)
    });
    assert_eq!(written, 8);
}
