//! Upgrades of a running process: another one takes over its sockets, and whoever asks meanwhile
//! gets every answer.

use super::sockets::{framed, read};
use super::*;
use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketType, sockopt::socket_peercred},
    process::{Pid, Signal, kill_process},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread::JoinHandle,
};

/// Where everything of one installation is, and listens.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub dns: SocketAddr,
    pub web: SocketAddr,
    config: &'static str,
}

/// A port that was free for TCP and UDP a moment ago.
fn free_port() -> SocketAddr {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone = "$ORIGIN example.org.\n$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\n\
                    ns1 A 192.0.2.53\nwww A 192.0.2.1\n";
        fs::create_dir_all(folder.path().join("config")).unwrap();
        fs::write(folder.path().join("config/example.org.zone"), zone).unwrap();
        Self { folder, dns: free_port(), web: free_port(), config: "config" }
    }

    /// A configuration with a cluster that nobody can reach: who has it is never ready.
    fn wants_what_is_out_of_reach(&mut self) {
        self.config = "other";
        let other = self.folder.path().join("other");
        fs::create_dir(&other).unwrap();
        let objects = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: fed}\n\
                       spec: {zone: example.org}\n---\napiVersion: meridian.dev/v1alpha1\n\
                       kind: MemberCluster\nmetadata: {name: far}\n\
                       spec: {access: {kubeconfig: {path: kubeconfig}}}\n";
        let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: far\n\
                          clusters: [{name: far, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                          users: [{name: far, user: {token: t}}]\n\
                          contexts: [{name: far, context: {cluster: far, user: far}}]\n";
        fs::write(other.join("federation.yaml"), objects).unwrap();
        fs::write(other.join("kubeconfig"), kubeconfig).unwrap();
    }

    pub fn start(&self, more: &[&str]) -> Process {
        self.start_at(self.dns, more)
    }

    pub fn start_at(&self, dns: SocketAddr, more: &[&str]) -> Process {
        let path = self.folder.path();
        let number = fs::read_dir(path).unwrap().count();
        let log = path.join(format!("log-{number}"));
        let child = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .arg("run")
            .args(["--config".as_ref(), path.join(self.config).as_os_str()])
            .args(["--state-dir".as_ref(), path.join("state").as_os_str()])
            .args(["--web-listen", &self.web.to_string(), "--dns-listen", &dns.to_string()])
            .args(more)
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { child, log }
    }

    /// Who would be asked for its sockets now.
    pub fn serving_process(&self) -> Option<Pid> {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let path = self.folder.path().join("state/handover.sock");
        rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).ok()?;
        Some(socket_peercred(&socket).unwrap().pid)
    }

    pub fn until_asked(&self, who: &Process) {
        wait(|| self.serving_process().is_some_and(|pid| pid == who.pid()));
    }
}

