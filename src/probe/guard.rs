//! Which addresses and ports may be checked. Targets are typed by users and told by remote
//! clusters, so a check must not become a way into our own network (SSRF). Pure.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The rules. The default lets through public addresses alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Guard {
    /// Private ranges (RFC 1918, RFC 6598, RFC 4193) that may be checked all the same. They open
    /// nothing else: loopback, link-local and metadata addresses stay shut.
    pub allowed: Vec<IpNet>,
    /// Ranges that may never be checked: API servers, our own networks.
    pub denied: Vec<IpNet>,
    /// Where we listen ourselves. An unspecified address stands for every loopback address; our
    /// interfaces' addresses are not known here, the caller adds those.
    pub listeners: Vec<SocketAddr>,
    /// Ports that may be checked.
    pub ports: Ports,
    /// Whether loopback addresses may be checked. For demos and tests, where everything runs on
    /// one machine; no range in `allowed` does that.
    pub allow_loopback: bool,
}

/// Ranges of ports, both ends included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ports(pub Vec<(u16, u16)>);

impl Default for Ports {
    /// 80, 443 and 1024 to 65535 without etcd (2379, 2380), API server (6443) and kubelet (10250).
    fn default() -> Self {
        Self(vec![
            (80, 80),
            (443, 443),
            (1_024, 2_378),
            (2_381, 6_442),
            (6_444, 10_249),
            (10_251, 65_535),
        ])
    }
}

impl Ports {
    /// Whether that port is in one of the ranges. Port 0 never is.
    #[must_use]
    pub fn contain(&self, port: u16) -> bool {
        port != 0 && self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }
}

/// Why an address is not checked, and what can be done about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GuardError {
    /// Never checked, whatever is configured.
    #[error("{address} is {class}, and those are never checked")]
    Never {
        /// As it was given.
        address: IpAddr,
        /// What kind of address it is, as in "a multicast address".
        class: &'static str,
    },
    /// A loopback address outside of a demo.
    #[error("{0} is a loopback address, which is checked only with --probe-allow 127.0.0.0/8")]
    Loopback(IpAddr),
    /// A private address in no allowed range.
    #[error(
        "{0} is a private address; add its range to the Federation's allowTargets, or to \
         --probe-allow, to have it checked"
    )]
    Private(IpAddr),
    /// In a denied range, or where we listen.
    #[error("{address} is {what}, and those are not checked")]
    Denied {
        /// As it was given.
        address: IpAddr,
        /// Which rule denies it.
        what: &'static str,
    },
    /// A port in no range.
    #[error(
        "port {0} is not checked; expected 80, 443, or one from 1024 that is no etcd's, API \
         server's or kubelet's (2379, 2380, 6443, 10250)"
    )]
    Port(u16),
}

impl Guard {
    /// Whether that address and port may be checked. An IPv6 address that carries an IPv4 address
    /// (IPv4-mapped, NAT64, 6to4 and the like) is judged in all its forms, and each must pass.
    ///
    /// # Errors
    /// Names the first rule that refuses it.
    pub fn check(&self, address: IpAddr, port: u16) -> Result<(), GuardError> {
        for form in forms(address) {
            self.judge(address, form, port)?;
        }
        if self.ports.contain(port) { Ok(()) } else { Err(GuardError::Port(port)) }
    }

    fn judge(&self, address: IpAddr, form: IpAddr, port: u16) -> Result<(), GuardError> {
        let class = class(form);
        if let Class::Never(class) = class {
            return Err(GuardError::Never { address, class });
        }
        if class == Class::Loopback && !self.allow_loopback {
            return Err(GuardError::Loopback(address));
        }
        if contain(&self.denied, form) {
            return Err(GuardError::Denied { address, what: "in a denied range" });
        }
        if self.is_listener(form, port) {
            return Err(GuardError::Denied { address, what: "where Meridian itself listens" });
        }
        if class == Class::Private && !contain(&self.allowed, form) {
            return Err(GuardError::Private(address));
        }
        Ok(())
    }

