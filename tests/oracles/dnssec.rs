//! Others' validators on a zone that a running process signs: delv (BIND), ldns-verify-zone, drill,
//! unbound and dnsviz, with clients in several parts of the world; and a key that gives way to
//! another under their eyes.

use crate::ports::free_port;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Germany, the United States, Japan.
const NETS: [&str; 3] = ["2.160.0.0/24", "3.80.0.0/24", "133.11.0.0/24"];
const SHOP: &str = "shop.default.fed.svc.fed.test";
const BANK: &str = "bank.default.fed.svc.fed.test";

const STATIC: &str = "\
$TTL 5
www      A 192.0.2.1
         AAAA 2001:db8::1
         TXT \"Hello\"
mail     MX 10 Www
deep.ent TXT deep
alias    CNAME www
chain    CNAME alias
gone     CNAME nothing
*.wild   A 192.0.2.9
x.wild   TXT closer
*.walias CNAME www
moved    DNAME Wild
sub      NS ns.sub
ns.sub   A 127.0.0.1
safe     NS ns.safe
safe     DS 60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a
ns.safe  A 127.0.0.1
_sip._tcp SRV 1 2 5060 Www
svc      HTTPS 1 . alpn=h2
";

/// What is asked, and how it ends: data, no such type, no such name.
const QUESTIONS: [(&str, &str, End); 27] = [
    ("fed.test", "SOA", End::Data),
    ("fed.test", "NS", End::Data),
    ("fed.test", "DNSKEY", End::Data),
    ("www.fed.test", "A", End::Data),
    ("www.fed.test", "MX", End::NoData),
    ("WWW.Fed.test", "AAAA", End::Data),
    ("mail.fed.test", "MX", End::Data),
    ("ent.fed.test", "A", End::NoData),
    ("chain.fed.test", "A", End::Data),
    ("chain.fed.test", "MX", End::NoData),
    ("gone.fed.test", "A", End::NxDomain),
    ("nothing.fed.test", "A", End::NxDomain),
    ("below.www.fed.test", "A", End::NxDomain),
    ("y.wild.fed.test", "A", End::Data),
    ("a.b.wild.fed.test", "A", End::Data),
    ("y.wild.fed.test", "TXT", End::NoData),
    ("x.wild.fed.test", "A", End::NoData),
    ("b.x.wild.fed.test", "A", End::NxDomain),
    ("y.walias.fed.test", "A", End::Data),
    ("y.moved.fed.test", "A", End::Data),
    ("x.moved.fed.test", "A", End::NoData),
    ("moved.fed.test", "DNAME", End::Data),
    ("safe.fed.test", "DS", End::Data),
    ("sub.fed.test", "DS", End::NoData),
    ("_sip._tcp.fed.test", "SRV", End::Data),
    ("svc.fed.test", "HTTPS", End::Data),
    (SHOP, "TXT", End::NoData),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Data,
    NoData,
    NxDomain,
}

fn directory(dnssec: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let head = "apiVersion: meridian.dev/v1alpha1\n";
    let mut text = format!(
        "{head}kind: Federation\nmetadata: {{name: fed}}\nspec: {{zone: fed.test, ttl: 5, masterFile: static, \
         nameServers: [{{name: ns1.fed.test, addresses: [127.0.0.1]}}], dnssec: {dnssec}}}\n"
    );
    let order = "order: {geo: {map: [{continents: [EU], clusters: [azure, aws, gke]}, {continents: [NA], \
                 clusters: [aws, azure, gke]}, {continents: [AS], clusters: [gke, aws, azure]}], default: \
                 [aws, azure, gke]}}";
    let fence = "fence: {allow: {aws: {countries: [DE]}, azure: {countries: [DE]}, gke: {countries: \
                 [DE]}}, allowNoData: true}";
    for (service, more) in [("shop", ""), ("bank", fence)] {
        text += &format!(
            "---\n{head}kind: TrafficPolicy\nmetadata: {{name: {service}, namespace: default}}\nspec:\n  \
             targets: [{{kind: Service, name: {service}}}]\n  {order}\n  {more}\n"
        );
    }
    let places = [("aws", "us-west-2"), ("azure", "westeurope"), ("gke", "asia-east1")];
    for (at, (cluster, region)) in places.into_iter().enumerate() {
        text += &format!(
            "---\n{head}kind: MemberCluster\nmetadata: {{name: {cluster}}}\nspec: {{access: {{directory: \
             {cluster}}}}}\n"
        );
        let service = |name: &str, ips: &str| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
                 spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\nstatus: {{loadBalancer: {{ingress: \
                 [{ips}]}}}}\n"
            )
        };
        let objects = format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{topology.kubernetes.io/region: \
             {region}, topology.kubernetes.io/zone: {region}-a}}}}\n{}{}",
            service("shop", &format!("{{ip: 198.51.100.{at}}}, {{ip: '2001:db8::{at}'}}")),
            service("bank", &format!("{{ip: 198.51.101.{at}}}")),
        );
        fs::create_dir(place.path().join(cluster)).unwrap();
        fs::write(place.path().join(cluster).join("objects.yaml"), objects).unwrap();
    }
    fs::write(place.path().join("all.yaml"), text).unwrap();
    fs::write(place.path().join("static"), STATIC).unwrap();
    place
}

