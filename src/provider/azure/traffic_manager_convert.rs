//! Between a tree of profiles and Traffic Manager's own: which profile has which name, what is sent
//! for it, and the same tree again from what a list has. A tree that somebody edited reads as what
//! it is, so that the difference is found.
//!
//! Names are `meridian-<hash of the zone's id>-<hash>`, and are the names under trafficmanager.net,
//! too: those are unique in the world, and the zone's id has the subscription in it. The root's hash
//! is of name and type; that of a nested profile also of its path in the tree and of its content,
//! so that a new one is made beside the old one and changes no answer until its parent names it.

use crate::{
    model::Name,
    plan::{Profile, ProfileEndpoint, ProfileTarget, RecordSet},
};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Which record set a profile is for: its name within the zone, and its type.
pub(super) type Of = (String, String);

/// What profiles of a zone are called.
#[derive(Debug)]
pub(super) struct Names {
    scope: String,
    prefix: String,
    zone: String,
}

/// A profile as it is to be.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: String,
    /// With all that is nested in it.
    pub(super) tree: Profile,
    /// The profiles right below it.
    pub(super) nested: Vec<String>,
    pub(super) body: Value,
}

impl Names {
    /// Those of the zone with that id.
    pub(super) fn of(id: &str, zone: &Name) -> Self {
        let id = decoded(id).to_ascii_lowercase();
        let group = id.split("/providers/").next().unwrap_or_default();
        let scope = format!("{group}/providers/{KIND}");
        Self { scope, prefix: format!("{PREFIX}{}-", hash(&id, 12)), zone: zone.without_dot() }
    }

