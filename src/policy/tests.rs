//! The corner cases of steering, each a test, and the invariants that hold for all policies.

use super::{
    intent::*,
    rank::{Because, Site, distance_km, rank},
    shape::Shape,
    steering::{Steering, Subject, Ttls, Variant, table},
    table::{Candidate, Standing, loads},
};
use crate::model::{Client, ClusterName, Location, ServiceKey, Ttl};
use ipnet::IpNet;
use proptest::prelude::*;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

// === A small world ===

/// Record 0 is Germany, 1 the United States, 2 Japan, 3 Brazil.
const WORLD: [(&str, u32); 5] = [
    ("10.0.0.0/8", 0),
    ("20.0.0.0/8", 1),
    ("30.0.0.0/8", 2),
    ("40.0.0.0/8", 3),
    ("2001:db8::/32", 0),
];

fn location(record: u32) -> Location {
    let (continent, country, point) = [
        ("EU", "DE", (50.1, 8.7)),
        ("NA", "US", (38.9, -77.0)),
        ("AS", "JP", (35.7, 139.7)),
        ("SA", "BR", (-23.5, -46.6)),
    ][usize::try_from(record).unwrap()];
    Location {
        continent: Some(continent.into()),
        country: Some(country.into()),
        coordinates: Some(point),
        ..Location::default()
    }
}

fn networks() -> Vec<(IpNet, Option<u32>)> {
    WORLD.iter().map(|(net, record)| (net.parse().unwrap(), Some(*record))).collect()
}

fn name(text: &str) -> ClusterName {
    ClusterName::from(text)
}

fn names(list: &[&str]) -> Vec<ClusterName> {
    list.iter().map(|own| name(own)).collect()
}

/// aws in Virginia, azure in Amsterdam, gke in Tokyo; others are nowhere.
fn site(cluster: &str) -> Site {
    let coordinates = match cluster {
        "aws" => Some((38.9, -77.4)),
        "azure" => Some((52.4, 4.9)),
        "gke" => Some((35.7, 139.7)),
        _ => None,
    };
    Site { cluster: name(cluster), location: Location { coordinates, ..Location::default() } }
}

/// A cluster with an address of each family, told apart by its index.
fn subject(index: u16, weight: u32, score: u16) -> Subject {
    let standing = if score == 0 { Standing::Down } else { Standing::Serving };
    Subject {
        candidate: Candidate { site: index, weight, score, standing },
        addresses: vec![v4(index), v6(index)],
        flips_in: None,
        reason: "".into(),
    }
}

fn v4(index: u16) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(index).unwrap()])
}

fn v6(index: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, index])
}

fn steering_of(steer: Steer, sites: &[&str], subjects: Vec<Subject>) -> Steering {
    let sites: Arc<[Site]> = sites.iter().map(|own| site(own)).collect();
    let shape = Shape::compile(&steer.order, &steer.fence, sites, networks(), location);
    compile(steer, Arc::new(shape), subjects)
}

fn compile(steer: Steer, shape: Arc<Shape>, subjects: Vec<Subject>) -> Steering {
    let ttls = Ttls { configured: Ttl::from_secs(30), least: Ttl::from_secs(5) };
    Steering::compile(
        ServiceKey::new("shop", "web"),
        Arc::new(steer),
        shape,
        subjects,
        ttls,
        |shape, candidates, steer| Arc::new(table(shape, candidates, steer)),
    )
}

fn failover(list: &[&str]) -> Steer {
    Steer { order: Order::Failover(names(list)), ..sticky() }
}

fn sticky() -> Steer {
    Steer { pick: Pick::Sticky, ..Steer::default() }
}

fn row(continents: &[&str], countries: &[&str], clusters: &[&str]) -> GeoRow {
    let text = |list: &[&str]| list.iter().map(|own| Arc::from(*own)).collect();
    let places =
        Places { continents: text(continents), countries: text(countries), ..Places::default() };
    GeoRow { places, clusters: names(clusters) }
}

/// Europe to azure, North America to aws, Asia to gke, the rest to aws.
fn classic() -> Steer {
    let rows = vec![
        row(&["EU"], &[], &["azure"]),
        row(&["NA"], &[], &["aws"]),
        row(&["AS"], &[], &["gke"]),
    ];
    let order = Order::Geo(GeoTable { rows, default: names(&["aws", "azure", "gke"]) });
    Steer { order, ..sticky() }
}

const CLASSIC: [&str; 3] = ["aws", "azure", "gke"];

