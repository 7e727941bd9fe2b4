//! Record types and data between their text (RFC 1035 §5.1) and their wire form.
//!
//! The common types are read and written here; every other type that `hickory-proto` knows goes
//! through it, and what it would write differently from what it read falls back to the form for
//! unknown types (RFC 3597 §5), which every server understands.

use super::RecordType;
use crate::model::Name;
use hickory_proto::{
    rr::{RData, RecordType as Known},
    serialize::binary::{BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict},
};
use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Types of the IANA registry that `hickory-proto` does not name.
const NAMES: [(&str, RecordType); 7] = [
    ("RP", RP),
    ("AFSDB", AFSDB),
    ("RT", RT),
    ("LOC", RecordType(29)),
    ("KX", KX),
    ("DNAME", RecordType::DNAME),
    ("URI", URI),
];

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMES.iter().find(|(_, rtype)| rtype == self) {
            return f.pad(name);
        }
        match Known::from(self.0) {
            Known::Unknown(number) => f.pad(&format!("TYPE{number}")),
            known => f.pad(&known.to_string()),
        }
    }
}

impl FromStr for RecordType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        if let Some(number) = upper.strip_prefix("TYPE").and_then(|rest| rest.parse().ok()) {
            return Ok(Self(number));
        }
        if let Some((_, rtype)) = NAMES.iter().find(|(name, _)| *name == upper) {
            return Ok(*rtype);
        }
        match upper.parse::<Known>() {
            Ok(known) => Ok(Self(u16::from(known))),
            Err(_) => Err(format!("{text:?} is not a record type; unknown ones are TYPE<number>")),
        }
    }
}

/// One word of a master file: as written, escapes and all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// Without the quotes.
    pub text: String,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// The data of a record from its words; names without a final dot are below `origin`.
///
/// # Errors
/// What was found and what was expected.
pub fn parse_rdata(rtype: RecordType, words: &[Word], origin: &Name) -> Result<Vec<u8>, String> {
    if words.first().is_some_and(|word| word.text == r"\#" && !word.quoted) {
        return parse_unknown(&words[1..]);
    }
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let name = |text: &str| absolute(text, origin).map(|name| name.as_wire().to_vec());
    match (rtype, texts.as_slice()) {
        (RecordType::A, [ip]) => ip
            .parse::<Ipv4Addr>()
            .map(|ip| ip.octets().to_vec())
            .map_err(|_| format!("{ip:?} is not an IPv4 address")),
        (RecordType::AAAA, [ip]) => ip
            .parse::<Ipv6Addr>()
            .map(|ip| ip.octets().to_vec())
            .map_err(|_| format!("{ip:?} is not an IPv6 address")),
        (RecordType::NS | RecordType::CNAME | RecordType::DNAME | PTR, [target]) => name(target),
        (RecordType::MX | AFSDB | RT | KX, [preference, host]) => {
            Ok([number::<u16>(preference, "preference")?.to_be_bytes().to_vec(), name(host)?]
                .concat())
        }
        (RecordType::SRV, [priority, weight, port, host]) => {
            let mut data = Vec::new();
            for (text, field) in [(priority, "priority"), (weight, "weight"), (port, "port")] {
                data.extend_from_slice(&number::<u16>(text, field)?.to_be_bytes());
            }
            data.extend(name(host)?);
            Ok(data)
        }
        (RecordType::SOA, [mname, rname, numbers @ ..]) if numbers.len() == 5 => {
            let mut data = [name(mname)?, name(rname)?].concat();
            data.extend_from_slice(&number::<u32>(numbers[0], "serial")?.to_be_bytes());
            for (text, field) in numbers[1..].iter().zip(["refresh", "retry", "expire", "minimum"])
            {
                let seconds =
                    parse_ttl(text).ok_or_else(|| format!("{field} {text:?} is no time"))?;
                data.extend_from_slice(&seconds.to_be_bytes());
            }
            Ok(data)
        }
        (RP, [mailbox, text]) => Ok([name(mailbox)?, name(text)?].concat()),
        (URI, [priority, weight, target]) => {
            let mut data = number::<u16>(priority, "priority")?.to_be_bytes().to_vec();
            data.extend_from_slice(&number::<u16>(weight, "weight")?.to_be_bytes());
            data.extend(unescape(target)?);
            Ok(data)
        }
        (RecordType::TXT | SPF, [_, ..]) => parse_strings(words),
        (RecordType::DS, [tag, algorithm, digest_type, digest @ ..]) if !digest.is_empty() => {
            let mut data = number::<u16>(tag, "key tag")?.to_be_bytes().to_vec();
            data.push(number(algorithm, "algorithm")?);
            data.push(number(digest_type, "digest type")?);
            data.extend(hex(&digest.concat())?);
            Ok(data)
        }
        (
            RecordType::A
            | RecordType::AAAA
            | RecordType::NS
            | RecordType::CNAME
            | RecordType::DNAME
            | PTR
            | RecordType::MX
            | RecordType::SRV
            | RecordType::SOA
            | RecordType::DS
            | RecordType::TXT
            | SPF
            | RP
            | AFSDB
            | RT
            | KX
            | URI,
            _,
        ) => Err(format!("{rtype} data has {} fields; expected {}", words.len(), fields(rtype))),
        _ => parse_known(rtype, words, origin),
    }
}

