//! The double of Route 53 held against the vendor's own client and its description of the API, and
//! against octoDNS as a writer and reader that nobody here wrote.

use crate::double::{
    common::{Denied, Fault, Shown},
    route53::{KEY, Route53, SECRET},
};
use aws_sdk_route53::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    types::{
        Change, ChangeAction, ChangeBatch, ChangeStatus, ResourceRecord, ResourceRecordSet, RrType,
    },
};
use serde_json::json;
use std::{path::Path, process::Command, sync::OnceLock, time::Duration};

// === boto3 ===

#[test]
fn zones_are_made_listed_by_pages_and_by_name_and_deleted_when_empty() {
    let route53 = unlimited();
    boto(&route53, &["zones"]);
}

#[test]
fn every_type_and_policy_is_taken_told_as_it_was_and_deleted_as_told() {
    let route53 = unlimited();
    boto(&route53, &["every_set"]);
}

#[test]
fn the_nearest_by_distance_and_by_latency_take_each_others_place_in_one_batch() {
    boto(&unlimited(), &["nearest"]);
}

#[test]
fn pages_of_record_sets_end_and_begin_anywhere() {
    boto(&unlimited(), &["pages"]);
}

#[test]
fn changes_are_pending_then_in_sync() {
    boto(&unlimited(), &["changes_settle"]);
}

#[test]
fn health_checks_live_by_the_vendors_rules() {
    boto(&unlimited(), &["health_checks"]);
    boto(&unlimited(), &["too_many_health_checks"]);
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_whole() {
    boto(&unlimited(), &["bad_batches"]);
}

#[test]
fn what_the_description_forbids_is_refused() {
    boto(&unlimited(), &["shapes"]);
    let route53 = unlimited();
    route53.in_order();
    boto(&route53, &["raw_xml"]);
}

#[test]
fn the_limits_hold_to_the_last_one() {
    boto(&unlimited(), &["limits"]);
}

#[test]
fn who_is_too_fast_is_told_so_and_the_client_waits() {
    let route53 = Route53::start();
    boto(&route53, &["throttled"]);
    assert!(route53.control.calls()["GetHostedZone"] > 51, "{:?}", route53.control.calls());
    boto(&Route53::start(), &["throttled_by_changes"]);
}

#[test]
fn wrong_credentials_and_missing_rights_have_errors_of_their_own() {
    for (denied, code, reads) in [
        (Denied::Credentials, "InvalidClientTokenId", "no"),
        (Denied::Permission, "AccessDenied", "no"),
        (Denied::ReadOnly, "AccessDenied", "yes"),
    ] {
        let route53 = unlimited();
        let zone = route53.zone("example.org");
        route53.deny(denied);
        boto(&route53, &["denied", &zone, code, reads]);
    }
}

#[test]
fn who_signs_with_another_key_or_for_another_request_is_refused() {
    boto(&unlimited(), &["signatures"]);
}

#[test]
fn a_zone_at_work_on_a_change_takes_no_other() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    route53.process_in(Duration::from_secs(1));
    boto(&route53, &["busy", &zone]);
}

#[test]
fn protected_names_are_left_alone() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    route53.protect(&zone, "a.example.org", "A");
    boto(&route53, &["protected", &zone]);
}

#[test]
fn what_a_foreign_hand_did_is_there() {
    let route53 = unlimited();
    let [zone, emptied, gone] =
        ["example.org", "emptied.example", "gone.example"].map(|name| route53.zone(name));
    let private = route53.private_zone("example.org");
    let (set, extra) = (Some("x".to_owned()), json!({ "Weight": 7 }));
    let foreign = simple("foreign.example.org.", "A", &["1.2.3.4"]);
    route53.put(&zone, &Shown { set, extra, ..foreign });
    route53.put(&emptied, &simple("www.emptied.example.", "A", &["1.2.3.4"]));
    route53.empty(&emptied);
    route53.drop_zone(&gone);
    boto(&route53, &["after_a_foreign_hand", &zone, &private, &emptied, &gone]);
}

#[test]
fn faults_come_as_they_were_laid_out() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    route53.control.fail("GetHostedZone", Fault::Status(503));
    route53.control.fail("ChangeResourceRecordSets", Fault::TornBefore);
    route53.control.fail("ChangeResourceRecordSets", Fault::TornAfter);
    route53.control.fail("ChangeResourceRecordSets", Fault::Slow(Duration::from_millis(200)));
    boto(&route53, &["faults", &zone]);
    assert_eq!(route53.control.calls()["ChangeResourceRecordSets"], 3);
    assert_eq!(route53.sets(&zone).len(), 2);
}

#[test]
fn its_dns_answers_what_was_written() {
    let route53 = unlimited();
    let dns = route53.dns();
    boto(&route53, &["dns_answers", &dns.ip().to_string(), &dns.port().to_string()]);
}

#[test]
fn health_checks_can_be_pushed_to_a_verdict() {
    let route53 = unlimited();
    let dns = route53.dns();
    boto(&route53, &["levers", &dns.ip().to_string(), &dns.port().to_string()]);
}

// === AWS's client for Rust ===

