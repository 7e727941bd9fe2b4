//! The federation's names and what each holds: addresses where a level has targets, else a CNAME
//! one level up (`reference/federation-records.md` §1.7).
//!
//! ```text
//! targets at the level      │ the node
//! none                      │ CNAME one level up (nothing at the top)
//! one host name, no address │ CNAME to it
//! anything else             │ A and AAAA of all, host names resolved
//! host names, none resolved │ CNAME to the first: a working answer, if not all of them
//! ```

use crate::{
    model::{Address, FederationName, Locality, Name, NameError, ServiceKey, Ttl},
    records::{Node, Rrset},
};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// The three names of one service.
#[derive(Clone, Debug)]
pub struct Names {
    /// `<svc>.<ns>.<fed>.svc`, leftmost first.
    prefix: [Arc<str>; 3],
    zone: Name,
}

impl Names {
    /// Of that service in that federation under that DNS zone.
    #[must_use]
    pub fn new(service: &ServiceKey, federation: &FederationName, zone: &Name) -> Self {
        let ServiceKey { namespace, name } = service.clone();
        Self { prefix: [name, namespace, federation.0.clone()], zone: zone.clone() }
    }

    /// `<svc>.<ns>.<fed>.svc.<dns-zone>`.
    ///
    /// # Errors
    /// When a label exceeds 63 octets or the name 255.
    pub fn global(&self) -> Result<Name, NameError> {
        self.under(&[])
    }

    /// `<svc>.<ns>.<fed>.svc.<region>.<dns-zone>`.
    ///
    /// # Errors
    /// As [`Names::global`].
    pub fn region(&self, region: &str) -> Result<Name, NameError> {
        self.under(&[region])
    }

    /// `<svc>.<ns>.<fed>.svc.<zone>.<region>.<dns-zone>`.
    ///
    /// # Errors
    /// As [`Names::global`].
    pub fn zone(&self, zone: &str, region: &str) -> Result<Name, NameError> {
        self.under(&[zone, region])
    }

    fn under(&self, place: &[&str]) -> Result<Name, NameError> {
        let own = self.prefix.iter().map(|label| label.as_bytes());
        let place = place.iter().map(|label| label.as_bytes());
        Name::from_labels(own.chain([b"svc".as_slice()]).chain(place).chain(self.zone.labels()))
    }
}

/// Which level a name below a federation's zone stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Level {
    /// All clusters.
    Global,
    /// The clusters of one region.
    Region(Arc<str>),
    /// The clusters of one topology zone.
    Zone(Locality),
}

/// Reads a federated name back: service and level; `None` when it is no such name.
#[must_use]
pub fn parse(name: &Name, federation: &FederationName, zone: &Name) -> Option<(ServiceKey, Level)> {
    if !name.is_within(zone) {
        return None;
    }
    let own = name.label_count() - zone.label_count();
    let text = |label: &[u8]| Some(Arc::from(std::str::from_utf8(label).ok()?.to_lowercase()));
    let labels: Vec<Arc<str>> = name.labels().take(own).map(text).collect::<Option<_>>()?;
    let [service, namespace, fed, svc, place @ ..] = labels.as_slice() else { return None };
    if **svc != *"svc" || !fed.eq_ignore_ascii_case(&federation.0) {
        return None;
    }
    let level = match place {
        [] => Level::Global,
        [region] => Level::Region(region.clone()),
        [zone, region] => {
            Level::Zone(Locality { region: region.clone(), zone: Some(zone.clone()) })
        }
        _ => return None,
    };
    Some((ServiceKey::new(namespace.clone(), service.clone()), level))
}

/// The addresses that host names are known to have: the last good lookup of each.
pub type Resolved = HashMap<Name, Vec<IpAddr>>;

/// The targets of one level, in no order, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Targets(BTreeSet<Address>);

