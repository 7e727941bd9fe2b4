//! Where clients are and which cluster is next, beside `gdnsd_geoip_test` and `mmdblookup` on the
//! same database and the same 10,000 random addresses.

use crate::mmdb::{Value, map, text, write};
use meridian::{
    geo::{self, Database, RecordId},
    model::{ClusterName, Location},
    policy::{Fence, GeoRow, GeoTable, Order, Places, Proximity, Shape, Site, distance_km},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const CLUSTERS: [(&str, (f64, f64)); 4] = [
    ("aws", (45.8, -119.7)),
    ("azure", (52.4, 4.9)),
    ("gke", (24.1, 120.5)),
    ("onprem", (-23.6, -46.6)),
];
const ADDRESSES: usize = 10_000;

/// Numbers that are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// Degrees, to a hundredth.
    fn degrees(&mut self, most: u64) -> f64 {
        self.below(most * 200) as f64 / 100.0 - most as f64
    }
}

/// A city database in MaxMind's layout: 3,000 networks from /8 to /24 all over the world.
fn database() -> Vec<u8> {
    let (mut dice, countries) = (Dice(1), geo::countries().collect::<Vec<_>>());
    let mut networks: BTreeMap<(u8, u32), Value> = BTreeMap::new();
    for _ in 0..3_000 {
        let length = 8 + dice.below(17) as u8;
        // From 16.0.0.0 to 223.255.255.255: what clients have.
        let first = 0x1000_0000 + dice.below(0xd000_0000) as u32;
        let country = countries[dice.below(countries.len() as u64) as usize];
        let continent = geo::continent_of(country).unwrap();
        let place = map([
            ("latitude", Value::Double(dice.degrees(80))),
            ("longitude", Value::Double(dice.degrees(180))),
        ]);
        let record = map([
            ("continent", map([("code", text(continent))])),
            ("country", map([("iso_code", text(country))])),
            ("location", place),
        ]);
        networks.insert((length, first & u32::MAX << (32 - length)), record);
    }
    let rows: Vec<_> = networks
        .into_iter()
        .map(|((length, first), record)| (IpAddr::V4(Ipv4Addr::from_bits(first)), length, record))
        .collect();
    write("GeoLite2-City", 6, &rows)
}

fn addresses() -> Vec<Ipv4Addr> {
    let mut dice = Dice(2);
    (0..ADDRESSES)
        .map(|_| Ipv4Addr::from_bits(0x1000_0000 + dice.below(0xd000_0000) as u32))
        .collect()
}

fn sites() -> Arc<[Site]> {
    let site = |(cluster, point): &(&str, (f64, f64))| Site {
        cluster: (*cluster).into(),
        location: Location { coordinates: Some(*point), ..Location::default() },
    };
    CLUSTERS.iter().map(site).collect()
}

fn shape(database: &Database, order: &Order) -> Shape {
    let networks = database.networks().map(|(net, record)| (net, record.map(|record| record.0)));
    let location = |record| database.location(RecordId(record));
    Shape::compile(order, &Fence::default(), sites(), networks, location)
}

/// The clusters for a client, best first.
fn ours(shape: &Shape, address: Ipv4Addr) -> Vec<String> {
    let found = shape.find(address.into());
    let order = shape.order_of(found.class).unwrap();
    let sites = order.tiers.iter().flatten();
    sites.map(|site| shape.sites[usize::from(*site)].cluster.to_string()).collect()
}

