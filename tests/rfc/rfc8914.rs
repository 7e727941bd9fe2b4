//! RFC 8914: what there is to say beside the response code.

use crate::{
    battery::{Dns, zone},
    transfers,
    wire::{EDE, NOERROR, NOTIMP, NSID, Packet, REFUSED, Server, query, server},
};
use meridian::{
    records::{Answer, Client, Completeness, Question, ZoneSet},
    server::{Answers, Arrival, Compiled, Compiler, Reply, Transport, respond},
    transfer::{Expire, append_opt, read_response},
};
use std::sync::Arc;

/// Code and text of the error in the answer.
fn error(server: &Server, packet: &Packet) -> Option<(u16, String)> {
    let data = server.ask(packet).option(EDE)?;
    let (code, text) = data.split_first_chunk::<2>().unwrap();
    Some((u16::from_be_bytes(*code), String::from_utf8(text.to_vec()).unwrap()))
}

fn code(server: &Server, packet: &Packet) -> Option<u16> {
    error(server, packet).map(|error| error.0)
}

/// The server's zones, of which no cluster was heard lately.
fn stale() -> Server {
    let server = server();
    let zones = server.dns.0.iter().map(|zone| {
        let mut zone = meridian::records::Zone::clone(zone);
        zone.stale = true;
        zone
    });
    Server { dns: zones.fold(Dns::default(), Dns::with), ..server }
}

#[test]
fn s4_4_an_answer_from_a_view_that_was_lost_is_stale() {
    for question in ["www.example.org A", "x.wild.example.org A", "www.example.org MX"] {
        let told = error(&stale(), &query(question).edns(1_232));
        assert_eq!(told, Some((3, "no cluster was heard lately".into())), "{question}");
    }
    let told = stale().ask(&query("www.example.org A").edns(1_232));
    assert_eq!((told.rcode(), told.answers(), told.notes.extended), (NOERROR, 1, Some(3)));
    let told = stale().ask(&query("www.example.org A"));
    assert_eq!((told.opt(), told.notes.extended), (None, None), "nothing to say it in");
    let other = error(&stale(), &query("www.example.net A").edns(1_232));
    assert_eq!(other, Some((20, String::new())), "of other zones there is nothing old to say");
}

#[test]
fn s4_20_a_denial_from_such_a_view_has_a_code_of_its_own() {
    let told = error(&stale(), &query("nowhere.example.org A").edns(1_232));
    assert_eq!(told, Some((19, "no cluster was heard lately".into())));
}

/// Answers that were put together ahead; nobody else may be asked.
struct Ahead(Arc<Compiled>);

impl Answers for Ahead {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        _: &Client,
        _: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        panic!("{question:?} was not put together ahead")
    }

    fn compiled(&self) -> Arc<Compiled> {
        self.0.clone()
    }
}

#[test]
fn s4_4_answers_put_together_ahead_say_the_same_from_the_moment_on() {
    let (fresh, old) = (server().dns.0, stale().dns.0);
    let mut compiler = Compiler::default();
    for zones in [&fresh, &old, &fresh] {
        let ahead = Ahead(Arc::new(compiler.update(zones)));
        for question in ["www.example.org A", "www.example.org MX", "no.www.example.org A"] {
            for packet in [query(question), query(question).edns(1_232)] {
                let slow = one(&Dns(ZoneSet::clone(zones)), &packet);
                assert_eq!(one(&ahead, &packet), slow, "{question}");
            }
        }
    }
}

/// The message that answers it, and what was noted.
fn one(answers: &impl Answers, packet: &Packet) -> (Vec<u8>, Option<u16>) {
    let (mut out, from) = (Vec::new(), "192.0.2.9".parse().unwrap());
    let arrival = Arrival::new(from, Transport::Udp);
    match respond(answers, &packet.octets(), &arrival, &mut out) {
        Reply::Send { notes, .. } => (out, notes.extended),
        Reply::Drop(why) => panic!("{why:?}"),
    }
}

#[test]
fn s4_15_before_all_clusters_were_heard_the_server_is_not_ready() {
    let dns = zone("example.org", "").known(Completeness::Pending);
    let pending = Server { dns, ..server() };
    let told = error(&pending, &query("www.example.org A").edns(1_232));
    assert_eq!(told, Some((14, "not all sources were heard yet".into())));
}