fn all_up() -> Vec<Subject> {
    (0..3).map(|at| subject(at, 100, 1_000)).collect()
}

fn down(mut subjects: Vec<Subject>, which: &[usize]) -> Vec<Subject> {
    for at in which {
        subjects[*at].candidate.score = 0;
        subjects[*at].candidate.standing = Standing::Down;
    }
    subjects
}

fn client(net: &str) -> Client {
    Client { subnet: Some(net.parse().unwrap()), ..Client::NEUTRAL }
}

/// The IPv4 answer of a client network: its addresses and its scope.
fn asked(steering: &Steering, net: &str) -> (Vec<IpAddr>, u8) {
    let decision = steering.decide(false, &client(net)).unwrap();
    (steering.addresses(false, &decision), decision.scope)
}

fn answer(steering: &Steering, net: &str) -> Vec<IpAddr> {
    asked(steering, net).0
}

/// The `at`th of many distinct /24s.
fn nth(at: u32) -> Client {
    let bits = (50 << 24) + (at << 8);
    let net = ipnet::Ipv4Net::new(bits.into(), 24).unwrap();
    Client { subnet: Some(net.into()), ..Client::NEUTRAL }
}

fn counts(steering: &Steering, many: u32) -> BTreeMap<IpAddr, f64> {
    let mut counts = BTreeMap::new();
    for at in 0..many {
        let decision = steering.decide(false, &nth(at)).unwrap();
        *counts.entry(steering.addresses(false, &decision)[0]).or_default() += 1.0;
    }
    counts
}

fn within_four_sigma(count: f64, share: f64, many: u32) {
    let many = f64::from(many);
    let sigma = (share * (1.0 - share) / many).sqrt();
    let measured = count / many;
    assert!((measured - share).abs() <= 4.0 * sigma, "{measured} is not about {share}");
}

// === The classic cases ===

#[test]
fn each_continent_goes_to_its_cluster_and_the_rest_to_the_default() {
    let steering = steering_of(classic(), &CLASSIC, all_up());
    assert_eq!(answer(&steering, "10.1.1.0/24"), [v4(1)], "Germany");
    assert_eq!(answer(&steering, "20.1.1.0/24"), [v4(0)], "the United States");
    assert_eq!(answer(&steering, "30.1.1.0/24"), [v4(2)], "Japan");
    assert_eq!(answer(&steering, "40.1.1.0/24"), [v4(0)], "Brazil");
    assert_eq!(answer(&steering, "99.1.1.0/24"), [v4(0)], "nowhere");
}

#[test]
fn a_continent_whose_cluster_fails_goes_on_to_the_next_and_the_others_stay() {
    let steering = steering_of(classic(), &CLASSIC, down(all_up(), &[1]));
    assert_eq!(answer(&steering, "10.1.1.0/24"), [v4(0)]);
    assert_eq!(answer(&steering, "30.1.1.0/24"), [v4(2)]);
    let steering = steering_of(classic(), &CLASSIC, down(all_up(), &[0, 1]));
    assert_eq!(answer(&steering, "10.1.1.0/24"), [v4(2)]);
}

#[test]
fn active_passive_third_goes_down_the_list_and_back() {
    let steer = || failover(&["gke", "aws", "azure"]);
    assert_eq!(answer(&steering_of(steer(), &CLASSIC, all_up()), "10.1.1.0/24"), [v4(2)]);
    let second = down(all_up(), &[2]);
    assert_eq!(answer(&steering_of(steer(), &CLASSIC, second), "10.1.1.0/24"), [v4(0)]);
    let third = down(all_up(), &[0, 2]);
    assert_eq!(answer(&steering_of(steer(), &CLASSIC, third), "10.1.1.0/24"), [v4(1)]);
}

#[test]
fn eighty_twenty_is_eighty_twenty() {
    let subjects = vec![subject(0, 80, 1_000), subject(1, 20, 1_000)];
    let counts = counts(&steering_of(sticky(), &["a", "b"], subjects), 100_000);
    within_four_sigma(counts[&v4(0)], 0.8, 100_000);
}

#[test]
fn the_nearest_cluster_serves_and_then_the_next() {
    let steer = || Steer { order: Order::Proximity(Proximity::default()), ..sticky() };
    let near = steering_of(steer(), &CLASSIC, all_up());
    for (net, index) in
        [("10.1.1.0/24", 1), ("20.1.1.0/24", 0), ("30.1.1.0/24", 2), ("40.1.1.0/24", 0)]
    {
        assert_eq!(answer(&near, net), [v4(index)], "{net}");
    }
    let without = steering_of(steer(), &CLASSIC, down(all_up(), &[0]));
    assert_eq!(answer(&without, "40.1.1.0/24"), [v4(1)]);
}

