//! dnstap, read by other people's programs: `fstrm_capture` takes the stream, BIND's `dnstap-read`
//! says what is in it.

use super::sockets::{framed, read};
use super::*;
use meridian::{
    controller,
    server::{Certificate, Secure, Tap, TapTarget, TapView},
};
use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread::sleep,
};

/// A server on loopback whose queries and answers go there.
fn start_tapped(target: TapTarget, addresses: &[&str], secure: Option<Secure>) -> Tapped {
    let tap = Arc::new(Tap::new(target, "ns1.test", "meridian test", controller::now));
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let listen = Listen { tap: Some(tap.clone()), secure, ..Listen::at(addresses) };
    let bound = server::bind(&listen).unwrap();
    let encrypted = bound.secure_addrs();
    Tapped { running: serve(bound, zones(), 2), encrypted, tap }
}

struct Tapped {
    running: Running,
    encrypted: Vec<(&'static str, SocketAddr)>,
    tap: Arc<Tap>,
}

impl Tapped {
    fn until(&self, is: impl Fn(TapView) -> bool) {
        let start = Instant::now();
        while !is(self.tap.view()) {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", self.tap.view());
            sleep(Duration::from_millis(10));
        }
    }

    fn ends(self) {
        self.running.shutdown.cancel();
        self.running.tasks.close();
        self.running.runtime.block_on(self.running.tasks.wait());
    }
}

fn ask_udp(at: SocketAddr, name: &str) -> SocketAddr {
    let any = if at.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&question(name, 1), at).unwrap();
    let mut buffer = [0; 2_000];
    socket.recv(&mut buffer).unwrap();
    socket.local_addr().unwrap()
}

fn ask_tcp(at: SocketAddr, name: &str) -> SocketAddr {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(&framed(&question(name, 1))).unwrap();
    read(&mut stream).unwrap();
    stream.local_addr().unwrap()
}

/// A program that is installed by `tests/setup.sh`; not there, the test is skipped, loudly.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("-h").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
    }
    there
}

struct Capture(Child);

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn capture(to: &Path, from: &[&str]) -> Capture {
    let child = Command::new("fstrm_capture")
        .args(["-t", "protobuf:dnstap.Dnstap", "-w", to.to_str().unwrap()])
        .args(from)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Capture(child)
}

/// Has it write what it has, and end.
fn finish(mut capture: Capture) {
    let id = i32::try_from(capture.0.id()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    capture.0.wait().unwrap();
}

/// Each frame, as `dnstap-read -y` shows it.
fn frames(file: &Path) -> Vec<String> {
    let output = Command::new("dnstap-read").arg("-y").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split("---\n").filter(|own| own.contains("type:")).map(str::to_owned).collect()
}

/// The frames of a name: the query's and the answer's.
fn of<'f>(frames: &'f [String], name: &str) -> [&'f String; 2] {
    let found: Vec<_> =
        frames.iter().filter(|own| own.contains(&format!("'{name}. IN A'"))).collect();
    let kinds = ["type: AUTH_QUERY", "type: AUTH_RESPONSE"];
    let one = |kind: &str| *found.iter().find(|own| own.contains(kind)).expect(kind);
    assert_eq!(found.len(), 2, "{name}");
    kinds.map(one)
}

