//! Health checks at Google that are ours: made, shared, told again, put right, and at work while no
//! process of ours is. Where they cannot be had, names are written without them.

use crate::{
    cloud_dns_target::CloudDnsTarget,
    cloud_dns_vendor,
    double::common::Fault,
    place::{Place, Running, ZONE, global, wait_for},
    target::Target,
};
use serde_json::{Value, json};
use std::{fmt::Write as _, process::Command};

/// Services of both clusters, checked by Google. Port 90 is one that our own probes never ask
/// (`probe::Ports`), so that nothing leaves this machine.
struct Checked {
    target: CloudDnsTarget,
    place: Place,
}

const INSERT: &str = "compute.healthChecks.insert";
const CHANGE: &str = "dns.changes.create";
const TCP: &str = "{protocol: tcp, port: 90, interval: 30s, timeout: 3s}";
const HTTP: &str = "{protocol: http, path: /healthz, port: 90, interval: 30s, timeout: 3s}";
const FAILOVER: &str = "order: {failover: [gke, aws]}";
const GEO: &str = "order: {geo: {map: [{continents: [EU], clusters: [aws]}], default: [gke]}}";
const DE: &str = "91.0.0.0/24";
const JP: &str = "126.0.0.0/24";

impl Checked {
    fn new(order: &str, health: &str) -> Self {
        let target = CloudDnsTarget::start();
        let place = Place::new(&target.publish_checked());
        for (name, text) in target.files() {
            place.file(&name, &text);
        }
        let own = Self { target, place };
        own.serve("shop");
        own.policy(&["shop"], order, health);
        own
    }

    fn serve(&self, service: &str) {
        self.place.serve("aws", service, &["1.2.3.1"]);
        self.place.serve("gke", service, &["1.2.3.2"]);
    }