    /// Where all of them are.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    pub(super) fn id(&self, name: &str) -> String {
        format!("{}/{name}", self.scope)
    }

    /// The profile that an alias of that set stands for.
    pub(super) fn root(&self, of: &Of) -> String {
        format!("{}{}", self.prefix, hash(&format!("{}|{}", of.0, of.1), 20))
    }

    fn nested(&self, of: &Of, path: &str, tree: &Profile) -> String {
        let text = format!("{}|{}|{path}|{}", of.0, of.1, tree.text());
        format!("{}{}", self.prefix, hash(&text, 20))
    }

    /// The name of the profile that an id names, if it is in this group.
    pub(super) fn name_of(&self, id: &str) -> Option<String> {
        let id = id.to_ascii_lowercase();
        Some(id.strip_prefix(&format!("{}/", self.scope.to_ascii_lowercase()))?.to_owned())
    }

    /// What says whose a profile is.
    fn tag(&self, of: &Of) -> String {
        format!("{}/{}", self.zone, of.0)
    }

    // === Writing ===

    /// The profiles of a tree, the innermost first and the root last.
    pub(super) fn made(&self, of: &Of, tree: &Profile) -> Result<Vec<Made>, String> {
        let mut all = Vec::new();
        self.make(of, self.root(of), "", tree, &mut all)?;
        Ok(all)
    }

    /// The root as it is before an alias stands for it: Azure DNS refuses to make an alias of a
    /// profile with others nested in it, and an empty one would answer nothing.
    pub(super) fn first(&self, of: &Of, tree: &Profile) -> Result<Made, String> {
        let world = |own: &&ProfileEndpoint| own.geo.iter().any(|code| code == WORLD);
        let default = tree.endpoints.iter().find(world).or(tree.endpoints.first());
        let (default, ip) = default
            .and_then(|own| Some((own, *own.addresses().first()?)))
            .ok_or_else(|| "a tree of profiles whose default has no address".to_owned())?;
        let mut only = ProfileEndpoint { target: ProfileTarget::Address(ip), ..default.clone() };
        only.name = "first".to_owned();
        only.geo.retain(|code| code == WORLD);
        let mut first = Profile::new(&tree.method, tree.ttl);
        first.endpoints.push(only);
        self.made(of, &first)?.pop().ok_or_else(|| "no profile at all".to_owned())
    }

    fn make(
        &self,
        of: &Of,
        name: String,
        path: &str,
        tree: &Profile,
        all: &mut Vec<Made>,
    ) -> Result<(), String> {
        if let Some((word, value)) = tree.odd.iter().next() {
            return Err(format!("{word}={value} of a profile cannot be said"));
        }
        let (mut endpoints, mut nested) = (Vec::new(), Vec::new());
        for own in &tree.endpoints {
            let mut below = None;
            if let ProfileTarget::Profile(child) = &own.target {
                let path = format!("{path}/{}", own.name);
                let name = self.nested(of, &path, child);
                self.make(of, name.clone(), &path, child, all)?;
                below = Some(self.id(&name));
                nested.push(name);
            }
            endpoints.push(endpoint(own, below)?);
        }
        let body = self.body(of, &name, tree, &endpoints);
        all.push(Made { name, tree: tree.clone(), nested, body });
        Ok(())
    }

    fn body(&self, of: &Of, name: &str, tree: &Profile, endpoints: &[Value]) -> Value {
        let mut properties = json!({
            "profileStatus": ENABLED,
            "trafficRoutingMethod": tree.method,
            "dnsConfig": {"relativeName": name, "ttl": tree.ttl},
            // Asked for, and never used: no endpoint is checked.
            "monitorConfig": {"protocol": "TCP", "port": 443},
            "endpoints": endpoints,
        });
        if let Some(most) = tree.most {
            properties["maxReturn"] = most.into();
        }
        let tags = json!({TAG: self.tag(of), TAG_TYPE: of.1});
        json!({"location": "global", "tags": tags, "properties": properties})
    }

    // === Reading ===

    /// What a profile is for, if it is one of ours: by its name, and by what it is marked with.
    pub(super) fn owner(&self, listed: &Listed) -> Option<Of> {
        let own = listed.name.to_ascii_lowercase().starts_with(&self.prefix);
        let tags = listed.tags.as_ref().filter(|_| own)?;
        let name = tags.get(TAG)?.strip_prefix(&format!("{}/", self.zone))?;
        Some((name.to_owned(), tags.get(TAG_TYPE)?.clone()))
    }

    /// The tree from that profile on.
    pub(super) fn tree(&self, listed: &Listed, all: &Profiles) -> Profile {
        self.tree_at(listed, all, 0)
    }

    fn tree_at(&self, listed: &Listed, all: &Profiles, depth: usize) -> Profile {
        let own = &listed.properties;
        let mut tree = Profile::new(&own.method, own.dns.ttl.unwrap_or_default());
        tree.most = own.most.filter(|_| own.method == "MultiValue");
        odd(&mut tree.odd, "profileStatus", own.status.as_deref(), ENABLED);
        let of = |one: &ListedEndpoint| {
            let target = self.target(one, all, depth);
            one.read(&own.method, target)
        };
        tree.endpoints = own.endpoints.iter().map(of).collect();
        tree.sorted()
    }

    fn target(&self, own: &ListedEndpoint, all: &Profiles, depth: usize) -> ProfileTarget {
        let text = own.properties.target.clone().unwrap_or_default();
        if !own.is_nested() {
            return text.parse().map_or(ProfileTarget::Other(text), ProfileTarget::Address);
        }
        let id = own.properties.resource.clone().unwrap_or(text);
        let child = self.name_of(&id).and_then(|name| all.get(&name));
        match child.filter(|child| depth < DEEPEST && self.owner(child).is_some()) {
            Some(child) => ProfileTarget::Profile(self.tree_at(child, all, depth + 1)),
            None => ProfileTarget::Other(id),
        }
    }

    /// The profiles right below one.
    pub(super) fn nested_in(&self, listed: &Listed) -> Vec<String> {
        let nested = listed.properties.endpoints.iter().filter(|own| own.is_nested());
        nested.filter_map(|own| self.name_of(own.properties.resource.as_deref()?)).collect()
    }
}

fn endpoint(own: &ProfileEndpoint, below: Option<String>) -> Result<Value, String> {
    if let Some((word, value)) = own.odd.iter().next() {
        return Err(format!("{word}={value} of an endpoint cannot be said"));
    }
    let mut properties = Map::new();
    properties.insert("endpointStatus".to_owned(), ENABLED.into());
    let kind = match (&own.target, below) {
        (ProfileTarget::Other(text), _) => return Err(format!("{text} is no target of ours")),
        (ProfileTarget::Address(ip), _) => {
            properties.insert("target".to_owned(), ip.to_string().into());
            properties.insert("alwaysServe".to_owned(), ENABLED.into());
            EXTERNAL
        }
        (ProfileTarget::Profile(_), below) => {
            properties.insert("targetResourceId".to_owned(), below.into());
            properties.insert("minChildEndpoints".to_owned(), 1.into());
            NESTED
        }
    };
    let optional = [
        ("weight", own.weight.map(Value::from)),
        ("endpointLocation", own.location.clone().map(Value::from)),
        ("geoMapping", (!own.geo.is_empty()).then(|| own.geo.clone().into())),
    ];
    let optional = optional.into_iter().filter_map(|(word, value)| Some((word.to_owned(), value?)));
    properties.extend(optional);
    Ok(json!({"name": own.name, "type": format!("{KIND}/{kind}"), "properties": properties}))
}

