//! The order of calls, and which zone of a name.

use super::{
    order::{Call, calls},
    *,
};
use crate::{
    model::Ttl,
    plan::{Action, Change, Mark, Owner, Permitted, SetKey, permit},
    records::RecordType,
};
use std::collections::BTreeMap;

const ZONE: &str = "z.test";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn owner() -> Owner {
    Owner::new("one", "i", &[vec![1; 32]]).unwrap()
}

fn set(at: &str, rtype: RecordType, octet: u8) -> RecordSet {
    let data = match rtype {
        RecordType::A => vec![1, 2, 3, octet],
        RecordType::AAAA => [vec![0x20; 15], vec![octet]].concat(),
        _ => vec![1, octet, 0],
    };
    RecordSet::plain(&name(at), rtype, Ttl::SERVED, [data])
}

fn mark(at: &str, types: &[RecordType]) -> RecordSet {
    let types = types.iter().copied().collect();
    let mark = Mark { owner: "one".into(), object: "o".into(), generation: 1, types };
    mark.set(&owner(), &name(ZONE), &name(at))
}

/// A batch that makes `there` say `wanted`, by the type of each name's sets.
fn batch(there: &[RecordSet], at: &str, delete: &[RecordSet], create: &[RecordSet]) -> Permitted {
    let listing = Listing::whole(name(ZONE), there.iter().cloned());
    let gone = create.is_empty();
    let change = Change {
        name: name(at),
        action: if gone { Action::Remove } else { Action::Update },
        object: "service prod/shop".into(),
        delete: delete.to_vec(),
        create: create.to_vec(),
    };
    permit(&owner(), &listing, vec![change], None).unwrap()
}

/// `+A`, `~TXT`, `-CNAME`, as they are called; marks are `mark`, the generation record `epoch`.
fn said(batch: &Permitted) -> Vec<String> {
    let word = |set: &RecordSet| match set.key.name().to_string() {
        name if name.starts_with("_meridian-writer") => "epoch".to_owned(),
        name if name.starts_with("_meridian") => "mark".to_owned(),
        _ => set.key.rtype.to_string(),
    };
    let one = |call: Call<'_>| match call {
        Call::Create(set) => format!("+{}", word(set)),
        Call::Replace(_, set) => format!("~{}", word(set)),
        Call::Delete(set) => format!("-{}", word(set)),
    };
    calls(batch).into_iter().map(one).collect()
}

#[test]
fn what_is_marked_is_marked_before_it_comes_and_until_it_is_gone() {
    use RecordType as T;
    let at = "a.z.test";
    let (a, b, v6, alias) =
        (set(at, T::A, 1), set(at, T::A, 2), set(at, T::AAAA, 1), set(at, T::CNAME, b'x'));
    let cases: [(Vec<RecordSet>, Vec<RecordSet>, &[&str]); 6] = [
        (vec![], vec![a.clone(), mark(at, &[T::A])], &["+epoch", "+mark", "+A"]),
        (vec![a.clone()], vec![b.clone()], &["+epoch", "~A"]),
        (
            vec![a.clone(), mark(at, &[T::A])],
            vec![alias.clone(), mark(at, &[T::CNAME])],
            &["+epoch", "-A", "~mark", "+CNAME"],
        ),
        (
            vec![v6.clone(), mark(at, &[T::A, T::AAAA])],
            vec![mark(at, &[T::A])],
            &["+epoch", "-AAAA", "~mark"],
        ),
        (
            vec![a.clone(), mark(at, &[T::A])],
            vec![v6, mark(at, &[T::A, T::AAAA])],
            &["+epoch", "~mark", "+AAAA", "-A"],
        ),
        (vec![a.clone(), mark(at, &[T::A])], vec![], &["+epoch", "-A", "-mark"]),
    ];
    for (delete, create, expected) in cases {
        let mut there: BTreeMap<SetKey, RecordSet> = BTreeMap::new();
        if !delete.is_empty() {
            let types: Vec<_> = [T::A, T::AAAA].into();
            let own = mark(at, &types);
            there.insert(own.key.clone(), own);
            there.insert(a.key.clone(), a.clone());
        }
        there.extend(delete.iter().map(|set| (set.key.clone(), set.clone())));
        let there: Vec<_> = there.into_values().collect();
        assert_eq!(said(&batch(&there, at, &delete, &create)), expected);
    }
}

#[test]
fn what_has_no_version_is_not_written_over() {
    let old = set("a.z.test", RecordType::A, 1);
    assert!(matches!(condition(&old), Err(Failure::Lost(_))));
}

#[test]
fn one_zone_of_a_name_is_taken_and_several_are_not() {
    let zones = |groups: &[&str]| -> Vec<convert::Zone> {
        let of =
            |group: &&str| convert::Zone { id: format!("/{group}/Z.test"), name: "Z.test".into() };
        groups.iter().map(of).collect()
    };
    assert_eq!(one_of_name(&zones(&["a"]), &name(ZONE)).unwrap(), "/a/Z.test");
    let none = one_of_name(&zones(&[]), &name(ZONE)).unwrap_err().to_string();
    assert!(none.contains("no zone z.test."), "{none}");
    let two = one_of_name(&zones(&["a", "b"]), &name(ZONE)).unwrap_err();
    assert!(matches!(&two, Failure::Zone(text) if text.contains("/a/Z.test, /b/Z.test")), "{two}");
}

#[test]
fn secrets_are_not_shown() {
    let settings = AzureSettings { secret: Some("hush".into()), ..AzureSettings::default() };
    let clock: crate::provider::Clock = || unreachable!("nothing is called");
    assert!(!format!("{settings:?} {:?}", Azure::new(settings.clone(), clock)).contains("hush"));
}
