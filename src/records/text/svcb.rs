//! The parameters of SVCB and HTTPS records (RFC 9460 §2.1, §7 and appendix A).

use super::{
    TextError,
    words::{Word, Words, unescape, write_quoted},
};
use data_encoding::BASE64;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Parameters in any order into octets in the order of their keys (§2.2).
pub(super) fn parse(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for word in words.take_all() {
        let (key, value) = param(word)?;
        if params.insert(key, value).is_some() {
            return Err(TextError::expected("each parameter once", word.text));
        }
    }
    check_mandatory(&params)?;
    check_alpn(&params)?;
    for (key, value) in params {
        let length = u16::try_from(value.len())
            .map_err(|_| TextError::new(format!("the value of {} is too long", key_name(key))))?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

/// `key=value` each; `None` when the octets are no parameters, or need escapes within escapes.
pub(super) fn print(rest: &mut &[u8], text: &mut String) -> Option<()> {
    let mut params = Vec::new();
    while !rest.is_empty() {
        let key = take_u16(rest)?;
        let length = usize::from(take_u16(rest)?);
        let (value, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        params.push(print_param(key, value)?);
    }
    text.push_str(&params.join(" "));
    Some(())
}

// === From words ===

fn param(word: Word<'_>) -> Result<(u16, Vec<u8>), TextError> {
    let (name, value) = match word.text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word.text, None),
    };
    let key = key_number(name)
        .filter(|_| !word.quoted)
        .ok_or_else(|| TextError::expected("a parameter such as alpn=h2 or key667=x", word.text))?;
    let unquoted =
        value.map(|v| v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v));
    let octets = unescape(unquoted.unwrap_or_default())?;
    let numbered = name.starts_with("key");
    let wire = if numbered { Some(octets.to_vec()) } else { value_from_text(key, &octets) };
    wire.filter(|wire| is_valid(key, wire))
        .map(|wire| (key, wire))
        .ok_or_else(|| TextError::expected(&format!("a valid value of {name}"), word.text))
}

