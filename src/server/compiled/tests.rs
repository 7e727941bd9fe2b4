//! What is put together is the same, octet for octet, as what the slow way writes: for any zones,
//! after any changes, to any question.

use super::*;
use crate::{
    model::{Key, Serial, Ttl},
    records::{
        Completeness, Denial, DnssecOk, Node, Proof, Question, Rrset, Signed, SignedName, Zone,
        ZoneSet, lookup,
    },
    server::{encode, message, respond},
};
use proptest::prelude::*;
use std::sync::Arc;

const APEX: &str = "z.test";

/// One record of a zone that is made up.
#[derive(Clone, Debug)]
enum Record {
    A(u8),
    Aaaa(u8),
    Text,
    Alias(Name),
    Delegation,
    Redirection(Name),
}

fn owner() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec!["a", "b", "c", "ns", "*"]);
    proptest::collection::vec(label, 0..5).prop_map(|labels| {
        let front: String = labels.iter().map(|label| format!("{label}.")).collect();
        format!("{front}{APEX}").parse().unwrap()
    })
}

fn target() -> impl Strategy<Value = Name> {
    prop_oneof![9 => owner(), 1 => Just("elsewhere.example".parse().unwrap())]
}

fn record(cuts: bool) -> impl Strategy<Value = Record> {
    let plain = prop_oneof![
        4 => (0..9_u8).prop_map(Record::A),
        2 => (0..9_u8).prop_map(Record::Aaaa),
        1 => Just(Record::Text),
        5 => target().prop_map(Record::Alias),
    ];
    let cut = prop_oneof![Just(Record::Delegation), target().prop_map(Record::Redirection)];
    if cuts { prop_oneof![9 => plain, 1 => cut].boxed() } else { plain.boxed() }
}

/// Changes of a zone: a name's records, none to take it away.
type Changes = Vec<(Name, Vec<Record>)>;

fn changes(cuts: bool) -> impl Strategy<Value = Changes> {
    let records = proptest::collection::vec(record(cuts), 0..3);
    proptest::collection::vec((owner(), records), 0..8)
}

fn node(records: &[Record]) -> Node {
    let ttl = Ttl::SERVED;
    let of = |record: &Record| match record {
        Record::A(last) => Rrset::a(ttl, [[192, 0, 2, *last].into(), [192, 0, 2, 250].into()]),
        Record::Aaaa(last) => {
            Rrset::aaaa(ttl, [[0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(*last)].into()])
        }
        Record::Text => Rrset::new(RecordType::TXT, ttl, [b"\x01t"]),
        Record::Alias(target) => Some(Rrset::cname(ttl, target)),
        Record::Delegation => Rrset::new(
            RecordType::NS,
            ttl,
            [format!("ns.{APEX}").parse::<Name>().unwrap().as_wire()],
        ),
        Record::Redirection(target) => Rrset::new(RecordType::DNAME, ttl, [target.as_wire()]),
    };
    Node::new(records.iter().filter_map(of))
}

fn start(primary: &str) -> Zone {
    start_at(APEX, primary)
}

fn start_at(apex: &str, primary: &str) -> Zone {
    let mailbox: Name = format!("hostmaster.{apex}").parse().unwrap();
    let apex: Name = apex.parse().unwrap();
    let primary: Name = primary.parse().unwrap();
    let numbers: Vec<u8> = [1_u32, 2, 3, 4, 60].iter().flat_map(|n| n.to_be_bytes()).collect();
    let soa = [primary.as_wire(), mailbox.as_wire(), &numbers].concat();
    let soa = Rrset::new(RecordType::SOA, Ttl::SERVED, [soa]).unwrap();
    let ns = Rrset::new(RecordType::NS, Ttl::SERVED, [primary.as_wire()]).unwrap();
    Zone::new(apex.clone(), [(apex.key(), Node::new([soa, ns]))])
}

/// The zone with those changes; its apex keeps what every apex has.
fn changed(zone: &Zone, changes: &Changes) -> Zone {
    let apex = zone.node(zone.key().as_bytes()).unwrap().clone();
    let of = |(owner, records): &(Name, Vec<Record>)| {
        let mut node = node(records);
        if owner.key() == *zone.key() {
            [RecordType::SOA, RecordType::NS].iter().for_each(|own| {
                node.put(apex.get(*own).unwrap().clone());
            });
        }
        (owner.key(), (!node.is_empty()).then_some(node))
    };
    zone.with(changes.iter().map(of), Serial(zone.serial().0 + 1))
}

