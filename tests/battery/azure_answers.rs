//! What the double of Azure answers over DNS, as the vendor's documents have it: routing methods,
//! health, aliases, wildcards; and what foreign hands do to it.

use crate::double::{azure::Azure, common::Shown};
use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        Name, RecordType,
        rdata::opt::{ClientSubnet, EdnsOption},
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{IpAddr, UdpSocket},
    time::Duration,
};

const ZONE: &str = "example.org";
const GERMAN: &str = "91.1.2.3";
const AMERICAN: &str = "12.1.2.3";
const JAPANESE: &str = "126.1.2.3";

#[test]
fn priority_takes_the_first_that_is_well_and_the_first_of_all_when_none_is() {
    let stand = Stand::start();
    let first = json!({"priority": 2});
    let second = json!({"priority": 1});
    stand.profile("p", "Priority", &[("a", "1.1.1.1", first), ("b", "2.2.2.2", second)]);
    assert_eq!(stand.ask("p", GERMAN), ["2.2.2.2"]);
    stand.azure.well("2.2.2.2", false);
    assert_eq!(stand.ask("p", GERMAN), ["1.1.1.1"]);
    assert_eq!(stand.status("p"), ("Degraded", vec!["CheckingEndpoint", "Degraded"]));
    stand.azure.well("1.1.1.1", false);
    assert_eq!(stand.ask("p", GERMAN), ["2.2.2.2"]);
    stand.azure.well("1.1.1.1", true);
    stand.azure.well("2.2.2.2", true);
    stand.azure.control.advance(Duration::from_secs(60));
    assert_eq!(stand.status("p"), ("Online", vec!["Online", "Online"]));
}

#[test]
fn what_is_disabled_never_answers_and_what_always_serves_does() {
    let stand = Stand::start();
    let off = json!({"endpointStatus": "Disabled"});
    let always = json!({"alwaysServe": "Enabled"});
    stand.profile("p", "Priority", &[("a", "1.1.1.1", off), ("b", "2.2.2.2", always)]);
    stand.azure.well("2.2.2.2", false);
    assert_eq!(stand.ask("p", GERMAN), ["2.2.2.2"]);
    assert_eq!(stand.status("p"), ("Online", vec!["Disabled", "Unmonitored"]));
    stand.profile("none", "Priority", &[("a", "1.1.1.1", json!({"endpointStatus": "Disabled"}))]);
    assert!(stand.ask("none", GERMAN).is_empty());
    assert_eq!(stand.status("none"), ("Inactive", vec!["Disabled"]));
}

#[test]
fn weights_share_out_the_answers() {
    let stand = Stand::start();
    let (three, one) = (json!({"weight": 3}), json!({"weight": 1}));
    stand.profile("w", "Weighted", &[("a", "1.1.1.1", three), ("b", "2.2.2.2", one)]);
    let mut got: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..400 {
        *got.entry(stand.ask("w", GERMAN).remove(0)).or_default() += 1;
    }
    assert!((290..=310).contains(&got["1.1.1.1"]), "{got:?}");
    stand.azure.well("1.1.1.1", false);
    assert!((0..20).all(|_| stand.ask("w", GERMAN) == ["2.2.2.2"]));
}

#[test]
fn regions_are_looked_up_from_country_to_world_and_answer_even_when_ill() {
    let stand = Stand::start();
    stand.profile(
        "g",
        "Geographic",
        &[
            ("de", "1.1.1.1", json!({"geoMapping": ["DE"]})),
            ("eu", "2.2.2.2", json!({"geoMapping": ["GEO-EU", "GEO-AS"]})),
        ],
    );
    assert_eq!(stand.ask("g", GERMAN), ["1.1.1.1"]);
    assert_eq!(stand.ask("g", JAPANESE), ["2.2.2.2"]);
    assert!(stand.ask("g", AMERICAN).is_empty());
    stand.azure.well("1.1.1.1", false);
    assert_eq!(stand.ask("g", GERMAN), ["1.1.1.1"]);
    stand.profile("g", "Geographic", &[("all", "3.3.3.3", json!({"geoMapping": ["WORLD"]}))]);
    assert_eq!(stand.ask("g", AMERICAN), ["3.3.3.3"]);
}

#[test]
fn performance_takes_the_nearest_that_is_well() {
    let stand = Stand::start();
    stand.profile(
        "p",
        "Performance",
        &[
            ("eu", "1.1.1.1", json!({"endpointLocation": "West Europe"})),
            ("us", "2.2.2.2", json!({"endpointLocation": "centralus"})),
            ("jp", "3.3.3.3", json!({"endpointLocation": "Japan East"})),
        ],
    );
    assert_eq!(stand.ask("p", GERMAN), ["1.1.1.1"]);
    assert_eq!(stand.ask("p", AMERICAN), ["2.2.2.2"]);
    assert_eq!(stand.ask("p", JAPANESE), ["3.3.3.3"]);
    stand.azure.well("1.1.1.1", false);
    assert_eq!(stand.ask("p", GERMAN), ["2.2.2.2"]);
}

