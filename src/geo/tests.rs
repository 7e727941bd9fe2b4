//! What a database must bear: every layout and trap of `reference/geo-steering-dashboard.md` §1.5,
//! and files that are broken on purpose.

use super::*;
use crate::model::Location;
use ipnet::IpNet;
use proptest::prelude::*;
use std::{collections::BTreeSet, net::IpAddr};
use writer::{Value, map, text, write};

#[path = "../../tests/support/mmdb.rs"]
mod writer;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn one(kind: &str, value: Value) -> Database {
    Database::read(write(kind, 4, &[(ip("192.0.2.0"), 24, value)]), "test.mmdb").unwrap()
}

fn at(database: &Database, address: &str) -> Option<Location> {
    database.locate(ip(address)).map(|(location, _)| location.clone())
}

fn country(code: &str) -> Value {
    map([("country_code", text(code))])
}

// === Layouts ===

#[test]
fn maxminds_nested_layout_is_read_with_doubles() {
    let database = one(
        "GeoLite2-City",
        map([
            ("continent", map([("code", text("NA"))])),
            ("country", map([("iso_code", text("US"))])),
            ("subdivisions", Value::List(vec![map([("iso_code", text("CA"))])])),
            (
                "location",
                map([("latitude", Value::Double(37.4)), ("longitude", Value::Double(-122.1))]),
            ),
        ]),
    );
    let location = at(&database, "192.0.2.9").unwrap();
    let expected = Location {
        continent: Some("NA".into()),
        country: Some("US".into()),
        subdivision: Some("CA".into()),
        coordinates: Some((37.4, -122.1)),
        approximate: false,
    };
    assert_eq!(location, expected);
    assert_eq!(database.info().to_string(), "test.mmdb of 2026-06-17");
    assert_eq!(database.info().kind, "GeoLite2-City");
}

#[test]
fn a_flat_layout_is_read_with_floats_and_has_its_continent_from_our_table() {
    let database = one(
        "flat",
        map([
            ("country_code", text("JP")),
            ("state1", text("Tokyo")),
            ("latitude", Value::Float(35.5)),
            ("longitude", Value::Float(139.5)),
        ]),
    );
    let location = at(&database, "192.0.2.9").unwrap();
    assert_eq!(location.continent.as_deref(), Some("AS"));
    assert_eq!(location.subdivision.as_deref(), Some("TOKYO"));
    assert_eq!((location.coordinates, location.approximate), (Some((35.5, 139.5)), false));
}

#[test]
fn coordinates_as_text_are_read_and_nonsense_is_left_out() {
    let place = |north: &str, east: &str| {
        let value =
            map([("country", text("DE")), ("latitude", text(north)), ("longitude", text(east))]);
        at(&one("ipinfo", value), "192.0.2.9").unwrap()
    };
    assert_eq!(place("52.5", "13.4").coordinates, Some((52.5, 13.4)));
    for (north, east) in [("91", "0"), ("0", "0"), ("NaN", "1"), ("x", "y")] {
        let location = place(north, east);
        assert!(location.approximate, "{north},{east}: the country's own point stands");
        assert_eq!(location.coordinates, point_of("DE"));
    }
}

#[test]
fn a_country_that_is_a_name_or_no_country_is_not_taken_for_a_code() {
    for value in ["Germany", "EU", "ZZ", "A1", ""] {
        let both = map([("country", text(value)), ("continent_code", text("EU"))]);
        let location = at(&one("ipinfo", both), "192.0.2.9").unwrap();
        assert_eq!(
            (location.country, location.continent.as_deref()),
            (None, Some("EU")),
            "{value}"
        );
    }
}

#[test]
fn the_registered_country_stands_in_where_there_is_no_other() {
    let value = map([("registered_country", map([("iso_code", text("BR"))]))]);
    let location = at(&one("GeoLite2-Country", value), "192.0.2.9").unwrap();
    assert_eq!(
        (location.country.as_deref(), location.continent.as_deref()),
        (Some("BR"), Some("SA"))
    );
}

