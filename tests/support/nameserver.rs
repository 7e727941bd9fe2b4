//! Real name servers that take updates: BIND and Knot, each in a directory of its own on loopback.

use data_encoding::BASE64;
use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Below the ports that systems give to outgoing connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let free = |port: &u16| {
        let udp = std::net::UdpSocket::bind(("127.0.0.1", *port));
        udp.is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    std::iter::repeat_with(|| start + NEXT.fetch_add(1, Relaxed)).find(free).unwrap()
}

/// A running server.
pub(crate) struct NameServer {
    child: Child,
    pub(crate) port: u16,
    zone: &'static str,
    _directory: TempDir,
    pub(crate) secret: String,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const KEY: &str = "meridian";

impl NameServer {
    /// BIND 9.
    pub(crate) fn bind(zone: &'static str) -> Self {
        Self::start(zone, |directory, port, secret| {
            let place = directory.display();
            let text = format!(
                "key \"{KEY}.\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\noptions {{ \
                 directory \"{place}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; \
                 }}; pid-file none; session-keyfile \"{place}/session.key\"; recursion no; \
                 allow-transfer {{ key \"{KEY}.\"; }}; dnssec-validation no; notify no; }};\ncontrols \
                 {{ }};\nzone \"{zone}\" {{ type master; file \"zone\"; allow-update {{ key \
                 \"{KEY}.\"; }}; }};\n"
            );
            fs::write(directory.join("named.conf"), text).unwrap();
            let mut command = Command::new("/usr/sbin/named");
            command.args(["-g", "-n", "1", "-c"]).arg(directory.join("named.conf"));
            command
        })
    }

    /// Knot DNS.
    pub(crate) fn knot(zone: &'static str) -> Self {
        Self::start(zone, |directory, port, secret| {
            let place = directory.display();
            let text = format!(
                "server:\n  listen: 127.0.0.1@{port}\n  rundir: {place}\nkey:\n  - id: {KEY}\n    \
                 algorithm: hmac-sha256\n    secret: {secret}\nacl:\n  - id: ours\n    key: {KEY}\n    \
                 action: [update, transfer]\ndatabase:\n  storage: {place}\nzone:\n  - domain: \
                 {zone}\n    storage: {place}\n    file: zone\n    acl: ours\n    zonefile-sync: -1\n    \
                 journal-content: all\n    zonefile-load: difference-no-serial\n"
            );
            fs::write(directory.join("knot.conf"), text).unwrap();
            let mut command = Command::new("/usr/sbin/knotd");
            command.arg("-c").arg(directory.join("knot.conf"));
            command
        })
    }

    fn start(zone: &'static str, configure: impl Fn(&Path, u16, &str) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secret = BASE64.encode(b"an octet string of thirty-two oc");
        let text = "$TTL 300\n@ SOA ns.example.net. hostmaster 1 7200 900 86400 30\n@ NS \
                    ns.example.net.\n";
        fs::write(directory.path().join("zone"), text).unwrap();
        let port = free_port();
        let mut command = configure(directory.path(), port, &secret);
        let log = || Stdio::from(fs::File::create(directory.path().join("log")).unwrap());
        let child = command.stdout(log()).stderr(log()).spawn().unwrap();
        let server = Self { child, port, zone, _directory: directory, secret };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.dig(&["+tries=1", "+time=1", "+short", zone, "SOA"]).contains("hostmaster") {
            assert!(Instant::now() < deadline, "the name server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// What dig prints.
    pub(crate) fn dig(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let output =
            Command::new("dig").args(["@127.0.0.1", "-p", &port]).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn key(&self) -> String {
        format!("hmac-sha256:{KEY}:{}", self.secret)
    }

    pub(crate) fn update(&self, lines: &str) {
        let mut child = Command::new("nsupdate")
            .args(["-y", &self.key()])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("server 127.0.0.1 {}\nzone {}\n{lines}\nsend\n", self.port, self.zone);
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
