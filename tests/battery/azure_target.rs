//! The double of Azure DNS as a target: an identity with a secret, as federation v1's `dns.conf`
//! names it.

use crate::{
    double::{
        azure::{Azure, CLIENT, GROUP, SECRET, SUBSCRIPTION, TENANT},
        common::Shown,
    },
    place::{Data, ZONE},
    target::Target,
};

/// The double with the scenarios' zone, empty.
pub(crate) struct AzureZone {
    pub(crate) azure: Azure,
    pub(crate) id: String,
}

impl AzureZone {
    pub(crate) fn start() -> Self {
        let azure = Azure::start();
        let id = azure.zone(ZONE);
        Self { azure, id }
    }
}

/// `dns.conf`, with these lines for identity and place.
pub(crate) fn conf(secret: &str, more: &str) -> String {
    format!(
        "[Global]\nsubscription-id = {SUBSCRIPTION}\ntenant-id = {TENANT}\nclient-id = {CLIENT}\n\
         secret = \"{secret}\"\nresourceGroup = {GROUP}\n{more}"
    )
}

impl Target for AzureZone {
    fn publish(&self) -> String {
        format!(
            "{{provider: azure-azuredns, configFile: dns.conf, endpoint: \"{}\", look: 30s}}",
            self.azure.url()
        )
    }

    fn publish_denied(&self) -> String {
        self.publish().replace("dns.conf", "wrong.conf")
    }

    fn files(&self) -> Vec<(String, String)> {
        let file = |name: &str, text| (name.to_owned(), text);
        vec![file("dns.conf", conf(SECRET, "")), file("wrong.conf", conf("another", ""))]
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![("AZURE_AUTHORITY_HOST".to_owned(), self.azure.url())]
    }

    fn all(&self) -> Data {
        let sets = self.azure.sets(&self.id).into_iter();
        sets.map(|set| ((set.name, set.rtype), set.data)).collect()
    }

    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]) {
        let set = Shown {
            name: name.to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(ttl),
            data: data.iter().map(ToString::to_string).collect(),
            set: None,
            extra: serde_json::Value::Null,
        };
        self.azure.put(&self.id, set);
    }

    fn remove(&self, name: &str, rtype: &str) {
        self.azure.remove(&self.id, name, rtype, None);
    }
}
