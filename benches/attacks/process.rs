//! The process that is attacked: started with its defaults, and what it takes up as the system has it.

use super::SERVER;
use std::{
    fs,
    net::UdpSocket,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub struct Process {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process takes up.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    resident: u64,
    cpu: Duration,
}

impl Cost {
    fn of(id: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        let resident = line.split_whitespace().next().and_then(|own| own.parse().ok());
        // Behind the name, which may hold anything: the state is the third field (proc(5)).
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|own| own.parse::<u64>().ok()).sum();
        // A tick is 10 ms on every Linux there is (USER_HZ).
        Self { resident: resident.unwrap_or_default(), cpu: Duration::from_millis(10 * ticks) }
    }

    pub fn megabytes(&self) -> f64 {
        self.resident as f64 / 1_000.0
    }

    pub fn cpu_between(before: &Self, after: &Self) -> Duration {
        after.cpu.saturating_sub(before.cpu)
    }
}

impl Process {
    /// Answers when this returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        fs::create_dir_all(&config).unwrap();
        let mut zone = String::from(
            "$ORIGIN example.org.\n$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\n\
             ns1 A 192.0.2.53\nwww A 192.0.2.1\n",
        );
        (0..60).for_each(|n| zone.push_str(&format!("big A 192.0.2.{n}\n")));
        fs::write(config.join("example.org.zone"), zone).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .arg("run")
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["--no-state", "--web-listen", "127.0.0.1:0"])
            .args(["--dns-listen", &SERVER.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, _folder: folder };
        let start = Instant::now();
        while !process.answers() {
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not answer");
        }
        thread::sleep(Duration::from_millis(500));
        process
    }

    pub fn cost(&self) -> Cost {
        Cost::of(self.child.id())
    }

    /// The most that was resident until then.
    pub fn watch(&self, until: Instant) -> JoinHandle<Cost> {
        let id = self.child.id();
        thread::spawn(move || {
            let mut most = Cost::of(id);
            while Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
                let now = Cost::of(id);
                most = if now.resident > most.resident { now } else { most };
            }
            most
        })
    }

    pub fn answers(&self) -> bool {
        let socket = UdpSocket::bind("198.19.255.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let query = super::flood::question(b"\x03www\x07example\x03org\0", 1);
        socket.send_to(&query, SERVER).is_ok() && {
            let mut answer = [0; 512];
            socket.recv(&mut answer).is_ok_and(|octets| octets > query.len())
        }
    }
}
