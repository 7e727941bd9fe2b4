//! RFC 4035, and RFC 6840 which makes it clear: what a signed zone answers, and that all of it can be
//! validated.

use crate::{
    battery::{SOA, parse},
    validator::{Signer, Verdict, hickory, serve, sign, signing, with_keys},
};
use hickory_proto::rr::{Name as Theirs, RecordType as Type};
use meridian::{
    dnssec::{Algorithm, Before, Key, Keys, Role, Signing},
    model::{Key as NameKey, Name, Ttl},
    records::{Node, RecordType, Rrset, Zone, in_full},
    transfer::{Delta, Record},
};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicUsize},
};

const LINES: &str = "\
    a      60 A 192.0.2.1\n\
    a      60 A 192.0.2.2\n\
    a      60 MX 10 Mail.Z.test.\n\
    deep.ent 60 TXT deep\n\
    alias  60 CNAME a\n\
    alias2 60 CNAME alias\n\
    gone   60 CNAME nothing\n\
    *.wild 60 A 192.0.2.9\n\
    *.wild 60 MX 10 a\n\
    x.wild 60 TXT closer\n\
    *.walias 60 CNAME a\n\
    b.*.went 60 A 192.0.2.10\n\
    sub    60 NS ns.sub\n\
    ns.sub 60 A 192.0.2.3\n\
    safe   60 NS ns.safe\n\
    safe   60 DS 60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a\n\
    ns.safe 60 A 192.0.2.4\n\
    under.safe 60 TXT occluded\n\
    moved  60 DNAME wild\n\
    svc    60 HTTPS 1 . alpn=h2\n\
    post   60 MX 10 test.\n\
    out    60 CNAME www.example.net.\n";

fn zone() -> Zone {
    parse("z.test", &format!("{SOA}{LINES}")).zone
}

fn served(compact: bool, algorithm: Algorithm) -> Signer {
    let zone = zone();
    serve(sign(&signing(compact, algorithm, &zone), &zone, None))
}

#[track_caller]
fn check(signer: &Signer, question: &str, expected: Verdict) {
    let (name, rtype) = question.split_once(' ').unwrap();
    let name = Theirs::from_ascii(name).unwrap();
    let verdict = signer.validate(&name, rtype.parse().unwrap(), None).unwrap();
    assert_eq!(verdict, expected, "{question}");
}

#[test]
fn s3_1_every_kind_of_answer_is_signed_and_proven() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let signer = served(false, algorithm);
        for (question, expected) in [
            ("z.test. SOA", Verdict::Data),
            ("z.test. NS", Verdict::Data),
            ("z.test. DNSKEY", Verdict::Data),
            ("z.test. CDS", Verdict::Data),
            ("z.test. CDNSKEY", Verdict::Data),
            ("z.test. NSEC", Verdict::Data),
            ("A.z.Test. A", Verdict::Data),
            ("a.z.test. MX", Verdict::Data),
            ("a.z.test. TXT", Verdict::NoData),
            ("z.test. TXT", Verdict::NoData),
            ("ent.z.test. A", Verdict::NoData),
            ("alias.z.test. A", Verdict::Data),
            ("alias2.z.test. A", Verdict::Data),
            ("alias2.z.test. TXT", Verdict::NoData),
            ("gone.z.test. A", Verdict::NxDomain),
            ("nothing.z.test. A", Verdict::NxDomain),
            ("0.z.test. A", Verdict::NxDomain),
            ("zzz.z.test. A", Verdict::NxDomain),
            ("below.a.z.test. A", Verdict::NxDomain),
            ("y.wild.z.test. A", Verdict::Data),
            ("deep.y.wild.z.test. A", Verdict::Data),
            ("y.wild.z.test. TXT", Verdict::NoData),
            ("x.wild.z.test. A", Verdict::NoData),
            ("below.x.wild.z.test. A", Verdict::NxDomain),
            ("*.wild.z.test. A", Verdict::Data),
            ("y.walias.z.test. A", Verdict::Data),
            ("y.walias.z.test. TXT", Verdict::NoData),
            ("y.went.z.test. A", Verdict::NoData),
            ("sub.z.test. A", Verdict::Referral),
            ("www.sub.z.test. A", Verdict::Referral),
            ("sub.z.test. DS", Verdict::NoData),
            ("safe.z.test. A", Verdict::Referral),
            ("under.safe.z.test. TXT", Verdict::Referral),
            ("safe.z.test. DS", Verdict::Data),
            ("y.moved.z.test. A", Verdict::Data),
            ("x.moved.z.test. A", Verdict::NoData),
            ("below.x.moved.z.test. A", Verdict::NxDomain),
            ("moved.z.test. A", Verdict::NoData),
            ("moved.z.test. DNAME", Verdict::Data),
            ("svc.z.test. HTTPS", Verdict::Data),
            ("post.z.test. MX", Verdict::Data),
            ("out.z.test. A", Verdict::Elsewhere),
        ] {
            check(&signer, question, expected);
        }
    }
}

