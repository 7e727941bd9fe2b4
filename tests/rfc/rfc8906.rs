//! RFC 8906: every query gets an answer, also one that nobody has heard of.

use crate::wire::{BADVERS, NOERROR, NOTIMP, query, server};

#[test]
fn s3_1_1_names_and_types_are_answered_whatever_the_type() {
    for rtype in (0..=300).chain([1_000, 65_280, 65_535]) {
        let told = server().ask(&query(&format!("www.example.org TYPE{rtype}")));
        assert!(told.rcode() <= 5, "TYPE{rtype}");
    }
    assert_eq!(server().ask(&query("www.example.org TYPE1000")).rcode(), NOERROR);
}

#[test]
fn s3_1_2_header_bits_of_no_meaning_are_ignored_and_cleared() {
    let mut packet = query("www.example.org A");
    packet.header[2] |= 0x04; // AA
    packet.header[3] |= 0xe0; // RA, Z, AD
    let told = server().ask(&packet);
    assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
    assert_eq!(told.octets[3] & 0xe0, 0);
}

#[test]
fn s3_1_3_recursion_is_not_offered() {
    let mut packet = query("www.example.org A");
    packet.header[2] |= 1;
    let told = server().ask(&packet);
    assert_eq!((told.octets[2] & 1, told.octets[3] & 0x80), (1, 0));
}

#[test]
fn s3_1_4_unknown_opcodes_are_notimp() {
    for opcode in 1..=15 {
        for packet in [query("www.example.org A"), query("www.example.org A").edns(1_232)] {
            let mut packet = packet;
            packet.header[2] = opcode << 3;
            let told = server().ask(&packet);
            assert_eq!((told.rcode(), told.octets[2]), (NOTIMP, 0x80 | opcode << 3));
            assert_eq!(told.opt().is_some(), packet.opt.is_some());
        }
    }
}

/// The combinations that the RFC's own tests make of version, flags and options.
#[test]
fn s8_2_edns_in_every_combination_is_answered() {
    for version in [0, 1, 100] {
        for flags in [0, 0x80, 0x40, 0xc0] {
            for options in [vec![], vec![100], vec![3, 8, 9, 10, 100]] {
                let mut packet = query("example.org SOA").edns(1_232);
                for code in &options {
                    let data: &[u8] = match code {
                        8 => &[0, 1, 0, 0],
                        10 => &[1, 2, 3, 4, 5, 6, 7, 8],
                        _ => &[],
                    };
                    packet = packet.option(*code, data);
                }
                let opt = packet.opt.as_mut().unwrap();
                (opt[5], opt[6]) = (version, flags);
                let told = server().ask(&packet);
                let expected = if version == 0 { (NOERROR, 1) } else { (BADVERS, 0) };
                assert_eq!((told.rcode(), told.answers()), expected, "{version} {options:?}");
                let at = told.opt().unwrap();
                assert_eq!(told.octets[at + 5..at + 8], [0, flags & 0x80, 0]);
            }
        }
    }
}