    fn is_listener(&self, form: IpAddr, port: u16) -> bool {
        self.listeners.iter().any(|listener| {
            let everywhere = listener.ip().is_unspecified() && class(form) == Class::Loopback;
            listener.port() == port && (everywhere || listener.ip().to_canonical() == form)
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Public,
    /// Only through an allowed range.
    Private,
    /// Only when the operator says so by name.
    Loopback,
    /// Not at all.
    Never(&'static str),
}

fn contain(ranges: &[IpNet], ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&ip))
}

/// The address itself and the IPv4 addresses that packets to it can end at. An IPv4-mapped
/// address has one form only: the socket connects to the IPv4 address.
fn forms(address: IpAddr) -> Vec<IpAddr> {
    match address.to_canonical() {
        IpAddr::V4(v4) => vec![v4.into()],
        IpAddr::V6(v6) => {
            std::iter::once(v6.into()).chain(embedded(v6).into_iter().map(IpAddr::V4)).collect()
        }
    }
}

/// IPv4 addresses inside an IPv6 address, by the prefixes that translators and tunnels use.
fn embedded(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let o = ip.octets();
    let last = Ipv4Addr::new(o[12], o[13], o[14], o[15]);
    match ip.segments() {
        // `::` and `::1` are classes of their own, not IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        // IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-translated (RFC 2765), NAT64 (RFC 6052 §2.1).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            vec![last]
        }
        // NAT64 within one network (RFC 8215): of a /96, or of the /48 as RFC 6052 §2.2 splits it.
        // The zeros of one form are no address of the other.
        [0x64, 0xff9b, 1, ..] => {
            let split = Ipv4Addr::new(o[6], o[7], o[9], o[10]);
            [last, split].into_iter().filter(|v4| v4.octets()[0] != 0).collect()
        }
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => vec![Ipv4Addr::new(o[2], o[3], o[4], o[5])],
        // Teredo (RFC 4380 §4): the server, and the client with its bits turned.
        [0x2001, 0, ..] => {
            vec![Ipv4Addr::new(o[4], o[5], o[6], o[7]), Ipv4Addr::from_bits(!last.to_bits())]
        }
        // ISATAP (RFC 5214 §6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => vec![],
    }
}

fn class(ip: IpAddr) -> Class {
    if METADATA.contains(&ip) {
        return Class::Never("a cloud's metadata service");
    }
    match ip {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

fn class_v4(ip: Ipv4Addr) -> Class {
    match ip.octets() {
        [0, ..] => Class::Never("an unspecified address"),
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::Never("a link-local address"),
        // IETF protocol assignments (RFC 6890); some clouds keep their metadata there.
        [192, 0, 0, _] => Class::Never("a reserved address"),
        [224..=239, ..] => Class::Never("a multicast address"),
        [240..=255, ..] => Class::Never("a reserved or broadcast address"),
        // RFC 1918, RFC 6598, and the range for benchmarks inside a network (RFC 2544).
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] | [198, 18..=19, ..] => Class::Private,
        _ => Class::Public,
    }
}

fn class_v6(ip: Ipv6Addr) -> Class {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xff00..=0xffff, ..] => Class::Never("a multicast address"),
        [0xfe80..=0xfebf, ..] => Class::Never("a link-local address"),
        // Discard-only (RFC 6666).
        [0x100, 0, 0, 0, ..] => Class::Never("a reserved address"),
        // AWS keeps its instance services there.
        [0xfd00, 0xec2, ..] => Class::Never("a cloud's metadata service"),
        // RFC 4193, site-local (RFC 3879), and NAT64 within one network (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Class::Private,
        _ => Class::Public,
    }
}

