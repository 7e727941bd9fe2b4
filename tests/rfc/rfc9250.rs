//! RFC 9250: DNS over dedicated QUIC connections.

use crate::transports::{Running, answers, framed, id, question, read, start, with_options};
use meridian::server::Limits;
use quinn::{ConnectionError, VarInt};
use std::time::{Duration, Instant};

/// Sends octets on a stream of its own and reads to its end.
async fn exchange(
    connection: &quinn::Connection,
    octets: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(octets).await?;
    send.finish()?;
    Ok(receive.read_to_end(1 << 20).await?)
}

fn ask(running: &Running, connection: &quinn::Connection, packet: &[u8]) -> Vec<u8> {
    let octets = running.runtime.block_on(exchange(connection, &framed(packet))).unwrap();
    let answer = read(&mut &octets[..]).unwrap();
    assert_eq!(octets.len(), answer.len() + 2, "one answer, and the end of the stream");
    answer
}

/// The code that the server closes the connection with.
fn closed_with(running: &Running, connection: &quinn::Connection) -> u64 {
    match running.runtime.block_on(connection.closed()) {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

#[test]
fn s4_1_1_the_protocol_has_a_name_that_clients_must_say() {
    let running = start(Limits::default());
    assert!(running.connect_quic("doq").is_ok());
    assert!(running.connect_quic("h3").is_err());
    running.until(|view| view.unshaken == 1);
}

#[test]
fn s4_2_each_query_has_a_stream_and_its_answer_ends_it() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    for (asked, expected) in [("www.example.org", 2), ("nowhere.example.org", 0)] {
        let answer = ask(&running, &connection, &question(0, asked, 1));
        assert_eq!((id(&answer), answers(&answer)), (0, expected));
    }
    assert_eq!((running.stats.view().quic, running.stats.view().open), (2, 1));
}

/// How long a connection on which there always is a stream goes on once another process serves.
fn busy_and_left() -> Duration {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    let packet = framed(&question(0, "www.example.org", 1));
    let busy = async {
        let one = || async { while exchange(&connection, &packet).await.is_ok() {} };
        futures_util::join!(one(), one(), one(), one());
    };
    let leaving = async {
        while running.stats.view().quic < 100 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let start = Instant::now();
        running.turn.leaving.cancel();
        connection.closed().await;
        start.elapsed()
    };
    let took = running.runtime.block_on(async { futures_util::join!(busy, leaving).1 });
    assert_eq!(closed_with(&running, &connection), 0, "DOQ_NO_ERROR");
    took
}

#[test]
fn s5_5_1_a_busy_connection_is_closed_between_streams_when_another_process_serves() {
    // After two seconds all that are left are cut off. A slow machine may take as long once.
    assert!((0..3).any(|_| busy_and_left() < Duration::from_millis(1_900)));
}

#[test]
fn s4_2_streams_run_beside_each_other() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    let packet = framed(&question(0, "www.example.org", 1));
    let all = (0..500).map(|_| exchange(&connection, &packet));
    let all = running.runtime.block_on(futures_util::future::join_all(all));
    assert!(all.iter().all(|octets| answers(&octets.as_ref().unwrap()[2..]) == 2));
}

#[test]
fn s4_2_a_transfer_is_many_messages_on_one_stream() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    let query = framed(&question(0, "example.org", 252));
    let octets = running.runtime.block_on(exchange(&connection, &query)).unwrap();
    let mut rest = &octets[..];
    assert!((0..3).all(|_| read(&mut rest).is_some_and(|part| part.len() == 1_000)));
    assert!(rest.is_empty());
}

#[test]
fn s4_2_1_an_id_other_than_0_is_a_protocol_error() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    let query = framed(&question(7, "www.example.org", 1));
    running.runtime.block_on(exchange(&connection, &query)).unwrap_err();
    assert_eq!(closed_with(&running, &connection), 2);
    assert_eq!(running.stats.view().quic, 0);
}

