//! Cookies, names, limits and keepalive over real sockets, as dig and kdig see them.

use super::*;
use meridian::{
    controller,
    server::{Clock, CookieCounts, Cookies, Guard, Limiter, Rates, Secrets},
};

/// The RFC's own secret (RFC 9018, appendix A).
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

fn guarded(require: bool, rates: Option<Rates>) -> Running {
    let guard = Guard {
        cookies: Some(Cookies::new(Secrets::parse(SECRET).unwrap(), require)),
        limiter: rates.map(|rates| Limiter::new(rates, [5; 16])),
        nsid: Box::from(*b"ns1.fra"),
        ..Guard::default()
    };
    let at = Listen::at(vec!["127.0.0.1:0".parse().unwrap()]);
    let at = Listen { guard: Arc::new(guard), clock: Clock::new(controller::now), ..at };
    listen(zones(), &at, 2)
}

/// What the program says, or `None`, said loudly, where it is missing.
pub(super) fn said(program: &str, address: SocketAddr, more: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args([&format!("@{}", address.ip()), "-p", &address.port().to_string()])
        .args(more)
        .output();
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed: {error}");
            eprintln!("SKIPPED: {program} is not installed");
            None
        }
    }
}

/// The cookie that dig shows, without what it thinks of it.
pub(super) fn cookie_of(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("; COOKIE: "))?;
    line.split_whitespace().next().map(Into::into)
}

#[test]
fn dig_and_kdig_learn_a_cookie_and_the_servers_name() {
    let running = guarded(false, None);
    let options = ["+cookie", "+nsid", "www.example.org", "A"];
    if let Some(text) = said("dig", running.address, &options) {
        assert!(text.contains("(good)"), "{text}");
        assert!(text.contains("(\"ns1.fra\")"), "{text}");
        let cookie = cookie_of(&text).unwrap();
        assert_eq!(cookie.len(), 48, "{text}");
        let again = format!("+cookie={cookie}");
        let text = said("dig", running.address, &[&again, "www.example.org", "A"]).unwrap();
        assert_eq!(cookie_of(&text), Some(cookie), "kept while it is fresh: {text}");
        let counted = running.stats.view().cookies;
        assert_eq!(counted, CookieCounts { good: 1, bad: 0, new: 1 });
    }
    if let Some(text) = said("kdig", running.address, &options) {
        assert!(text.contains("NSID") && text.contains("ns1.fra"), "{text}");
        assert!(text.contains("COOKIE:") && text.contains("192.0.2.1"), "{text}");
    }
}

#[test]
fn where_cookies_are_required_dig_asks_twice_and_gets_its_answer() {
    let running = guarded(true, None);
    let options = ["+cookie", "+nobadcookie", "www.example.org", "A"];
    let Some(text) = said("dig", running.address, &options) else { return };
    assert!(text.contains("status: BADCOOKIE"), "{text}");
    let text = said("dig", running.address, &["+cookie", "www.example.org", "A"]).unwrap();
    assert!(text.contains("status: NOERROR") && text.contains("192.0.2.1"), "{text}");
    let text = said("dig", running.address, &["+nocookie", "www.example.org", "A"]).unwrap();
    assert!(text.contains("status: NOERROR"), "who knows no cookies is answered: {text}");
    assert_eq!(running.stats.view().rcodes[23], 2);
}

#[test]
fn dig_is_told_why() {
    let running = guarded(false, None);
    let Some(text) = said("dig", running.address, &["www.example.net", "A"]) else { return };
    assert!(text.contains("EDE: 20 (Not Authoritative)"), "{text}");
    let text = said("dig", running.address, &["+opcode=notify", "example.org", "SOA"]).unwrap();
    assert!(text.contains("EDE: 21 (Not Supported)"), "{text}");
    assert_eq!(running.stats.view().extended, [(20, 1), (21, 1)]);
}

#[test]
fn dig_is_told_how_long_a_connection_may_stay_idle() {
    let running = guarded(false, None);
    let options = ["+tcp", "+keepalive", "www.example.org", "A"];
    let Some(text) = said("dig", running.address, &options) else { return };
    assert!(text.contains("; TCP KEEPALIVE: 10.0 secs"), "{text}");
}

