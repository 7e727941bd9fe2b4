//! Kubernetes federation v1's own behaviour (`reference/federation-records.md` §1.4), state by
//! state: where ours differs, the test's name says how.

use crate::world::World;
use meridian::{
    fleet::STATUS_HOLD,
    model::{AllDown, Offline},
};
use std::time::Duration;

const WEB: &str = "shop/web";

/// c1 and c2 in one region, c3 in another; `shop/web` healthy in all three.
fn state_1_all_healthy() -> World {
    let mut world = World::new("fed", "example.com");
    world.join("c1", &["eu-west-1/eu-west-1a"]);
    world.join("c2", &["eu-west-1/eu-west-1b"]);
    world.join("c3", &["us-east-1/us-east-1a"]);
    world.serve("c1", WEB, &["192.0.2.1"]);
    world.serve("c2", WEB, &["192.0.2.2"]);
    world.serve("c3", WEB, &["203.0.113.3"]);
    world.snapshot();
    world
}

/// The six columns of the table: global, two regions, three zones.
fn row(world: &mut World) -> [String; 6] {
    [
        "web.shop.fed.svc",
        "web.shop.fed.svc.eu-west-1",
        "web.shop.fed.svc.us-east-1",
        "web.shop.fed.svc.eu-west-1a.eu-west-1",
        "web.shop.fed.svc.eu-west-1b.eu-west-1",
        "web.shop.fed.svc.us-east-1a.us-east-1",
    ]
    .map(|below| world.at(below))
}

const TO_GLOBAL: &str = "CNAME web.shop.fed.svc.example.com.";
const TO_EU: &str = "CNAME web.shop.fed.svc.eu-west-1.example.com.";
const TO_US: &str = "CNAME web.shop.fed.svc.us-east-1.example.com.";

#[test]
fn the_federations_own_example_without_addresses_is_exactly_the_chain() {
    let mut world = World::new("magicring", "demo.madeden.net");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.join("azure", &["eu-west-2/eu-west-2a"]);
    world.service("aws", "default/microbot", &[]);
    world.service("azure", "default/microbot", &[]);
    assert_eq!(
        world.records(),
        [
            "microbot.default.magicring.svc.eu-west-2a.eu-west-2.demo.madeden.net. 180 CNAME \
             microbot.default.magicring.svc.eu-west-2.demo.madeden.net.",
            "microbot.default.magicring.svc.eu-west-2.demo.madeden.net. 180 CNAME \
             microbot.default.magicring.svc.demo.madeden.net.",
            "microbot.default.magicring.svc.us-west-2.demo.madeden.net. 180 CNAME \
             microbot.default.magicring.svc.demo.madeden.net.",
            "microbot.default.magicring.svc.us-west-2a.us-west-2.demo.madeden.net. 180 CNAME \
             microbot.default.magicring.svc.us-west-2.demo.madeden.net.",
        ]
    );
}

#[test]
fn the_federations_own_example_with_addresses_has_a_records_at_all_levels() {
    let mut world = World::new("magicring", "demo.madeden.net");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.join("azure", &["eu-west-2/eu-west-2a"]);
    world.serve("aws", "default/microbot", &["198.51.100.1"]);
    world.serve("azure", "default/microbot", &["198.51.100.2"]);
    let prefix = "microbot.default.magicring.svc";
    assert_eq!(
        world.records(),
        [
            format!("{prefix}.eu-west-2a.eu-west-2.demo.madeden.net. 180 A 198.51.100.2"),
            format!("{prefix}.eu-west-2.demo.madeden.net. 180 A 198.51.100.2"),
            format!("{prefix}.demo.madeden.net. 180 A 198.51.100.1"),
            format!("{prefix}.demo.madeden.net. 180 A 198.51.100.2"),
            format!("{prefix}.us-west-2.demo.madeden.net. 180 A 198.51.100.1"),
            format!("{prefix}.us-west-2a.us-west-2.demo.madeden.net. 180 A 198.51.100.1"),
        ]
    );
}

