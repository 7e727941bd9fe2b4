//! Steering through real API servers: the annotation that names a policy, readiness that moves
//! clients, the places of clusters from their nodes' labels.

use crate::{
    harness::{Clusters, Meridian, wait_for},
    prefix,
};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Germany, the United States and Japan.
const NETS: [&str; 3] = ["2.160.0.0/24", "3.80.0.0/24", "133.11.0.0/24"];

fn configure(place: &Path, kubeconfig: &Path) {
    let head = "apiVersion: meridian.dev/v1alpha1\n";
    let mut text = format!(
        "{head}kind: Federation\nmetadata: {{name: magicring}}\nspec: {{zone: demo.madeden.net}}\n"
    );
    for context in ["aws", "azure", "gke"] {
        text += &format!(
            "---\n{head}kind: MemberCluster\nmetadata: {{name: {context}}}\nspec: {{access: {{kubeconfig: \
             {{path: {}, context: {context}}}}}}}\n",
            kubeconfig.display()
        );
    }
    text += &format!(
        "---\n{head}kind: TrafficPolicy\nmetadata: {{name: nearest, namespace: default}}\nspec:\n  targets: \
         [{{kind: Service, name: another}}]\n  order: {{proximity: {{}}}}\n"
    );
    fs::write(place.join("all.yaml"), text).unwrap();
}

fn start(clusters: &Clusters, place: &Path) -> Meridian {
    configure(place, &clusters.kubeconfig());
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    let command = command.args(["run", "--no-state", "--config", place.to_str().unwrap()]);
    Meridian::spawn(command.args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]))
}

/// Waits until clients in the three networks get these addresses.
fn answers(meridian: &Meridian, below: &str, expected: [&str; 3]) {
    let name = format!("{below}.demo.madeden.net");
    let got = || {
        NETS.map(|net| {
            let text = meridian.dig_text(&["+short", &format!("+subnet={net}"), &name]);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    };
    let from = Instant::now();
    while got() != expected {
        let late = from.elapsed() > Duration::from_secs(30);
        assert!(!late, "{name}: {:?}, not {expected:?}\n{}", got(), meridian.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn clients_go_to_the_nearest_cluster_that_is_ready() {
    let clusters = Clusters::lock();
    let place = tempfile::tempdir().unwrap();
    let meridian = start(&clusters, place.path());
    let p = prefix("nearby");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: nearby, annotations: \
                   {meridian.dev/policy: nearest}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    clusters.aws.serve("nearby", "198.51.100.1");
    clusters.azure.serve("nearby", "198.51.100.2");
    clusters.gke.serve("nearby", "198.51.100.3");
    clusters.all().iter().for_each(|cluster| cluster.apply(service));
    answers(&meridian, &p, ["198.51.100.2", "198.51.100.1", "198.51.100.3"]);
    let name = format!("{p}.demo.madeden.net");
    let explained = meridian.cli(&["explain", &name, "--client", NETS[0]]);
    assert!(explained.contains("TrafficPolicy default/nearest"), "{explained}");
    assert!(explained.contains(" km ") && explained.contains("azure*"), "{explained}");

    // Its own readiness moves Europe; nobody else.
    clusters.azure.ready("nearby", false);
    answers(&meridian, &p, ["198.51.100.1", "198.51.100.1", "198.51.100.3"]);
    clusters.azure.ready("nearby", true);
    answers(&meridian, &p, ["198.51.100.2", "198.51.100.1", "198.51.100.3"]);

    // What would be is what is, once it comes about.
    let supposed = meridian.cli(&["explain", &name, "--client", NETS[2], "--at", "gke=down"]);
    assert!(supposed.contains("A 198.51.100.1"), "{supposed}");
    clusters.gke.delete("service", "nearby");
    answers(&meridian, &p, ["198.51.100.2", "198.51.100.1", "198.51.100.1"]);

    // Without the annotation all are answered to all.
    let plain = service.replace(", annotations: {meridian.dev/policy: nearest}", "");
    clusters.aws.apply(&plain);
    clusters.azure.apply(&plain);
    wait_for("both addresses", Duration::from_secs(30), || {
        (meridian.dig(&name) == ["198.51.100.1", "198.51.100.2"]).then_some(())
    });
}
