//! The types of a name as NSEC has them (RFC 4034 §4.1.2).

use crate::records::RecordType;
use std::collections::BTreeSet;

/// The bitmap of these types: for each window of 256 that has any, its number, a length and the
/// bits up to the last one that is set.
#[must_use]
pub fn bitmap(types: &BTreeSet<RecordType>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = types.iter().peekable();
    while let Some(first) = rest.peek() {
        let window = first.0 >> 8;
        let mut bits = [0_u8; 32];
        let mut length = 0;
        while let Some(rtype) = rest.next_if(|rtype| rtype.0 >> 8 == window) {
            let at = usize::from(rtype.0 & 0xff) / 8;
            bits[at] |= 0x80 >> (rtype.0 % 8);
            length = at + 1;
        }
        out.extend_from_slice(&[u8::try_from(window).unwrap_or_default()]);
        out.push(u8::try_from(length).unwrap_or_default());
        out.extend_from_slice(&bits[..length]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4034 §4.3: A, MX, RRSIG, NSEC and TYPE1234.
    #[test]
    fn rfc4034_s4_3_the_example() {
        let types = [1, 15, 46, 47, 1234].map(RecordType).into();
        let mut expected = vec![0, 6, 0x40, 1, 0, 0, 0, 3, 4, 0x1b];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(bitmap(&types), expected);
    }
}