#[test]
fn a_path_through_a_value_of_another_type_is_absent_not_an_error() {
    let value = map([("country", text("FR")), ("location", Value::Number(7))]);
    assert_eq!(at(&one("odd", value), "192.0.2.9").unwrap().country.as_deref(), Some("FR"));
}

// === Families ===

#[test]
fn an_ipv4_address_within_an_ipv6_one_is_where_that_is() {
    let database = Database::read(
        write(
            "both",
            6,
            &[(ip("192.0.2.0"), 24, country("DE")), (ip("2001:db8::"), 32, country("JP"))],
        ),
        "test.mmdb",
    );
    let database = database.unwrap();
    for address in ["192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1"] {
        let (location, net) = database.locate(ip(address)).unwrap();
        assert_eq!(location.country.as_deref(), Some("DE"), "{address}");
        assert_eq!(net, "192.0.2.0/24".parse::<IpNet>().unwrap());
    }
    assert_eq!(at(&database, "2001:db8::1").unwrap().country.as_deref(), Some("JP"));
    assert_eq!(at(&database, "2001:db9::1"), None);
}

#[test]
fn a_file_of_one_family_knows_nothing_of_the_other() {
    let v4 =
        Database::read(write("four", 4, &[(ip("192.0.2.0"), 24, country("DE"))]), "4").unwrap();
    assert_eq!(at(&v4, "2001:db8::1"), None);
    let v6 =
        Database::read(write("six", 6, &[(ip("2001:db8::"), 32, country("JP"))]), "6").unwrap();
    assert_eq!(at(&v6, "192.0.2.1"), None);
}

#[test]
fn two_files_become_one_database_in_either_order() {
    let read = |version, net, length, code| {
        Database::read(write("half", version, &[(ip(net), length, country(code))]), code).unwrap()
    };
    let (four, six) = (|| read(4, "192.0.2.0", 24, "DE"), || read(6, "2001:db8::", 32, "JP"));
    for both in [four().paired(six()), six().paired(four())] {
        assert_eq!(at(&both, "192.0.2.1").unwrap().country.as_deref(), Some("DE"));
        assert_eq!(at(&both, "2001:db8::1").unwrap().country.as_deref(), Some("JP"));
        assert_eq!((both.info().v4, both.info().v6, both.info().places), (1, 1, 2));
    }
}

#[test]
fn networks_are_in_order_and_disjoint_and_neighbours_of_one_place_are_joined() {
    let networks = [
        (ip("192.0.2.0"), 25, country("DE")),
        (ip("192.0.2.128"), 25, country("DE")),
        (ip("198.51.100.0"), 24, country("FR")),
        (ip("198.51.101.0"), 24, country("DE")),
    ];
    let database = Database::read(write("some", 4, &networks), "test").unwrap();
    let found: Vec<String> = database.networks().map(|(net, _)| net.to_string()).collect();
    assert_eq!(found, ["192.0.2.0/24", "198.51.100.0/24", "198.51.101.0/24"]);
}

// === Broken files ===

#[test]
fn what_is_no_database_is_refused_with_a_reason() {
    let read = |bytes: &[u8]| Database::read(bytes.to_vec(), "x").unwrap_err().to_string();
    assert!(read(b"").starts_with("not a MaxMind DB file"), "{}", read(b""));
    assert!(read(b"<html>not found</html>").starts_with("not a MaxMind DB file"));
    let asn = write(
        "asn",
        4,
        &[(ip("192.0.2.0"), 24, map([("autonomous_system_number", Value::Number(1))]))],
    );
    assert!(read(&asn).contains("expected a country or city database"), "{}", read(&asn));
    assert!(read(&write("empty", 4, &[])).contains("no network"));
}

