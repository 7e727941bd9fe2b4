//! Steered names on Azure: what clients are answered by profiles that a process wrote, kept right
//! and removed.

use crate::{
    azure_target::AzureZone,
    double::{
        azure::{Azure, GROUP, SUBSCRIPTION},
        common::{Fault, Shown},
    },
    place::{Place, Running, ZONE, global, wait_for},
    scenarios::place,
    target::Target,
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const AWS: &str = "1.2.3.1";
const GKE: &str = "1.2.3.2";
const GEO: &str = "order: {geo: {map: [{continents: [EU, AS], clusters: [gke]}, {countries: [US], \
                   clusters: [aws]}], default: [aws]}}";
const WEIGHTED: &str = "weights: {aws: 3, gke: 1}\n  pick: random";
const NEAREST: &str = "order: {proximity: {}}";

/// A policy for `shop`; `None` for none at all.
fn policy(place: &Place, spec: Option<&str>) {
    let path = place.path("config").join("policy.yaml");
    let Some(spec) = spec else { return std::fs::remove_file(path).unwrap() };
    let text = format!(
        "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: shop, namespace: \
         default}}\nspec:\n  targets: [{{kind: Service, name: shop}}]\n  {spec}\n"
    );
    // In one step, so that no half file is read.
    let part = place.path("config").join("policy.part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, path).unwrap();
}

fn steered(target: &AzureZone, spec: &str) -> (Place, Running) {
    let place = place(target);
    policy(&place, Some(spec));
    place.serve("aws", "shop", &[AWS]);
    place.serve("gke", "shop", &[GKE]);
    let running = place.start();
    (place, running)
}

/// What clients in Germany, the United States and Japan get.
fn each(azure: &Azure) -> [Vec<String>; 3] {
    ["91.0.0.1", "12.0.0.1", "126.0.0.1"].map(|client| asked(azure, "A", client))
}

fn asked(azure: &Azure, rtype: &str, client: &str) -> Vec<String> {
    let client: IpAddr = client.parse().unwrap();
    let mut found: Vec<String> =
        azure.answer(ZONE, &global("shop"), rtype, client).into_iter().map(|own| own.1).collect();
    found.sort();
    found
}

fn answers(target: &AzureZone, running: &Running, wanted: [&[&str]; 3]) {
    wait_for(&format!("{wanted:?}; {}\n{}", running.status(), running.log()), || {
        (each(&target.azure)
            == wanted.map(|own| own.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .then_some(())
    });
}

/// Nothing is left to do, and every profile is reached from the alias.
#[track_caller]
fn settled(target: &AzureZone, running: &Running, profiles: usize) {
    let (code, text) = wait_for("an empty plan", || {
        let (code, text) = running.say(&["plan"]);
        (code == 0 && running.status()["phase"] == "inStep").then_some((code, text))
    });
    assert_eq!(code, 0, "{text}");
    let names: Vec<_> = target.azure.profiles().iter().map(|own| own["name"].clone()).collect();
    assert_eq!(names.len(), profiles, "{names:?}");
}

fn methods(azure: &Azure) -> Vec<String> {
    let method =
        |own: &Value| own["properties"]["trafficRoutingMethod"].as_str().unwrap().to_owned();
    let mut all: Vec<String> = azure.profiles().iter().map(method).collect();
    all.sort();
    all
}

#[test]
fn each_place_gets_its_own_cluster() {
    let target = AzureZone::start();
    let (place, running) = steered(&target, &format!("ttl: 30\n  {GEO}"));
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    settled(&target, &running, 1);
    let found = target.azure.answer(ZONE, &global("shop"), "A", "91.0.0.1".parse().unwrap());
    assert_eq!(found[0].0, 30, "the policy's TTL");
    assert_eq!(asked(&target.azure, "A", "200.0.0.1"), [AWS], "the default");
    let own = &target.azure.profiles()[0];
    assert!(own["name"].as_str().unwrap().starts_with("meridian-"), "{own}");
    let name = global("shop");
    let relative = name.trim_end_matches('.').strip_suffix(ZONE).unwrap().trim_end_matches('.');
    assert_eq!(own["tags"]["meridian"], format!("{ZONE}/{relative}"));
    // Several addresses behind a place are answered together, from a profile of their own.
    place.serve("gke", "shop", &[GKE, "1.2.3.3"]);
    answers(&target, &running, [&[GKE, "1.2.3.3"], &[AWS], &[GKE, "1.2.3.3"]]);
    settled(&target, &running, 2);
    assert_eq!(methods(&target.azure), ["Geographic", "MultiValue"]);
    // A place's cluster fails over to the next in its row.
    place.delete("gke", "shop");
    answers(&target, &running, [&[AWS], &[AWS], &[AWS]]);
    settled(&target, &running, 0);
}

#[test]
fn clients_are_shared_by_weight() {
    let target = AzureZone::start();
    let (_place, running) = steered(&target, WEIGHTED);
    wait_for("the profile", || (methods(&target.azure) == ["Weighted"]).then_some(()));
    settled(&target, &running, 1);
    let mut aws = 0;
    for _ in 0..400 {
        let found = asked(&target.azure, "A", "91.0.0.1");
        assert_eq!(found.len(), 1);
        aws += usize::from(found == [AWS]);
    }
    assert!((290..=310).contains(&aws), "{aws} of 400 for three parts in four");
}

#[test]
fn each_client_gets_the_nearest_cluster() {
    let target = AzureZone::start();
    let (_place, running) = steered(&target, NEAREST);
    answers(&target, &running, [&[AWS], &[AWS], &[GKE]]);
    settled(&target, &running, 1);
    let (_, text) = running.say(&["plan", "-o", "json"]);
    assert!(text.contains("order.proximity"), "{text}");
    let own = &target.azure.profiles()[0]["properties"]["endpoints"];
    assert_eq!(own[0]["properties"]["endpointLocation"], "westus2");
    assert_eq!(own[1]["properties"]["endpointLocation"], "eastasia");
}

/// From plain records to each kind and to each other, with clients asking all the while.
#[test]
fn no_client_sees_an_empty_answer_while_routing_changes() {
    let target = AzureZone::start();
    target.azure.control.unlimited();
    let (place, running) = steered(&target, GEO);
    let many: &[&str] = &[GKE, "1.2.3.3"];
    place.serve("gke", "shop", many);
    answers(&target, &running, [many, &[AWS], many]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut empty = 0_u32;
            while !done.load(Ordering::Relaxed) {
                empty += each(&target.azure)
                    .iter()
                    .filter(|own| own.is_empty())
                    .fold(0, |sum, _| sum + 1);
            }
            empty
        });
        for _ in 0..2 {
            for (spec, wanted) in [
                (Some(WEIGHTED), &["MultiValue", "Weighted"][..]),
                (None, &[]),
                (Some(NEAREST), &["MultiValue", "Performance"]),
                (Some(WEIGHTED), &["MultiValue", "Weighted"]),
                (Some(GEO), &["Geographic", "MultiValue"]),
                (None, &[]),
                (Some(GEO), &["Geographic", "MultiValue"]),
            ] {
                policy(&place, spec);
                wait_for(&format!("{wanted:?}; {}\n{}", running.status(), running.log()), || {
                    (methods(&target.azure) == wanted).then_some(())
                });
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(asking.join().unwrap(), 0, "empty answers");
    });
    answers(&target, &running, [many, &[AWS], many]);
    settled(&target, &running, 2);
}

/// Killed before the first, the second, the third … write of each change: the next process goes on
/// from whatever is there, and leaves nothing behind that nothing stands for.
#[test]
fn a_crash_between_any_calls_is_recovered() {
    let target = AzureZone::start();
    target.azure.control.unlimited();
    let place = place(&target);
    let many: &[&str] = &[GKE, "1.2.3.3"];
    let serve = || {
        place.serve("aws", "shop", &[AWS]);
        place.serve("gke", "shop", many);
    };
    let all: &[&str] = &[AWS, GKE, "1.2.3.3"];
    serve();
    let mut running = place.start();
    settled(&target, &running, 0);
    let spec = |own| format!("ttl: 180\n  {own}");
    let (geo, nearest) = (spec(GEO), spec(NEAREST));
    // The generation record, nested, root, alias, root; or nested, root, and the old nested one.
    for calls in 2..=5 {
        for (calls, spec, wanted, profiles) in [
            (calls, Some(geo.as_str()), [many, &[AWS], many], 2),
            (calls.min(4), Some(nearest.as_str()), [&[AWS], &[AWS], many], 2),
            (calls.min(4), None, [all, all, all], 0),
        ] {
            killed(&target, running, calls, || policy(&place, spec));
            running = place.start();
            answers(&target, &running, wanted);
            settled(&target, &running, profiles);
        }
    }
    // And on the way out.
    policy(&place, Some(&geo));
    for calls in 4..=7 {
        serve();
        answers(&target, &running, [many, &[AWS], many]);
        settled(&target, &running, 2);
        killed(&target, running, calls, || {
            place.delete("aws", "shop");
            place.delete("gke", "shop");
        });
        running = place.start();
        wait_for(&format!("nothing at all; {}", running.status()), || {
            (target.data().is_empty() && target.azure.profiles().is_empty()).then_some(())
        });
    }
}

/// Kills the process as it begins that write of a change, before it is carried out.
fn killed(target: &AzureZone, running: Running, calls: u64, change: impl Fn()) {
    let control = &target.azure.control;
    let writes = || {
        let all = control.calls();
        WRITES.iter().filter_map(|name| all.get(*name)).sum::<u64>()
    };
    for name in WRITES {
        (0..calls).for_each(|_| control.fail(name, Fault::Slow(Duration::from_millis(100))));
    }
    let before = writes();
    change();
    wait_for("as many writes", || (writes() >= before + calls).then_some(()));
    running.signal("-KILL");
    drop(running);
    WRITES.iter().for_each(|name| while control.fault(name).is_some() {});
}

const WRITES: [&str; 4] = [
    "RecordSets_CreateOrUpdate",
    "RecordSets_Delete",
    "Profiles_CreateOrUpdate",
    "Profiles_Delete",
];

#[test]
fn what_somebody_changed_by_hand_is_put_right() {
    let target = AzureZone::start();
    let (place, running) = steered(&target, GEO);
    let many: &[&str] = &[GKE, "1.2.3.3"];
    place.serve("gke", "shop", many);
    answers(&target, &running, [many, &[AWS], many]);
    settled(&target, &running, 2);
    assert_eq!(running.say(&["freeze", "--reason", "to see the plan"]).0, 0);
    let whole = target.azure.profiles();
    let nested = whole.iter().find(|own| own["properties"]["maxReturn"].is_u64()).unwrap();
    let mut edited = nested.clone();
    edited["properties"]["endpoints"][0]["properties"]["target"] = json!("9.9.9.9");
    target.azure.put_profile(nested["name"].as_str().unwrap(), &edited);
    assert_ne!(asked(&target.azure, "A", "91.0.0.1"), many);
    // Found by the next look; asking for the plan is one.
    let (code, text) = running.say(&["plan"]);
    assert!(code == 2 && text.contains("9.9.9.9"), "{text}");
    assert_eq!(running.say(&["thaw"]).0, 0);
    answers(&target, &running, [many, &[AWS], many]);
    settled(&target, &running, 2);
    assert_eq!(running.status()["drift"], 1, "{}", running.status());
}

#[test]
fn a_profile_that_somebody_removed_is_made_again() {
    let target = AzureZone::start();
    let (_place, running) = steered(&target, GEO);
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    running.phase("inStep");
    let name = target.azure.profiles()[0]["name"].as_str().unwrap().to_owned();
    target.azure.drop_profile(&name);
    running.say(&["plan"]);
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    settled(&target, &running, 1);
}

#[test]
fn a_deleted_service_leaves_no_profile() {
    let target = AzureZone::start();
    let theirs = json!({"location": "global", "tags": {"meridian": format!("{ZONE}/x")},
        "properties": {"trafficRoutingMethod": "Weighted", "dnsConfig": {"relativeName": "theirs",
        "ttl": 60}, "monitorConfig": {"protocol": "TCP", "port": 80}, "endpoints": [{"name": "a",
        "type": "externalEndpoints", "properties": {"target": "8.8.8.8"}}]}});
    let id = target.azure.put_profile("theirs", &theirs);
    assert!(id.contains(SUBSCRIPTION) && id.contains(GROUP), "{id}");
    let alias = Shown {
        name: format!("theirs.{ZONE}."),
        rtype: "A".to_owned(),
        ttl: Some(60),
        data: Vec::new(),
        set: None,
        extra: json!({"alias": id}),
    };
    target.azure.put(&target.id, alias);
    let (place, running) = steered(&target, GEO);
    place.serve("gke", "shop", &[GKE, "1.2.3.3"]);
    wait_for("the profiles", || (target.azure.profiles().len() == 3).then_some(()));
    settled(&target, &running, 3);
    place.delete("aws", "shop");
    place.delete("gke", "shop");
    wait_for(&format!("no profile but theirs; {}\n{}", running.status(), running.log()), || {
        (target.azure.profiles().len() == 1).then_some(())
    });
    let client = "91.0.0.1".parse().unwrap();
    assert_eq!(target.azure.answer(ZONE, &format!("theirs.{ZONE}"), "A", client)[0].1, "8.8.8.8");
}

/// Calls that are refused as too fast, or end without an answer, are made good.
#[test]
fn torn_and_throttled_calls_are_made_good() {
    let target = AzureZone::start();
    let control = &target.azure.control;
    for fault in [Fault::TornAfter, Fault::Throttled(Some(1)), Fault::TornBefore] {
        control.fail("Profiles_CreateOrUpdate", fault);
    }
    let (place, running) = steered(&target, GEO);
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    settled(&target, &running, 1);
    for fault in [Fault::TornAfter, Fault::Status(503)] {
        control.fail("Profiles_Delete", fault);
    }
    policy(&place, None);
    wait_for("plain records", || {
        (asked(&target.azure, "A", "91.0.0.1") == [AWS, GKE]).then_some(())
    });
    settled(&target, &running, 0);
}

/// Profiles are made before their alias: those of a batch that is stopped lead nowhere, and are
/// taken up or away by the next one.
#[test]
fn a_freeze_while_profiles_are_made_makes_no_further_one() {
    const PUT: &str = "Profiles_CreateOrUpdate";
    let target = AzureZone::start();
    let place = place(&target);
    let spec = format!("ttl: 30\n  {GEO}");
    policy(&place, Some(&spec));
    place.serve("aws", "shop", &[AWS]);
    place.serve("gke", "shop", &[GKE]);
    let extra: Vec<String> =
        (0..12).map(|one| format!("{{kind: Service, name: s{one}}}")).collect();
    let path = place.path("config").join("policy.yaml");
    let all = std::fs::read_to_string(&path).unwrap();
    let all = all.replace("name: shop}]", &format!("name: shop}}, {}]", extra.join(", ")));
    std::fs::write(&path, all).unwrap();
    for one in 0..12_u8 {
        place.serve("aws", &format!("s{one}"), &[&format!("1.2.4.{one}")]);
        place.serve("gke", &format!("s{one}"), &[&format!("1.2.5.{one}")]);
        target.azure.control.fail(PUT, Fault::Slow(Duration::from_millis(300)));
    }
    let running = place.start();
    let puts = || target.azure.control.calls().get(PUT).copied().unwrap_or_default();
    wait_for("some profiles", || (puts() > 2).then_some(()));
    assert_eq!(running.say(&["freeze", "--reason", "incident 7"]).0, 0);
    let at_freeze = puts();
    running.phase("frozen");
    let made = puts();
    assert!(made <= at_freeze + 1, "{made} after {at_freeze}");
    let (_, plan) = running.say(&["plan"]);
    assert_eq!(puts(), made, "{plan}");
    assert_eq!(running.say(&["thaw"]).0, 0);
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    settled(&target, &running, 13);
}

/// An identity with rights to the zone alone writes plain records as ever.
#[test]
fn profiles_that_may_not_be_read_are_none() {
    let target = AzureZone::start();
    for _ in 0..20 {
        target.azure.control.fail("Profiles_ListByResourceGroup", Fault::Status(403));
    }
    let place = place(&target);
    place.serve("aws", "shop", &[AWS]);
    let running = place.start();
    wait_for(&format!("the record; {}", running.status()), || {
        (each(&target.azure) == [[AWS], [AWS], [AWS]]).then_some(())
    });
}

/// Where the subscription has no room for profiles, what was answered before stays.
#[test]
fn too_many_profiles_are_said_and_change_nothing() {
    let target = AzureZone::start();
    target.azure.most_profiles(1);
    let (place, running) = steered(&target, WEIGHTED);
    settled(&target, &running, 1);
    place.serve("gke", "shop", &[GKE, "1.2.3.3"]);
    let aside = wait_for("the reason", || {
        let status = running.status().to_string();
        status.contains("ResourceQuotaExceeded").then_some(status)
    });
    assert!(aside.contains("ask Azure for more"), "{aside}");
    assert!(each(&target.azure).iter().all(|own| own.len() == 1));
    assert_eq!(methods(&target.azure), ["Weighted"]);
    target.azure.most_profiles(200);
    policy(&place, Some(GEO));
    answers(&target, &running, [&[GKE, "1.2.3.3"], &[AWS], &[GKE, "1.2.3.3"]]);
    settled(&target, &running, 2);
}

#[test]
fn both_families_have_their_own_profiles() {
    let target = AzureZone::start();
    let place = place(&target);
    policy(&place, Some(GEO));
    place.serve("aws", "shop", &[AWS, "2a00::1"]);
    place.serve("gke", "shop", &[GKE, "2a00::2"]);
    let running = place.start();
    answers(&target, &running, [&[GKE], &[AWS], &[GKE]]);
    wait_for("the other family", || {
        (asked(&target.azure, "AAAA", "91.0.0.1") == ["2a00::2"]).then_some(())
    });
    assert_eq!(asked(&target.azure, "AAAA", "12.0.0.1"), ["2a00::1"]);
    settled(&target, &running, 2);
    // One family goes, and its profile with it.
    place.serve("aws", "shop", &[AWS]);
    place.serve("gke", "shop", &[GKE]);
    wait_for("one profile", || (target.azure.profiles().len() == 1).then_some(()));
    settled(&target, &running, 1);
    assert_eq!(each(&target.azure), [[GKE], [AWS], [GKE]]);
}
