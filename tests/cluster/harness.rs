//! Three real member clusters on loopback (kube-apiserver and etcd), and the real `meridian`.

use crate::ports::free_port;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Waits until `found` gives something; panics with `what` after that long.
pub(crate) fn wait_for<T>(what: &str, most: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + most;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {most:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The directory of kube-apiserver, etcd and kubectl, built when they are missing.
fn assets() -> &'static Path {
    static ASSETS: OnceLock<PathBuf> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/assets/build.sh");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "kube-apiserver and etcd could not be built");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// A process that ends with its owner.
pub(crate) struct Process {
    child: Child,
    pid: u32,
}

/// Runs a program until standard input closes, which it does also when the tests crash.
const UNTIL_CLOSED: &str = "\"$@\" </dev/null >/dev/null & echo $!; cat >/dev/null; kill -9 $!";

impl Process {
    /// Starts a server that must not outlive the tests.
    fn guarded(program: &Path, args: &[String], log: Stdio) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_CLOSED, "sh"]).arg(program).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, pid: line.trim().parse().unwrap() }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Whether the server that the shell guards has ended, which the shell itself has not.
    fn is_gone(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.starts_with(" Z"))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.child.stdin.take() {
            Some(stdin) => drop(stdin),
            None => drop(self.child.kill()),
        }
        let _ = self.child.wait();
    }
}

fn log_to(directory: &Path, name: &str) -> Stdio {
    Stdio::from(fs::File::create(directory.join(name)).unwrap())
}

struct Etcd {
    port: u16,
    _process: Process,
}

fn start_etcd(directory: &Path) -> Etcd {
    let (port, peer) = (free_port(), free_port());
    let client = format!("http://127.0.0.1:{port}");
    let data = directory.join(format!("etcd-{port}"));
    let (own, peers) = (data.to_str().unwrap(), format!("http://127.0.0.1:{peer}"));
    let args = [
        format!("--data-dir={own}"),
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
    ];
    let log = log_to(directory, &format!("etcd-{port}.log"));
    let process = Process::guarded(&assets().join("etcd"), &args, log);
    Etcd { port, _process: process }
}

/// One member cluster.
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    etcd: u16,
    directory: PathBuf,
    pub(crate) server: Mutex<Option<Process>>,
}

/// The administrator's token, and the one that Meridian has.
const ADMIN: &str = "admin-token";
const READER: &str = "reader-token";

