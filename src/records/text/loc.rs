//! Locations as text: `42 21 54 N 71 6 18 W -24m 30m` (RFC 1876 §3).

use super::{TextError, words::Words};

/// Latitude, longitude, altitude, then size and precisions, which may be left out, into the
/// octets of RFC 1876 §2.
pub(super) fn parse(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let latitude = coordinate(words, 90, ["N", "S"])?;
    let longitude = coordinate(words, 180, ["E", "W"])?;
    let altitude = u32::try_from(centimetres(words, "an altitude like -24.50m")? + SEA_LEVEL)
        .map_err(|_| TextError::new("the altitude lies outside -100000m to 42849672.95m"))?;
    let mut sizes = [ONE_METRE, TEN_KILOMETRES, TEN_METRES];
    for size in &mut sizes {
        if words.peek().is_some() {
            *size = rounded(centimetres(words, "a size or precision like 30m")?)?;
        }
    }
    out.push(VERSION);
    out.extend(sizes);
    out.extend([latitude, longitude, altitude].iter().flat_map(|number| number.to_be_bytes()));
    Ok(())
}

/// All fields, none left out; `None` for octets of another version or impossible values.
pub(super) fn print(rest: &mut &[u8], text: &mut String) -> Option<()> {
    let octets: [u8; OCTETS] = std::mem::take(rest).try_into().ok()?;
    let [version, size, horizontal, vertical, numbers @ ..] = octets;
    let (numbers, _) = numbers.as_chunks::<4>();
    let [latitude, longitude, altitude] = [0, 1, 2].map(|at| u32::from_be_bytes(numbers[at]));
    let words = [
        print_coordinate(latitude, 90, ["N", "S"])?,
        print_coordinate(longitude, 180, ["E", "W"])?,
        print_metres(i64::from(altitude) - SEA_LEVEL),
        print_metres(exact(size)?),
        print_metres(exact(horizontal)?),
        print_metres(exact(vertical)?),
    ];
    text.push_str(&words.join(" "));
    (version == VERSION).then_some(())
}

pub(super) const OCTETS: usize = 16;

// === Coordinates: thousandths of a second of arc, 2^31 at the equator and the prime meridian ===

fn coordinate(
    words: &mut Words<'_, '_>,
    limit: u32,
    [positive, negative]: [&str; 2],
) -> Result<u32, TextError> {
    let what = format!("degrees up to {limit}, minutes, seconds and {positive} or {negative}");
    let mut parts = [0_u32; 3];
    for at in 0..=parts.len() {
        let word = words.take(&what)?.text;
        let bad = || TextError::expected(&what, word);
        let sign = [positive, negative].iter().position(|sign| sign.eq_ignore_ascii_case(word));
        match sign.filter(|_| at > 0) {
            Some(sign) => return place(parts, limit, sign == 0).ok_or_else(bad),
            None => *parts.get_mut(at).ok_or_else(bad)? = part(word, at, limit).ok_or_else(bad)?,
        }
    }
    Err(TextError::expected(&what, words.describe()))
}

/// Degrees and minutes as they are, seconds in thousandths.
fn part(word: &str, at: usize, limit: u32) -> Option<u32> {
    match at {
        0 => word.parse().ok().filter(|degrees| *degrees <= limit),
        1 => word.parse().ok().filter(|minutes| *minutes < 60),
        _ => u32::try_from(decimal(word, 3)?).ok().filter(|thousandths| *thousandths < 60_000),
    }
}

fn place([degrees, minutes, thousandths]: [u32; 3], limit: u32, positive: bool) -> Option<u32> {
    let total = (degrees * 60 + minutes) * 60_000 + thousandths;
    let within = total <= limit * 3_600_000;
    within.then(|| if positive { MIDDLE + total } else { MIDDLE - total })
}

fn print_coordinate(value: u32, limit: u32, [positive, negative]: [&str; 2]) -> Option<String> {
    let (sign, total) =
        if value >= MIDDLE { (positive, value - MIDDLE) } else { (negative, MIDDLE - value) };
    let (minutes, thousandths) = (total / 60_000, total % 60_000);
    let text = format!(
        "{} {} {}.{:03} {sign}",
        minutes / 60,
        minutes % 60,
        thousandths / 1_000,
        thousandths % 1_000
    );
    (total <= limit * 3_600_000).then_some(text)
}

