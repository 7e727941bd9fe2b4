//! RFC 9018: server cookies that all implementations make alike.

use crate::wire::{BADCOOKIE, COOKIE, NOERROR, Server, hex, query, server};
use meridian::server::{Cookies, Secrets, Worth};

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

/// Asks with that cookie; the one that comes back.
fn cookie(server: &Server, sent: &str) -> (Option<Worth>, String) {
    let told = server.ask(&query("www.example.org A").option(COOKIE, &hex(sent)));
    assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
    (told.notes.cookie, told.cookie())
}

#[test]
fn a_1_learning_a_new_server_cookie() {
    let server = server().secrets(SECRET).at(1_559_731_985);
    let learned = cookie(&server, "2464c4abcf10c957");
    assert_eq!(
        learned,
        (Some(Worth::New), "2464c4abcf10c957010000005cf79f111f8130c3eee29480".into())
    );
}

#[test]
fn a_2_the_same_client_learning_a_renewed_server_cookie() {
    let server = server().secrets(SECRET).at(1_559_734_385);
    let renewed = cookie(&server, "2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    assert_eq!(
        renewed,
        (Some(Worth::Good), "2464c4abcf10c957010000005cf7a871d4a564a1442aca77".into())
    );
}

#[test]
fn a_3_another_client_whose_cookie_has_reserved_bits_set() {
    // 1559734700 is more than an hour after the cookie was made (1559727985): it is replaced, as
    // the RFC's example has it, but not good any more (§4.3).
    let server = server().secrets(SECRET).from("203.0.113.203").at(1_559_734_700);
    let sent = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    let fresh = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
    assert_eq!(cookie(&server, sent), (Some(Worth::Bad), fresh.into()));
    // Within the hour its hash is found good, reserved bits and all, and replaced at once.
    let server = server.at(1_559_727_985);
    let (worth, renewed) = cookie(&server, sent);
    assert_eq!((worth, &renewed[16..32]), (Some(Worth::Good), "010000005cf78f71"));
}

#[test]
fn a_4_an_ipv6_client_after_the_secret_was_rolled_over() {
    let secrets = "445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715";
    let server =
        server().secrets(secrets).from("2001:db8:220:1:59de:d0f4:8769:82b8").at(1_559_741_961);
    let renewed = cookie(&server, "22681ab97d52c298010000005cf7c57926556bd0934c72f8");
    assert_eq!(
        renewed,
        (Some(Worth::Good), "22681ab97d52c298010000005cf7c609a6bb79d16625507a".into())
    );
}

#[test]
fn s4_3_a_cookie_is_kept_for_half_an_hour_renewed_for_another_and_bad_after() {
    let made = 1_559_731_985;
    let sent = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    for (age, worth, kept) in [
        (0, Worth::Good, true),
        (1_800, Worth::Good, true),
        (1_801, Worth::Good, false),
        (3_600, Worth::Good, false),
        (3_601, Worth::Bad, false),
        (-300, Worth::Good, true),
        (-301, Worth::Bad, false),
    ] {
        let server = server().secrets(SECRET).at(u32::wrapping_add_signed(made, age));
        let (found, back) = cookie(&server, sent);
        assert_eq!((found, back == sent), (Some(worth), kept), "{age}");
    }
}

#[test]
fn s4_a_cookie_is_of_one_address_one_client_and_one_version() {
    let sent = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    let other = |server: Server, sent: &str| cookie(&server, sent).0;
    assert_eq!(other(server().secrets(SECRET), sent), Some(Worth::Good));
    assert_eq!(
        other(server().secrets(SECRET).from("::ffff:198.51.100.100"), sent),
        Some(Worth::Good)
    );
    assert_eq!(other(server().secrets(SECRET).from("198.51.100.101"), sent), Some(Worth::Bad));
    let another = server().secrets("00000000000000000000000000000000");
    assert_eq!(other(another, sent), Some(Worth::Bad));
    for at in [0, 8, 9, 12, 23] {
        let mut octets = hex(sent);
        octets[at] ^= 1;
        let changed = data_encoding::HEXLOWER.encode(&octets);
        assert_eq!(other(server().secrets(SECRET), &changed), Some(Worth::Bad), "octet {at}");
    }
}

/// §5: first the new secret is believed everywhere, then it makes cookies, then the old one goes.
#[test]
fn s5_a_rollover_in_three_steps_makes_no_cookie_bad() {
    let (old, new) = (SECRET, "445536bcd2513298075a5d379663c962");
    let servers = || (server().secrets(old), server().secrets(old));
    let (one, two) = servers();
    let mut held = cookie(&one, "2464c4abcf10c957").1;
    let steps = [format!("{old}\n{new}"), format!("{new}\n{old}"), new.to_owned()];
    for step in &steps {
        // The servers are changed one after the other, and the client meets both in between.
        for changed in [&one, &two] {
            let cookies = changed.guard.cookies.as_ref().unwrap();
            cookies.replace(Secrets::parse(step).unwrap());
            for asked in [&two, &one] {
                let (worth, back) = cookie(asked, &held);
                assert_eq!(worth, Some(Worth::Good), "{step}");
                held = back;
            }
        }
    }
}

#[test]
fn s5_without_the_old_secret_its_cookies_are_bad() {
    let mut server = server();
    let secrets = Secrets::parse("445536bcd2513298075a5d379663c962").unwrap();
    server.guard.cookies = Some(Cookies::new(secrets, true));
    let sent = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    let told = server.ask(&query("www.example.org A").option(COOKIE, &sent));
    assert_eq!(told.rcode(), BADCOOKIE);
}