impl Targets {
    /// Adds what an endpoint offers.
    pub fn extend<'a>(&mut self, addresses: impl IntoIterator<Item = &'a Address>) {
        self.0.extend(addresses.into_iter().cloned());
    }

    /// Whether the level has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The host names that must be resolved for this level: none when one stands alone.
    pub fn to_resolve(&self) -> impl Iterator<Item = &Name> {
        self.hosts().filter(|_| self.0.len() > 1)
    }

    /// The node of this level; `None` when there is nothing to hold and nowhere to point.
    #[must_use]
    pub fn node(&self, ttl: Ttl, up: Option<&Name>, resolved: &Resolved) -> Option<Node> {
        if self.is_empty() {
            return up.map(|up| Node::new([Rrset::cname(ttl, up)]));
        }
        if let (1, Some(alone)) = (self.0.len(), self.hosts().next()) {
            return Some(Node::new([Rrset::cname(ttl, alone)]));
        }
        let node = self.address_node(ttl, resolved);
        if !node.is_empty() {
            return Some(node);
        }
        self.hosts().next().map(|first| Node::new([Rrset::cname(ttl, first)]))
    }

    /// The A and AAAA rrsets alone, for names that cannot hold a CNAME (the zone's apex).
    #[must_use]
    pub fn address_node(&self, ttl: Ttl, resolved: &Resolved) -> Node {
        let ips = self.addresses(resolved);
        let both = [Rrset::a(ttl, ips.iter().copied()), Rrset::aaaa(ttl, ips.iter().copied())];
        Node::new(both.into_iter().flatten())
    }

    fn addresses(&self, resolved: &Resolved) -> Vec<IpAddr> {
        let of = |address: &Address| match address {
            Address::Ip(ip) => vec![*ip],
            Address::Host(name) => resolved.get(name).cloned().unwrap_or_default(),
        };
        self.0.iter().flat_map(of).collect()
    }

    fn hosts(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|address| match address {
            Address::Host(name) => Some(name),
            Address::Ip(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::RecordType;

    fn names() -> Names {
        let zone = "demo.example.org".parse().unwrap();
        Names::new(
            &ServiceKey::new("default", "microbot"),
            &FederationName("magicring".into()),
            &zone,
        )
    }

    #[test]
    fn names_have_the_form_of_federation_v1_and_read_back() {
        let (fed, zone) = (FederationName("magicring".into()), "demo.example.org".parse().unwrap());
        let text = "microbot.default.magicring.svc.us-west-2a.us-west-2.demo.example.org.";
        let name = names().zone("us-west-2a", "us-west-2").unwrap();
        assert_eq!(name.to_string(), text);
        let (service, level) = parse(&name, &fed, &zone).unwrap();
        assert_eq!(service.to_string(), "default/microbot");
        let locality = Locality { region: "us-west-2".into(), zone: Some("us-west-2a".into()) };
        assert_eq!(level, Level::Zone(locality));
        assert_eq!(parse(&names().global().unwrap(), &fed, &zone).unwrap().1, Level::Global);
        assert_eq!(parse(&zone, &fed, &zone), None);
    }

    #[test]
    fn a_label_over_63_octets_is_refused() {
        let service = ServiceKey::new("n".repeat(64), "web");
        let zone = "example.org".parse().unwrap();
        let names = Names::new(&service, &FederationName("f".into()), &zone);
        assert_eq!(names.global().unwrap_err(), NameError::LongLabel { octets: 64 });
    }

    fn targets(list: &[&str]) -> Targets {
        let mut targets = Targets::default();
        let parse = |text: &&str| match text.parse() {
            Ok(ip) => Address::Ip(ip),
            Err(_) => Address::Host(text.parse().unwrap()),
        };
        targets.extend(&list.iter().map(parse).collect::<Vec<_>>());
        targets
    }

    fn types(node: &Node) -> Vec<RecordType> {
        node.iter().map(|rrset| rrset.rtype).collect()
    }

    #[test]
    fn a_level_is_addresses_or_one_cname_but_never_both() {
        let up: Name = "up.example.org".parse().unwrap();
        let mut resolved = Resolved::new();
        let node = |list: &[&str], resolved: &Resolved| {
            types(&targets(list).node(Ttl::SERVED, Some(&up), resolved).unwrap())
        };
        assert_eq!(node(&[], &resolved), [RecordType::CNAME]);
        assert_eq!(node(&["lb.example.net"], &resolved), [RecordType::CNAME]);
        assert_eq!(node(&["192.0.2.1"], &resolved), [RecordType::A]);
        assert_eq!(node(&["2001:db8::1"], &resolved), [RecordType::AAAA]);
        assert_eq!(node(&["192.0.2.1", "lb.example.net"], &resolved), [RecordType::A]);
        assert_eq!(node(&["a.example.net", "b.example.net"], &resolved), [RecordType::CNAME]);
        resolved.insert("lb.example.net".parse().unwrap(), vec!["2001:db8::9".parse().unwrap()]);
        let both = [RecordType::A, RecordType::AAAA];
        assert_eq!(node(&["192.0.2.1", "lb.example.net"], &resolved), both);
        assert_eq!(targets(&[]).node(Ttl::SERVED, None, &resolved), None);
    }

    #[test]
    fn only_host_names_that_do_not_stand_alone_are_resolved() {
        assert_eq!(targets(&["lb.example.net"]).to_resolve().count(), 0);
        assert_eq!(targets(&["lb.example.net", "192.0.2.1"]).to_resolve().count(), 1);
    }
}
