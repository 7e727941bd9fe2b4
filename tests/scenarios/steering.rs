//! Health and steering, from objects and checks to what each client is answered: the classic
//! cases in a user's words, and what becomes of them when something fails.

use crate::world::{World, address, name};
use ipnet::IpNet;
use meridian::{
    fleet::{self, Event, Supposed},
    health::{Failure, Forced, Outcome, Override, Protocol},
    model::{AllDown, Annotations, Client, Location, Weight},
    policy::{
        Fence, Fenced, GeoRow, GeoTable, HealthCheck, Order, Pick, Places, Proximity, Steer,
        TrafficPolicy, Weights,
    },
    records::{self, DnssecOk, Outcome as Lookup, Question, RecordType},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

const SHOP: &str = "default/shop";
const NAME: &str = "shop.default.fed.svc.example.com";
/// Networks of those countries in the embedded database, and one of no country.
const DE: &str = "2.160.0.0/24";
const US: &str = "3.80.0.0/24";
const JP: &str = "133.11.0.0/24";
const BR: &str = "200.160.0.0/24";
const NOWHERE: &str = "192.0.2.0/24";

const AWS: &str = "198.51.100.1";
const AZURE: &str = "198.51.100.2";
const GKE: &str = "198.51.100.3";

/// aws, azure and gke, each with the shop.
pub(crate) fn three() -> World {
    let mut world = World::new("fed", "example.com");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.join("azure", &["westeurope/westeurope-1"]);
    world.join("gke", &["asia-east1/asia-east1-a"]);
    for (cluster, ip) in [("aws", AWS), ("azure", AZURE), ("gke", GKE)] {
        world.serve(cluster, SHOP, &[ip]);
    }
    world
}

fn clusters(names: &[&str]) -> Vec<meridian::model::ClusterName> {
    names.iter().map(|own| (*own).into()).collect()
}

/// Europe to azure, North America to aws, Asia to gke, all others to aws; each with the next.
pub(crate) fn classic() -> Order {
    let row = |continent: &str, names: &[&str]| GeoRow {
        places: Places { continents: vec![continent.into()], ..Places::default() },
        clusters: clusters(names),
    };
    Order::Geo(GeoTable {
        rows: vec![
            row("EU", &["azure", "aws", "gke"]),
            row("NA", &["aws", "azure", "gke"]),
            row("AS", &["gke", "aws", "azure"]),
        ],
        default: clusters(&["aws", "azure", "gke"]),
    })
}

pub(crate) fn steer(order: Order) -> Arc<Steer> {
    Arc::new(Steer { order, pick: Pick::Sticky, ..Steer::default() })
}

pub(crate) fn weighted(weights: &[(&str, u32)]) -> Arc<Steer> {
    let weights = weights.iter().map(|(cluster, weight)| ((*cluster).into(), *weight)).collect();
    Arc::new(Steer { weights: Weights::Fixed(weights), pick: Pick::Sticky, ..Steer::default() })
}

pub(crate) fn checked() -> HealthCheck {
    HealthCheck {
        protocol: Protocol::Tcp,
        port: Some(443),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        fall: 3,
        rise: 2,
        expected: None,
    }
}

/// The classic policy with checks, all of which succeed.
fn steered() -> World {
    let mut world = three();
    world.policy(SHOP, |policy| {
        policy.steer = steer(classic());
        policy.health = Some(checked());
    });
    world.rounds(&[], 3);
    world
}

/// What one client gets.
#[derive(Debug, PartialEq)]
struct Got {
    addresses: Vec<String>,
    ttl: u32,
    scope: u8,
}

impl World {
    fn ask(&mut self, name_: &str, net: &str) -> Got {
        let net: IpNet = net.parse().unwrap();
        let client = Client { address: Some(net.addr()), subnet: Some(net), draw: 0 };
        self.ask_as(name_, &client)
    }

    fn ask_as(&mut self, name_: &str, client: &Client) -> Got {
        let snapshot = self.snapshot();
        let name = name(name_);
        let question =
            Question { name: name.as_wire(), rtype: RecordType::A, dnssec: DnssecOk::No };
        let answer = records::lookup(&snapshot.zones, &question, client);
        assert_eq!(answer.outcome, Lookup::Data, "{name_}");
        let last = answer.answer.last().unwrap();
        let text = |data: &[u8]| IpAddr::from(<[u8; 4]>::try_from(data).unwrap()).to_string();
        Got {
            addresses: last.rrset.rdata().map(text).collect(),
            ttl: last.ttl.as_secs(),
            scope: answer.scope,
        }
    }

    fn gets(&mut self, net: &str) -> String {
        self.ask(NAME, net).addresses.join(" ")
    }

    /// Every target is checked that often, an interval apart; those at these addresses fail.
    pub(crate) fn rounds(&mut self, failing: &[&str], rounds: usize) {
        for _ in 0..rounds {
            self.pass(Duration::from_secs(10));
            self.round(failing);
        }
    }

    fn round(&mut self, failing: &[&str]) {
        for target in self.snapshot().targets.iter() {
            let fails = failing.iter().any(|ip| target.address.to_string() == **ip);
            let refused = || Failure::Connect("refused".to_owned());
            let outcome = Outcome {
                target: target.clone(),
                took: Duration::from_millis(20),
                result: if fails { Err(refused()) } else { Ok(()) },
                expires: None,
            };
            self.fleet.apply(self.now, Event::Checked(outcome));
        }
    }

    fn force(&mut self, cluster: &str, kind: Forced, lasting: Option<u64>) {
        let until = lasting.map(|seconds| self.now.after(Duration::from_secs(seconds)).wall);
        let reason = "maintenance".to_owned();
        let word = Override { kind, reason, by: None, since: self.now.wall, until };
        self.fleet.apply(self.now, Event::Forced(cluster.into(), Some(word)));
    }
}

#[test]
fn the_classic_case_sends_each_continent_to_its_cluster_and_the_rest_to_the_default() {
    let mut world = steered();
    let got: Vec<String> = [DE, US, JP, BR, NOWHERE].iter().map(|net| world.gets(net)).collect();
    assert_eq!(got, [AZURE, AWS, GKE, AWS, AWS]);
}

#[test]
fn a_backend_that_fails_sends_its_clients_alone_to_the_next_cluster_in_the_stated_time() {
    let mut world = steered();
    let stated = checked().check(&name(NAME), 443).detection();
    let before = world.now;
    world.rounds(&[AZURE], 3);
    assert_eq!([DE, US, JP, BR].map(|net| world.gets(net)), [AWS, AWS, GKE, AWS]);
    let took = world.now.mono.duration_since(before.mono);
    assert!(took <= stated, "{took:?} is more than {stated:?}");
}

#[test]
fn one_failure_moves_nobody_but_shortens_the_ttl() {
    let mut world = steered();
    let before = world.ask(NAME, DE);
    world.rounds(&[AZURE], 1);
    let after = world.ask(NAME, DE);
    assert_eq!(before.addresses, after.addresses);
    assert!(after.ttl < before.ttl && after.ttl >= 5, "{} → {}", before.ttl, after.ttl);
}

#[test]
fn with_all_backends_down_the_answers_stay_and_say_so() {
    let mut world = steered();
    let before = [DE, US, JP, BR].map(|net| world.gets(net));
    world.rounds(&[AWS, AZURE, GKE], 4);
    assert_eq!([DE, US, JP, BR].map(|net| world.gets(net)), before);
    assert_eq!(world.ask(NAME, DE).ttl, 5, "so that recovery is noticed soon");
    let explained = fleet::explain(&world.snapshot(), &name(NAME), Some(DE.parse().unwrap()));
    let trace = explained.steering.unwrap().ipv4.unwrap();
    assert!(trace.fail_open);
    assert!(trace.because.iter().any(|reason| reason.contains("fail open")), "{trace:?}");
    assert!(explained.because[0].contains("fail open"), "{:?}", explained.because);
}

#[test]
fn other_choices_for_all_down_hold_for_steered_names_too() {
    let mut world = steered();
    let sorry = AllDown::Fallback(vec![address("203.0.113.9")]);
    world.policy(SHOP, |policy| {
        policy.steer = steer(classic());
        policy.health = Some(checked());
        policy.all_down = Some(sorry);
    });
    world.rounds(&[AWS, AZURE, GKE], 4);
    assert_eq!(world.gets(DE), "203.0.113.9");
}

#[test]
fn a_backend_that_returns_gets_its_clients_back() {
    let mut world = steered();
    world.rounds(&[AZURE], 4);
    assert_eq!(world.gets(DE), AWS);
    world.rounds(&[], 60);
    assert_eq!(world.gets(DE), AZURE);
}

#[test]
fn before_the_first_check_a_cluster_counts_as_healthy_for_a_short_ttl() {
    let mut world = three();
    world.policy(SHOP, |policy| {
        policy.steer = steer(classic());
        policy.health = Some(checked());
    });
    let got = world.ask(NAME, DE);
    assert_eq!(got.addresses, [AZURE]);
    assert_eq!(got.ttl, 5);
}

#[test]
fn readiness_alone_moves_clients_where_nothing_is_checked() {
    let mut world = three();
    world.policy(SHOP, |policy| policy.steer = steer(classic()));
    world.ready("azure", SHOP, 0);
    assert_eq!(world.gets(DE), AWS);
    assert_eq!(world.ask(NAME, DE).ttl, 180);
}

#[test]
fn a_failover_list_of_three_goes_down_one_by_one() {
    let mut world = three();
    world.policy(SHOP, |policy| {
        policy.steer = steer(Order::Failover(clusters(&["gke", "azure", "aws"])));
    });
    assert_eq!([DE, US, NOWHERE].map(|net| world.gets(net)), [GKE; 3]);
    world.ready("gke", SHOP, 0);
    assert_eq!(world.gets(DE), AZURE);
    world.ready("azure", SHOP, 0);
    assert_eq!(world.gets(DE), AWS);
    world.ready("gke", SHOP, 1);
    assert_eq!(world.gets(DE), GKE);
}

#[test]
fn weights_80_to_20_are_kept_over_100_000_networks_within_4_sigma() {
    let mut world = three();
    world.policy(SHOP, |policy| policy.steer = weighted(&[("aws", 80), ("azure", 20)]));
    let shares = shares(&mut world);
    let (n, p) = (100_000.0_f64, 0.8_f64);
    let bound = 4.0 * (p * (1.0 - p) / n).sqrt();
    let aws = shares[AWS] as f64 / n;
    assert!((aws - p).abs() <= bound, "{aws} is farther than {bound} from {p}");
    assert!(!shares.contains_key(GKE), "a cluster that is not named has weight 0");
}

#[test]
fn when_one_of_four_clusters_leaves_only_its_own_clients_move() {
    let mut world = three();
    world.join("onprem", &["dc-1"]);
    world.serve("onprem", SHOP, &["198.51.100.4"]);
    let all = ["aws", "azure", "gke", "onprem"].map(|cluster| (cluster, 1));
    world.policy(SHOP, |policy| policy.steer = weighted(&all));
    let before = each(&mut world);
    world.unjoin("gke");
    let after = each(&mut world);
    for (net, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(before == after || before == GKE, "network {net} moved from {before} to {after}");
    }
    assert!(after.iter().all(|got| got != GKE));
}

#[test]
fn weights_follow_ready_endpoints_when_asked() {
    let mut world = three();
    world.policy(SHOP, |policy| {
        policy.steer = Arc::new(Steer {
            weights: Weights::ReadyEndpoints,
            pick: Pick::Sticky,
            ..Steer::default()
        });
    });
    world.ready("aws", SHOP, 30);
    world.ready("azure", SHOP, 10);
    world.ready("gke", SHOP, 0);
    let shares = shares(&mut world);
    let aws = shares[AWS] as f64 / 100_000.0;
    assert!((aws - 0.75).abs() < 0.01, "{aws}");
    assert!(!shares.contains_key(GKE));
}

#[test]
fn annotations_name_the_policy_and_the_weight() {
    let mut world = three();
    let annotated = |weight| Annotations {
        policy: Some("spread".into()),
        weight: Weight::new(weight),
        ..Annotations::default()
    };
    for (cluster, ip, weight) in [("aws", AWS, 3), ("azure", AZURE, 1), ("gke", GKE, 0)] {
        world.annotated(cluster, SHOP, &[ip], Some(annotated(weight)));
    }
    world.policy("default/spread", |policy| {
        policy.steer = Arc::new(Steer { pick: Pick::Sticky, ..Steer::default() });
    });
    let shares = shares(&mut world);
    let aws = shares[AWS] as f64 / 100_000.0;
    assert!((aws - 0.75).abs() < 0.01, "{aws}");
    assert!(!shares.contains_key(GKE));
}

#[test]
fn a_policy_that_is_not_there_is_said_and_leaves_the_service_as_it_was() {
    let mut world = three();
    let annotations = Annotations { policy: Some("absent".into()), ..Annotations::default() };
    world.annotated("aws", SHOP, &[AWS], Some(annotations));
    let snapshot = world.snapshot();
    let (unit, _) = snapshot.owner(&name(NAME)).unwrap();
    assert!(unit.problems[0].contains("no TrafficPolicy default/absent"), "{:?}", unit.problems);
    assert_eq!(world.ask(NAME, DE).addresses.len(), 3);
}

#[test]
fn the_nearest_cluster_is_found_by_the_regions_of_the_nodes() {
    let mut world = three();
    world.policy(SHOP, |policy| policy.steer = steer(Order::Proximity(Proximity::default())));
    assert_eq!([DE, US, JP].map(|net| world.gets(net)), [AZURE, AWS, GKE]);
}

#[test]
fn a_member_clusters_own_location_stands_over_its_region() {
    let mut world = three();
    world.policy(SHOP, |policy| policy.steer = steer(Order::Proximity(Proximity::default())));
    let tokyo = Location { coordinates: Some((35.7, 139.7)), ..Location::default() };
    world.member("aws", |member| member.location = Some(tokyo));
    assert_eq!(world.gets(JP), AWS);
}

#[test]
fn a_fence_keeps_clients_out_and_gives_them_its_target() {
    let mut world = three();
    let europe = Places { continents: vec!["EU".into()], ..Places::default() };
    let allow = ["aws", "azure", "gke"].map(|cluster| (cluster.into(), europe.clone()));
    let fence = Fence {
        allow: allow.into(),
        deny: BTreeMap::new(),
        outside: Fenced::Target(address("203.0.113.7")),
    };
    world.policy(SHOP, |policy| {
        policy.steer =
            Arc::new(Steer { order: classic(), fence, pick: Pick::Sticky, ..Steer::default() });
    });
    assert_eq!([DE, US, NOWHERE].map(|net| world.gets(net)), [AZURE, "203.0.113.7", "203.0.113.7"]);
}

#[test]
fn regions_answer_among_their_own_clusters_and_lead_up_when_those_fail() {
    let mut world = steered();
    let region = "shop.default.fed.svc.westeurope.example.com";
    assert_eq!(world.ask(region, US).addresses, [AZURE]);
    world.rounds(&[AZURE], 4);
    assert_eq!(world.ask(region, JP).addresses, [GKE], "through the global name, steered");
}

#[test]
fn a_drained_cluster_gets_nobody_while_another_is_healthy_and_all_when_none_is() {
    let mut world = steered();
    world.force("azure", Forced::Drain, None);
    assert_eq!(world.gets(DE), AWS);
    world.rounds(&[AWS, GKE], 4);
    assert_eq!([DE, US, JP].map(|net| world.gets(net)), [AZURE; 3]);
}

#[test]
fn a_drain_ends_by_itself() {
    let mut world = steered();
    world.force("azure", Forced::Drain, Some(60));
    assert_eq!(world.gets(DE), AWS);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.gets(DE), AZURE);
}