/// A process that signs.
struct Meridian {
    child: Child,
    port: u16,
    server: String,
    config: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Drop for Meridian {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Meridian {
    fn start(dnssec: &str) -> Self {
        let (config, state) = (directory(dnssec), tempfile::tempdir().unwrap());
        let mut child = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(["run", "--config", config.path().to_str().unwrap()])
            .args(["--state-dir", state.path().to_str().unwrap()])
            .args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"])
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut port, mut server) = (None, None);
        while port.is_none() || server.is_none() {
            let line = lines.next().expect("it says where it listens");
            let after = |words: &str| line.split(words).nth(1).map(str::to_owned);
            port = port
                .or_else(|| after("serving DNS on 127.0.0.1:")?.split(' ').next()?.parse().ok());
            server = server.or_else(|| after("web listener on "));
        }
        thread::spawn(move || lines.for_each(drop));
        let (port, server) = (port.unwrap(), server.unwrap());
        let own = Self { child, port, server, config, state };
        wait_for("the signed zone", || {
            own.dig(&["+short", "fed.test", "DNSKEY"]).contains("257 3")
        });
        wait_for("the shop", || own.dig(&["+short", SHOP, "A"]).contains("198.51.100."));
        own
    }

    fn dig(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let all = ["@127.0.0.1", "-p", &port, "+tries=3", "+timeout=2"];
        run("dig", &[&all, args].concat()).expect("dig is installed by tests/setup.sh")
    }

    fn cli(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(args)
            .args(["--server", &self.server])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn status(&self) -> serde_json::Value {
        let (well, text) = self.cli(&["dnssec", "status", "-o", "json"]);
        assert!(well, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[0].clone()
    }

    fn states(&self) -> Vec<String> {
        let keys = self.status()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
    }

    /// The key that a validator is given to begin with.
    fn anchor(&self) -> (u16, String) {
        let text = self.dig(&["+short", "fed.test", "DNSKEY"]);
        let line = text.lines().find(|line| line.starts_with("257")).unwrap().to_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[2].parse().unwrap(), words[3..].concat())
    }

    /// What BIND's validator makes of a question.
    fn delv(&self, name: &str, rtype: &str, place: &Path) -> Option<End> {
        let port = self.port.to_string();
        let file = place.join("anchors");
        let anchors = file.to_str().unwrap();
        let args = ["-a", anchors, "+root=fed.test", "@127.0.0.1", "-p", &port, name, rtype];
        let mut text;
        loop {
            let (algorithm, key) = self.anchor();
            let own = format!("257 3 {algorithm} \"{key}\"");
            fs::write(&file, format!("trust-anchors {{ \"fed.test\" static-key {own}; }};"))
                .unwrap();
            text = run("delv", &args)?;
            // A key that went while it was asked proves nothing any more; the one after it must.
            if text.contains("fully validated") || self.anchor() == (algorithm, key) {
                break;
            }
        }
        let end = match () {
            () if text.contains("resolution failed: ncache nxdomain") => End::NxDomain,
            () if text.contains("resolution failed: ncache nxrrset") => End::NoData,
            () => End::Data,
        };
        assert!(text.contains("fully validated"), "{name} {rtype}: {text}");
        Some(end)
    }
}

/// What a program said; `None`, said loudly, where it is not installed. In CI it must be.
fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}");
            eprintln!("SKIPPED: {program} does not run: {error}");
            None
        }
    }
}

