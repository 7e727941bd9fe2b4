//! RFC 7871: the client subnet, as far as the server alone decides about it.

use crate::battery::{example_org, name};
use hickory_proto::{
    op::Message,
    rr::rdata::opt::{EdnsCode, EdnsOption},
};
use ipnet::IpNet;
use meridian::{
    model::Ttl,
    records::{Answer, Client, Entry, Outcome, Owner, Question, Rrset, Section},
    server::{self, Answers, Arrival, Listen, Reply, Stats, Transport},
};
use proptest::prelude::*;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
    sync::{Arc, Mutex},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOERROR: u8 = 0;
const FORMERR: u8 = 1;
const REFUSED: u8 = 5;

// === §6: the option ===

#[test]
fn s6_source_says_how_many_octets_the_address_has() {
    let made = Made::for_scope(0);
    for (family, most) in [(1, 32_u8), (2, 128)] {
        for source in 0..=most {
            let address = vec![0; usize::from(source.div_ceil(8))];
            let option = ecs(family, source, 0, &address);
            assert_eq!(made.ask(&query(&option)).rcode(), NOERROR, "{family} {source}");
            let network = made.client().subnet.unwrap();
            assert_eq!((network.prefix_len(), network.max_prefix_len()), (source, most));
        }
    }
}

#[test]
fn s6_the_network_is_the_octets_padded_with_zeros() {
    let made = Made::for_scope(0);
    for (option, network) in [
        (ecs(1, 24, 0, &[192, 0, 2]), "192.0.2.0/24"),
        (ecs(1, 32, 0, &[192, 0, 2, 255]), "192.0.2.255/32"),
        (ecs(1, 1, 0, &[128]), "128.0.0.0/1"),
        (ecs(1, 20, 0, &[10, 1, 0xf0]), "10.1.240.0/20"),
        (ecs(2, 56, 0, &[0x20, 1, 0xd, 0xb8, 0, 1, 2]), "2001:db8:1:200::/56"),
        (ecs(2, 33, 0, &[0x20, 1, 0xd, 0xb8, 0x80]), "2001:db8:8000::/33"),
    ] {
        made.ask(&query(&option));
        assert_eq!(made.client().subnet.unwrap().to_string(), network);
    }
}

#[test]
fn s6_too_few_or_too_many_octets_are_formerr() {
    for option in [
        ecs(1, 24, 0, &[192, 0]),
        ecs(1, 24, 0, &[192, 0, 2, 0]),
        ecs(1, 25, 0, &[192, 0, 2]),
        ecs(1, 0, 0, &[0]),
        ecs(1, 32, 0, &[192, 0, 2, 1, 0]),
        ecs(1, 24, 0, &[]),
        ecs(2, 56, 0, &[0x20, 1, 0xd, 0xb8, 0, 1]),
        ecs(2, 56, 0, &[0x20, 1, 0xd, 0xb8, 0, 1, 2, 0]),
        ecs(2, 128, 0, &[0; 17]),
        ecs(2, 0, 0, &[0]),
    ] {
        assert_formerr(&option);
    }
}

#[test]
fn s6_an_option_without_room_for_its_numbers_is_formerr() {
    for octets in 0..4 {
        assert_formerr(&option(8, &vec![0; octets]));
    }
}

#[test]
fn s6_bits_beyond_source_are_formerr() {
    for option in [
        ecs(1, 23, 0, &[192, 0, 3]),
        ecs(1, 1, 0, &[0x40]),
        ecs(1, 31, 0, &[192, 0, 2, 1]),
        ecs(2, 55, 0, &[0x20, 1, 0xd, 0xb8, 0, 1, 1]),
        ecs(2, 127, 0, &[0xff; 16]),
    ] {
        assert_formerr(&option);
    }
}