// === Corner cases ===

#[test]
fn everything_down_fails_open_in_order_with_the_least_ttl() {
    let steering = steering_of(classic(), &CLASSIC, down(all_up(), &[0, 1, 2]));
    let decision = steering.decide(false, &client("10.1.1.0/24")).unwrap();
    assert_eq!(steering.addresses(false, &decision), [v4(1)]);
    assert_eq!(decision.standing, Some(Standing::Down));
    assert_eq!(decision.ttl, Ttl::from_secs(5));
    let trace = steering.trace(false, &decision, None, &location(0));
    assert!(trace.fail_open && trace.because.iter().any(|text| text.contains("fail open")));
}

#[test]
fn a_fence_that_leaves_nothing_gives_its_target_or_no_data_without_a_scope() {
    let places = Places { countries: vec!["DE".into()], ..Places::default() };
    let allow: BTreeMap<_, _> = CLASSIC.iter().map(|own| (name(own), places.clone())).collect();
    let page: IpAddr = "203.0.113.9".parse().unwrap();
    let outside = Fenced::Target(crate::model::Address::Ip(page));
    let fenced = |outside| Steer {
        fence: Fence { allow: allow.clone(), outside, ..Fence::default() },
        ..sticky()
    };
    let steering = steering_of(fenced(outside), &CLASSIC, all_up());
    assert_eq!(asked(&steering, "20.1.1.0/24"), (vec![page], 4));
    assert_ne!(answer(&steering, "10.1.1.0/24"), [page]);
    let steering = steering_of(fenced(Fenced::NoData), &CLASSIC, all_up());
    assert_eq!(answer(&steering, "20.1.1.0/24"), [] as [IpAddr; 0]);
    assert_eq!(steering.outside(false), None);
}

#[test]
fn a_fence_denies_by_network_and_a_place_that_is_not_known_is_not_allowed() {
    let networks = vec!["10.1.0.0/16".parse().unwrap()];
    let deny = [(name("aws"), Places { networks, ..Places::default() })].into();
    let allow =
        [(name("azure"), Places { continents: vec!["EU".into()], ..Places::default() })].into();
    let fence = Fence { allow, deny, outside: Fenced::NoData };
    let steering =
        steering_of(Steer { fence, ..failover(&["aws", "azure", "gke"]) }, &CLASSIC, all_up());
    assert_eq!(asked(&steering, "10.1.1.0/24"), (vec![v4(1)], 16));
    assert_eq!(answer(&steering, "10.2.1.0/24"), [v4(0)]);
    let without = steering.with(|own| {
        if own.candidate.site == 0 {
            own.candidate.score = 0;
        }
    });
    assert_eq!(answer(&without, "99.1.1.0/24"), [v4(2)]);
}

#[test]
fn an_unknown_place_has_the_default_order_and_a_scope_of_its_own() {
    let (addresses, scope) = asked(&steering_of(classic(), &CLASSIC, all_up()), "99.1.1.0/24");
    assert_eq!(addresses, [v4(0)]);
    assert!(scope > 0);
}

#[test]
fn weight_zero_waits_until_nothing_with_a_weight_is_left_in_its_tier() {
    let subjects = vec![subject(0, 0, 1_000), subject(1, 50, 1_000)];
    assert_eq!(
        answer(&steering_of(sticky(), &["a", "b"], subjects.clone()), "10.1.1.0/24"),
        [v4(1)]
    );
    let only_zero = down(subjects, &[1]);
    assert_eq!(answer(&steering_of(sticky(), &["a", "b"], only_zero), "10.1.1.0/24"), [v4(0)]);
}

#[test]
fn all_weights_zero_are_equal_weights() {
    let subjects = vec![subject(0, 0, 1_000), subject(1, 0, 1_000)];
    let counts = counts(&steering_of(sticky(), &["a", "b"], subjects), 20_000);
    within_four_sigma(counts[&v4(0)], 0.5, 20_000);
}

#[test]
fn a_draining_cluster_gets_nobody_while_a_healthy_one_is_there_and_comes_before_a_failed_one() {
    let draining = |mut subjects: Vec<Subject>| {
        subjects[0].candidate.standing = Standing::Reluctant;
        subjects
    };
    let steer = || failover(&["aws", "azure", "gke"]);
    assert_eq!(answer(&steering_of(steer(), &CLASSIC, draining(all_up())), "10.1.1.0/24"), [v4(1)]);
    let rest_down = draining(down(all_up(), &[1, 2]));
    assert_eq!(answer(&steering_of(steer(), &CLASSIC, rest_down), "10.1.1.0/24"), [v4(0)]);
}