#[test]
fn a_file_that_fails_only_on_lookup_is_refused_when_it_is_read() {
    let mut file = write("some", 4, &[(ip("192.0.2.0"), 24, country("DE"))]);
    // The record's map claims more entries than there are.
    let at = file.windows(12).position(|window| window == b"country_code").unwrap();
    file[at - 2] |= 0x1c;
    let error = Database::read(file, "x").unwrap_err();
    assert!(matches!(error, DatabaseError::Broken(_)), "{error}");
}

#[test]
fn a_tree_whose_branches_meet_again_is_refused_before_it_takes_forever() {
    let nodes = 100_u32;
    let mut file = Vec::new();
    for at in 0..nodes {
        let next = if at + 1 < nodes { at + 1 } else { nodes + 16 };
        file.extend_from_slice(&[next.to_be_bytes(), next.to_be_bytes()].concat());
    }
    let whole = write("some", 6, &[(ip("2001:db8::"), 32, country("DE"))]);
    let marker = whole.windows(14).position(|own| own == b"\xab\xcd\xefMaxMind.com").unwrap();
    let count = u32::from_be_bytes({
        let at = whole.windows(10).position(|own| own == b"node_count").unwrap() + 11;
        whole[at..at + 4].try_into().unwrap()
    });
    let data = usize::try_from(count).unwrap() * 8;
    file.extend_from_slice(&whole[data..marker]);
    let mut tail = whole[marker..].to_vec();
    let at = tail.windows(10).position(|own| own == b"node_count").unwrap() + 11;
    tail[at..at + 4].copy_from_slice(&nodes.to_be_bytes());
    file.extend_from_slice(&tail);
    let error = Database::read(file, "x").unwrap_err();
    assert!(error.to_string().contains("100 nodes lead to more than"), "{error}");
}

proptest! {
    #[test]
    fn no_file_can_do_harm(
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let networks = [(ip("192.0.2.0"), 24, country("DE")), (ip("2001:db8::"), 32, country("JP"))];
        let mut file = write("some", 6, &networks);
        for (at, bits) in flips {
            let at = at.index(file.len());
            file[at] ^= bits;
        }
        let length = file.len();
        file.truncate(length - cut.index(length) / 8);
        if let Ok(database) = Database::read(file, "x") {
            for address in ["192.0.2.1", "2001:db8::1", "::", "ffff::", "255.255.255.255"] {
                let _ = database.locate(ip(address));
            }
            prop_assert!(database.networks().count() < 1_000_000);
        }
    }

    #[test]
    fn locating_agrees_with_the_networks(
        networks in proptest::collection::btree_map(any::<u32>(), (8_u8..=32, 0_usize..4), 0..40),
        probes in proptest::collection::vec(any::<u32>(), 1..60),
    ) {
        let codes = ["DE", "FR", "JP", "US"];
        let mut all: Vec<(IpNet, usize)> = networks
            .iter()
            .map(|(bits, (length, code))| {
                (IpNet::new(IpAddr::from(bits.to_be_bytes()), *length).unwrap().trunc(), *code)
            })
            .collect();
        all.sort_by_key(|(net, _)| net.prefix_len());
        all.dedup_by_key(|(net, _)| *net);
        let rows: Vec<_> = all.iter().map(|(net, code)| (net.addr(), net.prefix_len(), country(codes[*code]))).collect();
        prop_assume!(!rows.is_empty());
        let database = Database::read(write("some", 4, &rows), "x").unwrap();
        let blocks: Vec<_> = database.networks().collect();
        let ends: Vec<_> = blocks.iter().map(|(net, _)| (net.network(), net.broadcast())).collect();
        prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for probe in probes.iter().copied().chain(networks.keys().copied()) {
            let address = IpAddr::from(probe.to_be_bytes());
            let expected = all.iter().rev().find(|(net, _)| net.contains(&address)).map(|(_, code)| codes[*code]);
            let found = database.locate(address);
            prop_assert_eq!(found.as_ref().and_then(|(own, _)| own.country.as_deref()), expected);
            if let Some((location, net)) = found {
                prop_assert!(net.contains(&address));
                let block = blocks.iter().find(|(block, _)| block.contains(&address)).unwrap();
                prop_assert_eq!(&database.location(block.1.unwrap()), location);
                prop_assert!(block.0.contains(&net) || net == block.0);
            }
        }
    }
}