#[test]
fn s6_a_source_longer_than_an_address_is_formerr() {
    for option in [
        ecs(1, 33, 0, &[192, 0, 2, 1, 0]),
        ecs(1, 33, 0, &[192, 0, 2, 1]),
        ecs(1, 255, 0, &[0; 32]),
        ecs(2, 129, 0, &[0; 17]),
        ecs(2, 129, 0, &[0; 16]),
        ecs(2, 255, 0, &[0; 32]),
    ] {
        assert_formerr(&option);
    }
}

#[test]
fn s6_a_scope_in_a_query_is_formerr() {
    for option in [
        ecs(1, 24, 1, &[192, 0, 2]),
        ecs(1, 24, 24, &[192, 0, 2]),
        ecs(2, 0, 56, &[]),
        ecs(1, 0, 255, &[]),
        ecs(0, 0, 1, &[]),
    ] {
        assert_formerr(&option);
    }
}

// === §7.2.1: answers ===

#[test]
fn s7_2_1_an_unknown_family_is_formerr() {
    for family in [0, 3, 4, 16_384, 0x0100, 0xffff] {
        assert_formerr(&ecs(family, 24, 0, &[192, 0, 2]));
    }
    for family in [3, 16_384] {
        assert_formerr(&ecs(family, 0, 0, &[]));
    }
}

#[test]
fn s7_2_1_no_family_is_understood_where_there_is_no_network_either() {
    let made = Made::for_scope(24);
    let answer = made.ask(&query(&ecs(0, 0, 0, &[])));
    assert_eq!(answer.rcode(), NOERROR);
    answer.has(&ecs(0, 0, 0, &[]));
    assert_eq!(made.client().subnet.unwrap().prefix_len(), 0);
    assert_formerr(&ecs(0, 0, 0, &[0]));
    assert_formerr(&ecs(0, 8, 0, &[10]));
}

#[test]
fn s7_2_1_the_answer_says_how_far_it_holds_and_echoes_the_rest() {
    for scope in [0, 1, 16, 24, 32] {
        let made = Made::for_scope(scope);
        let answer = made.ask(&query(&ecs(1, 24, 0, &[192, 0, 2])));
        answer.has(&ecs(1, 24, scope, &[192, 0, 2]));
        assert_eq!(answer.hickory(), Some(("192.0.2.0".parse().unwrap(), 24, scope)));
    }
    let address = [0x20, 1, 0xd, 0xb8, 0, 1, 2];
    for scope in [0, 32, 48, 56, 128] {
        let answer = Made::for_scope(scope).ask(&query(&ecs(2, 56, 0, &address)));
        answer.has(&ecs(2, 56, scope, &address));
        assert_eq!(answer.hickory(), Some(("2001:db8:1:200::".parse().unwrap(), 56, scope)));
    }
}

#[test]
fn s7_2_1_a_scope_may_be_longer_than_the_source_but_not_than_an_address() {
    let longer = Made::for_scope(24).ask(&query(&ecs(1, 16, 0, &[192, 0])));
    longer.has(&ecs(1, 16, 24, &[192, 0]));
    let other_family = Made::for_scope(56).ask(&query(&ecs(1, 24, 0, &[192, 0, 2])));
    other_family.has(&ecs(1, 24, 32, &[192, 0, 2]));
    let no_such = Made::for_scope(255).ask(&query(&ecs(2, 8, 0, &[0x20])));
    no_such.has(&ecs(2, 8, 128, &[0x20]));
}

#[test]
fn s7_2_1_without_the_option_in_the_query_there_is_none_in_the_answer() {
    let made = Made::for_scope(24);
    let with_opt = made.ask(&query(&[]));
    with_opt.has(&[]);
    assert_eq!(made.client().subnet, None);
    let without = made.ask(&question());
    assert_eq!((without.rcode(), without.0[11]), (NOERROR, 0));
    let other = made.ask(&query(&option(10, &[1, 2, 3, 4, 5, 6, 7, 8])));
    other.has(&[]);
}