#[test]
fn s4_19_a_transfer_is_prohibited() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let server = server().over(transport);
        assert_eq!(code(&server, &query("example.org AXFR").edns(1_232)), Some(18));
        assert_eq!(code(&server, &query("example.org IXFR").edns(1_232)), Some(18));
    }
}

/// The extended error of an answer without records to that question.
fn said(answer: &[u8], question: &[u8]) -> Option<u16> {
    let opt = &answer[question.len()..];
    assert_eq!(opt[..3], [0, 0, 41], "{opt:?}");
    match opt[9..] {
        [_, 0, ..] => None,
        [_, _, 0, 15, _, _, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => panic!("{opt:?}"),
    }
}

#[test]
fn s4_19_a_server_that_gives_transfers_says_which_ones_are_prohibited() {
    let server = transfers::Server::new(&[transfers::version(1, "")]);
    let axfr = transfers::query("z.test", transfers::AXFR);
    let other = transfers::query("other.test", transfers::AXFR);
    for (question, from, transport, code) in [
        (&axfr, transfers::STRANGER, Transport::Tcp, Some(18)),
        (&axfr, transfers::STRANGER, Transport::Udp, Some(18)),
        (&axfr, transfers::FRIEND, Transport::Udp, Some(18)),
        (&axfr, transfers::FRIEND, Transport::Https, Some(18)),
        (&other, transfers::FRIEND, Transport::Tcp, None),
    ] {
        let mut packet = question.clone();
        append_opt(&mut packet, Expire::Silent);
        let answer = server.all(&packet, from, transport).remove(0);
        assert_eq!(said(&answer, question), code, "{from} {transport:?}");
        let bare = server.all(question, from, transport).remove(0);
        assert_eq!(bare.len(), question.len(), "nothing to say it in");
    }
    let mut packet = axfr.clone();
    append_opt(&mut packet, Expire::Silent);
    let (packet, mut checker) = transfers::signed(packet, transfers::NOW);
    let answer = server.all(&packet, transfers::STRANGER, Transport::Udp).remove(0);
    assert_eq!(said(&answer, &axfr), Some(18));
    let rows = read_response(&answer).unwrap();
    assert_eq!(checker.check(&answer, rows.tsig, transfers::NOW.into()), Ok(()));
}

#[test]
fn s4_21_of_other_zones_the_server_is_not_authoritative() {
    let told = error(&server(), &query("www.example.net A").edns(1_232));
    assert_eq!(told, Some((20, String::new())));
    let mut chaos = query("version.bind TXT").edns(1_232);
    *chaos.question.last_mut().unwrap() = 3;
    assert_eq!(code(&server(), &chaos), Some(20));
}

#[test]
fn s4_22_other_opcodes_are_not_supported() {
    let mut notify = query("example.org SOA").edns(1_232);
    notify.header[2] = 4 << 3;
    let told = server().ask(&notify);
    assert_eq!((told.rcode(), told.option(EDE)), (NOTIMP, Some(vec![0, 21])));
}

#[test]
fn s3_answers_and_plain_denials_have_nothing_to_say() {
    for question in ["www.example.org A", "www.example.org MX", "nowhere.example.org A"] {
        assert_eq!(code(&server(), &query(question).edns(1_232)), None, "{question}");
    }
}

#[test]
fn s2_without_an_opt_nothing_is_said() {
    let told = server().ask(&query("www.example.net A"));
    assert_eq!((told.rcode(), told.opt(), told.notes.extended), (REFUSED, None, None));
}

/// Names long enough for the room to run out, octet by octet.
#[test]
fn s3_the_text_is_left_out_and_then_the_code_before_the_answer_grows_too_long() {
    let mut named = server();
    let mut seen = [false; 3];
    for length in 300..=500 {
        named.guard.nsid = vec![7; length].into();
        let told = named.ask(&query("example.org AXFR").edns(512).option(NSID, &[]));
        assert_eq!((told.rcode(), told.truncated()), (REFUSED, false));
        if length <= 465 {
            assert!(told.octets.len() <= 512, "{length}");
        }
        match told.option(EDE).map(|data| data.len()) {
            None => seen[0] = true,
            Some(2) => seen[1] = true,
            Some(_) => seen[2] = true,
        }
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn what_was_said_is_noted() {
    let told = server().ask(&query("www.example.net A").edns(1_232));
    assert_eq!(told.notes.extended, Some(20));
    let told = server().ask(&query("www.example.org A").edns(1_232));
    assert_eq!((told.rcode(), told.notes.extended), (NOERROR, None));
}
