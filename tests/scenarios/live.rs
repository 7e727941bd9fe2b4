//! The classic case with everything real: a process as a user starts it, backends that listen and
//! stop listening, dig with client subnets, and the commands that operators type.

use crate::mmdb;
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const NAME: &str = "shop.default.fed.svc.example.com";
const DE: &str = "2.160.0.0/24";
const US: &str = "3.80.0.0/24";
const JP: &str = "133.11.0.0/24";
const BR: &str = "200.160.0.0/24";
const NOWHERE: &str = "192.0.2.0/24";

/// More than a hold-down and a slow start take together.
const PATIENCE: Duration = Duration::from_secs(150);

/// An HTTP server that can be stopped and started again at its address.
struct Backend {
    address: SocketAddr,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Backend {
    fn start(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                        let _ = stream.read(&mut [0; 1024]);
                        let _ = stream.write_all(
                            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                        );
                    }
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        self.running = Some((stop, thread));
    }

    fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Backends of aws, azure and gke, on one port.
fn backends(third: u8) -> [Backend; 3] {
    loop {
        let ip = |cluster: u8| Ipv4Addr::new(127, 41, third, cluster);
        let first = TcpListener::bind((ip(1), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        // Ports below are not checked unless an operator says so; nor are some above.
        let others = [2, 3].map(|cluster| TcpListener::bind((ip(cluster), port)));
        let [Ok(second), Ok(third)] = others else { continue };
        return [first, second, third].map(|listener| {
            let mut own = Backend { address: listener.local_addr().unwrap(), running: None };
            own.serve(listener);
            own
        });
    }
}

/// A configuration directory with the classic policy.
fn directory(backends: &[Backend; 3]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let head = "apiVersion: meridian.dev/v1alpha1\n";
    let federation = "kind: Federation\nmetadata: {name: fed}\nspec: {zone: example.com, nameServers: \
                      [{name: ns1.example.com, addresses: [127.0.0.1]}], allowTargets: [127.0.0.0/8]}\n";
    write("federation.yaml", format!("{head}{federation}"));
    let port = backends[0].address.port();
    for ((cluster, region), backend) in
        [("aws", "us-west-2"), ("azure", "westeurope"), ("gke", "asia-east1")].iter().zip(backends)
    {
        let member = format!(
            "{head}kind: MemberCluster\nmetadata: {{name: {cluster}}}\nspec: {{access: {{directory: {cluster}}}}}\n"
        );
        write(&format!("{cluster}.yaml"), member);
        let ip = backend.address.ip();
        write(
            &format!("{cluster}/objects.yaml"),
            format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{topology.kubernetes.io/region: \
                 {region}, topology.kubernetes.io/zone: {region}-a}}}}\n---\napiVersion: v1\nkind: \
                 Service\nmetadata: {{name: shop, namespace: default}}\nspec: {{type: LoadBalancer, ports: \
                 [{{port: {port}}}]}}\nstatus: {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}\n"
            ),
        );
    }
    write(
        "policy.yaml",
        format!(
            "{head}kind: TrafficPolicy\nmetadata: {{name: shop, namespace: default}}\nspec:\n  targets: \
             [{{kind: Service, name: shop}}]\n  order:\n    geo:\n      map:\n        - {{continents: [EU], \
             clusters: [azure, aws, gke]}}\n        - {{continents: [NA], clusters: [aws, azure, gke]}}\n        \
             - {{continents: [AS], clusters: [gke, aws, azure]}}\n      default: [aws, azure, gke]\n  health: \
             {{protocol: http, interval: 1s, timeout: 500ms, fall: 2, rise: 2}}\n"
        ),
    );
    place
}

