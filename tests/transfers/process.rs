//! A process of ours with a configuration directory, and zones read from any server.

pub(crate) use crate::ports::free_port;
use data_encoding::BASE64;
use meridian::{
    model::{Name, Serial},
    records::{Zone, no_includes, parse_master},
    replica::{Fetched, fetch},
    transfer::{Key, Keys, Primary, read_response},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;

pub(crate) const ZONE: &str = "fed.example.com";
pub(crate) const KEY: &str = "transfer-key";
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn secret() -> String {
    BASE64.encode(b"an octet string of thirty-two oc")
}

pub(crate) fn key() -> Arc<Key> {
    let keys = Keys::parse(&format!("{KEY}:hmac-sha256:{}", secret())).unwrap();
    keys.get(&name(KEY)).unwrap().clone()
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn clock() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The whole zone that a server gives by transfer.
pub(crate) fn transferred(port: u16, zone: &str, key: Option<&Arc<Key>>) -> Result<Zone, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let primary = Primary { address: local(port), key: None, tls: None };
    let fetched = runtime.block_on(fetch(&primary, key, &name(zone), None, clock))?;
    let Fetched::Newer(zone, _) = fetched else {
        panic!("a zone that nobody has is never current")
    };
    Ok(zone)
}

pub(crate) fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A query of class IN over UDP, and its answer.
pub(crate) fn ask(port: u16, zone: &str, rtype: u16) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(local(port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let head = [7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let query = [&head[..], name(zone).as_wire(), &rtype.to_be_bytes(), &[0, 1]].concat();
    socket.send(&query).ok()?;
    let mut answer = vec![0; 4_096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

/// The serial that a server answers with authority.
pub(crate) fn serial(port: u16, zone: &str) -> Option<Serial> {
    let rows = read_response(&ask(port, zone, 6)?).ok()?;
    let soa = rows.answer.first().filter(|_| rows.rcode == 0 && rows.authoritative)?;
    Some(Serial(soa.soa_numbers()?[0]))
}

/// The same once it answers: one datagram may get lost on a busy machine.
pub(crate) fn serial_at(port: u16) -> Serial {
    let mut found = None;
    until("it answers", || {
        found = serial(port, ZONE);
        found.is_some()
    });
    found.unwrap()
}

/// A configuration of one federation and one cluster of services.
pub(crate) struct Config(pub(crate) TempDir);

impl Config {
    /// The federation's spec has these fields beside its zone and name server.
    pub(crate) fn new(fields: &str) -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        own.federation("fed", ZONE, fields);
        own.write(
            "one.yaml",
            "apiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: one}\nspec: \
             {access: {directory: one}}\n",
        );
        own.services(&[]);
        own.write(
            "keys",
            &format!("key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n", secret()),
        );
        own
    }

    pub(crate) fn federation(&self, federation: &str, zone: &str, fields: &str) {
        let text = format!(
            "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {{name: \
             {federation}}}\nspec:\n  zone: {zone}\n  nameServers: [{{name: ns1.{zone}, addresses: \
             [127.0.0.1]}}]\n{fields}"
        );
        self.write(&format!("{federation}.yaml"), &text);
    }

    /// The services that the cluster has, each with an address.
    pub(crate) fn services(&self, all: &[(usize, u8)]) {
        let mut text = "apiVersion: v1\nkind: Node\nmetadata: {name: node, labels: \
                        {topology.kubernetes.io/region: eu-west-1, topology.kubernetes.io/zone: \
                        eu-west-1a}}\n"
            .to_owned();
        for (number, octet) in all {
            text += &format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, namespace: \
                 default}}\nspec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\nstatus: \
                 {{loadBalancer: {{ingress: [{{ip: 198.51.100.{octet}}}]}}}}\n"
            );
        }
        // Two edits within a tick of the file system's clock differ in length alone.
        static EDITS: AtomicU16 = AtomicU16::new(0);
        text += &format!("#{}\n", "#".repeat(usize::from(EDITS.fetch_add(1, Relaxed) % 64)));
        self.write("one/objects.yaml", &text);
    }

    /// Whole or not at all: the process reads whenever it likes.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = self.0.path().join(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A process at work.
pub(crate) struct Meridian {
    child: Child,
    pub(crate) port: u16,
    server: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Meridian {
    pub(crate) fn start(config: &Config, port: u16, more: &[&str]) -> Self {
        let keys = config.path().join("keys");
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        command
            .args(["run", "--config", config.path().to_str().unwrap()])
            .args(["--dns-listen", &local(port).to_string(), "--web-listen", "127.0.0.1:0"])
            .args(["--tsig-key-file", keys.to_str().unwrap()])
            .args(more)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let server = loop {
            let line = lines.next().expect("it says where it listens");
            if let Some(server) = line.split("web listener on http://").nth(1) {
                break server.trim().to_owned();
            }
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        let own = Self { child, port, server, said };
        until("it serves its zone", || serial(port, ZONE).is_some());
        own
    }

    pub(crate) fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.server).unwrap();
        let ask =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.server);
        stream.write_all(ask.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// The zone as it is exported.
    pub(crate) fn exported(&self, zone: &str) -> Zone {
        let text = self.http(&format!("/api/v1/zones/{zone}/master"));
        parse_master(&name(zone), "export", &text, &mut no_includes)
            .unwrap_or_else(|faults| panic!("{faults}\n{text}"))
            .zone
    }

    pub(crate) fn metric(&self, line: &str) -> Option<u64> {
        let text = self.http("/metrics");
        let own = text.lines().find_map(|own| own.strip_prefix(line)?.strip_prefix(' '))?;
        own.trim().parse().ok()
    }

    /// Whether the command line's order is carried out.
    pub(crate) fn cli(&self, args: &[&str]) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        command.args(args).args(["--server", &format!("http://{}", self.server)]);
        command.output().unwrap().status.success()
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(words))
    }

    pub(crate) fn serial(&self) -> Serial {
        serial_at(self.port)
    }
}

impl Drop for Meridian {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same records; the first that differs is shown.
#[track_caller]
pub(crate) fn same(found: &Zone, expected: &Zone, who: &str) {
    assert_eq!(found.serial(), expected.serial(), "{who}");
    let rows = |zone: &Zone| meridian::records::rows(zone).collect::<Vec<_>>();
    let (found, expected) = (rows(found), rows(expected));
    let differs = found.iter().zip(&expected).find(|(a, b)| a != b);
    assert!(differs.is_none() && found.len() == expected.len(), "{who}: {differs:?}");
}