#[test]
fn many_values_are_the_well_ones_and_no_more_than_allowed() {
    let stand = Stand::start();
    let none = || json!({});
    stand.azure.put_profile(
        "m",
        &body(
            "m",
            "MultiValue",
            &[("a", "1.1.1.1", none()), ("b", "2.2.2.2", none()), ("c", "3.3.3.3", none())],
            2,
        ),
    );
    stand.alias("m", "A");
    assert_eq!(stand.ask("m", GERMAN), ["1.1.1.1", "2.2.2.2"]);
    stand.azure.well("1.1.1.1", false);
    assert_eq!(stand.ask("m", GERMAN), ["2.2.2.2", "3.3.3.3"]);
}

#[test]
fn subnets_are_matched_and_the_rest_has_the_endpoint_without_any() {
    let stand = Stand::start();
    let subnet = json!({"subnets": [{"first": "91.1.0.0", "scope": 16}]});
    let range = json!({"subnets": [{"first": "12.1.2.0", "last": "12.1.2.9"}]});
    let all = [("a", "1.1.1.1", subnet), ("b", "2.2.2.2", range), ("c", "3.3.3.3", json!({}))];
    stand.profile("s", "Subnet", &all);
    assert_eq!(stand.ask("s", GERMAN), ["1.1.1.1"]);
    assert_eq!(stand.ask("s", AMERICAN), ["2.2.2.2"]);
    assert_eq!(stand.ask("s", "12.1.2.10"), ["3.3.3.3"]);
    stand.profile("s", "Subnet", &all[..1]);
    assert!(stand.ask("s", AMERICAN).is_empty());
}

#[test]
fn nested_profiles_fail_over_when_too_few_are_well_behind_them() {
    let stand = Stand::start();
    let none = || json!({});
    stand.profile("eu", "Weighted", &[("a", "1.1.1.1", none()), ("b", "1.1.1.2", none())]);
    stand.profile("us", "Priority", &[("a", "2.2.2.2", none())]);
    let root = json!({
        "location": "global",
        "properties": {
            "trafficRoutingMethod": "Priority",
            "dnsConfig": {"relativeName": "root", "ttl": 20},
            "monitorConfig": {"protocol": "TCP", "port": 443},
            "endpoints": [nested("eu", 2), nested("us", 1)],
        },
    });
    stand.azure.put_profile("root", &root);
    stand.alias("root", "A");
    assert!(stand.ask("root", GERMAN)[0].starts_with("1.1.1."));
    stand.azure.well("1.1.1.2", false);
    assert_eq!(stand.ask("root", GERMAN), ["2.2.2.2"]);
    stand.azure.drop_profile("us");
    assert_eq!(stand.ask("root", GERMAN), ["1.1.1.1"]);
}

#[test]
fn names_go_through_chains_wildcards_and_the_vendors_own_zone() {
    let stand = Stand::start();
    stand.profile("p", "Priority", &[("a", "1.1.1.1", json!({}))]);
    stand.put("*.wild", "CNAME", &["www.example.org."]);
    stand.put("www", "CNAME", &["p.trafficmanager.net."]);
    stand.put("out", "CNAME", &["www.example.net."]);
    stand.put("a.b.wild", "TXT", &["\"x\""]);
    stand.put("hidden", "A", &[]);
    let answer = |name: &str| stand.azure.answer(ZONE, name, "A", GERMAN.parse().unwrap());
    assert_eq!(answer("any.wild.example.org."), [(20, "1.1.1.1".to_owned())]);
    assert_eq!(answer("out.example.org."), [(60, "www.example.net.".to_owned())]);
    // The closest encloser has no wildcard of its own.
    assert!(answer("x.b.wild.example.org.").is_empty());
    assert!(answer("b.wild.example.org.").is_empty());
    assert!(answer("hidden.example.org.").is_empty());
    assert_eq!(stand.azure.answer(ZONE, ZONE, "NS", GERMAN.parse().unwrap()).len(), 4);
}

#[test]
fn the_name_server_takes_the_clients_subnet() {
    let stand = Stand::start();
    stand.profile(
        "g",
        "Geographic",
        &[
            ("de", "1.1.1.1", json!({"geoMapping": ["DE"]})),
            ("all", "2.2.2.2", json!({"geoMapping": ["WORLD"]})),
        ],
    );
    stand.put("txt", "TXT", &["\"a b\" \"c\""]);
    let asked = |name: &str, rtype, client| {
        let reply = query(&stand.azure, name, rtype, client);
        let data: Vec<String> = reply.answers.iter().map(|own| own.data.to_string()).collect();
        (reply.metadata.response_code, data)
    };
    let found = |data: &str| (ResponseCode::NoError, vec![data.to_owned()]);
    assert_eq!(asked("g.example.org.", RecordType::A, Some(GERMAN)), found("1.1.1.1"));
    assert_eq!(asked("g.example.org.", RecordType::A, Some(AMERICAN)), found("2.2.2.2"));
    assert_eq!(asked("g.example.org.", RecordType::A, None), found("2.2.2.2"));
    assert_eq!(asked("g.trafficmanager.net.", RecordType::A, Some(GERMAN)), found("1.1.1.1"));
    assert_eq!(asked("txt.example.org.", RecordType::TXT, None).1.len(), 1);
    assert_eq!(asked("g.example.org.", RecordType::TXT, None), (ResponseCode::NoError, vec![]));
    assert_eq!(asked("no.example.org.", RecordType::A, None).0, ResponseCode::NXDomain);
    assert_eq!(asked("example.net.", RecordType::A, None).0, ResponseCode::Refused);
    assert_eq!(asked("example.org.", RecordType::SOA, None).1.len(), 1);
}

