//! The wire to Cloud DNS, call by call against its double: which credentials bring a token, which
//! zone is found, what becomes of every refusal, and that what is written reads back.

use crate::{
    cloud_dns_target::CloudDnsTarget,
    double::common::{Denied, Fault, Served, Shown},
    place::ZONE,
    target::Target,
};
use meridian::{
    model::{Moment, Name, Ttl},
    plan::{
        Change, Failure, FailureKind, Listing, Owner, Permitted, RecordSet, Rendered, Say, Sight,
        diff, permit,
    },
    provider::{CloudDnsSettings, Provider, Settings},
    records::RecordType,
};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

thread_local! {
    /// How far the monotonic clock is ahead, and the wall's.
    static AHEAD: Cell<[Duration; 2]> = const { Cell::new([Duration::ZERO; 2]) };
}

fn clock() -> Moment {
    let now = Moment { mono: Instant::now(), wall: jiff::Timestamp::now() };
    let [mono, wall] = AHEAD.get();
    Moment { mono: now.after(mono).mono, wall: now.after(wall).wall }
}

/// A provider over a double, with its files.
struct Desk {
    target: CloudDnsTarget,
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let desk = Self {
            target: CloudDnsTarget::start(),
            directory: tempfile::tempdir().unwrap(),
            runtime,
        };
        desk.file("key.json", &desk.target.double.key_file());
        desk
    }

    fn file(&self, name: &str, body: &Value) {
        std::fs::write(self.directory.path().join(name), body.to_string()).unwrap();
    }

    fn settings(&self, credentials: &str) -> CloudDnsSettings {
        CloudDnsSettings {
            endpoint: Some(self.target.double.url()),
            credentials_file: Some(self.directory.path().join(credentials)),
            ..CloudDnsSettings::default()
        }
    }

    fn provider(&self) -> Provider {
        Settings::CloudDns(self.settings("key.json")).provider(clock)
    }

    fn read(&self, provider: &Provider) -> Result<Listing, Failure> {
        self.runtime.block_on(provider.read(&zone(), &[]))
    }

    fn read_with(&self, settings: CloudDnsSettings) -> Result<Listing, Failure> {
        self.read(&Settings::CloudDns(settings).provider(clock))
    }

    fn write(&self, provider: &Provider, batch: &Permitted) -> Result<(), Failure> {
        self.runtime.block_on(provider.write(batch)).map(|_| ())
    }

    fn calls(&self, name: &str) -> u64 {
        self.target.double.control.calls().get(name).copied().unwrap_or_default()
    }

    fn fail(&self, call: &str, fault: Fault) {
        self.target.double.control.fail(call, fault);
    }
}

fn zone() -> Name {
    ZONE.parse().unwrap()
}

fn name(label: &str) -> Name {
    format!("{label}.{ZONE}.").parse().unwrap()
}

fn a(label: &str, last: u8) -> RecordSet {
    RecordSet::plain(&name(label), RecordType::A, Ttl::from_secs(60), [[1, 2, 3, last]])
}

fn policy(label: &str, policy: &str) -> RecordSet {
    let mut set = a(label, 1);
    set.data.clear();
    set.more.insert("policy".into(), policy.into());
    set
}

fn owner() -> Owner {
    Owner::new("ours", "one", &[vec![7; 32]]).unwrap()
}

/// The batch that leaves these sets as ours.
fn batch(existing: &Listing, sets: Vec<RecordSet>) -> Permitted {
    let clusters: BTreeSet<_> = ["aws".into()].into();
    let clusters = Arc::new(clusters);
    let mut names = BTreeMap::new();
    for set in sets {
        let own = Say {
            object: "service default/shop".into(),
            clusters: clusters.clone(),
            sets: Some(vec![set.clone()]),
            unchecked: None,
        };
        names.insert(set.key.owner.clone(), own);
    }
    let sight = Sight { fresh: ["aws".into()].into(), blind: BTreeMap::new() };
    let wanted = Rendered {
        names,
        switches: meridian::plan::Switches::default(),
        degraded: Vec::new(),
        sight,
    };
    let changes: Vec<Change> = diff(&wanted, existing, &owner()).changes;
    permit(&owner(), existing, changes, None).unwrap()
}