#[test]
fn s3_1_without_do_nothing_is_added() {
    let signer = served(false, Algorithm::Ed25519);
    for name in ["a.z.test.", "nothing.z.test.", "sub.z.test.", "y.wild.z.test.", "y.moved.z.test."]
    {
        let name = Theirs::from_ascii(name).unwrap();
        let plain = signer.ask(&name, Type::A, 0, None);
        let all = plain.answers.iter().chain(&plain.authorities).chain(&plain.additionals);
        let types: Vec<Type> = all.map(hickory_proto::rr::Record::record_type).collect();
        for rtype in [Type::RRSIG, Type::NSEC, Type::DS, Type::DNSKEY] {
            assert!(!types.contains(&rtype), "{name} {rtype}");
        }
    }
}

/// RFC 4035 §2.2 and §2.3, RFC 4034 §3.1.3.
#[test]
fn s2_2_the_zone_as_signed_has_what_it_must_and_nothing_more() {
    let zone = zone();
    let signed = sign(&signing(false, Algorithm::EcdsaP256, &zone), &zone, None);
    let overlay = signed.signed().unwrap();
    let key = |name: &str| name.parse::<Name>().unwrap().key();
    let types = |name: &str| -> Vec<u16> {
        let own = overlay.name(key(name).as_bytes()).unwrap();
        own.rrsigs.iter().map(|(rtype, _)| rtype.0).collect()
    };
    assert_eq!(types("sub.z.test"), [] as [u16; 0], "a delegation's NS is not signed");
    assert_eq!(types("safe.z.test"), [43]);
    assert_eq!(types("a.z.test"), [1, 15]);
    assert_eq!(types("z.test"), [2, 6, 48, 59, 60]);
    for name in ["ns.sub.z.test", "ns.safe.z.test", "under.safe.z.test", "ent.z.test"] {
        assert!(overlay.name(key(name).as_bytes()).is_none(), "{name} is not signed");
    }
    let wild = overlay.name(key("*.wild.z.test").as_bytes()).unwrap();
    let rrsig = wild.rrsig(RecordType::A).unwrap().rdata().next().unwrap();
    assert_eq!(rrsig[3], 3, "the * is no label (RFC 4034 §3.1.3)");
}

