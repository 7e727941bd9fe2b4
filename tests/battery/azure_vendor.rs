//! The double of Azure held against the vendor's own clients: every operation that a provider uses,
//! every refusal read by the clients' own classes, bodies held against the vendor's models, and
//! octoDNS as another hand that writes and reads.

use crate::double::{
    azure::{ASSERTION, Azure, CLIENT, Denied, GROUP, SECRET, SUBSCRIPTION, TENANT},
    common::{Fault, Shown},
};
use std::{
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

const ZONE: &str = "example.org";

#[test]
fn secrets_assertions_and_machines_identities_bring_tokens() {
    let stand = Stand::start();
    stand.run("azure_clients.py", &["tokens"]);
    let calls = stand.azure.control.calls();
    assert!(calls["Token"] >= 4 && calls["MetadataToken"] >= 2, "{calls:?}");
}

#[test]
fn record_sets_of_every_type_are_written_read_listed_and_deleted() {
    Stand::start().run("azure_clients.py", &["record_sets"]);
}

#[test]
fn etags_are_kept() {
    Stand::start().run("azure_clients.py", &["etags"]);
}

#[test]
fn what_is_no_record_set_is_refused() {
    Stand::start().run("azure_clients.py", &["refusals"]);
}

#[test]
fn callers_without_rights_are_told_so() {
    let stand = Stand::start();
    for (denied, name) in [
        (Denied::Permission, "permission"),
        (Denied::ReadOnly, "readonly"),
        (Denied::Credentials, "credentials"),
    ] {
        stand.azure.deny(denied);
        stand.run("azure_clients.py", &["denied", name]);
    }
}

#[test]
fn throttling_faults_and_torn_connections_are_what_the_client_takes_them_for() {
    let stand = Stand::start();
    let control = &stand.azure.control;
    let (list, put) = ("RecordSets_ListByDnsZone", "RecordSets_CreateOrUpdate");
    control.fail(list, Fault::Throttled(Some(1)));
    stand.run("azure_clients.py", &["throttled", "patient"]);
    assert_eq!(control.calls()[list], 2);
    control.fail(list, Fault::Throttled(None));
    control.fail(list, Fault::Status(503));
    control.fail(put, Fault::TornBefore);
    control.fail(put, Fault::TornAfter);
    stand.run("azure_clients.py", &["throttled", "impatient"]);
    assert_eq!(control.calls()[list], 4);
    assert_eq!(control.calls()[put], 2);
}

#[test]
fn a_zone_takes_no_more_than_its_writes_per_minute() {
    let stand = Stand::limited();
    // The subscription's own limit is less at first: 200 at once, and 10 a second.
    stand.azure.control.limit("writes", 1000.0, 10.0);
    stand.run("azure_clients.py", &["limits"]);
}

#[test]
fn a_zone_has_ten_thousand_record_sets_and_no_more() {
    let stand = Stand::start();
    for number in 1..9_999 {
        let shown = Shown {
            name: format!("n{number}.{ZONE}."),
            rtype: "A".to_owned(),
            ttl: Some(60),
            data: vec!["1.2.3.4".to_owned()],
            set: None,
            extra: serde_json::json!({}),
        };
        stand.azure.put(ZONE, shown);
    }
    stand.run("azure_clients.py", &["full"]);
    assert_eq!(stand.azure.control.calls()["RecordSets_ListByDnsZone"], 20);
}

#[test]
fn profiles_of_every_method_are_written_read_and_changed_by_endpoint() {
    let stand = Stand::start();
    stand.azure.take_name("taken");
    stand.run("azure_profiles.py", &["profiles"]);
}

#[test]
fn what_no_profile_may_be_is_refused() {
    let stand = Stand::start();
    stand.azure.take_name("taken");
    stand.azure.most_profiles(11);
    stand.run("azure_profiles.py", &["refusals"]);
}

#[test]
fn addresses_are_no_alias_of_nested_profiles_unless_they_were_nested_later() {
    let stand = Stand::start();
    stand.run("azure_profiles.py", &["aliases"]);
    let answer = |name: &str| stand.azure.answer(ZONE, name, "A", client("91.1.2.3"));
    assert_eq!(answer("www.example.org."), [(20, "1.2.3.4".to_owned())]);
    assert_eq!(answer("late.example.org."), [(20, "1.2.3.4".to_owned())]);
    assert_eq!(answer("cname.example.org."), [(20, "1.2.3.4".to_owned())]);
}

#[test]
fn octodns_writes_and_reads_back_what_it_wrote() {
    let stand = Stand::start();
    let directory = stand.directory.path().join("octodns");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("example.org.yaml"), OCTODNS).unwrap();
    let path = directory.to_str().unwrap();
    let changes =
        |args: &[&str]| -> u32 { stand.run("azure_octodns.py", args).trim().parse().unwrap() };
    assert_eq!(changes(&[path]), 9);
    assert_eq!(changes(&[path, "apply"]), 9);
    assert_eq!(changes(&[path]), 0);
    let answer = |ip: &str| stand.azure.answer(ZONE, "geo.example.org.", "A", client(ip));
    assert_eq!(answer("91.1.2.3"), [(60, "1.1.1.1".to_owned())]);
    assert_eq!(answer("12.1.2.3"), [(60, "2.2.2.2".to_owned())]);
    let name =
        |ip: &str| stand.azure.answer(ZONE, "name.example.org.", "A", client(ip)).remove(0).1;
    assert_eq!(name("12.1.2.3"), "near.example.net.");
    assert_eq!(name("126.2.2.3"), "near.example.net.");
    assert_eq!(name("126.1.2.3"), "office.example.net.");
    stand.azure.well("office.example.net", false);
    stand.azure.well("far.example.net", false);
    assert_eq!(name("126.1.2.3"), "farther.example.net.");
    stand.azure.well("1.1.1.1", false);
    assert_eq!(answer("91.1.2.3"), [(60, "2.2.2.2".to_owned())]);
    // A foreign hand's change is one to take back.
    stand.azure.remove(ZONE, "www.example.org.", "A", None);
    assert_eq!(changes(&[path]), 1);
    assert_eq!(changes(&[path, "apply"]), 1);
    assert_eq!(changes(&[path]), 0);
    let simple = OCTODNS.split("\ngeo:").next().unwrap();
    std::fs::write(directory.join("example.org.yaml"), simple).unwrap();
    assert_eq!(changes(&[path, "apply"]), 2);
    // octoDNS does not look for the geographic profile under its subnets when it clears away.
    let left = stand.azure.profiles();
    assert_eq!(left.iter().map(|own| &own["name"]).collect::<Vec<_>>(), ["name--example--org-geo"]);
}