#[test]
fn foreign_hands_write_empty_and_remove_past_the_api() {
    let stand = Stand::start();
    assert_eq!(stand.azure.sets(ZONE).len(), 2);
    let written = Shown {
        name: "www.example.org.".to_owned(),
        rtype: "TXT".to_owned(),
        ttl: Some(60),
        data: vec!["\"a\" \"b c\"".to_owned(), "\"say \\\"x\\\"\"".to_owned()],
        set: None,
        extra: json!({"metadata": {"owner": "someone"}}),
    };
    stand.azure.put(ZONE, written.clone());
    assert!(stand.azure.sets(ZONE).contains(&written));
    stand.azure.remove(ZONE, "www.example.org.", "TXT", None);
    assert_eq!(stand.azure.sets(ZONE).len(), 2);
    stand.put("www", "A", &["1.2.3.4"]);
    stand.azure.empty(ZONE);
    assert_eq!(stand.azure.sets(ZONE).len(), 2);
    stand.azure.drop_zone(ZONE);
    assert!(stand.azure.sets(ZONE).is_empty());
}

struct Stand {
    azure: Azure,
}

impl Stand {
    fn start() -> Self {
        let azure = Azure::start();
        azure.zone(ZONE);
        Self { azure }
    }

    /// A profile with these external endpoints, and an alias of its name in the zone.
    fn profile(&self, name: &str, method: &str, endpoints: &[(&str, &str, Value)]) {
        self.azure.put_profile(name, &body(name, method, endpoints, 0));
        self.alias(name, "A");
    }

    fn alias(&self, name: &str, rtype: &str) {
        let id =
            self.azure.profiles().iter().find(|own| own["name"] == name).unwrap()["id"].clone();
        self.set(name, rtype, &[], json!({"alias": id}));
    }

    fn put(&self, name: &str, rtype: &str, data: &[&str]) {
        self.set(name, rtype, data, json!({}));
    }

    fn set(&self, name: &str, rtype: &str, data: &[&str], extra: Value) {
        let data = data.iter().map(|own| (*own).to_owned()).collect();
        let name = format!("{name}.{ZONE}.");
        let shown = Shown { name, rtype: rtype.to_owned(), ttl: Some(60), data, set: None, extra };
        self.azure.put(ZONE, shown);
    }

    fn ask(&self, name: &str, client: &str) -> Vec<String> {
        let answer =
            self.azure.answer(ZONE, &format!("{name}.{ZONE}."), "A", client.parse().unwrap());
        answer.into_iter().map(|(_, data)| data).collect()
    }

    /// What the checks of a profile found: of all, and of each endpoint.
    fn status(&self, name: &str) -> (&'static str, Vec<&'static str>) {
        let shown = self.azure.profiles().into_iter().find(|own| own["name"] == name).unwrap();
        let word = |value: &Value| -> &'static str { value.as_str().unwrap().to_owned().leak() };
        let ends = shown["properties"]["endpoints"].as_array().unwrap().iter();
        let ends = ends.map(|own| word(&own["properties"]["endpointMonitorStatus"])).collect();
        (word(&shown["properties"]["monitorConfig"]["profileMonitorStatus"]), ends)
    }
}

fn body(name: &str, method: &str, endpoints: &[(&str, &str, Value)], most: u32) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(name, target, more)| {
            let mut properties = more.clone();
            properties["target"] = json!(target);
            let kind = "Microsoft.Network/trafficManagerProfiles/externalEndpoints";
            json!({"name": name, "type": kind, "properties": properties})
        })
        .collect();
    json!({
        "location": "global",
        "properties": {
            "trafficRoutingMethod": method,
            "dnsConfig": {"relativeName": name, "ttl": 20},
            "monitorConfig": {"protocol": "TCP", "port": 443},
            "maxReturn": if most > 0 { json!(most) } else { Value::Null },
            "endpoints": endpoints,
        },
    })
}

fn nested(child: &str, least: u32) -> Value {
    json!({
        "name": child,
        "type": "Microsoft.Network/trafficManagerProfiles/nestedEndpoints",
        "properties": {"target": format!("{child}.trafficmanager.net"), "minChildEndpoints": least},
    })
}

fn query(azure: &Azure, name: &str, rtype: RecordType, client: Option<&str>) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    let mut edns = Edns::new();
    if let Some(client) = client {
        let address: IpAddr = client.parse().unwrap();
        edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address, 24, 0)));
    }
    message.set_edns(edns);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&message.to_vec().unwrap(), azure.dns()).unwrap();
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    Message::from_vec(&bytes[..length]).unwrap()
}
