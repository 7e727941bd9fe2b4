//! One `meridian run` over member clusters that are directories of manifests.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const ZONE: &str = "fed.example.org";

/// Waits until `found` gives something; panics with `what` after half a minute.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Configuration, clusters and state on disk.
pub(crate) struct Place {
    directory: TempDir,
    clusters: [&'static str; 2],
    environment: Vec<(String, String)>,
}

impl Place {
    /// Two clusters, and a Federation that is written to this provider alone.
    pub(crate) fn new(publish: &str) -> Self {
        let (directory, clusters) = (tempfile::tempdir().unwrap(), ["aws", "gke"]);
        let place = Self { directory, clusters, environment: Vec::new() };
        for name in place.clusters {
            fs::create_dir_all(place.path("m").join(name)).unwrap();
            fs::write(place.path("m").join(name).join("node.yaml"), node(name)).unwrap();
        }
        fs::create_dir_all(place.path("config")).unwrap();
        place.configure(publish, "");
        place
    }

    /// With these variables for every process.
    pub(crate) fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration; `more` are further fields of the Federation's spec.
    pub(crate) fn configure(&self, publish: &str, more: &str) {
        let mut text = format!(
            "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {{name: magicring}}\n\
             spec:\n  zone: {ZONE}\n  serve: false\n  publish: [{publish}]\n{more}"
        );
        for name in self.clusters {
            text += &format!(
                "---\napiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {{name: \
                 {name}}}\nspec: {{access: {{directory: {}}}}}\n",
                self.path("m").join(name).display()
            );
        }
        replace(&self.path("config").join("fed.yaml"), &text);
    }

    /// Writes a file beside the configuration, such as a key.
    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.path("config").join(name), text).unwrap();
    }

    /// A Service of a cluster with these addresses and one ready endpoint.
    pub(crate) fn serve(&self, cluster: &str, service: &str, ips: &[&str]) {
        let ingress: Vec<_> = ips.iter().map(|ip| format!("{{ip: \"{ip}\"}}")).collect();
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {service}, namespace: default}}\nspec: \
             {{type: LoadBalancer, ports: [{{port: 80}}]}}\nstatus: {{loadBalancer: {{ingress: \
             [{}]}}}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: \
             {service}-1, namespace: default, labels: {{kubernetes.io/service-name: {service}}}}}\n\
             addressType: IPv4\nendpoints: [{{addresses: [10.1.1.1], conditions: {{ready: true}}}}]\n",
            ingress.join(", ")
        );
        replace(&self.path("m").join(cluster).join(format!("{service}.yaml")), &text);
    }

    /// Deletes a Service from a cluster.
    pub(crate) fn delete(&self, cluster: &str, service: &str) {
        fs::remove_file(self.path("m").join(cluster).join(format!("{service}.yaml"))).unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with("state")
    }

    /// With the state in that directory.
    pub(crate) fn start_with(&self, state: &str) -> Running {
        self.start_in(state, &[])
    }

    /// The same in an environment with these variables.
    pub(crate) fn start_in(&self, state: &str, variables: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        command.args(["run", "--dns-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0"]);
        command.arg("--config").arg(self.path("config"));
        command.arg("--state-dir").arg(self.path(state));
        command.envs(self.environment.iter().cloned()).envs(variables.iter().copied());
        Running::spawn(&mut command)
    }
}

/// In one step, so that no half file is read.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("part");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn node(cluster: &str) -> String {
    let (region, zone) = match cluster {
        "aws" => ("us-west-2", "us-west-2a"),
        _ => ("asia-east1", "asia-east1-a"),
    };
    format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: node-1, labels: \
         {{topology.kubernetes.io/region: {region}, topology.kubernetes.io/zone: {zone}}}}}\n"
    )
}

/// A running process; ended when dropped.
pub(crate) struct Running {
    child: Child,
    web: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().unwrap().push(line);
            }
        });
        let web = wait_for("the web listener", || {
            let log = log.lock().unwrap();
            let line = log.iter().find(|line| line.contains("web listener on "))?;
            let rest = line.split("web listener on ").nth(1)?;
            Some(rest.split_whitespace().next()?.trim_end_matches("\u{1b}[0m").to_owned())
        });
        Self { child, web, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Runs another command of `meridian` against this process.
    pub(crate) fn command(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(args)
            .env("MERIDIAN_SERVER", &self.web)
            .env("USER", "ann")
            .output()
            .unwrap()
    }

    /// What it prints, with its exit code.
    pub(crate) fn say(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }

    /// How the first writer stands.
    pub(crate) fn status(&self) -> Value {
        let (_, text) = self.say(&["get", "providers", "-o", "json"]);
        let all: Value = serde_json::from_str(&text).unwrap_or_default();
        all[0].clone()
    }

    /// Waits until the writer is in that phase.
    pub(crate) fn phase(&self, phase: &str) -> Value {
        wait_for(&format!("phase {phase}; it is {}\n{}", self.status(), self.log()), || {
            let status = self.status();
            (status["phase"] == phase).then_some(status)
        })
    }
}

/// `<svc>.default.magicring.svc.<zone>.`
pub(crate) fn global(service: &str) -> String {
    format!("{service}.default.magicring.svc.{ZONE}.")
}

/// Data of a zone without bookkeeping, SOA and NS: `name TYPE` to its values.
pub(crate) type Data = BTreeMap<(String, String), Vec<String>>;
