//! What annotations ask of us: our own, and external-dns's under both of its prefixes.
//!
//! Ours win. A value that cannot be read is reported and left out; the others still apply.

use crate::model::{Address, AddressParseError, Annotations, Name, Ttl, Weight, parse_duration};
use std::collections::BTreeMap;

const OWN: &str = "meridian.dev/";
const EXTERNAL_DNS: [&str; 2] =
    ["external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/"];

/// What they ask; `None` when none of them is for us.
pub(super) fn read(all: Option<&BTreeMap<String, String>>) -> Option<Box<Annotations>> {
    let all = all?;
    let ours = |key: &str| key.starts_with(OWN) || EXTERNAL_DNS.iter().any(|p| key.starts_with(p));
    if !all.keys().any(|key| ours(key)) {
        return None;
    }
    let mut reader = Reader { all, problems: Vec::new() };
    let read = Annotations {
        exclude: reader.own("exclude", parse_bool).unwrap_or_default(),
        hostnames: reader.both("hostname", parse_names).unwrap_or_default(),
        targets: reader.theirs("target", parse_targets).unwrap_or_default(),
        ttl: reader.both("ttl", parse_ttl),
        nodes: reader.own("endpoints", parse_endpoints).unwrap_or_default(),
        weight: reader.own("weight", parse_weight),
        policy: reader.own("policy", parse_policy),
        problems: Vec::new(),
    };
    let read = Annotations { problems: reader.problems, ..read };
    (read != Annotations::default()).then(|| Box::new(read))
}

struct Reader<'a> {
    all: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

type Parse<T> = fn(&str) -> Result<T, &'static str>;

impl Reader<'_> {
    fn own<T>(&mut self, name: &str, parse: Parse<T>) -> Option<T> {
        self.first([format!("{OWN}{name}")], parse)
    }

    fn theirs<T>(&mut self, name: &str, parse: Parse<T>) -> Option<T> {
        self.first(EXTERNAL_DNS.map(|prefix| format!("{prefix}{name}")), parse)
    }

    fn both<T>(&mut self, name: &str, parse: Parse<T>) -> Option<T> {
        let own = self.own(name, parse);
        if own.is_some() { own } else { self.theirs(name, parse) }
    }

    fn first<T>(&mut self, keys: impl IntoIterator<Item = String>, parse: Parse<T>) -> Option<T> {
        for key in keys {
            let Some(value) = self.all.get(&key) else { continue };
            match parse(value.trim()) {
                Ok(read) => return Some(read),
                Err(expected) => self
                    .problems
                    .push(format!("annotation {key}: {value:?} is not {expected}; it is left out")),
            }
        }
        None
    }
}

fn parse_bool(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("\"true\" or \"false\""),
    }
}

fn parse_names(value: &str) -> Result<Vec<Name>, &'static str> {
    let names: Result<Vec<Name>, _> =
        listed(value).map(|name| name.to_lowercase().parse()).collect();
    names.map_err(|_| "a list of host names, separated by commas")
}

fn parse_targets(value: &str) -> Result<Vec<Address>, &'static str> {
    let targets: Result<Vec<Address>, AddressParseError> = listed(value).map(str::parse).collect();
    targets.map_err(|_| "a list of IP addresses and host names, separated by commas")
}

/// Seconds, or a duration as Go writes it (`1m30s`).
fn parse_ttl(value: &str) -> Result<Ttl, &'static str> {
    let expected = "seconds (1 to 2147483647) or a duration such as 1m30s";
    let seconds = match value.parse::<u32>() {
        Ok(seconds) => seconds,
        Err(_) => parse_duration(value)
            .and_then(|duration| u32::try_from(duration.as_secs()).ok())
            .ok_or(expected)?,
    };
    let in_range = (1..=Ttl::MAX.as_secs()).contains(&seconds);
    if in_range { Ok(Ttl::from_secs(seconds)) } else { Err(expected) }
}

fn parse_endpoints(value: &str) -> Result<bool, &'static str> {
    match value {
        "nodes" => Ok(true),
        "loadBalancer" => Ok(false),
        _ => Err("\"nodes\" or \"loadBalancer\""),
    }
}

fn parse_weight(value: &str) -> Result<Weight, &'static str> {
    let weight = value.parse().ok().and_then(Weight::new);
    weight.ok_or("a weight from 0 to 1048576")
}

fn parse_policy(value: &str) -> Result<std::sync::Arc<str>, &'static str> {
    if value.is_empty() { Err("the name of a TrafficPolicy") } else { Ok(value.into()) }
}

fn listed(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|one| !one.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(pairs: &[(&str, &str)]) -> Option<Box<Annotations>> {
        let all = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read(Some(&all))
    }

    #[test]
    fn annotations_of_others_are_not_read() {
        assert_eq!(read_all(&[("kubernetes.io/ingress.class", "nginx")]), None);
        assert_eq!(read(None), None);
    }

    #[test]
    fn ours_win_over_external_dns_under_both_its_prefixes() {
        let read = read_all(&[
            ("meridian.dev/hostname", "a.example.org, B.example.org"),
            ("external-dns.alpha.kubernetes.io/hostname", "c.example.org"),
            ("external-dns.alpha.kubernetes.io/ttl", "1m30s"),
            ("external-dns.kubernetes.io/target", "192.0.2.1, lb.example.net"),
        ])
        .unwrap();
        let names: Vec<_> = read.hostnames.iter().map(Name::to_string).collect();
        assert_eq!(names, ["a.example.org.", "b.example.org."]);
        assert_eq!(read.ttl, Some(Ttl::from_secs(90)));
        assert_eq!(read.targets.len(), 2);
        assert!(read.problems.is_empty());
    }

    #[test]
    fn a_bad_value_is_reported_and_the_others_apply() {
        let read = read_all(&[
            ("meridian.dev/exclude", "yes"),
            ("meridian.dev/ttl", "-3"),
            ("external-dns.alpha.kubernetes.io/ttl", "20"),
            ("meridian.dev/weight", "9999999"),
            ("meridian.dev/endpoints", "nodes"),
            ("external-dns.alpha.kubernetes.io/target", "192.0.2.300"),
        ])
        .unwrap();
        assert!(!read.exclude && read.nodes);
        assert_eq!(read.ttl, Some(Ttl::from_secs(20)));
        assert_eq!(read.problems.len(), 4);
        assert_eq!(
            read.problems[0],
            "annotation meridian.dev/exclude: \"yes\" is not \"true\" or \"false\"; it is left out"
        );
    }
}
