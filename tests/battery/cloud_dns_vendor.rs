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
fn the_vendors_descriptions_see_what_is_misspelt() {
    Stand::start().clients("descriptions", &[]);
}

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
    let stand = Stand::start();
    stand.double.quota("internetHealthChecksPerManagedZone", 2);
    stand.policies("few_checks");
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

#[test]
fn health_checks_are_made_by_operations_and_read_patched_and_deleted() {
    Stand::start().policies("health_checks");
}

#[test]
fn what_is_no_health_check_over_the_internet_is_refused() {
    Stand::start().policies("health_checks_refused");
}

#[test]
fn a_project_has_so_many_health_checks_and_who_may_not_is_told() {
    let stand = Stand::start();
    stand.double.allow_checks(true, 2);
    stand.policies("health_checks_full");
    stand.double.allow_checks(false, 75);
    stand.policies("health_checks_denied");
}

#[test]
fn in_a_signed_zone_one_address_of_an_answer_is_checked() {
    let stand = Stand::start();
    stand.policies("signed_off");
    stand.double.sign(ZONE);
    stand.policies("signed");
}

#[test]
fn policies_come_back_as_they_were_written_and_go_only_as_they_are() {
    Stand::start().policies("policies");
}

#[test]
fn what_is_no_policy_is_refused() {
    Stand::start().policies("policies_refused");
}

#[test]
fn a_resolver_is_told_what_its_clients_network_should_get() {
    let stand = Stand::start();
    stand.policies("write");
    stand.policies("resolver");
}

#[test]
fn clients_go_to_the_nearest_place_that_serves() {
    let stand = Stand::start();
    stand.policies("write");
    let told = |name: &str, client: &str| stand.told(name, client);
    for (client, own) in [(DE, "1.2.3.1"), (US, "1.2.3.2"), (JP, "1.2.3.3")] {
        for name in ["geo", "sick", "fence"] {
            assert_eq!(told(name, client), [own], "{name} for {client}");
        }
        assert_eq!(told("name", client), [own], "by a CNAME within the zone");
        assert_eq!(told("some.wild", client), [own], "by a wildcard");
    }
    assert_eq!(told("pair", JP), ["1.2.3.1", "1.2.3.2"]);
    stand.fails("1.2.3.1", true);
    assert_eq!(told("sick", DE), ["1.2.3.2"], "without a fence, to the next nearest");
    assert_eq!(told("fence", DE), ["1.2.3.1"], "fenced in, whatever the check says");
    assert_eq!(told("geo", DE), ["1.2.3.1"], "what is not checked cannot fail");
    assert_eq!(told("pair", DE), ["1.2.3.2"], "the primary that is left");
    stand.fails("1.2.3.2", true);
    assert_eq!(told("sick", DE), ["1.2.3.3"]);
    assert_eq!(told("pair", DE), ["1.2.3.3"], "the backup");
    stand.fails("1.2.3.3", true);
    assert_eq!(told("sick", DE), ["1.2.3.1"], "all fail: as if none did");
    stand.fails("1.2.3.1", false);
    assert_eq!(told("pair", DE), ["1.2.3.1"]);
}

#[test]
fn weights_are_kept_and_what_fails_is_left_out() {
    let stand = Stand::start();
    stand.policies("write");
    let share = |name: &str, own: &str| {
        let hits = (0..4000).filter(|_| stand.told(name, US).contains(&own.to_owned())).count();
        f64::from(u32::try_from(hits).unwrap()) / 4000.0
    };
    assert!((share("wrr", "1.2.3.1") - 0.75).abs() < 0.05);
    assert!((share("wrr", "1.2.3.2") - 0.25).abs() < 0.05);
    assert_eq!(share("wrr", "1.2.3.3"), 0.0, "a weight of nothing");
    assert!((share("sickwrr", "1.2.3.1") - 0.5).abs() < 0.05);
    stand.fails("1.2.3.1", true);
    assert_eq!(share("sickwrr", "1.2.3.2"), 1.0);
    stand.fails("1.2.3.2", true);
    assert_eq!(stand.told("sickwrr", US), ["1.2.3.3"]);
}