#[test]
fn s7_2_1_the_option_comes_back_also_where_it_was_not_used() {
    let zones = example_org();
    let option = ecs(1, 24, 0, &[192, 0, 2]);
    for (asked, rcode) in [
        ("www.example.org", NOERROR),
        ("nowhere.example.org", 3),
        ("a.sub.example.org", NOERROR),
        ("www.example.net", REFUSED),
    ] {
        let answer = ask(&zones, &with_opt(&question_for(asked), 1232, 0, &option));
        assert_eq!(answer.rcode(), rcode, "{asked}");
        let why = if rcode == REFUSED { error(20, "") } else { Vec::new() };
        answer.has(&[&option[..], &why].concat());
    }
}

/// The RFC says nothing of it; with two, no one can tell which the answer was made for.
#[test]
fn s7_2_1_the_option_twice_is_formerr() {
    let (one, other) = (ecs(1, 24, 0, &[192, 0, 2]), ecs(1, 24, 0, &[198, 51, 100]));
    assert_formerr(&[one.clone(), other].concat());
    assert_formerr(&[one.clone(), one.clone()].concat());
    assert_formerr(&[one.clone(), option(10, &[0; 8]), one].concat());
    assert_formerr(&ecs(0, 0, 0, &[]).repeat(2));
}

#[test]
fn s7_2_1_formerr_has_an_opt_and_not_the_option_that_was_not_understood() {
    let answer = Made::for_scope(24).ask(&query(&ecs(3, 24, 0, &[192, 0, 2])));
    assert_eq!(answer.rcode(), FORMERR);
    answer.has(&[]);
    let overlong = [&ecs(1, 24, 0, &[192, 0, 2])[..], &[0, 8, 0, 9, 0, 1]].concat();
    let answer = Made::for_scope(24).ask(&query(&overlong));
    assert_eq!(answer.rcode(), FORMERR);
    answer.has(&[]);
}

#[test]
fn s7_2_1_errors_hold_for_everyone() {
    let network = ecs(1, 24, 0, &[192, 0, 2]);
    let not_ready = error(14, "not all sources were heard yet");
    for (outcome, rcode, why) in
        [(Outcome::Refused, REFUSED, error(20, "")), (Outcome::NotReady, 2, not_ready)]
    {
        let made = Made { outcome, records: 0, ..Made::for_scope(24) };
        let answer = made.ask(&query(&network));
        assert_eq!(answer.rcode(), rcode);
        answer.has(&[&network[..], &why].concat());
    }
    let mut notify = query(&network);
    notify[2] = 4 << 3;
    let answer = Made::for_scope(24).ask(&notify);
    assert_eq!(answer.rcode(), 4);
    answer.has(&[&network[..], &error(21, "")].concat());
}

/// An extended error (RFC 8914), as it stands behind the network.
fn error(code: u16, text: &str) -> Vec<u8> {
    option(15, &[&code.to_be_bytes()[..], text.as_bytes()].concat())
}

#[test]
fn what_a_later_edns_version_means_by_the_option_is_not_ours_to_judge() {
    for option in [ecs(1, 24, 0, &[192, 0, 2]), ecs(9, 99, 9, &[])] {
        let answer = Made::for_scope(24).ask(&with_opt(&question(), 1232, 1, &option));
        assert!(answer.0.ends_with(&[0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]), "BADVERS alone");
    }
}

#[test]
fn other_options_around_it_are_ignored() {
    let made = Made::for_scope(20);
    let network = ecs(1, 24, 0, &[192, 0, 2]);
    let (cookie, unknown) = (option(10, &[7; 8]), option(65_001, &[]));
    for options in [
        [&cookie[..], &network, &unknown].concat(),
        [&network[..], &cookie].concat(),
        [&unknown[..], &unknown, &network].concat(),
    ] {
        made.ask(&query(&options)).has(&ecs(1, 24, 20, &[192, 0, 2]));
        assert_eq!(made.client().subnet.unwrap().to_string(), "192.0.2.0/24");
    }
}

// === §7.1.2, §7.5: nobody is to be looked at ===