/// Services that give out credentials to whoever connects from inside, where no class above
/// holds them already.
const METADATA: [IpAddr; 7] = [
    // AWS, Azure, Google Cloud and most others; link-local, but named as what it is.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's platform; a public address.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle Cloud.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    // Google Cloud.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Scaleway.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn everything_allowed() -> Guard {
        let allowed = ["0.0.0.0/0", "::/0"].map(|range| range.parse().unwrap()).to_vec();
        Guard { allowed, ports: Ports(vec![(0, 65_535)]), ..Guard::default() }
    }

    /// An IPv4 address in every IPv6 form that carries one.
    fn carried(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = v4.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        [
            [0, 0, 0, 0, 0, 0xffff, high, low],
            [0, 0, 0, 0, 0, 0, high, low],
            [0, 0, 0, 0, 0xffff, 0, high, low],
            [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            [0x64, 0xff9b, 1, 0, 0, 0, high, low],
            [0x64, 0xff9b, 1, high, c, d << 8, 0, 0],
            [0x2002, high, low, 0, 0, 0, 0, 1],
            [0x2001, 0, high, low, 0, 0, 0, 0],
            [0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low],
            [0x2001, 0xdb8, 0, 0, 0, 0x5efe, high, low],
            [0x2001, 0xdb8, 0, 0, 0x200, 0x5efe, high, low],
        ]
        .map(Ipv6Addr::from)
        .to_vec()
    }

    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.8",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fe80::a9fe:a9fe",
        "febf::1",
        "ff02::1",
        "ff0e::1",
        "100::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
    ];

    #[test]
    fn some_addresses_are_never_checked_whatever_is_allowed() {
        let guard = Guard { allow_loopback: true, ..everything_allowed() };
        for address in NEVER {
            let refused = guard.check(ip(address), 443);
            assert!(matches!(refused, Err(GuardError::Never { .. })), "{address}: {refused:?}");
        }
    }

    #[test]
    fn an_ipv4_address_is_not_hidden_by_an_ipv6_form() {
        let guard = Guard { allow_loopback: true, ..everything_allowed() };
        let v4 = NEVER.iter().filter_map(|address| address.parse::<Ipv4Addr>().ok());
        // What lies in 0.0.0.0/8 is also how `::1`, or a prefix's zeros, look.
        for address in v4.filter(|address| address.octets()[0] != 0) {
            for form in carried(address) {
                assert!(guard.check(form.into(), 443).is_err(), "{address} as {form}");
            }
        }
    }

    #[test]
    fn loopback_is_checked_only_when_that_is_said_by_name() {
        let (by_range, by_name) =
            (everything_allowed(), Guard { allow_loopback: true, ..Guard::default() });
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(by_range.check(ip(address), 80), Err(GuardError::Loopback(ip(address))));
            assert_eq!(by_name.check(ip(address), 80), Ok(()), "{address}");
        }
        for form in carried(Ipv4Addr::LOCALHOST) {
            assert!(by_range.check(form.into(), 80).is_err(), "{form}");
        }
    }

    #[test]
    fn private_addresses_need_an_allowed_range() {
        let guard = Guard {
            allowed: ["10.1.0.0/16", "fd12::/16"].map(|range| range.parse().unwrap()).to_vec(),
            ..Guard::default()
        };
        for private in [
            "10.0.0.1",
            "10.2.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "fc00::1",
            "fd13::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
        ] {
            assert_eq!(guard.check(ip(private), 443), Err(GuardError::Private(ip(private))));
        }
        for allowed in ["10.1.2.3", "fd12::1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"] {
            assert_eq!(guard.check(ip(allowed), 443), Ok(()), "{allowed}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for public in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "203.0.113.7",
            "2001:db8::1",
            "2600::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(Guard::default().check(ip(public), 443), Ok(()), "{public}");
        }
    }

    #[test]
    fn denied_ranges_and_our_own_listeners_come_before_what_is_allowed() {
        let guard = Guard {
            denied: vec!["10.96.0.0/12".parse().unwrap(), "203.0.113.9/32".parse().unwrap()],
            listeners: ["10.1.1.1:8080", "0.0.0.0:9153", "[::]:5353"]
                .map(|listener| listener.parse().unwrap())
                .to_vec(),
            allow_loopback: true,
            ..everything_allowed()
        };
        for (address, port) in [
            ("10.96.0.1", 443),
            ("64:ff9b::10.96.0.1", 443),
            ("203.0.113.9", 443),
            ("::ffff:203.0.113.9", 443),
            ("10.1.1.1", 8080),
            ("127.0.0.1", 9153),
            ("127.9.9.9", 5353),
            ("::1", 5353),
        ] {
            let refused = guard.check(ip(address), port);
            assert!(matches!(refused, Err(GuardError::Denied { .. })), "{address}: {refused:?}");
        }
        for (address, port) in [("10.1.1.1", 443), ("127.0.0.1", 8081), ("10.1.1.2", 8080)] {
            assert_eq!(guard.check(ip(address), port), Ok(()), "{address} {port}");
        }
    }

    #[test]
    fn ports_of_the_control_plane_are_shut_unless_they_are_named() {
        let address = ip("203.0.113.1");
        for port in [0, 1, 22, 25, 53, 79, 81, 442, 444, 1_023, 2_379, 2_380, 6_443, 10_250] {
            assert_eq!(Guard::default().check(address, port), Err(GuardError::Port(port)));
        }
        for port in [80, 443, 1_024, 2_378, 2_381, 6_442, 6_444, 8_080, 10_249, 10_251, 65_535] {
            assert_eq!(Guard::default().check(address, port), Ok(()), "{port}");
        }
        let named = Guard { ports: Ports(vec![(6_443, 6_443)]), ..Guard::default() };
        assert_eq!(named.check(address, 6_443), Ok(()));
        assert_eq!(named.check(address, 443), Err(GuardError::Port(443)));
    }

    #[test]
    fn a_refusal_says_what_can_be_done() {
        let refused = Guard::default().check(ip("10.0.0.1"), 443).unwrap_err().to_string();
        assert!(refused.contains("10.0.0.1") && refused.contains("--probe-allow"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_form_of_an_ipv4_address_passes_where_the_address_itself_does_not(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assume!(v4.octets()[0] != 0);
            let guard = Guard::default();
            if guard.check(v4.into(), 443).is_err() {
                for form in carried(v4) {
                    prop_assert!(guard.check(form.into(), 443).is_err(), "{} as {}", v4, form);
                }
            }
        }
    }
}
