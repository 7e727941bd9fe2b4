//! The table of record types: number, mnemonic, and the fields of their data in order.

use super::{
    super::RecordType,
    fields::Field::{self, *},
};

/// The fields of a type's data; `None` where there is no form but `\#`.
pub(super) fn form(rtype: RecordType) -> Option<&'static [Field]> {
    let row = TYPES.iter().find(|row| row.0 == rtype.0)?;
    (!row.2.is_empty()).then_some(row.2)
}

pub(super) fn mnemonic(rtype: RecordType) -> Option<&'static str> {
    TYPES.iter().find(|row| row.0 == rtype.0).map(|row| row.1)
}

pub(super) fn number(mnemonic: &str) -> Option<u16> {
    TYPES.iter().find(|row| row.1.eq_ignore_ascii_case(mnemonic)).map(|row| row.0)
}

/// The IANA registry's types that are in use, as name servers and their tools print them.
#[rustfmt::skip]
const TYPES: &[(u16, &str, &[Field])] = &[
    (1, "A", &[Ipv4]),                                                  // RFC 1035 §3.4.1
    (2, "NS", &[Name]),                                                 // RFC 1035 §3.3.11
    (5, "CNAME", &[Name]),                                              // RFC 1035 §3.3.1
    (6, "SOA", &[Name, Name, U32, Period, Period, Period, Period]),     // RFC 1035 §3.3.13
    (12, "PTR", &[Name]),                                               // RFC 1035 §3.3.12
    (15, "MX", &[U16, Name]),                                           // RFC 1035 §3.3.9
    (16, "TXT", &[Strings]),                                            // RFC 1035 §3.3.14
    (28, "AAAA", &[Ipv6]),                                              // RFC 3596 §2.1
    (33, "SRV", &[U16, U16, U16, Name]),                                // RFC 2782
    (35, "NAPTR", &[U16, U16, Text, Text, Text, Name]),                 // RFC 3403 §4.1
    (39, "DNAME", &[Name]),                                             // RFC 6672 §2.1
    (43, "DS", &[U16, Algorithm, U8, Hex]),                             // RFC 4034 §5
    (44, "SSHFP", &[U8, U8, Hex]),                                      // RFC 4255 §3
    (46, "RRSIG", &[Type, Algorithm, U8, U32, Time, Time, U16, Name, Base64]), // RFC 4034 §3
    (47, "NSEC", &[Name, Types]),                                       // RFC 4034 §4
    (48, "DNSKEY", &[U16, U8, Algorithm, Base64]),                      // RFC 4034 §2
    (49, "DHCID", &[Base64]),                                           // RFC 4701 §3
    (50, "NSEC3", &[U8, U8, U16, Salt, Hash, Types]),                   // RFC 5155 §3
    (51, "NSEC3PARAM", &[U8, U8, U16, Salt]),                           // RFC 5155 §4
    (52, "TLSA", &[U8, U8, U8, Hex]),                                   // RFC 6698 §2
    (53, "SMIMEA", &[U8, U8, U8, Hex]),                                 // RFC 8162 §2
    (59, "CDS", &[U16, Algorithm, U8, Hex]),                            // RFC 7344 §3.1
    (60, "CDNSKEY", &[U16, U8, Algorithm, Base64]),                     // RFC 7344 §3.2
    (61, "OPENPGPKEY", &[Base64]),                                      // RFC 7929 §2
    (62, "CSYNC", &[U32, U16, Types]),                                  // RFC 7477 §2.1
    (63, "ZONEMD", &[U32, U8, U8, Hex]),                                // RFC 8976 §2
    (64, "SVCB", &[U16, Name, Params]),                                 // RFC 9460 §2
    (65, "HTTPS", &[U16, Name, Params]),                                // RFC 9460 §9
    (256, "URI", &[U16, U16, Rest]),                                    // RFC 7553 §4
    (257, "CAA", &[U8, Tag, Rest]),                                     // RFC 8659 §4
    (99, "SPF", &[Strings]),                                            // RFC 7208 §3.1
    (7, "MB", &[Name]),                                                 // RFC 1035 §3.3.3
    (8, "MG", &[Name]),                                                 // RFC 1035 §3.3.6
    (9, "MR", &[Name]),                                                 // RFC 1035 §3.3.8
    (14, "MINFO", &[Name, Name]),                                       // RFC 1035 §3.3.7
    (13, "HINFO", &[Text, Text]),                                       // RFC 1035 §3.3.2
    (17, "RP", &[Name, Name]),                                          // RFC 1183 §2.2
    (18, "AFSDB", &[U16, Name]),                                        // RFC 1183 §1
    (36, "KX", &[U16, Name]),                                           // RFC 2230 §3
    (37, "CERT", &[Certificate, U16, Algorithm, Base64]),               // RFC 4398 §2
    (25, "KEY", &[U16, U8, Algorithm, Base64]),                         // RFC 2535 §3
    (29, "LOC", &[Location]),                                           // RFC 1876 §2
    (108, "EUI48", &[Eui(6)]),                                          // RFC 7043 §3
    (109, "EUI64", &[Eui(8)]),                                          // RFC 7043 §4
    (107, "LP", &[U16, Name]),                                          // RFC 6742 §2.4
    (105, "L32", &[U16, Ipv4]),                                         // RFC 6742 §2.2
    (258, "AVC", &[Strings]),                                           // IANA
    // Known by name, written as `\#`.
    (10, "NULL", &[]), (24, "SIG", &[]), (42, "APL", &[]), (45, "IPSECKEY", &[]),
    (55, "HIP", &[]), (104, "NID", &[]), (106, "L64", &[]), 
    // Only in questions and messages.
    (41, "OPT", &[]), (249, "TKEY", &[]), (250, "TSIG", &[]), (251, "IXFR", &[]), (252, "AXFR", &[]),
    (255, "ANY", &[]), (128, "NXNAME", &[]),
];
