//! The scenarios, once, and a test of each for every provider.

use crate::{
    azure_target::AzureZone,
    cloud_dns_target::CloudDnsTarget,
    nameserver::NameServer,
    place::{Place, Running, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};

/// A place whose zone is written to that provider.
pub(crate) fn place(target: &dyn Target) -> Place {
    let place = Place::new(&target.publish()).with_environment(target.environment());
    for (name, text) in target.files() {
        place.file(&name, &text);
    }
    place
}

/// With service `shop` of both clusters written.
pub(crate) fn written(target: &dyn Target) -> (Place, Running) {
    let place = place(target);
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("gke", "shop", &["1.2.3.2"]);
    let running = place.start();
    holds(target, &running, "shop", &["1.2.3.1", "1.2.3.2"]);
    // Where each set is a call of its own, some of it comes after that.
    running.phase("inStep");
    (place, running)
}

/// Waits until the provider has these addresses for the service's global name.
pub(crate) fn holds(target: &dyn Target, running: &Running, service: &str, ips: &[&str]) {
    let name = global(service);
    wait_for(&format!("{name} to be {ips:?}; {}\n{}", running.status(), running.log()), || {
        (target.get(&name, "A") == ips).then_some(())
    });
}

pub(crate) fn services(place: &Place, names: std::ops::Range<u8>) {
    for one in names {
        place.serve("aws", &format!("s{one}"), &[&format!("1.2.4.{}", one + 1)]);
    }
}

// === The scenarios ===

/// The federation's names at every level, with marks beside them and a CNAME up where a level has
/// nothing; then the same after values changed, and nothing once the service is deleted.
fn creates_changes_and_removes(target: &dyn Target) {
    let (place, running) = written(target);
    let region = format!("shop.default.magicring.svc.us-west-2.{ZONE}.");
    assert_eq!(target.get(&region, "A"), ["1.2.3.1"]);
    let mark = target.get(&format!("_meridian.{}", global("shop")), "TXT");
    assert!(mark[0].contains("heritage=meridian,v=1,owner="), "{mark:?}");
    place.serve("aws", "shop", &["1.2.3.9"]);
    holds(target, &running, "shop", &["1.2.3.2", "1.2.3.9"]);
    // The level's kind of records changes from addresses to an alias.
    place.delete("aws", "shop");
    holds(target, &running, "shop", &["1.2.3.2"]);
    wait_for("the region to point up", || {
        (target.get(&region, "CNAME") == [global("shop")]).then_some(())
    });
    assert_eq!(target.get(&region, "A"), [""; 0]);
    place.delete("gke", "shop");
    wait_for(&format!("nothing but the zone itself; {}", running.status()), || {
        target.data().is_empty().then_some(())
    });
    running.phase("inStep");
    let left: Vec<_> = target.all().into_keys().map(|(name, _)| name).collect();
    assert!(left.iter().all(|name| !name.starts_with("_meridian.")), "{left:?}");
    let (_, history) = running.say(&["history", &global("shop")]);
    for word in ["create", "update", "remove", "service default/shop", "-A 180 1.2.3.1,1.2.3.2"] {
        assert!(history.contains(word), "{word}: {history}");
    }
}

/// Somebody else's records of our names, and beside them, stay as they are.
fn foreign_records_stay(target: &dyn Target) {
    target.put(&global("shop"), "A", 60, &["9.9.9.9"]);
    target.put(&format!("theirs.{ZONE}."), "TXT", 60, &["\"theirs\""]);
    let place = place(target);
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("aws", "other", &["1.2.3.7"]);
    let running = place.start();
    holds(target, &running, "other", &["1.2.3.7"]);
    assert_eq!(target.get(&global("shop"), "A"), ["9.9.9.9"]);
    let status = running.phase("inStep");
    assert_eq!(status["conflicts"][0]["name"], global("shop"));
    target.put(&global("other"), "TXT", 60, &["\"beside ours\""]);
    place.delete("aws", "other");
    place.delete("aws", "shop");
    wait_for("what is ours to go", || target.get(&global("other"), "A").is_empty().then_some(()));
    assert_eq!(target.get(&global("other"), "TXT"), ["\"beside ours\""]);
    assert_eq!(target.get(&global("shop"), "A"), ["9.9.9.9"]);
    assert_eq!(target.get(&format!("theirs.{ZONE}."), "TXT"), ["\"theirs\""]);
}

/// Most of a zone does not go without a person's word; what is new comes all the same.
fn much_removed_at_once_waits(target: &dyn Target) {
    let place = place(target);
    services(&place, 0..12);
    let running = place.start();
    holds(target, &running, "s11", &["1.2.4.12"]);
    for one in 0..12 {
        place.delete("aws", &format!("s{one}"));
    }
    place.serve("aws", "fresh", &["1.2.3.1"]);
    holds(target, &running, "fresh", &["1.2.3.1"]);
    let held = running.phase("held");
    assert!(held["held"].as_array().unwrap().len() > 10, "{held}");
    assert_eq!(target.get(&global("s3"), "A"), ["1.2.4.4"]);
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("HELD remove s3.default.magicring"), "{text}");
    let count = held["held"].as_array().unwrap().len();
    let (code, text) = running.say(&["gc"]);
    assert!(
        code == 3
            && text.contains("s3.default.magicring.svc.fed.example.org. (service default/s3)"),
        "{text}"
    );
    let (code, text) = running.say(&["apply", "--approve", &(count - 1).to_string()]);
    assert_eq!(code, 3, "{text}");
    assert_eq!(target.get(&global("s3"), "A"), ["1.2.4.4"]);
    let (code, text) = running.say(&["apply", "--approve", &count.to_string()]);
    assert_eq!(code, 0, "{text}");
    wait_for("the approved removals", || target.get(&global("s3"), "A").is_empty().then_some(()));
    let (_, history) = running.say(&["history", "-o", "json", &global("s3")]);
    assert!(history.contains("\"approved\": \"ann\""), "{history}");
}