// === What is compiled in ===

#[test]
fn the_database_that_is_built_in_knows_the_world() {
    let database = Database::embedded();
    assert!(database.info().v4 > 100_000 && database.info().v6 > 20_000, "{:?}", database.info());
    for (address, code) in
        [("2.160.0.1", "DE"), ("3.80.0.1", "US"), ("133.11.0.1", "JP"), ("200.160.0.1", "BR")]
    {
        assert_eq!(at(&database, address).unwrap().country.as_deref(), Some(code), "{address}");
    }
    for nowhere in ["192.0.2.1", "10.0.0.1", "100.64.0.1", "127.0.0.1", "::1", "fd00::1"] {
        assert_eq!(at(&database, nowhere), None, "{nowhere}");
    }
    let countries: BTreeSet<_> = (0..database.info().places)
        .map(|at| database.location(RecordId(at as u32)).country)
        .collect();
    assert!(countries.len() > 220, "{}", countries.len());
}

#[test]
fn what_is_packed_unpacks_to_the_same_countries() {
    let networks = [
        (ip("192.0.2.0"), 24, country("DE")),
        (ip("198.51.100.0"), 24, country("FR")),
        (ip("2001:db8::"), 32, country("JP")),
        (ip("2001:db8:8000::"), 33, country("US")),
    ];
    let database = Database::read(write("some", 6, &networks), "x").unwrap();
    let packed = pack(&database, "packed").unwrap();
    let again = compact::unpacked(&packed).unwrap();
    assert_eq!(again.info().name, "packed");
    for address in ["192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8:8000::1", "2001:db9::"] {
        assert_eq!(at(&again, address), at(&database, address), "{address}");
    }
    for length in 0..packed.len() {
        assert!(compact::unpacked(&packed[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn every_country_has_a_continent_and_a_point() {
    let all: Vec<&str> = countries().collect();
    assert_eq!(all.len(), 250, "ISO 3166-1 has 249 codes, and XK is in wide use");
    for country in all {
        let (north, east) = point_of(country).unwrap();
        assert!(north.abs() <= 90.0 && east.abs() <= 180.0, "{country}");
        assert!(
            ["AF", "AN", "AS", "EU", "NA", "OC", "SA"].contains(&continent_of(country).unwrap())
        );
    }
    assert_eq!(continent_of("ZZ"), None);
}

#[test]
fn regions_of_three_clouds_are_where_they_say() {
    for (name, provider, country) in
        [("us-west-2", "aws", "US"), ("WestEurope", "azure", "NL"), ("asia-east1", "gcp", "TW")]
    {
        let own = region(name).unwrap();
        assert_eq!((own.provider, own.location().country.as_deref()), (provider, Some(country)));
        assert!(own.location().continent.is_some() && own.location().coordinates.is_some());
    }
    assert_eq!(region("moon-1"), None);
}

#[test]
fn every_region_lies_in_the_country_that_the_table_gives_it() {
    for line in
        include_str!("../../geoip/regions.csv").lines().filter(|line| !line.starts_with('#'))
    {
        let name = line.split(',').nth(1).unwrap();
        let location = region(name).unwrap_or_else(|| panic!("{line} is not read")).location();
        let country = point_of(location.country.as_deref().unwrap()).unwrap();
        let (north, east) = location.coordinates.unwrap();
        let near = (north - country.0).abs() < 20.0 && (east - country.1).abs() < 50.0;
        assert!(near, "{name} at {north},{east} is far from its country at {country:?}");
    }
}
