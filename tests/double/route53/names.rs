//! Domain names as Route 53 writes, orders and refuses them.

/// Lower case, with a final dot, and every byte but `a-z 0-9 - _` as `\ooo`.
pub(crate) fn canonical(name: &str) -> Result<String, String> {
    let labels = labels(name)?;
    if labels.is_empty() {
        return Err(problem("DomainNameEmpty", "Domain name is empty", name));
    }
    if labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1 > 255 {
        return Err(problem("DomainNameTooLong", "Domain name is too long", name));
    }
    if labels[0].len() > 1 && labels[0].contains(&b'*') {
        let why = "Asterisk must replace the entire label";
        return Err(problem("InvalidWildcardName", why, name));
    }
    Ok(labels.iter().map(|label| escaped(label) + ".").collect())
}

/// What the vendor's parsers of names and values say, in their form.
pub(crate) fn problem(kind: &str, why: &str, value: &str) -> String {
    format!("FATAL problem: {kind} ({why}) encountered with '{value}'")
}

/// The labels' bytes, leftmost first, in lower case.
pub(crate) fn labels(name: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut labels = vec![Vec::new()];
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let own = unescaped(&mut bytes)
                    .ok_or_else(|| problem("InvalidEscape", "Escape code is invalid", name))?;
                last(&mut labels).push(own.to_ascii_lowercase());
            }
            0x21..=0x7e => last(&mut labels).push(byte.to_ascii_lowercase()),
            _ => {
                let why = "Value contains unsupported characters";
                return Err(problem("UnsupportedCharacter", why, name));
            }
        }
    }
    if labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    if labels.iter().any(Vec::is_empty) {
        return Err(problem("DomainLabelEmpty", "Domain label is empty", name));
    }
    if labels.iter().any(|label| label.len() > 63) {
        return Err(problem("DomainLabelTooLong", "Domain label is too long", name));
    }
    Ok(labels)
}

fn last(labels: &mut [Vec<u8>]) -> &mut Vec<u8> {
    labels.last_mut().unwrap()
}

/// The byte behind a backslash: three octal digits, or itself.
pub(crate) fn unescaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

fn escaped(label: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    label.iter().map(one).collect()
}

/// What names are listed by: labels reversed, each with its dot, which sorts with the rest.
pub(crate) fn order(canonical: &str) -> Vec<u8> {
    let labels = labels(canonical).unwrap_or_default();
    labels.iter().rev().flat_map(|label| [label.as_slice(), b"."].concat()).collect()
}

/// Whether the one canonical name lies at or below the other.
pub(crate) fn within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The name without its leftmost label.
pub(crate) fn parent(canonical: &str) -> Option<&str> {
    canonical.split_once('.').map(|(_, rest)| rest).filter(|rest| !rest.is_empty())
}
