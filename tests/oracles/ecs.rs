//! The client subnet (RFC 7871) beside gdnsd and Knot: the same map, the same questions by kdig.
//!
//! Both are Debian packages, which `tests/setup.sh` installs without starting a server.

use crate::ports::free_port;
use ipnet::IpNet;
use meridian::{
    model::{Name, Ttl},
    records::{self, Answer, Client, Entry, Owner, Question, RecordType, Rrset, Zone, ZoneSet},
    server::{self, Answers, Listen, Stats},
};
use std::{
    borrow::Cow,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// One question, and the answer as response code and `address/source/scope`.
struct Case {
    what: &'static str,
    ask: &'static [&'static str],
    ours: &'static str,
    /// Where gdnsd and Knot say something else.
    gdnsd: Option<Differs>,
    knot: Option<Differs>,
}

/// What another server says instead, and what the RFC says about it.
struct Differs(&'static str, &'static str);

const fn same(what: &'static str, ask: &'static [&'static str], ours: &'static str) -> Case {
    Case { what, ask, ours, gdnsd: None, knot: None }
}

impl Case {
    const fn gdnsd(mut self, says: &'static str, why: &'static str) -> Self {
        self.gdnsd = Some(Differs(says, why));
        self
    }

    const fn knot(mut self, says: &'static str, why: &'static str) -> Self {
        self.knot = Some(Differs(says, why));
        self
    }
}

const CASES: &[Case] = &[
    same("no option", &[], "NOERROR"),
    same("a network of the map", &["+subnet=10.1.2.0/24"], "NOERROR 10.1.2.0/24/8"),
    same("longer than the map has it", &["+subnet=10.1.2.3/32"], "NOERROR 10.1.2.3/32/8"),
    same("over TCP", &["+tcp", "+subnet=10.1.2.0/24"], "NOERROR 10.1.2.0/24/8"),
    same("outside the map", &["+subnet=192.0.2.0/24"], "NOERROR 192.0.2.0/24/1")
        .knot("NOERROR 192.0.2.0/24/0", OVERLAP),
    same("IPv6 of the map", &["+subnet=2001:db8:1::/48"], "NOERROR 2001:db8:1::/48/32"),
    same("IPv6 outside the map", &["+subnet=2001:db9::/48"], "NOERROR 2001:db9::/48/32")
        .knot("NOERROR 2001:db9::/48/0", OVERLAP),
    same("shorter than the map has it", &["+subnet=8.0.0.0/6"], "NOERROR 8.0.0.0/6/7")
        .knot("NOERROR 8.0.0.0/6/0", OVERLAP),
    same("IPv4, SOURCE 0", &["+ednsopt=8:00010000"], "NOERROR 0.0.0.0/0/0"),
    same("IPv6, SOURCE 0", &["+ednsopt=8:00020000"], "NOERROR ::/0/0"),
    same("no family, SOURCE 0", &["+ednsopt=8:00000000"], "NOERROR ")
        .gdnsd("FORMERR", NO_FAMILY)
        .knot("FORMERR", NO_FAMILY),
    same("no family, an octet", &["+ednsopt=8:0000080a"], "FORMERR"),
    same("unknown family", &["+ednsopt=8:000318c00002"], "FORMERR"),
    same("unknown family, SOURCE 0", &["+ednsopt=8:00030000"], "FORMERR"),
    same("SOURCE 33", &["+ednsopt=8:00012100c000020100"], "FORMERR"),
    same("SOURCE 129", &["+ednsopt=8:0002810020010db80000000000000000000000000000"], "FORMERR"),
    same("SCOPE in a query", &["+ednsopt=8:000118080a0102"], "FORMERR")
        .knot("NOERROR 10.1.2.0/24/8", SCOPE),
    same("SCOPE with SOURCE 0", &["+ednsopt=8:00010008"], "FORMERR")
        .knot("NOERROR 0.0.0.0/0/0", SCOPE),
    same("an octet too few", &["+ednsopt=8:000118000a01"], "FORMERR"),
    same("an octet too many", &["+ednsopt=8:000118000a010200"], "FORMERR")
        .knot("NOERROR 10.1.2.0/24/8", LENGTH),
    same("SOURCE 0 with an octet", &["+ednsopt=8:0001000000"], "FORMERR")
        .knot("NOERROR 0.0.0.0/0/0", LENGTH),
    same("a bit beyond SOURCE", &["+ednsopt=8:000117000a0103"], "FORMERR")
        .knot("NOERROR 10.1.2.0/23/8", PADDING),
    same("nothing in the option", &["+ednsopt=8"], "FORMERR"),
    same("half a head", &["+ednsopt=8:0001"], "FORMERR"),
    same("the same twice", &["+ednsopt=8:000118000a0102", "+ednsopt=8:000118000a0102"], "FORMERR")
        .gdnsd("NOERROR 10.1.2.0/24/8", TWICE)
        .knot("NOERROR 10.1.2.0/24/8", TWICE),
    same(
        "malformed behind a good one",
        &["+ednsopt=8:000118000a0102", "+ednsopt=8:000318000a0102"],
        "FORMERR",
    )
    .gdnsd("FORMERR 10.1.2.0/24/0", ECHO),
    same("a later EDNS version", &["+edns=1", "+subnet=10.1.2.0/24"], "BADVERS")
        .knot("BADVERS 10.1.2.0/24/0", ECHO),
    same("a record for all", &["static", "+subnet=10.1.2.0/24"], "NOERROR 10.1.2.0/24/0"),
    same("no such name", &["nowhere", "+subnet=10.1.2.0/24"], "NXDOMAIN 10.1.2.0/24/0"),
    same("no such type", &["static", "TXT", "+subnet=10.1.2.0/24"], "NOERROR 10.1.2.0/24/0"),
    same("no zone of ours", &["www.example.net.", "+subnet=10.1.2.0/24"], "REFUSED 10.1.2.0/24/0"),
];

const OVERLAP: &str = "RFC 7871 §7.2.1: scopes of a name must not overlap, or which answer a client \
                       gets hangs on which a resolver met first; scope 0 holds for everybody, the \
                       map's own networks included";
const NO_FAMILY: &str = "RFC 7871 names families 1 and 2; FAMILY 0 without an address is met in the \
                         wild as opting out (§7.5), and nothing in it can be wrongly answered";
const SCOPE: &str = "RFC 7871 §6: SCOPE PREFIX-LENGTH must be 0 in queries; §7.2.1: what is wrongly \
                     formatted gets FORMERR";
const LENGTH: &str = "RFC 7871 §6: too few or too many ADDRESS octets should get FORMERR";
const PADDING: &str = "RFC 7871 §6: ADDRESS bits beyond SOURCE PREFIX-LENGTH should get FORMERR";
const TWICE: &str = "RFC 7871 has one option in a query; whichever of two is answered, the other's \
                     asker may be given an answer that is not for it";
const ECHO: &str = "RFC 7871 §7.2.1: an option in a response says what its answer holds for; an \
                    error holds for nobody, and §7.3.1 ties the answer section alone to a network";

#[test]
fn differences_from_gdnsd_and_knot_are_those_that_we_know() {
    let ours = Ours::start();
    let others = [
        ("gdnsd", gdnsd(), (|case| case.gdnsd.as_ref()) as fn(&Case) -> Option<&Differs>),
        ("Knot", knot(), |case| case.knot.as_ref()),
    ];
    let mut wrong = Vec::new();
    for case in CASES {
        let said = ask(ours.address, case.ask);
        if said != case.ours {
            wrong.push(format!("{}: ours says {said}, not {}", case.what, case.ours));
        }
        for (name, server, differs) in &others {
            let said = ask(server.address, case.ask);
            let expected = differs(case).map_or(case.ours, |differs| differs.0);
            if said != expected {
                wrong.push(format!("{}: {name} says {said}, not {expected}", case.what));
            } else if let Some(Differs(_, why)) = differs(case) {
                println!("{}: {}, {name} {said}: {why}", case.what, case.ours);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asks by kdig; names are within `example.org`, `www A` where there is none.
fn ask(server: SocketAddr, words: &[&str]) -> String {
    let (options, question): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.starts_with('+'));
    let name = question.first().copied().unwrap_or("www");
    let name = if name.ends_with('.') { name.into() } else { format!("{name}.example.org") };
    let rtype = question.get(1).copied().unwrap_or("A");
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &server.port().to_string(), &name, rtype])
        .args(["+timeout=2", "+retry=1", "+edns"])
        .args(options)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    summary(&text.unwrap_or_default())
}

fn summary(text: &str) -> String {
    let after = |mark: &str| {
        let rest = text.split_once(mark)?.1;
        rest.split(['\n', ';', ',']).next().map(str::trim)
    };
    let status = match after("ext-rcode: ") {
        Some("BADVERS") => "BADVERS",
        _ => after("status: ").unwrap_or("no answer"),
    };
    match after("CLIENT-SUBNET: ") {
        Some(subnet) => format!("{status} {subnet}"),
        None => status.to_owned(),
    }
}

// === Ours ===

/// Networks in the map get the second address, all others the first, each with the shortest scope
/// that holds no address of the other kind.
struct Map {
    nets: Vec<IpNet>,
    zones: ZoneSet,
}

struct Ours {
    address: SocketAddr,
    shutdown: CancellationToken,
    _runtime: tokio::runtime::Runtime,
}

impl Ours {
    fn start() -> Self {
        let apex: Name = "example.org".parse().unwrap();
        let text = zone("www 30 A 192.0.2.1");
        let parsed = records::parse_master(&apex, "zone", &text, &mut records::no_includes);
        let zone: Zone = parsed.unwrap().zone;
        let nets = NETS.iter().map(|net| net.parse().unwrap()).collect();
        let map = Arc::new(Map { nets, zones: zone.into() });

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let addresses = vec!["127.0.0.1:0".parse().unwrap()];
        let listen = Listen::at(addresses);
        let bound = server::bind(&listen).unwrap();
        let (address, shutdown) = (bound.local_addrs()[0], CancellationToken::new());
        let guard = runtime.enter();
        server::serve(bound, &map, &Arc::new(Stats::default()), &TaskTracker::new(), &shutdown)
            .unwrap();
        drop(guard);
        Self { address, shutdown, _runtime: runtime }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Answers for Map {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        let mut answer = records::lookup(&self.zones, question, client);
        let steered = question.name.starts_with(b"\x03www") && question.rtype == RecordType::A;
        let subnet = client.subnet.filter(|subnet| subnet.prefix_len() > 0);
        if let Some(subnet) = subnet.filter(|_| steered && !answer.answer.is_empty()) {
            let of_family = |net: &&IpNet| net.addr().is_ipv4() == subnet.addr().is_ipv4();
            let net = self.nets.iter().find(of_family).unwrap();
            let inside = net.contains(&subnet.addr());
            answer.scope =
                if inside { net.prefix_len() } else { common(net.addr(), subnet.addr()) + 1 };
            let address = if inside { [192, 0, 2, 2] } else { [192, 0, 2, 1] };
            let rrset = Rrset::a(Ttl::SERVED, [IpAddr::from(address)]).unwrap();
            answer.answer[0] = Entry {
                owner: Owner::Asked,
                ttl: rrset.ttl,
                rrset: Cow::Owned(rrset),
                rrsig: None,
            };
        }
        encode(&answer)
    }
}

/// How many leading bits two addresses of one family share.
fn common(one: IpAddr, other: IpAddr) -> u8 {
    let bits = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    };
    bits as u8
}

const NETS: [&str; 2] = ["10.0.0.0/8", "2001:db8::/32"];

pub(crate) fn zone(www: &str) -> String {
    format!(
        "$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.53\n\
         ns2 A 192.0.2.54\nstatic A 192.0.2.9\n{www}\n"
    )
}

// === Theirs ===

/// Another server in a folder of its own; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gdnsd() -> Server {
    start("gdnsd", |folder, port| {
        for sub in ["run", "state", "zones", "geoip"] {
            fs::create_dir(folder.join(sub)).unwrap();
        }
        let config = format!(
            "options => {{ listen => 127.0.0.1:{port}, edns_client_subnet => true,\n\
             \x20 udp_threads => 1, tcp_threads => 1,\n\
             \x20 run_dir => {at}/run, state_dir => {at}/state }}\n\
             plugins => {{ geoip => {{\n\
             \x20 maps => {{ m => {{ datacenters => [one, two],\n\
             \x20   nets => {{ {} => [two, one], {} => [two, one] }} }} }}\n\
             \x20 resources => {{ www => {{ map => m, service_types => up,\n\
             \x20   dcmap => {{ one => 192.0.2.1, two => 192.0.2.2 }} }} }}\n\
             }} }}\n",
            NETS[0],
            NETS[1],
            at = folder.display(),
        );
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("zones/example.org"), zone("www 30 DYNA geoip!www")).unwrap();
        vec!["-c".into(), folder.display().to_string(), "start".into()]
    })
}

