//! The fields that record data are made of, each read from words and printed from octets.

use super::{
    RecordType, TextError, loc, svcb,
    words::{Words, unescape, write_quoted},
};
use crate::{model::Name, records::master::period_from_text};
use data_encoding::{BASE32HEX_NOPAD, BASE64, Encoding, HEXLOWER_PERMISSIVE};
use jiff::{civil::DateTime, tz::TimeZone};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// One field; those that take all the words left stand last.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// A domain name.
    Name,
    U8,
    U16,
    U32,
    /// A number of seconds, also written like `1h30m`.
    Period,
    /// Seconds since 1970, also written like `20260101120000` (RFC 4034 §3.2).
    Time,
    Ipv4,
    Ipv6,
    /// A character string behind an octet of length (RFC 1035 §3.3).
    Text,
    /// One or more of those.
    Strings,
    /// Letters and digits behind an octet of length, printed without quotes.
    Tag,
    /// A string that takes the rest of the data, without a length.
    Rest,
    /// Octets to the end, in hexadecimal.
    Hex,
    /// Octets to the end, in base 64.
    Base64,
    /// Octets behind an octet of length, in hexadecimal, `-` for none.
    Salt,
    /// Octets behind an octet of length, in base 32.
    Hash,
    /// A record type.
    Type,
    /// A set of record types as a bitmap (RFC 4034 §4.1.2).
    Types,
    /// The parameters of a service binding.
    Params,
    /// A place on the globe.
    Location,
    /// A hardware address of that many octets, like `00-00-5e-00-53-2a` (RFC 7043 §3.2).
    Eui(u8),
    /// A DNSSEC algorithm, by number or name.
    Algorithm,
    /// A kind of certificate, by number or name.
    Certificate,
}

/// The octets of these fields.
pub(super) fn parse(form: &[Field], words: &mut Words<'_, '_>) -> Result<Vec<u8>, TextError> {
    let mut out = Vec::new();
    for field in form {
        field.parse(words, &mut out)?;
    }
    Ok(out)
}

