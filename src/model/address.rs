//! What a load balancer offers: an IP address or a host name, and which of them may be targets.

use super::Name;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// One address that a cluster offers: an IP address, or a host name to be followed.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Address {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// As on AWS, where a load balancer is a name.
    Host(Name),
}

/// Neither an IP address nor a host name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an IP address nor a host name")]
pub struct AddressParseError;

impl FromStr for Address {
    type Err = AddressParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        // What looks like an address but is none (192.0.2.300) is no host name either: no
        // top-level domain is all digits (RFC 3696 §2).
        let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || text.contains(':') {
            return Err(AddressParseError);
        }
        text.to_lowercase().parse().map(Self::Host).map_err(|_| AddressParseError)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(name) => name.fmt(f),
        }
    }
}

/// Which addresses may be answered to clients.
///
/// Refused unless `allow` names them: unspecified, loopback, link-local, multicast, broadcast and
/// documentation-free reserved space. A wrong status in one cluster must not send clients to
/// themselves.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AddressRules {
    /// Ranges that the federation allows all the same (the demo allows 127.0.0.0/8).
    pub allow: Vec<IpNet>,
}

impl AddressRules {
    /// Whether `ip` may be a target.
    ///
    /// # Errors
    /// Names the class of addresses that is refused.
    pub fn check(&self, ip: IpAddr) -> Result<(), AddressError> {
        if self.allow.iter().any(|net| net.contains(&ip)) {
            return Ok(());
        }
        match refused_class(ip) {
            Some(class) => Err(AddressError { ip, class }),
            None => Ok(()),
        }
    }
}

/// An address that is no target, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{ip} is {class} and no target for clients; the federation's spec.allowTargets can allow it"
)]
pub struct AddressError {
    /// The address.
    pub ip: IpAddr,
    /// What kind of address it is, as in "a loopback address".
    pub class: &'static str,
}

fn refused_class(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) => refused_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(_) => Some("an IPv4-mapped address"),
            None => refused_v6(v6),
        },
    }
}

fn refused_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some("a link-local address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved or broadcast address"),
        _ => None,
    }
}

fn refused_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip.is_unspecified() {
        Some("an unspecified address")
    } else if ip.is_loopback() {
        Some("a loopback address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if ip.is_unicast_link_local() {
        Some("a link-local address")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_unless_it_is_allowed() {
        let none = AddressRules::default();
        for bad in [
            "0.0.0.0",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(none.check(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"] {
            assert!(none.check(good.parse().unwrap()).is_ok(), "{good}");
        }
        let demo = AddressRules { allow: vec!["127.0.0.0/8".parse().unwrap()] };
        assert!(demo.check("127.1.2.3".parse().unwrap()).is_ok());
    }
}
