//! Reads the header by which a proxy says whose connection or datagram it passes on: version 2 of
//! the PROXY protocol (haproxy.org, `proxy-protocol.txt`, §2.2).
//!
//! Whether a header is expected hangs on who sends it, never on what was sent: a guess would let
//! anyone claim any address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The client's address; `None` where the proxy speaks for itself, as to check our health.
    pub client: Option<IpAddr>,
    /// How many octets the header takes; the client's own stand behind it.
    pub length: usize,
}

/// No header of version 2, or one that makes no sense here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no header of the PROXY protocol, version 2")]
pub struct NoHeader;

/// Octets that stand before what the header's length counts.
pub const HEAD: usize = 16;
/// Octets behind them, at most: addresses take 36 or fewer, the rest is for what proxies add
/// (TLVs), which is skipped.
pub const MAX_REST: usize = 1_024;

/// Reads the header that `octets` begin with.
///
/// # Errors
/// Where there is none, or not the whole of it.
pub fn read(octets: &[u8]) -> Result<Header, NoHeader> {
    let rest = rest(octets.first_chunk().ok_or(NoHeader)?)?;
    let body = octets.get(HEAD..HEAD + rest).ok_or(NoHeader)?;
    let client = match octets[12] & 0x0f {
        LOCAL => None,
        PROXY => client(octets[13], body)?,
        _ => return Err(NoHeader),
    };
    Ok(Header { client, length: HEAD + rest })
}

/// How many octets of the header stand behind its head.
///
/// # Errors
/// Where it is not the head of a header, or too much would follow.
pub fn rest(head: &[u8; HEAD]) -> Result<usize, NoHeader> {
    let rest = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let ours = head[..12] == SIGNATURE && head[12] >> 4 == VERSION && rest <= MAX_REST;
    if ours { Ok(rest) } else { Err(NoHeader) }
}

/// The source address; without a family there is none.
fn client(family: u8, body: &[u8]) -> Result<Option<IpAddr>, NoHeader> {
    // Over TCP, UDP, or what the proxy does not say.
    if family & 0x0f > 2 {
        return Err(NoHeader);
    }
    match family >> 4 {
        0 => Ok(None),
        // Two addresses and two ports.
        1 if body.len() >= 12 => Ok(body.first_chunk::<4>().map(|own| Ipv4Addr::from(*own).into())),
        2 if body.len() >= 36 => {
            Ok(body.first_chunk::<16>().map(|own| Ipv6Addr::from(*own).to_canonical()))
        }
        _ => Err(NoHeader),
    }
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[test]
    fn the_source_address_of_either_family_is_the_client() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 53];
        let mut sent = header(0x21, 0x11, &v4);
        sent.extend_from_slice(b"what the client sent");
        let expected = Header { client: Some("192.0.2.7".parse().unwrap()), length: 28 };
        assert_eq!(read(&sent), Ok(expected));
        assert_eq!(read(&header(0x21, 0x12, &v4)), Ok(expected), "a datagram's");

        let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let v6 = [&address.octets()[..], &[0; 20]].concat();
        assert_eq!(read(&header(0x21, 0x21, &v6)).unwrap().client, Some(address.into()));
        let mapped: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
        let v6 = [&mapped.octets()[..], &[0; 20]].concat();
        assert_eq!(read(&header(0x21, 0x21, &v6)).unwrap().client, expected.client);
    }

    #[test]
    fn what_stands_behind_the_addresses_is_skipped_up_to_a_bound() {
        let mut body = vec![192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2];
        body.resize(MAX_REST, 0xee);
        let longest = header(0x21, 0x11, &body);
        assert_eq!(read(&longest).unwrap().length, HEAD + MAX_REST);
        assert_eq!(read(&longest[..longest.len() - 1]), Err(NoHeader), "not the whole of it");
        body.push(0);
        assert_eq!(read(&header(0x21, 0x11, &body)), Err(NoHeader));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        for sent in [header(0x20, 0, &[]), header(0x20, 0x11, &[1; 12]), header(0x21, 0, &[])] {
            assert_eq!(read(&sent).unwrap().client, None, "{sent:?}");
        }
    }

    #[test]
    fn other_versions_commands_families_and_short_addresses_are_none() {
        let v4 = [0; 12];
        for (command, family, body) in [
            (0x11, 0x11, &v4[..]),
            (0x22, 0x11, &v4),
            (0x21, 0x13, &v4),
            (0x21, 0x31, &[0; 216]),
            (0x21, 0x41, &v4),
            (0x21, 0x11, &v4[..11]),
            (0x21, 0x21, &[0; 35]),
        ] {
            assert_eq!(
                read(&header(command, family, body)),
                Err(NoHeader),
                "{command:x} {family:x}"
            );
        }
        assert_eq!(read(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n"), Err(NoHeader));
        assert_eq!(read(&[]), Err(NoHeader));
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_no_header_is_longer_than_what_came(
            head in proptest::bool::ANY,
            octets in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let octets = if head { [&SIGNATURE[..], &octets].concat() } else { octets };
            if let Ok(header) = read(&octets) {
                prop_assert!(header.length <= octets.len());
            }
        }
    }
}