/// The text of these fields; `None` when the octets are not exactly such fields.
pub(super) fn print(form: &[Field], rdata: &[u8]) -> Option<String> {
    let mut rest = rdata;
    let mut text = String::with_capacity(rdata.len() * 2);
    for field in form {
        let before = text.len();
        field.print(&mut rest, &mut text)?;
        if text.len() > before {
            text.push(' ');
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    rest.is_empty().then_some(text)
}

/// Whether the octets divide into these fields; there may be no text for what is in them.
pub(super) fn fits(form: &[Field], rdata: &[u8]) -> bool {
    let mut rest = rdata;
    form.iter().all(|field| field.skip(&mut rest).is_some()) && rest.is_empty()
}

impl Field {
    fn parse(self, words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
        match self {
            Self::Name => out.extend_from_slice(words.name()?.as_wire()),
            Self::U8 => out.push(words.number("a number from 0 to 255")?),
            Self::U16 => out.extend(words.number::<u16>("a number from 0 to 65535")?.to_be_bytes()),
            Self::U32 => out.extend(words.number::<u32>("a number below 2^32")?.to_be_bytes()),
            Self::Period => out.extend(period(words)?.to_be_bytes()),
            Self::Time => out.extend(time(words)?.to_be_bytes()),
            Self::Ipv4 => out.extend(words.number::<Ipv4Addr>("an IPv4 address")?.octets()),
            Self::Ipv6 => out.extend(words.number::<Ipv6Addr>("an IPv6 address")?.octets()),
            Self::Text => push_string(&words.octets()?, out)?,
            Self::Strings => strings(words, out)?,
            Self::Tag => tag(words, out)?,
            Self::Rest => out.extend_from_slice(&words.octets()?),
            Self::Hex => out.extend(encoded(&HEXLOWER_PERMISSIVE, "hexadecimal digits", words)?),
            Self::Base64 => out.extend(encoded(&BASE64, "base 64", words)?),
            Self::Salt => salt(words, out)?,
            Self::Hash => hash(words, out)?,
            Self::Type => out.extend(rtype(words)?.0.to_be_bytes()),
            Self::Types => types(words, out)?,
            Self::Params => svcb::parse(words, out)?,
            Self::Location => loc::parse(words, out)?,
            Self::Eui(octets) => eui(words, octets, out)?,
            Self::Algorithm => out.push(named(words, ALGORITHMS, "a DNSSEC algorithm")?),
            Self::Certificate => {
                out.extend(named::<u16>(words, CERTIFICATES, "a certificate type")?.to_be_bytes());
            }
        }
        Ok(())
    }

    fn print(self, rest: &mut &[u8], text: &mut String) -> Option<()> {
        match self {
            Self::Name => write!(text, "{}", take_name(rest)?),
            Self::U8 | Self::Algorithm => write!(text, "{}", take::<1>(rest)?[0]),
            Self::U16 | Self::Certificate => write!(text, "{}", u16::from_be_bytes(*take(rest)?)),
            Self::U32 | Self::Period | Self::Time => {
                write!(text, "{}", u32::from_be_bytes(*take(rest)?))
            }
            Self::Ipv4 => write!(text, "{}", Ipv4Addr::from(*take::<4>(rest)?)),
            Self::Ipv6 => write!(text, "{}", Ipv6Addr::from(*take::<16>(rest)?)),
            Self::Text => write_quoted(text, take_string(rest)?),
            Self::Strings => return print_strings(rest, text),
            Self::Tag => text.write_str(take_tag(rest)?),
            Self::Rest => write_quoted(text, std::mem::take(rest)),
            Self::Hex => return print_encoded(&HEXLOWER_PERMISSIVE, std::mem::take(rest), text),
            Self::Base64 => return print_encoded(&BASE64, std::mem::take(rest), text),
            Self::Salt => return print_salt(take_string(rest)?, text),
            Self::Hash => return print_encoded(&BASE32HEX_NOPAD, take_string(rest)?, text),
            Self::Type => write!(text, "{}", RecordType(u16::from_be_bytes(*take(rest)?))),
            Self::Types => return print_types(rest, text),
            Self::Params => return svcb::print(rest, text),
            Self::Location => return loc::print(rest, text),
            Self::Eui(octets) => return print_eui(rest, octets, text),
        }
        .ok()
    }

    fn skip(self, rest: &mut &[u8]) -> Option<()> {
        match self {
            Self::Name => take_name(rest).map(drop),
            Self::U8 | Self::Algorithm => take::<1>(rest).map(drop),
            Self::U16 | Self::Type | Self::Certificate => take::<2>(rest).map(drop),
            Self::U32 | Self::Period | Self::Time | Self::Ipv4 => take::<4>(rest).map(drop),
            Self::Ipv6 => take::<16>(rest).map(drop),
            Self::Location => take::<{ loc::OCTETS }>(rest).map(drop),
            Self::Eui(octets) => {
                *rest = rest.get(usize::from(octets)..)?;
                Some(())
            }
            Self::Text | Self::Tag | Self::Salt | Self::Hash => take_string(rest).map(drop),
            Self::Strings => {
                while !rest.is_empty() {
                    take_string(rest)?;
                }
                Some(())
            }
            Self::Rest | Self::Hex | Self::Base64 | Self::Types | Self::Params => {
                *rest = &[];
                Some(())
            }
        }
    }
}

// === From words ===

fn period(words: &mut Words<'_, '_>) -> Result<u32, TextError> {
    let what = "a number of seconds, or a time like 1h30m";
    let text = words.take(what)?.text;
    period_from_text(text).ok_or_else(|| TextError::expected(what, text))
}

fn time(words: &mut Words<'_, '_>) -> Result<u32, TextError> {
    let what = "seconds since 1970 or a time like 20260131235959";
    let text = words.take(what)?.text;
    let seconds = || {
        if text.len() != 14 {
            return text.parse().ok();
        }
        let at = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
        u32::try_from(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second()).ok()
    };
    seconds().ok_or_else(|| TextError::expected(what, text))
}

fn push_string(octets: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let length = u8::try_from(octets.len()).map_err(|_| {
        let found = octets.len();
        TextError::new(format!(
            "a string has {found} octets, at most 255 are allowed: cut it in two"
        ))
    })?;
    out.push(length);
    out.extend_from_slice(octets);
    Ok(())
}

fn strings(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    push_string(&words.octets()?, out)?;
    words.take_all().try_for_each(|word| push_string(&unescape(word.text)?, out))
}

fn tag(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let text = words.take("a tag of letters and digits")?.text;
    if !is_tag(text.as_bytes()) {
        return Err(TextError::expected("a tag of letters and digits", text));
    }
    push_string(text.as_bytes(), out)
}

fn is_tag(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(u8::is_ascii_alphanumeric)
}

fn encoded(
    encoding: &Encoding,
    what: &str,
    words: &mut Words<'_, '_>,
) -> Result<Vec<u8>, TextError> {
    let text: String = words.take_all().map(|word| word.text).collect();
    if text.is_empty() {
        return Err(TextError::expected(what, "the end of the line"));
    }
    encoding.decode(text.as_bytes()).map_err(|_| TextError::expected(what, &text))
}

fn salt(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let text = words.take("a salt in hexadecimal digits, or `-`")?.text;
    let digits = if text == "-" { "" } else { text };
    let octets = HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|_| TextError::expected("a salt in hexadecimal digits, or `-`", text))?;
    push_string(&octets, out)
}

fn hash(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let text = words.take("a hash in base 32")?.text;
    let octets = BASE32HEX_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .map_err(|_| TextError::expected("a hash in base 32", text))?;
    push_string(&octets, out)
}

fn rtype(words: &mut Words<'_, '_>) -> Result<RecordType, TextError> {
    words.take("a record type")?.text.parse()
}

fn eui(words: &mut Words<'_, '_>, octets: u8, out: &mut Vec<u8>) -> Result<(), TextError> {
    let what = format!("{octets} pairs of hexadecimal digits with `-` between");
    let text = words.take(&what)?.text;
    let pair = |pair: &str| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?;
    let address: Option<Vec<u8>> = text.split('-').map(pair).collect();
    let address = address.filter(|address| address.len() == usize::from(octets));
    out.extend(address.ok_or_else(|| TextError::expected(&what, text))?);
    Ok(())
}

fn named<N: FromStr + Copy>(
    words: &mut Words<'_, '_>,
    names: &[(N, &str)],
    what: &str,
) -> Result<N, TextError> {
    let text = words.take(what)?.text;
    let named = names.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    named
        .map(|(number, _)| *number)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| TextError::expected(what, text))
}

