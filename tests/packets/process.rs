//! The whole process: its flags for connections, and what signals make of it.

use super::sockets::{framed, read};
use super::*;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
};

/// A running `meridian run`; ended when dropped.
pub(super) struct Process {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    lines: Vec<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub(super) fn start(folder: &Path, more: &[&str]) -> Self {
        let config = folder.join("config");
        fs::create_dir_all(&config).unwrap();
        let zone = "$ORIGIN example.org.\n$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\n\
                    ns1 A 192.0.2.53\nwww A 192.0.2.1\n";
        fs::write(config.join("example.org.zone"), zone).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .arg("run")
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["--no-state", "--web-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"])
            .args(more)
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, lines: Vec::new() }
    }

    /// Waits for a line of the log that has the words.
    fn says(&mut self, words: &str) -> String {
        loop {
            if let Some(line) = self.lines.iter().find(|line| line.contains(words)) {
                return line.clone();
            }
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without {words:?}: {:#?}", self.lines);
            self.lines.push(line);
        }
    }

    /// The address in a line of the log.
    pub(super) fn address(&mut self, before: &str, after: &str) -> SocketAddr {
        loop {
            for line in &self.lines {
                let found = line.split_once(before).and_then(|(_, rest)| rest.split_once(after));
                if let Some((address, _)) = found {
                    return address.trim().parse().unwrap();
                }
            }
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "{:#?}", self.lines);
            self.lines.push(line);
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }
}

pub fn get(web: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(web).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

fn answers_over_tcp(dns: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(dns) else { return false };
    stream.write_all(&framed(&question("www.example.org", 1))).is_ok()
        && read(&mut stream).is_some_and(|answer| answers(&answer) == 1)
}

#[test]
fn after_sigterm_it_is_not_ready_answers_on_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &["--drain", "2"]);
    let dns = process.address("serving DNS on ", " (UDP and TCP)");
    let web = process.address("web listener on http://", "\n");
    while get(web, "/readyz") != 200 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(answers_over_tcp(dns));
    let start = Instant::now();
    process.signal(Signal::TERM);
    process.says("not ready any more");
    assert_eq!((get(web, "/readyz"), get(web, "/livez")), (503, 200));
    while start.elapsed() < Duration::from_millis(1_500) {
        assert!(answers_over_tcp(dns), "after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(process.child.wait().unwrap().success());
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(!answers_over_tcp(dns));
}

#[test]
fn sigint_ends_it_at_once_and_so_does_a_second_sigterm() {
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::TERM]] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(folder.path(), &["--drain", "600"]);
        let dns = process.address("serving DNS on ", " (UDP and TCP)");
        while !answers_over_tcp(dns) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for (at, signal) in signals.iter().enumerate() {
            if at > 0 {
                process.says("not ready any more");
            }
            process.signal(*signal);
        }
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn sighup_reads_configuration_and_certificate_again() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("crt"), folder.path().join("key"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
        fs::write(&chain, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    };
    write();
    let (chain_text, key_text) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let flags = ["--dns-tls-cert", chain_text, "--dns-tls-key", key_text];
    let listen = ["--dot-listen", "127.0.0.1:0", "--doh-listen", "127.0.0.1:0"];
    let quic = ["--doq-listen", "127.0.0.1:0", "--dns-proxy-from", "192.0.2.0/24"];
    let mut process = Process::start(folder.path(), &[&flags[..], &listen, &quic].concat());
    let tls = process.address("serving DNS on ", " (TLS)");
    process.says("(HTTPS)");
    process.says("(QUIC)");
    if let Ok(output) = Command::new("dig")
        .args(["@127.0.0.1", "-p", &tls.port().to_string(), "+tls", "+short", "+tries=5"])
        .arg("www.example.org")
        .output()
    {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("192.0.2.1"), "{text}");
    }
    write();
    process.signal(Signal::HUP);
    process.says("are shown the certificate of");
    fs::write(&key, "no key").unwrap();
    process.signal(Signal::HUP);
    process.says("clients are shown the certificate that was read before");
    process.signal(Signal::INT);
    assert!(process.child.wait().unwrap().success());
}

#[test]
fn a_certificate_that_cannot_be_used_ends_it_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let none = none.to_str().unwrap();
    let flags = ["--dns-tls-cert", none, "--dns-tls-key", none, "--dot-listen", "127.0.0.1:0"];
    let mut process = Process::start(folder.path(), &flags);
    let line = process.says("--dns-tls-cert");
    assert!(line.contains(none) && line.contains("expected"), "{line}");
    assert!(!process.child.wait().unwrap().success());
}
