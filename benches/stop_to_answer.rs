//! How long clients are sent to a backend that stopped: from its first failure to the changed
//! answer, through a process as a user starts it.
//!
//! `cargo bench --bench stop_to_answer`. 100 services in two clusters, checked over HTTP every
//! second, down after two failures; each is stopped once, at a random time. The limit beside it is
//! the one that `meridian drill` states: interval × fall + timeout.

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

use meridian::model::Name;
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const SERVICES: u8 = 100;
const STATED: Duration = Duration::from_millis(2_500);
const HEAD: &str = "apiVersion: meridian.dev/v1alpha1\n";

fn main() {
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let stopped = Arc::new(Mutex::new(HashSet::new()));
    let port = backends(stopped.clone());
    let place = tempfile::tempdir().unwrap();
    configure(place.path(), port);
    let mut child = Command::new(env!("CARGO_BIN_EXE_meridian"))
        .args(["run", "--no-state", "--config", place.path().to_str().unwrap()])
        .args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"])
        .args(["--probe-allow", "127.0.0.0/8"])
        .env("RUST_LOG", "info")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let dns: u16 = loop {
        let line = lines.next().unwrap();
        let after = line.split("serving DNS on 127.0.0.1:").nth(1);
        if let Some(port) = after.and_then(|rest| rest.split(' ').next()?.parse().ok()) {
            break port;
        }
    };
    thread::spawn(move || lines.for_each(drop));
    // Until every backend was checked.
    thread::sleep(Duration::from_secs(4));
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let stories = (0..10).map(|story| {
            let stopped = &stopped;
            scope.spawn(move || {
                (0..SERVICES / 10).map(|n| stop(dns, story * 10 + n, stopped)).collect()
            })
        });
        let stories: Vec<_> = stories.collect();
        stories.into_iter().flat_map(|story| -> Vec<Duration> { story.join().unwrap() }).collect()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    took.sort_unstable();
    let at = |part: usize| took[took.len() * part / 100];
    println!(
        "stopped → changed answer   p50 {:.2?}, p99 {:.2?}, most {:.2?} of {} (stated: {STATED:.1?})",
        at(50),
        at(99),
        took.last().unwrap(),
        took.len()
    );
}

/// Answers on every loopback address; 503 on those that are stopped.
fn backends(stopped: Arc<Mutex<HashSet<IpAddr>>>) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let stopped = stopped.clone();
            thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 1024]);
                let ip = stream.local_addr().unwrap().ip();
                let well = !stopped.lock().unwrap().contains(&ip);
                let status = if well { "200 OK" } else { "503 Service Unavailable" };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            });
        }
    });
    port
}

fn configure(place: &Path, port: u16) {
    let mut objects = format!(
        "{HEAD}kind: Federation\nmetadata: {{name: fed}}\nspec: {{zone: fed.bench, allowTargets: \
         [127.0.0.0/8]}}\n"
    );
    for (net, cluster) in [(60, "aws"), (61, "azure")] {
        let _ = write!(
            objects,
            "---\n{HEAD}kind: MemberCluster\nmetadata: {{name: {cluster}}}\nspec: {{access: \
             {{directory: {cluster}}}}}\n"
        );
        fs::create_dir(place.join(cluster)).unwrap();
        let service = |n: u8| {
            format!(
                "---\nkind: Service\nmetadata: {{name: svc{n}, namespace: default}}\nspec: {{type: \
                 LoadBalancer, ports: [{{port: {port}}}]}}\nstatus: {{loadBalancer: {{ingress: [{{ip: \
                 127.{net}.0.{}}}]}}}}\n",
                n + 1
            )
        };
        let services: String = (0..SERVICES).map(service).collect();
        fs::write(place.join(cluster).join("all.yaml"), services).unwrap();
    }
    let targets: String =
        (0..SERVICES).map(|n| format!("    - {{kind: Service, name: svc{n}}}\n")).collect();
    let _ = write!(
        objects,
        "---\n{HEAD}kind: TrafficPolicy\nmetadata: {{name: all, namespace: default}}\nspec:\n  targets:\n\
         {targets}  order: {{failover: [aws, azure]}}\n  health: {{protocol: http, interval: 1s, timeout: \
         500ms, fall: 2}}\n"
    );
    fs::write(place.join("objects.yaml"), objects).unwrap();
}

/// Stops one service's backend and waits until its name has the other cluster's address.
fn stop(dns: u16, service: u8, stopped: &Mutex<HashSet<IpAddr>>) -> Duration {
    let name: Name = format!("svc{service}.default.fed.svc.fed.bench").parse().unwrap();
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", dns)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let ask = || {
        let mut answer = [0; 1_500];
        socket.send(&packet).unwrap();
        let length = socket.recv(&mut answer).unwrap();
        // The last record's data: one address.
        answer[length - 3]
    };
    assert_eq!(ask(), 60, "{name} is served by aws at first");
    thread::sleep(Duration::from_millis(fastrand::u64(..1_000)));
    let from = Instant::now();
    stopped.lock().unwrap().insert(Ipv4Addr::new(127, 60, 0, service + 1).into());
    while ask() != 61 {
        assert!(from.elapsed() < Duration::from_secs(10), "{name} stays");
        thread::sleep(Duration::from_millis(1));
    }
    from.elapsed()
}