#[test]
fn state_1_all_healthy_as_v1() {
    assert_eq!(
        row(&mut state_1_all_healthy()),
        [
            "A 192.0.2.1, 192.0.2.2, 203.0.113.3",
            "A 192.0.2.1, 192.0.2.2",
            "A 203.0.113.3",
            "A 192.0.2.1",
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
}

#[test]
fn state_2_a_cluster_without_ready_endpoints_points_to_its_region_as_v1() {
    let mut world = state_1_all_healthy();
    world.ready("c1", WEB, 0);
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.2, 203.0.113.3",
            "A 192.0.2.2",
            "A 203.0.113.3",
            TO_EU,
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
}

#[test]
fn state_3_a_region_without_ready_endpoints_points_to_global_as_v1() {
    let mut world = state_1_all_healthy();
    world.ready("c1", WEB, 0);
    world.ready("c2", WEB, 0);
    assert_eq!(
        row(&mut world),
        ["A 203.0.113.3", TO_GLOBAL, "A 203.0.113.3", TO_EU, TO_EU, "A 203.0.113.3"]
    );
}

#[test]
fn state_4_nobody_ready_keeps_the_last_addresses_where_v1_had_no_record() {
    let mut world = state_1_all_healthy();
    for cluster in ["c1", "c2", "c3"] {
        world.ready(cluster, WEB, 0);
    }
    world.snapshot();
    let all = "A 192.0.2.1, 192.0.2.2, 203.0.113.3";
    assert_eq!(row(&mut world), [all, TO_GLOBAL, TO_GLOBAL, TO_EU, TO_EU, TO_US]);
}

#[test]
fn state_4_with_all_down_no_data_is_as_v1() {
    let mut world = state_1_all_healthy();
    world.federation(|federation| federation.all_down = AllDown::NoData);
    for cluster in ["c1", "c2", "c3"] {
        world.ready(cluster, WEB, 0);
    }
    assert_eq!(row(&mut world), ["-", TO_GLOBAL, TO_GLOBAL, TO_EU, TO_EU, TO_US]);
}

#[test]
fn state_4_with_a_fallback_answers_it_at_the_top() {
    let mut world = state_1_all_healthy();
    let sorry = AllDown::Fallback(vec![crate::world::address("198.51.100.99")]);
    world.policy(WEB, |policy| policy.all_down = Some(sorry));
    for cluster in ["c1", "c2", "c3"] {
        world.ready(cluster, WEB, 0);
    }
    assert_eq!(row(&mut world)[0], "A 198.51.100.99");
}

#[test]
fn state_5_a_cluster_without_load_balancer_has_the_chain_where_v1_had_nxdomain() {
    let mut world = World::new("fed", "example.com");
    world.join("c1", &["eu-west-1/eu-west-1a"]);
    world.join("c2", &["eu-west-1/eu-west-1b"]);
    world.join("c3", &["us-east-1/us-east-1a"]);
    world.serve("c1", WEB, &["192.0.2.1"]);
    world.serve("c2", WEB, &["192.0.2.2"]);
    world.service("c3", WEB, &[]);
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.1, 192.0.2.2",
            "A 192.0.2.1, 192.0.2.2",
            TO_GLOBAL,
            "A 192.0.2.1",
            "A 192.0.2.2",
            TO_US,
        ]
    );
    // Not having the Service at all makes no difference to clients there.
    world.delete("c3", WEB);
    assert_eq!(row(&mut world)[5], TO_US);
}

#[test]
fn state_6_a_service_deleted_everywhere_leaves_nothing_where_v1_leaked_five_cnames() {
    let mut world = state_1_all_healthy();
    world.snapshot();
    for cluster in ["c1", "c2", "c3"] {
        world.delete(cluster, WEB);
    }
    assert_eq!(world.records(), Vec::<String>::new());
}

