//! RFC 7858: DNS over TLS. (And RFC 8310, its profiles, which are the client's.)

use crate::transports::{answers, ask, connect, framed, id, name, question, read, start};
use meridian::server::{Limits, Refreshed};
use rustls::{ClientConnection, HandshakeKind};
use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

#[test]
fn s3_1_queries_are_answered_with_and_without_the_name_of_the_protocol() {
    let running = start(Limits::default());
    for alpn in [&["dot"][..], &[], &["other", "dot"]] {
        let mut stream = running.connect_tls(&Arc::new(running.client(alpn)), running.tls);
        let answer = ask(&mut stream, &question(1, "www.example.org", 1)).unwrap();
        assert_eq!((id(&answer), answers(&answer)), (1, 2));
        let expected = alpn.contains(&"dot").then_some(&b"dot"[..]);
        assert_eq!(stream.conn.alpn_protocol(), expected);
    }
    assert_eq!((running.stats.view().tls, running.stats.view().tcp), (3, 0));
}

#[test]
fn s3_1_who_speaks_another_protocol_is_refused() {
    let running = start(Limits::default());
    let mut stream = running.connect_tls(&Arc::new(running.client(&["h2"])), running.tls);
    assert_eq!(ask(&mut stream, &question(1, "www.example.org", 1)), None);
    running.until(|view| view.unshaken == 1 && view.open == 0);
}

#[test]
fn s3_1_plain_queries_are_not_answered_on_its_port() {
    let running = start(Limits::default());
    let mut stream = connect(running.tls);
    stream.write_all(&framed(&question(1, "www.example.org", 1))).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 12, "an alert at most: {rest:?}");
    assert_eq!(running.stats.view().tls, 0);
}

#[test]
fn s3_3_messages_are_framed_and_pipelined_as_over_tcp() {
    let running = start(Limits::default());
    let mut stream = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    let all: Vec<u8> =
        (0..500).flat_map(|number| framed(&question(number, "www.example.org", 1))).collect();
    stream.write_all(&all).unwrap();
    assert!((0..500).all(|number| read(&mut stream).is_some_and(|one| id(&one) == number)));
    // In records of one octet each.
    for octet in framed(&question(7, "www.example.org", 1)) {
        stream.write_all(&[octet]).unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(id(&read(&mut stream).unwrap()), 7);
}

#[test]
fn s3_3_a_transfer_comes_in_many_messages() {
    let running = start(Limits::default());
    let mut stream = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    stream.write_all(&framed(&question(7, "example.org", 252))).unwrap();
    assert!((0..3).all(|_| read(&mut stream).is_some_and(|part| part.len() == 1_000)));
}

#[test]
fn s3_4_a_session_is_resumed() {
    let running = start(Limits::default());
    let config = Arc::new(running.client(&["dot"]));
    let mut kinds = Vec::new();
    for number in 0..3 {
        let mut stream = running.connect_tls(&config, running.tls);
        assert!(ask(&mut stream, &question(number, "www.example.org", 1)).is_some());
        kinds.push(stream.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[test]
fn s3_4_an_idle_connection_is_closed_with_a_goodbye() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let running = start(limits);
    let mut stream = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    assert!(ask(&mut stream, &question(1, "www.example.org", 1)).is_some());
    // rustls tells an end without close_notify as an error.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    running.until(|view| view.overdue == 1 && view.open == 0);
}

#[test]
fn s3_4_a_server_that_goes_answers_what_it_read_and_says_goodbye() {
    let running = start(Limits::default());
    let mut stream = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    assert!(ask(&mut stream, &question(1, "www.example.org", 1)).is_some());
    running.shutdown.cancel();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn s4_a_new_certificate_is_shown_without_a_restart() {
    let running = start(Limits::default());
    let old = Arc::new(running.client(&["dot"]));
    let mut open = running.connect_tls(&old, running.tls);
    assert!(ask(&mut open, &question(1, "www.example.org", 1)).is_some());
    running.write_another_certificate();
    assert_eq!(running.certificate.refresh().unwrap(), Refreshed::Replaced);
    assert!(ask(&mut open, &question(2, "www.example.org", 1)).is_some(), "open ones stay");
    let mut new = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    assert!(ask(&mut new, &question(3, "www.example.org", 1)).is_some());
    // One that has no ticket and believes in the old certificate alone.
    let mut fresh = rustls::ClientConfig::clone(&old);
    fresh.resumption = rustls::client::Resumption::disabled();
    let mut stream = running.connect_tls(&Arc::new(fresh), running.tls);
    assert_eq!(ask(&mut stream, &question(4, "www.example.org", 1)), None);
}

#[test]
fn s6_slow_and_half_handshakes_hold_up_nobody_and_are_closed() {
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let running = start(limits);
    // One says nothing, one half of its hello, one stops after it.
    let silent = connect(running.tls);
    let config = Arc::new(running.client(&["dot"]));
    let mut hello = Vec::new();
    ClientConnection::new(config.clone(), name()).unwrap().write_tls(&mut hello).unwrap();
    let (mut half, mut whole) = (connect(running.tls), connect(running.tls));
    half.write_all(&hello[..hello.len() / 2]).unwrap();
    whole.write_all(&hello).unwrap();
    let begun = Instant::now();
    let mut stream = running.connect_tls(&config, running.tls);
    assert!(ask(&mut stream, &question(1, "www.example.org", 1)).is_some());
    assert!(begun.elapsed() < Duration::from_millis(400), "waited for others");
    for mut stalled in [silent, half, whole] {
        let mut rest = Vec::new();
        match stalled.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    running.until(|view| view.overdue == 3);
}

#[test]
fn s6_a_client_that_never_reads_is_closed() {
    let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
    let running = start(limits);
    let mut stream = running.connect_tls(&Arc::new(running.client(&["dot"])), running.tls);
    stream.sock.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let query = framed(&question(1, "www.example.org", 255)).repeat(1_000);
    let deadline = Instant::now() + Duration::from_secs(30);
    while stream.write_all(&query).is_ok() {
        assert!(Instant::now() < deadline, "the server read on without end");
    }
    running.until(|view| view.overdue == 1);
}