#[test]
fn octodns_writes_a_zone_and_another_process_of_it_finds_nothing_to_do() {
    let stand = Stand::start();
    std::fs::copy(scripts().join("cloud_dns_zone.yaml"), stand.path("example.org.yaml")).unwrap();
    let octodns = |verb: &str, changes: &str| {
        let folder = stand.path(".");
        run(&mut stand.command("cloud_dns_octodns.py", &[folder.to_str().unwrap(), verb, changes]));
    };
    octodns("plan", "13");
    assert_eq!(stand.calls("dns.changes.create"), 0);
    octodns("apply", "13");
    octodns("plan", "0");
    assert_eq!(stand.double.sets(ZONE).len(), 15);
    // A foreign hand moves one set and takes another; octoDNS sees both, and mends them.
    stand.put("www.example.org.", "A", 300, &["192.0.2.77"]);
    stand.double.remove(ZONE, "alias.example.org.", "CNAME", None);
    octodns("apply", "2");
    octodns("plan", "0");
    stand.double.empty(ZONE);
    octodns("apply", "13");
    octodns("plan", "0");
}

#[test]
fn a_foreign_hand_is_seen_through_the_api_and_by_resolvers() {
    let stand = Stand::start();
    stand.put("Www.example.org.", "A", 60, &["192.0.2.2", "192.0.2.1"]);
    let sets = stand.double.sets(ZONE);
    let www = sets.iter().find(|set| set.rtype == "A").unwrap();
    assert_eq!((www.name.as_str(), www.ttl, &www.set), ("www.example.org.", Some(60), &None));
    assert_eq!((www.data.join(" ").as_str(), &www.extra), ("192.0.2.1 192.0.2.2", &json!({})));
    stand.put("alias.example.org.", "CNAME", 30, &["www.example.org."]);
    stand.put("away.example.org.", "CNAME", 30, &["www.example.net."]);
    assert_eq!(stand.told("alias", DE), ["192.0.2.1", "192.0.2.2"]);
    let answer = |name: &str| stand.double.answer(ZONE, name, "A", DE.parse().unwrap());
    assert_eq!(answer("alias.example.org.")[0].0, 30, "the least TTL on the way");
    assert_eq!(answer("away.example.org."), [(30, "www.example.net.".to_owned())]);
    assert_eq!(answer("nothing.example.org."), []);
    let policy = json!({ "wrr": { "items": [{ "weight": 1.0, "rrdatas": ["192.0.2.9"] }] } });
    let steered =
        Shown { data: Vec::new(), extra: json!({ "routingPolicy": policy }), ..www.clone() };
    stand.double.put(ZONE, steered);
    assert_eq!(stand.told("www", DE), ["192.0.2.9"]);
    let sets = stand.double.sets(ZONE);
    let again = sets.iter().find(|set| set.rtype == "A").unwrap().clone();
    assert!(again.data.is_empty() && again.extra["routingPolicy"]["wrr"].is_object());
    stand.double.put(ZONE, again);
    assert_eq!(stand.double.sets(ZONE), sets);
    stand.double.remove(ZONE, "www.example.org.", "A", None);
    assert_eq!(answer("www.example.org."), []);
    stand.double.empty(ZONE);
    assert_eq!(stand.double.sets(ZONE).len(), 2);
    stand.double.drop_zone(ZONE);
    assert_eq!(stand.double.sets(ZONE).len(), 0);
}

const DE: &str = "91.0.0.1";
const US: &str = "12.0.0.1";
const JP: &str = "126.0.0.1";

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

    fn policies(&self, scenario: &str) {
        run(&mut self.command("cloud_dns_policies.py", &[scenario]));
    }

    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]) {
        let data = data.iter().map(|&value| value.to_owned()).collect();
        let (name, rtype) = (name.to_owned(), rtype.to_owned());
        self.double
            .put(ZONE, Shown { name, rtype, ttl: Some(ttl), data, set: None, extra: json!({}) });
    }

    fn fails(&self, endpoint: &str, fails: bool) {
        self.double.fails(endpoint.parse().unwrap(), fails);
    }

    /// The addresses that a client there is told for a name of the zone.
    fn told(&self, name: &str, client: &str) -> Vec<String> {
        let client: IpAddr = client.parse().unwrap();
        let answer = self.double.answer(ZONE, &format!("{name}.example.org."), "A", client);
        let mut told: Vec<String> = answer.into_iter().map(|(_, value)| value).collect();
        told.sort();
        told
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        command(&self.double, &self.path("key.json"), script, arguments)
    }
}

/// A script of the vendor's clients, pointed at a double with the key in that file.
pub(crate) fn command(double: &CloudDns, key: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(venv().join("bin/python"));
    command.arg(scripts().join(script)).args(arguments);
    command.env("DOUBLE_URL", double.url()).env("DOUBLE_KEY", key);
    command.env("DOUBLE_PROJECT", PROJECT).env("GOOGLE_CLOUD_PROJECT", PROJECT);
    command.env("DOUBLE_DNS", double.dns().to_string());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    for proxy in
        ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(proxy);
    }
    command
}

pub(crate) fn run(command: &mut Command) {
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
