//! Azure's `dns.conf` as Kubernetes federation v1 had it: which of its keys must be there.
//!
//! ```text
//! [Global]
//! subscription-id = …
//! tenant-id = …
//! client-id = …
//! secret = …
//! resourceGroup = …
//! ```
//!
//! Without a secret the cluster's or the machine's own identity is used, which may know tenant and
//! client by itself.

use super::dns_conf::DnsConf;

/// The five settings, as far as they are said.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct AzureConf {
    pub(super) subscription_id: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) resource_group: Option<String>,
}

/// The keys as they are written.
pub(super) const KEYS: [&str; 5] =
    ["subscription-id", "tenant-id", "client-id", "secret", "resourceGroup"];

impl AzureConf {
    /// `given`: whether subscription and resource group are said elsewhere.
    pub(super) fn of(mut conf: DnsConf, given: (bool, bool)) -> Result<Self, Vec<String>> {
        let mut take = |key| conf.remove(key).filter(|value| !value.is_empty());
        let own = Self {
            subscription_id: take("subscription-id"),
            tenant_id: take("tenant-id"),
            client_id: take("client-id"),
            secret: take("secret"),
            resource_group: take("resourceGroup"),
        };
        let errors: Vec<_> = own.missing(given).map(missing).collect();
        if errors.is_empty() { Ok(own) } else { Err(errors) }
    }

    fn missing(&self, (subscription, group): (bool, bool)) -> impl Iterator<Item = &'static str> {
        let ambient = self.secret.is_none();
        let missing = [
            self.subscription_id.is_none() && !subscription,
            self.tenant_id.is_none() && !ambient,
            self.client_id.is_none() && !ambient,
            false,
            self.resource_group.is_none() && !group,
        ];
        KEYS.into_iter().zip(missing).filter_map(|(key, missing)| missing.then_some(key))
    }
}

fn missing(key: &'static str) -> String {
    match key {
        "tenant-id" | "client-id" => format!("{key} is missing: a secret is another's without it"),
        "resourceGroup" => format!("{key} is missing, and spec.resourceGroup is not said"),
        _ => format!("{key} is missing, and spec.subscriptionId is not said"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)], given: (bool, bool)) -> Result<AzureConf, Vec<String>> {
        let conf = pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        AzureConf::of(conf, given)
    }

    #[test]
    fn each_missing_key_is_an_error_of_its_own() {
        let errors = of(&[("secret", "x")], (false, false)).unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
        for (key, error) in
            ["subscription-id", "tenant-id", "client-id", "resourceGroup"].iter().zip(errors)
        {
            assert!(error.starts_with(&format!("{key} is missing")), "{error}");
        }
        let said = of(&[("secret", "x"), ("tenant-id", "t"), ("client-id", "c")], (true, true));
        assert!(said.is_ok());
        let ambient =
            of(&[("subscription-id", "s"), ("resourceGroup", "g"), ("secret", "")], (false, false));
        assert_eq!(ambient.unwrap().tenant_id, None);
    }
}