/// Names of external-dns are taken over on a person's word: ownership first, then the data.
fn names_are_adopted_from_external_dns(target: &dyn Target) {
    let name = global("shop");
    let theirs = format!("a-{name}");
    target.put(&name, "A", 60, &["9.9.9.9"]);
    let text = "\"heritage=external-dns,external-dns/owner=default,external-dns/resource=service/default/shop\"";
    target.put(&theirs, "TXT", 60, &[text]);
    let place = place(target);
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("aws", "other", &["1.2.3.7"]);
    let running = place.start();
    holds(target, &running, "other", &["1.2.3.7"]);
    let word = ["adopt", "--from", "external-dns", "--owner", "default"];
    let (code, listed) = running.say(&word);
    assert!(code == 0 && listed.contains("1 names would be taken over"), "{listed}");
    assert_eq!(target.get(&name, "A"), ["9.9.9.9"]);
    let (_, wrong) = running.say(&["adopt", "--from", "external-dns", "--owner", "else", "--yes"]);
    assert!(wrong.contains("0 names taken over"), "{wrong}");
    let (code, text) = running.say(&[&word[..], &["--yes"]].concat());
    assert!(code == 0 && text.contains(&name), "{text}");
    holds(target, &running, "shop", &["1.2.3.1"]);
    running.phase("inStep");
    let flipped = target.get(&theirs, "TXT");
    assert!(flipped[0].contains("external-dns/owner=meridian-"), "{flipped:?}");
    let (_, history) = running.say(&["history", &name]);
    let (adopted, updated) = (history.find("adopt").unwrap(), history.find("update").unwrap());
    assert!(adopted < updated, "{history}");
}

/// A process that is killed at any moment goes on after its restart.
fn a_crash_at_any_moment_is_recovered(target: &dyn Target) {
    let place = place(target);
    for round in 0..6_u8 {
        services(&place, round * 4..round * 4 + 4);
        let running = place.start();
        // Killed somewhere between the read and the last write.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(round) * 12));
        running.signal("-KILL");
    }
    let running = place.start();
    for one in 0..24_u8 {
        holds(target, &running, &format!("s{one}"), &[&format!("1.2.4.{}", one + 1)]);
    }
    let status = running.phase("inStep");
    assert_eq!(status["conflicts"].as_array().unwrap().len(), 0, "{status}");
}

/// A second process with the same installation's id and key, and another instance, writes nothing.
fn a_second_writer_refuses(target: &dyn Target) {
    let (place, running) = written(target);
    drop(running);
    let text = std::fs::read_to_string(place.path("state").join("installation.json")).unwrap();
    let mut own: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = own["instance"].as_str().unwrap().to_owned();
    own["instance"] = "second".into();
    std::fs::create_dir_all(place.path("state2")).unwrap();
    std::fs::write(place.path("state2").join("installation.json"), own.to_string()).unwrap();
    let before = target.all();
    place.serve("aws", "shop", &["1.2.3.77"]);
    let second = place.start_with("state2");
    let status = second.phase("refused");
    assert!(status["problem"].as_str().unwrap().contains(&first), "{status}");
    assert_eq!(target.all(), before);
    let (code, text) = second.say(&["apply", "--take-over", &first]);
    assert_eq!(code, 0, "{text}");
    holds(target, &second, "shop", &["1.2.3.2", "1.2.3.77"]);
}

/// A writer that was stopped while another wrote loses, reads again, and refuses to go on.
fn a_paused_writer_with_an_old_plan_loses(target: &dyn Target) {
    let (place, old) = written(target);
    old.signal("-STOP");
    place.serve("aws", "shop", &["1.2.3.55"]);
    let text = std::fs::read_to_string(place.path("state").join("installation.json")).unwrap();
    let mut own: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = own["instance"].as_str().unwrap().to_owned();
    own["instance"] = "second".into();
    std::fs::create_dir_all(place.path("state2")).unwrap();
    std::fs::write(place.path("state2").join("installation.json"), own.to_string()).unwrap();
    let new = place.start_with("state2");
    new.phase("refused");
    assert_eq!(new.say(&["apply", "--take-over", &first]).0, 0);
    holds(target, &new, "shop", &["1.2.3.2", "1.2.3.55"]);
    new.signal("-STOP");
    let written = target.all();
    // The old one wakes up, sees a change of its own, and tries to write it.
    place.serve("aws", "shop", &["1.2.3.66"]);
    old.signal("-CONT");
    let status = old.phase("refused");
    assert!(
        status["lost"].as_u64().unwrap() > 0 || status["otherInstance"] == "second",
        "{status}"
    );
    assert_eq!(target.all(), written, "it changed nothing");
    new.signal("-CONT");
    holds(target, &new, "shop", &["1.2.3.2", "1.2.3.66"]);
}