#[test]
fn an_operators_word_stands_over_checks_and_readiness() {
    let mut world = steered();
    world.rounds(&[AZURE], 4);
    world.force("azure", Forced::Up, None);
    assert_eq!(world.gets(DE), AZURE);
    world.force("azure", Forced::Down, None);
    world.rounds(&[], 40);
    assert_eq!(world.gets(DE), AWS);
}

#[test]
fn checks_that_succeed_outweigh_the_silence_of_a_clusters_api() {
    let mut world = steered();
    world.federation(|federation| federation.offline = meridian::model::Offline::Drop);
    for _ in 0..30 {
        world.silence("azure", Duration::from_secs(10));
        world.round(&[]);
    }
    assert_eq!(world.gets(DE), AZURE);
}

#[test]
fn verdicts_and_drains_survive_a_restart() {
    let mut world = steered();
    world.rounds(&[AZURE], 4);
    world.force("gke", Forced::Drain, None);
    let saved = serde_json::to_string(&world.fleet.save(world.now)).unwrap();
    world.fleet = fleet::Fleet::restore(serde_json::from_str(&saved).unwrap(), world.now);
    world.configure();
    assert_eq!([DE, JP].map(|net| world.gets(net)), [AWS; 2]);
}

#[test]
fn what_is_supposed_is_what_would_be() {
    for supposed in
        ["azure=down", "azure=drained", "aws=down,gke=down", "aws=down,azure=down,gke=down"]
    {
        let mut world = steered();
        let all: Vec<Supposed> = supposed.split(',').map(|one| one.parse().unwrap()).collect();
        let then = world.fleet.clone().suppose(world.now, &all).unwrap();
        let before = world.snapshot();
        for one in &all {
            let kind = match one.state {
                fleet::SupposedState::Down => Forced::Down,
                _ => Forced::Drain,
            };
            world.force(&one.cluster.to_string(), kind, None);
        }
        for net in [DE, US, JP, BR, NOWHERE] {
            let net = Some(net.parse().unwrap());
            let (then, now) = (
                fleet::explain(&then, &name(NAME), net),
                fleet::explain(&world.snapshot(), &name(NAME), net),
            );
            assert_eq!(then.ipv4, now.ipv4, "{supposed} for {net:?}");
        }
        assert!(Arc::ptr_eq(&before.targets, &world.snapshot().targets));
    }
}

