//! Any answer, written here and read by hickory-proto: the same records, whole rrsets, in bounds.

use super::*;
use hickory_proto::op::Message;
use meridian::{
    model::Ttl,
    records::{Entry, Outcome, Owner, RecordType, Rrset, Section},
};
use std::borrow::Cow;

/// Answers every question alike.
struct Fixed(Answer<'static>);

impl Answers for Fixed {
    fn answer<R>(&self, _: &Question<'_>, _: &Client, encode: impl FnOnce(&Answer<'_>) -> R) -> R {
        encode(&self.0)
    }
}

fn send(answer: &Answer<'static>, packet: &[u8], transport: Transport) -> (Vec<u8>, bool) {
    let mut out = vec![0xee; 7];
    let from = "192.0.2.1".parse().unwrap();
    let arrival = Arrival::new(from, transport);
    match server::respond(&Fixed(answer.clone()), packet, &arrival, &mut out) {
        Reply::Send { truncated, .. } => (out, truncated),
        Reply::Drop(why) => panic!("{why:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn over_tcp_all_records_arrive(asked in name(), answer in any_answer()) {
        let (out, truncated) = send(&answer, &question(&asked.to_string(), 1), Transport::Tcp);
        prop_assert!(!truncated);
        let (got, expected) = (Message::from_vec(&out).unwrap(), plain(&asked, &answer));
        prop_assert!(out.len() <= expected.1, "compression never makes it longer");
        same(&got, &expected.0)?;
    }

    #[test]
    fn over_udp_whole_rrsets_arrive_until_one_does_not_fit(
        asked in name(),
        answer in any_answer(),
        size in proptest::option::of(0_u16..2_000),
    ) {
        let packet = question(&asked.to_string(), 1);
        let packet = size.map_or(packet.clone(), |size| with_opt(packet, size, 0, &[]));
        let (out, truncated) = send(&answer, &packet, Transport::Udp);
        let limit = usize::from(size.unwrap_or(512).clamp(512, 1232));
        prop_assert!(out.len() <= limit);
        let got = Message::from_vec(&out).unwrap();
        prop_assert_eq!(got.edns.is_some(), size.is_some());
        prop_assert_eq!(got.metadata.truncation, truncated);

        let counts = [got.answers.len(), got.authorities.len(), got.additionals.len()];
        let cut = cut(&answer, counts);
        prop_assert!(cut.is_some(), "part of an rrset, or something behind a gap: {:?}", counts);
        let (part, missing) = cut.unwrap();
        let needed = match missing {
            Some(2) => answer.outcome == Outcome::Referral,
            section => section.is_some(),
        };
        prop_assert_eq!(truncated, needed);
        same(&got, &plain(&asked, &part).0)?;
    }

    /// What no zone of ours holds, and what the encoder must survive all the same.
    #[test]
    fn data_that_are_no_names_are_written_as_they_are(
        rtype in proptest::sample::select(vec![2_u16, 5, 6, 12, 15]),
        data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        let answer = holding(rrset(rtype, &data));
        let (out, _) = send(&answer, &question("www.example.org", 1), Transport::Tcp);
        prop_assert!(out.len() <= 65_535);
    }
}

#[test]
fn a_label_that_looks_like_a_pointer_to_itself_does_not_hold_the_encoder() {
    // The name would begin at octet 45 of the message: 12 of header, 21 of question, 12 of record.
    let mut data = vec![0xc0, 45];
    data.resize(194, 0);
    // The same name again, so that it is looked for among those written.
    let other = [&data[..], &[0]].concat();
    let answer = holding(rrset(5, &[data, other]));
    let (out, _) = send(&answer, &question("www.example.org", 1), Transport::Tcp);
    assert_eq!(answers(&out), 2);
}

#[test]
fn records_of_one_long_owner_name_it_once_whatever_was_asked() {
    let owner: Name = "a-rather-long-label.of-a-long-name.example.net".parse().unwrap();
    let addresses = (0..40).map(|n| std::net::IpAddr::from([192, 0, 2, n]));
    let mut answer = holding(Rrset::a(Ttl::SERVED, addresses).unwrap());
    answer.answer[0].owner = Owner::Name(Cow::Owned(owner));
    // A question of so many labels that no further name is remembered.
    let asked = "x.".repeat(120);
    let (out, _) = send(&answer, &question(&asked, 1), Transport::Tcp);
    assert_eq!(out.len(), 12 + 241 + 4 + 46 + 2 + 14 + 39 * 16);
    assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 40);
}

#[test]
fn the_root_is_written_out_where_a_pointer_to_it_would_be_longer() {
    let addresses = (0..3).map(|n| std::net::IpAddr::from([192, 0, 2, n]));
    let answer = holding(Rrset::a(Ttl::SERVED, addresses).unwrap());
    let (out, _) = send(&answer, &question(".", 1), Transport::Tcp);
    assert_eq!(out.len(), 12 + 5 + 3 * 15);
    assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 3);
}

// === Answers ===

fn holding(rrset: Rrset) -> Answer<'static> {
    let entry =
        Entry { owner: Owner::Asked, ttl: rrset.ttl, rrset: Cow::Owned(rrset), rrsig: None };
    Answer {
        outcome: Outcome::Data,
        authoritative: true,
        scope: 0,
        answer: [entry].into_iter().collect(),
        authority: Section::new(),
        additional: Section::new(),
        compact: false,
        stale: false,
        fenced: false,
    }
}