#[test]
fn a_degraded_tier_spills_what_it_cannot_take() {
    let mut subjects = all_up();
    subjects[0].candidate.score = 500;
    let counts = counts(&steering_of(failover(&["aws", "azure"]), &CLASSIC, subjects), 20_000);
    within_four_sigma(counts[&v4(0)], 0.7, 20_000);
    within_four_sigma(counts[&v4(1)], 0.3, 20_000);
}

#[test]
fn a_cluster_that_is_warming_up_gets_a_growing_part() {
    let mut subjects = all_up();
    subjects[0].candidate.score = 100;
    let counts = counts(&steering_of(failover(&["aws", "azure"]), &CLASSIC, subjects), 20_000);
    within_four_sigma(counts[&v4(0)], 0.14, 20_000);
}

#[test]
fn only_one_cluster_serves_whatever_is_wished_for() {
    for steer in
        [classic(), failover(&["gke"]), sticky(), Steer { pick: Pick::Random, ..classic() }]
    {
        let steering = steering_of(steer, &CLASSIC, vec![subject(1, 0, 300)]);
        assert_eq!(answer(&steering, "30.1.1.0/24"), [v4(1)]);
    }
}

#[test]
fn a_family_that_only_some_clusters_have_is_left_out_unless_asked_for() {
    let mut subjects = all_up();
    subjects[1].addresses.retain(IpAddr::is_ipv4);
    let uniform = steering_of(classic(), &CLASSIC, subjects.clone());
    assert!(uniform.decide(true, &client("10.1.1.0/24")).is_none());
    assert!(uniform.decide(false, &client("10.1.1.0/24")).is_some());
    let independent = Steer { family: Family::Independent, ..classic() };
    let independent = steering_of(independent, &CLASSIC, subjects);
    let decision = independent.decide(true, &client("10.1.1.0/24")).unwrap();
    assert_eq!(independent.addresses(true, &decision), [v6(0)], "the next that has it");
}

#[test]
fn where_no_family_is_had_by_all_each_is_steered_by_itself() {
    let mut subjects = all_up();
    subjects[0].addresses.retain(IpAddr::is_ipv4);
    subjects[1].addresses.retain(IpAddr::is_ipv6);
    let steering = steering_of(classic(), &CLASSIC, subjects);
    assert!(steering.table(false).is_some() && steering.table(true).is_some());
}

#[test]
fn clusters_that_are_equally_far_stand_in_one_tier() {
    let mut twins = [site("aws"), site("azure"), site("aws")];
    twins[2].cluster = name("twin");
    let wish = Order::Proximity(Proximity::default());
    let ranked = rank(&wish, &Fence::default(), &twins, &location(1), &[]);
    assert_eq!(ranked.tiers, [vec![0, 2], vec![1]]);
}

#[test]
fn slack_makes_a_tier_of_clusters_that_are_about_as_near() {
    let sites = CLASSIC.map(site);
    let wish = |slack_percent, slack_km| {
        let wish = Proximity { slack_percent, slack_km, ..Proximity::default() };
        rank(&Order::Proximity(wish), &Fence::default(), &sites, &location(3), &[]).tiers
    };
    assert_eq!(wish(0.0, 0.0), [vec![0], vec![1], vec![2]]);
    assert_eq!(wish(50.0, 0.0), [vec![0, 1], vec![2]]);
    assert_eq!(wish(0.0, 3_000.0), [vec![0, 1], vec![2]]);
}

#[test]
fn a_bias_draws_clients_and_none_changes_nothing() {
    let sites = CLASSIC.map(site);
    let first = |bias: f64| {
        let bias = [(name("azure"), bias)].into();
        let wish = Proximity { bias, ..Proximity::default() };
        rank(&Order::Proximity(wish), &Fence::default(), &sites, &location(3), &[]).tiers[0].clone()
    };
    assert_eq!(first(0.0), [0]);
    assert_eq!(first(60.0), [1]);
    assert_eq!(first(-60.0), [0]);
}

