//! Runs of `meridian` over the double of Cloud DNS: what goes wrong on the way, and what the
//! environment says.

use crate::{
    cloud_dns_target::CloudDnsTarget,
    double::{
        cloud_dns::PROJECT,
        common::{Denied, Fault},
    },
    place::{Place, Running, ZONE, global, wait_for},
    target::Target,
};

fn place(target: &CloudDnsTarget, publish: &str) -> Place {
    let place = Place::new(publish);
    for (name, text) in target.files() {
        place.file(&name, &text);
    }
    place
}

fn holds(target: &CloudDnsTarget, running: &Running, service: &str, ips: &[&str]) {
    let name = global(service);
    wait_for(&format!("{name} to be {ips:?}; {}\n{}", running.status(), running.log()), || {
        (target.get(&name, "A") == ips).then_some(())
    });
}

fn in_step(running: &Running) {
    let status = running.phase("inStep");
    assert_eq!(status["conflicts"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!((&status["drift"], &status["problem"].is_null()), (&0.into(), &true), "{status}");
}

#[test]
fn torn_connections_before_and_after_the_commit_are_told_apart_by_reading() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    for call in ["oauth2.token", "dns.managedZones.list", "dns.resourceRecordSets.list"] {
        target.double.control.fail(call, Fault::TornAfter);
    }
    target.double.control.fail("dns.changes.create", Fault::TornBefore);
    target.double.control.fail("dns.changes.create", Fault::TornAfter);
    let running = place.start();
    holds(&target, &running, "shop", &["1.2.3.1"]);
    in_step(&running);
    target.double.control.fail("dns.changes.create", Fault::TornAfter);
    place.serve("aws", "shop", &["1.2.3.2"]);
    holds(&target, &running, "shop", &["1.2.3.2"]);
    in_step(&running);
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_storm_of_throttling_is_waited_out() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    for _ in 0..2 {
        target.double.control.fail("dns.resourceRecordSets.list", Fault::Throttled(None));
        target.double.control.fail("dns.changes.create", Fault::Throttled(Some(2)));
    }
    let running = place.start();
    holds(&target, &running, "shop", &["1.2.3.1"]);
    in_step(&running);
    let calls = target.double.control.calls();
    assert_eq!((calls["dns.changes.create"], calls["dns.resourceRecordSets.list"]), (3, 3));
}

#[test]
fn a_record_that_is_refused_keeps_none_of_the_others_back() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish());
    // No name server may stand at a wildcard, and no such letter in a name.
    place.file("more.zone", "*.poison 60 NS ns.example.net.\nodd\\@name 60 A 1.2.3.4\n");
    place.configure(&target.publish(), "  masterFile: more.zone\n");
    for one in 0..6 {
        place.serve("aws", &format!("s{one}"), &["1.2.3.1"]);
    }
    let running = place.start();
    for one in 0..6 {
        holds(&target, &running, &format!("s{one}"), &["1.2.3.1"]);
    }
    let aside = wait_for(&format!("both to be set aside; {}", running.log()), || {
        let aside = running.status()["setAside"].clone();
        (aside.as_array()?.len() == 2).then_some(aside.to_string())
    });
    for word in ["*.poison", "wildcard", "odd\\\\@name", "the provider refuses it", "Invalid value"]
    {
        assert!(aside.contains(word), "{word}: {aside}");
    }
    let left = target.all().into_keys().find(|(name, _)| name.contains("poison"));
    assert_eq!(left, None, "nor a mark of it");
}

#[test]
fn a_key_for_reading_only_says_which_right_is_missing() {
    let target = CloudDnsTarget::start();
    target.double.deny(Denied::ReadOnly);
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let problem =
        wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned));
    for word in ["not allowed: ", "dns.changes.create", PROJECT] {
        assert!(problem.contains(word), "{problem}");
    }
    assert_eq!(target.data().len(), 0);
}

#[test]
fn two_zones_of_one_name_are_named() {
    let target = CloudDnsTarget::start();
    target.double.zone_as("twin", ZONE, "public");
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let problem =
        wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("fed-example-org, twin; say which with zoneId"), "{problem}");
    let said = target.publish_with("credentialsFile: google.key, zoneId: fed-example-org");
    place.configure(&said, "");
    holds(&target, &running, "shop", &["1.2.3.1"]);
}

#[test]
fn more_values_than_a_set_takes_are_cut_and_said() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish());
    let many: Vec<String> = (0..120).map(|one| format!("1.2.5.{one}")).collect();
    place.serve("aws", "many", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let running = place.start();
    wait_for(&format!("as many as fit; {}\n{}", running.status(), running.log()), || {
        (target.get(&global("many"), "A").len() == 100).then_some(())
    });
    let status = running.phase("inStep");
    assert!(status["degraded"].to_string().contains("google-clouddns takes 100"), "{status}");
}

