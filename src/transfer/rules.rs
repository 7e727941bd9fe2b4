//! Who may have which zone, who is told, and where zones come from.

use super::{Keys, Target};
use crate::model::{Key, Name};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Whom a zone is given to; all that is said must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Allow {
    /// Who signs with this key; anyone where `None`.
    pub key: Option<Name>,
    /// Who asks from one of these; anywhere where there are none.
    pub networks: Vec<IpNet>,
    /// Who asks so that nobody can read along (RFC 9103 §7.1).
    pub tls: bool,
}

impl Allow {
    fn admits(&self, key: Option<&Name>, from: IpAddr, private: bool) -> bool {
        // An entry that says nothing is no wish to give the zone to everyone.
        let says = self.key.is_some() || !self.networks.is_empty();
        let signed = self.key.as_ref().is_none_or(|own| Some(own) == key);
        let near = self.networks.is_empty() || self.networks.iter().any(|own| own.contains(&from));
        says && signed && near && (private || !self.tls)
    }
}

/// Where the static part of a zone lives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Primary {
    /// Its primary server.
    pub address: SocketAddr,
    /// The key that it shares with us.
    pub key: Option<Name>,
    /// How it is known where it is asked over TLS (RFC 9103); asked over TCP where `None`.
    pub tls: Option<PrimaryTls>,
}

/// Whom to take for the primary (RFC 9103 §9.3.2): who shows a certificate of that name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrimaryTls {
    /// A DNS name or an address.
    pub name: String,
    /// PEM certificates to trust; the system's where `None`.
    pub ca: Option<String>,
}

/// What holds for one zone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ZoneRules {
    /// Who may have it; nobody where there are none.
    pub allow: Vec<Allow>,
    /// Who is told of changes.
    pub notify: Vec<Target>,
    /// Where its static part lives.
    pub primary: Option<Primary>,
}

/// What holds for all zones.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The keys that are known.
    pub keys: Keys,
    /// By the zones' keys; zones that are not named are given to nobody.
    pub zones: BTreeMap<Key, ZoneRules>,
}

impl Rules {
    /// Whether that zone may be given to who asks, signed with that key; `private` where nobody can
    /// read along (RFC 9103 §7.1).
    #[must_use]
    pub fn may_have(&self, zone: &Name, key: Option<&Name>, from: IpAddr, private: bool) -> bool {
        let rules = self.zones.get(&zone.key());
        rules.is_some_and(|own| own.allow.iter().any(|allow| allow.admits(key, from, private)))
    }

    /// Whether anybody may have that zone, so that its past is worth keeping.
    #[must_use]
    pub fn is_given(&self, zone: &Key) -> bool {
        self.zones.get(zone).is_some_and(|own| !own.allow.is_empty())
    }

    /// Whether a notice of that zone from there is heeded (RFC 1996 §3.10): from its primary, or
    /// signed with the key that is shared with it.
    #[must_use]
    pub fn may_notify(&self, zone: &Name, key: Option<&Name>, from: IpAddr) -> bool {
        let primary = self.zones.get(&zone.key()).and_then(|own| own.primary.as_ref());
        primary.is_some_and(|own| {
            own.address.ip() == from || (own.key.is_some() && own.key.as_ref() == key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_given_to_nobody_but_those_who_are_named() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let (zone, key) = (name("z.test"), name("k"));
        let near: IpNet = "192.0.2.0/24".parse().unwrap();
        let rules = |allow: Vec<Allow>| {
            let own = ZoneRules { allow, ..ZoneRules::default() };
            Rules { zones: [(zone.key(), own)].into(), ..Rules::default() }
        };
        let (inside, outside) = ("192.0.2.1".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let both = Allow { key: Some(key.clone()), networks: vec![near], tls: false };
        let asks = |rules: &Rules| {
            [(Some(&key), inside), (Some(&key), outside), (None, inside), (None, outside)]
                .map(|(key, from)| rules.may_have(&zone, key, from, false))
        };
        assert_eq!(asks(&rules(vec![])), [false; 4]);
        assert_eq!(asks(&rules(vec![Allow::default()])), [false; 4]);
        assert_eq!(asks(&rules(vec![both.clone()])), [true, false, false, false]);
        let by_key = Allow { networks: vec![], ..both.clone() };
        assert_eq!(asks(&rules(vec![by_key])), [true, true, false, false]);
        let by_network = Allow { key: None, ..both.clone() };
        assert_eq!(asks(&rules(vec![by_network])), [true, false, true, false]);
        assert!(!rules(vec![]).may_have(&name("other.test"), Some(&key), inside, true));
        let hidden = rules(vec![Allow { tls: true, ..both }]);
        assert_eq!(asks(&hidden), [false; 4]);
        assert!(hidden.may_have(&zone, Some(&key), inside, true));
        assert!(!hidden.may_have(&zone, Some(&key), outside, true));
    }
}
