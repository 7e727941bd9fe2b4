//! From real API servers to a real name server that takes updates.

use crate::{
    double::{
        azure::{self, Azure},
        cloud_dns::CloudDns,
        route53::{self, Route53},
    },
    harness::{Clusters, Meridian, wait_for},
    nameserver::NameServer,
};
use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

const ZONE: &str = "fed.madeden.net";

/// The federation's objects in a directory: three contexts, written to these providers.
fn configure(clusters: &Clusters, directory: &Path, publish: &[String]) {
    let kubeconfig = clusters.kubeconfig();
    let mut text = format!(
        "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {{name: magicring}}\nspec: \
         {{zone: {ZONE}, serve: false, publish: [{}]}}\n",
        publish.join(", ")
    );
    for name in ["aws", "azure", "gke"] {
        text += &format!(
            "---\napiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {{name: \
             {name}}}\nspec: {{access: {{kubeconfig: {{path: {}, context: {name}}}}}}}\n",
            kubeconfig.display()
        );
    }
    fs::write(directory.join("fed.yaml"), text).unwrap();
}

fn start(directory: &Path, environment: &[(&str, String)]) -> Meridian {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(["run", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
    command.arg("--config").arg(directory.join("config"));
    command.arg("--state-dir").arg(directory.join("state"));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
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
    let config = place.path().join("config");
    fs::write(config.join("tsig.key"), &server.secret).unwrap();
    let publish = format!(
        "{{provider: rfc2136, server: \"127.0.0.1:{}\", tsig: {{name: meridian, secretFile: tsig.key}}}}",
        server.port
    );
    configure(&clusters, &config, &[publish]);
    let global = format!("written.default.magicring.svc.{ZONE}");
    let region = format!("written.default.magicring.svc.us-west-2.{ZONE}");
    clusters.aws.serve("written", "1.2.3.61");
    clusters.gke.serve("written", "1.2.3.63");
    let mut meridian = start(place.path(), &[]);
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
    let meridian = start(place.path(), &[]);
    clusters.aws.serve("written", "1.2.3.71");
    holds(&server, &global, &["1.2.3.63", "1.2.3.71"]);
    clusters.gke.start(clusters.gke.port);
    clusters.gke.delete("service", "written");
    holds(&server, &global, &["1.2.3.71"]);
    clusters.aws.delete("service", "written");
    holds(&server, &global, &[]);
    drop(meridian);
}

/// Clients that the doubles take to be in Germany, the United States and Japan.
const NETS: [&str; 3] = ["91.0.0.0/24", "12.0.0.0/24", "126.0.0.0/24"];

/// Waits until clients in the three countries get these addresses from that name server.
fn steers(at: SocketAddr, name: &str, expected: [&str; 3]) {
    let got = || {
        NETS.map(|net| {
            let port = at.port().to_string();
            let args = ["@127.0.0.1", "-p", &port, "+tries=1", "+time=2", "+short", name];
            let output =
                Command::new("dig").args(args).arg(format!("+subnet={net}")).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            text.split_whitespace().last().unwrap_or_default().to_owned()
        })
    };
    wait_for(
        &format!("{name} at {at} to be {expected:?}, not {:?}", got()),
        Duration::from_secs(60),
        || (got() == expected).then_some(()),
    );
}

const POLICY: &str = "apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: around, namespace: default}
spec:
  targets: [{kind: Service, name: around}]
  order:
    geo:
      map:
      - {continents: [EU], clusters: [azure, aws, gke]}
      - {continents: [NA], clusters: [aws, azure, gke]}
      - {continents: [AS], clusters: [gke, aws, azure]}
      default: [aws, azure, gke]
";

#[test]
fn three_clouds_at_once_send_each_client_to_its_own_cluster_and_elsewhere_when_that_fails() {
    let clusters = Clusters::lock();
    let (aws, google, azure) = (Route53::start(), CloudDns::start(), Azure::start());
    aws.zone(ZONE);
    google.zone(ZONE);
    azure.zone(ZONE);
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("google.key"), google.key_file().to_string()).unwrap();
    let conf = format!(
        "[Global]\nsubscription-id = {}\ntenant-id = {}\nclient-id = {}\nsecret = {}\nresourceGroup = \
         {}\n",
        azure::SUBSCRIPTION,
        azure::TENANT,
        azure::CLIENT,
        azure::SECRET,
        azure::GROUP
    );
    fs::write(config.join("dns.conf"), conf).unwrap();
    fs::write(config.join("policy.yaml"), POLICY).unwrap();
    configure(
        &clusters,
        &config,
        &[
            format!("{{provider: aws-route53, endpoint: \"{}\"}}", aws.url()),
            format!(
                "{{provider: google-clouddns, endpoint: \"{}\", credentialsFile: google.key}}",
                google.url()
            ),
            format!(
                "{{provider: azure-azuredns, endpoint: \"{}\", configFile: dns.conf}}",
                azure.url()
            ),
        ],
    );
    let (one, two, three) = ("1.2.3.81", "1.2.3.82", "1.2.3.83");
    clusters.aws.serve("around", one);
    clusters.azure.serve("around", two);
    clusters.gke.serve("around", three);
    let meridian = start(
        place.path(),
        &[
            ("AWS_ACCESS_KEY_ID", route53::KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", route53::SECRET.to_owned()),
            ("AZURE_AUTHORITY_HOST", azure.url()),
        ],
    );
    let name = format!("around.default.magicring.svc.{ZONE}");
    for at in [aws.dns(), google.dns(), azure.dns()] {
        steers(at, &name, [two, one, three]);
    }
    clusters.azure.ready("around", false);
    for at in [aws.dns(), google.dns(), azure.dns()] {
        steers(at, &name, [one, one, three]);
    }
    for cluster in clusters.all() {
        cluster.delete("service", "around");
    }
    drop(meridian);
}