fn refused(outcome: Result<Listing, Failure>, kind: FailureKind, words: &[&str]) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind(), kind, "{failure}");
    for word in words {
        assert!(failure.to_string().contains(word), "{word} in {failure}");
    }
}

// === Credentials ===

#[test]
fn every_kind_of_credentials_brings_a_token_that_is_kept() {
    let desk = Desk::new();
    let double = &desk.target.double;
    let subject = desk.directory.path().join("subject");
    std::fs::write(&subject, double.subject_token()).unwrap();
    let subject = subject.to_str().unwrap();
    desk.file("external.json", &double.external_account(subject, false));
    desk.file("impersonated.json", &double.external_account(subject, true));
    let token = json!({ "value": double.subject_token() });
    let asked = move |headers: axum::http::HeaderMap| async move {
        if headers.get("x-mine").is_some_and(|own| own == "yes") {
            token.to_string()
        } else {
            String::new()
        }
    };
    let served = Served::start(axum::Router::new().route("/t", axum::routing::get(asked)));
    let mut by_url = double.external_account(subject, true);
    by_url["credential_source"] = json!({
        "url": format!("{}/t", served.url()), "headers": { "x-mine": "yes" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    desk.file("by-url.json", &by_url);
    for (file, own) in [
        ("key.json", [1, 0, 0]),
        ("external.json", [1, 1, 0]),
        ("impersonated.json", [1, 2, 1]),
        ("by-url.json", [1, 3, 2]),
    ] {
        let mut settings = desk.settings(file);
        settings.project = (file != "key.json").then(|| "meridian-test".to_owned());
        let provider = Settings::CloudDns(settings).provider(clock);
        for _ in 0..3 {
            assert_eq!(desk.read(&provider).unwrap().len(), 2, "{file}");
        }
        let calls = ["oauth2.token", "sts.token", "iamcredentials.generateAccessToken"];
        assert_eq!(calls.map(|call| desk.calls(call)), own, "{file}");
    }
    assert_eq!(desk.calls("dns.managedZones.list"), 4, "a zone is looked up once");
}

#[test]
fn a_token_is_renewed_before_its_end_and_when_it_is_refused() {
    let desk = Desk::new();
    let provider = desk.provider();
    for (seconds, tokens) in [(0, 1), (3_599 - 230, 1), (3_599 - 220, 2)] {
        AHEAD.set([Duration::from_secs(seconds), Duration::ZERO]);
        desk.read(&provider).unwrap();
        assert_eq!(desk.calls("oauth2.token"), tokens, "{seconds} s later");
    }
    // The other side's hour has passed, ours has not: the refusal is enough.
    desk.target.double.control.advance(Duration::from_secs(3_600));
    let listing = desk.read(&provider).unwrap();
    assert_eq!(desk.calls("oauth2.token"), 3);
    desk.target.double.control.advance(Duration::from_secs(3_600));
    desk.write(&provider, &batch(&listing, vec![a("shop", 1)])).unwrap();
    assert_eq!(desk.calls("oauth2.token"), 4);
    // One that is refused again and again is not asked for again and again.
    for _ in 0..2 {
        desk.fail("dns.resourceRecordSets.list", Fault::Status(401));
    }
    refused(desk.read(&provider), FailureKind::Denied, &["credentialsFile"]);
    assert_eq!(desk.calls("oauth2.token"), 5);
}

#[test]
fn a_clock_that_is_off_is_named() {
    let desk = Desk::new();
    AHEAD.set([Duration::ZERO, Duration::from_secs(86_400)]);
    refused(desk.read(&desk.provider()), FailureKind::Denied, &["NTP", "invalid_grant"]);
}

#[test]
fn credentials_that_are_not_good_are_denied_with_a_remedy() {
    let desk = Desk::new();
    let denied = |file: &str, body: Option<Value>, words: &[&str]| {
        if let Some(body) = body {
            desk.file(file, &body);
        }
        let mut settings = desk.settings(file);
        settings.project = Some("meridian-test".to_owned());
        refused(desk.read_with(settings), FailureKind::Denied, words);
    };
    denied("none.json", None, &["none.json", "No such file"]);
    denied("empty.json", Some(json!({})), &["empty.json is of type"]);
    let mut key = desk.target.double.key_file();
    key["private_key_id"] = json!("another");
    denied("old.json", Some(key), &["Invalid JWT Signature", "make a new key", "old.json"]);
    let subject = desk.directory.path().join("subject");
    let own = desk.target.double.external_account(subject.to_str().unwrap(), false);
    denied("external.json", Some(own), &["credential_source", "No such file"]);
    std::fs::write(&subject, " \n").unwrap();
    denied("external.json", None, &["there is no token in it"]);
    std::fs::write(&subject, "no.jwt.atall").unwrap();
    denied("external.json", None, &["invalid_grant", "trusts who signs"]);
    let mut settings = desk.settings("external.json");
    settings.project = None;
    refused(desk.read_with(settings), FailureKind::Zone, &["say which with project"]);
    let mut settings = desk.settings("key.json");
    settings.project = Some("another-project".to_owned());
    refused(desk.read_with(settings), FailureKind::Denied, &["another-project", "check project"]);
}

#[test]
fn rights_that_are_missing_are_named() {
    let desk = Desk::new();
    let provider = desk.provider();
    let listing = desk.read(&provider).unwrap();
    desk.target.double.deny(Denied::ReadOnly);
    desk.read(&provider).unwrap();
    let failure = desk.write(&provider, &batch(&listing, vec![a("shop", 1)])).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Denied);
    assert!(failure.to_string().contains("dns.changes.create"), "{failure}");
    desk.target.double.deny(Denied::Permission);
    refused(desk.read(&provider), FailureKind::Denied, &["roles/dns.admin", "meridian-test"]);
    desk.target.double.deny(Denied::Credentials);
    refused(desk.read(&desk.provider()), FailureKind::Denied, &["not allowed"]);
    desk.target.double.deny(Denied::None);
    desk.read(&provider).unwrap();
}

// === The zone ===

#[test]
fn the_zone_is_the_one_public_zone_of_its_name_or_the_one_that_is_said() {
    let desk = Desk::new();
    let double = &desk.target.double;
    double.zone_as("inside", ZONE, "private");
    assert_eq!(desk.read(&desk.provider()).unwrap().len(), 2);
    double.zone_as("twin", ZONE, "public");
    let words = ["2 public managed zones", "fed-example-org, twin", "zoneId"];
    refused(desk.read(&desk.provider()), FailureKind::Zone, &words);
    double.zone("other.test");
    let with =
        |id: &str| CloudDnsSettings { zone_id: Some(id.to_owned()), ..desk.settings("key.json") };
    assert_eq!(desk.read_with(with("twin")).unwrap().len(), 2);
    refused(desk.read_with(with("other-test")), FailureKind::Zone, &["is other.test.", "zoneId"]);
    refused(desk.read_with(with("none")), FailureKind::Zone, &["no managed zone none", "zoneId"]);
    double.drop_zone("twin");
    double.drop_zone("fed-example-org");
    let words = ["no public managed zone fed.example.org.", "only a private one", "meridian-test"];
    refused(desk.read(&desk.provider()), FailureKind::Zone, &words);
}

#[test]
fn a_zone_that_was_made_anew_is_found_again() {
    let desk = Desk::new();
    let provider = desk.provider();
    let listing = desk.read(&provider).unwrap();
    desk.target.double.drop_zone("fed-example-org");
    desk.target.double.zone_as("anew", ZONE, "public");
    let failure = desk.write(&provider, &batch(&listing, vec![a("shop", 1)])).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Zone, "{failure}");
    let listing = desk.read(&provider).unwrap();
    desk.write(&provider, &batch(&listing, vec![a("shop", 1)])).unwrap();
    assert_eq!(desk.target.double.sets("anew").len(), 5);
}

#[test]
fn a_zone_of_many_sets_is_read_page_by_page_and_never_by_half() {
    let desk = Desk::new();
    for one in 0..2_345 {
        desk.target.put(&format!("n{one:04}.{ZONE}."), "A", 60, &["1.2.3.4"]);
    }
    let provider = desk.provider();
    assert_eq!(desk.read(&provider).unwrap().len(), 2_347);
    assert_eq!(desk.calls("dns.resourceRecordSets.list"), 3);
    for fault in [Fault::TornBefore, Fault::TornAfter, Fault::Status(500), Fault::Status(503)] {
        desk.fail("dns.resourceRecordSets.list", fault.clone());
        let outcome = desk.read(&provider);
        refused(outcome, FailureKind::Unavailable, &["out of reach"]);
    }
    assert_eq!(desk.read(&provider).unwrap().len(), 2_347);
}

// === Refusals ===

#[test]
fn what_becomes_of_a_write_is_told_apart() {
    use FailureKind::{Lost, Rejected, Throttled, Unknown};
    let desk = Desk::new();
    let provider = desk.provider();
    let listing = desk.read(&provider).unwrap();
    let new = batch(&listing, vec![a("shop", 1)]);
    let before = desk.target.all();
    for (fault, kind) in [
        (Fault::TornBefore, Unknown),
        (Fault::Status(500), Unknown),
        (Fault::Status(503), Unknown),
        (Fault::Status(504), Unknown),
        (Fault::Status(409), Lost),
        (Fault::Status(412), Lost),
        (Fault::Throttled(None), Throttled),
    ] {
        desk.fail("dns.changes.create", fault.clone());
        let failure = desk.write(&provider, &new).unwrap_err();
        assert_eq!(failure.kind(), kind, "{fault:?}: {failure}");
    }
    desk.fail("dns.changes.create", Fault::Throttled(Some(7)));
    let failure = desk.write(&provider, &new).unwrap_err();
    assert!(matches!(failure, Failure::Throttled(Some(wait), _) if wait.as_secs() == 7));
    assert_eq!(desk.target.all(), before);
    desk.fail("dns.changes.create", Fault::TornAfter);
    assert_eq!(desk.write(&provider, &new).unwrap_err().kind(), Unknown);
    // It was carried out: the same once more loses to ourselves.
    assert_eq!(desk.write(&provider, &new).unwrap_err().kind(), Lost);
    let odd = batch(&desk.read(&provider).unwrap(), vec![a("shop", 1), a("a\\@b", 1)]);
    let failure = desk.write(&provider, &odd).unwrap_err();
    assert_eq!(failure.kind(), Rejected);
    assert!(failure.to_string().contains("@b"), "{failure}");
    desk.target.double.quota("rrsetAdditionsPerChange", 1);
    let failure = desk.write(&provider, &new).unwrap_err();
    assert_eq!(failure.kind(), Rejected, "{failure}");
}

#[test]
fn a_zone_that_others_changed_is_lost_not_overwritten() {
    let desk = Desk::new();
    let provider = desk.provider();
    let first = desk.read(&provider).unwrap();
    desk.write(&provider, &batch(&first, vec![a("shop", 1)])).unwrap();
    let second = desk.read(&provider).unwrap();
    let update = batch(&second, vec![a("shop", 2)]);
    let shop = format!("shop.{ZONE}.");
    let lost = |what: &str| {
        let before = desk.target.all();
        let failure = desk.write(&provider, &update).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Lost, "{what}: {failure}");
        assert_eq!(desk.target.all(), before, "{what}");
    };
    desk.target.put(&shop, "A", 60, &["9.9.9.9"]);
    lost("another value");
    desk.target.put(&shop, "A", 61, &["1.2.3.1"]);
    lost("another TTL");
    desk.target.remove(&shop, "A");
    lost("gone");
    desk.target.put(&shop, "A", 60, &["1.2.3.1"]);
    desk.write(&provider, &update).unwrap();
    lost("written already");
}

