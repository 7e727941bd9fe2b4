//! Other people's clients over encrypted transports, and proxies before them.

use super::{sockets::*, *};
use meridian::server::{Certificate, Secure};
use std::{fs, path::Path};

/// A server that speaks everything, and the folder of its certificate.
fn start_secure() -> (Running, Vec<(&'static str, SocketAddr)>, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let free = || vec!["127.0.0.1:0".parse().unwrap()];
    let secure =
        Secure { certificate: write_pair(files.path()), tls: free(), https: free(), quic: free() };
    let bound = server::bind(&Listen { secure: Some(secure), ..Listen::at(free()) }).unwrap();
    let addresses = bound.secure_addrs();
    (serve(bound, zones(), 2), addresses, files)
}

fn write_pair(folder: &Path) -> Arc<Certificate> {
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let (chain, key) = (folder.join("crt"), folder.join("key"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Certificate::read(chain, key).unwrap()
}

fn port(addresses: &[(&str, SocketAddr)], name: &str) -> String {
    addresses.iter().find(|own| own.0 == name).unwrap().1.port().to_string()
}

/// What a program prints; `None`, said loudly, where it is not installed.
fn run(program: &str, port: &str, more: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(["@127.0.0.1", "-p", port, "+time=10"])
        .args(more)
        .args(["alias.example.org", "A"])
        .output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
        return None;
    };
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn dig_and_kdig_get_their_answers_over_tls_and_https() {
    let (running, addresses, files) = start_secure();
    let (tls, https) = (port(&addresses, "TLS"), port(&addresses, "HTTPS"));
    let ca = files.path().join("crt");
    let ca = ca.to_str().unwrap();
    let (dig_ca, kdig_ca) = (format!("+tls-ca={ca}"), format!("+tls-ca={ca}"));
    for (program, port, more) in [
        ("dig", &tls, &["+short", "+tls"][..]),
        ("dig", &tls, &["+short", "+tls", &dig_ca, "+tls-hostname=ns1.example.org"]),
        ("dig", &https, &["+short", "+https"]),
        ("dig", &https, &["+short", "+https-get"]),
        ("dig", &https, &["+short", "+https", &dig_ca, "+tls-hostname=ns1.example.org"]),
        ("kdig", &tls, &["+short", "+tls"]),
        ("kdig", &tls, &["+short", "+tls", &kdig_ca, "+tls-hostname=ns1.example.org"]),
        ("kdig", &https, &["+short", "+https"]),
        ("kdig", &https, &["+short", "+https-get"]),
    ] {
        let Some(text) = run(program, port, more) else { continue };
        assert_eq!(text.lines().last(), Some("192.0.2.1"), "{program} {more:?}: {text}");
    }
    let view = running.stats.view();
    assert!(view.tls >= 4 && view.https >= 5, "{view:?}");
}

#[test]
fn kdig_gets_its_answer_over_quic() {
    let (_running, addresses, _files) = start_secure();
    let quic = port(&addresses, "QUIC");
    let Some(text) = run("kdig", &quic, &["+short", "+quic"]) else { return };
    assert_eq!(text.lines().last(), Some("192.0.2.1"), "{text}");
}

#[test]
fn dig_keeps_a_connection_open_for_several_names() {
    let running = start(Limits::default());
    let port = running.address.port().to_string();
    let names = ["big.example.org", "mx.example.org", "www.example.org"];
    let more = [&["+tcp", "+keepopen", "+short"][..], &names].concat();
    let Some(text) = run("dig", &port, &more) else { return };
    assert_eq!(text.lines().last(), Some("192.0.2.1"), "{text}");
    assert!(running.stats.view().tcp >= 4);
}

// === Proxies ===

/// Answers every question with the client's address.
struct Mirror;

impl Answers for Mirror {
    fn answer<R>(
        &self,
        _: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        let zone = format!(
            "$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nwho TXT \"{}\"\n",
            client.address.unwrap()
        );
        let apex: Name = "example.org".parse().unwrap();
        let parsed = records::parse_master(&apex, "t", &zone, &mut records::no_includes).unwrap();
        let zones: ZoneSet = parsed.zone.into();
        let name: Name = "who.example.org".parse().unwrap();
        let question = Question {
            name: name.as_wire(),
            rtype: records::RecordType(16),
            dnssec: records::DnssecOk::No,
        };
        encode(&records::lookup(&zones, &question, client))
    }
}

fn start_behind(proxies: &[&str], limits: Limits) -> Running {
    let listen = Listen {
        limits,
        proxies: proxies.iter().map(|network| network.parse().unwrap()).collect(),
        ..Listen::at(vec!["127.0.0.1:0".parse().unwrap()])
    };
    serve(server::bind(&listen).unwrap(), Mirror, 2)
}

fn header(command: u8, client: [u8; 4], more: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend_from_slice(&[0x20 | command, 0x11]);
    header.extend_from_slice(&u16::try_from(12 + more.len()).unwrap().to_be_bytes());
    header.extend_from_slice(&client);
    header.extend_from_slice(&[127, 0, 0, 1, 0x30, 0x39, 0, 53]);
    header.extend_from_slice(more);
    header
}

/// The client's address, as the server saw it.
fn who(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(&framed(&question("who.example.org", 16))).ok()?;
    let answer = read(stream)?;
    let message = hickory_proto::op::Message::from_vec(&answer).unwrap();
    message.answers.first().map(|record| record.data.to_string().trim_matches('"').to_owned())
}

#[test]
fn a_trusted_proxy_says_whose_connection_it_is() {
    let running = start_behind(&["127.0.0.0/8"], Limits::default());
    for (sent, expected) in [
        (header(1, [192, 0, 2, 7], &[]), "192.0.2.7"),
        (header(1, [198, 51, 100, 1], &[4, 0, 1, 0].repeat(200)), "198.51.100.1"),
        (header(0, [192, 0, 2, 7], &[]), "127.0.0.1"),
    ] {
        let mut stream = connect(&running);
        stream.write_all(&sent).unwrap();
        assert_eq!(who(&mut stream).as_deref(), Some(expected));
        assert_eq!(who(&mut stream).as_deref(), Some(expected), "for the whole connection");
    }
    // In pieces, and with the query right behind it.
    let mut stream = connect(&running);
    stream.set_nodelay(true).unwrap();
    for octet in header(1, [192, 0, 2, 9], &[]) {
        stream.write_all(&[octet]).unwrap();
    }
    assert_eq!(who(&mut stream).as_deref(), Some("192.0.2.9"));
}

/// The client's address of a datagram with that before its query, as the server saw it.
fn who_sent(running: &Running, before: &[u8]) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let packet = [before, &question("who.example.org", 16)].concat();
    socket.send_to(&packet, running.address).unwrap();
    let mut answer = vec![0; 512];
    let length = socket.recv(&mut answer).ok()?;
    let message = hickory_proto::op::Message::from_vec(&answer[..length]).unwrap();
    message.answers.first().map(|record| record.data.to_string().trim_matches('"').to_owned())
}

#[test]
fn a_trusted_proxy_says_whose_datagram_it_is_and_gets_the_answer() {
    let listen = Listen {
        udp_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Listen::at(vec!["127.0.0.1:0".parse().unwrap()])
    };
    let running = serve(server::bind(&listen).unwrap(), Mirror, 2);
    for (sent, expected) in [
        (header(1, [192, 0, 2, 7], &[]), "192.0.2.7"),
        (header(1, [198, 51, 100, 1], &[4, 0, 1, 0].repeat(200)), "198.51.100.1"),
        (header(0, [192, 0, 2, 7], &[]), "127.0.0.1"),
    ] {
        assert_eq!(who_sent(&running, &sent).as_deref(), Some(expected));
    }
    // Its datagrams need the header, and its connections need none.
    assert_eq!(who_sent(&running, &[]), None);
    assert_eq!(who_sent(&running, b"PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n"), None);
    let view = running.stats.view();
    assert_eq!((view.datagrams_unproxied, view.udp), (2, 3));
    assert_eq!(who(&mut connect(&running)).as_deref(), Some("127.0.0.1"));
}

#[test]
fn from_others_a_datagram_with_a_header_is_no_query() {
    let running = start_behind(&["127.0.0.1/32"], Limits::default());
    assert_eq!(who_sent(&running, &[]).as_deref(), Some("127.0.0.1"));
    // The header's first octets are those of a query of nonsense.
    assert_eq!(who_sent(&running, &header(1, [192, 0, 2, 7], &[])), None);
    assert_eq!(running.stats.view().datagrams_unproxied, 0);
}

#[test]
fn a_proxy_that_says_nothing_or_nonsense_is_closed_and_counted() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let running = start_behind(&["127.0.0.1/32"], limits);
    let mut plain = connect(&running);
    assert_eq!(who(&mut plain), None, "without a header there is no answer");
    let mut text = connect(&running);
    text.write_all(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n").unwrap();
    assert_eq!(read(&mut text), None);
    let mut long = connect(&running);
    let mut head = header(1, [192, 0, 2, 7], &[]);
    head[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    long.write_all(&head).unwrap();
    assert_eq!(read(&mut long), None);
    let mut silent = connect(&running);
    assert_eq!(read(&mut silent), None);
    let view = running.stats.view();
    assert_eq!((view.unproxied, view.overdue, view.tcp), (3, 1, 0));
}

#[test]
fn from_others_a_header_is_no_message() {
    let running = start_behind(&["192.0.2.0/24"], Limits::default());
    let mut stream = connect(&running);
    stream.write_all(&header(1, [192, 0, 2, 7], &[])).unwrap();
    // Its first octets are a length that never comes.
    assert_eq!(read(&mut stream), None);
    let mut plain = connect(&running);
    assert_eq!(who(&mut plain).as_deref(), Some("127.0.0.1"));
    assert_eq!(running.stats.view().unproxied, 0);
}

#[test]
fn shares_are_those_of_the_clients_not_of_the_proxy() {
    let running = start_behind(&["127.0.0.1/32"], Limits { per_client: 2, ..Limits::default() });
    let from = |client: u8| {
        let mut stream = connect(&running);
        stream.write_all(&header(1, [192, 0, 2, client], &[])).unwrap();
        let who = who(&mut stream);
        (stream, who.is_some())
    };
    let kept: Vec<_> = [1, 1, 2, 2, 3].into_iter().map(from).collect();
    assert!(kept.iter().all(|(_, answered)| *answered));
    assert!(!from(1).1, "a third of one client");
    drop(kept);
    while running.stats.view().open > 0 {
        std::thread::yield_now();
    }
    assert!(from(1).1, "places that were left are free again");
}

#[test]
fn a_proxys_header_stands_before_tls() {
    let files = tempfile::tempdir().unwrap();
    let free = || vec!["127.0.0.1:0".parse().unwrap()];
    let certificate = write_pair(files.path());
    let secure = Secure { certificate, tls: free(), https: Vec::new(), quic: Vec::new() };
    let listen = Listen {
        secure: Some(secure),
        proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Listen::at(free())
    };
    let bound = server::bind(&listen).unwrap();
    let address = bound.secure_addrs()[0].1;
    let _running = serve(bound, Mirror, 2);

    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(files.path().join("crt")).unwrap();
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&header(1, [192, 0, 2, 44], &[])).unwrap();
    let name = "ns1.example.org".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, stream);
    stream.write_all(&framed(&question("who.example.org", 16))).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.windows(10).any(|window| window == b"192.0.2.44"), "{answer:?}");
}

// === Many at once ===

#[test]
fn thousands_of_connections_come_and_the_longest_idle_go() {
    let limits = Limits {
        connections: 500,
        per_client: usize::MAX,
        per_network: usize::MAX,
        first: Duration::from_secs(60),
        ..Limits::default()
    };
    let running = start(limits);
    let query = framed(&question("www.example.org", 1));
    // One that keeps asking stays, whatever comes.
    let mut busy = connect(&running);
    let mut open = std::collections::VecDeque::new();
    for number in 0..3_000 {
        let mut stream = connect(&running);
        if number % 7 == 0 {
            stream.write_all(&query).unwrap();
            assert!(read(&mut stream).is_some(), "{number}");
        }
        open.push_back(stream);
        if open.len() > 700 {
            open.pop_front();
        }
        if number % 50 == 0 {
            busy.write_all(&query).unwrap();
            assert!(read(&mut busy).is_some(), "after {number} others");
        }
    }
    let view = running.stats.view();
    assert!(view.open <= 520 && view.refused >= 2_000, "{view:?}");
    drop(open);
    drop(busy);
    while running.stats.view().open > 0 {
        std::thread::yield_now();
    }
}