/// The data of a record as text, in one line, names absolute.
#[must_use]
pub fn rdata_text(rtype: RecordType, data: &[u8]) -> String {
    own_text(rtype, data).or_else(|| known_text(rtype, data)).unwrap_or_else(|| unknown_text(data))
}

/// A name as written: absolute with a final dot, `@` for the origin, else below the origin.
///
/// # Errors
/// Says what is wrong with it.
pub fn absolute(text: &str, origin: &Name) -> Result<Name, String> {
    let refused = |error| format!("{text:?} is not a domain name: {error}");
    if text == "@" {
        return Ok(origin.clone());
    }
    let backslashes = text
        .strip_suffix('.')
        .map(|rest| rest.bytes().rev().take_while(|byte| *byte == b'\\').count());
    let name: Name = text.parse().map_err(refused)?;
    if backslashes.is_some_and(|count| count % 2 == 0) {
        return Ok(name);
    }
    Name::from_labels(name.labels().chain(origin.labels())).map_err(refused)
}

/// A TTL in seconds, or with units as in `1h30m` (w, d, h, m, s); `None` when it is none.
#[must_use]
pub fn parse_ttl(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(seconds);
    }
    let (mut total, mut digits) = (0_u32, String::new());
    for letter in text.chars() {
        let unit = match letter.to_ascii_lowercase() {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let amount: u32 = std::mem::take(&mut digits).parse().ok()?;
        total = total.checked_add(amount.checked_mul(unit)?)?;
    }
    (digits.is_empty() && !text.is_empty()).then_some(total)
}

// === From text ===

const PTR: RecordType = RecordType(12);
const SPF: RecordType = RecordType(99);
const RP: RecordType = RecordType(17);
const AFSDB: RecordType = RecordType(18);
const RT: RecordType = RecordType(21);
const KX: RecordType = RecordType(36);
const URI: RecordType = RecordType(256);

fn fields(rtype: RecordType) -> &'static str {
    match rtype {
        RecordType::A => "an IPv4 address",
        RecordType::AAAA => "an IPv6 address",
        RecordType::MX | AFSDB | RT | KX => "preference and host",
        RP => "mailbox and name",
        URI => "priority, weight and target",
        RecordType::SRV => "priority, weight, port and host",
        RecordType::SOA => "primary, mailbox, serial, refresh, retry, expire and minimum",
        RecordType::DS => "key tag, algorithm, digest type and digest",
        RecordType::TXT => "at least one string",
        _ => "one name",
    }
}

fn number<N: FromStr>(text: &str, field: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{field} {text:?} is not a number in range"))
}

fn parse_unknown(words: &[Word]) -> Result<Vec<u8>, String> {
    let [length, digits @ ..] = words else {
        return Err(r"\# needs a length behind it".to_owned());
    };
    let length: usize = number::<u16>(&length.text, "length").map(usize::from)?;
    let digits: String = digits.iter().map(|word| word.text.as_str()).collect();
    if digits.len() != length * 2 {
        return Err(format!(r"\# {length} is followed by {} hexadecimal digits", digits.len()));
    }
    hex(&digits)
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let nibbles: Option<Vec<u8>> = digits.chars().map(hex_digit).collect();
    let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0);
    let nibbles = nibbles.ok_or_else(|| format!("{digits:?} is not hexadecimal"))?;
    Ok(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn hex_digit(letter: char) -> Option<u8> {
    letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn parse_strings(words: &[Word]) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    for word in words {
        let octets = unescape(&word.text)?;
        let length = u8::try_from(octets.len()).map_err(|_| {
            format!("a string has {} octets, at most 255 are allowed; split it", octets.len())
        })?;
        data.push(length);
        data.extend(octets);
    }
    Ok(data)
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("{text:?} holds a backslash without a character or three digits behind");
    let mut octets = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            octets.push(byte);
            continue;
        }
        let first = bytes.next().ok_or_else(bad)?;
        if !first.is_ascii_digit() {
            octets.push(first);
            continue;
        }
        let (second, third) = (bytes.next().ok_or_else(bad)?, bytes.next().ok_or_else(bad)?);
        let digits = [first, second, third];
        let value = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
        octets.push(value.ok_or_else(bad)?);
    }
    Ok(octets)
}

