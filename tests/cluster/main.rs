//! The same stories through real API servers: kubectl on one side, dig on the other.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

#[path = "../double/mod.rs"]
#[allow(dead_code)] // shared with other test binaries
mod double;
mod harness;
mod lookups;
#[path = "../support/nameserver.rs"]
#[allow(dead_code)] // shared with other test binaries
mod nameserver;
#[path = "../support/ports.rs"]
mod ports;
mod providers;
mod steering;

use harness::{Clusters, Meridian, wait_for};
use std::{process::Command, time::Duration};

/// A service's names, as far as they stand before the zone.
fn prefix(service: &str) -> String {
    format!("{service}.default.magicring.svc")
}

#[test]
fn a_status_patch_shows_in_an_answer_at_all_levels() {
    let clusters = Clusters::lock();
    let meridian = Meridian::start(&clusters, &[]);
    let p = prefix("microbot");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: microbot}\nspec: {type: \
                   LoadBalancer, ports: [{port: 80}]}\n";
    clusters.all().iter().for_each(|cluster| cluster.apply(service));
    // Without addresses, the zone holds the chain alone.
    meridian.answers(
        &format!("{p}.eu-west-2a.eu-west-2"),
        &[&format!("{p}.demo.madeden.net."), &format!("{p}.eu-west-2.demo.madeden.net.")],
    );
    clusters.aws.serve("microbot", "198.51.100.1");
    clusters.azure.serve("microbot", "198.51.100.2");
    meridian.answers(&p, &["198.51.100.1", "198.51.100.2"]);
    meridian.answers(&format!("{p}.us-west-2a.us-west-2"), &["198.51.100.1"]);
    meridian.answers(&format!("{p}.us-west-2"), &["198.51.100.1"]);
    meridian.answers(
        &format!("{p}.asia-east1-a.asia-east1"),
        &[
            "198.51.100.1",
            "198.51.100.2",
            &format!("{p}.asia-east1.demo.madeden.net."),
            &format!("{p}.demo.madeden.net."),
        ],
    );
    // Readiness, another address, a deletion.
    clusters.aws.ready("microbot", false);
    meridian.answers(&p, &["198.51.100.2"]);
    clusters.aws.ready("microbot", true);
    clusters.aws.patch_status("service", "microbot", &["198.51.100.9"]);
    meridian.answers(&format!("{p}.us-west-2"), &["198.51.100.9"]);
    clusters.aws.delete("service", "microbot");
    meridian.answers(&p, &["198.51.100.2"]);

    let explained = meridian.cli(&["explain", &format!("{p}.demo.madeden.net")]);
    assert!(explained.contains("Service default/microbot"), "{explained}");
    assert!(meridian.cli(&["get", "clusters"]).contains("us-west-2a"));
}

#[test]
fn an_ingress_host_answers_from_every_cluster_that_has_it() {
    let clusters = Clusters::lock();
    let meridian = Meridian::start(&clusters, &[]);
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: whoami}\nspec: \
                   {rules: [{host: whoami.demo.madeden.net, http: {paths: [{path: /, pathType: \
                   Prefix, backend: {service: {name: whoami, port: {number: 80}}}}]}}]}\n";
    for (cluster, ip) in [(&clusters.aws, "198.51.100.11"), (&clusters.gke, "198.51.100.13")] {
        cluster.apply(ingress);
        cluster.ready("whoami", true);
        cluster.patch_status("ingress", "whoami", &[ip]);
    }
    meridian.answers("whoami", &["198.51.100.11", "198.51.100.13"]);
    clusters.gke.ready("whoami", false);
    meridian.answers("whoami", &["198.51.100.11"]);
    assert!(meridian.cli(&["get", "hosts"]).contains("whoami.demo.madeden.net."));
}

#[test]
fn a_stopped_api_server_turns_its_cluster_stale_and_changes_no_answer() {
    let clusters = Clusters::lock();
    let meridian = Meridian::start(&clusters, &[]);
    let p = prefix("stopped");
    clusters.aws.serve("stopped", "198.51.100.21");
    clusters.azure.serve("stopped", "198.51.100.22");
    meridian.answers(&p, &["198.51.100.21", "198.51.100.22"]);
    wait_for("aws to be fresh", Duration::from_secs(20), || {
        (meridian.freshness("aws") == "Fresh").then_some(())
    });
    clusters.aws.signal("-STOP");
    let stale = wait_for("aws to be stale", Duration::from_secs(90), || {
        let now = meridian.freshness("aws");
        (now != "Fresh").then_some(now)
    });
    assert_eq!(stale, "Stale");
    assert_eq!(meridian.freshness("azure"), "Fresh");
    meridian.answers(&p, &["198.51.100.21", "198.51.100.22"]);
    clusters.aws.signal("-CONT");
    wait_for("aws to be fresh again", Duration::from_secs(60), || {
        (meridian.freshness("aws") == "Fresh").then_some(())
    });
}

