//! The header of a proxy: never more of it than has come, and nothing behind it is looked at.

use meridian::server::proxy::{HEAD, Header, MAX_REST, read, rest};
use std::net::IpAddr;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The octets as they are; and again behind the words that every header begins with.
pub fn run(data: &[u8]) {
    one(data);
    one(&[SIGNATURE, data].concat());
}

fn one(octets: &[u8]) {
    let Ok(header) = read(octets) else { return };
    assert!((HEAD..=HEAD + MAX_REST).contains(&header.length) && header.length <= octets.len());
    assert_eq!(read(&octets[..header.length]), Ok(header), "it is all that was looked at");
    assert_eq!(read(&[octets, b"more"].concat()), Ok(header));
    assert!(read(&octets[..header.length - 1]).is_err(), "the whole of it was needed");
    assert_eq!(rest(octets.first_chunk().unwrap()), Ok(header.length - HEAD));
    if let Some(client) = header.client {
        assert!(!matches!(client, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()));
        assert_eq!(read(&written(client)).map(|own| own.client), Ok(Some(client)));
    }
    let _: Header = header;
}

fn written(client: IpAddr) -> Vec<u8> {
    let (family, body) = match client {
        IpAddr::V4(ip) => (0x11, [&ip.octets()[..], &[0; 8]].concat()),
        IpAddr::V6(ip) => (0x21, [&ip.octets()[..], &[0; 20]].concat()),
    };
    let length = u8::try_from(body.len()).unwrap();
    [&SIGNATURE[..], &[0x21, family, 0, length], &body].concat()
}

/// Each family, and a header that is as long as may be.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut long = written([192, 0, 2, 7].into());
    (long[14], long[15]) = (4, 0);
    long.resize(HEAD + MAX_REST, 0xee);
    let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    vec![
        written([192, 0, 2, 7].into()),
        written("2001:db8::7".parse().unwrap()),
        written(mapped),
        long,
        [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
        [0x21, 0x12, 0, 12].iter().copied().chain([7; 12]).collect(),
    ]
}