fn knot() -> Server {
    start("knotd", |folder, port| {
        let at = folder.display();
        let config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {at}\n  edns-client-subnet: on\n  \
             udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: {at}\n\
             mod-geoip:\n- id: m\n  config-file: {at}/nets\n  ttl: 30\n  mode: subnet\n\
             zone:\n- domain: example.org\n  file: {at}/zone\n  module: mod-geoip/m\n"
        );
        let nets: String =
            NETS.iter().map(|net| format!("- net: {net}\n  A: 192.0.2.2\n")).collect();
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("nets"), format!("www.example.org:\n{nets}")).unwrap();
        fs::write(folder.join("zone"), zone("www 30 A 192.0.2.1")).unwrap();
        vec!["-c".into(), format!("{at}/config")]
    })
}

/// Starts a program on a free port and waits for its first answer.
pub(crate) fn start(program: &str, prepare: impl Fn(&Path, u16) -> Vec<String>) -> Server {
    // Between our look and its own, somebody else may get the port.
    let mut last = String::new();
    for _ in 0..5 {
        match try_start(program, &prepare) {
            Ok(server) => return server,
            Err(log) => last = log,
        }
    }
    panic!("{program} does not answer:\n{last}");
}

/// What it wrote, where it does not answer.
fn try_start(program: &str, prepare: impl Fn(&Path, u16) -> Vec<String>) -> Result<Server, String> {
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let arguments = prepare(folder.path(), address.port());
    let log = fs::File::create(folder.path().join("log")).unwrap();
    // Where Debian has them, also for those who have no such directory in their path.
    let child = Command::new(Path::new("/usr/sbin").join(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    let child = child.unwrap_or_else(|error| {
        panic!("{program} does not run ({error}); tests/setup.sh installs it")
    });
    let mut server = Server { address, child, _folder: folder };
    for _ in 0..200 {
        if ask(server.address, &["static"]) == "NOERROR" {
            return Ok(server);
        }
        if server.child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(fs::read_to_string(server._folder.path().join("log")).unwrap_or_default())
}