impl Cluster {
    fn new(name: &'static str, etcd: u16, place: &Path) -> Self {
        let directory = place.join(name);
        fs::create_dir_all(&directory).unwrap();
        let tokens =
            format!("{ADMIN},admin,1,\"system:masters\"\n{READER},meridian,2,\"readers\"\n");
        fs::write(directory.join("tokens.csv"), tokens).unwrap();
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&authority).unwrap();
        let issuer = rcgen::Issuer::new(params, authority);
        let key = rcgen::KeyPair::generate().unwrap();
        let serving = rcgen::CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]);
        let serving = serving.unwrap().signed_by(&key, &issuer).unwrap();
        fs::write(directory.join("ca.crt"), ca.pem()).unwrap();
        fs::write(directory.join("serving.crt"), serving.pem()).unwrap();
        fs::write(directory.join("serving.key"), key.serialize_pem()).unwrap();
        let accounts = rcgen::KeyPair::generate().unwrap();
        fs::write(directory.join("sa.key"), accounts.serialize_pem()).unwrap();
        fs::write(directory.join("sa.pub"), accounts.public_key_pem()).unwrap();
        let cluster = Self { name, port: free_port(), etcd, directory, server: Mutex::default() };
        cluster.write_kubeconfig(cluster.port);
        cluster
    }

    /// Starts its API server on that port, and waits until it is ready. One that gives up, as it
    /// does when its own start-up takes it too long on a busy machine, is started again.
    pub(crate) fn start(&self, port: u16) {
        self.write_kubeconfig(port);
        let ready = (0..5).any(|_| self.try_start(port));
        let log = fs::read_to_string(self.directory.join(format!("apiserver-{port}.log")));
        let log = log.unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(30).collect();
        assert!(ready, "{} was not ready; its log, latest first:\n{}", self.name, tail.join("\n"));
    }

    /// False when the server ended, or was not ready after two minutes.
    fn try_start(&self, port: u16) -> bool {
        let log = log_to(&self.directory, &format!("apiserver-{port}.log"));
        let program = assets().join("kube-apiserver");
        let process = Process::guarded(&program, &self.server_arguments(port), log);
        let deadline = Instant::now() + Duration::from_secs(120);
        while !process.is_gone() && Instant::now() < deadline {
            if self.try_kubectl(&["get", "--raw", "/readyz"], "").is_ok() {
                *self.server.lock().unwrap() = Some(process);
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn server_arguments(&self, port: u16) -> Vec<String> {
        let file = |name: &str| self.directory.join(name).to_str().unwrap().to_owned();
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd),
            format!("--etcd-prefix=/{}", self.name),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            "--endpoint-reconciler-type=none".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--tls-cert-file={}", file("serving.crt")),
            format!("--tls-private-key-file={}", file("serving.key")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]
    }

    /// Ends its API server at once, as a crash would.
    pub(crate) fn kill(&self) {
        *self.server.lock().unwrap() = None;
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.server.lock().unwrap().as_ref().unwrap().signal(signal);
    }

    fn write_kubeconfig(&self, port: u16) {
        let text = kubeconfig(&[(self.name, port, &self.directory.join("ca.crt"), ADMIN)]);
        fs::write(self.directory.join("kubeconfig"), text).unwrap();
    }

    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(assets().join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.directory.join("kubeconfig"))
            .arg("--request-timeout=20s")
            .args(args)
            .env("KUBECACHEDIR", self.directory.join("cache"))
            .env("HOME", &self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(crate) fn kubectl(&self, args: &[&str], input: &str) -> String {
        self.try_kubectl(args, input)
            .unwrap_or_else(|error| panic!("{}: kubectl {args:?}: {error}", self.name))
    }

    pub(crate) fn apply(&self, manifest: &str) {
        self.kubectl(&["apply", "-f", "-"], manifest);
    }

    /// Gives a Service or Ingress these load-balancer addresses, as a cloud's controller would.
    pub(crate) fn patch_status(&self, kind: &str, name: &str, ips: &[&str]) {
        let entries: Vec<_> = ips.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
        let patch = serde_json::json!({"status": {"loadBalancer": {"ingress": entries}}});
        let patch = patch.to_string();
        self.kubectl(
            &["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch],
            "",
        );
    }

    /// A LoadBalancer Service with one ready endpoint and this address.
    pub(crate) fn serve(&self, name: &str, ip: &str) {
        self.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer, \
             ports: [{{port: 80}}]}}\n---\n{}",
            slice(name, true)
        ));
        self.patch_status("service", name, &[ip]);
    }

    pub(crate) fn ready(&self, name: &str, ready: bool) {
        self.apply(&slice(name, ready));
    }

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.kubectl(&["delete", kind, name, "--wait=false"], "");
    }
}

fn slice(name: &str, ready: bool) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}-x1, labels: \
         {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nports: []\nendpoints:\n- \
         {{addresses: [10.1.1.1], conditions: {{ready: {ready}}}}}\n"
    )
}

fn kubeconfig(clusters: &[(&str, u16, &Path, &str)]) -> String {
    let (mut servers, mut users, mut contexts) = (String::new(), String::new(), String::new());
    for (name, port, ca, token) in clusters {
        let authority = base64(&fs::read(ca).unwrap());
        servers += &format!(
            "- name: {name}\n  cluster: {{server: \"https://127.0.0.1:{port}\", \
             certificate-authority-data: {authority}}}\n"
        );
        users += &format!("- name: {name}\n  user: {{token: {token}}}\n");
        contexts += &format!("- name: {name}\n  context: {{cluster: {name}, user: {name}}}\n");
    }
    let first = clusters[0].0;
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {first}\nclusters:\n{servers}users:\n\
         {users}contexts:\n{contexts}"
    )
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |group: u32, at: u32| char::from(LETTERS[(group >> (18 - 6 * at) & 63) as usize]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        let kept = u32::try_from(chunk.len()).unwrap() + 1;
        text.extend((0..4).map(|at| if at < kept { letter(group, at) } else { '=' }));
    }
    text
}

/// aws with an etcd of its own, azure and gke sharing one.
pub(crate) struct Clusters {
    pub(crate) aws: Cluster,
    pub(crate) azure: Cluster,
    pub(crate) gke: Cluster,
    _etcds: [Etcd; 2],
    place: TempDir,
}

