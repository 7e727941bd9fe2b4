//! RFC 9103: zone transfer over TLS.

use crate::{
    transfers::{
        AXFR, FRIEND, KEY, NOW, SOA, STRANGER, Server, ixfr, key, name, query, signed, version,
    },
    transports::{framed, question, read, start, start_with},
};
use meridian::{
    model::Name,
    replica::{Fetched, fetch},
    server::{Limits, Transport},
    transfer::{Event, Primary, PrimaryTls, Rules},
};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

/// Gives `z.test` over TLS alone.
fn hidden() -> Server {
    let server = Server::new(&[version(1, ""), version(2, "www A 192.0.2.80\n")]);
    let mut rules = Rules::clone(&server.transfers.rules());
    rules.zones.values_mut().flat_map(|own| &mut own.allow).for_each(|own| own.tls = true);
    server.transfers.rule(Arc::new(rules));
    server
}

#[test]
fn s7_1_a_zone_that_goes_over_tls_alone_is_refused_over_anything_else() {
    let server = hidden();
    for transport in [Transport::Udp, Transport::Tcp] {
        for packet in [query("z.test", AXFR), ixfr(1)] {
            assert_eq!(server.one(&packet, FRIEND, transport).rcode, 5, "over {transport:?}");
        }
        let (by_key, _) = signed(query("z.test", AXFR), NOW);
        assert_eq!(server.one(&by_key, STRANGER, transport).rcode, 5);
    }
    assert_eq!(server.stats.view().events.get(&Event::Denied("tls")), Some(&6));
    for transport in [Transport::Tls, Transport::Quic] {
        assert_eq!(server.rows(&query("z.test", AXFR), FRIEND, transport).len(), 8);
        assert_eq!(server.rows(&ixfr(1), FRIEND, transport).len(), 5);
        let (by_key, _) = signed(query("z.test", AXFR), NOW);
        assert_eq!(server.all(&by_key, STRANGER, transport).len(), 1);
    }
    assert_eq!(server.one(&query("z.test", AXFR), STRANGER, Transport::Tls).rcode, 5);
}

#[test]
fn s7_1_the_soa_is_no_secret() {
    assert_eq!(hidden().rows(&query("z.test", SOA), FRIEND, Transport::Udp).len(), 1);
}

/// The last octet of a made-up transfer's message says whether its way was private.
#[test]
fn s7_1_a_session_counts_with_tls_1_3_and_the_name_dot_alone() {
    let running = start(Limits::default());
    let old = {
        let mut config = running.client_of(&[&rustls::version::TLS12]);
        config.alpn_protocols = vec![b"dot".to_vec()];
        config
    };
    for (config, expected) in [(running.client(&["dot"]), 1), (running.client(&[]), 0), (old, 0)] {
        let mut stream = running.connect_tls(&Arc::new(config), running.tls);
        stream.write_all(&framed(&question(7, "example.org", 252))).unwrap();
        assert_eq!(read(&mut stream).unwrap()[999], expected);
    }
}

/// The servers' clock stands still at the beginning of time.
fn clock() -> u64 {
    0
}

fn taken(address: SocketAddr, tls: Option<PrimaryTls>) -> Result<Fetched, String> {
    let primary = Primary { address, key: Some(name(KEY)), tls };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let apex: Name = name("z.test");
    runtime.block_on(fetch(&primary, Some(&key()), &apex, None, clock))
}

#[test]
fn s7_1_a_zone_is_taken_over_tls_from_a_primary_that_proves_who_it_is() {
    let running = start_with(Limits::default(), hidden());
    let of = |name: &str, ca: Option<String>| Some(PrimaryTls { name: name.to_owned(), ca });
    let Ok(Fetched::Newer(zone, _)) =
        taken(running.tls, of("ns1.example.org", Some(running.pem())))
    else {
        panic!("it is not given")
    };
    assert_eq!(zone.serial().0, 2);
    // Over TCP, the same server refuses.
    let error = taken(running.tcp, None).unwrap_err();
    assert!(error.contains("REFUSED"), "{error}");
}

#[test]
fn s9_3_2_who_cannot_prove_it_is_asked_nothing() {
    let running = start_with(Limits::default(), hidden());
    let of = |name: &str, ca: Option<String>| Some(PrimaryTls { name: name.to_owned(), ca });
    let error = taken(running.tls, of("ns2.example.org", Some(running.pem()))).unwrap_err();
    assert!(error.contains("cannot be taken for ns2.example.org"), "{error}");
    let other = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let error = taken(running.tls, of("ns1.example.org", Some(other.cert.pem()))).unwrap_err();
    assert!(error.contains("cannot be taken for ns1.example.org"), "{error}");
    let error = taken(running.tls, of("ns1.example.org", Some("no PEM".into()))).unwrap_err();
    assert!(error.contains("no CA is trusted"), "{error}");
    let error = taken(running.tcp, of("ns1.example.org", Some(running.pem()))).unwrap_err();
    assert!(error.contains("over TLS"), "what speaks plain DNS is no TLS: {error}");
    assert_eq!(running.stats.view().tls, 0, "nobody asked anything");
}

#[test]
fn s7_1_a_server_that_does_not_agree_to_the_name_dot_is_no_primary() {
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(session, listener.accept().unwrap().0);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    let tls = PrimaryTls { name: "ns1.example.org".to_owned(), ca: Some(made.cert.pem()) };
    let error = taken(address, Some(tls)).unwrap_err();
    assert!(error.contains("ALPN dot"), "{error}");
    assert_eq!(server.join().unwrap(), b"", "it was asked nothing");
}
