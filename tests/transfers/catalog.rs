//! Secondaries that follow the catalog serve what is served here, and stop when it is not.

use crate::{
    others::{Kind, Plan, Server},
    process::{Config, KEY, Meridian, ZONE, free_port, same, serial, transferred, until},
};

const CATALOG: &str = "catalog.test";
const SECOND: &str = "second.example.com";

#[test]
fn bind_and_knot_follow_the_catalog() {
    let port = free_port();
    let kinds = [Kind::Bind, Kind::Knot];
    let ports = kinds.map(|_| free_port());
    let fields = format!("  transfer: {{allow: [{{key: {KEY}}}]}}\n");
    let config = Config::new(&fields);
    let notify = ports.map(|own| format!("--transfer-notify=127.0.0.1:{own}@{KEY}"));
    let ours = Meridian::start(
        &config,
        port,
        &[
            "--no-state",
            "--catalog-zone",
            CATALOG,
            "--transfer-allow",
            KEY,
            notify[0].as_str(),
            notify[1].as_str(),
        ],
    );
    let plan = Plan { primary: port, signed: true, catalog: Some(CATALOG), ..Plan::default() };
    let all: Vec<_> =
        kinds.iter().zip(ports).map(|(kind, own)| Server::secondary(*kind, own, &plan)).collect();
    let serves = |own: &Server, zone: &str| serial(own.port, zone).is_some();
    for own in &all {
        until(&format!("{:?} serves the member", own.kind), || serves(own, ZONE));
        let has = transferred(own.port, ZONE, None).unwrap();
        same(&has, &ours.exported(ZONE), &format!("{:?}", own.kind));
    }
    config.federation("second", SECOND, &fields);
    for own in &all {
        until(&format!("{:?} serves the new member", own.kind), || serves(own, SECOND));
    }
    std::fs::remove_file(config.path().join("second.yaml")).unwrap();
    for own in &all {
        until(&format!("{:?} drops the member", own.kind), || !serves(own, SECOND));
        assert!(serves(own, ZONE), "{:?}", own.kind);
    }
    assert!(all.iter().all(|own| !own.log().contains("catz: error")), "{}", all[0].log());
}