#[test]
fn distances_are_right_across_the_antimeridian_and_at_the_poles() {
    let close =
        |km: f64, expected: f64| assert!((km - expected).abs() < expected * 0.005 + 0.01, "{km}");
    close(distance_km((0.0, 179.5), (0.0, -179.5)), 111.2);
    close(distance_km((90.0, 0.0), (90.0, 123.0)), 0.0);
    close(distance_km((90.0, 0.0), (-90.0, 50.0)), 20_015.0);
    close(distance_km((0.0, -180.0), (0.0, 180.0)), 0.0);
    close(distance_km((48.86, 2.35), (40.71, -74.01)), 5_837.0);
}

#[test]
fn a_cluster_without_a_place_comes_after_all_that_have_one() {
    let sites = [site("nowhere"), site("gke")];
    let wish = Order::Proximity(Proximity::default());
    let ranked = rank(&wish, &Fence::default(), &sites, &location(0), &[]);
    assert_eq!(ranked.tiers, [vec![1], vec![0]]);
    let lost = rank(&wish, &Fence::default(), &sites, &Location::default(), &[]);
    assert_eq!((lost.tiers, lost.because), (vec![vec![0], vec![1]], Because::UnknownPlace));
}

#[test]
fn a_cluster_that_is_named_but_not_there_is_passed_over() {
    let steering = steering_of(failover(&["gone", "azure"]), &CLASSIC, all_up());
    assert_eq!(answer(&steering, "10.1.1.0/24"), [v4(1)]);
}

#[test]
fn the_closest_row_counts_whatever_its_place_in_the_table() {
    let mut rows = vec![
        row(&["EU"], &[], &["azure"]),
        row(&[], &["DE"], &["gke"]),
        GeoRow {
            places: Places { networks: vec!["10.9.0.0/16".parse().unwrap()], ..Places::default() },
            clusters: names(&["aws"]),
        },
    ];
    for _ in 0..2 {
        let order = Order::Geo(GeoTable { rows: rows.clone(), default: names(&["azure"]) });
        let steering = steering_of(Steer { order, ..sticky() }, &CLASSIC, all_up());
        assert_eq!(answer(&steering, "10.1.1.0/24"), [v4(2)]);
        assert_eq!(asked(&steering, "10.9.1.0/24"), (vec![v4(0)], 16));
        rows.reverse();
    }
}

#[test]
fn too_many_addresses_are_cut_to_the_limit() {
    let mut one = subject(0, 100, 1_000);
    one.addresses = (0..20).map(v4).collect();
    let steering = steering_of(Steer::default(), &["a"], vec![one]);
    assert_eq!(answer(&steering, "10.1.1.0/24").len(), Steer::LIMIT);
}

#[test]
fn all_of_a_tier_are_answered_when_asked_for() {
    let steering = steering_of(Steer { pick: Pick::All, ..sticky() }, &CLASSIC, all_up());
    assert_eq!(asked(&steering, "10.1.1.0/24"), (vec![v4(0), v4(1), v4(2)], 0));
}

