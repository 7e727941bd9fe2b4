//! RFC 1996: Prompt Notification of Zone Changes (NOTIFY).

use crate::transfers::{FRIEND, NOW, PRIMARY, STRANGER, Server, notice, query, signed, version};
use meridian::{
    model::Serial,
    server::{Notice, Transport},
};

fn server() -> Server {
    Server::new(&[version(1, "")])
}

#[test]
fn s3_a_notice_from_the_primary_is_answered_with_its_id_and_heeded() {
    let mut server = server();
    let packet = notice("elsewhere.test", Some(7));
    let answer = server.all(&packet, PRIMARY, Transport::Udp).remove(0);
    assert_eq!(answer[..2], packet[..2]);
    assert_eq!(answer[2..4], [0xa4, 0], "QR, NOTIFY, AA; NOERROR");
    assert_eq!(answer[12..], packet[12..12 + answer.len() - 12], "the question alone");
    let zone = crate::battery::name("elsewhere.test");
    assert_eq!(
        server.notices.try_recv(),
        Ok(Notice { zone: zone.clone(), serial: Some(Serial(7)) })
    );
    server.all(&notice("elsewhere.test", None), PRIMARY, Transport::Udp);
    assert_eq!(server.notices.try_recv(), Ok(Notice { zone, serial: None }));
}

#[test]
fn s3_10_a_notice_from_elsewhere_is_refused_unless_the_key_signs_it() {
    let mut server = server();
    let packet = notice("elsewhere.test", Some(7));
    assert_eq!(server.one(&packet, STRANGER, Transport::Udp).rcode, 5);
    assert!(server.notices.try_recv().is_err());
    let (packet, mut checker) = signed(packet, NOW);
    let answer = server.all(&packet, STRANGER, Transport::Udp).remove(0);
    let rows = meridian::transfer::read_response(&answer).unwrap();
    assert_eq!((rows.rcode, rows.opcode), (0, 4));
    assert_eq!(checker.check(&answer, rows.tsig, NOW.into()), Ok(()));
    assert!(server.notices.try_recv().is_ok());
}

#[test]
fn s3_12_a_zone_that_we_do_not_follow_is_notauth() {
    let mut server = server();
    for zone in ["z.test", "example.net"] {
        assert_eq!(server.one(&notice(zone, None), PRIMARY, Transport::Udp).rcode, 9);
    }
    assert!(server.notices.try_recv().is_err());
}

#[test]
fn s3_6_a_notice_of_another_type_is_malformed() {
    let mut packet = query("elsewhere.test", 1);
    packet[2] = 0x24;
    assert_eq!(server().one(&packet, PRIMARY, Transport::Udp).rcode, 1);
    assert_eq!(server().one(&packet, FRIEND, Transport::Tcp).rcode, 1);
}