#[test]
fn s2_2_split_keys_sign_what_they_are_for() {
    let zone = zone();
    let make = |role: Role| {
        Arc::new(Key::generate(Algorithm::Ed25519, role.flags(), &SystemRandom::new()).unwrap())
    };
    let (ksk, zsk) = (make(Role::Ksk), make(Role::Zsk));
    let keys = Keys {
        published: vec![ksk.clone(), zsk.clone()],
        sign_keys: vec![ksk.clone()],
        sign_zone: vec![zsk.clone()],
        wished: vec![ksk.clone()],
    };
    let signed = sign(&with_keys(false, keys, &zone), &zone, None);
    let apex = signed.signed().unwrap().name(signed.key().as_bytes()).unwrap();
    let tag = |rtype| {
        let rrsig = apex.rrsig(rtype).unwrap().rdata().next().unwrap();
        u16::from_be_bytes([rrsig[16], rrsig[17]])
    };
    for rtype in [RecordType::DNSKEY, RecordType::CDS, RecordType::CDNSKEY] {
        assert_eq!(tag(rtype), ksk.tag());
    }
    for rtype in [RecordType::SOA, RecordType::NS] {
        assert_eq!(tag(rtype), zsk.tag());
    }
    check(&serve(signed), "y.wild.z.test. A", Verdict::Data);
}

#[test]
fn what_did_not_change_keeps_its_signatures() {
    let zone = zone();
    let with = signing(false, Algorithm::EcdsaP256, &zone);
    let signed = sign(&with, &zone, None);
    let name: Name = "a.z.test".parse().unwrap();
    let node = Node::new(Rrset::a(Ttl::SERVED, ["192.0.2.77".parse().unwrap()]));
    let next = zone.with([(name.key(), Some(node))], zone.serial().next(0));
    let before = Before { source: Arc::new(zone), signed: Arc::new(signed.clone()) };
    let resigned = sign(&with, &next, Some(&before));
    let (old, new) = (signed.signed().unwrap().names(), resigned.signed().unwrap().names());
    let differing: Vec<_> = old
        .iter()
        .filter(|(key, name)| !Arc::ptr_eq(name, new.get(*key).unwrap()))
        .map(|(key, _)| key.to_name().to_string())
        .collect();
    assert_eq!(differing, ["z.test.", "a.z.test."], "the SOA's name, and the one that changed");
    let apex = |zone: &Zone, rtype| {
        let own = zone.signed().unwrap().name(zone.key().as_bytes()).unwrap();
        own.rrsig(rtype).cloned()
    };
    assert_eq!(apex(&signed, RecordType::NS), apex(&resigned, RecordType::NS));
    assert_ne!(apex(&signed, RecordType::SOA), apex(&resigned, RecordType::SOA));
    check(&serve(resigned), "a.z.test. A", Verdict::Data);
}

// === Copies ===

type Row = (NameKey, RecordType, Ttl, Vec<u8>);

/// All that a secondary has but the SOA.
fn view(zone: &Zone) -> BTreeSet<Row> {
    let sets = in_full(zone).filter(|(_, own)| own.rtype != RecordType::SOA);
    sets.flat_map(|(key, own)| {
        own.rdata().map(move |data| (key.clone(), own.rtype, own.ttl, data.to_vec()))
    })
    .collect()
}

/// What a secondary makes of the older version; every difference must fit.
fn applied(mut view: BTreeSet<Row>, delta: &Delta) -> BTreeSet<Row> {
    let row = |own: &Record| (own.owner.key(), own.rtype, own.ttl, own.data.clone());
    for own in &delta.removed {
        assert!(view.remove(&row(own)), "was never there: {own:?}");
    }
    for own in &delta.added {
        assert!(view.insert(row(own)), "is there already: {own:?}");
    }
    view
}

/// As a process does it: what changed, and what is due, under the next serial.
fn step(with: &Signing, before: &Before, changes: Vec<(NameKey, Option<Node>)>) -> Before {
    let serial = before.signed.serial().next(0);
    let source = before.source.with(changes, serial);
    let due: Vec<NameKey> = with.due(&before.signed).collect();
    let (random, progress) = (SystemRandom::new(), AtomicUsize::new(0));
    let signed = with.sign(&source, serial, Some(before), due, &random, &progress).unwrap();
    Before { source: Arc::new(source), signed: Arc::new(signed) }
}

