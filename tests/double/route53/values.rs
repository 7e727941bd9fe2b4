//! Record data: from the presentation form that the vendor takes to the bytes that DNS carries.
//! What cannot become bytes is what the vendor refuses.

use super::names::{self, problem};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of a record type.
pub(crate) fn code(rtype: &str) -> u16 {
    let known = CODES.iter().find(|(name, _)| *name == rtype);
    known.map(|(_, code)| *code).unwrap()
}

/// The name of a record type that Route 53 has.
pub(crate) fn type_of(code: u16) -> Option<&'static str> {
    CODES.iter().find(|(_, known)| *known == code).map(|(name, _)| *name)
}

/// The record data's bytes, or what the vendor says to such a value.
pub(crate) fn wire(rtype: &str, value: &str) -> Result<Vec<u8>, String> {
    if value.is_empty() {
        return Err(problem("EmptyValue", "Value is empty", value));
    }
    let data = match rtype {
        "A" => {
            let why = "Value is not a valid IPv4 address";
            let address = value.parse::<Ipv4Addr>();
            address.map_err(|_| problem("ARRDATAIllegalIPv4Address", why, value))?.octets().to_vec()
        }
        "AAAA" => {
            let why = "Value is not a valid IPv6 address";
            let address = value.parse::<Ipv6Addr>();
            address
                .map_err(|_| problem("AAAARRDATAIllegalIPv6Address", why, value))?
                .octets()
                .to_vec()
        }
        "CNAME" | "NS" | "PTR" => name(value)?,
        "TXT" | "SPF" => strings(value)?,
        "MX" => fields(rtype, value, &[Number(2), Name])?,
        "SRV" => fields(rtype, value, &[Number(2), Number(2), Number(2), Name])?,
        "SOA" => {
            let times = Number(4);
            fields(rtype, value, &[Name, Name, times, times, times, times, times])?
        }
        "CAA" => fields(rtype, value, &[Number(1), Token, Quoted])?,
        "NAPTR" => {
            let text = Counted;
            fields(rtype, value, &[Number(2), Number(2), text, text, text, Name])?
        }
        "DS" => fields(rtype, value, &[Number(2), Number(1), Number(1), Hex])?,
        "TLSA" => fields(rtype, value, &[Number(1), Number(1), Number(1), Hex])?,
        "SSHFP" => fields(rtype, value, &[Number(1), Number(1), Hex])?,
        "SVCB" | "HTTPS" => service(rtype, value)?,
        _ => return Err(problem("UnknownType", "Type is not supported", rtype)),
    };
    Ok(data)
}

#[derive(Clone, Copy)]
enum Field {
    /// Of that many bytes.
    Number(usize),
    Name,
    /// A word, with its length before it.
    Token,
    /// A quoted string without its length, up to the end.
    Quoted,
    /// A quoted string with its length.
    Counted,
    Hex,
}
use Field::{Counted, Hex, Name, Number, Quoted, Token};

fn fields(rtype: &str, value: &str, wanted: &[Field]) -> Result<Vec<u8>, String> {
    let parts = words(value);
    if parts.len() != wanted.len() {
        let kind = format!("{rtype}RRDATAWrongNumberOfFields");
        let why = format!("{rtype} record doesn't have {} fields", wanted.len());
        return Err(problem(&kind, &why, value));
    }
    let mut bytes = Vec::new();
    for (part, field) in parts.iter().zip(wanted) {
        bytes.extend(one(rtype, part, *field).ok_or_else(|| {
            let kind = format!("{rtype}RRDATAInvalidField");
            problem(&kind, "A field of the value is invalid", value)
        })?);
    }
    Ok(bytes)
}

fn one(rtype: &str, part: &str, field: Field) -> Option<Vec<u8>> {
    match field {
        Number(size) => {
            let number: u64 = part.parse().ok()?;
            let bytes = number.to_be_bytes();
            (number < 1 << (8 * size)).then(|| bytes[8 - size..].to_vec())
        }
        // An SRV, a NAPTR or an HTTPS record may name the root.
        Name if part == "." && rtype != "CNAME" => Some(vec![0]),
        Name => name(part).ok(),
        Token => {
            let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric());
            plain.then(|| [&[u8::try_from(part.len()).unwrap_or(255)], part.as_bytes()].concat())
        }
        Quoted => string(part).ok(),
        Counted => strings(part).ok(),
        Hex => {
            let digits = part.to_ascii_lowercase();
            data_encoding::HEXLOWER.decode(digits.as_bytes()).ok().filter(|bytes| !bytes.is_empty())
        }
    }
}