fn packet(name: &Name, rtype: u16, edns: Option<u16>) -> Vec<u8> {
    let mut packet = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if let Some(size) = edns {
        packet.extend_from_slice(&[0, 0, 41]);
        packet.extend_from_slice(&size.to_be_bytes());
        packet.extend_from_slice(&[0; 6]);
    }
    packet
}

/// Both ways' messages; whether the fast way had one.
fn both(
    compiled: &Compiled,
    zones: &ZoneSet,
    packet: &[u8],
    limit: usize,
) -> (Option<Vec<u8>>, Vec<u8>) {
    let mut query = Query::unread();
    assert_eq!(message::parse(packet, true, &mut query), message::Parsed::Query, "{packet:?}");
    let client = Client { draw: 5, ..Client::at([198, 51, 100, 1].into()) };
    let (mut fast, mut slow) = (Vec::new(), Vec::new());
    let extras = Extras { nsid: b"ns1", cookie: Some([7; 24]), ..Extras::default() };
    let lead = compiled.leads(std::iter::once(packet))[0];
    let composed = compiled.answer(&query, lead, &client, (&extras, limit), &mut fast);
    let dnssec = match query.edns.is_some_and(|edns| edns.dnssec_ok) {
        true => DnssecOk::Yes,
        false => DnssecOk::No,
    };
    let question = Question { name: query.name, rtype: query.rtype, dnssec };
    let answer = lookup(zones, &question, &client);
    let expected = encode::answer(&query, &answer, &extras, limit, &mut slow);
    let written = composed.map(|(written, _)| written);
    if let Some((written, kind)) = composed {
        assert_eq!(lowered(kind), lowered(respond::kind(&query, &answer)));
        assert_eq!((written.rcode, written.truncated), (expected.rcode, expected.truncated));
    }
    (written.map(|_| fast), slow)
}

/// What an answer is counted as, however its zone's name is written.
fn lowered(kind: Kind<'_>) -> String {
    match kind {
        Kind::NoData(zone) => format!("no data in {:?}", zone.to_ascii_lowercase()),
        Kind::NxDomain(zone) => format!("no name in {:?}", zone.to_ascii_lowercase()),
        Kind::Positive | Kind::Referral | Kind::Error => format!("{kind:?}"),
    }
}

/// Questions for every name that the changes hold or lead to, what is above and what is below.
fn questions(changes: &[Changes]) -> Vec<Name> {
    let owners = changes.iter().flatten().flat_map(|(owner, records)| {
        let targets = records.iter().filter_map(|record| match record {
            Record::Alias(target) | Record::Redirection(target) => Some(target.clone()),
            _ => None,
        });
        targets.chain([owner.clone()]).collect::<Vec<_>>()
    });
    let mut names: Vec<Name> = owners.collect();
    names.push(format!("NS.{APEX}").parse().unwrap());
    let below = names.iter().filter_map(|name| name.prepend(b"New").ok()).collect::<Vec<_>>();
    let above = names.iter().filter_map(Name::parent).collect::<Vec<_>>();
    let far = names.iter().filter_map(|name| name.prepend(b"x").and_then(|x| x.prepend(b"y")).ok());
    let far = far.collect::<Vec<_>>();
    names.into_iter().chain(below).chain(above).chain(far).collect()
}