#[test]
fn a_misspelt_key_does_not_come_through_the_vendors_models() {
    let stand = Stand::start();
    let call = |key: &str| {
        let body =
            serde_json::json!({"properties": {"TTL": 60, key: [{"ipv4Address": "1.2.3.4"}]}});
        serde_json::json!({
            "operation": "RecordSets_CreateOrUpdate", "sent": body, "status": 200, "answered": null,
        })
    };
    let calls = stand.file("calls");
    let held = |call: serde_json::Value| {
        std::fs::write(&calls, call.to_string()).unwrap();
        stand.command("azure_schema.py", &[calls.to_str().unwrap()]).output().unwrap().status
    };
    assert!(held(call("ARecords")).success());
    assert!(!held(call("aRecords")).success());
}

#[test]
fn tokens_end_after_an_hour_and_the_subscriptions_reads_are_limited() {
    let stand = Stand::limited();
    let form = format!(
        "grant_type=client_credentials&client_id={CLIENT}&client_secret={}&scope=x%2F.default",
        SECRET.replace(' ', "+")
    );
    let (status, token) = stand.http("POST", &format!("/{TENANT}/oauth2/v2.0/token"), "", &form);
    assert_eq!(status, 200, "{token}");
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", token["access_token"].as_str().unwrap());
    let path = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/dnszones");
    let read = |path: &str| stand.http("GET", path, &bearer, "");
    let zones = format!("{path}?api-version=2018-05-01");
    assert!((0..250).all(|_| read(&zones).0 == 200));
    let refused = (0..5000).map(|_| read(&zones)).find(|(status, _)| *status != 200).unwrap();
    assert_eq!(refused.0, 429);
    assert!(refused.1.contains("\"code\":\"TooManyRequests\""), "{}", refused.1);
    stand.azure.control.advance(Duration::from_secs(10));
    assert_eq!(read(&zones).0, 200);
    assert!(read(&path).1.contains("MissingApiVersionParameter"));
    assert!(read("/nowhere").1.contains("InvalidResourceType"));
    stand.azure.control.advance(Duration::from_secs(3600));
    let (status, refused) = read(&zones);
    assert!(status == 401 && refused.contains("ExpiredAuthenticationToken"), "{status} {refused}");
}

