//! Cloud DNS, as its double plays it, for the scenarios.

use crate::{
    double::{cloud_dns::CloudDns, common::Shown},
    place::{Data, ZONE},
    target::Target,
};
use serde_json::{Value, json};

/// A double with the scenarios' zone.
pub(crate) struct CloudDnsTarget {
    pub(crate) double: CloudDns,
    pub(crate) zone: String,
}

impl CloudDnsTarget {
    pub(crate) fn start() -> Self {
        let double = CloudDns::start();
        let zone = double.zone(ZONE);
        Self { double, zone }
    }

    /// With health checks of its own.
    pub(crate) fn publish_checked(&self) -> String {
        let url = self.double.url();
        self.publish_with(&format!(
            "credentialsFile: google.key, look: 30s, healthChecks: true, computeEndpoint: \"{url}\""
        ))
    }

    /// With these fields beside the provider and its endpoint.
    pub(crate) fn publish_with(&self, fields: &str) -> String {
        format!("{{provider: google-clouddns, endpoint: \"{}\", {fields}}}", self.double.url())
    }
}

impl Target for CloudDnsTarget {
    fn publish(&self) -> String {
        self.publish_with("credentialsFile: google.key, look: 30s")
    }

    fn publish_denied(&self) -> String {
        self.publish_with("credentialsFile: wrong.key, look: 30s")
    }

    fn files(&self) -> Vec<(String, String)> {
        let key = self.double.key_file();
        let mut wrong = key.clone();
        wrong["client_email"] = json!("nobody@meridian-test.iam.gserviceaccount.com");
        vec![
            ("google.key".to_owned(), key.to_string()),
            ("wrong.key".to_owned(), wrong.to_string()),
        ]
    }

    fn all(&self) -> Data {
        let sets = self.double.sets(&self.zone);
        sets.into_iter().map(|set| ((set.name, set.rtype), set.data)).collect()
    }

    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]) {
        let set = Shown {
            name: name.to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(ttl),
            data: data.iter().map(|&one| one.to_owned()).collect(),
            set: None,
            extra: Value::Object(serde_json::Map::new()),
        };
        self.double.put(&self.zone, set);
    }

    fn remove(&self, name: &str, rtype: &str) {
        self.double.remove(&self.zone, name, rtype, None);
    }
}
