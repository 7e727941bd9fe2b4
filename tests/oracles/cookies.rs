//! Cookies among servers behind one address (RFC 9018 §5): BIND, Knot and ours believe each
//! other's, and none believes what another secret made.

use crate::ecs::{Server, start, zone};
use meridian::{
    controller,
    model::Name,
    records::{self, ZoneSet},
    server::{self, Clock, Cookies, Guard, Listen, Secrets, Stats},
};
use std::{fs, net::SocketAddr, process::Command, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const ANOTHER: &str = "445536bcd2513298075a5d379663c962";

#[test]
fn bind_knot_and_ours_believe_each_others_cookies() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shutdown = CancellationToken::new();
    let (bind, knot) = (bind(SECRET), knot(SECRET));
    let ours = ours(&runtime, &shutdown, SECRET);
    let servers = [("BIND", bind.address), ("Knot", knot.address), ("ours", ours)];
    for (from, giver) in servers {
        let (_, cookie) = ask(giver, "+cookie=0102030405060708");
        assert_eq!(cookie.len(), 48, "{from}");
        for (to, taker) in servers {
            let (status, _) = ask(taker, &format!("+cookie={cookie}"));
            assert_eq!(status, "NOERROR", "{to} on a cookie of {from}");
        }
    }
    shutdown.cancel();
}

#[test]
fn nobody_believes_what_another_secret_made() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shutdown = CancellationToken::new();
    let (bind, knot) = (bind(SECRET), knot(SECRET));
    let (one, other) = (ours(&runtime, &shutdown, SECRET), ours(&runtime, &shutdown, ANOTHER));
    let (_, cookie) = ask(other, "+cookie=0102030405060708");
    for taker in [bind.address, knot.address, one] {
        assert_eq!(ask(taker, &format!("+cookie={cookie}")).0, "BADCOOKIE");
    }
    shutdown.cancel();
}

/// Status and cookie of the answer over UDP.
fn ask(address: SocketAddr, cookie: &str) -> (String, String) {
    let output = Command::new("dig")
        .args([&format!("@{}", address.ip()), "-p", &address.port().to_string()])
        .args(["+tries=1", "+timeout=5", "+nobadcookie", cookie, "static.example.org", "A"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |mark: &str| {
        let rest = text.split_once(mark).map(|parts| parts.1);
        let word = rest.and_then(|rest| rest.split([' ', ',', '\n']).next());
        word.unwrap_or_else(|| panic!("no {mark} in {text}")).to_owned()
    };
    (after("status: "), after("; COOKIE: "))
}

fn ours(
    runtime: &tokio::runtime::Runtime,
    shutdown: &CancellationToken,
    secret: &str,
) -> SocketAddr {
    let apex: Name = "example.org".parse().unwrap();
    let parsed = records::parse_master(&apex, "zone", &zone(""), &mut records::no_includes);
    let zones = Arc::new(ZoneSet::from(parsed.unwrap().zone));
    let cookies = Some(Cookies::new(Secrets::parse(secret).unwrap(), true));
    let guard = Arc::new(Guard { cookies, ..Guard::default() });
    let at = Listen::at(vec!["127.0.0.1:0".parse().unwrap()]);
    let listen = Listen { guard, clock: Clock::new(controller::now), ..at };
    let bound = server::bind(&listen).unwrap();
    let address = bound.local_addrs()[0];
    let _entered = runtime.enter();
    let stats = Arc::new(Stats::default());
    server::serve(bound, &zones, &stats, &TaskTracker::new(), shutdown).unwrap();
    address
}

fn bind(secret: &str) -> Server {
    start("named", |folder, port| {
        let at = folder.display();
        let config = format!(
            "options {{ directory \"{at}\"; pid-file none; session-keyfile none; recursion no;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             cookie-algorithm siphash24; cookie-secret \"{secret}\";\n\
             require-server-cookie yes; }};\ncontrols {{ }};\n\
             zone \"example.org\" {{ type primary; file \"{at}/zone\"; }};\n"
        );
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("zone"), zone("")).unwrap();
        vec!["-g".into(), "-n".into(), "1".into(), "-c".into(), format!("{at}/config")]
    })
}

fn knot(secret: &str) -> Server {
    start("knotd", |folder, port| {
        let at = folder.display();
        let config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {at}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: {at}\n\
             mod-cookies:\n- id: c\n  secret: 0x{secret}\n\
             template:\n- id: default\n  global-module: mod-cookies/c\n\
             zone:\n- domain: example.org\n  file: {at}/zone\n"
        );
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("zone"), zone("")).unwrap();
        vec!["-c".into(), format!("{at}/config")]
    })
}