#[test]
fn s7_1_2_source_0_is_answered_for_the_address_that_asks_and_holds_for_it_alone() {
    let made = Made::for_scope(24);
    for option in [ecs(1, 0, 0, &[]), ecs(2, 0, 0, &[]), ecs(0, 0, 0, &[])] {
        let answer = made.ask(&query(&option));
        assert_eq!((answer.rcode(), answer.records()), (NOERROR, 1));
        answer.has(&option);
        let client = made.client();
        assert_eq!(client.address, Some(RESOLVER));
        assert_eq!(client.subnet.map(|network| network.prefix_len()), Some(0));
    }
}

// === §7.4: delegations and negative answers ===

#[test]
fn s7_4_no_and_delegations_hold_for_everyone() {
    let network = ecs(2, 48, 0, &[0x20, 1, 0xd, 0xb8, 0, 1]);
    for outcome in [Outcome::NoData, Outcome::NxDomain, Outcome::Referral] {
        Made { outcome, records: 0, ..Made::for_scope(40) }.ask(&query(&network)).has(&network);
    }
}

/// The alias in front of the "no" may have been made for one network; kept for everyone, it would
/// lead the others astray.
#[test]
fn s7_3_1_an_alias_holds_as_far_as_it_was_made_for_wherever_it_leads() {
    let address = [0x20, 1, 0xd, 0xb8, 0, 1];
    for outcome in [Outcome::Alias, Outcome::NoData, Outcome::NxDomain, Outcome::Referral] {
        let answer = Made { outcome, ..Made::for_scope(40) }.ask(&query(&ecs(2, 48, 0, &address)));
        answer.has(&ecs(2, 48, 40, &address));
    }
}

// === Switched off, and limits ===

#[test]
fn switched_off_it_is_an_option_that_we_do_not_know() {
    let made = Made::for_scope(24);
    for option in [ecs(1, 24, 0, &[192, 0, 2]), ecs(9, 99, 9, &[]), ecs(1, 0, 0, &[]).repeat(2)] {
        let arrival = Arrival { client_subnet: false, ..UDP };
        let answer = ask_over(&made, &query(&option), &arrival);
        assert_eq!(answer.rcode(), NOERROR);
        answer.has(&[]);
        assert_eq!(made.client().subnet, None);
    }
    let broken = ask_over(&made, &query(&[0, 8, 0, 9]), &Arrival { client_subnet: false, ..UDP });
    assert_eq!(broken.rcode(), FORMERR);
}

