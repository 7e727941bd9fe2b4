//! What the command prints, against files: `UPDATE_GOLDEN=1 cargo test --test golden` rewrites
//! them. And the demo, as a person would use it.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

use std::{
    fs,
    io::{BufRead, BufReader},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn meridian(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_meridian")).args(args).output().unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn golden(file: &str, found: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{file} differs; found:\n{found}");
}

#[test]
fn the_definitions_in_deploy_are_those_that_the_command_prints() {
    let output = meridian(&["crds"]);
    assert!(output.status.success());
    golden("deploy/crds.yaml", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn check_says_every_error_with_file_object_field_and_value() {
    let place = root().join("tests/golden/bad-config");
    let output = meridian(&["check", place.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    golden("tests/golden/bad-config.txt", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn check_accepts_the_demos_own_configuration() {
    let place = root().join("deploy/demo");
    let output = meridian(&["check", place.to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["clusters"].as_u64(), report["federations"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn an_empty_configuration_directory_is_an_error_that_says_what_was_expected() {
    let place = tempfile::tempdir().unwrap();
    let output = meridian(&["check", place.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("expected .yaml files"));
}

#[test]
fn wrong_usage_exits_with_two_and_a_taken_port_with_one() {
    assert_eq!(meridian(&["run"]).status.code(), Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = root().join("deploy/demo");
    let output = meridian(&[
        "run",
        "--no-state",
        "--config",
        config.to_str().unwrap(),
        "--dns-listen",
        &address,
        "--web-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&address) && text.contains("another program holds port"), "{text}");
}

#[test]
fn asking_where_nobody_listens_says_so() {
    let output = meridian(&["get", "clusters", "--server", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no process answers"));
}

/// The lines of one `dig`-like question, by our own packet.
fn ask(port: u16, name: &str, options: &[&str]) -> Vec<String> {
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &port.to_string(), "+short", "+tries=1", "+time=2", name])
        .args(options)
        .output()
        .expect("dig is installed by tests/setup.sh");
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

fn until(port: u16, name: &str, expected: &[&str]) {
    until_for(port, name, &[], expected);
}

fn until_for(port: u16, name: &str, options: &[&str], expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = ask(port, name, options);
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{name} answers {found:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_demo_answers_follows_edits_and_leaves_nothing_behind() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_meridian"))
        .args(["demo", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let guide: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let guide = guide.join("\n");
    let word = |before: &str| {
        guide.split(before).nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    let port: u16 = word("demo.example.org on 127.0.0.1:").trim_end_matches(':').parse().unwrap();
    let aws = PathBuf::from(word("'s/ready: true/ready: false/' "));
    let name = |below: &str| format!("{below}.demo.example.org");

    let p = "microbot.default.magicring.svc";
    until(port, &name(p), &["127.1.0.1", "127.2.0.1", "127.3.0.1"]);
    until(port, &name(&format!("{p}.us-west-2a.us-west-2")), &["127.1.0.1"]);
    until(port, &name("whoami"), &["127.1.0.1", "127.2.0.1", "127.3.0.1"]);
    // The service that is steered, asked from Germany, the United States and Japan.
    let shop = name("shop.default.magicring.svc");
    for (net, cluster) in [
        ("2.160.0.0/24", "127.2.0.1"),
        ("3.80.0.0/24", "127.1.0.1"),
        ("133.11.0.0/24", "127.3.0.1"),
    ] {
        until_for(port, &shop, &[&format!("+subnet={net}")], &[cluster]);
    }
    // Asked over the web listener, as its guide says.
    let server = word("--server ");
    let shown = meridian(&["zone", "show", "--server", &server]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("whoami.demo.example.org."));

    // The edits that the guide names.
    let text = fs::read_to_string(&aws).unwrap();
    fs::write(&aws, text.replace("ready: true", "ready: false")).unwrap();
    until(
        port,
        &name(&format!("{p}.us-west-2")),
        &["127.2.0.1", "127.3.0.1", &format!("{p}.demo.example.org.")],
    );
    fs::write(&aws, text.replace("127.1.0.1", "127.1.0.9")).unwrap();
    until(port, &name(p), &["127.1.0.9", "127.2.0.1", "127.3.0.1"]);
    fs::write(&aws, "kind: [broken").unwrap();
    fs::write(aws.with_file_name("more.yaml"), "kind: Node\nmetadata: {name: n2}\n").unwrap();
    until(port, &name(p), &["127.1.0.9", "127.2.0.1", "127.3.0.1"]);
    fs::remove_file(&aws).unwrap();
    until(port, &name(p), &["127.2.0.1", "127.3.0.1"]);

    // Clusters come and go while it runs; a file that breaks keeps what it held.
    let federation = aws.ancestors().nth(3).unwrap().join("federation.yaml");
    let objects = fs::read_to_string(&federation).unwrap();
    let without_gke = objects.split("---").filter(|own| !own.contains("name: gke"));
    fs::write(&federation, without_gke.collect::<Vec<_>>().join("---")).unwrap();
    until(port, &name(p), &["127.2.0.1"]);
    fs::write(&federation, "kind: [broken").unwrap();
    fs::write(federation.with_file_name("extra.zone"), "$TTL 60\n").unwrap();
    until(port, &name(p), &["127.2.0.1"]);
    fs::write(&federation, objects).unwrap();
    until(port, &name(p), &["127.2.0.1", "127.3.0.1"]);

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let place = aws.ancestors().nth(3).unwrap();
    assert!(place.file_name().unwrap().to_string_lossy().starts_with("meridian-demo-"));
    assert!(!Path::new(place).exists());
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
}