#[test]
fn nobody_there_is_out_of_reach_and_nothing_is_in_doubt() {
    let desk = Desk::new();
    let provider = desk.provider();
    let listing = desk.read(&provider).unwrap();
    let new = batch(&listing, vec![a("shop", 1)]);
    let mut settings = desk.settings("key.json");
    settings.endpoint = Some("http://127.0.0.1:1".to_owned());
    let elsewhere = Settings::CloudDns(settings).provider(clock);
    refused(desk.read(&elsewhere), FailureKind::Unavailable, &["Cloud DNS"]);
    assert_eq!(desk.write(&elsewhere, &new).unwrap_err().kind(), FailureKind::Unavailable);
    for fault in [Fault::Status(503), Fault::TornBefore] {
        desk.fail("oauth2.token", fault);
        let failure = desk.write(&desk.provider(), &new).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Unavailable, "{failure}");
    }
    desk.fail("oauth2.token", Fault::Throttled(None));
    let failure = desk.write(&desk.provider(), &new).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Throttled, "{failure}");
}

#[test]
fn an_answer_that_is_not_the_services_is_none() {
    let desk = Desk::new();
    let html = || async { "<html>please log in</html>" };
    let portal = Served::start(axum::Router::new().fallback(html));
    let mut settings = desk.settings("key.json");
    settings.endpoint = Some(portal.url());
    refused(desk.read_with(settings.clone()), FailureKind::Unavailable, &["cannot be read"]);
    let moved = || async { (axum::http::StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]) };
    let portal = Served::start(axum::Router::new().fallback(moved));
    settings.endpoint = Some(portal.url());
    refused(desk.read_with(settings.clone()), FailureKind::Unavailable, &["302"]);
    let gone = || async { (axum::http::StatusCode::BAD_REQUEST, "no") };
    let portal = Served::start(axum::Router::new().fallback(gone));
    settings.endpoint = Some(portal.url());
    refused(desk.read_with(settings.clone()), FailureKind::Unavailable, &["check endpoint"]);
    let round = || async { axum::Json(json!({ "managedZones": [], "nextPageToken": "x" })) };
    let portal = Served::start(axum::Router::new().fallback(round));
    settings.endpoint = Some(portal.url());
    refused(desk.read_with(settings), FailureKind::Unavailable, &["comes back"]);
}

