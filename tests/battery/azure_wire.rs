//! What only Azure does to a writer: calls one by one, of which any may be refused, slowed or torn;
//! versions, pages, identities, and zones that are not there or twice.

use crate::{
    azure_target::{AzureZone, conf},
    double::{
        azure::{ASSERTION, CLIENT, Denied, GROUP, SECRET, SUBSCRIPTION, TENANT},
        common::Fault,
    },
    place::{Data, Place, Running, ZONE, global, wait_for},
    scenarios::{holds, place, services, written},
    target::Target,
};
use std::time::Duration;

const PUT: &str = "RecordSets_CreateOrUpdate";
const LIST: &str = "RecordSets_ListByDnsZone";

/// A place whose Federation is written to what `publish` says.
fn place_of(zone: &AzureZone, publish: &str) -> Place {
    let place = Place::new(publish).with_environment(zone.environment());
    place.serve("aws", "shop", &["1.2.3.1"]);
    place
}

fn problem(running: &Running) -> String {
    wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned))
}

// === Refusals ===

#[test]
fn an_identity_that_may_only_read_is_told_which_role_it_lacks() {
    let zone = AzureZone::start();
    zone.azure.deny(Denied::ReadOnly);
    let place = place(&zone);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let problem = problem(&running);
    assert!(problem.contains("not allowed: ") && problem.contains("DNS Zone Contributor"));
    assert_eq!(zone.data().len(), 0);
    zone.azure.deny(Denied::None);
    running.say(&["plan"]);
    holds(&zone, &running, "shop", &["1.2.3.1"]);
}

#[test]
fn a_token_taken_back_before_its_end_is_replaced() {
    let zone = AzureZone::start();
    let (place, running) = written(&zone);
    // The double's clock alone moves: by ours, the token is good.
    zone.azure.control.advance(Duration::from_secs(3_700));
    place.serve("aws", "shop", &["1.2.3.9"]);
    holds(&zone, &running, "shop", &["1.2.3.2", "1.2.3.9"]);
    assert_eq!(running.status()["failures"], 0);
    assert_eq!(zone.azure.control.calls()["Token"], 2);
}