/// Ended when dropped.
pub struct Process {
    pub child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    pub fn says(&self, words: &str) {
        let start = Instant::now();
        while !fs::read_to_string(&self.log).unwrap().contains(words) {
            let log = || fs::read_to_string(&self.log).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "never said {words:?}: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has ended by itself, and well.
    pub fn ends_well(&mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", fs::read_to_string(&self.log).unwrap());
    }
}

pub fn wait(mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whoever asks all the while; each says how many answers it got and how many queries were lost.
#[derive(Default)]
struct Crowd {
    end: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    threads: Vec<Member>,
}

/// Its name, what it got and what it missed, and its thread.
type Member = (&'static str, Arc<[AtomicU64; 2]>, JoinHandle<()>);

impl Crowd {
    /// `ask` asks some queries and says how many there were, and how many got no answer.
    fn joins(&mut self, name: &'static str, mut ask: impl FnMut() -> (u64, u64) + Send + 'static) {
        let (end, answered, lost) = (self.end.clone(), self.answered.clone(), self.lost.clone());
        let own = Arc::new([0, 0].map(AtomicU64::new));
        let counted = own.clone();
        let thread = std::thread::spawn(move || {
            while !end.load(Relaxed) {
                let (asked, missing) = ask();
                answered.fetch_add(asked - missing, Relaxed);
                counted[0].fetch_add(asked - missing, Relaxed);
                counted[1].fetch_add(missing, Relaxed);
                lost.fetch_add(missing, Relaxed);
            }
        });
        self.threads.push((name, own, thread));
    }

    fn goes(self) -> (u64, u64) {
        self.end.store(true, Relaxed);
        for (name, own, thread) in self.threads {
            thread.join().unwrap();
            let [answers, missing] = [0, 1].map(|at| own[at].load(Relaxed));
            println!("{name}: {answers} answers, {missing} missing");
            assert!(answers > 0, "{name} got no answer at all");
        }
        (self.answered.load(Relaxed), self.lost.load(Relaxed))
    }
}

/// So many queries at once over UDP, from one port, each with an ID of its own.
pub fn flood(dns: SocketAddr, window: u16) -> impl FnMut() -> (u64, u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(dns).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut next = 0_u16;
    move || {
        let mut open = std::collections::BTreeSet::new();
        for _ in 0..window {
            let mut packet = question("www.example.org", 1);
            packet[..2].copy_from_slice(&next.to_be_bytes());
            // An error that came back for an earlier packet is reported here once.
            if socket.send(&packet).is_err() {
                socket.send(&packet).unwrap();
            }
            open.insert(next);
            next = next.wrapping_add(1);
        }
        let mut buffer = [0; 512];
        while !open.is_empty() {
            let Ok(octets) = socket.recv(&mut buffer) else { break };
            assert_eq!(answers(&buffer[..octets]), 1);
            open.remove(&u16::from_be_bytes([buffer[0], buffer[1]]));
        }
        (window.into(), open.len().try_into().unwrap())
    }
}

fn ask_over(stream: &mut TcpStream) -> bool {
    stream.write_all(&framed(&question("www.example.org", 1))).is_ok()
        && read(stream).is_some_and(|answer| answers(&answer) == 1)
}

/// One connection, and so many queries one after another.
pub fn over_tcp(dns: SocketAddr, queries: u64) -> impl FnMut() -> (u64, u64) {
    move || {
        let Ok(mut stream) = TcpStream::connect(dns) else { return (queries, queries) };
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let missing = (0..queries).filter(|_| !ask_over(&mut stream)).count();
        (queries, missing.try_into().unwrap())
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// One request whether the process is ready.
fn readiness(web: SocketAddr) -> impl FnMut() -> (u64, u64) {
    move || {
        let ready = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(web)?;
            write!(stream, "GET /readyz HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text.starts_with("HTTP/1.1 200"))
        };
        let ready = ready().is_ok_and(|ready| ready);
        std::thread::sleep(Duration::from_millis(2));
        (1, u64::from(!ready))
    }
}

fn crowd(place: &Place) -> Crowd {
    let mut crowd = Crowd::default();
    crowd.joins("one after another over UDP", flood(place.dns, 1));
    crowd.joins("many at once over UDP", flood(place.dns, 64));
    crowd.joins("many at once over UDP, from another port", flood(place.dns, 64));
    crowd.joins("over TCP", over_tcp(place.dns, 20));
    crowd.joins("over TCP, a connection for each", over_tcp(place.dns, 1));
    crowd.joins("readiness", readiness(place.web));
    crowd
}

#[test]
fn ten_upgrades_under_load_lose_no_query() {
    let place = Place::new();
    let mut current = place.start(&[]);
    current.says("web listener on");
    place.until_asked(&current);
    wait(|| readiness(place.web)() == (1, 0));
    let crowd = crowd(&place);
    for _ in 0..10 {
        let mut early = TcpStream::connect(place.dns).unwrap();
        assert!(ask_over(&mut early));
        let next = place.start(&["--take-over"]);
        // Never idle for as long as would end it, however slow the machine is.
        wait(|| {
            assert!(ask_over(&mut early), "a connection from before is served on");
            place.serving_process() == Some(next.pid())
        });
        assert!(ask_over(&mut early), "a connection from before is served on");
        drop(early);
        let mut old = std::mem::replace(&mut current, next);
        old.ends_well();
    }
    let (answered, lost) = crowd.goes();
    println!("{answered} queries answered, {lost} lost");
    assert_eq!(lost, 0, "of {}", answered + lost);
}

#[test]
fn sigusr2_starts_the_process_that_takes_over() {
    let place = Place::new();
    let mut old = place.start(&[]);
    place.until_asked(&old);
    let crowd = crowd(&place);
    kill_process(old.pid(), Signal::USR2).unwrap();
    wait(|| place.serving_process().is_some_and(|pid| pid != old.pid()));
    old.ends_well();
    assert_eq!(crowd.goes().1, 0);
    let new = place.serving_process().unwrap();
    kill_process(new, Signal::INT).unwrap();
    wait(|| place.serving_process().is_none());
}

#[test]
fn a_second_process_is_refused_and_one_that_cannot_serve_leaves_the_first_as_it_was() {
    let place = Place::new();
    let old = place.start(&[]);
    place.until_asked(&old);
    let refused = |more: &[&str], words: &str| {
        let mut other = place.start(more);
        assert!(!other.child.wait().unwrap().success());
        other.says(words);
        format!("process {}, user", other.pid().as_raw_nonzero())
    };
    let looked = refused(&[], "replace it with --take-over");
    let failed = refused(&["--take-over", "--dns-listen", "192.0.2.1:53"], "no such address");
    old.says(&format!("{failed} {} asked to take over, and has not", user()));
    // One that only looks who is there is no news.
    assert!(!fs::read_to_string(&old.log).unwrap().contains(&looked));
    assert_eq!(over_tcp(place.dns, 3)(), (3, 0));
    assert_eq!(place.serving_process(), Some(old.pid()));
}

#[test]
fn one_that_never_sees_its_clusters_does_not_take_over() {
    let mut place = Place::new();
    let mut old = place.start(&[]);
    place.until_asked(&old);
    wait(|| readiness(place.web)() == (1, 0));
    place.wants_what_is_out_of_reach();
    // What the old one saved is as it is, so that it writes nothing: nobody does.
    let state = place.folder.path().join("state/state");
    wait(|| state.exists());
    fs::remove_file(&state).unwrap();
    let mut new = place.start(&["--take-over"]);
    // All the while, the old one answers.
    let (start, mut asked) = (Instant::now(), 0);
    while !state.exists() {
        assert_eq!((over_tcp(place.dns, 3)(), readiness(place.web)()), ((3, 0), (1, 0)));
        asked += 1;
    }
    assert!(asked > 10);
    // By the old one, once the other had given up.
    assert!(start.elapsed() > Duration::from_secs(10), "the new one wrote it, which never served");
    assert!(!new.child.wait().unwrap().success());
    new.says("not all clusters were seen within");
    let failed = format!("process {}, user {}", new.pid().as_raw_nonzero(), user());
    old.says(&format!("{failed} asked to take over, and has not"));
    // And takes news up again.
    let zone = place.folder.path().join("config/example.org.zone");
    let text = fs::read_to_string(&zone).unwrap() + "news A 192.0.2.7\n";
    fs::write(&zone, text).unwrap();
    wait(|| {
        let mut stream = TcpStream::connect(place.dns).unwrap();
        stream.write_all(&framed(&question("news.example.org", 1))).unwrap();
        read(&mut stream).is_some_and(|answer| answers(&answer) == 1)
    });
    assert!(old.child.try_wait().unwrap().is_none());
}

/// Whether the answer about that name comes with its signature.
fn is_signed(dns: SocketAddr, name: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(dns).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
        let query = with_opt(question(name, 1), 4_096, 0, &[]);
        stream.write_all(&framed(&query)).ok()?;
        read(&mut stream)
    };
    ask().is_some_and(|answer| rcode(&answer) == 0 && answers(&answer) == 2)
}

#[test]
fn a_large_zone_is_signed_before_the_process_that_signs_it_takes_over() {
    use std::fmt::Write as _;
    let place = Place::new();
    let config = place.folder.path().join("config");
    let mut records = "$TTL 60\n".to_owned();
    (0..8_000).for_each(|number| writeln!(records, "n{number} A 192.0.2.1").unwrap());
    fs::write(config.join("many"), records).unwrap();
    let federation = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: fed}\n\
                      spec: {zone: many.test, nameServers: [{name: ns.example.net}], dnssec: {}, \
                      masterFile: many}\n";
    fs::write(config.join("federation.yaml"), federation).unwrap();
    let mut old = place.start(&[]);
    place.until_asked(&old);
    wait(|| is_signed(place.dns, "n7.many.test"));
    let mut crowd = Crowd::default();
    let dns = place.dns;
    crowd.joins("signatures", move || (1, u64::from(!is_signed(dns, "n7999.many.test"))));
    let new = place.start(&["--take-over"]);
    place.until_asked(&new);
    old.ends_well();
    assert!(is_signed(dns, "n0.many.test"));
    assert_eq!(crowd.goes().1, 0);
}

#[test]
fn who_waits_to_take_over_serves_at_once_when_the_process_before_ends() {
    let mut place = Place::new();
    let mut old = place.start(&[]);
    place.until_asked(&old);
    wait(|| readiness(place.web)() == (1, 0));
    place.wants_what_is_out_of_reach();
    let new = place.start(&["--take-over"]);
    // By now the old one has made room for it.
    new.says("restored generation");
    kill_process(old.pid(), Signal::INT).unwrap();
    old.ends_well();
    new.says("ended before it gave its place up");
    place.until_asked(&new);
    let mut stream = TcpStream::connect(place.dns).unwrap();
    stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
    assert!(read(&mut stream).is_some(), "if only to say that it does not know yet");
}

#[test]
fn addresses_may_differ_and_what_waits_at_the_old_ones_is_answered() {
    let place = Place::new();
    let other = free_port();
    let mut old = place.start(&["--dns-listen", &other.to_string()]);
    place.until_asked(&old);
    let mut crowd = Crowd::default();
    crowd.joins("at the address that stays", flood(place.dns, 64));
    let next = free_port();
    let new = place.start(&["--take-over", "--dns-listen", &next.to_string()]);
    place.until_asked(&new);
    assert_eq!(over_tcp(next, 3)(), (3, 0));
    assert_eq!(flood(next, 10)(), (10, 0));
    old.ends_well();
    assert!(TcpStream::connect(other).is_err());
    assert_eq!(crowd.goes().1, 0);
}

#[test]
fn without_a_process_to_replace_it_starts_as_usual_and_the_socket_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path: &Path = &place.folder.path().join("state/handover.sock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Left behind by one that was killed.
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    let process = place.start(&["--take-over"]);
    place.until_asked(&process);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(over_tcp(place.dns, 3)(), (3, 0));
}

#[test]
fn a_path_that_is_too_long_for_a_socket_keeps_nobody_from_starting() {
    let place = Place::new();
    let path = place.folder.path().join("x".repeat(120)).join("handover.sock");
    let flags = ["--handover-socket", path.to_str().unwrap()];
    let process = place.start(&flags);
    process.says("serving DNS on");
    process.says("no other process can take over from this one");
    assert_eq!(over_tcp(place.dns, 3)(), (3, 0));
    let mut other = place.start(&[&flags[..], &["--take-over"]].concat());
    assert!(!other.child.wait().unwrap().success());
    other.says("cannot ask for sockets at");
}

#[test]
fn more_sockets_than_were_handed_are_bound_once_they_are_read() {
    let own = server::bind(&Listen::at(vec!["127.0.0.1:0".parse().unwrap()])).unwrap();
    let mut handed = server::Handed::default();
    own.sockets().unwrap().into_iter().for_each(|socket| handed.add(socket).unwrap());
    let listen = Listen { workers: 3, ..Listen::at(own.local_addrs()) };
    let mut bound = server::bind_beside(&listen, &mut handed).unwrap();
    let all = |bound: &server::Bound| bound.sockets().unwrap().len();
    assert_eq!(all(&bound), all(&own), "the kernel would give them what nobody reads");
    bound.complete();
    assert_eq!(all(&bound), 4, "a listener, and three for UDP");
    bound.complete();
    assert_eq!(all(&bound), 4);
}

#[test]
fn all_who_stand_in_line_at_a_listener_are_let_in_before_it_closes() {
    let limits = Limits { per_client: 400, per_network: 400, ..Limits::default() };
    let listen = Listen { limits, ..Listen::at(vec!["127.0.0.1:0".parse().unwrap()]) };
    let bound = server::bind(&listen).unwrap();
    let [address] = bound.local_addrs()[..] else { panic!() };
    let mut clients: Vec<_> = (0..400).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(&framed(&question("www.example.org", 1))).unwrap();
    }
    listen.turn.leaving.cancel();
    let _running = serve(bound, zones(), 2);
    for client in &mut clients {
        assert!(read(client).is_some_and(|answer| answers(&answer) == 1));
    }
}

#[test]
fn sockets_that_a_service_manager_opened_are_served() {
    let place = Place::new();
    let config = place.folder.path().join("config");
    // As sd_listen_fds(3) has it: from descriptor 3 on, for this process. They are bound here, so
    // that binding them anew would fail.
    let script = r#"
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
for place, kind in ((3, socket.SOCK_DGRAM), (4, socket.SOCK_STREAM)):
    opened = socket.socket(socket.AF_INET, kind)
    opened.bind((host, int(port)))
    if kind == socket.SOCK_STREAM:
        opened.listen(16)
    os.dup2(opened.fileno(), place + 20)
    opened.close()
for place in (3, 4):
    os.dup2(place + 20, place, inheritable=True)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;
    let log = place.folder.path().join("log");
    let child = Command::new("python3")
        .args(["-c", script, &place.dns.to_string(), env!("CARGO_BIN_EXE_meridian"), "run"])
        .args(["--config".as_ref(), config.as_os_str()])
        .args(["--no-state", "--web-listen", &place.web.to_string()])
        .args(["--dns-listen", &place.dns.to_string()])
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let process = Process { child, log };
    process.says("serving DNS on");
    assert_eq!(over_tcp(place.dns, 3)(), (3, 0));
    assert_eq!(flood(place.dns, 10)(), (10, 0));
}

/// One query with kdig, over what the option says.
fn kdig(at: SocketAddr, option: &'static str, retries: &'static str) -> impl FnMut() -> (u64, u64) {
    move || {
        let port = at.port().to_string();
        let asked = Command::new("kdig")
            .args(["@127.0.0.1", "-p", &port, option, "+short", "+time=5", retries])
            .args(["www.example.org", "A"])
            .output()
            .unwrap();
        let missing = asked.stdout != b"192.0.2.1\n";
        if missing {
            println!("{option}: {}", String::from_utf8_lossy(&asked.stdout));
        }
        (1, u64::from(missing))
    }
}

/// What starts a server for DNS over QUIC there, and the certificate that it shows.
fn over_quic(place: &Place, quic: SocketAddr) -> (Vec<String>, rcgen::Certificate) {
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let file = |name| place.folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("crt"), made.cert.pem()).unwrap();
    fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
    let flags = [
        ("--dns-tls-cert", file("crt")),
        ("--dns-tls-key", file("key")),
        ("--doq-listen", quic.to_string()),
    ];
    (flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect(), made.cert)
}

/// A connection with a query that is never said to its end: it goes on until it is cut off.
async fn dawdles(quic: SocketAddr, shown: rcgen::Certificate) -> (quinn::Connection, impl Sized) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(shown.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"doq".to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connection = endpoint.connect_with(config, quic, "ns1.example.org").unwrap().await.unwrap();
    let mut stream = connection.open_bi().await.unwrap();
    stream.0.write_all(&[0]).await.unwrap();
    (connection, (endpoint, stream))
}

#[test]
fn a_process_that_is_replaced_before_it_is_alone_ends_as_well() {
    let (place, quic) = (Place::new(), free_port());
    let (flags, shown) = over_quic(&place, quic);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let taking = [&flags[..], &["--take-over"]].concat();
    let mut first = place.start(&flags);
    place.until_asked(&first);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(dawdles(quic, shown));
    let mut second = place.start(&taking);
    place.until_asked(&second);
    let third = place.start(&taking);
    place.until_asked(&third);
    wait(|| second.child.try_wait().unwrap().is_some());
    second.ends_well();
    first.ends_well();
    drop(kept);
}

#[test]
fn upgrades_lose_no_encrypted_query() {
    if Command::new("kdig").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "kdig is not installed");
        eprintln!("SKIPPED: kdig is not installed");
        return;
    }
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let file = |name| place.folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("crt"), made.cert.pem()).unwrap();
    fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
    let [tls, https, quic] = [free_port(), free_port(), free_port()];
    let mut flags = vec!["--dns-tls-cert".to_owned(), file("crt")];
    flags.extend(["--dns-tls-key".to_owned(), file("key")]);
    for (flag, address) in [("--dot-listen", tls), ("--doh-listen", https), ("--doq-listen", quic)]
    {
        flags.extend([flag.to_owned(), address.to_string()]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut current = place.start(&flags);
    place.until_asked(&current);
    let mut crowd = Crowd::default();
    crowd.joins("TLS", kdig(tls, "+tls", "+retry=0"));
    crowd.joins("HTTPS", kdig(https, "+https", "+retry=0"));
    // A connection that is refused because its proof of address is the old process's is made anew.
    crowd.joins("QUIC", kdig(quic, "+quic", "+retry=1"));
    for _ in 0..4 {
        let next = place.start(&[&flags[..], &["--take-over"]].concat());
        place.until_asked(&next);
        let mut old = std::mem::replace(&mut current, next);
        old.ends_well();
        wait(|| kdig(quic, "+quic", "+retry=0")() == (1, 0));
    }
    let (answered, lost) = crowd.goes();
    assert_eq!(lost, 0, "of {}", answered + lost);
}