/// Which words of a type's data are names, so that they can be made absolute before hickory.
fn name_words(rtype: RecordType) -> &'static [usize] {
    match rtype.0 {
        14 => &[0, 1],   // MINFO
        64 | 65 => &[1], // SVCB, HTTPS
        26 => &[1, 2],   // PX
        35 => &[5],      // NAPTR
        46 => &[7],      // RRSIG
        47 => &[0],      // NSEC
        _ => &[],
    }
}

fn parse_known(rtype: RecordType, words: &[Word], origin: &Name) -> Result<Vec<u8>, String> {
    let mut texts = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if name_words(rtype).contains(&at) {
            texts.push(absolute(&word.text, origin)?.to_string());
        } else if word.quoted {
            texts.push(format!("\"{}\"", word.text));
        } else {
            texts.push(word.text.clone());
        }
    }
    let text = texts.join(" ");
    let known = Known::from(rtype.0);
    if matches!(known, Known::Unknown(_)) {
        return Err(format!(r"{rtype} is an unknown type; write its data as \# <length> <hex>"));
    }
    let refused = |error: &dyn fmt::Display| {
        format!(r"{text:?} is no {rtype} data ({error}); \# <length> <hex> is understood too")
    };
    let rdata = RData::try_from_str(known, &text).map_err(|error| refused(&error))?;
    encode(&rdata).ok_or_else(|| refused(&"it does not encode"))
}

fn encode(rdata: &RData) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut encoder = BinEncoder::new(&mut data);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    rdata.emit(&mut encoder).ok()?;
    Some(data)
}

// === To text ===

fn own_text(rtype: RecordType, data: &[u8]) -> Option<String> {
    let name = |wire: &[u8]| Name::from_wire(wire).ok().map(|name| name.to_string());
    let short = |at: usize| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
    match rtype {
        RecordType::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string()),
        RecordType::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string()),
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | PTR => name(data),
        RecordType::MX | AFSDB | RT | KX => {
            Some(format!("{} {}", short(0)?, name(data.get(2..)?)?))
        }
        RP => {
            let split = name_length(data)?;
            Some(format!("{} {}", name(data.get(..split)?)?, name(data.get(split..)?)?))
        }
        URI => Some(format!("{} {} {}", short(0)?, short(2)?, quote(data.get(4..)?))),
        RecordType::SRV => {
            let host = name(data.get(6..)?)?;
            Some(format!("{} {} {} {host}", short(0)?, short(2)?, short(4)?))
        }
        RecordType::SOA => soa_text(data),
        RecordType::DS => {
            let digest: String = data.get(4..)?.iter().map(|o| format!("{o:02X}")).collect();
            Some(format!("{} {} {} {digest}", short(0)?, data[2], data[3]))
        }
        RecordType::TXT | SPF => strings_text(data),
        _ => None,
    }
}

fn soa_text(data: &[u8]) -> Option<String> {
    let (names, numbers) = data.split_at_checked(data.len().checked_sub(20)?)?;
    let split = name_length(names)?;
    let mut text = String::new();
    for wire in [names.get(..split)?, names.get(split..)?] {
        write!(text, "{} ", Name::from_wire(wire).ok()?).ok()?;
    }
    let numbers = numbers.chunks_exact(4).filter_map(|four| four.first_chunk::<4>());
    let numbers: Vec<_> = numbers.map(|four| u32::from_be_bytes(*four).to_string()).collect();
    Some(text + &numbers.join(" "))
}

fn name_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    while *wire.get(at)? > 0 {
        at += 1 + usize::from(wire[at]);
    }
    Some(at + 1)
}

fn strings_text(mut data: &[u8]) -> Option<String> {
    let mut texts = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        texts.push(quote(string));
        data = rest;
    }
    (!texts.is_empty()).then(|| texts.join(" "))
}

fn quote(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            0x20..=0x7e => text.push(char::from(*octet)),
            other => text.push_str(&format!("\\{other:03}")),
        }
    }
    text.push('"');
    text
}

