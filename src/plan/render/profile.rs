//! A tree of Traffic Manager profiles as one text: what the renderer writes and what the wire reads
//! back are compared as text, so the same tree is always the same text (sorted keys, sorted
//! endpoints, nothing that does not count).

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// A profile with all that is nested in it. Fields are in order of their names, as the text is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// In order of their names.
    pub endpoints: Vec<ProfileEndpoint>,
    /// As the service calls it: `Geographic`, `MultiValue`, `Performance`, `Weighted`.
    pub method: String,
    /// How many are answered at once, for `MultiValue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// Settings that we never choose: somebody else did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub odd: BTreeMap<String, String>,
    /// Of answers, in seconds.
    pub ttl: u32,
}

/// One answer of a profile.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileEndpoint {
    /// For `Geographic`: whose clients, by the service's codes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub geo: Vec<String>,
    /// For `Performance`: the region that stands for its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Within the profile.
    pub name: String,
    /// Settings that we never choose: somebody else did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub odd: BTreeMap<String, String>,
    /// What is answered.
    pub target: ProfileTarget,
    /// For `Weighted`: 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
}

/// What stands behind an endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProfileTarget {
    /// An address.
    Address(IpAddr),
    /// A profile of ours.
    Profile(Profile),
    /// Something that we never write: a name, another's profile, one that is gone.
    Other(String),
}

impl Profile {
    /// The word under which a record set has its tree.
    pub const WORD: &str = "route";

    /// One of that method without endpoints.
    #[must_use]
    pub fn new(method: &str, ttl: u32) -> Self {
        let method = method.to_owned();
        Self { endpoints: Vec::new(), method, most: None, odd: BTreeMap::new(), ttl }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// All addresses that it can answer.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.endpoints.iter().flat_map(ProfileEndpoint::addresses).collect()
    }

    /// Whether it has profiles nested in it.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.endpoints.iter().any(|own| matches!(own.target, ProfileTarget::Profile(_)))
    }

    /// Puts the endpoints in the order that the text has.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.endpoints.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }
}

impl ProfileEndpoint {
    /// One with nothing but a target.
    #[must_use]
    pub fn new(name: String, target: ProfileTarget) -> Self {
        let odd = BTreeMap::new();
        Self { geo: Vec::new(), location: None, name, odd, target, weight: None }
    }

    /// All addresses that it can answer.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        match &self.target {
            ProfileTarget::Address(ip) => vec![*ip],
            ProfileTarget::Profile(nested) => nested.addresses(),
            ProfileTarget::Other(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_and_has_its_keys_in_order() {
        let mut many = Profile::new("MultiValue", 30);
        many.most = Some(2);
        for ip in ["1.2.3.4", "1.2.3.5"] {
            let target = ProfileTarget::Address(ip.parse().unwrap());
            many.endpoints.push(ProfileEndpoint::new(ip.to_owned(), target));
        }
        let mut root = Profile::new("Geographic", 30);
        let mut world = ProfileEndpoint::new("WORLD".to_owned(), ProfileTarget::Profile(many));
        world.geo = vec!["GEO-EU".to_owned(), "WORLD".to_owned()];
        root.endpoints.push(world);
        let text = root.text();
        assert_eq!(Profile::read(&text), Ok(root.clone()));
        assert_eq!(root.addresses().len(), 2);
        // Maps of values are sorted, or keep the order that was written: both are the same here.
        let value: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let keys: Vec<_> = value.keys().map(String::as_str).collect();
        assert_eq!(keys, ["endpoints", "method", "ttl"]);
        let at = |word: &str| text.find(&format!("\"{word}\"")).unwrap();
        assert!(at("geo") < at("name") && at("name") < at("target"), "{text}");
        assert!(text.rfind("\"most\"") < text.rfind("\"ttl\""), "{text}");
    }
}
