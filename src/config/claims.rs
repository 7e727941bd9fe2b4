//! Who has a DNS zone when several want it: the one that has it now, else the first by name,
//! federations before plain zones.

use super::{
    head::Id,
    load::{Good, Object},
};
use crate::model::Name;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One that does not get the zone it wants.
pub(super) struct Refused {
    pub(super) file: PathBuf,
    pub(super) shown: String,
    pub(super) text: String,
}

/// Leaves each zone to one. Whoever else wants it goes back to the version before, or goes.
///
/// In `old`, each zone has one owner; so an object that went back has its zone for sure, and each
/// round ends the claim of one more.
pub(super) fn settle(
    good: &mut BTreeMap<Id, Good>,
    old: &BTreeMap<Id, Good>,
    shown: &dyn Fn(&Path) -> String,
) -> Vec<Refused> {
    let mut refused = Vec::new();
    while let Some((loser, owner, zone)) = contest(good, old) {
        let Some(gone) = good.remove(&loser) else { break };
        let before = old.get(&loser).filter(|own| own.object.zone() != Some(&zone)).cloned();
        let first = good.get(&owner).map(|own| shown(&own.file)).unwrap_or_default();
        let stays = match &before {
            Some(_) => "its last good version stays in force",
            None => "this one is not in force",
        };
        refused.push(Refused {
            file: gone.file,
            shown: name(&loser),
            text: format!("{}; {stays}", refusal(&gone.object, &owner, &first, &zone)),
        });
        good.extend(before.map(|own| (loser, own)));
    }
    refused
}

/// The first zone that two want: who loses it, and who has it.
fn contest(good: &BTreeMap<Id, Good>, old: &BTreeMap<Id, Good>) -> Option<(Id, Id, Name)> {
    let mut owners: BTreeMap<&Name, &Id> = BTreeMap::new();
    for (id, own) in good {
        let Some(zone) = own.object.zone() else { continue };
        let Some(first) = owners.insert(zone, id) else { continue };
        let held = old.get(id).is_some_and(|before| before.object.zone() == Some(zone));
        let (loser, owner) = if held { (first, id) } else { (id, first) };
        return Some((loser.clone(), owner.clone(), zone.clone()));
    }
    None
}

fn refusal(object: &Object, owner: &Id, file: &str, zone: &Name) -> String {
    let federation = owner.0 == "Federation";
    match (object, federation) {
        (Object::Federation(_), true) => format!(
            "spec.zone: {zone} is claimed by {} (in {file}) too, which has it; expected a zone of \
             its own",
            name(owner)
        ),
        (Object::Federation(_), false) => format!(
            "spec.zone: {zone} is served from {file} already; name that file as spec.masterFile to \
             serve both together"
        ),
        _ => format!(
            "is the zone of {} (in {file}), which has it; name this file as its spec.masterFile to \
             serve both together",
            name(owner)
        ),
    }
}