// === Policies ===

#[test]
fn a_policy_is_read_written_changed_and_taken_back() {
    let desk = Desk::new();
    let provider = desk.provider();
    let weights = |one: &str| {
        policy(
            "shop",
            &format!(
                r#"{{"wrr":{{"items":[{{"rrdatas":["1.2.3.1"],"weight":{one}}},{{"rrdatas":["1.2.3.2"],"weight":1}}]}}}}"#
            ),
        )
    };
    let geo = policy(
        "near",
        r#"{"geo":{"items":[{"location":"europe-west3","rrdatas":["1.2.3.1"]},{"location":"us-east1","rrdatas":["1.2.3.2"]}]}}"#,
    );
    for wanted in [vec![weights("3")], vec![weights("0.5"), geo.clone()], vec![a("shop", 1), geo]] {
        let listing = desk.read(&provider).unwrap();
        desk.write(&provider, &batch(&listing, wanted.clone())).unwrap();
        let listing = desk.read(&provider).unwrap();
        for set in &wanted {
            let found = listing.get(&set.key).unwrap();
            assert!(found.says_as(set), "{found} is not {set}");
        }
        assert_eq!(batch(&listing, wanted).changes(), [], "nothing is left to do");
    }
    let near = format!("near.{ZONE}.");
    let sets: Vec<Shown> = desk.target.double.sets("fed-example-org");
    let near = sets.iter().find(|set| set.name == near).unwrap();
    assert_eq!(near.extra["routingPolicy"]["geo"]["items"][1]["location"], "us-east1");
    let listing = desk.read(&provider).unwrap();
    desk.write(&provider, &batch(&listing, vec![])).unwrap();
    assert_eq!(desk.target.data().len(), 0);
    assert_eq!(desk.calls("dns.resourceRecordSets.patch"), 0);
}