/// RFC 4034 §4.1.2: a window for each high octet, with the bits of the low ones, no zeros behind.
fn types(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut windows: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for word in words.take_all() {
        let [window, low] = word.text.parse::<RecordType>()?.0.to_be_bytes();
        let bits = windows.entry(window).or_default();
        bits.resize(bits.len().max(usize::from(low / 8) + 1), 0);
        bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    windows.into_iter().try_for_each(|(window, bits)| {
        out.push(window);
        push_string(&bits, out)
    })
}

// === From octets ===

fn take<'r, const N: usize>(rest: &mut &'r [u8]) -> Option<&'r [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

fn take_string<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let length = usize::from(take::<1>(rest)?[0]);
    let (string, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(string)
}

fn take_tag<'r>(rest: &mut &'r [u8]) -> Option<&'r str> {
    std::str::from_utf8(take_string(rest)?).ok().filter(|text| is_tag(text.as_bytes()))
}

fn take_name(rest: &mut &[u8]) -> Option<Name> {
    let mut end = 0;
    while *rest.get(end)? != 0 {
        end += 1 + usize::from(rest[end]);
    }
    let (wire, tail) = rest.split_at_checked(end + 1)?;
    *rest = tail;
    Name::from_wire(wire).ok()
}

fn print_strings(rest: &mut &[u8], text: &mut String) -> Option<()> {
    loop {
        write_quoted(text, take_string(rest)?).ok()?;
        if rest.is_empty() {
            return Some(());
        }
        text.push(' ');
    }
}

/// Not for no octets: there would be no word.
fn print_encoded(encoding: &Encoding, octets: &[u8], text: &mut String) -> Option<()> {
    encoding.encode_append(octets, text);
    (!octets.is_empty()).then_some(())
}

fn print_salt(octets: &[u8], text: &mut String) -> Option<()> {
    if octets.is_empty() {
        text.push('-');
        return Some(());
    }
    print_encoded(&HEXLOWER_PERMISSIVE, octets, text)
}

fn print_types(rest: &mut &[u8], text: &mut String) -> Option<()> {
    let mut names: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let window = take::<1>(rest)?[0];
        for (at, bits) in take_string(rest)?.iter().enumerate() {
            let set = (0..8).filter(|bit| bits & (0x80 >> bit) != 0);
            let low = |bit: u8| u8::try_from(at * 8 + usize::from(bit)).ok();
            names.extend(
                set.filter_map(low)
                    .map(|low| RecordType(u16::from_be_bytes([window, low])).to_string()),
            );
        }
    }
    text.push_str(&names.join(" "));
    Some(())
}

fn print_eui(rest: &mut &[u8], octets: u8, text: &mut String) -> Option<()> {
    let (address, tail) = rest.split_at_checked(usize::from(octets))?;
    *rest = tail;
    let pairs: Vec<String> = address.iter().map(|octet| format!("{octet:02x}")).collect();
    text.push_str(&pairs.join("-"));
    Some(())
}

/// RFC 4034 appendix A.1 and the IANA registry.
const ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (6, "NSEC3DSA"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECCGOST"),
    (12, "ECC-GOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// RFC 4398 §2.1.
const CERTIFICATES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];