#[test]
fn what_is_asked_over_every_transport_is_read_by_others() {
    if !is_there("fstrm_capture") || !is_there("dnstap-read") || !is_there("kdig") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (folder.path().join("tap.sock"), folder.path().join("frames"));
    let capture = capture(&file, &["-u", socket.to_str().unwrap()]);
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("crt"), folder.path().join("key"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let certificate = Certificate::read(chain, key).unwrap();
    let free = || vec!["127.0.0.1:0".parse().unwrap()];
    let secure = Secure { certificate, tls: free(), https: free(), quic: free() };
    let addresses = ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"];
    let server = start_tapped(TapTarget::Unix(socket), &addresses, Some(secure));
    // Before the reader is there, nothing is kept for it.
    server.until(|_| {
        ask_udp(server.running.address, "early.example.org");
        server.tap.view().written > 0
    });

    let [v4, v6, wildcard] = server.running.addresses[..] else { panic!() };
    let wildcard = SocketAddr::new("127.0.0.3".parse().unwrap(), wildcard.port());
    let clients = [
        ask_udp(v4, "udp.example.org"),
        ask_tcp(v4, "tcp.example.org"),
        ask_udp(v6, "v6.example.org"),
        ask_udp(wildcard, "wildcard.example.org"),
    ];
    for (way, option) in [("TLS", "+tls"), ("HTTPS", "+https"), ("QUIC", "+quic")] {
        let at = server.encrypted.iter().find(|own| own.0 == way).unwrap().1;
        let name = format!("{}.example.org", way.to_lowercase());
        let port = at.port().to_string();
        let asked = Command::new("kdig").args(["@127.0.0.1", "-p", &port, option, &name]).output();
        assert!(asked.unwrap().status.success(), "{way}");
    }
    let before = server.tap.view();
    assert!(before.written >= 2);
    server.ends();
    finish(capture);

    let frames = frames(&file);
    let expected = [
        ("udp.example.org", "UDP", v4, Some(clients[0])),
        ("tcp.example.org", "TCP", v4, Some(clients[1])),
        ("v6.example.org", "UDP", v6, Some(clients[2])),
        ("wildcard.example.org", "UDP", wildcard, Some(clients[3])),
    ];
    for (name, protocol, server, client) in expected {
        for frame in of(&frames, name) {
            let client = client.unwrap();
            for line in [
                "identity: ns1.test".to_owned(),
                "version: meridian test".to_owned(),
                format!("socket_protocol: {protocol}"),
                format!("socket_family: {}", if client.is_ipv4() { "INET" } else { "INET6" }),
                format!("query_address: \"{}\"", client.ip()),
                format!("query_port: {}", client.port()),
                format!("response_address: \"{}\"", server.ip()),
                format!("response_port: {}", server.port()),
            ] {
                let bare = line.replace('"', "");
                assert!(frame.contains(&line) || frame.contains(&bare), "{line}: {frame}");
            }
        }
        let [query, answer] = of(&frames, name);
        assert!(query.contains("query_time:") && !query.contains("response_time:"), "{query}");
        assert!(answer.contains("response_time:"), "{answer}");
        assert!(answer.contains("status: NXDOMAIN"), "{answer}");
    }
    // This dnstap-read knows no name for their protocols.
    for way in ["tls", "https", "quic"] {
        of(&frames, &format!("{way}.example.org"));
    }
}

#[test]
fn a_file_holds_all_and_is_opened_anew_when_it_was_moved_away() {
    if !is_there("dnstap-read") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, moved) = (folder.path().join("tap"), folder.path().join("tap.1"));
    fs::write(&file, "of another time").unwrap();
    let server = start_tapped(TapTarget::File(file.clone()), &["127.0.0.1:0"], None);
    server.until(|_| fs::read(&file).is_ok_and(|octets| octets.starts_with(&[0, 0, 0, 0])));
    let previous = folder.path().join("tap.previous");
    assert_eq!(fs::read(previous).unwrap(), b"of another time");
    let asked = |from: usize, to: usize| {
        let before = server.tap.view();
        for number in from..to {
            ask_udp(server.running.address, &format!("n{number}.example.org"));
        }
        let frames = 2 * (to - from) as u64;
        server.until(|now| now.written + now.dropped >= before.written + before.dropped + frames);
    };
    asked(0, 50);
    fs::rename(&file, &moved).unwrap();
    server.tap.reopen();
    server.until(|_| file.exists());
    server.until(|_| fs::read(&file).is_ok_and(|octets| !octets.is_empty()));
    asked(50, 60);
    assert_eq!(server.tap.view().dropped, 0);
    server.ends();
    let (first, second) = (frames(&moved), frames(&file));
    assert_eq!((first.len(), second.len()), (100, 20));
    for (numbers, frames) in [(0..50, &first), (50..60, &second)] {
        for number in numbers {
            of(frames, &format!("n{number}.example.org"));
        }
    }
}

#[test]
fn a_reader_that_takes_nothing_costs_frames_and_no_answers() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tap.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // It accepts whatever comes, and then reads no more.
        let mut ready = [0; 42];
        stream.read_exact(&mut ready).unwrap();
        stream.write_all(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1]).unwrap();
        stream
    });
    let server = start_tapped(TapTarget::Unix(socket), &["127.0.0.1:0"], None);
    let _open = reader.join().unwrap();
    let (asker, mut buffer) = (UdpSocket::bind("127.0.0.1:0").unwrap(), [0; 2_000]);
    asker.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    while server.tap.view().dropped == 0 || start.elapsed() < Duration::from_millis(500) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", server.tap.view());
        let asked = Instant::now();
        asker.send_to(&question("big.example.org", 1), server.running.address).unwrap();
        asker.recv(&mut buffer).expect("an answer, whatever the reader does");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn who_speaks_no_dnstap_gets_none() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tap.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = start_tapped(TapTarget::Unix(socket), &["127.0.0.1:0"], None);
    for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]] {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(words).unwrap();
        let mut all = Vec::new();
        // What is read is there also where the connection was cut.
        let _ = stream.read_to_end(&mut all);
        assert_eq!(all.len(), 42, "it offers, and no more");
    }
    ask_udp(server.running.address, "www.example.org");
    assert_eq!(server.tap.view().written, 0);
}