fn rrset(rtype: u16, data: &[Vec<u8>]) -> Rrset {
    Rrset::new(RecordType(rtype), Ttl::SERVED, data).unwrap()
}

fn any_answer() -> impl Strategy<Value = Answer<'static>> {
    let section = || proptest::collection::vec(entry(), 0..5);
    let outcome = proptest::sample::select(vec![
        Outcome::Data,
        Outcome::NoData,
        Outcome::NxDomain,
        Outcome::Referral,
        Outcome::Alias,
        Outcome::YxDomain,
        Outcome::Refused,
        Outcome::NotReady,
    ]);
    let parts = (outcome, any::<bool>(), section(), section(), section());
    parts.prop_map(|(outcome, authoritative, answer, authority, additional)| Answer {
        outcome,
        authoritative,
        scope: 0,
        answer: answer.into(),
        authority: authority.into(),
        additional: additional.into(),
        compact: false,
        stale: false,
        fenced: false,
    })
}

fn entry() -> impl Strategy<Value = Entry<'static>> {
    let owner = proptest::option::of(name());
    (owner, any_rrset(), 0_u32..=i32::MAX as u32).prop_map(|(owner, rrset, ttl)| Entry {
        owner: owner.map_or(Owner::Asked, |name| Owner::Name(Cow::Owned(name))),
        rrset: Cow::Owned(rrset),
        ttl: Ttl::from_secs(ttl),
        rrsig: None,
    })
}

fn any_rrset() -> impl Strategy<Value = Rrset> {
    let types = proptest::sample::select(vec![1_u16, 2, 5, 6, 12, 15, 16, 28, 33, 65_280]);
    types.prop_flat_map(|rtype| {
        let one = (name(), name(), any::<[u8; 20]>()).prop_map(move |(a, b, octets)| {
            let (a, b) = (a.as_wire(), b.as_wire());
            match rtype {
                1 => octets[..4].to_vec(),
                2 | 5 | 12 => a.to_vec(),
                6 => [a, b, &octets].concat(),
                15 => [&octets[..2], a].concat(),
                16 => [&[20][..], &octets].concat(),
                28 => octets[..16].to_vec(),
                33 => [&octets[..6], a].concat(),
                _ => octets.to_vec(),
            }
        });
        let most = if rtype == 6 { 2 } else { 12 };
        proptest::collection::vec(one, 1..most).prop_map(move |data| rrset(rtype, &data))
    })
}

/// Few labels in mixed case, so that names share their ends; some names are as long as can be.
fn name() -> impl Strategy<Value = Name> {
    let label =
        proptest::sample::select(vec!["a", "A", "b", "www", "wWw", "example", "Example", "org"]);
    let long = proptest::collection::vec(label.clone(), 20..30);
    let very_long = (0_usize..127).prop_map(|labels| vec!["x"; labels]);
    let usual = proptest::collection::vec(label, 0..6);
    prop_oneof![8 => usual, 1 => long, 1 => very_long]
        .prop_map(|labels| Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap())
}

// === What another reader makes of it ===

/// The answer without compression, as hickory-proto reads it, and how long that is.
fn plain(asked: &Name, answer: &Answer<'static>) -> (Message, usize) {
    let mut out = question(&asked.to_string(), 1);
    out[2] |= 0x80;
    for (section, at) in sections(answer).into_iter().zip([6, 8, 10]) {
        let mut records = 0_u16;
        for entry in section {
            let owner = match &entry.owner {
                Owner::Asked => asked,
                Owner::Name(name) => name,
            };
            for data in entry.rrset.rdata() {
                out.extend_from_slice(owner.as_wire());
                out.extend_from_slice(&entry.rrset.rtype.0.to_be_bytes());
                out.extend_from_slice(&[0, 1]);
                out.extend_from_slice(&entry.ttl.as_secs().to_be_bytes());
                out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
                out.extend_from_slice(data);
                records += 1;
            }
        }
        out[at..at + 2].copy_from_slice(&records.to_be_bytes());
    }
    (Message::from_vec(&out).unwrap(), out.len())
}

fn sections<'a>(answer: &'a Answer<'static>) -> [&'a Section<'static>; 3] {
    [&answer.answer, &answer.authority, &answer.additional]
}

fn same(got: &Message, expected: &Message) -> Result<(), TestCaseError> {
    prop_assert_eq!(&got.queries, &expected.queries);
    let sections = |message: &Message| {
        [&message.answers, &message.authorities, &message.additionals]
            .map(|records| records.iter().map(|one| (one.clone(), one.ttl)).collect::<Vec<_>>())
    };
    prop_assert_eq!(sections(got), sections(expected));
    Ok(())
}

/// The answer's first whole rrsets that make these counts, and the section where it was cut;
/// `None` when no whole rrsets do.
fn cut(answer: &Answer<'static>, counts: [usize; 3]) -> Option<(Answer<'static>, Option<usize>)> {
    let mut part = answer.clone();
    let mut missing = None;
    let kept = [&mut part.answer, &mut part.authority, &mut part.additional];
    for ((number, section), count) in kept.into_iter().enumerate().zip(counts) {
        let (mut records, mut whole) = (0, 0);
        while records < count {
            records += section.get(whole)?.rrset.len();
            whole += 1;
        }
        if records != count || missing.is_some() && count > 0 {
            return None;
        }
        if whole < section.len() && missing.is_none() {
            missing = Some(number);
        }
        section.truncate(whole);
    }
    Some((part, missing))
}
