//! What is sent is what is taken: any history of a zone, through messages of any size.

use super::*;
use crate::{
    model::{Key, Name, Serial, Ttl},
    records::{Node, RecordType, Rrset, Zone},
};
use proptest::{collection::vec, prelude::*};
use std::sync::Arc;

fn apex() -> Name {
    "z.test".parse().unwrap()
}

fn first(serial: u32) -> Zone {
    let mut soa = b"\x02ns\x07example\0\x01h\x01z\x04test\0".to_vec();
    soa.extend([serial, 7_200, 900, 86_400, 30].iter().flat_map(|own| own.to_be_bytes()));
    let sets = [
        Rrset::new(RecordType::SOA, Ttl::SERVED, [soa]),
        Rrset::new(RecordType::NS, Ttl::SERVED, [b"\x02ns\x07example\0"]),
    ];
    Zone::new(apex(), [(apex().key(), Node::new(sets.into_iter().flatten()))])
}

fn owner(label: u8) -> Key {
    match label {
        0 => apex(),
        label => apex().prepend(format!("n{label}").as_bytes()).unwrap(),
    }
    .key()
}

/// A change of one name: its address records and their TTL, or nothing.
type Edit = (u8, Vec<u8>, u32);

fn edited(zone: &Zone, edits: &[Edit], by: u32) -> Zone {
    let node = |(label, addresses, ttl): &Edit| {
        let set =
            Rrset::new(RecordType::A, Ttl::from_secs(*ttl), addresses.iter().map(|own| [*own; 4]));
        let key = owner(*label);
        let node = match label {
            // The apex keeps SOA and NS.
            0 => {
                let old = zone.node(key.as_bytes()).unwrap();
                let rest = old.iter().filter(|own| own.rtype != RecordType::A).cloned();
                Some(Node::new(rest.chain(set)))
            }
            _ => set.map(|set| Node::new([set])),
        };
        (key, node)
    };
    zone.with(edits.iter().map(node), Serial(zone.serial().0.wrapping_add(by)))
}

fn edits() -> impl Strategy<Value = (Vec<Edit>, u32)> {
    let one = (0..12_u8, vec(0..4_u8, 0..4), prop::sample::select(vec![30_u32, 60]));
    (vec(one, 0..6), prop_oneof![1..3_u32, Just(0x0fff_ffff)])
}

fn versions(start: u32, changes: &[(Vec<Edit>, u32)]) -> Vec<Arc<Zone>> {
    let mut all = vec![Arc::new(first(start))];
    for (edits, by) in changes {
        let last = all.last().unwrap();
        all.push(Arc::new(edited(last, edits, *by)));
    }
    all
}

fn history(versions: &[Arc<Zone>], journal: Journal) -> History {
    let begin = History::new(versions[0].clone());
    versions[1..].iter().fold(begin, |all, zone| all.with(zone.clone(), journal))
}

fn same(one: &Zone, other: &Zone) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.serial(), other.serial());
    prop_assert!(one.nodes().eq(other.nodes()));
    Ok(())
}

/// What a secondary has after a transfer in messages of at most that size.
fn transferred(
    history: &History,
    have: Option<&Arc<Zone>>,
    limit: usize,
) -> Result<Option<Zone>, Unusable> {
    let wanted = have.map_or(Wanted::Whole, |have| Wanted::Since(have.serial()));
    let mut outgoing = Outgoing::new(history, wanted, Head::default()).unwrap();
    let mut incoming = Incoming::new(apex(), have.cloned());
    while let Some(message) = outgoing.next(limit) {
        assert!(message.len() <= limit);
        let rows = read_response(&message).unwrap();
        match incoming.take(rows.answer)? {
            Progress::More => {}
            Progress::Current => {
                assert!(outgoing.is_done());
                return Ok(None);
            }
            Progress::Whole(zone) => {
                assert!(outgoing.next(limit).is_none(), "records behind the end");
                return Ok(Some(zone));
            }
        }
    }
    panic!("the transfer ends unfinished");
}

