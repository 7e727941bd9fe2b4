//! NSD, Knot and BIND with the same zones, on loopback, told to answer as fully as they can where
//! they have a choice; and our own server over UDP.

use super::{
    message::{Reply, query},
    zones::{Asked, Made},
};
use crate::ports::free_port;
use meridian::{
    model::Name,
    records::{Answer, Client, Question, ZoneSet},
    server::{self, Answers, Compiled, Listen, Stats},
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Who {
    Nsd,
    Knot,
    Bind,
}

pub(crate) const ALL: [Who; 3] = [Who::Nsd, Who::Knot, Who::Bind];

/// A server that is asked over UDP, and over TCP where a reply is cut short.
pub(crate) struct Line {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Self { socket, address }
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        // A server that is not there yet refuses the packet before.
        if self.socket.send(packet).is_err() {
            let _ = self.socket.send(packet);
        }
    }

    /// The reply to what was sent, which is sent again where it got lost.
    pub(crate) fn receive(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut octets = [0; 4_096];
        for _ in 0..5 {
            while let Ok(length) = self.socket.recv(&mut octets) {
                if octets[..2] == packet[..2] {
                    return Some(octets[..length].to_vec());
                }
            }
            self.send(packet);
        }
        None
    }

    /// The whole reply.
    fn receive_over_tcp(&self, packet: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, packet].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).unwrap();
        octets
    }
}

// === Theirs ===

/// A running server; ends when dropped.
pub(crate) struct Peer {
    pub(crate) who: Who,
    pub(crate) line: Line,
    child: Child,
    folder: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // NSD's children go only with their parent's own goodbye.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

impl Peer {
    pub(crate) fn start(who: Who, zones: &[Made]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for (at, made) in zones.iter().enumerate() {
            fs::write(folder.path().join(format!("zone{at}")), &made.text).unwrap();
        }
        let (text, program, arguments) = config(who, folder.path(), address.port(), zones);
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(Path::new("/usr/sbin").join(program))
            .args(arguments)
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("{program} does not run ({error}); tests/setup.sh installs it")
        });
        Self { who, line: Line::to(address), child, folder }
    }

    /// Waits until every zone is served.
    pub(crate) fn ready(self, zones: &[Made]) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        for (zone, made) in zones.iter().enumerate() {
            let name = made.zone.apex().clone();
            while !self.serves(&Asked { zone, name: name.clone(), rtype: 6, edns: None }) {
                let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
                assert!(
                    Instant::now() < deadline,
                    "{:?} does not serve {name}:\n{}\n{}",
                    self.who,
                    made.text,
                    log()
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        self
    }

    /// What it says to that packet, all of it if it was cut short; and how long it is.
    pub(crate) fn reply(&self, packet: &[u8], asked: &Asked) -> (Reply, usize) {
        let octets = self.line.receive(packet);
        let octets = octets.unwrap_or_else(|| panic!("{:?} is silent: {asked:?}", self.who));
        let reply = Reply::read(&octets, asked);
        if !reply.truncated {
            return (reply, octets.len());
        }
        let octets = self.line.receive_over_tcp(packet);
        (Reply { truncated: true, ..Reply::read(&octets, asked) }, octets.len())
    }

    /// Where it left a chain of aliases although it has the zone of the next name, that name is
    /// asked for too, as far as ours follows: so what we found at the end is compared all the
    /// same.
    pub(crate) fn lead(&self, reply: &Reply, asked: &Asked, made: &[Made]) -> Led {
        let mut led = Led { reply: reply.clone(), out_of_its_zone: false };
        let mut aliases = reply.chain(asked.name.as_wire());
        while let Some(name) = left(&led.reply, &aliases, asked, made) {
            let before = Name::from_wire(&aliases[aliases.len() - 2]).unwrap();
            let apex = |name| zone_of(name, made).map(|own| own.zone.apex());
            led.out_of_its_zone |= apex(&before) != apex(&name);
            let next = Asked { name, ..asked.clone() };
            let packet = query(fastrand::u16(..), &next);
            led.reply.go_on(Reply::read(&self.line.receive_over_tcp(&packet), &next));
            aliases = led.reply.chain(asked.name.as_wire());
        }
        led
    }

    fn serves(&self, asked: &Asked) -> bool {
        let packet = query(fastrand::u16(..), asked);
        let mut octets = [0; 4_096];
        self.line.send(&packet);
        let length = self.line.socket.recv(&mut octets).unwrap_or_default();
        octets[..2] == packet[..2] && Reply::read(&octets[..length], asked).authoritative
    }
}

/// The name at which a chain was left, where ours goes on.
fn left(reply: &Reply, aliases: &[Vec<u8>], asked: &Asked, made: &[Made]) -> Option<Name> {
    const CNAME: u16 = 5;
    const ANY: u16 = 255;
    let [earlier @ .., last] = aliases else { return None };
    let goes_round = earlier.contains(last);
    let whole = reply.answer.iter().any(|record| record.owner == *last)
        || reply.rcode != 0
        || !reply.authority.is_empty();
    let over = aliases.len() < 2 || aliases.len() > MAX_ALIASES + 1;
    if goes_round || whole || over || matches!(asked.rtype, CNAME | ANY) {
        return None;
    }
    let name = Name::from_wire(last).unwrap();
    zone_of(&name, made).is_some().then_some(name)
}

/// What a server said once it was led along a chain that it left; the same where it left none.
pub(crate) struct Led {
    pub(crate) reply: Reply,
    pub(crate) out_of_its_zone: bool,
}

/// The lowest zone that a name lies in.
pub(crate) fn zone_of<'m>(name: &Name, made: &'m [Made]) -> Option<&'m Made> {
    let zones = made.iter().filter(|own| name.is_within(own.zone.apex()));
    zones.max_by_key(|own| own.zone.apex().label_count())
}

