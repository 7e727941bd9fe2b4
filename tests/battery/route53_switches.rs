//! A switch for each cluster at Route 53: one call takes a cluster out of all names, before any of
//! them is written anew.

use crate::{
    double::common::Fault,
    place::{Place, Running, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use std::fmt::Write as _;

const SERVICES: u8 = 12;

struct Switched {
    aws: Aws,
    place: Place,
}

impl Switched {
    fn new() -> Self {
        let aws = Aws::start();
        let publish = aws.publish_with(", clusterSwitches: true");
        let place = Place::new(&publish).with_environment(aws.environment());
        let mut targets = String::new();
        for one in 0..SERVICES {
            place.serve("aws", &format!("s{one}"), &[&format!("1.2.3.{one}")]);
            place.serve("gke", &format!("s{one}"), &[&format!("1.2.4.{one}")]);
            write!(targets, "{{kind: Service, name: s{one}}}, ").unwrap();
        }
        place.file(
            "policy.yaml",
            &format!(
                "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: all, namespace: \
                 default}}\nspec:\n  targets: [{targets}]\n  order: {{geo: {{map: [{{continents: [EU], \
                 clusters: [gke]}}], default: [aws, gke]}}}}\n"
            ),
        );
        Self { aws, place }
    }

    /// What clients in the United States get for every name.
    fn answers(&self) -> Vec<String> {
        let name = |one: u8| global(&format!("s{one}"));
        (0..SERVICES).map(|one| self.aws.answer(&name(one), "US").join(",")).collect()
    }

    fn are_of(&self, running: &Running, net: &str) {
        let expected: Vec<String> = (0..SERVICES).map(|one| format!("{net}.{one}")).collect();
        wait_for(&format!("{net}; {}\n{}", running.status(), running.log()), || {
            (self.answers() == expected).then_some(())
        });
    }
}

fn in_step(running: &Running) {
    running.phase("inStep");
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn one_call_takes_a_cluster_out_of_all_names_and_one_lets_it_in_again() {
    let own = Switched::new();
    let running = own.place.start();
    own.are_of(&running, "1.2.3");
    in_step(&running);
    assert_eq!((own.aws.calls("CreateHealthCheck"), own.aws.calls("UpdateHealthCheck")), (2, 0));
    assert_eq!(running.say(&["drain", "aws", "--reason", "a test"]).0, 0);
    own.are_of(&running, "1.2.4");
    in_step(&running);
    assert_eq!(own.aws.calls("UpdateHealthCheck"), 1);
    let (_, history) = running.say(&["history"]);
    let (turned, updated) = (history.find("switch").unwrap(), history.find("update").unwrap());
    assert!(turned < updated, "the switch comes first: {history}");
    assert_eq!(running.say(&["undrain", "aws"]).0, 0);
    own.are_of(&running, "1.2.3");
    in_step(&running);
    assert_eq!((own.aws.calls("CreateHealthCheck"), own.aws.calls("UpdateHealthCheck")), (2, 2));
}

#[test]
fn a_restart_turns_no_switch_and_a_lost_answer_is_read_again() {
    let own = Switched::new();
    let running = own.place.start();
    own.are_of(&running, "1.2.3");
    in_step(&running);
    drop(running);
    let running = own.place.start();
    in_step(&running);
    assert_eq!((own.aws.calls("CreateHealthCheck"), own.aws.calls("UpdateHealthCheck")), (2, 0));
    // The answer to the call that turns it is lost: it is read again, and was turned.
    own.aws.route53.control.fail("UpdateHealthCheck", Fault::TornAfter);
    assert_eq!(running.say(&["drain", "aws", "--reason", "a test"]).0, 0);
    own.are_of(&running, "1.2.4");
    in_step(&running);
    assert_eq!(own.aws.calls("UpdateHealthCheck"), 1);
}