fn check(steps: &[Changes], primary: &str) -> Result<(), TestCaseError> {
    let mut zone = start(primary);
    let mut compiler = Compiler::default();
    for step in steps {
        zone = changed(&zone, step);
        let zones = ZoneSet::from(zone.clone());
        let compiled = compiler.update(&zones);
        for name in questions(steps) {
            for rtype in [1, 28, 16, 5, 2, 255, 65] {
                for (edns, limit) in [(None, 512), (Some(1232), 1232), (Some(1232), 40)] {
                    let (fast, slow) = both(&compiled, &zones, &packet(&name, rtype, edns), limit);
                    if let Some(fast) = fast {
                        prop_assert_eq!(fast, slow, "{} type {}", name, rtype);
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_say_the_same_after_any_changes(
        steps in proptest::collection::vec(changes(false), 1..5),
    ) {
        check(&steps, "ns.z.test")?;
    }

    #[test]
    fn also_where_delegations_and_redirections_come_and_go(
        steps in proptest::collection::vec(changes(true), 1..4),
        primary in prop::sample::select(vec!["ns.z.test", "ns.elsewhere.example", "a.b.z.test"]),
    ) {
        check(&steps, primary)?;
    }

    /// Else what is served after many changes would hang on their order.
    #[test]
    fn what_a_change_touches_is_all_that_is_put_together_again(
        first in changes(false),
        second in changes(false),
    ) {
        let before = changed(&start("ns.z.test"), &first);
        let after = changed(&before, &second);
        let mut compiler = Compiler::default();
        compiler.update(&before.into());
        let followed = compiler.update(&ZoneSet::from(after.clone()));
        let mut anew = Compiler::default();
        let fresh = anew.update(&after.into());
        prop_assert_eq!(all(&followed), all(&fresh));
        prop_assert_eq!(compiler.notes(), anew.notes(), "what is no more is forgotten");
    }
}

fn all(compiled: &Compiled) -> std::collections::BTreeMap<Lowered, Arc<Entry>> {
    compiled.names.iter().map(|own| (own.name.clone(), own.clone())).collect()
}

fn zone_of(records: &[(&str, Record)]) -> Zone {
    let changes =
        records.iter().map(|(name, record)| (name.parse().unwrap(), vec![record.clone()]));
    changed(&start("ns.z.test"), &changes.collect())
}

fn is_fast(zone: &Zone, name: &str, rtype: u16) -> bool {
    let zones = ZoneSet::from(zone.clone());
    let compiled = Compiler::default().update(&zones);
    both(&compiled, &zones, &packet(&name.parse().unwrap(), rtype, Some(1232)), 1232).0.is_some()
}

#[test]
fn addresses_aliases_and_denials_are_put_together() {
    let zone = zone_of(&[
        ("a.z.test", Record::A(1)),
        ("b.z.test", Record::Alias("a.z.test".parse().unwrap())),
        ("c.b.z.test", Record::Alias("b.z.test".parse().unwrap())),
    ]);
    for (name, rtype) in [
        ("a.z.test", 1),
        ("A.z.TEST", 28),
        ("b.z.test", 1),
        ("b.z.test", 28),
        ("c.b.z.test", 1),
        ("a.z.test", 65),
        ("nope.z.test", 1),
        ("x.y.a.z.test", 16),
    ] {
        assert!(is_fast(&zone, name, rtype), "{name} type {rtype}");
    }
}

/// Signatures that prove nothing, but stand where real ones would.
fn signed(zone: &Zone) -> Zone {
    let rrset = |rtype, text: &str| Rrset::new(rtype, Ttl::SERVED, [text.as_bytes()]).unwrap();
    let proof = Proof {
        nsec: rrset(RecordType::NSEC, "next"),
        rrsig: rrset(RecordType::RRSIG, "signature of the next"),
    };
    let name = |(key, node): (&Key, &Node)| {
        let of = |own: &Rrset| (own.rtype, rrset(RecordType::RRSIG, &format!("{:?}", own.rtype)));
        let signed = SignedName {
            owner: key.to_name(),
            rrsigs: node.iter().map(of).collect(),
            nsec: proof.clone(),
            neutral: None,
            steered: None,
            until: i64::MAX,
        };
        (key.clone(), Arc::new(signed))
    };
    let names = zone.nodes().map(name).collect();
    zone.clone().with_signatures(Arc::new(Signed::new(names, Denial::Chain)))
}

#[test]
fn answers_with_signatures_are_put_together_too() {
    let zone = signed(&zone_of(&[
        ("a.z.test", Record::A(1)),
        ("b.z.test", Record::Alias("a.z.test".parse().unwrap())),
        ("c.b.z.test", Record::Alias("b.z.test".parse().unwrap())),
        ("t.e.z.test", Record::Text),
    ]));
    let zones = ZoneSet::from(zone);
    let compiled = Compiler::default().update(&zones);
    let answers = |name: &str, rtype: u16| {
        let mut packet = packet(&name.parse().unwrap(), rtype, Some(1232));
        let flags = packet.len() - 4;
        packet[flags] = 0x80;
        both(&compiled, &zones, &packet, 1232)
    };
    for (name, rtype) in
        [("a.z.test", 1), ("A.z.test", 28), ("b.z.test", 1), ("c.b.z.test", 1), ("c.b.z.test", 28)]
    {
        let (fast, slow) = answers(name, rtype);
        assert_eq!(fast, Some(slow), "{name} type {rtype}");
    }
    // What is proven by neighbours changes with those.
    for name in ["e.z.test", "nope.z.test", "x.a.z.test"] {
        assert_eq!(answers(name, 1).0, None, "{name}");
    }
}

#[test]
fn what_hangs_on_wildcards_and_cuts_is_left_to_the_slow_way() {
    let zone = zone_of(&[
        ("*.w.z.test", Record::A(1)),
        ("d.z.test", Record::Delegation),
        ("a.z.test", Record::Alias("x.w.z.test".parse().unwrap())),
    ]);
    for name in ["x.w.z.test", "d.z.test", "x.d.z.test", "a.z.test"] {
        assert!(!is_fast(&zone, name, 1), "{name}");
    }
}

#[test]
fn a_zone_that_is_not_complete_is_left_to_the_slow_way() {
    let mut zone = zone_of(&[("a.z.test", Record::A(1))]);
    zone.completeness = Completeness::Partial;
    assert!(!is_fast(&zone, "a.z.test", 1) && !is_fast(&zone, "nope.z.test", 1));
}

/// Zones within and beside each other, of several depths, of which one is not complete.
fn several() -> ZoneSet {
    let mut zones = ZoneSet::default();
    for (apex, complete) in [
        ("z.test", true),
        ("a.b.z.test", true),
        ("c.z.test", false),
        ("q.w.other.example", true),
        ("v.a.b.z.test", true),
    ] {
        let host = |front: &str| format!("{front}.{apex}").parse::<Name>().unwrap();
        let records = |name: Name| (name.key(), Some(node(&[Record::A(7)])));
        let mut zone = start_at(apex, &format!("ns.{apex}"))
            .with([records(host("h")), records(host("x.y"))], Serial(3));
        if !complete {
            zone.completeness = Completeness::Partial;
        }
        zones.put(Arc::new(zone));
    }
    zones
}

#[test]
fn zones_within_zones_answer_for_their_own_names() {
    let zones = several();
    let compiled = Compiler::default().update(&zones);
    let labels = ["a", "b", "c", "h", "x", "y", "z", "v", "w", "q", "n"];
    let mut random = fastrand::Rng::with_seed(7);
    let mut fast = 0;
    for _ in 0..20_000 {
        let front: String = (0..random.usize(0..6))
            .map(|_| format!("{}.", random.choice(labels).unwrap()))
            .collect();
        let apex = random.choice(["z.test", "a.b.z.test", "w.other.example", "test"]).unwrap();
        let name: Name = format!("{front}{apex}").parse().unwrap();
        let rtype = *random.choice(&[1, 28, 16]).unwrap();
        let (quick, slow) = both(&compiled, &zones, &packet(&name, rtype, Some(1232)), 1232);
        if let Some(quick) = quick {
            fast += 1;
            assert_eq!(quick, slow, "{name} type {rtype}");
        }
    }
    assert!(fast > 10_000, "{fast}");
}

#[test]
fn names_far_below_what_exists_are_denied_without_looking_far() {
    let zone = zone_of(&[("a.z.test", Record::A(1))]);
    let long = format!("{}a.z.test", "x.".repeat(100));
    assert!(is_fast(&zone, &long, 1) && is_fast(&zone, "x.y.z.test", 1));
}

#[test]
fn names_are_found_by_their_octets_whatever_they_are() {
    let odd = Name::from_wire(b"\x03\x00\x01.\x01z\x04test\x00").unwrap();
    let node = node(&[Record::A(3)]);
    let zone = start("ns.z.test").with([(odd.key(), Some(node))], Serial(2));
    let zones = ZoneSet::from(zone);
    let compiled = Compiler::default().update(&zones);
    let (fast, slow) = both(&compiled, &zones, &packet(&odd, 1, None), 512);
    assert_eq!(fast, Some(slow));
    let _: Key = odd.key();
}

/// The name that was asked took all the places of names that may be pointed at, so that the zone's
/// own was written out.
#[test]
fn a_name_of_more_labels_than_any_answer_has_is_pointed_at_like_all_others() {
    let start = start("ns.deep.z.test");
    let zones = ZoneSet::from(start.clone());
    let compiled = Compiler::default().update(&zones);
    let labels = |many: usize| format!("{}z.test", "x.".repeat(many)).parse::<Name>().unwrap();
    for many in [1, 20, 30, 100, 120] {
        let (fast, slow) = both(&compiled, &zones, &packet(&labels(many), 1, None), 512);
        assert_eq!(fast.unwrap(), slow, "{many} labels");
        let before = packet(&labels(many), 1, None).len();
        assert!(slow.len() - before < 60, "{many} labels: {} octets more", slow.len() - before);
    }
}
