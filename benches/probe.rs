//! What checking 10,000 endpoints costs: HTTP, every 10 s, each at a loopback address of its own.
//!
//! `cargo bench --bench probe [TARGETS]`. The endpoints are another process, so that CPU time and
//! memory are the prober's own.

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic, spawn and read the clock

use meridian::{
    controller::now,
    health::{Check, Http, Method, Outcome, Protocol, Statuses, Target},
    probe::{self, Guard, Settings, Stats, Wanted},
};
use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const TARGETS: u32 = 10_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// Checks of the first interval are not counted: they warm up.
const ROUNDS: u32 = 2;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if arguments.iter().any(|argument| argument == "--serve") {
        return Runtime::new().unwrap().block_on(serve());
    }
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(TARGETS);
    let mut server = Command::new(env::current_exe().unwrap());
    let mut server =
        server.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Runtime::new().unwrap().block_on(measure(count, line.trim().parse().unwrap()));
    // The server ends with its input.
    drop(server.stdin.take());
    server.wait().unwrap();
}

async fn measure(count: u32, port: u16) {
    println!("{count} HTTP endpoints, checked every {} s", INTERVAL.as_secs());
    let start = resident();
    let guard = Guard { allow_loopback: true, ..Guard::default() };
    let wanted = Wanted { targets: Arc::new(targets(count, port)), guard };
    let (_wanted, watched) = watch::channel(wanted);
    let (sender, outcomes) = mpsc::channel(1_024);
    let (stats, shutdown) = (Arc::new(Stats::default()), CancellationToken::new());
    let settings = Settings::new(now);
    let tasks = TaskTracker::new();
    tasks.spawn(probe::run(settings, watched, sender, stats.clone(), shutdown.clone()));
    let listener = tasks.spawn(listen(outcomes));

    tokio::time::sleep(INTERVAL).await;
    let (from, cpu, ended) = (Instant::now(), cpu(), ended(&stats));
    let mut most_lag = 0_f64;
    for _ in 0..ROUNDS * 10 {
        tokio::time::sleep(INTERVAL / 10).await;
        most_lag = most_lag.max(stats.view().lag);
    }
    let checks = self::ended(&stats) - ended;
    let (spent, wall) = (self::cpu() - cpu, from.elapsed());
    let memory = resident();
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;

    let (failures, slowest) = listener.await.unwrap();
    println!("  {checks} checks in {:.1} s, {failures} failed", wall.as_secs_f64());
    println!(
        "  {:.1} % of a core, {:.0} µs a check",
        100.0 * spent.as_secs_f64() / wall.as_secs_f64(),
        1e6 * spent.as_secs_f64() / checks.max(1) as f64
    );
    println!("  {memory} MB resident, {start} MB of them before the first check");
    println!("  slowest check {slowest:?}, started at most {:.0} ms late", 1e3 * most_lag);
}

fn targets(count: u32, port: u16) -> BTreeSet<Target> {
    let http = Http {
        method: Method::Get,
        path: "/healthz".into(),
        host: "shop.example.com".into(),
        statuses: Statuses::default(),
        body: Some("well".into()),
    };
    let check = Check { interval: INTERVAL, ..Check::new(Protocol::Http(http), port) };
    let check = Arc::new(check);
    let address = |at| IpAddr::V4(Ipv4Addr::from_bits(0x7f01_0000 + at));
    (0..count).map(|at| Target { address: address(at), check: check.clone() }).collect()
}

async fn listen(mut outcomes: mpsc::Receiver<Outcome>) -> (u64, Duration) {
    let (mut failures, mut slowest) = (0, Duration::ZERO);
    while let Some(outcome) = outcomes.recv().await {
        failures += u64::from(outcome.result.is_err());
        slowest = slowest.max(outcome.took);
    }
    (failures, slowest)
}

/// Listens on all loopback addresses and says that all is well, until its input ends.
async fn serve() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    std::io::stdout().flush().unwrap();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 1_024];
            if stream.read(&mut request).await.is_ok() {
                let response = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well";
                let _ = stream.write_all(response).await;
            }
        });
    }
}

fn ended(stats: &Stats) -> u64 {
    stats.view().checks.iter().map(|row| row.count).sum()
}

/// CPU time of this process, its system calls included; in steps of 10 ms.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory in MB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
