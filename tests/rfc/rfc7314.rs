//! RFC 7314: EDNS EXPIRE, so that a copy of a copy ends when the first one does.

use crate::{
    transfers::{
        AXFR, FRIEND, IXFR, KEY, NOW, SOA, Server, ixfr, key, listen, name, query, version,
    },
    transports::with_options,
};
use meridian::{
    model::Serial,
    replica::{Fetched, fetch},
    server::Transport,
    transfer::{Expire, Primary, read_response},
};

const ASKED: [u8; 4] = [0, 9, 0, 0];
/// As the zone's SOA has it.
const WHOLE: Expire = Expire::Left(86_400);

fn told(server: &Server, packet: &[u8], transport: Transport) -> Expire {
    let all = server.all(packet, FRIEND, transport);
    let said: Vec<Expire> = all.iter().map(|own| read_response(own).unwrap().expire).collect();
    assert!(said[1..].iter().all(|own| *own == Expire::Silent), "said once: {said:?}");
    said[0]
}

fn server() -> Server {
    Server::new(&[version(1, ""), version(2, "www A 192.0.2.80\n")])
}

#[test]
fn s2_it_is_told_to_those_who_ask_for_it_alone() {
    for (packet, transport) in [
        (query("z.test", SOA), Transport::Udp),
        (query("z.test", AXFR), Transport::Tcp),
        (ixfr(1), Transport::Tcp),
        (ixfr(1), Transport::Udp),
    ] {
        assert_eq!(told(&server(), &packet, transport), Expire::Silent);
        let opt = with_options(packet.clone(), &[]);
        assert_eq!(told(&server(), &opt, transport), Expire::Silent);
        let asked = with_options(packet, &ASKED);
        assert_eq!(told(&server(), &asked, transport), WHOLE, "over {transport:?}");
    }
}

#[test]
fn s2_it_is_told_with_soa_axfr_and_ixfr_alone() {
    for (zone, rtype) in [("z.test", 2), ("ns.z.test", 1), ("ns.z.test", SOA), ("q.z.test", SOA)] {
        let packet = with_options(query(zone, rtype), &ASKED);
        assert_eq!(told(&server(), &packet, Transport::Udp), Expire::Silent, "{zone} {rtype}");
    }
    let elsewhere = with_options(query("other.test", SOA), &ASKED);
    assert_eq!(told(&server(), &elsewhere, Transport::Udp), Expire::Silent);
    let mut refused =
        server().all(&with_options(query("z.test", AXFR), &ASKED), "192.0.2.9", Transport::Tcp);
    assert_eq!(read_response(&refused.remove(0)).unwrap().expire, Expire::Silent);
}

#[test]
fn s3_1_a_primary_tells_what_its_soa_says() {
    let server = server();
    assert_eq!(told(&server, &with_options(query("z.test", SOA), &ASKED), Transport::Tcp), WHOLE);
}

#[test]
fn s3_2_a_secondary_tells_what_is_left() {
    let server = server();
    for (left, expected) in [(100, 100), (1, 1), (0, 0), (90_000, 86_400)] {
        server.transfers.expire([(name("z.test").key(), u64::from(NOW) + left)].into());
        for (packet, transport) in [
            (query("z.test", SOA), Transport::Udp),
            (query("z.test", AXFR), Transport::Tcp),
            (ixfr(1), Transport::Udp),
        ] {
            let asked = with_options(packet, &ASKED);
            assert_eq!(told(&server, &asked, transport), Expire::Left(expected));
        }
    }
    server.transfers.expire([(name("z.test").key(), 1)].into());
    let asked = with_options(query("z.test", SOA), &ASKED);
    assert_eq!(told(&server, &asked, Transport::Udp), Expire::Left(0), "long over");
}

#[test]
fn s4_a_secondary_asks_for_it_and_hears_it() {
    let own = server();
    own.transfers.expire([(name("z.test").key(), u64::from(NOW) + 500)].into());
    let primary = Primary { address: listen(own), key: Some(name(KEY)), tls: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |have: Option<u32>| {
        let have = have.map(|serial| version(serial, ""));
        let (key, apex) = (key(), name("z.test"));
        let fetched = fetch(&primary, Some(&key), &apex, have.as_ref(), || NOW.into());
        runtime.block_on(fetched).unwrap()
    };
    for have in [None, Some(1)] {
        let Fetched::Newer(zone, left) = ask(have) else { panic!("there is a newer one") };
        assert_eq!((zone.serial(), left), (Serial(2), Some(500)));
    }
    let Fetched::Current(numbers, left) = ask(Some(2)) else { panic!("there is no newer one") };
    assert_eq!((numbers[3], left), (86_400, Some(500)));
}

#[test]
fn s2_an_ixfr_query_is_read_whatever_else_its_opt_has() {
    let packet = with_options(query("z.test", IXFR), &[0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 0]);
    let rows = server().one(&packet, FRIEND, Transport::Udp);
    assert_eq!((rows.rcode, rows.expire), (1, Expire::Silent), "without an SOA it is malformed");
}
