//! Which types' data hold names, and where: what may be compressed in a message (RFC 3597 §4), and is
//! signed in lower case (RFC 4034 §6.2).

use super::RecordType;

/// How many octets of data stand before its names, and how many names there are; `None` where data
/// of that type cannot begin so.
#[must_use]
pub fn names_in(rtype: RecordType, data: &[u8]) -> Option<(usize, usize)> {
    Some(match rtype.0 {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, NXT, DNAME
        2..=5 | 7..=9 | 12 | 30 | 39 => (0, 1),
        // SOA, MINFO, RP
        6 | 14 | 17 => (0, 2),
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => (2, 1),
        // PX
        26 => (2, 2),
        // SRV
        33 => (6, 1),
        // NAPTR: two numbers and three strings before the name (RFC 3403 §4.1)
        35 => {
            let behind = |at: usize| Some(at + 1 + usize::from(*data.get(at)?));
            (behind(4).and_then(behind).and_then(behind)?, 1)
        }
        _ => (0, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_naptr_stands_behind_its_strings_and_a_has_none() {
        let naptr = b"\0\x01\0\x02\x01s\0\x02xy\x01a\0";
        assert_eq!(names_in(RecordType(35), naptr), Some((10, 1)));
        assert_eq!(names_in(RecordType(35), &naptr[..6]), None);
        assert_eq!(names_in(RecordType::A, b""), Some((0, 0)));
    }
}
