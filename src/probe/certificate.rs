//! Until when a certificate is valid. Reads the few DER elements on the way there (X.690 §8,
//! RFC 5280 §4.1) and nothing else; the verifier has judged the rest. Pure.

use jiff::{Timestamp, civil, tz::TimeZone};

/// The end of the certificate's validity; `None` when it cannot be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    // The version is left out in version 1.
    let rest = expect(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial, rest) = expect(INTEGER, rest)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    match tag {
        UTC_TIME => {
            let (year, rest) = digits(time, 2)?;
            // RFC 5280 §4.1.2.5.1.
            moment(if year < 50 { 2_000 + year } else { 1_900 + year }, rest)
        }
        GENERALIZED_TIME => digits(time, 4).and_then(|(year, rest)| moment(year, rest)),
        _ => None,
    }
}

/// `MMDDHHMMSSZ`, as RFC 5280 demands it.
fn moment(year: i16, rest: &[u8]) -> Option<Timestamp> {
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    let small = |number: i16| i8::try_from(number).ok();
    let date = civil::Date::new(year, small(month)?, small(day)?).ok()?;
    let time = civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let zoned = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    (rest == b"Z").then(|| zoned.timestamp())
}

fn digits(text: &[u8], count: usize) -> Option<(i16, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let number = std::str::from_utf8(number).ok()?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| number.parse().ok()).flatten().map(|number| (number, rest))
}

/// The contents of the first element, which must have that tag, and what follows it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, contents, rest)| (contents, rest))
}

/// Tag, contents and rest. Lengths have at most four octets here.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_validity_is_read_in_both_forms_of_time() {
        for year in [2_001, 2_049, 2_050, 2_999] {
            let expected = format!("{year}-02-28T00:00:00Z").parse().unwrap();
            assert_eq!(not_after(&certificate(year)), Some(expected));
        }
    }

    #[test]
    fn a_certificate_that_is_cut_off_has_no_end() {
        let whole = certificate(2_040);
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets: Vec<u8>) {
            let _ = not_after(&octets);
        }

        #[test]
        fn any_damage_is_survived(at in 0usize..150, to: u8) {
            let mut damaged = certificate(2_040);
            damaged[at] = to;
            let _ = not_after(&damaged);
        }
    }
}