/// The same from `gdnsd_geoip_test`, for all addresses.
fn gdnsds(folder: &Path, map: &str, addresses: &[Ipv4Addr]) -> Vec<Vec<String>> {
    let mut child = Command::new("gdnsd_geoip_test")
        .args(["-c", folder.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gdnsd_geoip_test is installed by tests/setup.sh");
    let mut input = child.stdin.take().unwrap();
    let lines: String = addresses.iter().map(|address| format!("{map} {address}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Vec<String>> = text
        .lines()
        .filter_map(|line| line.split_once(&format!("{map} => "))?.1.split_once(" => "))
        .map(|(_, order)| order.split(',').map(|own| own.trim().to_owned()).collect())
        .collect();
    assert_eq!(answers.len(), addresses.len(), "{}", &text[..text.len().min(2_000)]);
    answers
}

fn prepare(folder: &Path) {
    for sub in ["zones", "geoip"] {
        fs::create_dir(folder.join(sub)).unwrap();
    }
    fs::write(folder.join("geoip/city.mmdb"), database()).unwrap();
    let names: Vec<&str> = CLUSTERS.iter().map(|(cluster, _)| *cluster).collect();
    let names = names.join(", ");
    let coordinates: Vec<String> = CLUSTERS
        .iter()
        .map(|(cluster, (north, east))| format!("{cluster} => [ {north}, {east} ]"))
        .collect();
    let addresses: Vec<String> = CLUSTERS
        .iter()
        .enumerate()
        .map(|(at, (cluster, _))| format!("{cluster} => 192.0.2.{}", at + 1))
        .collect();
    let config = format!(
        "options => {{ run_dir => {at}/run, state_dir => {at}/state }}\nplugins => {{ geoip => {{\n maps \
         => {{\n  near => {{ geoip2_db => city.mmdb, datacenters => [ {names} ], auto_dc_limit => 0,\n   \
         auto_dc_coords => {{ {} }} }}\n  table => {{ geoip2_db => city.mmdb, datacenters => [ {names} ],\n   \
         map => {{ default => [ aws, azure, gke, onprem ],\n    EU => {{ default => [ azure, aws, gke, \
         onprem ], DE => [ gke, azure, aws, onprem ] }},\n    NA => [ aws, azure, gke, onprem ],\n    AS => \
         {{ default => [ gke, aws, azure, onprem ], JP => [ onprem, gke, aws, azure ] }},\n    SA => [ \
         onprem, aws, azure, gke ] }} }}\n }}\n resources => {{ www => {{ map => near, service_types => \
         up, dcmap => {{ {} }} }} }}\n}} }}\n",
        coordinates.join(", "),
        addresses.join(", "),
        at = folder.display(),
    );
    fs::write(folder.join("config"), config).unwrap();
}

#[test]
fn the_nearest_clusters_are_those_that_gdnsd_finds() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let database = Database::read(database(), "city").unwrap();
    let default = CLUSTERS.map(|(cluster, _)| ClusterName::from(cluster)).to_vec();
    let shape = shape(&database, &Order::Proximity(Proximity { default, ..Proximity::default() }));
    let (addresses, mut located, mut close) = (addresses(), 0, 0);
    for (address, theirs) in addresses.iter().zip(gdnsds(folder.path(), "near", &addresses)) {
        let ours = ours(&shape, *address);
        let place = database.locate((*address).into()).and_then(|(own, _)| own.coordinates);
        located += usize::from(place.is_some());
        if ours == theirs {
            continue;
        }
        // Two clusters that are as far as makes no difference: to 1 km in 10,000.
        let point = place.unwrap_or_else(|| panic!("{address}: {ours:?}, gdnsd {theirs:?}"));
        let far = |cluster: &String| {
            let own = CLUSTERS.iter().find(|(name, _)| name == cluster).unwrap();
            distance_km(point, own.1)
        };
        let even = ours.iter().zip(&theirs).all(|(own, other)| (far(own) - far(other)).abs() < 1.0);
        assert!(even, "{address} at {point:?}: {ours:?}, gdnsd {theirs:?}");
        close += 1;
    }
    println!("{located} of {ADDRESSES} located; {close} between clusters equally far");
    assert!(located > ADDRESSES / 4 && close < ADDRESSES / 1_000);
}

#[test]
fn a_table_of_places_leads_where_gdnsds_map_leads() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let database = Database::read(database(), "city").unwrap();
    let row = |continent: Option<&str>, country: Option<&str>, clusters: &[&str]| GeoRow {
        places: Places {
            continents: continent.map(Into::into).into_iter().collect(),
            countries: country.map(Into::into).into_iter().collect(),
            ..Places::default()
        },
        clusters: clusters.iter().map(|own| (*own).into()).collect(),
    };
    // Rows in any order: the closest place counts, as in gdnsd's nested map.
    let rows = vec![
        row(Some("EU"), None, &["azure", "aws", "gke", "onprem"]),
        row(None, Some("DE"), &["gke", "azure", "aws", "onprem"]),
        row(Some("NA"), None, &["aws", "azure", "gke", "onprem"]),
        row(None, Some("JP"), &["onprem", "gke", "aws", "azure"]),
        row(Some("AS"), None, &["gke", "aws", "azure", "onprem"]),
        row(Some("SA"), None, &["onprem", "aws", "azure", "gke"]),
    ];
    let default = CLUSTERS.map(|(cluster, _)| ClusterName::from(cluster)).to_vec();
    let shape = shape(&database, &Order::Geo(GeoTable { rows, default }));
    let addresses = addresses();
    let mut orders = BTreeMap::new();
    for (address, theirs) in addresses.iter().zip(gdnsds(folder.path(), "table", &addresses)) {
        assert_eq!(ours(&shape, *address), theirs, "{address}");
        *orders.entry(theirs.join(" ")).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 6, "every row was asked for: {orders:?}");
}

#[test]
fn every_address_is_where_mmdblookup_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.mmdb");
    fs::write(&file, database()).unwrap();
    let database = Database::read(fs::read(&file).unwrap(), "city").unwrap();
    // A process for each address, so a tenth of them.
    for address in addresses().into_iter().take(ADDRESSES / 10) {
        let ask = |path: &[&str]| {
            let output = Command::new("mmdblookup")
                .args(["--file", file.to_str().unwrap(), "--ip", &address.to_string()])
                .args(path)
                .output()
                .expect("mmdblookup is installed by tests/setup.sh");
            String::from_utf8(output.stdout).unwrap()
        };
        let all = ask(&[]);
        let found = database.locate(address.into());
        let code = found.as_ref().and_then(|(own, _)| own.country.clone());
        match code {
            None => assert!(!all.contains("iso_code"), "{address}: {all}"),
            Some(code) => {
                assert!(all.contains(&format!("\"{code}\"")), "{address}: {all}, not {code}");
                let (north, _) = found.unwrap().0.coordinates.unwrap();
                let theirs = ask(&["location", "latitude"]);
                let theirs: f64 = theirs.split_whitespace().next().unwrap().parse().unwrap();
                assert!((theirs - north).abs() < 1e-6, "{address}: {theirs}, not {north}");
            }
        }
    }
}