#[track_caller]
fn wait_for(what: &str, mut test: impl FnMut() -> bool) {
    let from = Instant::now();
    while !test() {
        assert!(from.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(50));
    }
}

const DENIALS: [&str; 2] =
    ["{algorithm: ECDSAP256SHA256, keyTtl: 60}", "{algorithm: ED25519, keys: split, keyTtl: 60}"];

#[test]
fn delv_validates_every_kind_of_answer() {
    let place = tempfile::tempdir().unwrap();
    for dnssec in DENIALS {
        let meridian = Meridian::start(dnssec);
        for (name, rtype, expected) in QUESTIONS {
            let Some(end) = meridian.delv(name, rtype, place.path()) else { return };
            assert_eq!(end, expected, "{name} {rtype} with {dnssec}");
        }
    }
}

/// BIND 9.18 knows no NXNAME, so it takes names that are not there for names without data.
#[test]
fn delv_validates_compact_denial() {
    let place = tempfile::tempdir().unwrap();
    let meridian = Meridian::start("{denial: compact, keyTtl: 60}");
    for (name, rtype, expected) in QUESTIONS {
        let expected = if expected == End::NxDomain { End::NoData } else { expected };
        let Some(end) = meridian.delv(name, rtype, place.path()) else { return };
        assert_eq!(end, expected, "{name} {rtype}");
    }
}

#[test]
fn ldns_verifies_the_exported_zone() {
    for dnssec in DENIALS {
        let meridian = Meridian::start(dnssec);
        let file = meridian.state.path().join("export");
        let (well, text) = meridian.cli(&["zone", "export", "fed.test"]);
        assert!(well, "{text}");
        fs::write(&file, text).unwrap();
        let Some(said) = run("ldns-verify-zone", &[file.to_str().unwrap()]) else { return };
        assert!(said.contains("Zone is verified and complete"), "{said}");
        let (_, plain) = meridian.cli(&["zone", "export", "fed.test", "--unsigned"]);
        assert!(!plain.contains("RRSIG") && plain.contains("198.51.100."), "{plain}");
    }
}

/// What a secondary gets, with names that are steered and one that nobody in particular may have.
#[test]
fn ldns_verifies_the_transferred_zone() {
    for dnssec in DENIALS {
        let given = format!("{dnssec}, transfer: {{allow: [{{networks: [127.0.0.0/8]}}]}}");
        let meridian = Meridian::start(&given);
        let text = meridian.dig(&["+noall", "+answer", "+onesoa", "fed.test", "AXFR"]);
        let lines = |name: &str, rtype: &str| {
            let own = |line: &&str| line.starts_with(name) && line.contains(rtype);
            text.lines().filter(own).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(SHOP, "\tRRSIG\tA ").len(), 1, "the default view's alone: {text}");
        let denies = lines(BANK, "\tNSEC\t").concat();
        assert_eq!(denies.contains(" A "), !lines(BANK, "\tA\t").is_empty(), "{denies}");
        for rtype in ["\tDNSKEY\t", "\tRRSIG\tDNSKEY ", "\tRRSIG\tSOA ", "\tNSEC\t"] {
            assert!(!lines("fed.test.", rtype).is_empty(), "{rtype}: {text}");
        }
        let file = meridian.state.path().join("transferred");
        fs::write(&file, &text).unwrap();
        let Some(said) = run("ldns-verify-zone", &[file.to_str().unwrap()]) else { return };
        assert!(said.contains("Zone is verified and complete"), "{said}\n{text}");
    }
}