fn value_from_text(key: u16, octets: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(octets).ok();
    match key {
        MANDATORY => {
            let mut keys: Vec<u16> = text?.split(',').map(key_number).collect::<Option<_>>()?;
            keys.sort_unstable();
            Some(keys.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        ALPN => alpn_from_text(octets),
        NO_DEFAULT_ALPN | OHTTP => octets.is_empty().then(Vec::new),
        PORT => Some(text?.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        IPV4_HINT => list(text?, |one| Some(one.parse::<Ipv4Addr>().ok()?.octets())),
        IPV6_HINT => list(text?, |one| Some(one.parse::<Ipv6Addr>().ok()?.octets())),
        ECH => BASE64.decode(octets).ok().filter(|ech| !ech.is_empty()),
        _ => Some(octets.to_vec()),
    }
}

fn list<const N: usize>(text: &str, one: impl Fn(&str) -> Option<[u8; N]>) -> Option<Vec<u8>> {
    let parsed: Vec<[u8; N]> = text.split(',').map(one).collect::<Option<_>>()?;
    Some(parsed.concat())
}

/// Appendix A.1: commas part the items, unless a backslash stands before them.
fn alpn_from_text(octets: &[u8]) -> Option<Vec<u8>> {
    let mut items: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = octets.iter();
    while let Some(octet) = rest.next() {
        match octet {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(*rest.next()?),
            other => items.last_mut()?.push(*other),
        }
    }
    let mut wire = Vec::new();
    for item in items {
        wire.push(u8::try_from(item.len()).ok().filter(|length| *length > 0)?);
        wire.extend(item);
    }
    Some(wire)
}

/// Whether a value has the form of its key (§7, §8, RFC 9540 §4), also where it was written as
/// octets.
fn is_valid(key: u16, value: &[u8]) -> bool {
    let whole = |size: usize| !value.is_empty() && value.len().is_multiple_of(size);
    match key {
        MANDATORY => whole(2) && value.as_chunks::<2>().0.is_sorted(),
        ALPN => are_strings(value),
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4_HINT => whole(4),
        IPV6_HINT => whole(16),
        ECH => !value.is_empty(),
        _ => true,
    }
}

/// One or more strings of one octet or more, each behind its length.
fn are_strings(mut value: &[u8]) -> bool {
    let any = !value.is_empty();
    while let Some((length, rest)) = value.split_first() {
        match rest.split_at_checked(usize::from(*length)) {
            Some((item, behind)) if !item.is_empty() => value = behind,
            _ => return false,
        }
    }
    any
}

/// §7.1.1: without `alpn` there is nothing beside the default.
fn check_alpn(params: &BTreeMap<u16, Vec<u8>>) -> Result<(), TextError> {
    if params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN) {
        return Err(TextError::expected("alpn beside it", "no-default-alpn"));
    }
    Ok(())
}

/// §8: what is listed is there, once, and is not the list itself.
fn check_mandatory(params: &BTreeMap<u16, Vec<u8>>) -> Result<(), TextError> {
    let Some(listed) = params.get(&MANDATORY) else { return Ok(()) };
    let keys: Vec<u16> =
        listed.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    let repeated = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let wrong = keys.iter().copied().find(|key| *key == MANDATORY || !params.contains_key(key));
    match repeated.or(wrong) {
        Some(key) => {
            let found = format!("mandatory={}", key_name(key));
            Err(TextError::expected("a list of parameters of this record, each once", &found))
        }
        None => Ok(()),
    }
}

// === From octets ===

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
}

fn print_param(key: u16, value: &[u8]) -> Option<String> {
    let name = key_name(key);
    let joined = match key {
        MANDATORY => {
            let keys = chunks(value)?.map(|pair: &[u8; 2]| key_name(u16::from_be_bytes(*pair)));
            keys.collect::<Vec<_>>().join(",")
        }
        ALPN => print_alpn(value)?,
        PORT => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        IPV4_HINT => join(chunks(value)?.map(|ip: &[u8; 4]| Ipv4Addr::from(*ip))),
        IPV6_HINT => join(chunks(value)?.map(|ip: &[u8; 16]| Ipv6Addr::from(*ip))),
        ECH => BASE64.encode(value),
        NO_DEFAULT_ALPN => return value.is_empty().then_some(name),
        _ => return print_octets(&name, value),
    };
    Some(format!("{name}={joined}"))
}

fn print_octets(name: &str, value: &[u8]) -> Option<String> {
    let mut text = name.to_owned();
    if !value.is_empty() {
        text.push('=');
        write_quoted(&mut text, value).ok()?;
    }
    Some(text)
}

fn print_alpn(mut value: &[u8]) -> Option<String> {
    let mut items = Vec::new();
    while let Some((length, tail)) = value.split_first() {
        let (item, tail) = tail.split_at_checked(usize::from(*length))?;
        let plain = |octet: &u8| octet.is_ascii_graphic() && !b",\\\"();".contains(octet);
        items.push(std::str::from_utf8(item).ok().filter(|item| item.bytes().all(|b| plain(&b)))?);
        value = tail;
    }
    Some(items.join(","))
}

fn chunks<const N: usize>(value: &[u8]) -> Option<impl Iterator<Item = &[u8; N]>> {
    let (chunks, rest) = value.as_chunks::<N>();
    (rest.is_empty() && !chunks.is_empty()).then(|| chunks.iter())
}

fn join(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

// === Keys ===

fn key_number(name: &str) -> Option<u16> {
    let numbered = || {
        let digits = name.strip_prefix("key")?;
        let plain = digits == "0" || !digits.starts_with('0');
        (plain && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
    };
    KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key).or_else(numbered)
}

/// The keys of RFC 9460 by name; later ones by number, which older name servers can read too.
fn key_name(key: u16) -> String {
    match KEYS.iter().find(|(known, _)| *known == key && key <= IPV6_HINT) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("key{key}"),
    }
}

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const OHTTP: u16 = 8;

/// RFC 9460 §14.3.2, RFC 9461 §5 and RFC 9540 §4.
const KEYS: &[(u16, &str)] = &[
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4_HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6_HINT, "ipv6hint"),
    (7, "dohpath"),
    (OHTTP, "ohttp"),
];
