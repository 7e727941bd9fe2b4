//! Route 53 once more, against moto (PyPI), which nobody here wrote: a smoke test. moto takes much
//! that AWS refuses and refuses some that AWS takes (no atomic batches, sets deleted by their
//! identifier in every name, a set that was deleted not made again as it was), so a process is asked
//! here for plain records alone, and for no set twice; rules are the double's to check.

use crate::{
    place::{Place, Running, ZONE, global, wait_for},
    route53_target::Aws,
    target::Target,
};
use aws_sdk_route53::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

/// A server with our zone; ended when dropped.
struct Moto {
    child: Child,
    url: String,
    runtime: tokio::runtime::Runtime,
    client: Client,
    zone: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn environment() -> String {
    let script = format!("{}/tests/battery/vendors/setup.sh", env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(script).arg("moto.txt").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

impl Moto {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(format!("{}/bin/moto_server", environment()))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        wait_for("moto", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&url)
            .build();
        let client = Client::from_conf(config);
        let made = client.create_hosted_zone().name(ZONE).caller_reference("one").send();
        let zone = runtime.block_on(made).unwrap().hosted_zone().unwrap().id().to_owned();
        Self { child, url, runtime, client, zone }
    }

    /// What there is, without bookkeeping, SOA and NS, as another client lists it.
    fn data(&self) -> BTreeMap<(String, String), Vec<String>> {
        let call = self.client.list_resource_record_sets().hosted_zone_id(&self.zone).send();
        let page = self.runtime.block_on(call).unwrap();
        let mut data = BTreeMap::new();
        for set in page.resource_record_sets() {
            let rtype = set.r#type().as_str().to_owned();
            if set.name().starts_with("_meridian") || rtype == "SOA" || rtype == "NS" {
                continue;
            }
            let mut values: Vec<String> =
                set.resource_records().iter().map(|own| own.value().to_owned()).collect();
            values.sort();
            data.insert((set.name().to_owned(), rtype), values);
        }
        data
    }

    fn holds(&self, running: &Running, name: &str, rtype: &str, values: &[&str]) {
        let key = (name.to_owned(), rtype.to_owned());
        wait_for(&format!("{name} {values:?}; {}\n{}", running.status(), running.log()), || {
            (self.data().get(&key).is_some_and(|own| own == values)).then_some(())
        });
    }
}

#[test]
fn a_zone_is_filled_changed_read_back_and_emptied() {
    let moto = Moto::start();
    let environment = Aws::start().environment();
    let publish = format!("{{provider: aws-route53, endpoint: \"{}\", look: 30s}}", moto.url);
    let place = Place::new(&publish).with_environment(environment);
    place.serve("aws", "shop", &["1.2.3.1"]);
    place.serve("gke", "shop", &["1.2.3.2"]);
    let running = place.start();
    moto.holds(&running, &global("shop"), "A", &["1.2.3.1", "1.2.3.2"]);
    let region = format!("shop.default.magicring.svc.us-west-2.{ZONE}.");
    moto.holds(&running, &region, "A", &["1.2.3.1"]);
    place.serve("aws", "shop", &["1.2.3.9"]);
    moto.holds(&running, &global("shop"), "A", &["1.2.3.2", "1.2.3.9"]);
    // Another kind of records, in one batch.
    place.delete("aws", "shop");
    moto.holds(&running, &region, "CNAME", &[&global("shop")]);
    moto.holds(&running, &global("shop"), "A", &["1.2.3.2"]);
    running.phase("inStep");
    drop(running);
    // A process that remembers nothing finds all of it as its own, and nothing to do.
    let running = place.start();
    running.phase("inStep");
    let (code, text) = running.say(&["plan"]);
    assert_eq!(code, 0, "{text}\n{}", running.status());
    assert_eq!(running.status()["writes"], 0);
    place.delete("gke", "shop");
    wait_for(&format!("an empty zone; {}\n{}", running.status(), running.log()), || {
        moto.data().is_empty().then_some(())
    });
    assert_eq!(running.phase("inStep")["failures"], 0);
}
