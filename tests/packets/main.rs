//! Packets as strangers send them, over real sockets: what is answered, dropped and bounded.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

use meridian::{
    model::Name,
    records::{self, Answer, Client, Question, ZoneSet},
    server::{self, Answers, Arrival, Limits, Listen, Reply, Stats, Transport},
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

mod answers;
mod attacks;
mod budget;
mod dnstap;
mod encoding;
mod flags;
mod guarded;
mod handover;
mod privileges;
mod process;
mod secure;
mod sockets;
mod transfers;

fn zones() -> ZoneSet {
    let apex: Name = "example.org".parse().unwrap();
    let mut text = String::from(
        "$TTL 30\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n\
         alias CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.54\n",
    );
    (0..60).for_each(|n| text.push_str(&format!("big A 198.51.100.{n}\n")));
    (0..20).for_each(|n| text.push_str(&format!("mx MX {n} mail{n}.far.example.net.\n")));
    let parsed = records::parse_master(&apex, "t", &text, &mut records::no_includes).unwrap();
    parsed.zone.into()
}

/// A server on a free loopback port; goes when dropped.
struct Running {
    address: SocketAddr,
    addresses: Vec<SocketAddr>,
    shutdown: CancellationToken,
    stats: Arc<Stats>,
    tasks: TaskTracker,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn start(limits: Limits) -> Running {
    start_with(zones(), &["127.0.0.1:0"], limits, 2)
}

fn start_with<A: Answers>(who: A, on: &[&str], limits: Limits, threads: usize) -> Running {
    let addresses = on.iter().map(|address| address.parse().unwrap()).collect();
    listen(who, &Listen { limits, ..Listen::at(addresses) }, threads)
}

fn listen<A: Answers>(who: A, listen: &Listen, threads: usize) -> Running {
    serve(server::bind(listen).unwrap(), who, threads)
}

fn serve<A: Answers>(bound: server::Bound, who: A, threads: usize) -> Running {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build().unwrap();
    let addresses = bound.local_addrs();
    let (shutdown, stats) = (CancellationToken::new(), Arc::new(Stats::default()));
    let tasks = TaskTracker::new();
    let guard = runtime.enter();
    server::serve(bound, &Arc::new(who), &stats, &tasks, &shutdown).unwrap();
    drop(guard);
    Running { address: addresses[0], addresses, shutdown, stats, tasks, runtime }
}

fn respond(packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let from = "127.0.0.1".parse().unwrap();
    let arrival = Arrival::new(from, Transport::Udp);
    match server::respond(&zones(), packet, &arrival, &mut out) {
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
    fn other_opcodes_are_notimp_with_the_question_where_there_is_one() {
        for opcode in 1..16 {
            let mut packet = with_opt(question("www.example.org", 1), 1232, 0, &[]);
            packet[2] = opcode << 3;
            let answer = respond(&packet).unwrap();
            assert_eq!((rcode(&answer), answer[2]), (4, 0x80 | opcode << 3));
            assert_eq!(answer[12..packet.len() - 11], packet[12..packet.len() - 11]);
            assert_eq!((answer[5], answer[11]), (1, 1), "question and OPT come back");

            packet.truncate(14);
            let answer = respond(&packet).unwrap();
            assert_eq!((rcode(&answer), answer.len()), (4, 12), "a header is all that was read");
        }
    }

    #[test]
    fn owners_elsewhere_may_point_backwards_only_and_hold_255_octets() {
        let with_owner = |owner: &[u8]| {
            let mut packet = question("www.example.org", 1);
            packet[11] = 1;
            packet.extend_from_slice(owner);
            packet.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
            rcode(&respond(&packet).unwrap())
        };
        // The owner begins at octet 33: the question lies before it, the header holds no names.
        for (target, expected) in [(12, 0), (32, 0), (33, 1), (34, 1), (200, 1), (11, 1), (0, 1)] {
            assert_eq!(with_owner(&[0xc0, target]), expected, "pointer to {target}");
        }
        assert_eq!(with_owner(&[1, b'a', 0xc0, 33]), 1, "a pointer to its own name's start");
        assert_eq!((with_owner(&[0x40, 0]), with_owner(&[0x80, 0])), (1, 1), "no such labels");
        let long = |last: usize| {
            let mut name = [&[62][..], &[b'x'; 62]].concat().repeat(3);
            name.push(u8::try_from(last).unwrap());
            name.resize(name.len() + last, b'y');
            name.push(0);
            name
        };
        assert_eq!((long(63).len(), long(64 - 2).len()), (254, 253));
        let whole = [&[1, b'z'][..], &long(62)].concat();
        assert_eq!((whole.len(), with_owner(&whole)), (255, 0));
        let longer = [&[2, b'z', b'z'][..], &long(62)].concat();
        assert_eq!((longer.len(), with_owner(&longer)), (256, 1));
    }

    #[test]
    fn every_advertised_size_up_to_512_means_512() {
        for size in [0, 1, 11, 12, 100, 511, 512] {
            let small = respond(&with_opt(question("www.example.org", 1), size, 0, &[])).unwrap();
            assert_eq!((truncated(&small), answers(&small)), (false, 1), "{size}");
            let large = respond(&with_opt(question("big.example.org", 1), size, 0, &[])).unwrap();
            assert!(truncated(&large) && large.len() <= 512, "{size}");
        }
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
        // What a later version's options look like is not ours to judge.
        let later = with_opt(question("www.example.org", 1), 1232, 1, &[0, 10, 0, 9, 1]);
        let opt = respond(&later).unwrap();
        assert_eq!(opt[opt.len() - 6], 1, "BADVERS, not FORMERR");
    }

    #[test]
    fn two_opts_or_a_broken_option_are_formerr_and_unknown_options_are_ignored() {
        let two = with_opt(with_opt(question("www.example.org", 1), 512, 0, &[]), 512, 0, &[]);
        assert_eq!(rcode(&respond(&two).unwrap()), 1);
        let broken = with_opt(question("www.example.org", 1), 512, 0, &[0, 10, 0, 9, 1]);
        assert_eq!(rcode(&respond(&broken).unwrap()), 1);
        let unknown = with_opt(question("www.example.org", 1), 512, 0, &[0xfd, 1, 0, 1, 7]);
        let answer = respond(&unknown).unwrap();
        let opt = &answer[answer.len() - 11..];
        assert_eq!((rcode(&answer), opt[..3].to_vec()), (0, vec![0, 0, 41]));
        assert_eq!((opt[7] & 0x80, opt[9..].to_vec()), (0x80, vec![0, 0]), "DO yes, options no");
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
