//! Real name servers that take updates: BIND and Knot, each in a directory of its own on loopback.

use crate::ports::free_port;
use data_encoding::BASE64;
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

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
        Self::start(zone, |directory, port, secret| bind_command(zone, directory, port, secret))
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

    /// PowerDNS with its SQLite backend.
    pub(crate) fn powerdns(zone: &'static str) -> Self {
        Self::start(zone, |directory, port, secret| {
            let place = directory.display();
            let text = format!(
                "launch=gsqlite3\ngsqlite3-database={place}/db\ndnsupdate=yes\n\
                 allow-dnsupdate-from=127.0.0.0/8\nlocal-address=127.0.0.1\nlocal-port={port}\n\
                 socket-dir={place}\ndaemon=no\nguardian=no\ndisable-axfr=no\nallow-axfr-ips=\n\
                 zone-cache-refresh-interval=0\ncache-ttl=0\nquery-cache-ttl=0\n\
                 negquery-cache-ttl=0\n"
            );
            fs::write(directory.join("pdns.conf"), text).unwrap();
            let schema = fs::File::open(POWERDNS_SCHEMA).unwrap();
            run(Command::new("sqlite3").arg(directory.join("db")).stdin(schema));
            let config = format!("--config-dir={place}");
            let soa = format!("ns.example.net hostmaster.{zone} 1 7200 900 86400 30");
            for args in [
                &["create-zone", zone, "ns.example.net"][..],
                &["replace-rrset", zone, "@", "SOA", &soa],
                &["import-tsig-key", KEY, "hmac-sha256", secret],
                &["set-meta", zone, "TSIG-ALLOW-DNSUPDATE", KEY],
                &["set-meta", zone, "TSIG-ALLOW-AXFR", KEY],
            ] {
                run(Command::new("pdnsutil").arg(&config).args(args));
            }
            let mut command = Command::new("/usr/sbin/pdns_server");
            command.arg(config);
            command
        })
    }

    /// BIND 9 that hands its zone out to nobody.
    pub(crate) fn bind_without_transfer(zone: &'static str) -> Self {
        Self::start(zone, |directory, port, secret| {
            let command = bind_command(zone, directory, port, secret);
            let path = directory.join("named.conf");
            let text = fs::read_to_string(&path).unwrap();
            let allowed = format!("allow-transfer {{ key \"{KEY}.\"; }};");
            assert!(text.contains(&allowed));
            fs::write(path, text.replace(&allowed, "allow-transfer { none; };")).unwrap();
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

/// Where Debian's package has it.
const POWERDNS_SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn bind_command(zone: &str, directory: &Path, port: u16, secret: &str) -> Command {
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
}