#[test]
fn s4_3_3_streams_that_hold_no_query_are_protocol_errors() {
    let running = start(Limits::default());
    let whole = framed(&question(0, "www.example.org", 1));
    let mut response = whole.clone();
    response[4] |= 0x80;
    let two = whole.repeat(2);
    for octets in [&[][..], &[0], &whole[..20], &two, &response, &[0, 0], &[0, 3, 0, 0, 1]] {
        let connection = running.connect_quic("doq").unwrap();
        running.runtime.block_on(exchange(&connection, octets)).unwrap_err();
        assert_eq!(closed_with(&running, &connection), 2, "{octets:?}");
    }
}

#[test]
fn s4_3_1_a_query_that_is_taken_back_costs_nothing_else() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    running.runtime.block_on(async {
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 40, 0, 0]).await.unwrap();
        send.reset(VarInt::from_u32(3)).unwrap();
    });
    assert_eq!(answers(&ask(&running, &connection, &question(0, "www.example.org", 1))), 2);
}

#[test]
fn s4_2_without_the_end_of_the_stream_a_query_is_not_waited_for() {
    let limits = Limits { message: Duration::from_millis(200), ..Limits::default() };
    let running = start(limits);
    let connection = running.connect_quic("doq").unwrap();
    let octets = framed(&question(0, "www.example.org", 1));
    running.runtime.block_on(async {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&octets).await.unwrap();
        receive.read_to_end(1_000).await.unwrap_err();
    });
    assert_eq!(answers(&ask(&running, &connection, &question(0, "www.example.org", 1))), 2);
}

#[test]
fn s4_5_no_early_data_is_taken() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    assert_eq!(answers(&ask(&running, &connection, &question(0, "www.example.org", 1))), 2);
    let tls = running.client(&["doq"]);
    assert!(!tls.enable_early_data, "clients do not try by default");
}

#[test]
fn s5_5_2_the_keepalive_option_is_a_protocol_error() {
    let running = start(Limits::default());
    let connection = running.connect_quic("doq").unwrap();
    let query = with_options(question(0, "www.example.org", 1), &[0, 11, 0, 0]);
    running.runtime.block_on(exchange(&connection, &framed(&query))).unwrap_err();
    assert_eq!(closed_with(&running, &connection), 2);
}

#[test]
fn s5_5_1_idle_connections_and_those_of_a_server_that_goes_are_closed_without_an_error() {
    let running = start(Limits { idle: Duration::from_secs(1), ..Limits::default() });
    let connection = running.connect_quic("doq").unwrap();
    assert_eq!(answers(&ask(&running, &connection, &question(0, "www.example.org", 1))), 2);
    running.runtime.block_on(async {
        let closed = tokio::time::timeout(Duration::from_secs(10), connection.closed()).await;
        let closed = closed.expect("an idle connection is closed");
        assert!(!matches!(closed, ConnectionError::LocallyClosed), "{closed}");
    });
    let connection = running.connect_quic("doq").unwrap();
    assert_eq!(answers(&ask(&running, &connection, &question(0, "www.example.org", 1))), 2);
    running.shutdown.cancel();
    assert_eq!(closed_with(&running, &connection), 0);
}

#[test]
fn s7_5_strangers_cannot_use_up_a_clients_share() {
    let running = start(Limits { per_client: 2, ..Limits::default() });
    // First packets alone, as if another address had sent them: none takes a place.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut first = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0];
    first.resize(1_200, 0);
    for number in 0..20 {
        first[6] = number;
        socket.send_to(&first, running.quic).unwrap();
    }
    let both = [running.connect_quic("doq").unwrap(), running.connect_quic("doq").unwrap()];
    assert_eq!(answers(&ask(&running, &both[1], &question(0, "www.example.org", 1))), 2);
    assert!(running.connect_quic("doq").is_err(), "a third is over its share");
    running.until(|view| view.refused == 1 && view.open == 2);
}