/// What a record set is for profiles; `None` where it can be no alias of ours.
pub(super) fn of(set: &RecordSet, zone: &Name) -> Option<Of> {
    let rtype = set.key.rtype.to_string();
    let name = super::convert::relative(&set.key.name(), zone).ok()?;
    ["A", "AAAA"].contains(&rtype.as_str()).then_some((name, rtype))
}

/// A path's text without its percent signs, as ids within bodies have it.
fn decoded(path: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let octet = digits.and_then(|own| u8::from_str_radix(str::from_utf8(own).ok()?, 16).ok());
        octets.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn hash(text: &str, digits: usize) -> String {
    let mut hex = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    hex.truncate(digits);
    hex
}

/// Notes a setting that is not as we choose it.
fn odd(odd: &mut BTreeMap<String, String>, word: &str, value: Option<&str>, usual: &str) {
    if let Some(value) = value.filter(|value| !value.eq_ignore_ascii_case(usual)) {
        odd.insert(word.to_owned(), value.to_owned());
    }
}

// === As lists have them ===

/// Profiles by their names in lower case.
pub(super) type Profiles = BTreeMap<String, Listed>;

/// A profile.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    tags: Option<BTreeMap<String, String>>,
    properties: ListedProperties,
}

#[derive(Debug, Deserialize)]
struct ListedProperties {
    #[serde(rename = "profileStatus")]
    status: Option<String>,
    #[serde(rename = "trafficRoutingMethod")]
    method: String,
    #[serde(rename = "dnsConfig")]
    dns: ListedDns,
    #[serde(rename = "maxReturn")]
    most: Option<u64>,
    #[serde(default)]
    endpoints: Vec<ListedEndpoint>,
}

#[derive(Debug, Deserialize)]
struct ListedDns {
    ttl: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct ListedEndpoint {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    properties: EndpointProperties,
}

#[derive(Debug, Deserialize)]
struct EndpointProperties {
    #[serde(rename = "endpointStatus")]
    status: Option<String>,
    target: Option<String>,
    #[serde(rename = "targetResourceId")]
    resource: Option<String>,
    weight: Option<u64>,
    priority: Option<u64>,
    #[serde(rename = "endpointLocation")]
    location: Option<String>,
    #[serde(rename = "alwaysServe")]
    always: Option<String>,
    #[serde(rename = "minChildEndpoints")]
    least: Option<u64>,
    #[serde(default, rename = "geoMapping")]
    geo: Option<Vec<String>>,
    #[serde(default)]
    subnets: Option<Vec<Value>>,
}

impl ListedEndpoint {
    fn is_nested(&self) -> bool {
        self.kind.rsplit('/').next().is_some_and(|kind| kind.eq_ignore_ascii_case(NESTED))
    }

    /// With what counts for that method: the service shows all settings everywhere.
    fn read(&self, method: &str, target: ProfileTarget) -> ProfileEndpoint {
        let own = &self.properties;
        let mut read = ProfileEndpoint::new(self.name.clone(), target);
        odd(&mut read.odd, "endpointStatus", own.status.as_deref(), ENABLED);
        if self.is_nested() {
            let least = own.least.unwrap_or(1).to_string();
            odd(&mut read.odd, "minChildEndpoints", Some(&least), "1");
        } else {
            let always = own.always.as_deref().unwrap_or("Disabled");
            odd(&mut read.odd, "alwaysServe", Some(always), ENABLED);
        }
        let subnets = own.subnets.as_ref().filter(|all| !all.is_empty());
        if let Some(subnets) = subnets {
            read.odd.insert("subnets".to_owned(), json!(subnets).to_string());
        }
        match method {
            "Weighted" => read.weight = Some(own.weight.unwrap_or(1)),
            // The service may show it as people write it: `West Europe`.
            "Performance" => {
                let location = own.location.as_deref().unwrap_or_default();
                read.location = Some(location.to_ascii_lowercase().replace(' ', ""));
            }
            "Geographic" => {
                read.geo = own.geo.clone().unwrap_or_default();
                read.geo.sort();
            }
            "Priority" => {
                let priority = own.priority.unwrap_or_default().to_string();
                read.odd.insert("priority".to_owned(), priority);
            }
            _ => {}
        }
        read
    }
}

/// Clients that no place has.
const WORLD: &str = "WORLD";
const PREFIX: &str = "meridian-";
/// The tag that names zone and record set, and the one that names its type.
const TAG: &str = "meridian";
const TAG_TYPE: &str = "meridian-type";
const KIND: &str = "Microsoft.Network/trafficManagerProfiles";
const EXTERNAL: &str = "externalEndpoints";
const NESTED: &str = "nestedEndpoints";
const ENABLED: &str = "Enabled";
/// Levels of nesting that the service takes.
const DEEPEST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str =
        "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/dnszones/z.test";

