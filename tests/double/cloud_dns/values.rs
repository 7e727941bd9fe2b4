//! Names and record data as Cloud DNS takes them, each in the one form that it gives them back in.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The record types of the service.
pub(super) const TYPES: [&str; 20] = [
    "A", "AAAA", "ALIAS", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "IPSECKEY", "MX", "NAPTR", "NS",
    "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT",
];

/// The types that a routing policy can be for.
pub(super) const ROUTED: [&str; 6] = ["A", "AAAA", "CNAME", "MX", "SRV", "TXT"];

/// An absolute name in lower case; `None` for what is none.
pub(super) fn name(text: &str) -> Option<String> {
    let labels = text.strip_suffix('.')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_*/".contains(c);
    let good = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(allowed);
    let wild = |(at, label): (usize, &str)| label.contains('*') && (at > 0 || label != "*");
    let fine = text.len() <= 254 && labels.split('.').all(good);
    (fine && !labels.split('.').enumerate().any(wild)).then(|| text.to_ascii_lowercase())
}

/// Whether a name is at or below another; both absolute and in lower case.
pub(super) fn within(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// Record data of that type, in the form that it is given back in; `None` for what is none.
pub(super) fn value(rtype: &str, text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match (rtype, words.as_slice()) {
        ("A", [address]) => address.parse::<Ipv4Addr>().ok().map(|ip| ip.to_string()),
        ("AAAA", [address]) => address.parse::<Ipv6Addr>().ok().map(|ip| ip.to_string()),
        ("CNAME" | "NS" | "PTR" | "ALIAS", [target]) => name(target),
        ("MX", [preference, exchange]) => {
            Some(format!("{} {}", number::<u16>(preference)?, name(exchange).or(root(exchange))?))
        }
        ("SRV", [priority, weight, port, target]) => Some(format!(
            "{} {} {} {}",
            number::<u16>(priority)?,
            number::<u16>(weight)?,
            number::<u16>(port)?,
            name(target).or(root(target))?
        )),
        ("SOA", [mname, rname, timers @ ..]) if timers.len() == 5 => {
            let timers: Option<Vec<String>> =
                timers.iter().map(|timer| number::<u32>(timer).map(|n| n.to_string())).collect();
            Some(format!("{} {} {}", name(mname)?, name(rname)?, timers?.join(" ")))
        }
        ("TXT" | "SPF", _) => {
            let strings = strings(text)?;
            Some(strings.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" "))
        }
        ("CAA", [flags, tag, value @ ..]) => {
            number::<u8>(flags)?;
            let fine = tag.chars().all(|c| c.is_ascii_alphanumeric());
            let [value] = strings(&value.join(" "))?.try_into().ok()?;
            fine.then(|| format!("{flags} {} {}", tag.to_ascii_lowercase(), quoted(&value)))
        }
        ("DS", [tag, algorithm, digest, hash @ ..]) if !hash.is_empty() => {
            number::<u16>(tag)?;
            number::<u8>(algorithm)?;
            number::<u8>(digest)?;
            let hash = hash.concat().to_ascii_lowercase();
            let fine = hash.len() % 2 == 0 && hash.chars().all(|c| c.is_ascii_hexdigit());
            fine.then(|| format!("{tag} {algorithm} {digest} {hash}"))
        }
        (
            "A" | "AAAA" | "CNAME" | "NS" | "PTR" | "ALIAS" | "MX" | "SRV" | "SOA" | "CAA" | "DS",
            _,
        ) => None,
        (_, []) => None,
        _ => Some(words.join(" ")),
    }
}

/// The character strings of TXT data: quoted, or bare words; with their escapes undone.
pub(super) fn strings(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut rest = text.bytes().peekable();
    loop {
        while rest.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(&first) = rest.peek() else { break };
        let in_quotes = first == b'"';
        if in_quotes {
            rest.next();
        }
        let mut string = Vec::new();
        loop {
            match (rest.next(), in_quotes) {
                (Some(b'"'), true) => break,
                (Some(b'"'), false) | (None, true) => return None,
                (None, false) => break,
                (Some(byte), false) if byte.is_ascii_whitespace() => break,
                (Some(b'\\'), _) => string.push(escaped(&mut rest)?),
                (Some(byte), _) => string.push(byte),
            }
        }
        if string.len() > 255 {
            return None;
        }
        strings.push(string);
    }
    (!strings.is_empty()).then_some(strings)
}

/// What follows a backslash: three digits, or the character itself.
fn escaped(rest: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, rest.next()?, rest.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn quoted(string: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in string {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text + "\""
}

/// A number without sign or leading zeros.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn root(text: &str) -> Option<String> {
    (text == ".").then(|| text.to_owned())
}
