//! RFC 9432: DNS Catalog Zones.

use crate::battery::name;
use meridian::{
    model::{Name, Serial},
    records::{MasterFile, Zone, rows},
    transfer::catalog,
};

fn listed(zones: &[&str]) -> Zone {
    let zones: Vec<Name> = zones.iter().map(|own| name(own)).collect();
    catalog(&name("cat.test"), &zones, Serial(1))
}

fn members(zone: &Zone) -> Vec<(String, String)> {
    let pointers = rows(zone).filter(|row| row.rtype.to_string() == "PTR");
    pointers.map(|row| (row.name.to_string(), row.data)).collect()
}

#[test]
fn s4_1_the_catalog_has_an_soa_and_one_ns_that_leads_nowhere() {
    let zone = listed(&["a.test"]);
    let text = MasterFile(&zone).to_string();
    assert!(text.contains("NS    invalid."), "{text}");
    assert_eq!(zone.serial(), Serial(1));
}

#[test]
fn s4_2_1_its_version_is_2() {
    let zone = listed(&[]);
    let version = rows(&zone).find(|row| row.name == name("version.cat.test")).unwrap();
    assert_eq!((version.rtype.to_string().as_str(), version.data.as_str()), ("TXT", "\"2\""));
}

#[test]
fn s4_1_each_member_is_a_pointer_under_a_label_of_its_own_below_zones() {
    let all = members(&listed(&["a.test", "b.test", "A.TEST"]));
    assert_eq!(all.len(), 2);
    let mut zones: Vec<_> = all.iter().map(|(_, zone)| zone.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["a.test.", "b.test."]);
    assert!(all.iter().all(|(owner, _)| owner.ends_with(".zones.cat.test.")));
}

#[test]
fn s5_1_a_members_label_stays_whatever_else_is_listed() {
    let owner = |zones: &[&str]| {
        members(&listed(zones)).into_iter().find(|(_, zone)| zone == "b.test.").unwrap().0
    };
    assert_eq!(owner(&["b.test"]), owner(&["a.test", "b.test", "c.test"]));
}

#[test]
fn s3_the_catalog_does_not_list_itself() {
    assert_eq!(members(&listed(&["cat.test", "a.test"])).len(), 1);
}