proptest! {
    /// The journal's differences lead from any older version to the newest, one by one and
    /// condensed, over serials that wrap around.
    #[test]
    fn any_older_version_becomes_the_newest_by_the_journals_differences(
        start in any::<u32>(), changes in vec(edits(), 1..8), limit in 200..2_000_usize
    ) {
        let versions = versions(start, &changes);
        let history = history(&versions, Journal::default());
        let newest = versions.last().unwrap();
        for have in &versions {
            match transferred(&history, Some(have), limit).unwrap() {
                Some(zone) => same(&zone, newest)?,
                None => prop_assert_eq!(newest.serial(), have.serial()),
            }
        }
        let whole = transferred(&history, None, limit).unwrap().unwrap();
        same(&whole, newest)?;
    }

    #[test]
    fn each_step_leads_to_the_next_version(changes in vec(edits(), 1..8)) {
        let versions = versions(7, &changes);
        for pair in versions.windows(2) {
            let delta = Delta::between(&pair[0], &pair[1]).unwrap();
            let mut incoming = Incoming::new(apex(), Some(pair[0].clone()));
            let newest = delta.to.clone();
            let rows = [vec![newest.clone(), delta.from], delta.removed, vec![delta.to], delta.added];
            let mut rows = rows.concat();
            rows.push(newest);
            let Progress::Whole(zone) = incoming.take(rows).unwrap() else { panic!("unfinished") };
            same(&zone, &pair[1])?;
        }
    }

    /// However a transfer is cut, it is not taken as complete.
    #[test]
    fn a_transfer_that_breaks_off_is_never_complete(
        changes in vec(edits(), 1..5), cut in 0..1_000_usize, whole in any::<bool>()
    ) {
        let versions = versions(7, &changes);
        let history = history(&versions, Journal::default());
        let have = (!whole).then(|| versions[0].clone());
        prop_assume!(history.zone().serial().is_after(Serial(7)) || whole);
        let wanted = if whole { Wanted::Whole } else { Wanted::Since(Serial(7)) };
        let message = Outgoing::new(&history, wanted, Head::default()).unwrap().next(65_535);
        let mut rows = read_response(&message.unwrap()).unwrap().answer;
        rows.truncate(cut % rows.len());
        prop_assume!(!rows.is_empty());
        let mut incoming = Incoming::new(apex(), have);
        prop_assert!(!matches!(incoming.take(rows), Ok(Progress::Whole(_) | Progress::Current)));
    }

    #[test]
    fn no_records_are_too_strange(
        rows in vec((0..4_u8, prop::sample::select(vec![1_u16, 2, 6]), vec(any::<u8>(), 0..24)), 0..12)
    ) {
        let record = |(label, rtype, data): (u8, u16, Vec<u8>)| Record {
            owner: owner(label).to_name(), rtype: RecordType(rtype), ttl: Ttl::SERVED, data
        };
        let mut incoming = Incoming::new(apex(), Some(Arc::new(first(7))));
        let soa = Record::soa(&first(9)).unwrap();
        let _ = incoming.take(std::iter::once(soa).chain(rows.into_iter().map(record)).collect());
    }
}

fn soa(serial: u32) -> Record {
    Record::soa(&first(serial)).unwrap()
}

fn address(label: u8) -> Record {
    let (ttl, data) = (Ttl::SERVED, vec![192, 0, 2, label]);
    Record { owner: owner(label).to_name(), rtype: RecordType::A, ttl, data }
}

#[test]
fn differences_that_turn_into_a_whole_zone_half_way_are_not_used() {
    let have = Arc::new(first(1));
    let take = |rows: Vec<Record>| Incoming::new(apex(), Some(have.clone())).take(rows);
    // The sequence breaks off and the zone begins: the SOA is not where the next one begins.
    let mixed = vec![soa(3), soa(1), soa(2), address(1), soa(3), address(2), soa(3)];
    assert!(matches!(take(mixed), Err(Unusable::Misfit(_))));
    // What is to be removed was never there.
    let foreign = vec![soa(2), soa(1), address(9), soa(2), soa(2)];
    assert!(matches!(take(foreign), Err(Unusable::Misfit(_))));
    // Differences to another version than ours.
    let other = vec![soa(9), soa(8), soa(9), soa(9)];
    assert!(matches!(take(other), Err(Unusable::Misfit(_))));
    // Another zone's records, and records behind the end.
    let mut outside = address(1);
    outside.owner = "other.test".parse().unwrap();
    assert!(matches!(take(vec![soa(2), outside, soa(2)]), Err(Unusable::Broken(_))));
    assert!(matches!(take(vec![soa(2), address(1), soa(2), address(2)]), Err(Unusable::Broken(_))));
    assert!(matches!(take(vec![soa(2), address(1), soa(3)]), Err(Unusable::Broken(_))));
    assert!(matches!(take(vec![soa(2), soa(1), soa(2), soa(2)]), Ok(Progress::Whole(_))));
}