#[test]
fn a_choice_at_random_draws_anew_and_has_no_scope() {
    let steering = steering_of(Steer { pick: Pick::Random, ..sticky() }, &CLASSIC, all_up());
    let mut seen = std::collections::BTreeSet::new();
    for draw in 0..100 {
        let decision = steering.decide(false, &Client { draw, ..client("10.1.1.0/24") }).unwrap();
        assert_eq!(decision.scope, 0);
        seen.extend(steering.addresses(false, &decision));
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn the_scope_is_that_of_the_order_and_of_the_sticky_choice_where_there_is_one() {
    let steering = steering_of(classic(), &CLASSIC, all_up());
    assert_eq!(asked(&steering, "10.1.1.0/24").1, 8, "one cluster for all of Germany");
    let steering = steering_of(sticky(), &CLASSIC, all_up());
    assert_eq!(asked(&steering, "10.0.0.0/8").1, 24, "more bits are wanted than were sent");
    let decision = steering.decide(false, &client("0.0.0.0/0"));
    assert!(decision.is_some_and(|own| own.scope == 0), "opted out");
    let resolver = Client::at("10.1.1.1".parse().unwrap());
    assert_eq!(steering.decide(false, &resolver).unwrap().scope, 0);
    let v6 = steering.decide(true, &client("2001:db8::/48")).unwrap();
    assert_eq!(v6.scope, 56);
}

#[test]
fn the_ttl_ends_before_health_could_turn() {
    let mut subjects = all_up();
    subjects[1].flips_in = Some(Duration::from_secs(12));
    let steering = steering_of(classic(), &CLASSIC, subjects);
    assert_eq!(steering.decide(false, &client("10.1.1.0/24")).unwrap().ttl, Ttl::from_secs(12));
    let soon = steering.with(|own| own.flips_in = Some(Duration::from_secs(1)));
    assert_eq!(soon.decide(false, &client("10.1.1.0/24")).unwrap().ttl, Ttl::from_secs(5));
}

#[test]
fn spill_matches_envoys_published_tables() {
    // Envoy counts in whole percent, and the last level gets what is left.
    let percent = |health: &[f64]| -> Vec<f64> {
        let scaled: Vec<f64> = health.iter().map(|own| own / 100.0).collect();
        let mut loads: Vec<f64> =
            loads(&scaled, 1.4).iter().map(|load| (load * 100.0).round()).collect();
        let over = loads.iter().sum::<f64>() - 100.0;
        if over > 0.0 {
            loads
                .iter_mut()
                .rev()
                .find(|load| **load > 0.0)
                .into_iter()
                .for_each(|load| *load -= over);
        }
        loads
    };
    // Envoy, "Priority levels", two and three levels.
    assert_eq!(percent(&[100.0, 100.0]), [100.0, 0.0]);
    assert_eq!(percent(&[72.0, 100.0]), [100.0, 0.0]);
    assert_eq!(percent(&[71.0, 100.0]), [99.0, 1.0]);
    assert_eq!(percent(&[50.0, 100.0]), [70.0, 30.0]);
    assert_eq!(percent(&[25.0, 100.0]), [35.0, 65.0]);
    assert_eq!(percent(&[25.0, 25.0]), [50.0, 50.0]);
    assert_eq!(percent(&[0.0, 100.0]), [0.0, 100.0]);
    assert_eq!(percent(&[100.0, 100.0, 100.0]), [100.0, 0.0, 0.0]);
    assert_eq!(percent(&[72.0, 72.0, 100.0]), [100.0, 0.0, 0.0]);
    assert_eq!(percent(&[50.0, 50.0, 100.0]), [70.0, 30.0, 0.0]);
    assert_eq!(percent(&[25.0, 100.0, 100.0]), [35.0, 65.0, 0.0]);
    assert_eq!(percent(&[25.0, 25.0, 100.0]), [35.0, 35.0, 30.0]);
    assert_eq!(percent(&[25.0, 25.0, 20.0]), [36.0, 36.0, 28.0]);
    assert_eq!(percent(&[0.0, 0.0]), [0.0, 0.0]);
}

#[test]
fn the_trace_tells_the_decision_that_is_served() {
    let steering = steering_of(classic(), &CLASSIC, down(all_up(), &[1]));
    let decision = steering.decide(false, &client("10.1.1.0/24")).unwrap();
    let place = "10.1.1.0".parse().unwrap();
    let trace = steering.trace(false, &decision, Some(place), &location(0));
    assert_eq!(trace.chosen, [name("aws")]);
    assert_eq!(trace.addresses, [v4(0)]);
    assert_eq!(trace.tiers[0].clusters[0].cluster, name("azure"));
    assert_eq!(trace.tiers[0].share, 0.0);
    assert_eq!(trace.tiers[1].share, 1.0);
    assert!(trace.order.contains("row 1"), "{}", trace.order);
}

// === Invariants ===

fn any_subjects() -> impl Strategy<Value = Vec<Subject>> {
    let one = (
        prop_oneof![Just(0_u32), 1_u32..200],
        prop_oneof![Just(0_u16), Just(1_000), 1_u16..1_000],
        0_u8..4,
    );
    prop::collection::vec(one, 1..6).prop_map(|all| {
        let of = |(at, (weight, score, standing)): (usize, (u32, u16, u8))| {
            let mut own = subject(u16::try_from(at).unwrap(), weight, score);
            if standing == 0 {
                own.candidate.standing = own.candidate.standing.max(Standing::Reluctant);
            }
            own
        };
        all.into_iter().enumerate().map(of).collect()
    })
}

const SIX: [&str; 6] = ["aws", "azure", "gke", "here", "nowhere", "there"];

fn any_steer() -> impl Strategy<Value = Steer> {
    let order = prop_oneof![
        Just(Order::None),
        Just(classic().order),
        Just(Order::Proximity(Proximity { slack_percent: 30.0, ..Proximity::default() })),
        Just(Order::Failover(names(&["nowhere", "aws"]))),
    ];
    let pick = prop_oneof![Just(Pick::Sticky), Just(Pick::All), Just(Pick::Random)];
    (order, pick).prop_map(|(order, pick)| Steer { order, pick, ..Steer::default() })
}

fn any_client() -> impl Strategy<Value = Client> {
    (any::<u32>(), 1_u8..=32, any::<u64>()).prop_map(|(bits, length, draw)| {
        let net = ipnet::Ipv4Net::new(bits.into(), length).unwrap().trunc();
        Client { address: None, subnet: Some(net.into()), draw }
    })
}

fn six_up() -> Vec<Subject> {
    (0..6).map(|at| subject(at, 100, 1_000)).collect()
}

proptest! {
    #[test]
    fn a_name_with_any_cluster_is_never_empty_and_gives_only_its_addresses(
        steer in any_steer(), subjects in any_subjects(), client in any_client(),
    ) {
        let all: Vec<IpAddr> = subjects.iter().flat_map(|own| own.addresses.clone()).collect();
        let steering = steering_of(steer, &SIX, subjects);
        for v6 in [false, true] {
            let decision = steering.decide(v6, &client).unwrap();
            let given = steering.addresses(v6, &decision);
            prop_assert!(!given.is_empty() && given.iter().all(|ip| all.contains(ip)));
            prop_assert!(given.iter().all(|ip| ip.is_ipv6() == v6));
            prop_assert!((5..=30).contains(&decision.ttl.as_secs()));
        }
    }

    #[test]
    fn what_is_settled_ahead_is_what_would_be_decided(
        steer in any_steer(), subjects in any_subjects(), client in any_client(),
    ) {
        let steering = steering_of(steer, &SIX, subjects);
        let nowhere = Client { subnet: None, ..client };
        let elsewhere = Client { address: Some([2, 160, 0, 1].into()), ..nowhere };
        for (v6, client) in [(false, client), (true, client), (false, nowhere), (false, elsewhere)] {
            let decision = steering.decide(v6, &client).unwrap();
            let settled = steering.settled(v6).unwrap();
            if let Some((set, scope)) = settled.decide(&client) {
                prop_assert_eq!((Some(set), scope), (decision.variant, decision.scope));
                prop_assert_eq!(settled.ttl, decision.ttl);
            } else {
                let split = steering.plan(v6, decision.matched.class).unwrap().is_split();
                prop_assert!(split || decision.standing != Some(Standing::Serving));
            }
        }
    }

    #[test]
    fn a_healthier_cluster_never_gets_less_and_a_sicker_neighbour_never_takes(
        subjects in any_subjects(), which in 0_usize..6, by in 1_u16..1_000, worse in any::<bool>(),
    ) {
        let which = which % subjects.len();
        prop_assume!(subjects.iter().all(|own| own.candidate.standing != Standing::Reluctant));
        let steering = steering_of(sticky(), &SIX, subjects.clone());
        let changed = steering.with(|own| {
            if usize::from(own.candidate.site) == which {
                let score = own.candidate.score;
                own.candidate.score = if worse { score.saturating_sub(by).max(1) } else { score.saturating_add(by).min(1_000) };
                own.candidate.standing = Standing::Serving;
            }
        });
        let was_up = subjects[which].candidate.score > 0;
        prop_assume!(was_up || !worse);
        let shares = |own: &Steering| own.shares(false, &own.table(false).unwrap().plans[0]);
        // Both ways: what is true of getting worse is true of getting better, backwards.
        let (before, after) = if worse { (shares(&steering), shares(&changed)) } else { (shares(&changed), shares(&steering)) };
        let everything_down = subjects.iter().all(|own| own.candidate.score == 0);
        prop_assume!(!everything_down);
        for (at, ((_, before), (_, after))) in before.iter().zip(&after).enumerate() {
            if at == which {
                prop_assert!(*after <= before + 1e-9, "{which}: {before} to {after}");
            } else {
                prop_assert!(*after >= before - 1e-9, "{at}: {before} to {after}");
            }
        }
    }

    #[test]
    fn spill_shares_add_up_in_order_and_a_whole_first_tier_has_all(
        health in prop::collection::vec(0.0_f64..=1.0, 1..6),
    ) {
        let loads = loads(&health, 1.4);
        let sum: f64 = loads.iter().sum();
        if health.iter().any(|own| *own > 1e-6) {
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
        let whole = health[0] * 1.4 >= 1.0;
        prop_assert_eq!(whole, loads[0] >= 1.0 - 1e-12 && health[0] * 1.4 >= 1.0);
        let reached = loads.iter().rposition(|own| *own > 0.0).unwrap_or(0);
        let full: f64 = health[..reached].iter().map(|own| (own * 1.4).min(1.0)).sum();
        prop_assert!(full < 1.0 + 1e-9, "a tier gets clients only when those before it are full");
    }

    #[test]
    fn all_addresses_within_the_scope_get_the_same_answer(
        steer in any_steer(), subjects in any_subjects(), client in any_client(), low in any::<u32>(),
    ) {
        prop_assume!(steer.pick != Pick::Random);
        let steering = steering_of(steer, &SIX, subjects);
        let decision = steering.decide(false, &client).unwrap();
        let Some(IpNet::V4(net)) = client.subnet else { unreachable!() };
        let mask = u32::MAX.checked_shr(decision.scope.into()).unwrap_or(0);
        let other = (net.addr().to_bits() & !mask) | (low & mask);
        let other = ipnet::Ipv4Net::new(other.into(), 32).unwrap();
        let second = steering.decide(false, &Client { subnet: Some(other.into()), ..client }).unwrap();
        prop_assert_eq!(second.scope, decision.scope);
        prop_assert_eq!(steering.addresses(false, &second), steering.addresses(false, &decision));
        prop_assert!(decision.scope <= 24);
        let opted_out = Client { subnet: Some("0.0.0.0/0".parse().unwrap()), ..client };
        prop_assert_eq!(steering.decide(false, &opted_out).unwrap().scope, 0);
    }

    #[test]
    fn a_decision_does_not_depend_on_the_order_in_which_clusters_are_given(
        steer in any_steer(), client in any_client(),
    ) {
        let forth = steering_of(steer.clone(), &SIX, six_up());
        let back = steering_of(steer, &SIX, six_up());
        prop_assert!(forth == forth.clone());
        let one = forth.decide(false, &client).unwrap();
        prop_assert_eq!(Some(one), back.decide(false, &client));
    }

    #[test]
    fn distances_are_symmetric_and_no_detour_is_shorter(
        a in (-90.0_f64..=90.0, -180.0_f64..=180.0),
        b in (-90.0_f64..=90.0, -180.0_f64..=180.0),
        c in (-90.0_f64..=90.0, -180.0_f64..=180.0),
    ) {
        prop_assert!((distance_km(a, b) - distance_km(b, a)).abs() < 1e-6);
        prop_assert!(distance_km(a, c) <= (distance_km(a, b) + distance_km(b, c)) * 1.005 + 1e-6);
    }
}

#[test]
fn a_cluster_that_leaves_takes_only_its_own_clients_along() {
    let weights = [45, 60, 75, 20];
    let four: Vec<_> = (0..4).map(|at| subject(at, weights[usize::from(at)], 1_000)).collect();
    let all = steering_of(sticky(), &SIX, four.clone());
    let three = steering_of(sticky(), &SIX, four[..3].to_vec());
    let heavier = all.with(|own| {
        if own.candidate.site == 3 {
            own.candidate.weight = 40;
        }
    });
    let of = |own: &Steering, at| own.addresses(false, &own.decide(false, &nth(at)).unwrap())[0];
    for at in 0..20_000 {
        let before = of(&all, at);
        assert!(of(&three, at) == before || before == v4(3), "moved without a reason");
        let after = of(&heavier, at);
        assert!(after == before || after == v4(3), "moved to another than the heavier");
    }
}

#[test]
fn shares_hold_over_a_hundred_thousand_networks() {
    let weights = [45, 60, 75, 20];
    let four: Vec<_> = (0..4).map(|at| subject(at, weights[usize::from(at)], 1_000)).collect();
    let counts = counts(&steering_of(sticky(), &SIX, four), 100_000);
    for (at, weight) in (0..).zip(weights) {
        within_four_sigma(counts[&v4(at)], f64::from(weight) / 200.0, 100_000);
    }
}

#[test]
fn an_alias_stands_in_for_a_cluster_that_the_fence_shuts_off() {
    let deny = CLASSIC
        .iter()
        .map(|own| (name(own), Places { countries: vec!["US".into()], ..Places::default() }));
    let page: crate::model::Name = "blocked.example.net".parse().unwrap();
    let outside = Fenced::Target(crate::model::Address::Host(page.clone()));
    let fence = Fence { deny: deny.collect(), outside, ..Fence::default() };
    let steering = steering_of(Steer { fence, ..sticky() }, &CLASSIC, all_up());
    assert_eq!(steering.decide(false, &client("20.1.1.0/24")).unwrap().variant, None);
    assert_eq!(steering.outside(true), Some(Variant::Alias(page)));
}