/// What hickory writes, if it reads that back as the same octets.
fn known_text(rtype: RecordType, data: &[u8]) -> Option<String> {
    let known = Known::from(rtype.0);
    if matches!(known, Known::Unknown(_)) {
        return None;
    }
    let length = Restrict::new(u16::try_from(data.len()).ok()?);
    let rdata = RData::read(&mut BinDecoder::new(data), known, length).ok()?;
    let text = match known {
        // hickory ends each list of values with a comma, which other readers refuse.
        Known::SVCB | Known::HTTPS => {
            let words = rdata.to_string();
            let words: Vec<_> = words.split(' ').map(|word| word.trim_end_matches(',')).collect();
            words.join(" ")
        }
        _ => rdata.to_string(),
    };
    let again = encode(&RData::try_from_str(known, &text).ok()?)?;
    (again == data && !text.contains('\n')).then_some(text)
}

fn unknown_text(data: &[u8]) -> String {
    let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
    format!(r"\# {} {hex}", data.len()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        text.split(' ')
            .map(|word| match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                Some(inner) => Word { text: inner.to_owned(), quoted: true },
                None => Word { text: word.to_owned(), quoted: false },
            })
            .collect()
    }

    #[test]
    fn types_have_names_or_numbers() {
        assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
        assert_eq!("TYPE65280".parse(), Ok(RecordType(65_280)));
        assert_eq!(RecordType(65_280).to_string(), "TYPE65280");
        assert_eq!(RecordType(65).to_string(), "HTTPS");
        assert!("FOO".parse::<RecordType>().unwrap_err().contains("TYPE<number>"));
    }

    #[test]
    fn every_common_type_survives_text_and_wire() {
        let origin: Name = "example.org".parse().unwrap();
        for (rtype, text) in [
            ("A", "192.0.2.1"),
            ("AAAA", "2001:db8::1"),
            ("NS", "ns1.example.org."),
            ("MX", "10 mail.example.org."),
            ("SRV", "1 2 443 host.example.org."),
            ("SOA", "ns1.example.org. root.example.org. 1 2 3 4 5"),
            ("TXT", r#""a\"b" "c\200d""#),
            ("PTR", "host.example.org."),
            ("CAA", r#"0 issue "letsencrypt.org""#),
            ("SSHFP", "1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac"),
            ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
            ("DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
            ("NAPTR", r#"100 50 "s" "http+I2L" "" _http._tcp.example.org."#),
            ("HTTPS", "1 . alpn=h2"),
            ("RP", "admin.example.org. txt.example.org."),
            ("AFSDB", "1 afs.example.org."),
            ("URI", r#"10 1 "https://example.org/""#),
            ("TYPE65280", r"\# 3 aabbcc"),
        ] {
            let rtype: RecordType = rtype.parse().unwrap();
            let data = parse_rdata(rtype, &words(text), &origin)
                .unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));
            let shown = rdata_text(rtype, &data);
            let again = parse_rdata(rtype, &words(&shown), &origin).unwrap();
            assert_eq!(again, data, "{rtype} {text} became {shown}");
        }
    }

    #[test]
    fn relative_names_are_below_the_origin() {
        let origin: Name = "example.org".parse().unwrap();
        assert_eq!(absolute("www", &origin).unwrap().to_string(), "www.example.org.");
        assert_eq!(absolute("@", &origin).unwrap(), origin);
        assert_eq!(absolute("www.net.", &origin).unwrap().to_string(), "www.net.");
        assert_eq!(absolute(r"w\.", &origin).unwrap().to_string(), r"w\..example.org.");
    }

    #[test]
    fn ttls_have_units() {
        assert_eq!(parse_ttl("1h30m"), Some(5_400));
        assert_eq!(parse_ttl("2W"), Some(1_209_600));
        assert_eq!(parse_ttl("30"), Some(30));
        for bad in ["", "h", "1x", "1h2", "99999999w"] {
            assert_eq!(parse_ttl(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_data_is_checked() {
        let origin = Name::root();
        let parse = |text| parse_rdata(RecordType(65_280), &words(text), &origin);
        assert_eq!(parse(r"\# 0"), Ok(vec![]));
        assert!(parse(r"\# 2 aabbcc").unwrap_err().contains("6 hexadecimal digits"));
        assert!(parse(r"\# 1 zz").unwrap_err().contains("not hexadecimal"));
        assert!(parse("1 2 3").unwrap_err().contains("unknown type"));
    }
}