#[test]
fn state_7_an_offline_cluster_keeps_its_addresses_at_all_levels_where_v1_dropped_the_region() {
    let mut world = state_1_all_healthy();
    let before = row(&mut world);
    world.silence("c1", Duration::from_secs(600));
    assert_eq!(row(&mut world), before);
}

#[test]
fn state_7_with_an_offline_policy_is_applied_at_all_levels_alike() {
    let mut world = state_1_all_healthy();
    world.federation(|fed| fed.offline = Offline::DrainAfter(Duration::from_secs(300)));
    world.silence("c1", Duration::from_secs(240));
    assert_eq!(row(&mut world)[3], "A 192.0.2.1");
    world.silence("c1", Duration::from_secs(240));
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.2, 203.0.113.3",
            "A 192.0.2.2",
            "A 203.0.113.3",
            TO_EU,
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
    world.pass(Duration::from_secs(1));
    assert_eq!(row(&mut world)[3], "A 192.0.2.1");
}

#[test]
fn state_8_an_unjoined_clusters_records_go_where_v1_kept_them_forever() {
    let mut world = state_1_all_healthy();
    world.snapshot();
    world.unjoin("c1");
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.2, 203.0.113.3",
            "A 192.0.2.2",
            "A 203.0.113.3",
            "-",
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
}

#[test]
fn state_9_a_host_name_that_does_not_resolve_holds_back_itself_alone_where_v1_froze_all() {
    let mut world = state_1_all_healthy();
    world.service("c1", WEB, &["lb.example.net"]);
    world.does_not_resolve("lb.example.net");
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.2, 203.0.113.3",
            "A 192.0.2.2",
            "A 203.0.113.3",
            "CNAME lb.example.net.",
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
    // And one that did resolve keeps its last good addresses.
    world.resolves("lb.example.net", &["192.0.2.9"]);
    world.does_not_resolve("lb.example.net");
    assert_eq!(row(&mut world)[1], "A 192.0.2.2, 192.0.2.9");
}

#[test]
fn state_10_a_host_name_with_both_families_makes_a_and_aaaa_where_v1_put_ipv6_into_a() {
    let mut world = state_1_all_healthy();
    world.service("c1", WEB, &["lb.example.net"]);
    world.resolves("lb.example.net", &["192.0.2.9", "2001:db8::9"]);
    assert_eq!(
        row(&mut world),
        [
            "A 192.0.2.2, 192.0.2.9, 203.0.113.3; AAAA 2001:db8::9",
            "A 192.0.2.2, 192.0.2.9; AAAA 2001:db8::9",
            "A 203.0.113.3",
            "CNAME lb.example.net.",
            "A 192.0.2.2",
            "A 203.0.113.3",
        ]
    );
}

#[test]
fn every_zone_of_a_cluster_has_its_name_where_v1_made_only_the_first() {
    let mut world = World::new("fed", "example.com");
    world.join("x", &["r1/a", "r1/b"]);
    world.join("y", &["r1/b", "r1/c"]);
    world.serve("x", WEB, &["192.0.2.1"]);
    world.serve("y", WEB, &["192.0.2.2"]);
    assert_eq!(world.at("web.shop.fed.svc.a.r1"), "A 192.0.2.1");
    assert_eq!(world.at("web.shop.fed.svc.b.r1"), "A 192.0.2.1, 192.0.2.2");
    assert_eq!(world.at("web.shop.fed.svc.c.r1"), "A 192.0.2.2");
}

#[test]
fn one_zone_label_in_two_regions_is_two_zones_where_v1_mixed_them() {
    let mut world = World::new("fed", "example.com");
    world.join("p", &["r1/zone1"]);
    world.join("q", &["r2/zone1"]);
    world.serve("p", WEB, &["192.0.2.1"]);
    world.serve("q", WEB, &["192.0.2.2"]);
    assert_eq!(world.at("web.shop.fed.svc.zone1.r1"), "A 192.0.2.1");
    assert_eq!(world.at("web.shop.fed.svc.zone1.r2"), "A 192.0.2.2");
}