#[test]
fn s2_a_change_costs_a_copy_its_own_records_and_their_signatures() {
    let lines: String = (0..500).map(|at| format!("n{at} 60 A 192.0.2.1\n")).collect();
    let zone = parse("z.test", &format!("{SOA}{lines}")).zone;
    let with = signing(false, Algorithm::Ed25519, &zone);
    let signed = Arc::new(sign(&with, &zone, None));
    let first = Before { source: Arc::new(zone), signed };
    let key = "n7.z.test".parse::<Name>().unwrap().key();
    let node = Node::new(Rrset::a(Ttl::SERVED, ["192.0.2.77".parse().unwrap()]));
    let second = step(&with, &first, vec![(key.clone(), Some(node))]);
    let delta = Delta::between(&first.signed, &second.signed).unwrap();
    let types = |all: &[Record]| all.iter().map(|own| own.rtype.to_string()).collect::<Vec<_>>();
    let expected = ["RRSIG", "A", "RRSIG"];
    assert_eq!(
        (types(&delta.removed), types(&delta.added)),
        (expected.map(String::from).into(), expected.map(String::from).into())
    );
    // A name goes: the one before it has another NSEC.
    let third = step(&with, &second, vec![(key, None)]);
    let delta = Delta::between(&second.signed, &third.signed).unwrap();
    assert_eq!((delta.removed.len(), delta.added.len()), (1 + 4 + 2, 1 + 2));
    // Nothing but signatures.
    let later = Signing { now: with.now + 11 * 86_400, ..with };
    let fourth = step(&later, &third, Vec::new());
    let delta = Delta::between(&third.signed, &fourth.signed).unwrap();
    assert!(delta.removed.len() >= 2 * 499 && delta.removed.len() == delta.added.len());
    assert!(delta.added.iter().all(|own| own.rtype == RecordType::RRSIG));
    assert!(fourth.signed.serial().is_after(third.signed.serial()));
}

// === Any zone, any question ===

fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "*", "Cc"])
}

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(label(), 0..4).prop_map(|labels| {
        let text: String = labels.iter().map(|label| format!("{label}.")).collect();
        format!("{text}z.test").parse().unwrap()
    })
}

fn rows() -> impl Strategy<Value = Vec<(Name, &'static str, Name)>> {
    let rtype = prop::sample::select(vec![
        "A", "A", "A", "TXT", "MX", "MX", "CNAME", "DNAME", "NS", "NS", "DS",
    ]);
    prop::collection::vec((name(), rtype, name()), 0..10)
}

fn rrset(rtype: &str, target: &Name) -> Rrset {
    let ttl = Ttl::from_secs(60);
    let of = |rtype, data: &[u8]| Rrset::new(rtype, ttl, [data]).unwrap();
    match rtype {
        "A" => of(RecordType::A, &[192, 0, 2, 1]),
        "TXT" => of(RecordType::TXT, b"\x04Text"),
        "MX" => of(RecordType::MX, &[&[0, 10], target.as_wire()].concat()),
        "CNAME" => of(RecordType::CNAME, target.as_wire()),
        // The other library does not know the type, nor that its name is signed in lower case.
        "DNAME" => of(RecordType::DNAME, target.to_lowercase().as_wire()),
        "NS" => of(RecordType::NS, target.as_wire()),
        _ => of(RecordType::DS, &[[0, 1, 13, 2].as_slice(), &[7; 32]].concat()),
    }
}

