//! From real API servers to a real name server that takes updates.

use crate::{
    harness::{Clusters, Meridian, wait_for},
    nameserver::NameServer,
};
use std::{fs, process::Command, time::Duration};

const ZONE: &str = "fed.madeden.net";

/// The federation's objects in a directory: three contexts, written to that server.
fn configure(clusters: &Clusters, directory: &std::path::Path, server: &NameServer) {
    let kubeconfig = clusters.kubeconfig();
    let mut text = format!(
        "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {{name: magicring}}\nspec:\n  \
         zone: {ZONE}\n  serve: false\n  publish:\n  - {{provider: rfc2136, server: \
         \"127.0.0.1:{}\", tsig: {{name: meridian, secretFile: tsig.key}}}}\n",
        server.port
    );
    for name in ["aws", "azure", "gke"] {
        text += &format!(
            "---\napiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {{name: \
             {name}}}\nspec: {{access: {{kubeconfig: {{path: {}, context: {name}}}}}}}\n",
            kubeconfig.display()
        );
    }
    fs::write(directory.join("fed.yaml"), text).unwrap();
    fs::write(directory.join("tsig.key"), &server.secret).unwrap();
}

fn start(directory: &std::path::Path) -> Meridian {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(["run", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
    command.arg("--config").arg(directory.join("config"));
    command.arg("--state-dir").arg(directory.join("state"));
    Meridian::spawn(&mut command)
}

fn holds(server: &NameServer, name: &str, expected: &[&str]) {
    wait_for(&format!("{name} to be {expected:?}"), Duration::from_secs(30), || {
        let text = server.dig(&["+short", name]);
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        (lines == expected).then_some(())
    });
}

#[test]
fn what_clusters_offer_stands_in_a_name_server_and_an_outage_deletes_none_of_it() {
    let clusters = Clusters::lock();
    let server = NameServer::bind(ZONE);
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("config")).unwrap();
    configure(&clusters, &place.path().join("config"), &server);
    let global = format!("written.default.magicring.svc.{ZONE}");
    let region = format!("written.default.magicring.svc.us-west-2.{ZONE}");
    clusters.aws.serve("written", "1.2.3.61");
    clusters.gke.serve("written", "1.2.3.63");
    let mut meridian = start(place.path());
    holds(&server, &global, &["1.2.3.61", "1.2.3.63"]);
    holds(&server, &region, &["1.2.3.61"]);
    // An endpoint that is not ready leaves its level, which points one up from then on.
    clusters.aws.ready("written", false);
    holds(&server, &region, &["1.2.3.63", &format!("{global}.")]);
    clusters.aws.ready("written", true);
    holds(&server, &region, &["1.2.3.61"]);
    // An API server that is gone, and a restart while it is: nothing changes.
    clusters.gke.kill();
    meridian.process.signal("-TERM");
    wait_for("the process to end", Duration::from_secs(10), || {
        meridian.process.has_ended().then_some(())
    });
    let meridian = start(place.path());
    clusters.aws.serve("written", "1.2.3.71");
    holds(&server, &global, &["1.2.3.63", "1.2.3.71"]);
    clusters.gke.start(clusters.gke.port);
    clusters.gke.delete("service", "written");
    holds(&server, &global, &["1.2.3.71"]);
    clusters.aws.delete("service", "written");
    holds(&server, &global, &[]);
    drop(meridian);
}
