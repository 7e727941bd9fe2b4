//! Packets as strangers send them, over real sockets: what is answered, dropped and bounded.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

use meridian::{
    model::Name,
    records::{self, Answer, Client, Question, ZoneSet},
    server::{self, Answers, Limits, Listen, Reply, Stats, Transport},
};
use proptest::prelude::*;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Zones(ZoneSet);

impl Answers for Zones {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        encode(&records::lookup(&self.0, question, client))
    }
}

fn zones() -> Zones {
    let apex: Name = "example.org".parse().unwrap();
    let mut text = String::from(
        "$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n\
         alias CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.54\n",
    );
    (0..60).for_each(|n| text.push_str(&format!("big A 198.51.100.{n}\n")));
    (0..20).for_each(|n| text.push_str(&format!("mx MX {n} mail{n}.far.example.net.\n")));
    let parsed = records::parse_master(&apex, "t", &text, &mut records::no_includes).unwrap();
    Zones(parsed.zone.into())
}

/// A server on a free loopback port; goes when dropped.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    stats: Arc<Stats>,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn start(limits: Limits) -> Running {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let listen = Listen { addresses: vec!["127.0.0.1:0".parse().unwrap()], workers: 1, limits };
    let bound = server::bind(&listen).unwrap();
    let address = bound.local_addrs()[0];
    let (shutdown, stats) = (CancellationToken::new(), Arc::new(Stats::default()));
    let _guard = runtime.enter();
    server::serve(bound, &Arc::new(zones()), &stats, &TaskTracker::new(), &shutdown).unwrap();
    drop(_guard);
    Running { address, shutdown, stats, _runtime: runtime }
}

fn respond(packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let from = "127.0.0.1".parse().unwrap();
    match server::respond(&zones(), packet, from, Transport::Udp, &mut out) {
        Reply::Send { .. } => Some(out),
        Reply::Drop(_) => None,
    }
}