#[test]
fn the_last_rrset_that_fits_leaves_room_for_the_option() {
    // 12 of header, 21 of question, 16 for each address, 11 of OPT: 73 addresses fill 1212 octets.
    let made = Made { records: 73, ..Made::for_scope(24) };
    let fits = made.ask(&query(&ecs(1, 24, 0, &[192, 0, 2])));
    assert_eq!((fits.0.len(), fits.records(), fits.is_truncated()), (1_223, 73, false));
    let longer = ecs(2, 128, 0, &[0xfd; 16]);
    let cut = made.ask(&query(&longer));
    assert_eq!((cut.0.len(), cut.records(), cut.is_truncated()), (68, 0, true));
    cut.has(&ecs(2, 128, 24, &[0xfd; 16]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// Invariant 12.
    #[test]
    fn any_octets_are_either_a_network_that_round_trips_or_formerr(octets in any_option()) {
        let made = Made::for_scope(255);
        let answer = made.ask(&query(&option(8, &octets)));
        match understood(&octets) {
            Some(network) => {
                prop_assert_eq!(answer.rcode(), NOERROR);
                prop_assert_eq!(made.client().subnet, Some(network));
                let most = network.max_prefix_len();
                let scope = if network.prefix_len() == 0 { 0 } else { most };
                let echo = [&octets[..3], &[scope], &octets[4..]].concat();
                answer.has(&option(8, &echo));
            }
            None => {
                prop_assert_eq!(answer.rcode(), FORMERR);
                prop_assert_eq!(made.asked_by.lock().unwrap().as_ref().map(|_| ()), None);
                answer.has(&[]);
            }
        }
    }

    #[test]
    fn any_options_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
        let answer = Made::for_scope(24).ask(&query(&octets));
        prop_assert!([NOERROR, FORMERR].contains(&answer.rcode()));
        prop_assert!(Message::from_vec(&answer.0).is_ok());
    }

    #[test]
    fn every_valid_network_comes_back_as_another_parser_reads_it(
        network in any_network(),
        scope in any::<u8>(),
    ) {
        let answer = Made::for_scope(scope).ask(&query(&ecs_of(network)));
        let most = if network.prefix_len() == 0 { 0 } else { network.max_prefix_len() };
        let expected = (network.addr(), network.prefix_len(), scope.min(most));
        prop_assert_eq!(answer.hickory(), Some(expected));
    }

    #[test]
    fn the_option_is_there_and_the_limit_is_kept_at_any_size(
        network in any_network(),
        records in 0_usize..100,
        size in 0_u16..2_000,
    ) {
        let made = Made { records, ..Made::for_scope(24) };
        let option = ecs_of(network);
        let answer = made.ask(&with_opt(&question(), size, 0, &option));
        let whole = 12 + 21 + 16 * records + 11 + option.len();
        let limit = usize::from(size.clamp(512, 1232));
        prop_assert!(answer.0.len() <= limit);
        prop_assert_eq!(answer.is_truncated(), whole > limit);
        prop_assert!(answer.hickory().is_some());
        let over_tcp = ask_over(&made, &with_opt(&question(), size, 0, &option), &TCP);
        prop_assert_eq!(over_tcp.0.len(), whole);
    }
}

// === Other people's clients ===

#[test]
fn kdig_and_dig_see_the_scope_of_what_they_asked_for() {
    let running = start(Made::for_scope(20));
    for (asked, shown) in [
        ("192.0.2.0/24", "192.0.2.0/24/20"),
        ("10.0.0.0/8", "10.0.0.0/8/20"),
        ("2001:db8::/56", "2001:db8::/56/20"),
        ("0.0.0.0/0", "0.0.0.0/0/0"),
        ("::/0", "::/0/0"),
    ] {
        for program in ["kdig", "dig"] {
            for more in ["+notcp", "+tcp"] {
                let subnet = format!("+subnet={asked}");
                let Some(text) = running.dig(program, &[&subnet, more]) else { continue };
                let line = format!("CLIENT-SUBNET: {shown}\n");
                assert!(text.contains("NOERROR"), "{program} {asked} {more}: {text}");
                assert!(text.contains(&line), "{program} {asked} {more}: {text}");
                assert!(text.contains("192.0.2.0\n"), "{program} {asked} {more}: {text}");
            }
        }
    }
}

#[test]
fn octets_that_dig_and_kdig_send_as_they_are_told_are_judged_as_here() {
    let running = start(Made::for_scope(20));
    if let Some(text) = running.dig("dig", &["+ednsopt=8:00000000"]) {
        assert!(text.contains("NOERROR") && text.contains("CLIENT-SUBNET: 0/0/0"), "{text}");
    }
    for (hexadecimal, status) in [
        ("00011800c00002", "NOERROR"),
        ("00011801c00002", "FORMERR"),
        ("00011800c0000200", "FORMERR"),
        ("00011700c00003", "FORMERR"),
        ("00031800c00002", "FORMERR"),
        ("00012100c000020100", "FORMERR"),
        ("0001", "FORMERR"),
    ] {
        let octets = format!("+ednsopt=8:{hexadecimal}");
        let Some(text) = running.dig("kdig", &[&octets]) else { return };
        assert!(text.contains(&format!("status: {status};")), "{hexadecimal}: {text}");
        assert!(text.contains("EDNS PSEUDOSECTION"), "{hexadecimal}: {text}");
    }
}

#[test]
fn a_listener_that_has_it_switched_off_answers_without_it() {
    let running = start_with(Made::for_scope(20), false);
    for program in ["kdig", "dig"] {
        let Some(text) = running.dig(program, &["+subnet=192.0.2.0/24"]) else { continue };
        assert!(text.contains("NOERROR") && !text.contains("CLIENT-SUBNET"), "{program}: {text}");
    }
}

// === Who answers ===

/// Answers every question alike and remembers who asked.
struct Made {
    outcome: Outcome,
    scope: u8,
    records: usize,
    asked_by: Mutex<Option<Client>>,
}

impl Made {
    /// One address, made for that many bits.
    fn for_scope(scope: u8) -> Self {
        Self { outcome: Outcome::Data, scope, records: 1, asked_by: Mutex::default() }
    }

    fn ask(&self, packet: &[u8]) -> Answered {
        ask(self, packet)
    }

    /// Who asked last.
    fn client(&self) -> Client {
        self.asked_by.lock().unwrap().take().unwrap()
    }
}

impl Answers for Made {
    fn answer<R>(
        &self,
        _: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        *self.asked_by.lock().unwrap() = Some(*client);
        let addresses = (0..self.records).map(|n| IpAddr::from([192, 0, 2, n as u8]));
        let rrset = Rrset::a(Ttl::SERVED, addresses);
        let entry = |rrset| Entry {
            owner: Owner::Asked,
            rrset: Cow::Owned(rrset),
            ttl: Ttl::SERVED,
            rrsig: None,
        };
        encode(&Answer {
            outcome: self.outcome,
            authoritative: true,
            scope: self.scope,
            answer: rrset.map(entry).into_iter().collect(),
            authority: Section::new(),
            additional: Section::new(),
            compact: false,
            stale: false,
            fenced: false,
        })
    }
}

fn ask<A: Answers>(who: &A, packet: &[u8]) -> Answered {
    ask_over(who, packet, &UDP)
}

fn ask_over<A: Answers>(who: &A, packet: &[u8], arrival: &Arrival<'_>) -> Answered {
    let mut out = Vec::new();
    match server::respond(who, packet, arrival, &mut out) {
        Reply::Send { .. } => Answered(out),
        Reply::Drop(why) => panic!("{why:?}"),
    }
}

const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 53));
const UDP: Arrival<'_> = Arrival::new(RESOLVER, Transport::Udp);
const TCP: Arrival<'_> = Arrival { transport: Transport::Tcp, ..UDP };