/// So many aliases do we follow (src/records/lookup.rs).
pub(crate) const MAX_ALIASES: usize = 16;

type Config = (String, &'static str, &'static [&'static str]);

fn config(who: Who, folder: &Path, port: u16, zones: &[Made]) -> Config {
    let at = folder.display();
    let list = |one: &dyn Fn(usize, &Made) -> String| -> String {
        zones.iter().enumerate().map(|(number, made)| one(number, made)).collect()
    };
    match who {
        Who::Nsd => {
            let head = format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: {at}\n  \
                 database: \"\"\n  pidfile: {at}/pid\n  xfrdfile: {at}/xfrd\n  xfrdir: {at}\n  \
                 zonelistfile: {at}/list\n  server-count: 1\n  ipv4-edns-size: 1232\n  \
                 rrl-ratelimit: 0\n  refuse-any: no\n  minimal-responses: yes\nremote-control:\n  \
                 control-enable: no\n"
            );
            let zone = |number, made: &Made| {
                format!("zone:\n  name: {}\n  zonefile: zone{number}\n", made.zone.apex())
            };
            (head + &list(&zone), "nsd", &["-d", "-c"])
        }
        Who::Knot => {
            let head = format!(
                "server:\n  listen: 127.0.0.1@{port}\n  rundir: {at}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\n  udp-max-payload: 1232\ndatabase:\n  \
                 storage: {at}\ntemplate:\n  - id: default\n    storage: {at}\n    \
                 zonefile-sync: -1\n    journal-content: none\nzone:\n"
            );
            let zone = |number, made: &Made| {
                format!("  - domain: {}\n    file: zone{number}\n", made.zone.apex())
            };
            (head + &list(&zone), "knotd", &["-c"])
        }
        Who::Bind => {
            let head = format!(
                "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; \
                 listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; \
                 dnssec-validation no; notify no; max-udp-size 1232; zero-no-soa-ttl no; minimal-responses no-auth; \
                 check-integrity no; check-names primary ignore; check-wildcard no; check-mx \
                 ignore; check-mx-cname ignore; check-srv-cname ignore; }};\ncontrols {{ }};\n"
            );
            let zone = |number, made: &Made| {
                let name = made.zone.apex();
                format!("zone \"{name}\" {{ type primary; file \"zone{number}\"; }};\n")
            };
            (head + &list(&zone), "named", &["-g", "-n", "1", "-c"])
        }
    }
}

// === Ours ===

/// Answers from those zones, with what was put together ahead, or nothing.
pub(crate) struct Zones {
    pub(crate) zones: ZoneSet,
    pub(crate) compiled: Arc<Compiled>,
}

impl Answers for Zones {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.zones.answer(question, client, encode)
    }

    fn compiled(&self) -> Arc<Compiled> {
        self.compiled.clone()
    }
}

pub(crate) struct Ours {
    pub(crate) line: Line,
    shutdown: CancellationToken,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Ours {
    pub(crate) fn start(zones: &Arc<Zones>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let bound = server::bind(&Listen::at(vec!["127.0.0.1:0".parse().unwrap()])).unwrap();
        let (address, shutdown) = (bound.local_addrs()[0], CancellationToken::new());
        let entered = runtime.enter();
        let stats = Arc::new(Stats::default());
        server::serve(bound, zones, &stats, &TaskTracker::new(), &shutdown).unwrap();
        drop(entered);
        Self { line: Line::to(address), shutdown, _runtime: runtime }
    }
}
