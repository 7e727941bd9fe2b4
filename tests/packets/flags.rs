//! The whole process, told by its flags.

use super::{
    guarded::{cookie_of, said, wait_for},
    *,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Stdio},
};

/// `meridian run` with one static zone.
struct Process {
    child: Child,
    dns: SocketAddr,
    web: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(place: &Path, more: &[&str]) -> Process {
    let config = place.join("config");
    fs::create_dir_all(&config).unwrap();
    let zone = "$TTL 60\n@ SOA ns host 1 2 3 4 1\n@ NS ns\nwww A 192.0.2.1\n";
    fs::write(config.join("example.org.zone"), zone).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_meridian"))
        .args(["run", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .args(more)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut dns, mut web) = (None, None);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while dns.is_none() || web.is_none() {
        let line = lines.next().expect("the process says where it listens").unwrap();
        let word = |after: &str| {
            let rest = line.split_once(after)?.1;
            rest.split_whitespace().next()?.parse().ok()
        };
        dns = dns.or_else(|| word("serving DNS on "));
        web = web.or_else(|| word("web listener on http://"));
    }
    // Or the process would stop when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    Process { child, dns: dns.unwrap(), web: web.unwrap() }
}

fn metrics(process: &Process) -> String {
    let mut stream = TcpStream::connect(process.web).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn flags_say_the_name_and_the_secrets_and_an_edited_file_changes_them() {
    let place = tempfile::tempdir().unwrap();
    let secrets = place.path().join("secrets");
    let (old, new) = ("e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962");
    fs::write(&secrets, old).unwrap();
    let flags = ["--no-state", "--dns-nsid", "ns1", "--dns-cookie-require"];
    let flags = [&flags[..], &["--dns-cookie-secret-file", secrets.to_str().unwrap()]].concat();
    let process = run(place.path(), &flags);
    let ask = |more: &str| {
        said("dig", process.dns, &["+nobadcookie", "+nsid", more, "www.example.org", "A"])
    };
    let Some(text) = ask("+cookie") else { return };
    assert!(text.contains("status: BADCOOKIE") && text.contains("(\"ns1\")"), "{text}");
    let held = format!("+cookie={}", cookie_of(&text).unwrap());
    assert!(ask(&held).unwrap().contains("status: NOERROR"));
    // Both are believed; the new one makes cookies.
    fs::write(&secrets, format!("{new}\n{old}\n")).unwrap();
    wait_for(|| {
        let text = ask(&held).unwrap();
        assert!(text.contains("status: NOERROR"), "{text}");
        !held.ends_with(&cookie_of(&text).unwrap())
    });
    // A file that is none changes nothing; the next good one does.
    fs::write(&secrets, "oops").unwrap();
    assert!(ask(&held).unwrap().contains("status: NOERROR"));
    fs::write(&secrets, new).unwrap();
    wait_for(|| ask(&held).unwrap().contains("status: BADCOOKIE"));
    let text = metrics(&process);
    assert!(text.contains("meridian_dns_cookies_total{cookie=\"good\"}"), "{text}");
    assert!(text.contains("meridian_dns_responses_total{rcode=\"BADCOOKIE\"}"), "{text}");
}

#[test]
fn a_secret_of_its_own_outlives_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let flags = ["--state-dir", state.to_str().unwrap(), "--dns-cookie-require"];
    let process = run(place.path(), &flags);
    let first = ["+cookie", "+nobadcookie", "www.example.org", "A"];
    let Some(text) = said("dig", process.dns, &first) else { return };
    let held = format!("+cookie={}", cookie_of(&text).unwrap());
    let mode = fs::metadata(state.join("cookie-secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(process);
    let process = run(place.path(), &flags);
    let options = [&held, "+nobadcookie", "www.example.org", "A"];
    let text = said("dig", process.dns, &options).unwrap();
    assert!(text.contains("status: NOERROR"), "{text}");
}

#[test]
fn a_secret_file_that_is_none_stops_the_start_and_says_why() {
    let place = tempfile::tempdir().unwrap();
    let secrets = place.path().join("secrets");
    fs::write(&secrets, "e5e9").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
        .args(["run", "--no-state", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"])
        .args(["--dns-cookie-secret-file".as_ref(), secrets.as_os_str()])
        .args(["--config".as_ref(), place.path().as_os_str()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("--dns-cookie-secret-file"), "{text}");
    assert!(text.contains("line 1 is no secret: 32 hexadecimal digits"), "{text}");
}