// === Health checks ===

const TCP: &str =
    "tcp://*:90 interval=30 timeout=3 fall=3 rise=2 from=asia-east1+europe-west1+us-central1";

/// A pair that is checked.
fn checked(label: &str, check: &str) -> RecordSet {
    let pair = r#"{"primaryBackup":{"backupGeoTargets":{"items":[{"healthCheckedTargets":{"externalEndpoints":["1.2.3.2"]},"location":"us-east1"}]},"primaryTargets":{"externalEndpoints":["1.2.3.1"]}}}"#;
    let mut set = policy(label, pair);
    set.more.insert("check".into(), check.into());
    set
}

impl Desk {
    fn checking(&self, credentials: &str) -> Provider {
        let settings = CloudDnsSettings {
            health_checks: true,
            compute_endpoint: Some(self.target.double.url()),
            project: Some("meridian-test".to_owned()),
            ..self.settings(credentials)
        };
        Settings::CloudDns(settings).provider(clock)
    }

    fn look(&self, provider: &Provider) -> Listing {
        let epoch = meridian::plan::epoch_name(&owner(), &zone());
        self.runtime.block_on(provider.read(&zone(), &[epoch])).unwrap()
    }

    fn put(&self, provider: &Provider, sets: Vec<RecordSet>) -> Result<(), Failure> {
        self.write(provider, &batch(&self.look(provider), sets))
    }
}