// === Metres, kept in centimetres ===

fn centimetres(words: &mut Words<'_, '_>, what: &str) -> Result<i64, TextError> {
    let text = words.take(what)?.text;
    decimal(text.strip_suffix(['m', 'M']).unwrap_or(text), 2)
        .ok_or_else(|| TextError::expected(what, text))
}

fn print_metres(centimetres: i64) -> String {
    let sign = if centimetres < 0 { "-" } else { "" };
    let all = centimetres.unsigned_abs();
    format!("{sign}{}.{:02}m", all / 100, all % 100)
}

/// One digit and a power of ten in an octet, as RFC 1876 §2 has it; further digits are lost.
fn rounded(centimetres: i64) -> Result<u8, TextError> {
    let mut digit = u64::try_from(centimetres).unwrap_or(u64::MAX);
    let mut power = 0_u8;
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    match u8::try_from(digit) {
        Ok(digit) if power <= 9 => Ok(digit << 4 | power),
        _ => Err(TextError::new("a size or precision lies outside 0m to 90000000m")),
    }
}

fn exact(octet: u8) -> Option<i64> {
    let (digit, power) = (octet >> 4, octet & 0x0f);
    (digit <= 9 && power <= 9).then(|| i64::from(digit) * 10_i64.pow(u32::from(power)))
}

/// A decimal number times ten to the `places`; `None` with more places than that.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if !plain || whole.is_empty() || whole.len() > 10 || fraction.len() > places {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse::<i64>().ok().map(|value| sign * value)
}

const VERSION: u8 = 0;
const MIDDLE: u32 = 1 << 31;
/// Altitudes count from 100 km below.
const SEA_LEVEL: i64 = 10_000_000;
const ONE_METRE: u8 = 0x12;
const TEN_METRES: u8 = 0x13;
const TEN_KILOMETRES: u8 = 0x16;

#[cfg(test)]
mod tests {
    use super::super::{rdata_from_text, rdata_to_text};
    use crate::{model::Name, records::RecordType};

    const LOC: RecordType = RecordType(29);

    /// Examples of RFC 1876 §4.
    #[test]
    fn rfc1876_s4_examples() {
        for (text, printed) in [
            (
                "42 21 54 N 71 06 18 W -24m 30m",
                "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m",
            ),
            (
                "42 21 43.952 N 71 5 6.344 W -24m 1m 200m",
                "42 21 43.952 N 71 5 6.344 W -24.00m 1.00m 200.00m 10.00m",
            ),
            (
                "52 14 05 N 00 08 50 E 10m",
                "52 14 5.000 N 0 8 50.000 E 10.00m 1.00m 10000.00m 10.00m",
            ),
            (
                "32 7 19 S 116 2 25 E 10m",
                "32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m",
            ),
            ("90 S 180 w 0", "90 0 0.000 S 180 0 0.000 W 0.00m 1.00m 10000.00m 10.00m"),
        ] {
            let rdata = rdata_from_text(LOC, text, &Name::root()).unwrap();
            assert_eq!(rdata_to_text(LOC, &rdata), printed);
        }
    }

    #[test]
    fn places_off_the_globe_are_refused() {
        for text in [
            "91 N 0 E 0",
            "90 0 1 N 0 E 0",
            "1 60 N 0 E 0",
            "1 2 60 N 0 E 0",
            "1 2 3.0001 N 0 E 0",
            "N 0 E 0",
            "1 2 3 4 N 0 E 0",
            "1 N 0 N 0",
            "1 N 0 E",
            "1 N 0 E -100001m",
            "1 N 0 E 0 -1m",
            "1 N 0 E 0 90000001000m",
            "1 N 0 E 0 1 1 1 1",
            "1 N 0 E é",
        ] {
            assert!(rdata_from_text(LOC, text, &Name::root()).is_err(), "{text}");
        }
    }
}