/// The seven scenarios of the upstream `dns_test.go`, one after another.
mod upstream {
    use super::*;

    const SVC: &str = "servicenamespace/servicename";
    const P: &str = "servicename.servicenamespace.myfederation.svc";

    fn two_clusters() -> World {
        let mut world = World::new("myfederation", "federation.example.com");
        world.join("c1", &["fooregion/foozone"]);
        world.join("c2", &["barregion/barzone"]);
        world
    }

    #[test]
    fn no_ingress_is_the_chain_without_addresses() {
        let mut world = two_clusters();
        world.service("c1", SVC, &[]);
        assert_eq!(world.at(P), "-");
        let global = format!("CNAME {P}.federation.example.com.");
        assert_eq!(world.at(&format!("{P}.fooregion")), global);
    }

    #[test]
    fn one_load_balancer_of_two_serves_its_levels_and_the_other_points_up() {
        let mut world = two_clusters();
        world.serve("c1", SVC, &["198.51.100.1"]);
        world.service("c2", SVC, &[]);
        assert_eq!(world.at(P), "A 198.51.100.1");
        assert_eq!(world.at(&format!("{P}.foozone.fooregion")), "A 198.51.100.1");
        let up = format!("CNAME {P}.barregion.federation.example.com.");
        assert_eq!(world.at(&format!("{P}.barzone.barregion")), up);
    }

    #[test]
    fn an_aws_host_name_and_a_gcp_address_are_a_cname_below_and_addresses_above() {
        let mut world = two_clusters();
        world.serve("c1", SVC, &["a9.us-west-2.elb.amazonaws.com"]);
        world.serve("c2", SVC, &["198.51.100.1"]);
        world.resolves("a9.us-west-2.elb.amazonaws.com", &["192.0.2.50"]);
        assert_eq!(world.at(P), "A 192.0.2.50, 198.51.100.1");
        let elb = "CNAME a9.us-west-2.elb.amazonaws.com.";
        assert_eq!(world.at(&format!("{P}.fooregion")), elb);
        assert_eq!(world.at(&format!("{P}.barregion")), "A 198.51.100.1");
    }

    #[test]
    fn load_balancers_that_never_had_endpoints_are_the_chain_without_addresses() {
        let mut world = two_clusters();
        world.service("c1", SVC, &["198.51.100.1"]);
        world.service("c2", SVC, &["198.51.100.2"]);
        assert_eq!(world.at(P), "-");
        let up = format!("CNAME {P}.fooregion.federation.example.com.");
        assert_eq!(world.at(&format!("{P}.foozone.fooregion")), up);
    }

    #[test]
    fn two_load_balancers_are_both_at_the_top() {
        let mut world = two_clusters();
        world.serve("c1", SVC, &["198.51.100.1"]);
        world.serve("c2", SVC, &["198.51.100.2"]);
        assert_eq!(world.at(P), "A 198.51.100.1, 198.51.100.2");
    }

    #[test]
    fn a_deletion_takes_every_name_away_where_upstream_left_the_cnames() {
        let mut world = two_clusters();
        world.serve("c1", SVC, &["198.51.100.1"]);
        world.snapshot();
        world.delete("c1", SVC);
        assert_eq!(world.records(), Vec::<String>::new());
    }

    #[test]
    fn an_address_that_changes_over_time_is_followed() {
        let mut world = two_clusters();
        for ip in ["198.51.100.1", "198.51.100.7", "198.51.100.8"] {
            world.serve("c1", SVC, &[ip]);
            assert_eq!(world.at(P), format!("A {ip}"));
            assert_eq!(world.at(&format!("{P}.foozone.fooregion")), format!("A {ip}"));
        }
        // Upstream dropped the name when the address went away for a moment.
        world.service("c1", SVC, &[]);
        assert_eq!(world.at(P), "A 198.51.100.8");
        world.pass(STATUS_HOLD + Duration::from_secs(1));
        assert_eq!(world.at(P), "A 198.51.100.8");
    }
}