#[test]
fn a_drill_says_whose_clients_move_where_and_when_they_notice() {
    let mut world = steered();
    let then = world.fleet.clone().suppose(world.now, &["azure=down".parse().unwrap()]).unwrap();
    let now = world.snapshot();
    let drill = fleet::drill(&now, &then, vec!["azure=down".into()], Some(&name(NAME))).unwrap();
    let share = |shares: &fleet::Shares, cluster: &str| {
        let cluster: meridian::model::ClusterName = cluster.into();
        shares.get(&cluster).copied().unwrap_or_default()
    };
    let country = |code: &str| drill.countries.iter().find(|own| own.country == code).unwrap();
    let germany = country("DE");
    assert!(share(&germany.before, "azure") > 0.999, "{germany:?}");
    assert!(share(&germany.after, "aws") > 0.999, "{germany:?}");
    let japan = country("JP");
    assert_eq!(japan.before, japan.after);
    let [own] = drill.names.as_slice() else { panic!("one name was asked for") };
    let moved = share(&own.before, "azure");
    assert!((own.moved() - moved).abs() < 1e-9 && moved > 0.05, "{own:?}");
    let whole: f64 = own.after.values().sum();
    assert!((whole - 1.0).abs() < 1e-9, "{own:?}");
    assert_eq!((own.detection, own.ttl, own.notice()), (33, 30, 63));
}