/// A zone that somebody emptied is filled again.
fn a_zone_emptied_by_hand_is_filled_again(target: &dyn Target) {
    let (_place, running) = written(target);
    for (name, rtype) in target.all().into_keys() {
        if rtype != "SOA" && rtype != "NS" {
            target.remove(&name, &rtype);
        }
    }
    assert_eq!(target.data().len(), 0);
    // Found by the next look; asking for the plan is one.
    running.say(&["plan"]);
    holds(target, &running, "shop", &["1.2.3.1", "1.2.3.2"]);
}

/// With wrong credentials nothing is written, the reason is said, and it goes on once they are right.
fn wrong_credentials_are_said(target: &dyn Target) {
    let place = place(target);
    place.configure(&target.publish_denied(), "");
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let problem =
        wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("not allowed: "), "{problem}");
    assert_eq!(target.data().len(), 0);
    place.configure(&target.publish(), "");
    holds(target, &running, "shop", &["1.2.3.1"]);
}

/// A zone that the provider does not have is said.
fn a_missing_zone_is_said(target: &dyn Target) {
    let place = place(target);
    let text = std::fs::read_to_string(place.path("config").join("fed.yaml")).unwrap();
    let other = text.replace(&format!("zone: {ZONE}"), "zone: nowhere.test");
    place.file("fed.yaml", &other);
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let status = wait_for("the reason", || {
        let status = running.status();
        status["problem"].is_string().then_some(status)
    });
    assert!(status["problem"].as_str().unwrap().contains("nowhere.test"), "{status}");
}

/// The freeze switch stops writes within a second, outlives a restart, and is let go.
fn a_freeze_stops_writes(target: &dyn Target) {
    let (place, running) = written(target);
    assert_eq!(running.say(&["freeze", "--reason", "incident 7"]).0, 0);
    running.phase("frozen");
    let before = target.all();
    place.serve("aws", "shop", &["1.2.3.9"]);
    let (code, text) = wait_for("the plan", || {
        let (code, text) = running.say(&["plan"]);
        (code == 2).then_some((code, text))
    });
    assert_eq!((code, target.all()), (2, before.clone()));
    assert!(text.contains("frozen by ann"), "{text}");
    assert!(text.contains("  + A 180 1.2.3.2,1.2.3.9"), "{text}");
    drop(running);
    let running = place.start();
    running.phase("frozen");
    assert_eq!(target.all(), before);
    assert_eq!(running.say(&["thaw"]).0, 0);
    holds(target, &running, "shop", &["1.2.3.2", "1.2.3.9"]);
}

/// Names that need escaping, a TTL of one's own, and more addresses than one would think.
fn odd_records_are_written(target: &dyn Target) {
    let place = place(target);
    place.file("more.zone", "*.wild 60 A 1.2.3.8\nlong 5 TXT \"with \\\"quotes\\\" and ;\"\n");
    place.configure(&target.publish(), "  masterFile: more.zone\n");
    let many: Vec<String> = (0..15).map(|one| format!("1.2.5.{one}")).collect();
    place.serve("aws", "many", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let running = place.start();
    wait_for(&format!("all addresses; {}", running.status()), || {
        (target.get(&global("many"), "A").len() == 15).then_some(())
    });
    running.phase("inStep");
    assert_eq!(target.get(&format!("*.wild.{ZONE}."), "A"), ["1.2.3.8"]);
    let text = target.get(&format!("long.{ZONE}."), "TXT");
    assert_eq!(text, ["\"with \\\"quotes\\\" and ;\""]);
    // A later look finds nothing to put right.
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}");
}

macro_rules! battery {
    ($($name:ident: $start:expr;)*) => {$(
        mod $name {
            use super::*;

            battery!(@each $start; creates_changes_and_removes foreign_records_stay
                much_removed_at_once_waits names_are_adopted_from_external_dns
                a_crash_at_any_moment_is_recovered
                a_second_writer_refuses a_paused_writer_with_an_old_plan_loses
                a_zone_emptied_by_hand_is_filled_again wrong_credentials_are_said
                a_missing_zone_is_said a_freeze_stops_writes odd_records_are_written);
        }
    )*};
    (@each $start:expr; $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            super::$scenario(&$start);
        }
    )*};
}

battery! {
    bind: NameServer::bind(ZONE);
    knot: NameServer::knot(ZONE);
    route53: Aws::start();
    powerdns: NameServer::powerdns(ZONE);
    azure: AzureZone::start();
    cloud_dns: CloudDnsTarget::start();
}