/// What came back.
struct Answered(Vec<u8>);

impl Answered {
    fn rcode(&self) -> u8 {
        self.0[3] & 0x0f
    }

    fn records(&self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]])
    }

    fn is_truncated(&self) -> bool {
        self.0[2] & 2 != 0
    }

    /// Ends with an OPT with exactly these options.
    #[track_caller]
    fn has(&self, options: &[u8]) {
        let length = u16::try_from(options.len()).unwrap().to_be_bytes();
        let opt = [&[0, 0, 41, 4, 208, 0, 0, 0, 0][..], &length, options].concat();
        assert!(self.0.ends_with(&opt), "{:02x?} does not end with {opt:02x?}", self.0);
    }

    /// Address, source and scope as hickory-proto reads them.
    fn hickory(&self) -> Option<(IpAddr, u8, u8)> {
        let message = Message::from_vec(&self.0).unwrap();
        match message.edns?.option(EdnsCode::Subnet)? {
            EdnsOption::Subnet(net) => Some((net.addr(), net.source_prefix(), net.scope_prefix())),
            _ => None,
        }
    }
}

#[track_caller]
fn assert_formerr(options: &[u8]) {
    let made = Made::for_scope(24);
    let answer = made.ask(&query(options));
    assert_eq!((answer.rcode(), answer.records()), (FORMERR, 0), "{options:02x?}");
    answer.has(&[]);
    assert!(made.asked_by.lock().unwrap().is_none(), "nobody is asked");
}

// === Queries ===

fn question() -> Vec<u8> {
    question_for("www.example.org")
}

fn question_for(asked: &str) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name(asked).as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1]);
    packet
}