#[test]
fn aws_own_rust_client_writes_reads_and_tells_refusals_apart() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = rust_client(&route53);
        let change = |ip: &str| {
            let record = ResourceRecord::builder().value(ip).build().unwrap();
            let set = ResourceRecordSet::builder().name("\\052.w.example.org").r#type(RrType::A);
            let set = set.set_identifier("a/b").weight(3).ttl(60).resource_records(record);
            let set = set.build().unwrap();
            let change = Change::builder().action(ChangeAction::Create).resource_record_set(set);
            let batch = ChangeBatch::builder().changes(change.build().unwrap()).build().unwrap();
            client.change_resource_record_sets().hosted_zone_id(&zone).change_batch(batch).send()
        };
        let info = change("1.2.3.4").await.unwrap().change_info.unwrap();
        assert_eq!(info.status(), &ChangeStatus::Pending);
        let page = client.list_resource_record_sets().hosted_zone_id(&zone).send().await.unwrap();
        let told = page.resource_record_sets().iter().find(|set| set.set_identifier().is_some());
        assert_eq!(told.unwrap().name(), "\\052.w.example.org.");
        assert_eq!(told.unwrap().weight(), Some(3));
        let twice = change("1.2.3.4").await.unwrap_err().into_service_error();
        assert!(twice.is_invalid_change_batch(), "{twice:?}");
        assert!(twice.message().unwrap().contains("but it already exists"), "{twice:?}");
        route53.deny(Denied::ReadOnly);
        let denied = change("1.2.3.4").await.unwrap_err().into_service_error();
        assert_eq!(denied.code(), Some("AccessDenied"));
        route53.deny(Denied::None);
        route53.control.fail("*", Fault::Throttled(Some(1)));
        let throttled = change("1.2.3.4").await.unwrap_err().into_service_error();
        assert_eq!(throttled.code(), Some("Throttling"));
        route53.drop_zone(&zone);
        let gone = change("1.2.3.4").await.unwrap_err().into_service_error();
        assert!(gone.is_no_such_hosted_zone(), "{gone:?}");
    });
}

/// AWS's client for Rust, which asks once.
fn rust_client(route53: &Route53) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let keys = Credentials::new(KEY, SECRET, None, None, "test");
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(keys)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .endpoint_url(route53.url());
    Client::from_conf(config.build())
}

// === octoDNS ===

#[test]
fn octodns_applies_its_plan_and_a_new_one_finds_nothing_to_do() {
    let route53 = unlimited();
    route53.zone("unit.tests");
    let written = python(&route53, "route53_octodns.py", &["apply"]);
    assert!(written.contains("changes: 9"), "{written}");
    let again = python(&route53, "route53_octodns.py", &["plan"]);
    assert!(again.contains("changes: 0"), "{again}");
    let calls = route53.control.calls();
    assert_eq!(
        (calls["CreateHealthCheck"], calls["ChangeResourceRecordSets"]),
        (3, 1),
        "{calls:?}"
    );
    let zone = &route53.zones()[0];
    let from = |ip: &str| {
        let answer = route53.answer(zone, "geo.unit.tests", "A", ip.parse().unwrap());
        answer.into_iter().map(|(_, data)| data).collect::<Vec<_>>()
    };
    assert_eq!(from("91.1.1.1"), ["1.2.3.4"]);
    assert_eq!(from("12.1.1.1"), ["5.6.7.8"]);
}

#[test]
fn octodns_sees_what_a_foreign_hand_did_and_mends_it() {
    let route53 = unlimited();
    route53.zone("unit.tests");
    python(&route53, "route53_octodns.py", &["apply"]);
    let zone = &route53.zones()[0];
    assert!(route53.remove(zone, "www.unit.tests", "A", None));
    route53.put(zone, &simple("foreign.unit.tests.", "A", &["9.9.9.9"]));
    let mended = python(&route53, "route53_octodns.py", &["apply"]);
    assert!(mended.contains("changes: 2"), "{mended}");
    assert!(route53.sets(zone).iter().any(|set| set.name == "www.unit.tests."));
    assert!(!route53.sets(zone).iter().any(|set| set.name == "foreign.unit.tests."));
}

// === What it answers ===

#[test]
fn failover_follows_the_checks_and_falls_back_to_the_primary() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    let [one, two] = checks(&route53);
    let set = |id: &str, role: &str, check: &str, ip: &str| {
        let extra = json!({ "Failover": role, "HealthCheckId": check });
        let set = Some(id.to_owned());
        route53.put(&zone, &Shown { set, extra, ..simple("f.example.org.", "A", &[ip]) });
    };
    set("one", "PRIMARY", &one, "1.1.1.1");
    set("two", "SECONDARY", &two, "2.2.2.2");
    let answer = || route53.answer(&zone, "f.example.org", "A", [91, 0, 0, 1].into());
    assert_eq!(answer(), [(60, "1.1.1.1".to_owned())]);
    route53.observe(&one, false);
    assert_eq!(answer(), [(60, "2.2.2.2".to_owned())]);
    route53.observe(&two, false);
    assert_eq!(answer(), [(60, "1.1.1.1".to_owned())]);
}