#[test]
fn the_names_that_a_drain_would_leave_without_a_target_are_known() {
    let mut world = steered();
    world.serve("gke", "default/only", &["198.51.100.30"]);
    let alone = fleet::served_by_alone(&world.snapshot(), &"gke".into());
    assert_eq!(alone, [name("only.default.fed.svc.example.com")]);
    assert_eq!(fleet::served_by_alone(&world.snapshot(), &"aws".into()), []);
}

#[test]
fn only_what_a_federation_may_publish_is_checked() {
    let mut world = steered();
    world.serve("aws", SHOP, &["169.254.169.254"]);
    let targets: BTreeSet<String> =
        world.snapshot().targets.iter().map(|target| target.address.to_string()).collect();
    assert_eq!(targets, [AZURE, GKE].map(str::to_owned).into());
}

#[test]
fn a_service_that_goes_is_no_longer_checked() {
    let mut world = steered();
    assert_eq!(world.snapshot().targets.len(), 3);
    world.delete("gke", SHOP);
    assert_eq!(world.snapshot().targets.len(), 2);
    world.config.policies.clear();
    world.configure();
    assert_eq!(world.snapshot().targets.len(), 0);
}

#[test]
fn host_names_of_load_balancers_are_resolved_checked_and_steered() {
    let mut world = steered();
    world.serve("aws", SHOP, &["lb.aws.example.net"]);
    assert!(world.snapshot().unresolved.contains(&name("lb.aws.example.net")));
    world.resolves("lb.aws.example.net", &["203.0.113.1", "203.0.113.2"]);
    world.rounds(&[], 3);
    assert_eq!(world.ask(NAME, US).addresses.len(), 2);
    world.rounds(&["203.0.113.1"], 3);
    assert_eq!(world.gets(US), "203.0.113.2", "the address that fails is left out");
    world.rounds(&["203.0.113.1", "203.0.113.2"], 4);
    assert_eq!(world.gets(US), AZURE);
}