/// A zone of these rows, but for those that a zone cannot have: CNAME beside others, NS or DNAME at
/// a `*`, DS without NS.
fn random_zone(rows: &[(Name, &'static str, Name)]) -> Zone {
    let mut nodes: BTreeMap<NameKey, Node> = BTreeMap::new();
    let base = parse("z.test", SOA).zone;
    nodes.extend(base.nodes().map(|(key, node)| (key.clone(), node.clone())));
    for (owner, rtype, target) in rows {
        let node = nodes.entry(owner.key()).or_default();
        let alias = node.get(RecordType::CNAME).is_some();
        let cuts = ["NS", "DNAME", "DS"].contains(rtype);
        let apex = *owner == *base.apex();
        let refused = alias
            || (*rtype == "CNAME" && !node.is_empty())
            || (cuts && (owner.labels().any(|label| label == b"*") || apex))
            || (*rtype == "DS" && node.get(RecordType::NS).is_none())
            || (*rtype == "NS" && node.get(RecordType::DNAME).is_some())
            || (*rtype == "DNAME" && node.get(RecordType::NS).is_some());
        if !refused {
            node.put(rrset(rtype, target));
        }
    }
    Zone::new(base.apex().clone(), nodes.into_iter().filter(|(_, node)| !node.is_empty()))
}

fn questions() -> impl Strategy<Value = Vec<(Name, Type)>> {
    let types = vec![Type::A, Type::A, Type::TXT, Type::MX, Type::DS, Type::CNAME, Type::NS];
    prop::collection::vec((name(), prop::sample::select(types)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// RFC 1995 §4 for RFC 4035 §2: through changes, renewals, another key, and the zone's first
    /// signing, differences lead from the older view to the newer, one by one and condensed.
    #[test]
    fn s2_differences_of_a_signed_zone_lead_from_any_version_to_the_next(
        first in rows(),
        then in prop::collection::vec((rows(), 0..15_i64, any::<bool>()), 1..5),
    ) {
        let source = Arc::new(random_zone(&first));
        let mut with = signing(false, Algorithm::Ed25519, &source);
        let serial = source.serial().next(0);
        let signed = with.sign(&source, serial, None, [], &SystemRandom::new(), &AtomicUsize::new(0));
        let mut last = Before { source: source.clone(), signed: Arc::new(signed.unwrap()) };
        let mut deltas = vec![Delta::between(&source, &last.signed).unwrap()];
        prop_assert_eq!(applied(view(&source), &deltas[0]), view(&last.signed));
        for (rows, days, other) in then {
            with.now += days * 86_400;
            if other {
                with.keys = signing(false, Algorithm::Ed25519, &source).keys;
            }
            let to = random_zone(&rows);
            let changes = to.changes(&last.source).map(|(key, node)| (key.clone(), node.cloned()));
            let next = step(&with, &last, changes.collect());
            let delta = Delta::between(&last.signed, &next.signed).unwrap();
            prop_assert_eq!(applied(view(&last.signed), &delta), view(&next.signed));
            deltas.push(delta);
            last = next;
        }
        let all = Delta::condensed(&deltas).unwrap();
        prop_assert_eq!(applied(view(&source), &all), view(&last.signed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Signed whole, or step by step from another zone: all answers are valid, and say what they
    /// say without signatures.
    #[test]
    fn every_answer_from_every_zone_validates(
        first in rows(),
        then in rows(),
        questions in questions(),
        compact in any::<bool>(),
    ) {
        let (older, newer) = (random_zone(&first), random_zone(&then));
        let with = signing(compact, Algorithm::Ed25519, &older);
        let signed = sign(&with, &older, None);
        // The same keys in both, so that structure is shared as a change of a fleet shares it.
        let changes: Vec<(NameKey, Option<Node>)> = newer
            .changes(&older)
            .map(|(key, node)| (key.clone(), node.cloned()))
            .collect();
        let newer = older.with(changes, older.serial());
        let before = Before { source: Arc::new(older.clone()), signed: Arc::new(signed.clone()) };
        let resigned = sign(&with, &newer, Some(&before));
        for signer in [serve(signed), serve(resigned)] {
            for (name, rtype) in &questions {
                let name = hickory(name);
                let verdict = signer.validate(&name, *rtype, None)
                    .map_err(TestCaseError::fail)?;
                let plain = signer.ask(&name, *rtype, 0, None);
                let nxdomain = plain.response_code == hickory_proto::op::ResponseCode::NXDomain;
                let denied = matches!(verdict, Verdict::NxDomain | Verdict::Compact);
                prop_assert_eq!(nxdomain, denied, "{} {} is {:?}", name, rtype, verdict);
            }
        }
    }
}