impl Clusters {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let etcds = [start_etcd(place.path()), start_etcd(place.path())];
        let cluster = |name, etcd: &Etcd| Cluster::new(name, etcd.port, place.path());
        let aws = cluster("aws", &etcds[0]);
        let (azure, gke) = (cluster("azure", &etcds[1]), cluster("gke", &etcds[1]));
        std::thread::scope(|scope| {
            for own in [&aws, &azure, &gke] {
                scope.spawn(|| own.start(own.port));
            }
        });
        let clusters = Self { aws, azure, gke, _etcds: etcds, place };
        let rbac = include_str!("../../deploy/rbac/member.yaml");
        let places = [
            ("us-west-2", "us-west-2a"),
            ("eu-west-2", "eu-west-2a"),
            ("asia-east1", "asia-east1-a"),
        ];
        for (cluster, (region, zone)) in clusters.all().iter().zip(places) {
            cluster.apply(rbac);
            cluster.apply(&format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: node-1, labels: \
                 {{topology.kubernetes.io/region: {region}, topology.kubernetes.io/zone: {zone}}}}}\n"
            ));
        }
        clusters
    }

    pub(crate) fn all(&self) -> [&Cluster; 3] {
        [&self.aws, &self.azure, &self.gke]
    }

    /// A kubeconfig of all three with the reader's credentials, as a context each.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let path = self.place.path().join("kubeconfig");
        let authority = |own: &Cluster| own.directory.join("ca.crt");
        let files = self.all().map(authority);
        let all: Vec<_> = self
            .all()
            .iter()
            .zip(&files)
            .map(|(own, ca)| (own.name, own.port, ca.as_path(), READER))
            .collect();
        fs::write(&path, kubeconfig(&all)).unwrap();
        path
    }

    /// The same clusters for each story, one story at a time.
    pub(crate) fn lock() -> MutexGuard<'static, Self> {
        static CLUSTERS: OnceLock<Mutex<Clusters>> = OnceLock::new();
        let clusters = CLUSTERS.get_or_init(|| Mutex::new(Self::start()));
        // A story that failed has left its services, which have names of their own.
        clusters.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A running `meridian run`.
pub(crate) struct Meridian {
    pub(crate) process: Process,
    pub(crate) dns: u16,
    pub(crate) web: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Meridian {
    /// Serves federation magicring in demo.madeden.net from these clusters.
    pub(crate) fn start(clusters: &Clusters, more: &[&str]) -> Self {
        let kubeconfig = clusters.kubeconfig();
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        command
            .args(["run", "--federation", "magicring", "--zone", "demo.madeden.net"])
            .args(["--context", "aws", "--context", "azure", "--context", "gke"])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
        Self::spawn(command.args(if more.is_empty() { &["--no-state"] } else { more }))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().unwrap().push(line);
            }
        });
        let after = |what: &str| {
            wait_for(what, Duration::from_secs(20), || {
                let log = log.lock().unwrap();
                let line = log.iter().find(|line| line.contains(what))?;
                let rest = line.split(what).nth(1)?;
                Some(rest.split_whitespace().next()?.trim_end_matches("\u{1b}[0m").to_owned())
            })
        };
        let dns = after("serving DNS on ").rsplit(':').next().unwrap().parse().unwrap();
        let web = after("web listener on ");
        let pid = child.id();
        Self { process: Process { child, pid }, dns, web, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// What `dig +short` prints, a line each, in order of text.
    pub(crate) fn dig(&self, name: &str) -> Vec<String> {
        let mut lines: Vec<String> =
            self.dig_text(&["+short", name]).lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    }

    pub(crate) fn dig_text(&self, args: &[&str]) -> String {
        let port = self.dns.to_string();
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=2"])
            .args(args)
            .output()
            .expect("dig is installed by tests/setup.sh");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a name below the zone answers exactly this.
    pub(crate) fn answers(&self, below: &str, expected: &[&str]) -> Duration {
        let name = format!("{below}.demo.madeden.net");
        let start = Instant::now();
        let mut last = Vec::new();
        let deadline = Duration::from_secs(30);
        while start.elapsed() < deadline {
            last = self.dig(&name);
            if last == expected {
                return start.elapsed();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} answers {last:?}, not {expected:?}\n{}", self.log());
    }

    /// What the CLI prints, asking this process.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(args)
            .args(["--server", &self.web])
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A cluster's freshness, as `meridian get clusters -o json` says it.
    pub(crate) fn freshness(&self, cluster: &str) -> String {
        let all: serde_json::Value =
            serde_json::from_str(&self.cli(&["get", "clusters", "-o", "json"])).unwrap();
        let own = all.as_array().unwrap().iter().find(|own| own["name"] == cluster).unwrap();
        own["freshness"].as_str().unwrap().to_owned()
    }
}