fn question(name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

fn with_opt(mut packet: Vec<u8>, size: u16, version: u8, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    packet.extend_from_slice(&[0, 0, 41]);
    packet.extend_from_slice(&size.to_be_bytes());
    packet.extend_from_slice(&[0, version, 0x80, 0]);
    packet.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

fn rcode(answer: &[u8]) -> u8 {
    answer[3] & 0x0f
}

fn truncated(answer: &[u8]) -> bool {
    answer[2] & 2 != 0
}

fn answers(answer: &[u8]) -> u16 {
    u16::from_be_bytes([answer[6], answer[7]])
}

mod one_packet {
    use super::*;

    #[test]
    fn shorter_than_a_header_is_dropped() {
        assert_eq!(respond(b""), None);
        assert_eq!(respond(&question("www.example.org", 1)[..11]), None);
    }

    #[test]
    fn a_response_is_dropped() {
        let mut packet = question("www.example.org", 1);
        packet[2] |= 0x80;
        assert_eq!(respond(&packet), None);
    }

    #[test]
    fn question_counts_other_than_one_are_formerr() {
        for count in [[0, 0], [0, 2], [0xff, 0xff]] {
            let mut packet = question("www.example.org", 1);
            packet[4..6].copy_from_slice(&count);
            let answer = respond(&packet).unwrap();
            assert_eq!((rcode(&answer), answer.len()), (1, 12));
        }
    }

    #[test]
    fn compression_loops_in_a_question_are_formerr() {
        // To itself, forward, and two that point at each other.
        for name in
            [&[0xc0, 12][..], &[0xc0, 14, 0, 0], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12]]
        {
            let mut packet = question("example.org", 1)[..12].to_vec();
            packet.extend_from_slice(name);
            packet.extend_from_slice(&[0, 1, 0, 1]);
            assert_eq!(rcode(&respond(&packet).unwrap()), 1, "{name:?}");
        }
    }

    #[test]
    fn names_may_have_255_octets_and_no_more() {
        let label = [&[62][..], &[b'x'; 62]].concat();
        let wire = |last: usize| {
            let mut packet = question("example.org", 1)[..12].to_vec();
            (0..3).for_each(|_| packet.extend_from_slice(&label));
            packet.push(u8::try_from(last).unwrap());
            packet.extend_from_slice(&vec![b'y'; last]);
            packet.extend_from_slice(&[0, 0, 1, 0, 1]);
            packet
        };
        assert_eq!(rcode(&respond(&wire(63)).unwrap()), 5);
        let mut long = wire(63);
        long.splice(12..12, [1, b'z']);
        assert_eq!(rcode(&respond(&long).unwrap()), 1);
    }

    #[test]
    fn other_opcodes_are_notimp() {
        let mut packet = question("www.example.org", 1);
        packet[2] = 5 << 3;
        assert_eq!(rcode(&respond(&packet).unwrap()), 4);
    }

    #[test]
    fn transfers_and_other_classes_are_refused_and_meta_types_are_errors() {
        assert_eq!(rcode(&respond(&question("example.org", 252)).unwrap()), 5);
        assert_eq!(rcode(&respond(&question("example.org", 41)).unwrap()), 1);
        let mut chaos = question("version.bind", 16);
        let end = chaos.len();
        chaos[end - 1] = 3;
        assert_eq!(rcode(&respond(&chaos).unwrap()), 5);
    }

    #[test]
    fn the_question_comes_back_in_its_case_and_rd_and_cd_as_they_were() {
        let mut packet = question("wWw.ExAmPlE.oRg", 1);
        packet[3] = 0x70;
        let answer = respond(&packet).unwrap();
        assert_eq!(answer[12..packet.len()], packet[12..]);
        assert_eq!((answer[2], answer[3]), (0x85, 0x10));
        assert_eq!(answers(&answer), 1);
    }

    #[test]
    fn opt_is_answered_only_where_it_was_sent_and_survives_truncation() {
        assert_eq!(respond(&question("www.example.org", 1)).unwrap()[11], 0);
        let cut = respond(&with_opt(question("big.example.org", 1), 512, 0, &[])).unwrap();
        assert!(truncated(&cut) && cut.len() <= 512);
        assert_eq!((cut[11], answers(&cut)), (1, 0), "whole rrsets or none");
        assert_eq!(cut[cut.len() - 11..cut.len() - 6], [0, 0, 41, 4, 208]);
        let plain = respond(&question("big.example.org", 1)).unwrap();
        assert!(truncated(&plain) && plain.len() <= 512);
        let large = respond(&with_opt(question("big.example.org", 1), 65_535, 0, &[])).unwrap();
        assert!(!truncated(&large) && large.len() <= 1232 && answers(&large) == 60);
        let small = respond(&with_opt(question("www.example.org", 1), 0, 0, &[])).unwrap();
        assert_eq!((truncated(&small), answers(&small)), (false, 1));
    }

    #[test]
    fn a_later_edns_version_is_badvers_without_an_answer() {
        let answer = respond(&with_opt(question("www.example.org", 1), 1232, 1, &[])).unwrap();
        assert_eq!((rcode(&answer), answers(&answer)), (0, 0));
        let opt = &answer[answer.len() - 11..];
        assert_eq!((opt[5], opt[6]), (1, 0), "extended rcode 16, version 0");
    }

    #[test]
    fn two_opts_or_a_broken_option_are_formerr_and_unknown_options_are_ignored() {
        let two = with_opt(with_opt(question("www.example.org", 1), 512, 0, &[]), 512, 0, &[]);
        assert_eq!(rcode(&respond(&two).unwrap()), 1);
        let broken = with_opt(question("www.example.org", 1), 512, 0, &[0, 10, 0, 9, 1]);
        assert_eq!(rcode(&respond(&broken).unwrap()), 1);
        let unknown = with_opt(question("www.example.org", 1), 512, 0, &[0xfd, 1, 0, 1, 7]);
        assert_eq!(rcode(&respond(&unknown).unwrap()), 0);
    }

    #[test]
    fn octets_behind_the_message_are_formerr() {
        let mut packet = question("www.example.org", 1);
        packet.push(0);
        assert_eq!(rcode(&respond(&packet).unwrap()), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn no_octets_panic_and_an_answer_fits_and_bears_the_id(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(answer) = respond(&packet) {
                prop_assert!(answer.len() <= 1232);
                prop_assert_eq!(&answer[..2], &packet[..2]);
                prop_assert!(answer[2] & 0x80 != 0);
            }
        }

        #[test]
        fn a_damaged_query_never_panics(at in 0_usize..60, octet in any::<u8>()) {
            let mut packet = with_opt(question("alias.example.org", 1), 1232, 0, &[0, 8, 0, 4, 0, 0, 0, 0]);
            let at = at % packet.len();
            packet[at] = octet;
            respond(&packet);
        }

        #[test]
        fn every_answer_is_read_back_by_another_parser(
            name in proptest::sample::select(vec![
                "www", "alias", "big", "mx", "sub", "x.sub", "nothing", "ns1", "@",
            ]),
            rtype in proptest::sample::select(vec![1_u16, 2, 5, 6, 15, 16, 28, 43, 255]),
            size in 0_u16..2_000,
        ) {
            let full = if name == "@" { "example.org".to_owned() } else { format!("{name}.example.org") };
            let answer = respond(&with_opt(question(&full, rtype), size, 0, &[])).unwrap();
            let message = hickory_proto::op::Message::from_vec(&answer).unwrap();
            prop_assert_eq!(message.queries[0].name().to_string(), format!("{full}."));
            prop_assert!(message.edns.is_some());
        }
    }
}

mod over_sockets {
    use super::*;

    fn connect(running: &Running) -> TcpStream {
        let stream = TcpStream::connect(running.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn framed(packet: &[u8]) -> Vec<u8> {
        [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
    }

    fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    }

    #[test]
    fn dig_and_kdig_get_their_answers_over_udp_and_tcp() {
        let running = start(Limits::default());
        let port = running.address.port().to_string();
        for (program, more) in
            [("dig", vec![]), ("dig", vec!["+tcp"]), ("kdig", vec![]), ("kdig", vec!["+tcp"])]
        {
            let output = Command::new(program)
                .args(["@127.0.0.1", "-p", &port, "+short", "+noedns", "alias.example.org", "A"])
                .args(&more)
                .output();
            let Ok(output) = output else {
                assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
                eprintln!("SKIPPED: {program} is not installed");
                continue;
            };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(text.lines().last(), Some("192.0.2.1"), "{program} {more:?}: {text}");
        }
    }

    #[test]
    fn strange_datagrams_leave_the_server_answering() {
        let running = start(Limits::default());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.connect(running.address).unwrap();
        for packet in [&[][..], &[0; 11], &[0xff; 65_507], &[0xff; 12]] {
            socket.send(packet).unwrap();
        }
        socket.send(&question("www.example.org", 1)).unwrap();
        let mut buffer = [0; 2_000];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            if buffer[..2] == [0xab, 0xcd] {
                assert_eq!(answers(&buffer[..length]), 1);
                return;
            }
        }
    }

    #[test]
    fn fifty_queries_in_one_write_are_fifty_answers_in_order() {
        let running = start(Limits::default());
        let mut stream = connect(&running);
        let mut all = Vec::new();
        for id in 0..50_u8 {
            let mut packet = question("big.example.org", 1);
            packet[1] = id;
            all.extend(framed(&packet));
        }
        stream.write_all(&all).unwrap();
        for id in 0..50_u8 {
            let answer = read(&mut stream).unwrap();
            assert_eq!((answer[1], answers(&answer), truncated(&answer)), (id, 60, false));
        }
        assert!(running.stats.view().tcp >= 50);
    }

    #[test]
    fn a_message_in_single_octets_is_one_message_and_half_a_close_is_in_order() {
        let running = start(Limits::default());
        let mut stream = connect(&running);
        stream.set_nodelay(true).unwrap();
        for octet in framed(&question("www.example.org", 1)) {
            stream.write_all(&[octet]).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(answers(&read(&mut stream).unwrap()), 1);
        assert_eq!(read(&mut stream), None);
    }

    #[test]
    fn noise_over_tcp_costs_its_own_connection_alone() {
        let running = start(Limits::default());
        let mut noisy = connect(&running);
        let _ = noisy.write_all(&framed(&[0x5a; 65_535]));
        let answer = read(&mut noisy).unwrap();
        assert_eq!(answer[3] & 0x0f, 4);
        let mut short = connect(&running);
        short.write_all(&[0, 0]).unwrap();
        assert_eq!(read(&mut short), None);
        let mut good = connect(&running);
        good.write_all(&framed(&question("www.example.org", 1))).unwrap();
        assert_eq!(answers(&read(&mut good).unwrap()), 1);
    }

    #[test]
    fn a_client_that_sends_nothing_or_half_a_message_is_closed_in_time() {
        let short = Duration::from_millis(200);
        let limits = Limits { first: short, message: short, idle: short, ..Limits::default() };
        let running = start(limits);
        let mut silent = connect(&running);
        let mut half = connect(&running);
        half.write_all(&[0, 40, 1, 2]).unwrap();
        let start = Instant::now();
        assert_eq!((read(&mut silent), read(&mut half)), (None, None));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_client_that_never_reads_is_closed() {
        let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
        let running = start(limits);
        let mut stream = connect(&running);
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let query = framed(&question("big.example.org", 1)).repeat(1_000);
        let deadline = Instant::now() + Duration::from_secs(30);
        while stream.write_all(&query).is_ok() {
            assert!(Instant::now() < deadline, "the server read on without end");
        }
    }

    #[test]
    fn one_client_gets_its_share_of_connections_and_the_longest_idle_goes_first() {
        let running = start(Limits { per_client: 2, ..Limits::default() });
        let (_a, _b) = (connect(&running), connect(&running));
        let mut third = connect(&running);
        assert_eq!(read(&mut third), None);

        let running = start(Limits { connections: 2, ..Limits::default() });
        let (mut a, mut b) = (connect(&running), connect(&running));
        let query = framed(&question("www.example.org", 1));
        b.write_all(&query).unwrap();
        read(&mut b).unwrap();
        a.write_all(&query).unwrap();
        read(&mut a).unwrap();
        let mut c = connect(&running);
        c.write_all(&query).unwrap();
        assert!(read(&mut c).is_some());
        assert_eq!(read(&mut b), None, "b was idle longest");
        a.write_all(&query).unwrap();
        assert!(read(&mut a).is_some());
    }

    #[test]
    fn a_taken_port_is_an_error_that_says_what_to_do() {
        let running = start(Limits::default());
        let listen =
            Listen { addresses: vec![running.address], workers: 1, limits: Limits::default() };
        let error = server::bind(&listen).unwrap_err().to_string();
        assert!(error.contains(&running.address.to_string()), "{error}");
        assert!(error.contains("--dns-listen") && error.contains("another program"), "{error}");
    }
}
