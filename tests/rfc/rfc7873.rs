//! RFC 7873: cookies, as a server takes and gives them.

use crate::wire::{BADCOOKIE, COOKIE, FORMERR, NOERROR, NSID, Packet, Server, hex, query, server};
use meridian::server::{Cookies, Limiter, Rates, Secrets, Transport, Worth};

const CLIENT: &str = "2464c4abcf10c957";
const GOOD: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
const BAD: &str = "2464c4abcf10c957010000005cf79f110000000000000000";

fn cookies(require: bool) -> Server {
    let mut server = server();
    let secrets = Secrets::parse("e5e973e5a6b2a43f48e7dc849e37bfcf").unwrap();
    server.guard.cookies = Some(Cookies::new(secrets, require));
    server
}

fn with(cookie: &str) -> Packet {
    query("www.example.org A").option(COOKIE, &hex(cookie))
}

#[test]
fn s5_2_1_without_the_option_all_is_as_without_cookies() {
    for server in [cookies(false), cookies(true)] {
        for packet in [query("www.example.org A"), query("www.example.org A").edns(1_232)] {
            let told = server.ask(&packet);
            assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
            assert_eq!((told.option(COOKIE), told.notes.cookie), (None, None));
        }
    }
}

#[test]
fn s5_2_2_lengths_other_than_8_and_16_to_40_are_formerr() {
    for length in 0..=60 {
        let packet = query("www.example.org A").option(COOKIE, &vec![7; length]);
        let expected = if length == 8 || (16..=40).contains(&length) { NOERROR } else { FORMERR };
        assert_eq!(cookies(false).ask(&packet).rcode(), expected, "{length}");
    }
}

#[test]
fn s5_2_3_a_client_cookie_alone_brings_a_server_cookie() {
    let told = cookies(false).ask(&with(CLIENT));
    assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
    assert_eq!((told.cookie().as_str(), told.notes.cookie), (GOOD, Some(Worth::New)));
}

#[test]
fn s5_2_3_where_cookies_are_required_it_brings_badcookie_over_udp_only() {
    let told = cookies(true).ask(&with(CLIENT));
    assert_eq!((told.rcode(), told.answers()), (BADCOOKIE, 0));
    assert_eq!(told.cookie(), GOOD);
    for transport in [Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic] {
        let told = cookies(true).over(transport).ask(&with(CLIENT));
        assert_eq!((told.rcode(), told.cookie().as_str()), (NOERROR, GOOD));
    }
}

#[test]
fn s5_2_4_a_bad_server_cookie_is_as_none_and_brings_a_good_one() {
    for bad in [BAD, "2464c4abcf10c9570102030405060708", &format!("{CLIENT}{}", "ab".repeat(32))] {
        let told = cookies(false).ask(&with(bad));
        assert_eq!((told.rcode(), told.answers(), told.cookie().as_str()), (NOERROR, 1, GOOD));
        assert_eq!(told.notes.cookie, Some(Worth::Bad));
        let told = cookies(true).ask(&with(bad));
        assert_eq!((told.rcode(), told.answers(), told.cookie().as_str()), (BADCOOKIE, 0, GOOD));
    }
}

#[test]
fn s5_2_5_a_good_server_cookie_is_answered_with_itself() {
    let told = cookies(true).ask(&with(GOOD));
    assert_eq!((told.rcode(), told.answers(), told.cookie().as_str()), (NOERROR, 1, GOOD));
    assert_eq!(told.notes.cookie, Some(Worth::Good));
}

#[test]
fn s5_2_of_two_cookies_the_first_counts() {
    let packet = with(CLIENT).option(COOKIE, &[9; 8]).option(COOKIE, &[]);
    assert_eq!(cookies(false).ask(&packet).cookie(), GOOD);
}

#[test]
fn s5_2_errors_bring_a_cookie_too() {
    for question in ["nowhere.example.org A", "www.example.net A", "example.org AXFR"] {
        let packet = query(question).option(COOKIE, &hex(CLIENT));
        assert_eq!(cookies(false).ask(&packet).cookie(), GOOD, "{question}");
    }
}

#[test]
fn s5_4_a_cookie_may_be_asked_about_without_a_question() {
    for (sent, rcode) in [(CLIENT, NOERROR), (GOOD, NOERROR), (BAD, BADCOOKIE)] {
        let told = cookies(false).ask(&with(sent).bare());
        assert_eq!((told.rcode(), told.cookie().as_str()), (rcode, GOOD));
        assert_eq!(told.octets[4..12], [0, 0, 0, 0, 0, 0, 0, 1]);
    }
    // Without cookies, or a cookie, a query must have its question.
    assert_eq!(server().ask(&with(CLIENT).bare()).rcode(), FORMERR);
    let packet = query("www.example.org A").option(NSID, &[]).bare();
    assert_eq!(cookies(false).ask(&packet).rcode(), FORMERR);
}

#[test]
fn s5_a_server_without_cookies_ignores_the_option_as_any_unknown_one() {
    let told = server().ask(&with(BAD));
    assert_eq!((told.rcode(), told.answers(), told.options()), (NOERROR, 1, vec![]));
}

#[test]
fn s5_2_5_who_has_a_good_cookie_is_not_limited() {
    let mut server = cookies(false);
    server.guard.limiter = Some(Limiter::new(Rates { slip: 0, ..Rates::default() }, [1; 16]));
    let answered =
        |packet: &Packet| (0..1_000).filter(|_| server.try_ask(packet).is_some()).count();
    assert_eq!(answered(&with(GOOD)), 1_000);
    assert_eq!(answered(&with(BAD)), 125);
    assert_eq!(answered(&with(CLIENT)), 0);
    assert_eq!(answered(&query("www.example.org A")), 0);
}

#[test]
fn s5_2_3_what_the_limiter_lets_slip_tells_a_client_with_a_cookie_to_come_back_with_ours() {
    let mut server = cookies(false);
    server.guard.limiter =
        Some(Limiter::new(Rates { rate: 1, slip: 1, ..Rates::default() }, [1; 16]));
    (0..2).for_each(|_| assert_eq!(server.ask(&with(CLIENT)).rcode(), NOERROR));
    let slipped = server.ask(&with(CLIENT));
    assert_eq!((slipped.rcode(), slipped.truncated(), slipped.answers()), (BADCOOKIE, false, 0));
    assert_eq!(server.ask(&with(&slipped.cookie())).rcode(), NOERROR);
}