#[test]
fn weights_are_kept_to_and_the_unhealthy_left_out() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    let [one, _] = checks(&route53);
    for (id, weight, check) in
        [("1.1.1.1", 10, Some(&one)), ("2.2.2.2", 30, None), ("3.3.3.3", 0, None)]
    {
        let mut extra = json!({ "Weight": weight });
        if let Some(check) = check {
            extra["HealthCheckId"] = check.clone().into();
        }
        let set = Some(id.to_owned());
        route53.put(&zone, &Shown { set, extra, ..simple("w.example.org.", "A", &[id]) });
    }
    let count = |ip: &str| {
        let answer = || route53.answer(&zone, "w.example.org", "A", [91, 0, 0, 1].into());
        (0..1000).filter(|_| answer() == [(60, ip.to_owned())]).count()
    };
    assert!((240..=260).contains(&count("1.1.1.1")));
    assert_eq!(count("3.3.3.3"), 0);
    route53.observe(&one, false);
    assert_eq!(count("2.2.2.2"), 1000);
}

#[test]
fn the_nearest_region_answers_and_a_bias_bends_distances() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    let regions =
        [("eu-central-1", "1.1.1.1"), ("us-east-1", "2.2.2.2"), ("ap-northeast-1", "3.3.3.3")];
    for (region, ip) in regions {
        let set = Some(region.to_owned());
        let extra = json!({ "Region": region });
        route53
            .put(&zone, &Shown { set: set.clone(), extra, ..simple("l.example.org.", "A", &[ip]) });
        let bias = if region == "us-east-1" { 90 } else { 0 };
        let extra = json!({ "GeoProximityLocation": { "AWSRegion": region, "Bias": bias } });
        route53.put(&zone, &Shown { set, extra, ..simple("p.example.org.", "A", &[ip]) });
    }
    let ask = |name: &str, first: u8| {
        route53.answer(&zone, name, "A", [first, 0, 0, 1].into()).pop().unwrap().1
    };
    assert_eq!(
        [91, 12, 126].map(|from| ask("l.example.org", from)),
        ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
    );
    assert_eq!([91, 126].map(|from| ask("p.example.org", from)), ["1.1.1.1", "3.3.3.3"]);
    assert_eq!(ask("p.example.org", 12), "2.2.2.2");
}

#[test]
fn an_alias_takes_the_health_of_what_it_targets() {
    let route53 = unlimited();
    let zone = route53.zone("example.org");
    let [one, _] = checks(&route53);
    let set = Some("only".to_owned());
    let extra = json!({ "Weight": 1, "HealthCheckId": one });
    route53.put(&zone, &Shown { set, extra, ..simple("pool.example.org.", "A", &["1.1.1.1"]) });
    for (id, role, target) in [("a", "PRIMARY", "pool"), ("b", "SECONDARY", "spare")] {
        let target = format!("{target}.example.org.");
        let alias =
            json!({ "HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": true });
        let extra = json!({ "Failover": role, "AliasTarget": alias });
        let set = Some(id.to_owned());
        route53.put(&zone, &Shown { ttl: None, set, extra, ..simple("f.example.org.", "A", &[]) });
    }
    route53.put(&zone, &simple("spare.example.org.", "A", &["2.2.2.2"]));
    let answer = || route53.answer(&zone, "f.example.org", "A", [91, 0, 0, 1].into());
    assert_eq!(answer(), [(60, "1.1.1.1".to_owned())]);
    route53.observe(&one, false);
    assert_eq!(answer(), [(60, "2.2.2.2".to_owned())]);
}

// === Tools ===

fn unlimited() -> Route53 {
    let route53 = Route53::start();
    route53.control.unlimited();
    route53
}

fn simple(name: &str, rtype: &str, data: &[&str]) -> Shown {
    Shown {
        name: name.to_owned(),
        rtype: rtype.to_owned(),
        ttl: Some(60),
        data: data.iter().map(|&value| value.to_owned()).collect(),
        set: None,
        extra: json!({}),
    }
}

/// Two health checks that boto3 made.
fn checks(route53: &Route53) -> [String; 2] {
    boto(route53, &["two_checks"]);
    let all = route53.checks();
    [all[0].0.clone(), all[1].0.clone()]
}

fn boto(route53: &Route53, arguments: &[&str]) {
    let said = python(route53, "route53_boto.py", arguments);
    println!("{said}");
}

/// Runs a script of the vendors' environment against the double, which must end well.
fn python(route53: &Route53, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(environment())
        .arg(here(script))
        .arg(route53.url())
        .args(arguments)
        .env("AWS_ENDPOINT_URL_ROUTE_53", route53.url())
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}:\n{said}\n{error}");
    said + &error
}

fn here(file: &str) -> String {
    format!("{}/tests/battery/vendors/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// The Python of the environment that has the vendor's client.
fn environment() -> &'static Path {
    static PYTHON: OnceLock<std::path::PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new(here("setup.sh")).arg(here("route53.txt")).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "setup.sh: {error}");
        Path::new(String::from_utf8(output.stdout).unwrap().trim()).join("bin/python")
    })
}
