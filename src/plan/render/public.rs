//! Which addresses a cloud's own services can reach and take: ordinary ones on the open internet.
//!
//! Traffic Manager refuses private and documentation ranges (providers.md §3.3), Route 53's checkers
//! those of special use (§1.5: RFC 5735, 6598, 5156). Neither says its list in full, so what is
//! refused here is whatever the IANA registries of special-purpose addresses (RFC 6890) hold: an
//! address that is taken for special without need costs no more than a plain record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is ordinary.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !matches!(
        ip.octets(),
        // This network, private (RFC 1918), loopback, multicast (RFC 5771), reserved (RFC 1112 §4).
        [0 | 10 | 127 | 224..=255, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Carriers' own (RFC 6598), link-local (RFC 3927).
            | [100, 64..=127, ..]
            | [169, 254, ..]
            // Protocols (RFC 6890 §2.1), 6to4 relays (RFC 7526), benchmarks (RFC 2544).
            | [192, 0, 0, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
            // Documentation (RFC 5737).
            | [192, 0, 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Global unicast is 2000::/3 (RFC 4291 §2.4).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let special = match a {
        // Protocols such as Teredo (2001::/23, RFC 2928), documentation (RFC 3849).
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4 (RFC 3056).
        0x2002 => true,
        // Documentation (3fff::/20, RFC 9637).
        0x3fff => b < 0x1000,
        _ => false,
    };
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_refused_up_to_its_edges() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for text in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.9",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::1",
            "2001::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:102:304::1",
            "3fff::1",
            "3fff:fff::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in [
            "1.2.3.4",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.254",
            "2001:200::1",
            "2001:db9::1",
            "2003::1",
            "2600::1",
            "3fff:1000::1",
            "3ffe::1",
        ] {
            assert!(public(text), "{text}");
        }
    }
}
