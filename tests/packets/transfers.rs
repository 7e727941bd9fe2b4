//! Answers of many messages over one connection, and what happens beside them.

use super::{sockets::*, *};
use meridian::server::{Messages, Next, Stamp};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Answers a transfer with so many messages of a size, each numbered; counts what was made.
struct Long {
    zones: ZoneSet,
    messages: usize,
    octets: usize,
    aborts: bool,
    made: Arc<AtomicUsize>,
}

impl Answers for Long {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.zones.answer(question, client, encode)
    }

    fn transfer(&self, packet: &[u8], _: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        let (left, made) = (self.messages, self.made.clone());
        let (octets, aborts) = (self.octets, self.aborts);
        Some(Box::new(Part { head: packet[..12].to_vec(), left, octets, aborts, made }))
    }
}

struct Part {
    head: Vec<u8>,
    left: usize,
    octets: usize,
    aborts: bool,
    made: Arc<AtomicUsize>,
}

impl Messages for Part {
    fn next(&mut self, _: Stamp, out: &mut Vec<u8>) -> Next {
        assert!(out.is_empty());
        let Some(left) = self.left.checked_sub(1) else {
            return if self.aborts { Next::Abort } else { Next::End };
        };
        self.left = left;
        self.made.fetch_add(1, Relaxed);
        out.extend_from_slice(&self.head);
        out[2] |= 0x80;
        out.resize(self.octets, 0);
        Next::Message
    }
}

fn start_long(
    messages: usize,
    octets: usize,
    aborts: bool,
    limits: Limits,
) -> (Running, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let who = Long { zones: zones(), messages, octets, aborts, made: made.clone() };
    (start_with(who, &["127.0.0.1:0"], limits, 2), made)
}

fn axfr(id: u8) -> Vec<u8> {
    let mut packet = question("example.org", 252);
    packet[1] = id;
    packet
}

#[test]
fn a_transfer_comes_whole_and_leaves_other_queries_their_turns() {
    let (running, _) = start_long(200, 60_000, false, Limits::default());
    let mut stream = connect(&running);
    stream
        .write_all(&[framed(&axfr(7)), framed(&question("www.example.org", 1))].concat())
        .unwrap();
    let mut order = Vec::new();
    while order.len() < 201 {
        let answer = read(&mut stream).unwrap();
        assert_eq!(answer.len() == 60_000, answer[1] == 7);
        order.push(answer[1]);
    }
    let at = order.iter().position(|id| *id != 7).unwrap();
    assert!(at < 5, "the other answer came after {at} messages of the transfer");
    // The connection goes on.
    stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
    assert_eq!(answers(&read(&mut stream).unwrap()), 1);
    let view = running.stats.view();
    assert_eq!((view.tcp, view.overdue), (202, 0));
}

#[test]
fn two_transfers_on_one_connection_take_turns() {
    let (running, _) = start_long(50, 20_000, false, Limits::default());
    let mut stream = connect(&running);
    stream.write_all(&[framed(&axfr(1)), framed(&axfr(2))].concat()).unwrap();
    let order: Vec<_> = (0..100).map(|_| read(&mut stream).unwrap()[1]).collect();
    assert!(order.chunks(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[test]
fn half_a_close_still_brings_the_whole_transfer() {
    let (running, _) = start_long(100, 30_000, false, Limits::default());
    let mut stream = connect(&running);
    stream.write_all(&framed(&axfr(1))).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!((0..100).all(|_| read(&mut stream).is_some_and(|part| part.len() == 30_000)));
    assert_eq!(read(&mut stream), None);
}

#[test]
fn a_transfer_that_cannot_go_on_closes_the_connection() {
    let (running, _) = start_long(3, 1_000, true, Limits::default());
    let mut stream = connect(&running);
    stream.write_all(&framed(&axfr(1))).unwrap();
    assert!((0..3).all(|_| read(&mut stream).is_some()));
    assert_eq!(read(&mut stream), None);
}

#[test]
fn a_secondary_that_does_not_read_costs_little_and_is_closed() {
    let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
    let (running, made) = start_long(100_000, 60_000, false, limits);
    let mut stream = connect(&running);
    stream.write_all(&framed(&axfr(1))).unwrap();
    while running.stats.view().overdue < 1 {
        std::thread::yield_now();
    }
    // What the kernel took, on both sides, and one message more.
    assert!(made.load(Relaxed) < 300, "{} messages were made", made.load(Relaxed));
    while running.stats.view().open > 0 {
        std::thread::yield_now();
    }
    let mut left = Vec::new();
    let _ = stream.read_to_end(&mut left);
}

#[test]
fn a_slow_secondary_gets_it_all_however_long_it_takes() {
    let limits = Limits { write: Duration::from_millis(500), ..Limits::default() };
    let (running, _) = start_long(300, 60_000, false, limits);
    let mut stream = connect(&running);
    stream.write_all(&framed(&axfr(1))).unwrap();
    let start = Instant::now();
    for part in 0..300 {
        assert!(read(&mut stream).is_some(), "part {part} after {:?}", start.elapsed());
        // A slow disk.
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(start.elapsed() > Duration::from_millis(1_500), "longer than any one limit");
}
