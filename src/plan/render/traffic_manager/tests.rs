use super::*;
use crate::model::ClusterName;
use serde_json::{Value, json};

fn share(cluster: &str, part: f64, ips: &[&str]) -> Share {
    let addresses = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    Share { clusters: vec![ClusterName::from(cluster)], part, addresses }
}

fn said(v6: bool, route: &Route) -> (Said, Vec<String>) {
    let mut notes = Notes::default();
    let name: Name = "shop.test".parse().unwrap();
    let said = set(&name, Ttl::from_secs(30), v6, route, &mut notes);
    let notes = notes.finish();
    (said, notes.into_iter().map(|own| format!("{} {:?}", own.clause, own.fidelity)).collect())
}

#[track_caller]
fn tree(route: &Route) -> (Value, Vec<String>) {
    let (Said::Routed(set), notes) = said(false, route) else { panic!("it is plain") };
    assert!(set.data.is_empty() && set.ttl.is_none() && set.key.id.is_none());
    (serde_json::from_str(&set.more["route"]).unwrap(), notes)
}

fn many(ips: &[&str]) -> Value {
    let one = |ip: &&str| json!({"name": ip, "target": {"address": ip}});
    let endpoints: Vec<Value> = ips.iter().map(one).collect();
    json!({"endpoints": endpoints, "method": "MultiValue", "most": ips.len(), "ttl": 30})
}

#[test]
fn shares_are_whole_weights_in_their_ratio() {
    let shares = vec![share("gke", 0.2, &["1.2.3.3", "1.2.3.2"]), share("aws", 0.8, &["1.2.3.1"])];
    let (tree, notes) = tree(&Route::Shares(shares));
    let wanted = json!({"endpoints": [
        {"name": "aws", "target": {"address": "1.2.3.1"}, "weight": 1000},
        {"name": "gke", "target": {"profile": many(&["1.2.3.2", "1.2.3.3"])}, "weight": 250},
    ], "method": "Weighted", "ttl": 30});
    assert_eq!(tree, wanted);
    assert_eq!(notes, [""; 0]);
}

