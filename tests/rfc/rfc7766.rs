//! RFC 7766: DNS over TCP, connections that are used again, and queries that do not wait.

use crate::transports::{answers, ask, connect, framed, id, question, rcode, read, start};
use meridian::server::Limits;
use std::{
    io::{Read, Write},
    net::Shutdown,
    time::{Duration, Instant},
};

#[test]
fn s6_1_1_one_connection_serves_many_queries() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    for number in 0..50 {
        let answer = ask(&mut stream, &question(number, "www.example.org", 1)).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (number, 0));
    }
    assert_eq!(running.stats.view().open, 1);
}

#[test]
fn s6_2_1_1_pipelined_queries_all_have_their_answers() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    // More than may be in flight: what is over waits to be read.
    let all: Vec<u8> =
        (0..1_000).flat_map(|number| framed(&question(number, "www.example.org", 1))).collect();
    stream.write_all(&all).unwrap();
    let mut ids: Vec<_> = (0..1_000).map(|_| id(&read(&mut stream).unwrap())).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn s6_2_1_1_a_long_answer_does_not_hold_up_the_others() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    let both =
        [framed(&question(7, "example.org", 252)), framed(&question(8, "www.example.org", 1))];
    stream.write_all(&both.concat()).unwrap();
    let mut ids: Vec<_> = (0..4).map(|_| id(&read(&mut stream).unwrap())).collect();
    ids.sort_unstable();
    assert_eq!(ids, [7, 7, 7, 8]);
}

#[test]
fn s6_2_3_an_idle_connection_is_closed_in_order() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let running = start(limits);
    let mut stream = connect(running.tcp);
    assert!(ask(&mut stream, &question(1, "www.example.org", 1)).is_some());
    let start = Instant::now();
    let mut rest = Vec::new();
    // The end of a stream, not a reset.
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);
    assert!((200..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    running.until(|view| view.overdue == 1 && view.open == 0);
}

#[test]
fn s6_2_3_a_busy_connection_is_not_idle() {
    let limits = Limits { idle: Duration::from_millis(400), ..Limits::default() };
    let running = start(limits);
    let mut stream = connect(running.tcp);
    for number in 0..20 {
        assert!(ask(&mut stream, &question(number, "www.example.org", 1)).is_some());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn s6_2_3_under_pressure_idle_connections_go_sooner() {
    let limits = Limits {
        connections: 8,
        idle: Duration::from_secs(60),
        idle_pressed: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = start(limits);
    let mut open: Vec<_> = (0..6).map(|_| connect(running.tcp)).collect();
    for stream in &mut open {
        assert!(ask(stream, &question(1, "www.example.org", 1)).is_some());
    }
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(running.stats.view().open, 6, "three quarters are no pressure");
    let mut seventh = connect(running.tcp);
    assert!(ask(&mut seventh, &question(1, "www.example.org", 1)).is_some());
    running.until(|view| view.overdue >= 6);
    assert_eq!(read(&mut open[0]), None);
}

#[test]
fn s6_2_4_half_a_close_still_brings_all_answers() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    let all: Vec<u8> =
        (0..500).flat_map(|number| framed(&question(number, "www.example.org", 1))).collect();
    stream.write_all(&all).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!((0..500).all(|number| read(&mut stream).is_some_and(|one| id(&one) == number)));
    assert_eq!(read(&mut stream), None);
    running.until(|view| view.open == 0);
}

#[test]
fn s8_length_and_message_may_come_in_any_pieces() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    stream.set_nodelay(true).unwrap();
    let packet = framed(&question(1, "www.example.org", 1));
    for cut in [1, 2, 3, 14, packet.len() - 1] {
        stream.write_all(&packet[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(&packet[cut..]).unwrap();
        assert_eq!(answers(&read(&mut stream).unwrap()), 2, "cut at {cut}");
    }
    // One message and a half, then the rest.
    let half = packet.len() / 2;
    stream.write_all(&[&packet[..], &packet[..half]].concat()).unwrap();
    assert!(read(&mut stream).is_some());
    stream.write_all(&packet[half..]).unwrap();
    assert!(read(&mut stream).is_some());
}

#[test]
fn s8_messages_of_all_lengths_up_to_65535_are_read() {
    let running = start(Limits::default());
    let mut stream = connect(running.tcp);
    for length in [65_535, 4_094, 4_095, 8_190, 12, 65_535] {
        let mut packet = question(3, "www.example.org", 1);
        packet.resize(length, 0);
        let answer = ask(&mut stream, &packet).unwrap();
        // What stands behind the message is an error, but it was read to its end.
        assert_eq!((id(&answer), rcode(&answer)), (3, 1), "{length}");
    }
    assert_eq!(answers(&ask(&mut stream, &question(4, "www.example.org", 1)).unwrap()), 2);
}

#[test]
fn s10_a_message_that_trickles_in_is_not_waited_for() {
    let limits = Limits { message: Duration::from_millis(300), ..Limits::default() };
    let running = start(limits);
    let mut stream = connect(running.tcp);
    assert!(ask(&mut stream, &question(1, "www.example.org", 1)).is_some());
    let (packet, start) = (framed(&question(2, "www.example.org", 1)), Instant::now());
    // Each octet in time does not make the message so.
    for octet in &packet {
        if stream.write_all(&[*octet]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(read(&mut stream), None);
    assert!(start.elapsed() < Duration::from_secs(5));
    running.until(|view| view.overdue == 1);
}