const OCTODNS: &str = r"---
'':
  - {type: MX, ttl: 300, values: [{preference: 10, exchange: mail.example.net.}]}
  - {type: TXT, ttl: 300, values: ['v=spf1 -all', 'a; b']}
www: {type: A, ttl: 60, values: [1.2.3.4, 1.2.3.5]}
six: {type: AAAA, ttl: 60, value: '2a00:1::2'}
alias: {type: CNAME, ttl: 60, value: www.example.org.}
_sip._tcp: {type: SRV, ttl: 60, values: [{priority: 1, weight: 2, port: 5060, target: www.example.org.}]}
sub: {type: NS, ttl: 3600, values: [ns1.example.net., ns2.example.net.]}
geo:
  type: A
  ttl: 60
  value: 3.3.3.3
  octodns: {healthcheck: {protocol: HTTPS, port: 443, path: /healthz, host: geo.example.org}}
  dynamic:
    pools:
      eu: {fallback: us, values: [{value: 1.1.1.1}]}
      us: {values: [{value: 2.2.2.2, weight: 3}, {value: 2.2.2.3, weight: 1, status: down}]}
    rules:
      - {geos: [EU], pool: eu}
      - {pool: us}
name:
  type: CNAME
  ttl: 60
  value: default.example.net.
  dynamic:
    pools:
      near: {fallback: far, values: [{value: near.example.net.}]}
      far: {values: [{value: far.example.net.}, {value: farther.example.net.}]}
      office: {fallback: far, values: [{value: office.example.net.}]}
    rules:
      - {subnets: [126.1.0.0/16], pool: office}
      - {geos: [NA-US, AS], pool: near}
      - {pool: far}
";

/// A double with one zone, and the vendor's clients beside it.
struct Stand {
    azure: Azure,
    directory: tempfile::TempDir,
}

impl Stand {
    fn start() -> Self {
        let stand = Self::limited();
        stand.azure.control.unlimited();
        stand
    }

    fn limited() -> Self {
        let stand = Self { azure: Azure::start(), directory: tempfile::tempdir().unwrap() };
        stand.azure.zone(ZONE);
        std::fs::write(stand.file("ca.pem"), stand.azure.authority()).unwrap();
        stand
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a script with the vendor's clients; what it prints. Then holds all bodies against the
    /// vendor's models.
    fn run(&self, script: &str, args: &[&str]) -> String {
        let printed = self.python(script, args);
        let calls = self.file("calls");
        let lines: Vec<String> = self.azure.seen().iter().map(ToString::to_string).collect();
        std::fs::write(&calls, lines.join("\n")).unwrap();
        let all = if script == "azure_octodns.py" { "answers" } else { "all" };
        self.python("azure_schema.py", &[calls.to_str().unwrap(), all]);
        printed
    }

    fn python(&self, script: &str, args: &[&str]) -> String {
        std::fs::write(self.file("assertion"), ASSERTION).unwrap();
        let output = self.command(script, args).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {args:?}\n{printed}\n{said}");
        printed
    }

    /// One call over plain HTTP, its status and its body.
    fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let address = self.azure.url().replace("http://", "");
        let mut stream = TcpStream::connect(&address).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new(python());
        command
            .arg("-B")
            .arg(vendors().join(script))
            .args(args)
            .env("AZ_URL", self.azure.secure_url())
            .env("AZ_HTTP", self.azure.url())
            .env("AZ_CA", self.file("ca.pem"))
            .env("AZ_TENANT", TENANT)
            .env("AZ_CLIENT", CLIENT)
            .env("AZ_SECRET", SECRET)
            .env("AZ_SUBSCRIPTION", SUBSCRIPTION)
            .env("AZ_GROUP", GROUP)
            .env("AZ_ZONE", ZONE)
            .env("AZURE_FEDERATED_TOKEN_FILE", self.file("assertion"))
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", self.azure.url())
            .env("NO_PROXY", "127.0.0.1");
        command
    }
}

fn vendors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/battery/vendors")
}

/// The interpreter that has the vendor's clients.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let made = Command::new(vendors().join("setup.sh")).arg("azure.txt").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Path::new(String::from_utf8(made.stdout).unwrap().trim()).join("bin/python")
    })
}

fn client(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}