    fn policy(&self, services: &[&str], order: &str, health: &str) {
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

    /// The routing policy of a service's global name; null where it has none.
    fn routing(&self, service: &str) -> Value {
        let sets = self.target.double.sets(&self.target.zone);
        let own = sets.into_iter().find(|set| set.name == global(service) && set.rtype == "A");
        own.map(|set| set.extra["routingPolicy"].clone()).unwrap_or_default()
    }

    /// Waits until a name is checked, and gives the check's name.
    fn checked(&self, running: &Running, service: &str) -> String {
        wait_for(&format!("a check of {service}; {}\n{}", running.status(), running.log()), || {
            let routing = self.routing(service);
            let url = routing["healthCheck"].as_str()?;
            Some(url.rsplit('/').next()?.to_owned())
        })
    }

    /// Waits until a name holds nothing but addresses.
    fn plain(&self, running: &Running, service: &str, ips: &[&str]) {
        wait_for(&format!("{service} plain; {}\n{}", running.status(), running.log()), || {
            (self.target.get(&global(service), "A") == ips).then_some(())
        });
    }

    /// What dig prints for the global name, asked for clients of that network.
    fn dig(&self, client: &str) -> String {
        let server = self.target.double.dns();
        let output = Command::new("dig")
            .args([&format!("@{}", server.ip()), "-p", &server.port().to_string()])
            .args(["+short", "+tries=1", &format!("+subnet={client}"), &global("shop"), "A"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines.join(" ")
    }

    fn fails(&self, ip: &str, fails: bool) {
        self.target.double.fails(ip.parse().unwrap(), fails);
    }

    fn calls(&self, call: &str) -> u64 {
        self.target.double.control.calls().get(call).copied().unwrap_or_default()
    }
}

/// In step, and a look at what was written finds nothing to do.
fn in_step(running: &Running) -> Value {
    let status = running.phase("inStep");
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}\n{status}");
    running.status()
}

fn degraded(status: &Value, words: &[&str]) {
    let said = status["degraded"].to_string();
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

// === At work ===

#[test]
fn a_failover_list_is_turned_by_google_itself_with_no_write_of_ours() {
    let own = Checked::new(FAILOVER, TCP);
    let running = own.place.start();
    own.checked(&running, "shop");
    in_step(&running);
    let pair = &own.routing("shop")["primaryBackup"];
    assert_eq!(pair["primaryTargets"], json!({"externalEndpoints": ["1.2.3.2"]}));
    let backup = &pair["backupGeoTargets"]["items"][0];
    assert_eq!(backup["healthCheckedTargets"], json!({"externalEndpoints": ["1.2.3.1"]}));
    assert_eq!(backup["location"], "us-west1", "of Google's regions the nearest to us-west-2");
    let writes = own.calls(CHANGE);
    assert_eq!(own.dig(DE), "1.2.3.2");
    own.fails("1.2.3.2", true);
    assert_eq!((own.dig(DE), own.dig(JP)), ("1.2.3.1".to_owned(), "1.2.3.1".to_owned()));
    in_step(&running);
    assert_eq!(own.calls(CHANGE), writes);
    // Nor while none of us is there.
    drop(running);
    own.fails("1.2.3.2", false);
    assert_eq!(own.dig(DE), "1.2.3.2");
    own.fails("1.2.3.2", true);
    assert_eq!(own.dig(DE), "1.2.3.1");
    own.fails("1.2.3.1", true);
    assert!(!own.dig(DE).is_empty(), "where all fail, something is answered");
}

#[test]
fn places_go_to_the_next_that_does_not_fail_and_fences_keep_their_clients() {
    let own = Checked::new(GEO, TCP);
    let running = own.place.start();
    own.checked(&running, "shop");
    degraded(&in_step(&running), &["nearest that does not"]);
    assert_eq!((own.dig(DE), own.dig(JP)), ("1.2.3.1".to_owned(), "1.2.3.2".to_owned()));
    own.fails("1.2.3.1", true);
    assert_eq!((own.dig(DE), own.dig(JP)), ("1.2.3.2".to_owned(), "1.2.3.2".to_owned()));
    let fence = "fence: {deny: {gke: {continents: [EU]}}, allowNoData: true}";
    own.policy(&["shop"], &format!("{GEO}\n  {fence}"), TCP);
    wait_for(&format!("the fence; {}\n{}", running.status(), running.log()), || {
        (own.routing("shop")["geo"]["enableFencing"] == true).then_some(())
    });
    degraded(&in_step(&running), &["kept there"]);
    assert_eq!((own.dig(DE), own.dig(JP)), ("1.2.3.1".to_owned(), "1.2.3.2".to_owned()));
}

#[test]
fn of_addresses_that_all_clients_get_google_leaves_out_what_fails() {
    let own = Checked::new("pick: all", TCP);
    let running = own.place.start();
    own.checked(&running, "shop");
    in_step(&running);
    assert_eq!(own.dig(DE), "1.2.3.1 1.2.3.2");
    own.fails("1.2.3.2", true);
    assert_eq!(own.dig(DE), "1.2.3.1");
    own.fails("1.2.3.1", true);
    assert_eq!(own.dig(DE), "1.2.3.1 1.2.3.2", "where all fail, as if none did");
    // Shares, then: another policy in its place, in one change.
    own.policy(&["shop"], "weights: {aws: 3, gke: 1}\n  pick: random", TCP);
    wait_for(&format!("shares; {}\n{}", running.status(), running.log()), || {
        (own.routing("shop")["wrr"]["items"][0]["weight"] == 0.75).then_some(())
    });
    in_step(&running);
    own.fails("1.2.3.1", false);
    assert_eq!(own.dig(DE), "1.2.3.1");
}

#[test]
fn in_a_signed_zone_answers_of_one_address_are_checked_and_others_are_plain() {
    let own = Checked::new(FAILOVER, TCP);
    own.target.double.sign(&own.target.zone);
    own.serve("both");
    own.place.serve("gke", "both", &["1.2.3.2", "1.2.3.3"]);
    own.policy(&["shop", "both"], FAILOVER, TCP);
    let running = own.place.start();
    own.checked(&running, "shop");
    own.plain(&running, "both", &["1.2.3.2", "1.2.3.3"]);
    let status = in_step(&running);
    degraded(&status, &["DNSSEC"]);
    assert_eq!(status["setAside"], json!([]));
}

// === Made and kept ===

#[test]
fn one_check_is_made_for_all_of_the_same_settings_and_then_nothing_is_called() {
    let own = Checked::new(FAILOVER, TCP);
    own.serve("other");
    own.policy(&["shop", "other"], FAILOVER, TCP);
    let running = own.place.start();
    let check = own.checked(&running, "shop");
    assert_eq!(own.checked(&running, "other"), check);
    in_step(&running);
    let made = &own.target.double.checks()[&check];
    for (field, value) in [
        ("type", json!("TCP")),
        ("checkIntervalSec", json!(30)),
        ("timeoutSec", json!(3)),
        ("unhealthyThreshold", json!(3)),
        ("sourceRegions", json!(["asia-east1", "europe-west1", "us-central1"])),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let owner = running.status()["owner"].as_str().unwrap().to_owned();
    assert!(check.starts_with(&format!("meridian-{owner}-")), "{check}");
    let description = made["description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("heritage=meridian,v=1,owner={owner},zone={ZONE}.: tcp"))
    );
    let key = own.place.path("config").join("google.key");
    let double = &own.target.double;
    let script = "cloud_dns_policies.py";
    let mut vendor = cloud_dns_vendor::command(double, &key, script, &["as_described"]);
    cloud_dns_vendor::run(vendor.env("DOUBLE_ZONE", &own.target.zone));
    // A look each half a minute, and nothing between two of them.
    let calls = own.target.double.control.total();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(own.target.double.control.total(), calls);
    drop(running);
    let running = own.place.start();
    in_step(&running);
    assert_eq!((own.calls(INSERT), own.target.double.checks().len()), (1, 1));
}

#[test]
fn another_check_takes_the_place_of_the_old_which_stays_for_a_while() {
    let own = Checked::new(FAILOVER, HTTP);
    let running = own.place.start();
    let before = own.checked(&running, "shop");
    own.policy(&["shop"], FAILOVER, &HTTP.replace("/healthz", "/ready"));
    wait_for("the other check", || (own.checked(&running, "shop") != before).then_some(()));
    in_step(&running);
    assert_eq!(own.target.double.checks().len(), 2);
    own.policy(&["shop"], FAILOVER, HTTP);
    wait_for("the first again", || (own.checked(&running, "shop") == before).then_some(()));
    in_step(&running);
    assert_eq!((own.calls(INSERT), own.calls("compute.healthChecks.delete")), (2, 0));
}

#[test]
fn what_somebody_changed_or_deleted_is_put_right() {
    let own = Checked::new(FAILOVER, HTTP);
    let running = own.place.start();
    let check = own.checked(&running, "shop");
    in_step(&running);
    let made = own.target.double.checks()[&check].clone();
    own.target.double.change_checks(|all| {
        let own = all.get_mut(&check).unwrap();
        own["httpHealthCheck"]["requestPath"] = json!("/theirs");
        own["httpHealthCheck"]["response"] = json!("theirs");
        own["unhealthyThreshold"] = json!(10);
    });
    running.say(&["plan"]);
    wait_for("the settings as they were", || {
        (own.target.double.checks()[&check] == made).then_some(())
    });
    in_step(&running);
    // Twice within the hour would be left to people, as with every record.
    drop(running);
    let running = own.place.start();
    in_step(&running);
    own.target.double.change_checks(|all| drop(all.remove(&check)));
    running.say(&["plan"]);
    wait_for("the check again", || own.target.double.checks().contains_key(&check).then_some(()));
    running.phase("inStep");
    assert_eq!((own.calls(INSERT), own.calls("compute.healthChecks.patch")), (2, 1));
}

#[test]
fn a_torn_wire_and_a_limit_make_no_check_twice() {
    for fault in [Fault::TornAfter, Fault::TornBefore, Fault::Status(503), Fault::Throttled(None)] {
        let own = Checked::new(FAILOVER, TCP);
        own.target.double.control.fail(INSERT, fault.clone());
        let running = own.place.start();
        own.checked(&running, "shop");
        let status = in_step(&running);
        assert_eq!(status["setAside"], json!([]), "{status}");
        assert_eq!(own.target.double.checks().len(), 1, "{fault:?}");
    }
}

#[test]
fn checks_come_and_go_with_the_setting() {
    let own = Checked::new(FAILOVER, TCP);
    own.place.configure(&own.target.publish(), "");
    let running = own.place.start();
    own.plain(&running, "shop", &["1.2.3.2"]);
    in_step(&running);
    assert_eq!((own.calls(INSERT), own.calls("compute.healthChecks.list")), (0, 0));
    own.place.configure(&own.target.publish_checked(), "");
    own.checked(&running, "shop");
    own.place.configure(&own.target.publish(), "");
    own.plain(&running, "shop", &["1.2.3.2"]);
    in_step(&running);
}

// === Where there is none ===

#[test]
fn what_google_cannot_check_is_written_without_a_check_and_said() {
    let own = Checked::new(FAILOVER, "{protocol: grpc, port: 90}");
    let running = own.place.start();
    own.plain(&running, "shop", &["1.2.3.2"]);
    degraded(&in_step(&running), &["no checks by gRPC"]);
    own.place.serve("aws", "shop", &["10.0.0.1"]);
    own.policy(&["shop"], FAILOVER, TCP);
    wait_for("the reason", || {
        running.status()["degraded"].to_string().contains("10.0.0.1").then_some(())
    });
    degraded(&in_step(&running), &["not a public address"]);
    assert_eq!(own.calls(INSERT), 0);
}

#[test]
fn without_the_right_to_make_checks_names_are_written_and_it_is_said() {
    let own = Checked::new(FAILOVER, TCP);
    own.target.double.allow_checks(false, 75);
    let running = own.place.start();
    own.plain(&running, "shop", &["1.2.3.2"]);
    let status = running.phase("inStep");
    degraded(&status, &["compute.healthChecks.create", "roles/compute.loadBalancerAdmin"]);
    assert_eq!((&status["setAside"], status["problem"].is_null()), (&json!([]), true), "{status}");
    in_step(&running);
    // Failing over is ours then, and goes on.
    own.place.delete("gke", "shop");
    own.plain(&running, "shop", &["1.2.3.1"]);
    drop(running);
    own.target.double.allow_checks(true, 75);
    own.serve("shop");
    let running = own.place.start();
    own.checked(&running, "shop");
    in_step(&running);
}

#[test]
fn checks_that_cannot_be_read_any_more_stay_in_use() {
    let own = Checked::new(FAILOVER, TCP);
    let running = own.place.start();
    let check = own.checked(&running, "shop");
    in_step(&running);
    own.target.double.allow_checks(false, 75);
    in_step(&running);
    drop(running);
    let running = own.place.start();
    own.place.serve("aws", "shop", &["1.2.3.5"]);
    wait_for(&format!("the new address; {}\n{}", running.status(), running.log()), || {
        own.routing("shop").to_string().contains("1.2.3.5").then_some(())
    });
    in_step(&running);
    assert_eq!((own.checked(&running, "shop"), own.calls(INSERT)), (check, 1));
}

#[test]
fn beyond_a_quota_names_are_written_without_checks() {
    let own = Checked::new(FAILOVER, HTTP);
    let services: Vec<String> = (0..6).map(|one| format!("s{one}")).collect();
    services.iter().for_each(|service| own.serve(service));
    // Each service's check asks for its own host, so that each has one of its own.
    own.target.double.allow_checks(true, 2);
    let names: Vec<&str> = services.iter().map(String::as_str).collect();
    own.policy(&names, FAILOVER, HTTP);
    let running = own.place.start();
    let count = || {
        let checked = names.iter().filter(|own_name| own.routing(own_name).is_object()).count();
        let plain = names.iter().filter(|name| own.target.get(&global(name), "A") == ["1.2.3.2"]);
        (checked, plain.count())
    };
    wait_for(&format!("two with checks; {}\n{}", running.status(), running.log()), || {
        (count() == (2, 4)).then_some(())
    });
    let status = in_step(&running);
    degraded(&status, &["HEALTH_CHECKS", "leave out healthChecks"]);
    assert_eq!((own.target.double.checks().len(), &status["setAside"]), (2, &json!([])));
}

#[test]
fn beyond_the_zones_own_quota_names_are_written_without_checks() {
    let own = Checked::new(FAILOVER, TCP);
    own.target.double.quota("internetHealthChecksPerManagedZone", 4);
    let names = ["s0", "s1", "s2"];
    names.iter().for_each(|service| own.serve(service));
    own.policy(&names, FAILOVER, TCP);
    let running = own.place.start();
    wait_for(&format!("two with checks; {}\n{}", running.status(), running.log()), || {
        let checked = names.iter().filter(|name| own.routing(name).is_object()).count();
        let plain = names.iter().filter(|name| own.target.get(&global(name), "A") == ["1.2.3.2"]);
        (checked == 2 && plain.count() == 1).then_some(())
    });
    let status = in_step(&running);
    degraded(&status, &["not checked by the provider", "internet health checks"]);
    assert_eq!(status["setAside"], json!([]));
}

#[test]
fn a_check_of_that_name_which_is_not_ours_is_left_alone() {
    let own = Checked::new(FAILOVER, TCP);
    let running = own.place.start();
    let check = own.checked(&running, "shop");
    in_step(&running);
    let strip = |all: &mut std::collections::BTreeMap<String, Value>| {
        all.get_mut(&check).unwrap()["description"] = json!("theirs");
    };
    own.target.double.change_checks(strip);
    let theirs = own.target.double.checks();
    running.say(&["plan"]);
    own.plain(&running, "shop", &["1.2.3.2"]);
    degraded(&in_step(&running), &["did not make"]);
    assert_eq!(own.target.double.checks(), theirs);
}