#[test]
fn a_past_that_is_too_long_or_leads_nowhere_is_forgotten_from_its_old_end() {
    let changes: Vec<_> = (0..9_u8).map(|n| (vec![(n + 1, vec![1], 30)], 1)).collect();
    let versions = versions(1, &changes);
    let short = history(&versions, Journal { versions: 3, octets: usize::MAX });
    assert_eq!(short.versions(), 3);
    assert!(short.since(Serial(6)).is_none() && short.since(Serial(7)).is_some());
    let small = history(&versions, Journal { versions: 1_000, octets: 1_000 });
    assert!(small.octets() <= 1_000 && small.versions() < 9, "{small:?}");
    let none = history(&versions, Journal { versions: 1_000, octets: 0 });
    assert_eq!((none.versions(), none.octets()), (0, 0));
    // The serial falls back: nothing leads there.
    let back = short.with(Arc::new(first(2)), Journal::default());
    assert_eq!((back.versions(), back.zone().serial()), (0, Serial(2)));
}

#[test]
fn what_came_and_went_again_is_left_out() {
    let changes = [
        (vec![(1, vec![1], 30), (2, vec![2], 30)], 1),
        (vec![(1, vec![], 30), (3, vec![3], 30)], 1),
        (vec![(3, vec![3], 60)], 1),
    ];
    let versions = versions(1, &changes);
    let history = history(&versions, Journal::default());
    let all = history.since(Serial(1)).unwrap();
    let delta = Delta::condensed(all.iter().map(|own| &**own)).unwrap();
    assert!(delta.removed.is_empty(), "{delta:?}");
    let added: Vec<_> =
        delta.added.iter().map(|own| (own.owner.to_string(), own.ttl.as_secs())).collect();
    assert_eq!(added, [("n2.z.test.".to_owned(), 30), ("n3.z.test.".to_owned(), 60)]);
}

#[test]
fn a_datagram_holds_the_differences_or_the_newest_soa_alone() {
    let addresses: Vec<u8> = (0..4).collect();
    let many: Vec<Edit> = (1..12).map(|label| (label, addresses.clone(), 30)).collect();
    let versions = versions(1, &[(many, 1), (vec![(1, vec![1], 30)], 1)]);
    let history = history(&versions, Journal::default());
    let answer = |serial: u32| {
        let outgoing = Outgoing::new(&history, Wanted::Since(Serial(serial)), Head::default());
        let message = outgoing.unwrap().datagram(&history, 512).unwrap();
        assert!(message.len() <= 512);
        read_response(&message).unwrap().answer
    };
    assert_eq!(answer(3), [Record::soa(&versions[2]).unwrap()]);
    assert_eq!(answer(1), [Record::soa(&versions[2]).unwrap()], "too large");
    assert_eq!(answer(77), [Record::soa(&versions[2]).unwrap()], "not before ours");
    assert!(answer(2).len() > 4, "the last step fits");
}

#[test]
fn a_catalog_lists_its_members_under_labels_that_stay() {
    let (name, members) = ("cat.test".parse().unwrap(), ["b.test", "a.test", "cat.test"]);
    let members: Vec<Name> = members.iter().map(|own| own.parse().unwrap()).collect();
    let zone = catalog(&name, &members, Serial(5));
    let rows: Vec<_> = crate::records::rows(&zone).map(|row| row.to_string()).collect();
    assert_eq!(
        rows,
        [
            "cat.test. 0 SOA invalid. invalid. 5 300 60 1209600 30",
            "cat.test. 0 NS invalid.",
            "version.cat.test. 0 TXT \"2\"",
            "22a4880d5f861991.zones.cat.test. 0 PTR a.test.",
            "2ce7b98b88399097.zones.cat.test. 0 PTR b.test.",
        ]
    );
}