/// The words of a value; quoted strings are one each.
fn words(value: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        words.last_mut().unwrap().push(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A name, uncompressed.
pub(crate) fn name(value: &str) -> Result<Vec<u8>, String> {
    let labels = names::labels(value)?;
    let size = labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
    if labels.is_empty() || size > 255 {
        return Err(problem("DomainNameInvalid", "Value is not a domain name", value));
    }
    let mut bytes = Vec::new();
    for label in &labels {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label);
    }
    bytes.push(0);
    Ok(bytes)
}

/// Quoted strings, each with its length before it.
fn strings(value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for word in words(value) {
        let own = string(&word)?;
        let length = u8::try_from(own.len())
            .map_err(|_| problem("CharacterStringTooLong", "Value is too long", value))?;
        bytes.push(length);
        bytes.extend(own);
    }
    Ok(bytes)
}

fn string(word: &str) -> Result<Vec<u8>, String> {
    let why = "Value should be enclosed in quotation marks";
    let inner = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.ok_or_else(|| problem("InvalidCharacterString", why, word))?;
    let mut bytes = inner.bytes();
    let mut own = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => own.push(
                names::unescaped(&mut bytes)
                    .ok_or_else(|| problem("InvalidEscape", "Escape code is invalid", word))?,
            ),
            b'"' => return Err(problem("InvalidCharacterString", why, word)),
            0x20..=0x7e | b'\t' => own.push(byte),
            _ => {
                let why = "Value contains unsupported characters";
                return Err(problem("UnsupportedCharacter", why, word));
            }
        }
    }
    Ok(own)
}

/// SVCB and HTTPS: priority, target, parameters in ascending order of their keys.
fn service(rtype: &str, value: &str) -> Result<Vec<u8>, String> {
    let broken = || {
        let kind = format!("{rtype}RRDATAInvalidField");
        problem(&kind, "A field of the value is invalid", value)
    };
    let parts = words(value);
    let [priority, target, parameters @ ..] = parts.as_slice() else { return Err(broken()) };
    let mut bytes = one(rtype, priority, Number(2)).ok_or_else(broken)?;
    bytes.extend(one(rtype, target, Name).ok_or_else(broken)?);
    let mut own = std::collections::BTreeMap::new();
    for parameter in parameters {
        let (key, data) = service_parameter(parameter).ok_or_else(broken)?;
        if own.insert(key, data).is_some() {
            return Err(broken());
        }
    }
    for (key, data) in own {
        bytes.extend(key.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    Ok(bytes)
}

fn service_parameter(parameter: &str) -> Option<(u16, Vec<u8>)> {
    let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim_matches('"');
    let list = || value.split(',');
    Some(match key {
        "alpn" => {
            let one = |id: &str| [&[u8::try_from(id.len()).unwrap_or(0)], id.as_bytes()].concat();
            (1, list().flat_map(one).collect())
        }
        "no-default-alpn" => (2, Vec::new()),
        "port" => (3, value.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        "ipv4hint" | "ipv6hint" => {
            let mut bytes = Vec::new();
            for address in list() {
                match (key, address.parse::<IpAddr>().ok()?) {
                    ("ipv4hint", IpAddr::V4(ip)) => bytes.extend(ip.octets()),
                    ("ipv6hint", IpAddr::V6(ip)) => bytes.extend(ip.octets()),
                    _ => return None,
                }
            }
            (if key == "ipv4hint" { 4 } else { 6 }, bytes)
        }
        "ech" => (5, data_encoding::BASE64.decode(value.as_bytes()).ok()?),
        _ => (key.strip_prefix("key")?.parse().ok()?, value.as_bytes().to_vec()),
    })
}

const CODES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("SSHFP", 44),
    ("TLSA", 52),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("SPF", 99),
    ("CAA", 257),
];