/// A resolver that asks for clients in three parts of the world, and believes nothing unproven.
#[test]
fn unbound_validates_what_each_client_is_given() {
    let meridian = Meridian::start("{keyTtl: 60}");
    let (algorithm, key) = meridian.anchor();
    let place = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  use-syslog: no\n  \
         username: \"\"\n  chroot: \"\"\n  directory: \"{dir}\"\n  pidfile: \"\"\n  \
         do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  trust-anchor: \
         \"fed.test. DNSKEY 257 3 {algorithm} {key}\"\n  cache-max-ttl: 0\n  cache-max-negative-ttl: \
         0\n  local-zone: \"test.\" nodefault\n  aggressive-nsec: yes\nremote-control:\n  \
         control-enable: no\nstub-zone:\n  name: fed.test\n  stub-addr: 127.0.0.1@{own}\n",
        dir = place.path().display(),
        own = meridian.port,
    );
    let file = place.path().join("unbound.conf");
    fs::write(&file, config).unwrap();
    let started = Command::new("unbound")
        .args(["-d", "-c", file.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut unbound) = started else {
        assert!(std::env::var_os("CI").is_none(), "unbound is not installed");
        eprintln!("SKIPPED: unbound is not installed");
        return;
    };
    let port = port.to_string();
    let ask = |name: &str, rtype: &str| {
        run("dig", &["@127.0.0.1", "-p", &port, "+dnssec", "+tries=3", name, rtype]).unwrap()
    };
    wait_for("unbound", || ask("fed.test", "SOA").contains("NOERROR"));
    for (name, rtype, expected) in QUESTIONS {
        let text = ask(name, rtype);
        let status = if expected == End::NxDomain { "NXDOMAIN" } else { "NOERROR" };
        assert!(text.contains(&format!("status: {status}")), "{name} {rtype}: {text}");
        let flags = text.lines().find(|line| line.contains("flags:")).unwrap();
        assert!(flags.contains(" ad"), "{name} {rtype} is not validated: {text}");
    }
    unbound.kill().unwrap();
    unbound.wait().unwrap();
}

/// Each client's own answer, straight from us, checked by drill against the zone's key.
#[test]
fn drill_checks_the_answers_of_clients_everywhere() {
    let meridian = Meridian::start("{keyTtl: 60}");
    let (algorithm, key) = meridian.anchor();
    let file = meridian.config.path().join("trusted.key");
    fs::write(&file, format!("fed.test. 60 IN DNSKEY 257 3 {algorithm} {key}\n")).unwrap();
    let port = meridian.port.to_string();
    for name in [SHOP, "www.fed.test", "y.wild.fed.test"] {
        let args = ["-p", &port, "-k", file.to_str().unwrap(), "-D", name, "@127.0.0.1", "A"];
        let Some(text) = run("drill", &args) else { return };
        assert!(text.contains("NOERROR") && !text.contains("Bogus"), "{text}");
    }
    let mut seen = std::collections::BTreeSet::new();
    for net in NETS {
        let text = meridian.dig(&["+dnssec", &format!("+subnet={net}"), SHOP, "A"]);
        let rrsig =
            text.lines().find(|line| line.contains("RRSIG")).unwrap_or_else(|| panic!("{text}"));
        assert!(seen.insert(rrsig.to_owned()), "each variant has its own signature: {text}");
    }
    // Who is fenced off is told that there is no A, with a proof that says so, for a short time.
    let text = meridian.dig(&["+dnssec", &format!("+subnet={}", NETS[1]), BANK, "A"]);
    let nsec =
        text.lines().find(|line| line.contains("\tNSEC\t")).unwrap_or_else(|| panic!("{text}"));
    assert!(
        nsec.ends_with("RRSIG NSEC") && nsec.contains(" 5 ") || nsec.contains("\t5\t"),
        "{nsec}"
    );
    let text = meridian.dig(&["+dnssec", &format!("+subnet={}", NETS[0]), BANK, "A"]);
    assert!(text.contains("RRSIG\tA 13"), "{text}");
}

/// `dnsviz grok`, which looks for a module that Debian's pygraphviz no longer has.
const GROK: &str = "
import sys, types, pygraphviz
release = types.ModuleType('pygraphviz.release')
release.version = '1.7'
sys.modules['pygraphviz.release'] = pygraphviz.release = release
from dnsviz.commands.grok import main
main(sys.argv)
";