#[test]
fn a_flood_without_cookies_is_limited_and_those_with_one_and_tcp_are_not() {
    let rates = Rates { rate: 1, slip: 0, ..Rates::default() };
    let running = guarded(false, Some(rates));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(running.address).unwrap();
    (0..200).for_each(|_| {
        socket.send(&question("www.example.org", 1)).unwrap();
    });
    wait_for(|| {
        let view = running.stats.view();
        view.udp + view.limited == 200
    });
    let view = running.stats.view();
    assert!((2..10).contains(&view.udp), "{view:?}");
    // dig's own cookie is not known yet, and there is no slip: it hears nothing.
    let once = ["+tries=1", "+timeout=1", "+cookie", "www.example.org", "A"];
    let Some(text) = said("dig", running.address, &once) else { return };
    assert!(text.contains("timed out") || text.contains("NOERROR"), "{text}");
    let tcp = said("dig", running.address, &["+tcp", "+cookie", "www.example.org", "A"]).unwrap();
    assert!(tcp.contains("192.0.2.1"), "{tcp}");
    let known = format!("+cookie={}", cookie_of(&tcp).unwrap());
    for _ in 0..10 {
        let options = ["+tries=1", "+timeout=2", &known, "www.example.org", "A"];
        let text = said("dig", running.address, &options).unwrap();
        assert!(text.contains("192.0.2.1"), "{text}");
    }
}

#[test]
fn who_is_limited_by_mistake_comes_over_tcp_or_with_a_cookie() {
    let rates = Rates { rate: 1, slip: 1, ..Rates::default() };
    let running = guarded(false, Some(rates));
    let plain = ["+tries=1", "+nocookie", "www.example.org", "A"];
    for _ in 0..6 {
        let Some(text) = said("dig", running.address, &plain) else { return };
        assert!(text.contains("192.0.2.1"), "{text}");
    }
    let view = running.stats.view();
    assert!(view.slipped >= 2 && view.tcp == view.slipped && view.limited == 0, "{view:?}");
    for _ in 0..6 {
        let options = ["+tries=1", "+cookie", "www.example.org", "A"];
        let text = said("dig", running.address, &options).unwrap();
        assert!(text.contains("192.0.2.1"), "{text}");
    }
    let after = running.stats.view();
    assert!(after.rcodes[23] >= 2 && after.tcp == view.tcp, "{after:?}");
}

#[test]
fn a_dry_run_counts_and_answers_all() {
    let rates = Rates { rate: 1, slip: 0, dry_run: true, ..Rates::default() };
    let running = guarded(false, Some(rates));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(running.address).unwrap();
    (0..50).for_each(|_| {
        socket.send(&question("www.example.org", 1)).unwrap();
    });
    wait_for(|| running.stats.view().udp == 50);
    let view = running.stats.view();
    assert!(view.limited == 0 && view.spared >= 40, "{view:?}");
}

/// The counters are raised after the answer is sent.
#[track_caller]
pub(super) fn wait_for(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited for 20 seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Any options in any order, broken ones too: no answer is longer than it may be, and each is
    /// a message.
    #[test]
    fn any_options_are_answered_in_bounds(
        options in prop::collection::vec(
            (prop_oneof![Just(3_u16), Just(8), Just(10), Just(11), Just(12), 0..20_u16],
             prop::collection::vec(any::<u8>(), 0..45)),
            0..6,
        ),
        cut in 0..5_usize,
        size in 0..2_000_u16,
        asked in prop_oneof![Just("big.example.org"), Just("example.net"), Just("mx.example.org")],
        transport in prop_oneof![
            Just(Transport::Udp), Just(Transport::Tcp), Just(Transport::Tls), Just(Transport::Https),
        ],
        seconds in any::<u32>(),
    ) {
        let guard = Guard {
            cookies: Some(Cookies::new(Secrets::parse(SECRET).unwrap(), seconds % 2 == 0)),
            nsid: Box::from(*b"ns1.fra"),
            ..Guard::default()
        };
        let mut written = Vec::new();
        for (code, data) in &options {
            written.extend_from_slice(&code.to_be_bytes());
            written.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            written.extend_from_slice(data);
        }
        written.truncate(written.len().saturating_sub(cut));
        let packet = with_opt(question(asked, 15), size, 0, &written);
        let mut arrival = Arrival::new("192.0.2.1".parse().unwrap(), transport);
        (arrival.guard, arrival.idle, arrival.at.seconds) = (Some(&guard), Some(100), seconds);
        let mut out = Vec::new();
        let reply = server::respond(&zones(), &packet, &arrival, &mut out);
        let sent = matches!(reply, Reply::Send { .. });
        prop_assert!(sent);
        let limit = if transport == Transport::Udp { usize::from(size.clamp(512, 1_232)) } else { 65_535 };
        prop_assert!(out.len() <= limit);
        let read = hickory_proto::op::Message::from_vec(&out);
        prop_assert!(read.is_ok_and(|message| message.edns.is_some()));
    }
}