#[test]
fn a_policy_of_another_namespace_does_not_take_a_host() {
    let mut world = three();
    world.serve("aws", "default/web", &[AWS]);
    world.serve("azure", "default/web", &[AZURE]);
    world.ingress("aws", "default/www", "www.example.com", "web", &[AWS]);
    world.ingress("azure", "default/www", "www.example.com", "web", &[AZURE]);
    world.policy("other/www", |policy: &mut TrafficPolicy| {
        policy.targets = vec![meridian::policy::PolicyTarget::Host(name("www.example.com"))];
        policy.steer = steer(Order::Failover(clusters(&["azure"])));
    });
    assert_eq!(world.ask("www.example.com", DE).addresses.len(), 2);
    world.policy("default/www", |policy| {
        policy.targets = vec![meridian::policy::PolicyTarget::Host(name("www.example.com"))];
        policy.steer = steer(Order::Failover(clusters(&["azure"])));
    });
    assert_eq!(world.ask("www.example.com", DE).addresses, [AZURE]);
}

#[test]
fn a_family_that_only_some_clusters_have_is_left_out_and_said() {
    let mut world = steered();
    world.serve("azure", SHOP, &[AZURE, "2001:db8::2"]);
    let snapshot = world.snapshot();
    let (unit, _) = snapshot.owner(&name(NAME)).unwrap();
    assert!(unit.problems[0].starts_with("AAAA is left out"), "{:?}", unit.problems);
    let explained = fleet::explain(&snapshot, &name(NAME), Some(DE.parse().unwrap()));
    assert!(explained.because.iter().any(|own| own.contains("family: independent")));
    assert_eq!((explained.ipv6.rcode.as_str(), explained.ipv6.scope), ("NOERROR", 0));
}

#[test]
fn a_check_that_finds_what_was_found_before_is_no_news() {
    let mut world = steered();
    world.snapshot();
    world.round(&[]);
    assert!(!world.fleet.has_news());
    world.round(&[AZURE]);
    assert!(world.fleet.has_news());
}

fn shares(world: &mut World) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    each(world).into_iter().for_each(|got| *shares.entry(got).or_default() += 1);
    shares
}

/// What 100,000 distinct /24s get.
fn each(world: &mut World) -> Vec<String> {
    let snapshot = world.snapshot();
    let owner = name(NAME);
    let question = Question { name: owner.as_wire(), rtype: RecordType::A, dnssec: DnssecOk::No };
    let one = |index: u32| {
        let net =
            IpNet::new(IpAddr::from((0x0b00_0000 + index * 0x100).to_be_bytes()), 24).unwrap();
        let client = Client { address: Some(net.addr()), subnet: Some(net), draw: 0 };
        let answer = records::lookup(&snapshot.zones, &question, &client);
        let data = answer.answer[0].rrset.rdata().next().unwrap().to_vec();
        IpAddr::from(<[u8; 4]>::try_from(data).unwrap()).to_string()
    };
    (0..100_000).map(one).collect()
}