#[test]
fn every_kind_of_credentials_brings_a_token_for_health_checks() {
    let desk = Desk::new();
    let double = &desk.target.double;
    let subject = desk.directory.path().join("subject");
    std::fs::write(&subject, double.subject_token()).unwrap();
    let subject = subject.to_str().unwrap();
    desk.file("external.json", &double.external_account(subject, false));
    desk.file("impersonated.json", &double.external_account(subject, true));
    for (at, file) in ["key.json", "external.json", "impersonated.json"].into_iter().enumerate() {
        let provider = desk.checking(file);
        let set = checked("shop", &TCP.replace("90", &format!("9{at}")));
        desk.put(&provider, vec![set.clone()]).unwrap();
        let listing = desk.look(&provider);
        assert_eq!(listing.get(&set.key).map(|own| own.says_as(&set)), Some(true), "{file}");
        assert_eq!(double.checks().len(), at + 1, "{file}");
    }
}

#[test]
fn a_check_goes_an_hour_after_the_last_set_that_used_it_and_nobody_elses_does() {
    let desk = Desk::new();
    let provider = desk.checking("key.json");
    let double = &desk.target.double;
    let later = |hours: u64| AHEAD.set([Duration::from_secs(hours * 3_600 + 60), Duration::ZERO]);
    desk.put(&provider, vec![checked("shop", TCP), checked("other", TCP)]).unwrap();
    let ours = double.checks().into_keys().next().unwrap();
    double.change_checks(|all| {
        for (name, description) in [
            ("web", ""),
            ("meridian-web", "somebody's"),
            // Another installation's, as it would describe it.
            ("meridian-two-00112233445566778899", "heritage=meridian,v=1,owner=two,zone=x.: tcp"),
        ] {
            let mut theirs = all[&ours].clone();
            theirs["name"] = json!(name);
            theirs["description"] = json!(description);
            all.insert(name.to_owned(), theirs);
        }
    });
    later(1);
    desk.put(&provider, vec![a("shop", 1), checked("other", TCP)]).unwrap();
    later(3);
    desk.put(&provider, vec![a("shop", 2), checked("other", TCP)]).unwrap();
    assert_eq!(desk.calls("compute.healthChecks.delete"), 0, "one set uses it still");
    desk.put(&provider, vec![a("shop", 1), a("other", 1)]).unwrap();
    desk.put(&provider, vec![a("shop", 2), a("other", 1)]).unwrap();
    assert_eq!(desk.calls("compute.healthChecks.delete"), 0, "its hour is not over");
    later(5);
    desk.look(&provider);
    assert_eq!(desk.calls("compute.healthChecks.delete"), 0, "who only reads deletes nothing");
    desk.put(&provider, vec![a("shop", 3), a("other", 1)]).unwrap();
    let left: Vec<String> = double.checks().into_keys().collect();
    assert_eq!(left, ["meridian-two-00112233445566778899", "meridian-web", "web"]);
    assert_eq!(desk.calls("compute.healthChecks.delete"), 1);
    // It is made again, under the name that it had.
    desk.put(&provider, vec![checked("shop", TCP)]).unwrap();
    assert!(double.checks().contains_key(&ours));
}

