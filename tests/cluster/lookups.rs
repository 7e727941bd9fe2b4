//! Load balancers given as host names, looked up at a real name server: another of ours.

use crate::harness::{Meridian, wait_for};
use std::{fs, path::Path, process::Command, time::Duration};

fn manifests(place: &Path, cluster: &str, host: &str) {
    let text = format!(
        "kind: Node\nmetadata: {{name: node, labels: {{topology.kubernetes.io/region: {cluster}-r}}}}\n---\n\
         kind: Service\nmetadata: {{name: web}}\nspec: {{type: LoadBalancer}}\nstatus: \
         {{loadBalancer: {{ingress: [{{hostname: {host}}}]}}}}\n"
    );
    let folder = place.join(cluster);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("all.yaml"), text).unwrap();
}

fn run(config: &Path, more: &[&str]) -> Meridian {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(["run", "--no-state", "--config"]).arg(config).args(more);
    command.args(["--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
    Meridian::spawn(&mut command)
}

#[test]
fn several_host_names_are_resolved_followed_and_kept_when_the_name_server_is_gone() {
    let upstream = tempfile::tempdir().unwrap();
    let zone = |a: &str| {
        let text =
            format!("$TTL 1\n@ SOA ns host 1 2 3 4 1\n@ NS ns\na A {a}\nb AAAA 2001:db8::72\n");
        fs::write(upstream.path().join("lb.test.zone"), text).unwrap();
    };
    zone("192.0.2.71");
    let server = run(upstream.path(), &[]);

    let place = tempfile::tempdir().unwrap();
    let head = "apiVersion: meridian.dev/v1alpha1\nkind:";
    let member = |name: &str| {
        format!(
            "---\n{head} MemberCluster\nmetadata: {{name: {name}}}\nspec: {{access: {{directory: {name}}}}}\n"
        )
    };
    let federation = format!(
        "{head} Federation\nmetadata: {{name: magicring}}\nspec: {{zone: demo.madeden.net}}\n"
    );
    fs::write(place.path().join("fed.yaml"), federation + &member("one") + &member("two")).unwrap();
    manifests(place.path(), "one", "a.lb.test");
    manifests(place.path(), "two", "b.lb.test");
    let resolver = format!("127.0.0.1:{}", server.dns);
    let meridian = run(place.path(), &["--resolver", &resolver]);

    let p = "web.default.magicring.svc";
    meridian.answers(p, &["192.0.2.71"]);
    meridian.answers(&format!("{p}.one-r"), &["a.lb.test."]);
    wait_for("the IPv6 address", Duration::from_secs(10), || {
        let text = meridian.dig_text(&["+short", &format!("{p}.demo.madeden.net"), "AAAA"]);
        (text.trim() == "2001:db8::72").then_some(())
    });
    zone("192.0.2.79");
    meridian.answers(p, &["192.0.2.79"]);
    drop(server);
    wait_for("the failure to be shown", Duration::from_secs(60), || {
        let text = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(["get", "problems", "--server", &meridian.web])
            .output()
            .unwrap();
        String::from_utf8_lossy(&text.stdout).contains("a.lb.test. does not resolve").then_some(())
    });
    meridian.answers(p, &["192.0.2.79"]);
}