/// dnsviz, which knows more rules than any validator enforces.
#[test]
fn dnsviz_finds_nothing_wrong() {
    for dnssec in DENIALS {
        let meridian = Meridian::start(dnssec);
        let server = format!("fed.test+:ns1.fed.test=127.0.0.1:{}", meridian.port);
        let names = format!("fed.test:ns1.fed.test=127.0.0.1:{}", meridian.port);
        let out = meridian.state.path().join("probe");
        let args = [
            "probe",
            "-A",
            "-E",
            "-4",
            "-x",
            &server,
            "-N",
            &names,
            "-R",
            "A,TXT,MX,SOA,NS,DNSKEY",
            "-o",
            out.to_str().unwrap(),
            "fed.test",
            "www.fed.test",
            SHOP,
        ];
        if run("dnsviz", &args).is_none() {
            return;
        }
        let (algorithm, key) = meridian.anchor();
        let anchors = meridian.state.path().join("anchors");
        fs::write(&anchors, format!("fed.test. IN DNSKEY 257 3 {algorithm} {key}\n")).unwrap();
        let (anchors, out) = (anchors.to_str().unwrap(), out.to_str().unwrap());
        let args = ["-c", GROK, "-t", anchors, "-l", "warning", "-r", out];
        let found = run("/usr/bin/python3", &args).unwrap();
        assert!(["", "{}"].contains(&found.trim()), "{found}");
    }
}

/// Steps of seconds where an operator's take days; every answer validates at every moment.
#[test]
fn a_key_gives_way_to_another_and_nobody_sees_a_gap() {
    let place = tempfile::tempdir().unwrap();
    let meridian = Meridian::start("{keyTtl: 2, dsTtl: 2s, propagation: 1s}");
    let tag = |meridian: &Meridian, at: usize| meridian.status()["keys"][at]["tag"].to_string();
    let first = tag(&meridian, 0);
    let (well, text) = meridian.cli(&["dnssec", "roll"]);
    assert!(!well && text.contains("never seen at the parent"), "{text}");
    wait_for("the first key", || meridian.states() == ["ksk Ready, zsk Active"]);
    let (_, ds) = meridian.cli(&["dnssec", "ds"]);
    assert!(ds.starts_with(&format!("fed.test. IN DS {first} 13 2 ")), "{ds}");
    assert!(meridian.dig(&["+short", "fed.test", "CDS"]).starts_with(&first));
    let (well, text) = meridian.cli(&["dnssec", "roll", "--ds-seen", "1"]);
    assert!(!well && text.contains("no key 1"), "{text}");
    assert!(meridian.cli(&["dnssec", "roll", "--ds-seen", &first]).0);

    let (well, text) = meridian.cli(&["dnssec", "roll"]);
    assert!(well, "{text}");
    let second = tag(&meridian, 1);
    let (well, text) = meridian.cli(&["dnssec", "roll", "--ds-seen", &second]);
    assert!(!well && text.contains("not in every cache"), "{text}");
    let (well, text) = meridian.cli(&["dnssec", "roll"]);
    assert!(!well && text.contains("still being changed"), "{text}");
    let check = || {
        if let Some(end) = meridian.delv("y.wild.fed.test", "A", place.path()) {
            assert_eq!(end, End::Data);
        }
    };
    check();
    wait_for("the second key", || {
        check();
        meridian.states().get(1).is_some_and(|own| own == "ksk Ready, zsk Active")
    });
    assert!(meridian.dig(&["+short", "fed.test", "CDS"]).starts_with(&second));
    assert!(meridian.cli(&["dnssec", "roll", "--ds-seen", &second]).0);
    wait_for("the end of the first", || {
        check();
        meridian.states() == ["ksk Active, zsk Active"]
    });
    let keys = meridian.dig(&["+short", "fed.test", "DNSKEY"]);
    assert_eq!(keys.lines().count(), 1, "{keys}");
    let signed = meridian.dig(&["+dnssec", "+noall", "+answer", "www.fed.test", "A"]);
    assert!(signed.contains(&format!(" {second} fed.test.")), "{signed}");
}