#[test]
fn a_wrong_group_subscription_or_tenant_is_said() {
    let zone = AzureZone::start();
    let place = place_of(&zone, &zone.publish());
    for (right, wrong, words) in [
        (GROUP, "elsewhere", "check resourceGroup"),
        (SUBSCRIPTION, "00000000-0000-0000-0000-000000000000", "check subscription-id"),
        (TENANT, "99999999-9999-9999-9999-999999999999", "check tenant-id"),
        (CLIENT, "99999999-9999-9999-9999-999999999999", "check client-id"),
    ] {
        let file = format!("{}.conf", &wrong[..4].replace('-', "x"));
        place.file(&file, &conf(SECRET, "").replace(right, wrong));
        place.configure(&zone.publish().replace("dns.conf", &file), "");
        let running = place.start_with(&file);
        let problem = problem(&running);
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn a_zone_in_two_groups_is_said_and_one_is_found_by_its_name() {
    let zone = AzureZone::start();
    let lines = conf(SECRET, "");
    let file = lines.lines().filter(|line| !line.starts_with("resourceGroup"));
    let file = file.collect::<Vec<_>>().join("\n");
    // The resource group of the file is taken in place of a look-up.
    let place =
        place_of(&zone, &zone.publish().replace("look:", "resourceGroup: elsewhere, look:"));
    place.file("dns.conf", &file);
    let running = place.start();
    assert!(problem(&running).contains("check resourceGroup"));
    drop(running);
    // Without any, the zone is looked for; the identity is the machine's.
    let publish = format!(
        "{{provider: azure-azuredns, subscriptionId: {SUBSCRIPTION}, endpoint: \"{}\", look: 30s}}",
        zone.azure.url()
    );
    let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST".to_owned(), zone.azure.url());
    let place = place_of(&zone, &publish).with_environment(vec![machine]);
    zone.azure.twin(ZONE, "another");
    let running = place.start();
    let problem = problem(&running);
    assert!(problem.contains("2 zones") && problem.contains("/another/"), "{problem}");
    drop(running);
    zone.azure.no_twins();
    let running = place.start();
    holds(&zone, &running, "shop", &["1.2.3.1"]);
    assert_eq!(zone.azure.control.calls().get("Token"), Some(&1), "the first place's alone");
}

#[test]
fn a_cluster_s_own_identity_and_a_machine_s_write() {
    for machine in [false, true] {
        let zone = AzureZone::start();
        let place = place_of(&zone, &zone.publish());
        place.file(
            "dns.conf",
            &format!("[Global]\nsubscription-id = {SUBSCRIPTION}\nresourceGroup = {GROUP}\n"),
        );
        place.file("token", ASSERTION);
        let variable = |name: &str, value: String| (name.to_owned(), value);
        let token = place.path("config").join("token").display().to_string();
        let variables = if machine {
            vec![variable("AZURE_POD_IDENTITY_AUTHORITY_HOST", zone.azure.url())]
        } else {
            vec![
                variable("AZURE_FEDERATED_TOKEN_FILE", token),
                variable("AZURE_TENANT_ID", TENANT.to_owned()),
                variable("AZURE_CLIENT_ID", CLIENT.to_owned()),
            ]
        };
        let place = place.with_environment(variables);
        let running = place.start();
        holds(&zone, &running, "shop", &["1.2.3.1"]);
        let calls = zone.azure.control.calls();
        let name = if machine { "MetadataToken" } else { "Token" };
        assert_eq!(calls.get(name), Some(&1), "{calls:?}");
    }
}

#[test]
fn a_refused_name_is_left_alone_and_the_others_are_written() {
    let zone = AzureZone::start();
    let place = place(&zone);
    // Azure takes no such letters in names.
    place.file("more.zone", "bad\\@name 60 A 1.2.3.8\ngood 60 A 1.2.3.9\n");
    place.configure(&zone.publish(), "  masterFile: more.zone\n");
    services(&place, 0..6);
    let running = place.start();
    for one in 0..6_u8 {
        holds(&zone, &running, &format!("s{one}"), &[&format!("1.2.4.{}", one + 1)]);
    }
    let good = format!("good.{ZONE}.");
    wait_for("the good one", || (zone.get(&good, "A") == ["1.2.3.9"]).then_some(()));
    let status = running.phase("held");
    assert_eq!(status["setAside"].as_array().unwrap().len(), 1, "{status}");
    let text = status["setAside"].to_string();
    assert!(text.contains("letters, digits, hyphens"), "{text}");
}

#[test]
fn a_name_that_the_service_refuses_half_way_is_found_among_many() {
    let zone = AzureZone::start();
    let place = place(&zone);
    // A TXT record of more than 4,096 octets is refused by the service, not before.
    let long = format!("\"{}\" ", "x".repeat(250)).repeat(18);
    place.file("more.zone", &format!("poison 60 TXT {long}\n"));
    place.configure(&zone.publish(), "  masterFile: more.zone\n");
    services(&place, 0..6);
    let running = place.start();
    for one in 0..6_u8 {
        holds(&zone, &running, &format!("s{one}"), &[&format!("1.2.4.{}", one + 1)]);
    }
    let status = running.phase("held");
    assert_eq!(status["setAside"].as_array().unwrap().len(), 1, "{status}");
    assert!(status["setAside"].to_string().contains("4096"), "{status}");
    assert_eq!(status["drift"], 0, "what it wrote itself is nobody else's change: {status}");
}

#[test]
fn more_values_than_a_set_takes_are_cut_and_said() {
    let zone = AzureZone::start();
    let place = place(&zone);
    let many: Vec<String> = (0..25).map(|one| format!("1.2.5.{one}")).collect();
    place.serve("aws", "many", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let running = place.start();
    wait_for("twenty", || (zone.get(&global("many"), "A").len() == 20).then_some(()));
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}");
    assert!(running.status().to_string().contains("takes 20"), "{}", running.status());
}

// === Speed ===

#[test]
fn a_throttling_storm_is_sat_out() {
    let zone = AzureZone::start();
    for _ in 0..4 {
        zone.azure.control.fail(PUT, Fault::Throttled(Some(1)));
    }
    zone.azure.control.fail(LIST, Fault::Throttled(None));
    let (_place, running) = written(&zone);
    assert_eq!(running.phase("inStep")["conflicts"].as_array().unwrap().len(), 0);
}

#[test]
fn retry_after_is_waited_for() {
    let zone = AzureZone::start();
    let (place, running) = written(&zone);
    zone.azure.control.fail(PUT, Fault::Throttled(Some(5)));
    let puts = zone.azure.control.calls()[PUT];
    let started = std::time::Instant::now();
    place.serve("aws", "shop", &["1.2.3.9"]);
    holds(&zone, &running, "shop", &["1.2.3.2", "1.2.3.9"]);
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(zone.azure.control.calls()[PUT] > puts + 1);
}

// === Stopped ===

/// A batch is many calls there: of those not sent yet when the switch is thrown, none is.
#[test]
fn a_freeze_in_the_middle_of_a_batch_stops_its_next_call_and_what_was_written_is_in_the_trail() {
    let zone = AzureZone::start();
    let (place, running) = written(&zone);
    for _ in 0..200 {
        zone.azure.control.fail(PUT, Fault::Slow(Duration::from_millis(150)));
    }
    let puts = || zone.azure.control.calls()[PUT];
    let ours = |data: &Data| {
        let mut names: Vec<_> = data.keys().map(|(name, _)| name.clone()).collect();
        names.retain(|name| name.starts_with('s') && !name.starts_with("shop"));
        names
    };
    services(&place, 0..9);
    wait_for("values of the batch", || (ours(&zone.data()).len() > 2).then_some(()));
    assert_eq!(running.say(&["freeze", "--reason", "incident 7"]).0, 0);
    let at_freeze = puts();
    let status = running.phase("frozen");
    let stopped = puts();
    // The call that was under way is the last, or one that was being sent.
    assert!(stopped <= at_freeze + 1, "{stopped} after {at_freeze}");
    let log = wait_for("the log", || {
        Some(running.log()).filter(|log| log.contains("incident 7; a batch was stopped after"))
    });
    assert!(!log.contains("out of reach"), "{log}");
    assert_eq!(status["failures"], 0, "{status}");
    assert_eq!(running.status()["drift"], 0);
    // Every value that is there stands in the trail, and what is left in the plan.
    let (_, history) = running.say(&["history", "-o", "json", "--most", "1000"]);
    for name in ours(&zone.data()) {
        assert!(history.contains(&name), "{name}: {history}");
    }
    let (code, plan) = running.say(&["plan"]);
    assert_eq!(code, 2, "{plan}");
    assert_eq!(puts(), stopped);
    assert_eq!(running.say(&["thaw"]).0, 0);
    for one in 0..9_u8 {
        holds(&zone, &running, &format!("s{one}"), &[&format!("1.2.4.{}", one + 1)]);
    }
}

// === Torn ===

/// Any call torn, before or after it was carried out, leaves a zone that comes right by itself.
#[test]
fn a_torn_call_is_made_good_wherever_it_was() {
    for (at, fault) in [Fault::TornBefore, Fault::TornAfter, Fault::Status(503)].iter().enumerate()
    {
        let zone = AzureZone::start();
        let (place, running) = written(&zone);
        for calls in 0..3 {
            // Past the generation record, a mark or a value.
            for _ in 0..calls {
                zone.azure.control.fail(PUT, Fault::Slow(Duration::from_millis(1)));
            }
            zone.azure.control.fail(PUT, fault.clone());
            let ip = format!("1.2.{at}.{calls}");
            place.serve("aws", "shop", &[&ip]);
            let mut both = [ip.as_str(), "1.2.3.2"];
            both.sort_unstable();
            holds(&zone, &running, "shop", &both);
            zone.azure.control.fail(LIST, fault.clone());
        }
        let (code, text) = running.say(&["plan"]);
        assert!(code == 0 || text.contains("out of reach"), "{text}");
        assert_eq!(running.status()["drift"], 0, "{}", running.status());
    }
}

/// The kind of records changes, and the call between deletion and creation is torn.
#[test]
fn a_change_of_kind_torn_half_way_is_finished() {
    for (call, fault) in [
        (PUT, Fault::TornBefore),
        (PUT, Fault::TornAfter),
        ("RecordSets_Delete", Fault::TornBefore),
        ("RecordSets_Delete", Fault::TornAfter),
    ] {
        for skip in 0..4 {
            let zone = AzureZone::start();
            let (place, running) = written(&zone);
            for _ in 0..skip {
                zone.azure.control.fail(call, Fault::Slow(Duration::from_millis(1)));
            }
            zone.azure.control.fail(call, fault.clone());
            place.delete("aws", "shop");
            let region = format!("shop.default.magicring.svc.us-west-2.{ZONE}.");
            wait_for(&format!("the region to point up; {}", running.status()), || {
                (zone.get(&region, "CNAME") == [global("shop")]).then_some(())
            });
            holds(&zone, &running, "shop", &["1.2.3.2"]);
            let status = running.phase("inStep");
            assert_eq!(status["conflicts"].as_array().unwrap().len(), 0, "{status}");
        }
    }
}

// === Size ===

#[test]
fn a_zone_of_many_pages_is_read_whole() {
    let zone = AzureZone::start();
    for one in 0..1_100 {
        zone.put(&format!("theirs{one}.{ZONE}."), "A", 60, &["9.9.9.9"]);
    }
    zone.put(&global("shop"), "A", 60, &["9.9.9.9"]);
    let place = place(&zone);
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("aws", "other", &["1.2.3.7"]);
    let running = place.start();
    holds(&zone, &running, "other", &["1.2.3.7"]);
    assert_eq!(running.phase("inStep")["conflicts"][0]["name"], global("shop"));
    assert_eq!(zone.data().keys().filter(|(name, _)| name.starts_with("theirs")).count(), 1_100);
    assert!(zone.azure.control.calls()[LIST] >= 3);
}