/// A process at work.
struct Meridian {
    child: Child,
    port: u16,
    server: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Meridian {
    /// Ready, and every backend checked.
    fn start(config: &Path, more: &[&str]) -> Self {
        let own = Self::begin(config, more);
        own.until(DE, 2);
        own
    }

    fn begin(config: &Path, more: &[&str]) -> Self {
        Self::spawn(
            Command::new(env!("CARGO_BIN_EXE_meridian"))
                .args(["run", "--config", config.to_str().unwrap()])
                .args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"])
                .args(["--probe-allow", "127.0.0.0/8"])
                .args(more),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.env("RUST_LOG", "info").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut port, mut server) = (None, None);
        while port.is_none() || server.is_none() {
            let line = lines.next().expect("it says where it listens");
            let after = |words: &str| line.split(words).nth(1).map(str::to_owned);
            port = port
                .or_else(|| after("serving DNS on 127.0.0.1:")?.split(' ').next()?.parse().ok());
            server = server.or_else(|| after("web listener on "));
        }
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        Self { child, port: port.unwrap(), server: server.unwrap(), said }
    }

    /// Waits until it has logged these words.
    fn says(&self, words: &str) {
        let from = Instant::now();
        while !self.said.lock().unwrap().iter().any(|line| line.contains(words)) {
            assert!(from.elapsed() < PATIENCE, "it never said {words:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn dig(&self, net: &str, options: &[&str]) -> String {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.port.to_string(), "+timeout=2", "+tries=3"])
            .args(options)
            .args([&format!("+subnet={net}"), NAME])
            .output()
            .expect("dig is installed by tests/setup.sh");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Which cluster's address is answered: its last octet; aws, azure, gke from 1.
    fn gets(&self, net: &str) -> Option<u8> {
        self.dig(net, &["+short"]).trim().rsplit('.').next()?.parse().ok()
    }

    /// Waits until those clients get that cluster; how long that took.
    fn until(&self, net: &str, cluster: u8) -> Duration {
        let from = Instant::now();
        loop {
            let got = self.gets(net);
            if got == Some(cluster) {
                return from.elapsed();
            }
            assert!(from.elapsed() < PATIENCE, "{net} gets {got:?}, not {cluster}");
            thread::sleep(Duration::from_millis(20));
        }
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

    fn json(&self, args: &[&str]) -> Value {
        let (well, text) = self.cli(&[args, &["-o", "json"]].concat());
        assert!(well, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn http(&self, path: &str) -> (bool, String) {
        let address = self.server.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text.starts_with("HTTP/1.1 200"), text)
    }

    fn end(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Meridian {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_part_of_the_world_gets_its_cluster_and_the_next_when_that_stops() {
    let mut backends = backends(1);
    let config = directory(&backends);
    let meridian = Meridian::start(config.path(), &["--no-state"]);
    assert_eq!([DE, US, JP, BR, NOWHERE].map(|net| meridian.gets(net)), [2, 1, 3, 1, 1].map(Some));
    let whole = meridian.dig(DE, &[]);
    assert!(whole.contains("CLIENT-SUBNET: 2.160.0.0/24/12"), "{whole}");

    // azure's backend stops: Europe moves to aws, in the time that is stated.
    let stated = meridian.json(&["drill", NAME, "--down", "azure"]);
    let detection = Duration::from_secs(stated["names"][0]["detection"].as_u64().unwrap() + 1);
    backends[1].stop();
    let took = meridian.until(DE, 1);
    // Two seconds more for a machine that runs all tests at once.
    let most = detection + Duration::from_secs(2);
    assert!(took <= most, "{took:?}, where {detection:?} is stated");
    assert_eq!([US, JP, BR].map(|net| meridian.gets(net)), [1, 3, 1].map(Some));
    let (_, text) = meridian.cli(&["explain", NAME, "--client", DE]);
    assert!(text.contains("refused") && text.contains("aws*"), "{text}");

    // aws's too: Europe moves to gke; then all are down, and the answers stay.
    backends[0].stop();
    meridian.until(DE, 3);
    backends[2].stop();
    meridian.until(DE, 2);
    assert_eq!([US, JP, BR].map(|net| meridian.gets(net)), [1, 3, 1].map(Some));
    let (_, text) = meridian.cli(&["explain", NAME, "--client", DE]);
    assert!(text.contains("fail open"), "{text}");

    // One comes back and gets everybody.
    backends[2].start();
    meridian.until(DE, 3);
    meridian.until(BR, 3);
    meridian.end();
}

#[test]
fn operators_ask_what_if_and_drain_and_are_stopped_from_draining_the_last() {
    let backends = backends(2);
    let config = directory(&backends);
    let meridian = Meridian::start(config.path(), &["--no-state"]);

    let supposed = meridian.json(&["explain", NAME, "--client", DE, "--at", "azure=down"]);
    assert_eq!(supposed["steering"]["ipv4"]["chosen"][0], "aws");
    assert_eq!(meridian.gets(DE), Some(2), "nothing was changed");

    // The line that it prints asks the same.
    let shown = meridian.json(&["explain", NAME, "--client", "2.160.0.77"]);
    assert_eq!(shown["place"]["location"]["country"], "DE");
    let line: Vec<&str> =
        shown["dig"].as_array().unwrap().iter().map(|own| own.as_str().unwrap()).collect();
    let port = meridian.port.to_string();
    let output =
        Command::new("dig").args(["@127.0.0.1", "-p", &port, "+short"]).args(line).output();
    let got = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(got.trim(), shown["ipv4"]["answer"][0]["data"][0].as_str().unwrap());

    let drill = meridian.json(&["drill", "--down", "azure"]);
    let germany = drill["countries"].as_array().unwrap().iter().find(|own| own["country"] == "DE");
    let germany = germany.unwrap();
    assert!(germany["before"]["azure"].as_f64().unwrap() > 0.999, "{germany}");
    assert!(germany["after"]["aws"].as_f64().unwrap() > 0.999, "{germany}");

    let (well, text) = meridian.cli(&["drain", "azure", "--for", "2h", "--reason", "upgrade"]);
    assert!(well && text.contains("drained"), "{text}");
    meridian.until(DE, 1);
    let (_, clusters) = meridian.cli(&["get", "clusters"]);
    assert!(clusters.contains("Ready,Drained"), "{clusters}");
    assert!(meridian.cli(&["drain", "gke", "--reason", "upgrade"]).0);
    let (well, text) = meridian.cli(&["drain", "aws", "--reason", "upgrade"]);
    assert!(!well && text.contains("nothing was changed") && text.contains(NAME), "{text}");
    assert_eq!(meridian.gets(DE), Some(1));
    let (well, _) = meridian.cli(&["drain", "aws", "--reason", "upgrade", "--force"]);
    assert!(well);
    meridian.until(DE, 2);
    for cluster in ["aws", "azure", "gke"] {
        assert!(meridian.cli(&["undrain", cluster]).0);
    }
    assert_eq!([DE, US, JP].map(|net| meridian.gets(net)), [2, 1, 3].map(Some));
    let (well, text) = meridian.cli(&["undrain", "aws"]);
    assert!(!well && text.contains("neither drained nor forced"), "{text}");
    let (well, text) = meridian.cli(&["drain", "aws", "--reason", ""]);
    assert!(!well && text.contains("reason"), "{text}");
    let (well, text) = meridian.cli(&["drain", "asw", "--reason", "x"]);
    assert!(!well && text.contains("members are aws, azure, gke"), "{text}");
    meridian.end();
}

#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let backends = backends(6);
    let config = directory(&backends);
    let binary = env!("CARGO_BIN_EXE_meridian");
    let script = format!(
        "ulimit -Sn 200 && exec {binary} run --no-state --config {} --dns-listen 127.0.0.1:0 \
         --web-listen 127.0.0.1:0",
        config.path().display()
    );
    let mut command = Command::new("sh");
    let meridian = Meridian::spawn(command.args(["-c", &script]));
    let limits = fs::read_to_string(format!("/proc/{}/limits", meridian.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
    meridian.end();
}

#[test]
fn drains_and_verdicts_are_there_after_a_restart() {
    let mut backends = backends(3);
    let (config, state) = (directory(&backends), tempfile::tempdir().unwrap());
    let state = ["--state-dir", state.path().to_str().unwrap()];
    let meridian = Meridian::start(config.path(), &state);
    assert!(meridian.cli(&["drain", "azure", "--reason", "upgrade"]).0);
    meridian.until(DE, 1);
    backends[0].stop();
    meridian.until(DE, 3);
    meridian.end();
    let meridian = Meridian::begin(config.path(), &state);
    // The first answer that there is: nothing has been learnt anew.
    let first = std::iter::repeat_with(|| meridian.gets(DE)).flatten().next();
    assert_eq!(first, Some(3));
    assert!(meridian.cli(&["undrain", "azure"]).0);
    meridian.until(DE, 2);
    meridian.end();
}

#[test]
fn another_database_is_taken_up_while_it_runs_and_a_broken_one_is_not() {
    let backends = backends(4);
    let (config, state) = (directory(&backends), tempfile::tempdir().unwrap());
    let state = state.path().to_str().unwrap();
    let meridian = Meridian::start(config.path(), &["--state-dir", state]);
    let file = config.path().join("other.mmdb");
    let country = |code| mmdb::map([("country_code", mmdb::text(code))]);
    // The world upside down: what is in Germany elsewhere is in Japan here.
    let networks = [
        ("2.160.0.0".parse().unwrap(), 12, country("JP")),
        ("133.11.0.0".parse().unwrap(), 16, country("DE")),
    ];
    fs::write(&file, mmdb::write("upside-down", 4, &networks)).unwrap();
    let geoip = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .arg("geoip")
            .args(args)
            .args(["--state-dir", state])
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let update = ["update", "--file", file.to_str().unwrap()];
    let (well, text) = geoip(&update);
    assert!(!well && text.contains("less than half; nothing was changed"), "{text}");
    assert_eq!(meridian.gets(DE), Some(2));
    let (well, text) = geoip(&[&update[..], &["--force"]].concat());
    assert!(well, "{text}");
    meridian.until(DE, 3);
    meridian.until(JP, 2);
    let (_, text) = geoip(&["lookup", "2.160.0.1"]);
    assert!(text.contains("JP") && text.contains("other.mmdb of 2026-06-17"), "{text}");
    let (_, text) = meridian.cli(&["explain", NAME, "--client", DE]);
    assert!(text.contains("AS JP") && text.contains("other.mmdb"), "{text}");

    // One that is cut short is refused by the command, and by the process if somebody copies it.
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let (well, text) = geoip(&[&update[..], &["--force"]].concat());
    assert!(!well && text.contains("nothing was changed"), "{text}");
    fs::write(Path::new(state).join("geoip/other.mmdb"), &whole[..whole.len() / 2]).unwrap();
    let (_, metrics) = meridian.http("/metrics");
    assert!(metrics.contains("meridian_geo_database_built_seconds 1781654400"), "{metrics}");
    meridian.says("clients are located as before");
    assert_eq!([DE, JP].map(|net| meridian.gets(net)), [3, 2].map(Some));
    meridian.end();
}

#[test]
fn a_database_comes_over_http_and_a_server_without_it_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let country = |code| mmdb::map([("country_code", mmdb::text(code))]);
    let file = mmdb::write("small", 4, &[("192.0.2.0".parse().unwrap(), 24, country("DE"))]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            let found = asked[..length].starts_with(b"GET /small.mmdb ");
            let status = if found { "200 OK" } else { "404 Not Found" };
            let body: &[u8] = if found { &file } else { b"<html>no</html>" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    let update = |path: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(["geoip", "update", "--force", "--source", &format!("http://{address}/{path}")])
            .args(["--state-dir", state.path().to_str().unwrap()])
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let (well, text) = update("absent.mmdb");
    assert!(!well && text.contains("404") && text.contains("nothing was changed"), "{text}");
    assert!(!state.path().join("geoip").exists());
    let (well, text) = update("small.mmdb");
    assert!(well && text.contains("small.mmdb"), "{text}");
    assert!(state.path().join("geoip/small.mmdb").exists());
    server.join().unwrap();
}

#[test]
fn a_database_comes_over_https_from_a_server_that_is_trusted() {
    let state = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trusted = state.path().join("ca.pem");
    fs::write(&trusted, own.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let tls = Arc::new(tls);
    let country = |code| mmdb::map([("country_code", mmdb::text(code))]);
    let file = mmdb::write("small", 4, &[("192.0.2.0".parse().unwrap(), 24, country("DE"))]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let connection = rustls::ServerConnection::new(tls.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // One who does not trust us says so instead of asking.
            if stream.read(&mut [0; 1024]).is_err() {
                continue;
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                file.len()
            );
            stream.write_all(&[head.as_bytes(), &file].concat()).unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    let update = |trust: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(["geoip", "update", "--force"])
            .args(["--source", &format!("https://localhost:{port}/small.mmdb")])
            .args(["--state-dir", state.path().to_str().unwrap()])
            .env("no_proxy", "localhost")
            .env("SSL_CERT_FILE", trust)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let untrusted = state.path().join("other.pem");
    fs::write(&untrusted, other.cert.pem()).unwrap();
    let (well, text) = update(&untrusted);
    assert!(!well && text.contains("nothing was changed"), "{text}");
    let (well, text) = update(&trusted);
    assert!(well && text.contains("small.mmdb"), "{text}");
    server.join().unwrap();
}

#[test]
fn two_vantage_points_tell_each_other_what_they_find() {
    let mut backends = backends(5);
    let config = directory(&backends);
    let one = Meridian::start(config.path(), &["--no-state"]);
    let other = Meridian::start(config.path(), &["--no-state", "--vantage", &one.server]);
    backends[1].stop();
    other.until(DE, 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, text) = other.cli(&["get", "endpoints"]);
        if text.contains("2 of 2 vantage points find it down") {
            break;
        }
        assert!(Instant::now() < deadline, "{text}");
        thread::sleep(Duration::from_millis(100));
    }
    // Without the other, it goes on alone once what it heard is too old; its clients come back
    // after a hold-down, if the two disagreed for a moment, and as the slow start goes on.
    one.end();
    backends[1].start();
    other.until(DE, 2);
    other.end();
}
