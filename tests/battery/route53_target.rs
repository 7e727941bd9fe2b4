//! Route 53 as a target of scenarios: the double, with one public zone of ours.

use crate::{
    double::{
        common::{Denied, Shown},
        route53::{KEY, Route53, SECRET},
    },
    place::{Data, ZONE},
    target::Target,
};
use serde_json::Value;
use std::net::IpAddr;

/// An account with our zone, and beside it one that knows none of our keys.
pub(crate) struct Aws {
    pub(crate) route53: Route53,
    pub(crate) zone: String,
    stranger: Route53,
}

impl Aws {
    pub(crate) fn start() -> Self {
        let (route53, stranger) = (Route53::start(), Route53::start());
        stranger.deny(Denied::Credentials);
        stranger.zone(ZONE);
        let zone = route53.zone(ZONE);
        Self { route53, zone, stranger }
    }

    /// With further fields of `spec.publish`.
    pub(crate) fn publish_with(&self, more: &str) -> String {
        published(&self.route53, more)
    }

    /// What a client of that country gets for a name of type A, sorted.
    pub(crate) fn answer(&self, name: &str, country: &str) -> Vec<String> {
        let client: IpAddr = match country {
            "DE" => "91.0.0.1",
            "US" => "12.0.0.1",
            "JP" => "126.0.0.1",
            _ => "5.0.0.1",
        }
        .parse()
        .unwrap();
        let found = self.route53.answer(&self.zone, name, "A", client);
        let mut found: Vec<_> = found.into_iter().map(|(_, data)| data).collect();
        found.sort();
        found
    }

    /// The sets of one name and type.
    pub(crate) fn sets(&self, name: &str, rtype: &str) -> Vec<Shown> {
        let mut all = self.route53.sets(&self.zone);
        all.retain(|set| readable(&set.name) == name && set.rtype == rtype);
        all
    }

    /// How often a call of that name was made.
    pub(crate) fn calls(&self, call: &str) -> u64 {
        self.route53.control.calls().get(call).copied().unwrap_or_default()
    }
}

fn published(route53: &Route53, more: &str) -> String {
    format!("{{provider: aws-route53, endpoint: \"{}\", look: 30s{more}}}", route53.url())
}

/// `\052` is the only escape that scenarios use.
fn readable(name: &str) -> String {
    name.replace("\\052", "*")
}

impl Target for Aws {
    fn publish(&self) -> String {
        self.publish_with("")
    }

    fn publish_denied(&self) -> String {
        published(&self.stranger, "")
    }

    fn files(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("NO_PROXY", "127.0.0.1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    fn all(&self) -> Data {
        let mut all = Data::new();
        for set in self.route53.sets(&self.zone) {
            all.entry((readable(&set.name), set.rtype)).or_default().extend(set.data);
        }
        all.values_mut().for_each(|data| data.sort());
        all
    }

    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]) {
        let shown = Shown {
            name: name.to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(ttl),
            data: data.iter().map(|&one| one.to_owned()).collect(),
            set: None,
            extra: Value::Null,
        };
        self.route53.put(&self.zone, &shown);
    }

    fn remove(&self, name: &str, rtype: &str) {
        self.route53.remove(&self.zone, name, rtype, None);
    }
}