fn query(options: &[u8]) -> Vec<u8> {
    with_opt(&question(), 1232, 0, options)
}

fn with_opt(question: &[u8], size: u16, version: u8, options: &[u8]) -> Vec<u8> {
    let mut packet = question.to_vec();
    packet[11] = 1;
    packet.extend_from_slice(&[0, 0, 41]);
    packet.extend_from_slice(&size.to_be_bytes());
    packet.extend_from_slice(&[0, version, 0, 0]);
    packet.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&code.to_be_bytes()[..], &length, data].concat()
}

fn ecs(family: u16, source: u8, scope: u8, address: &[u8]) -> Vec<u8> {
    let [high, low] = family.to_be_bytes();
    option(8, &[&[high, low, source, scope][..], address].concat())
}

/// As a client should write the network.
fn ecs_of(network: IpNet) -> Vec<u8> {
    let (family, octets) = match network.network() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let source = network.prefix_len();
    ecs(family, source, 0, &octets[..usize::from(source.div_ceil(8))])
}

/// The network, told in another way than the server does: of all networks of that length it is
/// the one that would be written so.
fn understood(octets: &[u8]) -> Option<IpNet> {
    if octets == [0; 4] {
        return Some(IpNet::default());
    }
    let source = *octets.get(2)?;
    let mut address = octets.get(4..)?.to_vec();
    address.resize(16, 0);
    let v6: [u8; 16] = address.try_into().unwrap();
    let candidates: [IpAddr; 2] =
        [Ipv4Addr::new(v6[0], v6[1], v6[2], v6[3]).into(), Ipv6Addr::from(v6).into()];
    let networks = candidates.into_iter().filter_map(|one| IpNet::new(one, source).ok());
    networks.map(|one| one.trunc()).find(|one| ecs_of(*one)[4..] == *octets)
}

fn any_network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length)),
        (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length)),
    ]
    .prop_map(|(address, length)| IpNet::new(address, length).unwrap().trunc())
}

/// Some that are right, some with one octet changed, added or lost, some that are nothing.
fn any_option() -> impl Strategy<Value = Vec<u8>> {
    let right = || any_network().prop_map(|network| ecs_of(network)[4..].to_vec());
    let changed = (right(), any::<proptest::sample::Index>(), any::<u8>());
    prop_oneof![
        3 => right(),
        3 => changed.prop_map(|(mut octets, at, octet)| {
            *at.get_mut(&mut octets) = octet;
            octets
        }),
        1 => (right(), any::<u8>()).prop_map(|(octets, more)| [&octets[..], &[more]].concat()),
        1 => right().prop_map(|octets| octets[..octets.len() - 1].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(0..3_u8, 0..7),
    ]
}

// === A server ===

/// On a free loopback port; goes when dropped.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn start(who: Made) -> Running {
    start_with(who, true)
}

fn start_with(who: Made, client_subnet: bool) -> Running {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let addresses = vec!["127.0.0.1:0".parse().unwrap()];
    let listen = Listen { client_subnet, ..Listen::at(addresses) };
    let bound = server::bind(&listen).unwrap();
    let (address, shutdown) = (bound.local_addrs()[0], CancellationToken::new());
    let (stats, tasks) = (Arc::new(Stats::default()), TaskTracker::new());
    let guard = runtime.enter();
    server::serve(bound, &Arc::new(who), &stats, &tasks, &shutdown).unwrap();
    drop(guard);
    Running { address, shutdown, _runtime: runtime }
}

impl Running {
    /// What the program prints; `None`, said loudly, where there is none; in CI there must be.
    fn dig(&self, program: &str, more: &[&str]) -> Option<String> {
        let port = self.address.port().to_string();
        let output = Command::new(program)
            .args(["@127.0.0.1", "-p", &port, "www.example.org", "A"])
            .args(more)
            .output();
        match output {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) if std::env::var_os("CI").is_some() => panic!("{program}: {error}"),
            Err(error) => {
                eprintln!("SKIPPED: {program} does not run: {error}");
                None
            }
        }
    }
}
