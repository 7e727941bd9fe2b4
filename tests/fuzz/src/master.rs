//! Master files: what is read is written and read again as itself, and what cannot be read is said
//! in few words. Octet 0 says over what: nothing, a zone that is there, or with files included.

use super::{
    work,
    world::{LINES, name, zone},
};
use meridian::records::{Faults, MasterFile, Parsed, Zone, no_includes, parse_master, parse_over};
use std::sync::OnceLock;

/// Octets of memory for each octet of text, and for none.
const EACH: usize = 4_096;
const BASE: usize = 1 << 20;

/// See above.
pub fn run(data: &[u8]) {
    let Some((kind, octets)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(&octets[..octets.len().min(16_384)]);
    let most = BASE + EACH * text.len();
    match work::at_most(most, "reading a master file", || read(*kind, &text)) {
        Ok(parsed) => written(&parsed.zone),
        Err(faults) => said(&faults, &text),
    }
}

fn read(kind: u8, text: &str) -> Result<Parsed, Faults> {
    let (apex, file) = (name("z.test"), "file");
    match kind % 4 {
        0 | 1 => parse_master(&apex, file, text, &mut no_includes),
        2 => parse_over(base(), file, text, &mut no_includes),
        _ => {
            let (first, rest) = text.split_at(text.floor_char_boundary(text.len() / 2));
            let mut left = 3;
            let mut load = |_: &str| {
                left -= 1;
                if left >= 0 { Ok(rest.to_owned()) } else { no_includes("") }
            };
            parse_master(&apex, file, first, &mut load)
        }
    }
}

fn base() -> &'static Zone {
    static BASE: OnceLock<Zone> = OnceLock::new();
    BASE.get_or_init(|| zone("z.test", LINES))
}

/// What is written of a zone is the zone.
pub fn written(zone: &Zone) {
    let text = MasterFile(zone).to_string();
    let again = parse_master(zone.apex(), "written", &text, &mut no_includes);
    let again = again.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert!(zone.nodes().eq(again.zone.nodes()), "it is another zone when it is read:\n{text}");
}

fn said(faults: &Faults, text: &str) {
    assert!((1..=20).contains(&faults.0.len()));
    assert!(faults.0.iter().all(|fault| fault.line <= text.len() + 1));
    let said = faults.to_string();
    assert!(said.len() <= 20 * 2_000, "{} octets of faults", said.len());
}

/// A whole zone, and lines of every kind of record.
pub fn seeds() -> Vec<Vec<u8>> {
    let of = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let soa = "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS ns.x.\n";
    let lines = [
        "$ORIGIN b\n$TTL 1h\nx IN A 192.0.2.1\n\tAAAA 2001:db8::1\n",
        "x 60 TXT \"a b\" c\\\"d \\000\\255\n",
        "x 1w2d3h4m5s MX ( 10 ; comment\n a )\n",
        "x 60 HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1 ech=AAAA key65280=x mandatory=alpn\n",
        "x 60 LOC 51 30 12.748 N 0 7 39.611 W 10m 1m 100m 2m\n",
        "x 60 NAPTR 10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:x!\" .\nx 60 CAA 128 issue \"ca\"\n",
        "x 60 TYPE65280 \\# 3 01 02 03\nx 60 A \\# 4 c0000201\n",
        "x 60 DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
        "x 60 SSHFP 1 1 0011223344556677889900112233445566778899\nx 60 TLSA 3 1 1 00ff\n",
        "$INCLUDE other.zone sub\nx 60 CNAME y\n*.w 60 DNAME z\n",
        "x 60 SRV 0 1 2 y\nx 60 PTR y\nx 60 HINFO a b\nx 60 RP a b\nx 60 URI 1 2 \"x\"\n",
        "x 60 NSEC y A MX TYPE1234\nx 60 RRSIG A 13 2 60 20300101000000 20200101000000 1 z.test. AA==\n",
        "x 60 APL 1:10.0.0.0/8 !2:2001:db8::/32\nx 60 CERT 1 2 3 AAAA\nx 60 DHCID AAAA\n",
        "x 60 EUI48 00-11-22-33-44-55\nx 60 EUI64 00-11-22-33-44-55-66-77\nx 60 NSAP 0x0011\n",
    ];
    let mut seeds = vec![of(0, LINES), of(2, "a 60 A 192.0.2.77\n@ 60 NS ns1\n"), of(3, LINES)];
    for (at, line) in (0_u8..).zip(lines) {
        seeds.push(of(at % 4, &format!("{soa}{line}")));
    }
    seeds
}
