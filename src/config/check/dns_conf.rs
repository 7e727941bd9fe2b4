//! The `dns.conf` of Kubernetes federation v1, read as its own reader (gcfg) did: one section
//! `[Global]`, `key = value` lines, quotes, comments. Values may be secrets, so none is ever shown.

use super::Findings;
use crate::config::head::did_you_mean;
use std::{collections::BTreeMap, fs, path::Path};

/// The values, by the keys as they were asked for.
pub(super) type DnsConf = BTreeMap<&'static str, String>;

/// Reads the file; `known` are the keys that it may have.
pub(super) fn read(
    findings: &mut Findings,
    field: &str,
    path: &Path,
    known: &[&'static str],
) -> Option<DnsConf> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            findings.error(format!("{field}: {shown}: {error}"));
            return None;
        }
    };
    match parse(&text, known) {
        Ok(conf) => Some(conf),
        Err(slips) => {
            for (line, slip) in slips {
                findings.error(format!("{field}: {shown}:{line}: {slip}"));
            }
            None
        }
    }
}

/// The values, or every slip with its line.
fn parse(text: &str, known: &[&'static str]) -> Result<DnsConf, Vec<(usize, String)>> {
    let (mut conf, mut slips, mut inside) = (DnsConf::new(), Vec::new(), false);
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let outcome = match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => section(line).map(|()| inside = true),
            Some(_) if !inside => Err("stands before the section [Global]".to_owned()),
            Some(_) => pair(&mut conf, line, known),
        };
        slips.extend(outcome.err().map(|slip| (at + 1, slip)));
    }
    if slips.is_empty() { Ok(conf) } else { Err(slips) }
}

fn section(line: &str) -> Result<(), String> {
    let name = line.trim_start_matches('[').split_once(']').filter(|(_, rest)| is_comment(rest));
    let name = name.map_or(line, |(name, _)| name.trim());
    if name.eq_ignore_ascii_case("global") {
        return Ok(());
    }
    Err(format!("{name:?} is not the section [Global], which is the only one"))
}

fn pair(conf: &mut DnsConf, line: &str, known: &[&'static str]) -> Result<(), String> {
    let Some((key, written)) = line.split_once('=') else {
        return Err("is not `key = value`".to_owned());
    };
    let key = key.trim();
    let Some(own) = known.iter().find(|own| own.eq_ignore_ascii_case(key)) else {
        let near = did_you_mean(&key.to_lowercase(), known.iter().copied());
        return Err(format!("unknown key {key:?}, expected one of {}{near}", known.join(", ")));
    };
    let value = value(written).map_err(|slip| format!("{own}: {slip}"))?;
    match conf.insert(own, value) {
        None => Ok(()),
        Some(_) => Err(format!("{own}: is given twice")),
    }
}

/// A value, bare or in quotes; outside of quotes `#` and `;` begin a comment.
fn value(written: &str) -> Result<String, String> {
    let (mut value, mut quoted, mut kept) = (String::new(), false, 0);
    let mut letters = written.trim_start().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => value.push(match letters.next() {
                Some(own @ ('"' | '\\')) => own,
                Some('n') => '\n',
                Some('t') => '\t',
                _ => return Err("has a backslash before neither \", \\, n nor t".to_owned()),
            }),
            '#' | ';' if !quoted => break,
            own => value.push(own),
        }
        // What was quoted or escaped stays, space or not.
        if quoted || matches!(letter, '"' | '\\') || !letter.is_whitespace() {
            kept = value.len();
        }
    }
    if quoted {
        return Err("its quotes do not end".to_owned());
    }
    value.truncate(kept);
    Ok(value)
}

fn is_comment(rest: &str) -> bool {
    matches!(rest.trim_start().chars().next(), None | Some('#' | ';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["project-id", "token-url", "resourceGroup"];

    #[test]
    fn values_are_bare_or_quoted_and_keys_in_any_case() {
        let text = "\u{feff}; a comment\n[global] # the one\n\n  Project-ID = my-project ; mine\n\
                    resourcegroup=\"a \\\"b\\\" #c\\\\\"  \ntoken-url =\r\n";
        let conf = parse(text, KEYS).unwrap();
        assert_eq!(conf["project-id"], "my-project");
        assert_eq!(conf["resourceGroup"], r#"a "b" #c\"#);
        assert_eq!(conf["token-url"], "");
        assert_eq!(parse("", KEYS), Ok(DnsConf::new()));
    }

    #[test]
    fn slips_are_said_with_their_line_and_without_values() {
        for (text, line, word) in [
            ("project-id = s3cret", 1, "before the section"),
            ("[Global]\nproject = s3cret", 2, "did you mean \"project-id\"?"),
            ("[Global]\nfoo = s3cret", 2, "project-id, token-url, resourceGroup"),
            ("[Global]\ns3cret", 2, "is not `key = value`"),
            ("[Global]\nproject-id = \"s3cret", 2, "project-id: its quotes do not end"),
            ("[Global]\nproject-id = s3cret\\", 2, "backslash"),
            ("[Global]\nproject-id = s3cret\nproject-id = b", 3, "given twice"),
            ("[Other]", 1, "\"Other\" is not the section [Global]"),
            ("[Global", 1, "is not the section"),
        ] {
            let slips = parse(text, KEYS).unwrap_err();
            let [(at, slip)] = slips.as_slice() else { panic!("{slips:?}") };
            assert!(*at == line && slip.contains(word) && !slip.contains("s3cret"), "{at}: {slip}");
        }
    }
}