fn name((kind, _, name): &Id) -> String {
    match kind.as_str() {
        "Zone" => format!("zone {name}."),
        _ => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{FEDERATION, MEMBER, STATIC, federation, one_error, place, zones};
    use crate::records::Zone;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, fs, sync::Arc};

    #[test]
    fn a_new_federation_cannot_take_a_zone_that_another_has() {
        let mut place = place(&[("b.yaml", FEDERATION), ("aws.yaml", MEMBER)]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("a.yaml", &federation("earlier", "{zone: demo.example.org}"));
        for _ in 0..2 {
            let loaded = place.loader.load();
            one_error(
                &loaded,
                &[
                    "a.yaml: Federation earlier: spec.zone: demo.example.org. is claimed by Federation \
                 magicring (in b.yaml) too, which has it",
                    "this one is not in force",
                ],
            );
            assert_eq!(zones(&loaded), ["magicring demo.example.org."]);
        }
    }

    #[test]
    fn an_edit_to_a_taken_zone_keeps_the_version_before_and_its_zone() {
        let mut place = place(&[
            ("a.yaml", &federation("a", "{zone: a.example}")),
            ("b.yaml", &federation("b", "{zone: b.example}")),
            ("aws.yaml", MEMBER),
        ]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("a.yaml", &federation("a", "{zone: b.example}"));
        // Somebody else wants what `a` seems to give up.
        place.write("0.yaml", &federation("0a", "{zone: a.example}"));
        let loaded = place.loader.load();
        assert_eq!(zones(&loaded), ["a a.example.", "b b.example."]);
        let errors: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        assert!(
            errors[0].contains("Federation 0a: spec.zone: a.example. is claimed"),
            "{errors:#?}"
        );
        assert!(errors[1].contains("its last good version stays in force"), "{errors:#?}");
        // Two may change places in one edit.
        place.write("a.yaml", &federation("a", "{zone: b.example}"));
        place.write("b.yaml", &federation("b", "{zone: a.example}"));
        fs::remove_file(place.directory.path().join("0.yaml")).unwrap();
        let loaded = place.loader.load();
        assert_eq!(loaded.errors, []);
        assert_eq!(zones(&loaded), ["a b.example.", "b a.example."]);
    }

    #[test]
    fn a_federation_cannot_take_the_zone_of_a_plain_one_unless_it_names_the_file() {
        let mut place = place(&[("demo.example.org.zone", STATIC), ("aws.yaml", MEMBER)]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("fed.yaml", FEDERATION);
        let loaded = place.loader.load();
        one_error(
            &loaded,
            &["is served from demo.example.org.zone already; name that file as spec.masterFile"],
        );
        assert_eq!((loaded.config.zones.len(), loaded.config.federations.len()), (1, 0));
        let with = "{zone: demo.example.org, masterFile: demo.example.org.zone}";
        place.write("fed.yaml", &federation("magicring", with));
        let loaded = place.loader.load();
        assert_eq!(loaded.errors, []);
        assert_eq!((loaded.config.zones.len(), loaded.config.federations.len()), (0, 1));
    }

    fn claimed(claims: &[(u8, u8)]) -> BTreeMap<Id, Good> {
        let of = |(name, zone): &(u8, u8)| {
            let apex: Name = format!("z{zone}.example").parse().unwrap();
            let object = Object::Zone(Arc::new(Zone::new(apex, [])));
            let id = ("Federation".to_owned(), String::new(), format!("f{name}"));
            (id, Good { file: format!("{name}.yaml").into(), object })
        };
        claims.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn each_zone_has_one_owner_and_nobody_loses_what_is_not_given_up(
            held in proptest::collection::btree_map(0_u8..6, 0_u8..6, 0..6),
            wanted in proptest::collection::vec((0_u8..6, 0_u8..6), 0..8),
        ) {
            let (held, wanted): (Vec<_>, BTreeMap<_, _>) =
                (held.into_iter().collect(), wanted.into_iter().collect());
            let mut old = claimed(&held);
            settle(&mut old, &BTreeMap::new(), &|_| String::new());
            let new = claimed(&wanted.into_iter().collect::<Vec<_>>());
            let mut good = new.clone();
            let refused = settle(&mut good, &old, &|_| String::new());
            let owned: BTreeSet<&Name> = good.values().filter_map(|own| own.object.zone()).collect();
            prop_assert_eq!(owned.len(), good.len());
            for (id, before) in old.iter().filter(|(id, _)| new.contains_key(*id)) {
                let own = good.get(id).map(|own| own.object.zone());
                let unchanged = new[id].object.zone() == before.object.zone();
                prop_assert!(own.is_some() && (!unchanged || own == Some(before.object.zone())));
            }
            // Each is refused once at most, and whoever is refused is where it was before.
            let names: BTreeSet<&str> = refused.iter().map(|own| own.shown.as_str()).collect();
            prop_assert_eq!(names.len(), refused.len());
        }
    }
}
