//! The double of Cloud DNS held against Google's own clients: every operation that a provider uses,
//! every refusal read by the clients' own classes, every answer held against the vendor's machine
//! readable description, and octoDNS as another hand that writes and reads.

use crate::double::{
    cloud_dns::{CloudDns, PROJECT},
    common::{Denied, Fault, Shown},
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

const ZONE: &str = "example-org";

#[test]
fn a_service_accounts_claims_bring_a_token() {
    let stand = Stand::start();
    stand.clients("tokens_of_a_service_account", &[]);
    assert_eq!(stand.calls("oauth2.token"), 2);
}

#[test]
fn the_metadata_server_brings_a_token() {
    let stand = Stand::start();
    let host = stand.double.url().replace("http://", "");
    let mut command = stand.command("cloud_dns_clients.py", &["tokens_of_the_metadata_server"]);
    command
        .env("GCE_METADATA_HOST", &host)
        .env("GCE_METADATA_IP", &host)
        .env("HOME", stand.path("."));
    run(&mut command);
    assert!(stand.calls("metadata") >= 2);
}

#[test]
fn a_workload_elsewhere_brings_its_own_token_and_may_take_the_service_account_on() {
    let stand = Stand::start();
    for (impersonated, calls) in [(false, 0), (true, 1)] {
        let file = stand.external_account(impersonated);
        stand.clients("tokens_of_a_federated_workload", &[file.to_str().unwrap()]);
        assert_eq!(stand.calls("iamcredentials.generateAccessToken"), calls);
    }
    assert_eq!(stand.calls("sts.token"), 2);
}

#[test]
fn what_is_not_signed_not_scoped_or_not_known_brings_none() {
    let stand = Stand::start();
    let file = stand.external_account(false);
    std::fs::write(stand.path("subject"), "no.jwt.atall").unwrap();
    stand.clients("tokens_for_nothing_else", &[file.to_str().unwrap()]);
}

#[test]
fn a_token_is_good_for_an_hour() {
    let stand = Stand::start();
    let mut command = stand.command("cloud_dns_clients.py", &["an_hour_apart"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    stand.double.control.advance(Duration::from_secs(3600));
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!((stand.calls("dns.managedZones.list"), stand.calls("oauth2.token")), (3, 2));
}

#[test]
fn zones_are_listed_and_read_by_name_and_number() {
    let stand = Stand::start();
    for name in ["example.net", "other.example.org", "example.com"] {
        stand.double.zone(name);
    }
    stand.clients("zones", &["4"]);
}

#[test]
fn sets_of_every_type_come_back_in_one_form_and_go_by_any() {
    Stand::start().clients("record_sets", &[]);
}

#[test]
fn single_sets_are_created_read_patched_and_deleted() {
    Stand::start().clients("single_sets", &[]);
}

#[test]
fn listings_go_page_by_page() {
    Stand::start().clients("pages", &[]);
}

#[test]
fn changes_are_numbered_pending_and_done() {
    Stand::start().clients("changes", &[]);
}

#[test]
fn a_change_is_carried_out_whole_or_not_at_all() {
    Stand::start().clients("replacement", &[]);
}

#[test]
fn what_is_no_set_of_the_zone_is_refused() {
    Stand::start().clients("refusals", &[]);
}

#[test]
fn quotas_are_told_and_kept() {
    Stand::start().clients("quotas", &[]);
    let stand = Stand::start();
    stand.double.quota("rrsetsPerManagedZone", 5);
    stand.clients("few_sets", &[]);
}

#[test]
fn callers_without_rights_are_told_so() {
    let stand = Stand::start();
    for (denied, name) in [
        (Denied::Credentials, "credentials"),
        (Denied::Permission, "permission"),
        (Denied::ReadOnly, "readonly"),
    ] {
        stand.double.deny(denied);
        stand.clients("denied", &[name]);
    }
    stand.double.deny(Denied::None);
    assert_eq!(stand.double.sets(ZONE).len(), 2);
}

#[test]
fn too_many_calls_are_refused_as_too_many() {
    let stand = Stand::start();
    stand.double.control.fail("dns.managedZones.list", Fault::Throttled(Some(7)));
    stand.clients("throttled", &[]);
    stand.double.control.limit("Queries per minute", 3.0, 0.001);
    stand.clients("limited", &[]);
}

#[test]
fn faults_are_what_the_clients_take_them_for() {
    let stand = Stand::start();
    stand.double.control.fail("dns.managedZones.list", Fault::Status(500));
    stand.double.control.fail("dns.managedZones.list", Fault::Status(503));
    stand.clients("broken", &[]);
    let late = Fault::Slow(Duration::from_millis(500));
    for fault in [Fault::TornBefore, Fault::TornAfter, late] {
        stand.double.control.fail("dns.changes.create", fault);
    }
    stand.clients("torn", &[]);
}

/// A double, and what its clients need on disk.
struct Stand {
    double: CloudDns,
    folder: tempfile::TempDir,
}

impl Stand {
    fn start() -> Self {
        let double = CloudDns::start();
        assert_eq!(double.zone("example.org"), ZONE);
        let stand = Self { double, folder: tempfile::tempdir().unwrap() };
        std::fs::write(stand.path("key.json"), stand.double.key_file().to_string()).unwrap();
        stand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn calls(&self, name: &str) -> u64 {
        self.double.control.calls().get(name).copied().unwrap_or_default()
    }

    fn external_account(&self, impersonated: bool) -> PathBuf {
        let token = self.path("subject");
        std::fs::write(&token, self.double.subject_token()).unwrap();
        let account = self.double.external_account(token.to_str().unwrap(), impersonated);
        let file = self.path("external.json");
        std::fs::write(&file, account.to_string()).unwrap();
        file
    }

    fn clients(&self, scenario: &str, arguments: &[&str]) {
        let all: Vec<&str> = std::iter::once(scenario).chain(arguments.iter().copied()).collect();
        run(&mut self.command("cloud_dns_clients.py", &all));
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(venv().join("bin/python"));
        command.arg(scripts().join(script)).args(arguments);
        command.env("DOUBLE_URL", self.double.url()).env("DOUBLE_KEY", self.path("key.json"));
        command.env("DOUBLE_PROJECT", PROJECT).env("GOOGLE_CLOUD_PROJECT", PROJECT);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        for proxy in
            ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        {
            command.env_remove(proxy);
        }
        command
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/battery/vendors")
}

/// The Python environment with the vendor's clients, made once.
fn venv() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| {
        let output = Command::new(scripts().join("setup.sh"))
            .arg(scripts().join("cloud_dns.txt"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    })
}