#[test]
fn deletions_made_while_an_api_server_was_out_of_sight_arrive_when_it_is_back() {
    let clusters = Clusters::lock();
    let meridian = Meridian::start(&clusters, &[]);
    let p = prefix("vanishing");
    clusters.azure.serve("vanishing", "198.51.100.32");
    clusters.gke.serve("vanishing", "198.51.100.33");
    meridian.answers(&p, &["198.51.100.32", "198.51.100.33"]);
    clusters.gke.kill();
    meridian.answers(&p, &["198.51.100.32", "198.51.100.33"]);
    // Behind Meridian's back, on another port, the Service is deleted.
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    clusters.gke.start(elsewhere.port());
    clusters.gke.delete("service", "vanishing");
    meridian.answers(&p, &["198.51.100.32", "198.51.100.33"]);
    clusters.gke.kill();
    clusters.gke.start(clusters.gke.port);
    meridian.answers(&p, &["198.51.100.32"]);
}

#[test]
fn after_a_restart_with_every_cluster_out_of_reach_the_last_answers_stand() {
    let clusters = Clusters::lock();
    let state = tempfile::tempdir().unwrap();
    let keep = ["--state-dir", state.path().to_str().unwrap()];
    let p = prefix("kept");
    clusters.aws.serve("kept", "198.51.100.41");
    clusters.azure.serve("kept", "198.51.100.42");
    let mut first = Meridian::start(&clusters, &keep);
    first.answers(&p, &["198.51.100.41", "198.51.100.42"]);
    first.process.signal("-TERM");
    wait_for("the first to end", Duration::from_secs(20), || {
        first.process.has_ended().then_some(())
    });

    clusters.all().iter().for_each(|cluster| cluster.signal("-STOP"));
    let second = Meridian::start(&clusters, &keep);
    let at_once = second.answers(&p, &["198.51.100.41", "198.51.100.42"]);
    clusters.all().iter().for_each(|cluster| cluster.signal("-CONT"));
    assert!(at_once < Duration::from_secs(3), "{at_once:?}");
    // And it goes on from there.
    clusters.azure.patch_status("service", "kept", &["198.51.100.49"]);
    second.answers(&p, &["198.51.100.41", "198.51.100.49"]);
}

#[test]
fn a_kind_that_may_not_be_listed_is_degraded_alone() {
    let clusters = Clusters::lock();
    let rule = "[{\"op\": \"remove\", \"path\": \"/rules/2\"}]";
    clusters
        .aws
        .kubectl(&["patch", "clusterrole", "meridian-member", "--type=json", "-p", rule], "");
    let meridian = Meridian::start(&clusters, &[]);
    let p = prefix("degraded");
    clusters.aws.serve("degraded", "198.51.100.51");
    meridian.answers(&p, &["198.51.100.51"]);
    wait_for("the refusal to be shown", Duration::from_secs(30), || {
        let all = meridian.cli(&["get", "clusters"]);
        let aws = all.lines().find(|line| line.starts_with("aws"))?.to_owned();
        (aws.contains("Ready") && aws.contains("Ingress: ") && aws.contains("forbidden"))
            .then_some(())
    });
    clusters.aws.apply(include_str!("../../deploy/rbac/member.yaml"));
}

#[test]
fn the_crds_load_and_refuse_what_check_refuses() {
    let clusters = Clusters::lock();
    let output = Command::new(env!("CARGO_BIN_EXE_meridian")).arg("crds").output().unwrap();
    clusters.aws.apply(&String::from_utf8(output.stdout).unwrap());
    wait_for("the definitions to be served", Duration::from_secs(30), || {
        clusters.aws.try_kubectl(&["get", "federations,memberclusters,trafficpolicies"], "").ok()
    });
    clusters.aws.apply(include_str!("../../deploy/demo/federation.yaml"));
    let listed = clusters.aws.kubectl(&["get", "federations"], "");
    assert!(listed.contains("magicring") && listed.contains("demo.example.org"), "{listed}");
    let bad = |text: &str| clusters.aws.try_kubectl(&["apply", "-f", "-"], text).unwrap_err();
    let head = "apiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: bad}\n";
    let two = bad(&format!("{head}spec: {{access: {{directory: a, kubeconfig: {{}}}}}}\n"));
    assert!(two.contains("set exactly one of"), "{two}");
    let unknown = bad(&format!("{head}spec: {{acess: {{directory: a}}}}\n"));
    assert!(unknown.contains("acess"), "{unknown}");
}

#[test]
fn a_context_that_does_not_exist_is_said_and_the_others_serve() {
    let clusters = Clusters::lock();
    clusters.azure.serve("others", "198.51.100.62");
    let kubeconfig = clusters.kubeconfig();
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command
        .args(["run", "--federation", "magicring", "--zone", "demo.madeden.net", "--no-state"])
        .args(["--context", "azure", "--context", "awz", "--kubeconfig"])
        .arg(kubeconfig)
        .args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
    let meridian = Meridian::spawn(&mut command);
    meridian.answers(&prefix("others"), &["198.51.100.62"]);
    let shown = meridian.cli(&["get", "clusters"]);
    assert!(shown.contains("no context \"awz\"; it has aws, azure, gke"), "{shown}");
    // What only the cluster that was never seen could know is not denied (I13).
    let absent = meridian.dig_text(&["nothing.demo.madeden.net"]);
    assert!(absent.contains("status: SERVFAIL"), "{absent}");
}
