//! The form in which records are signed (RFC 4034 §6, as RFC 6840 §5.1 has it): names in lower case
//! and whole, records in order of their data.

use crate::{
    model::Name,
    records::{RecordType, Rrset, names_in},
};
use std::borrow::Cow;

/// The records of an rrset as they are signed: owner, type, class IN, TTL and data of each, in
/// canonical order (RFC 4034 §3.1.8.1). The TTL is the one that is configured.
#[must_use]
pub fn records(owner: &Name, rrset: &Rrset) -> Vec<u8> {
    let mut all: Vec<Cow<'_, [u8]>> = rrset.rdata().map(|own| rdata(rrset.rtype, own)).collect();
    // Lower case may have changed the order, or made two the same.
    all.sort_unstable();
    all.dedup();
    let mut out = Vec::with_capacity(all.iter().map(|own| own.len() + 64).sum());
    for own in all {
        let Ok(length) = u16::try_from(own.len()) else { continue };
        out.extend(owner.as_wire().iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(&rrset.rtype.0.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&rrset.ttl.as_secs().to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&own);
    }
    out
}

/// Record data with the names of types that RFC 4034 §6.2 lists in lower case; octets that are no
/// such data stay as they are.
#[must_use]
pub fn rdata(rtype: RecordType, data: &[u8]) -> Cow<'_, [u8]> {
    let names = names_in(rtype, data).filter(|(_, names)| *names > 0);
    let Some((skip, names)) = names else { return Cow::Borrowed(data) };
    let mut lower = data.to_vec();
    let mut at = skip;
    for _ in 0..names {
        let Some(end) = name_end(data, at) else { return Cow::Borrowed(data) };
        // Octets of length are at most 63, and no letter is.
        lower[at..end].make_ascii_lowercase();
        at = end;
    }
    Cow::Owned(lower)
}

fn name_end(data: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while *data.get(at)? != 0 {
        at += 1 + usize::from(data[at]);
    }
    Some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Ttl, records::rdata_from_text};

    fn lower(rtype: &str, text: &str) -> (Vec<u8>, Vec<u8>) {
        let rtype: RecordType = rtype.parse().unwrap();
        let of = |text: &str| rdata_from_text(rtype, text, &Name::root()).unwrap();
        (rdata(rtype, &of(text)).into_owned(), of(&text.to_lowercase()))
    }

    #[test]
    fn rfc4034_s6_2_names_in_data_are_signed_in_lower_case() {
        for (rtype, text) in [
            ("NS", "NS.Example."),
            ("SOA", "NS.Example. Host.Example. 1 2 3 4 5"),
            ("MX", "10 Mail.Example."),
            ("SRV", "1 2 3 Host.Example."),
            ("NAPTR", "1 2 \"s\" \"x\" \"\" Host.Example."),
            ("DNAME", "Host.Example."),
            ("RP", "A.Example. B.Example."),
        ] {
            let (own, expected) = lower(rtype, text);
            assert_eq!(own, expected, "{rtype}");
        }
        let (text, other) = lower("TXT", "\"Not A Name\"");
        assert_ne!(text, other, "text keeps its case");
    }

    /// RFC 4034 §6.3: by the data's octets, also where lower case changes which comes first.
    #[test]
    fn rfc4034_s6_3_records_are_in_order_of_their_canonical_data() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let (upper, under) = (name("Z.example"), name("_.example"));
        let rrset =
            Rrset::new(RecordType::NS, Ttl::SERVED, [upper.as_wire(), under.as_wire()]).unwrap();
        let signed = records(&name("EXAMPLE"), &rrset);
        let at = |wanted: &[u8]| signed.windows(wanted.len()).position(|own| own == wanted);
        assert!(at(b"\x01_\x07example") < at(b"\x01z\x07example"));
        assert!(at(b"EXAMPLE").is_none());
    }

    #[test]
    fn octets_that_are_no_such_data_stay_as_they_are() {
        for octets in [&b""[..], b"\x3f", b"\x01A", b"\0\x01\x02"] {
            for rtype in [2, 6, 15, 33, 35] {
                assert_eq!(&*rdata(RecordType(rtype), octets), octets);
            }
        }
    }
}