#[test]
fn a_check_is_there_before_the_change_that_names_it_and_stays_where_the_change_is_refused() {
    let desk = Desk::new();
    let provider = desk.checking("key.json");
    desk.fail("dns.changes.create", Fault::Status(503));
    let failure = desk.put(&provider, vec![checked("shop", TCP)]).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unknown, "{failure}");
    assert_eq!((desk.target.double.checks().len(), desk.target.data().len()), (1, 0));
    desk.put(&provider, vec![checked("shop", TCP)]).unwrap();
    assert_eq!(desk.calls("compute.healthChecks.insert"), 1);
    // A set that stays as it is does not go over the wire; the generation record does.
    desk.target
        .double
        .change_checks(|all| all.values_mut().for_each(|own| own["timeoutSec"] = json!(9)));
    desk.put(&provider, vec![checked("shop", TCP)]).unwrap();
    let patched = desk.target.double.checks().into_values().next().unwrap();
    assert_eq!((&patched["timeoutSec"], desk.calls("compute.healthChecks.patch")), (&json!(3), 1));
}

#[test]
fn who_may_write_records_and_not_use_checks_is_told_apart_from_who_may_nothing() {
    let desk = Desk::new();
    let provider = desk.checking("key.json");
    let told = |failure: Failure| match failure {
        Failure::Unchecked(own) => (own.which.map(|own| own.len()), own.reason),
        other => panic!("{other}"),
    };
    desk.fail("dns.changes.create", Fault::Status(403));
    let (which, reason) = told(desk.put(&provider, vec![checked("shop", TCP)]).unwrap_err());
    assert_eq!(which, None);
    assert!(reason.contains("does not take it with health checks"), "{reason}");
    desk.fail("dns.changes.create", Fault::Status(403));
    let failure = desk.put(&provider, vec![a("shop", 1)]).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Denied, "{failure}");
    desk.target.double.allow_checks(true, 1);
    let two = vec![checked("shop", TCP), checked("other", &TCP.replace("90", "91"))];
    let (which, reason) = told(desk.put(&provider, two).unwrap_err());
    assert_eq!(which, Some(1), "{reason}");
    let broken = vec![checked("shop", "tcp://*:90 odd")];
    let (which, reason) = told(desk.put(&provider, broken).unwrap_err());
    assert_eq!((which, reason.contains("is no check")), (Some(1), true), "{reason}");
}