#[test]
fn the_least_share_keeps_a_weight_and_equal_addresses_are_one() {
    let all = |own: &[f64]| {
        let of = |(at, part): (usize, &f64)| share(&format!("c{at}"), *part, &["1.2.3.1"]);
        own.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    let (Said::Plain(ips), _) = said(false, &Route::Shares(all(&[0.5, 0.5]))) else { panic!() };
    assert_eq!(ips, ["1.2.3.1".parse::<IpAddr>().unwrap()]);
    let mut shares = all(&[0.999_99]);
    shares.push(share("small", 0.000_01, &["1.2.3.2"]));
    let (tree, _) = tree(&Route::Shares(shares));
    assert_eq!(tree["endpoints"][1]["weight"], 1);
}

#[test]
fn places_with_the_same_answer_are_one_endpoint() {
    let [aws, gke, azure] = [("aws", "1.2.3.1"), ("gke", "1.2.3.2"), ("azure", "1.2.3.3")]
        .map(|(cluster, ip)| vec![share(cluster, 1.0, &[ip])]);
    let both = vec![share("aws", 0.5, &["1.2.3.1"]), share("gke", 0.5, &["1.2.3.2"])];
    let places = BTreeMap::from([
        (Place::Continent("EU".into()), azure.clone()),
        (Place::Continent("NA".into()), aws.clone()),
        (Place::Continent("AS".into()), gke.clone()),
        (Place::Country("JP".into()), gke.clone()),
        (Place::Country("BR".into()), both),
        (Place::Part("US".into(), "CA".into()), azure),
        (Place::Part("DE".into(), "BY".into()), gke),
    ]);
    let (tree, notes) = tree(&Route::Places { places, default: aws });
    let wanted = json!({"endpoints": [
        {"geo": ["BR"], "name": "BR", "target": {"profile": {"endpoints": [
            {"name": "aws", "target": {"address": "1.2.3.1"}, "weight": 1000},
            {"name": "gke", "target": {"address": "1.2.3.2"}, "weight": 1000},
        ], "method": "Weighted", "ttl": 30}}},
        {"geo": ["GEO-AS", "GEO-ME", "JP"], "name": "GEO-AS", "target": {"address": "1.2.3.2"}},
        {"geo": ["GEO-EU", "US-CA"], "name": "GEO-EU", "target": {"address": "1.2.3.3"}},
        {"geo": ["GEO-NA", "WORLD"], "name": "WORLD", "target": {"address": "1.2.3.1"}},
    ], "method": "Geographic", "ttl": 30});
    assert_eq!(tree, wanted);
    let wanted = ["order.geo.continents Approximate", "order.geo.subdivisions Unsupported"];
    assert_eq!(notes, wanted);
}

#[test]
fn places_that_all_get_the_same_need_no_profiles() {
    let own = vec![share("aws", 1.0, &["1.2.3.1", "1.2.3.2"])];
    let places = BTreeMap::from([(Place::Continent("AF".into()), own.clone())]);
    let (Said::Plain(ips), notes) = said(false, &Route::Places { places, default: own }) else {
        panic!("it is routed")
    };
    assert_eq!((ips.len(), notes.len()), (2, 0));
    // The service has no word for Antarctica, whose clients get the default then.
    let ice = vec![share("gke", 1.0, &["1.2.3.9"])];
    let places = BTreeMap::from([(Place::Continent("AN".into()), ice)]);
    let default = vec![share("aws", 1.0, &["1.2.3.1"])];
    let (Said::Plain(_), notes) = said(false, &Route::Places { places, default }) else {
        panic!("it is routed")
    };
    assert_eq!(notes, ["order.geo.continents Unsupported"]);
}

#[test]
fn the_nearest_stands_at_the_azure_region_next_to_it() {
    let near = |cluster: &str, point, bias, ip: &str| {
        let addresses = vec![ip.parse().unwrap()];
        Near { cluster: cluster.into(), point, bias, addresses }
    };
    let all = vec![
        near("aws", (45.8, -119.7), 0.0, "1.2.3.1"),
        near("gke", (24.1, 120.6), 20.0, "1.2.3.2"),
        near("same", (24.1, 120.6), 0.0, "1.2.3.2"),
    ];
    let (tree, notes) = tree(&Route::Nearest(all));
    let wanted = json!({"endpoints": [
        {"location": "westus2", "name": "aws", "target": {"address": "1.2.3.1"}},
        {"location": "eastasia", "name": "gke", "target": {"address": "1.2.3.2"}},
        {"location": "eastasia", "name": "same", "target": {"profile": many(&["1.2.3.2"])}},
    ], "method": "Performance", "ttl": 30});
    assert_eq!(tree, wanted);
    assert_eq!(notes, ["order.proximity Approximate", "order.proximity.bias Unsupported"]);
}

#[test]
fn addresses_that_the_service_refuses_leave_the_name_plain() {
    for (v6, ip) in [
        (false, "10.1.2.3"),
        (false, "198.51.100.1"),
        (false, "100.64.0.1"),
        (false, "198.18.0.1"),
        (true, "fd00::1"),
        (true, "2001:db8::1"),
    ] {
        let other = if v6 { "2a00::1" } else { "1.2.3.1" };
        let shares = vec![share("aws", 0.5, &[ip]), share("gke", 0.5, &[other])];
        let (said, notes) = said(v6, &Route::Shares(shares));
        assert!(matches!(said, Said::Neutral), "{ip}");
        assert_eq!(notes, ["order Unsupported"]);
    }
}

#[test]
fn more_than_eight_addresses_are_cut_and_said_so() {
    let ips: Vec<String> = (0..9).map(|one| format!("2a00::{one}")).collect();
    let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
    let shares = vec![share("aws", 0.5, &ips), share("gke", 0.5, &["2a00::ff"])];
    let (Said::Routed(set), notes) = said(true, &Route::Shares(shares)) else { panic!() };
    assert_eq!(set.key.rtype, RecordType::AAAA);
    let tree = Profile::read(&set.more["route"]).unwrap();
    assert_eq!(tree.addresses().len(), 9);
    // Names of endpoints have no colons.
    assert!(!set.more["route"].contains("\"name\":\"2a00:"), "{}", set.more["route"]);
    assert_eq!(notes, ["limit Approximate"]);
}