    fn names() -> Names {
        Names::of(ZONE, &"z.test".parse().unwrap())
    }

    fn address(name: &str, ip: &str) -> ProfileEndpoint {
        ProfileEndpoint::new(name.to_owned(), ProfileTarget::Address(ip.parse().unwrap()))
    }

    fn tree() -> Profile {
        let mut many = Profile::new("MultiValue", 30);
        many.most = Some(2);
        many.endpoints = vec![address("1.2.3.4", "1.2.3.4"), address("1.2.3.5", "1.2.3.5")];
        let mut shares = Profile::new("Weighted", 30);
        let all = ProfileEndpoint::new("aws".to_owned(), ProfileTarget::Profile(many));
        shares.endpoints = vec![all, address("gke", "1.2.3.6")];
        shares.endpoints.iter_mut().for_each(|own| own.weight = Some(500));
        let mut root = Profile::new("Geographic", 30);
        let mut world = ProfileEndpoint::new("WORLD".to_owned(), ProfileTarget::Profile(shares));
        world.geo = vec!["GEO-EU".to_owned(), "WORLD".to_owned()];
        let mut japan = address("JP", "1.2.3.6");
        japan.geo = vec!["JP".to_owned()];
        root.endpoints = vec![japan, world];
        root
    }

    fn listed(all: &[Made]) -> Profiles {
        let one = |made: &Made| {
            let mut body = made.body.clone();
            body["name"] = made.name.clone().into();
            (made.name.clone(), serde_json::from_value(body).unwrap())
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_tree_that_is_made_reads_back_as_it_was() {
        let (names, of) = (names(), ("shop".to_owned(), "A".to_owned()));
        let made = names.made(&of, &tree()).unwrap();
        assert_eq!(made.len(), 3);
        let root = names.root(&of);
        assert_eq!(made[2].name, root);
        assert!(root.len() <= 63 && root.starts_with("meridian-"), "{root}");
        let all = listed(&made);
        assert_eq!(names.tree(&all[&root], &all).text(), tree().text());
        assert_eq!(names.owner(&all[&root]), Some(of.clone()));
        assert_eq!(names.nested_in(&all[&root]), made[2].nested);
        // What is nested has a name of its content's; the root keeps its own.
        let mut other = tree();
        other.ttl = 60;
        let again = names.made(&of, &other).unwrap();
        assert_eq!([&again[0].name, &again[2].name], [&made[0].name, &root]);
    }

    #[test]
    fn what_somebody_changed_is_seen() {
        let (names, of) = (names(), ("shop".to_owned(), "A".to_owned()));
        let root = names.root(&of);
        let changes: [(&str, Value); 5] = [
            ("/properties/endpoints/0/properties/endpointStatus", "Disabled".into()),
            ("/properties/endpoints/0/properties/alwaysServe", "Disabled".into()),
            ("/properties/endpoints/1/properties/targetResourceId", "/other".into()),
            ("/properties/profileStatus", "Disabled".into()),
            ("/properties/dnsConfig/ttl", 31.into()),
        ];
        for (at, value) in changes {
            let mut made = names.made(&of, &tree()).unwrap();
            *made[2].body.pointer_mut(at).unwrap() = value;
            let all = listed(&made);
            let read = names.tree(&all[&root], &all);
            assert_ne!(read, tree(), "{at}");
        }
        let mut odd = tree();
        odd.odd.insert("profileStatus".to_owned(), "Disabled".to_owned());
        assert!(names.made(&of, &odd).is_err());
    }

    #[test]
    fn groups_with_odd_letters_are_one_however_they_are_written() {
        let (one, two) = (ZONE.replace("/G/", "/%28G%29%C3%BC/"), ZONE.replace("/G/", "/(g)ü/"));
        let zone = "z.test".parse().unwrap();
        let of = ("@".to_owned(), "A".to_owned());
        let [one, two] = [one, two].map(|id| Names::of(&id, &zone));
        assert_eq!(one.id(&one.root(&of)), two.id(&two.root(&of)));
    }

    #[test]
    fn the_root_answers_before_it_is_whole() {
        let (names, of) = (names(), ("shop".to_owned(), "A".to_owned()));
        let first = names.first(&of, &tree()).unwrap();
        assert_eq!(first.name, names.root(&of));
        assert_eq!(first.tree.addresses(), ["1.2.3.4".parse::<std::net::IpAddr>().unwrap()]);
        assert!(!first.tree.is_nested());
        assert_eq!(first.tree.method, tree().method);
        assert_eq!(first.tree.endpoints[0].geo, ["WORLD"]);
    }
}