#[test]
fn among_many_foreign_sets_ours_are_written_and_theirs_stay() {
    let target = CloudDnsTarget::start();
    for one in 0..1_200 {
        target.put(&format!("n{one:04}.{ZONE}."), "A", 60, &["9.9.9.9"]);
    }
    // On the last page, for the zone's names are listed in order.
    target.put(&global("shop"), "A", 60, &["9.9.9.9"]);
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("aws", "other", &["1.2.3.1"]);
    let running = place.start();
    holds(&target, &running, "other", &["1.2.3.1"]);
    let status = running.phase("inStep");
    assert_eq!(status["conflicts"][0]["name"], global("shop"), "{status}");
    assert_eq!(target.get(&global("shop"), "A"), ["9.9.9.9"]);
    assert_eq!(target.get(&format!("n0777.{ZONE}."), "A"), ["9.9.9.9"]);
}

#[test]
fn without_a_file_the_environment_says_who_we_are() {
    let target = CloudDnsTarget::start();
    let host = target.double.url().replace("http://", "");
    let publish = target.publish_with("look: 30s");
    let place = place(&target, &publish);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start_in("state", &[("GCE_METADATA_HOST", &host)]);
    holds(&target, &running, "shop", &["1.2.3.1"]);
    let calls = target.double.control.calls();
    assert_eq!((calls["metadata"], calls.get("oauth2.token")), (2, None), "project and token");
    drop(running);
    place.serve("aws", "shop", &["1.2.3.2"]);
    let key = place.path("config").join("google.key");
    let key = key.to_str().unwrap();
    let running = place.start_in("state", &[("GOOGLE_APPLICATION_CREDENTIALS", key)]);
    holds(&target, &running, "shop", &["1.2.3.2"]);
    assert_eq!(target.double.control.calls()["metadata"], 2);
}

#[test]
fn without_any_credentials_it_is_said_how_to_give_some() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish_with("look: 30s"));
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start_in("state", &[("GCE_METADATA_HOST", "127.0.0.1:1")]);
    let problem =
        wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned));
    for word in ["the metadata server", "credentialsFile", "GOOGLE_APPLICATION_CREDENTIALS"] {
        assert!(problem.contains(word), "{problem}");
    }
}

#[test]
fn the_dns_conf_of_federation_v1_is_taken() {
    let target = CloudDnsTarget::start();
    let publish = target.publish_with("configFile: dns.conf, credentialsFile: google.key");
    let place = place(&target, &publish);
    let conf = format!("[Global]\nproject-id = {PROJECT}\ntoken-url = https://old.test/\n");
    place.file("dns.conf", &conf);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    holds(&target, &running, "shop", &["1.2.3.1"]);
    assert!(running.log().contains("token-url is not supported"), "{}", running.log());
}

/// The policy of service `shop`, and what of it the set of the global name holds.
fn policy_of(target: &CloudDnsTarget) -> serde_json::Value {
    let name = global("shop");
    let sets = target.double.sets(&target.zone);
    let own = sets.into_iter().find(|set| set.name == name && set.rtype == "A");
    own.map(|set| set.extra["routingPolicy"].clone()).unwrap_or_default()
}

#[test]
fn policies_become_the_services_own_and_change_their_kind_in_one_step() {
    let target = CloudDnsTarget::start();
    let place = place(&target, &target.publish());
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("gke", "shop", &["1.2.3.2"]);
    let steer = |order: &str| {
        let text = format!(
            "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: shop, \
             namespace: default}}\nspec: {{targets: [{{kind: Service, name: shop}}], {order}}}\n"
        );
        place.file("policy.yaml", &text);
    };
    steer("weights: {aws: 3, gke: 1}, pick: random");
    let running = place.start();
    let until = |what: &str, good: &dyn Fn(&serde_json::Value) -> bool| {
        wait_for(&format!("{what}; {}\n{}", running.status(), running.log()), || {
            good(&policy_of(&target)).then_some(())
        });
        running.phase("inStep");
        let (code, text) = running.say(&["plan"]);
        assert_eq!(code, 0, "{what}: a look at what was written finds something to do: {text}");
    };
    until("shares", &|own| own["wrr"]["items"][0]["weight"] == 0.75);
    steer("order: {geo: {map: [{continents: [EU], clusters: [aws]}], default: [gke]}}");
    until("places", &|own| own["geo"]["items"].as_array().is_some_and(|all| all.len() > 40));
    let from = |client: &str| {
        let found =
            target.double.answer(&target.zone, &global("shop"), "A", client.parse().unwrap());
        found.into_iter().map(|(_, data)| data).collect::<Vec<_>>()
    };
    assert_eq!(from("91.0.0.1"), ["1.2.3.1"], "a client in Germany");
    assert_eq!(from("126.0.0.1"), ["1.2.3.2"], "a client in Japan");
    steer("order: {failover: [gke, aws]}");
    until("plain", &serde_json::Value::is_null);
    assert_eq!(target.get(&global("shop"), "A"), ["1.2.3.2"]);
    assert_eq!(target.double.control.calls().get("dns.resourceRecordSets.patch"), None);
}
