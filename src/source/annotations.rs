//! What annotations ask of us: our own, and external-dns's under both of its prefixes.
//!
//! Ours win. A value that cannot be read is reported and left out; the others still apply.

use super::convert::host_name;
use crate::model::{Address, Annotations, Name, Ttl, Weight, parse_duration};
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
        hostnames: reader.list(own_first("hostname"), parse_name),
        targets: reader.list(theirs("target"), parse_target),
        ttl: reader.first(own_first("ttl"), parse_ttl),
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

    /// The items of the first of these annotations that has any that can be read.
    fn list<T>(&mut self, keys: impl IntoIterator<Item = String>, parse: Parse<T>) -> Vec<T> {
        for key in keys {
            let Some(value) = self.all.get(&key) else { continue };
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            let read: Vec<T> = items.filter_map(|item| self.item(&key, item, parse)).collect();
            if !read.is_empty() {
                return read;
            }
        }
        Vec::new()
    }

    fn item<T>(&mut self, key: &str, item: &str, parse: Parse<T>) -> Option<T> {
        let read = parse(item);
        if let Err(expected) = read {
            let text = format!("annotation {key}: {item:?} is not {expected}; it is left out");
            self.problems.push(text);
        }
        read.ok()
    }

    fn first<T>(&mut self, keys: impl IntoIterator<Item = String>, parse: Parse<T>) -> Option<T> {
        keys.into_iter().find_map(|key| {
            let value = self.all.get(&key)?;
            self.item(&key, value.trim(), parse)
        })
    }
}

fn theirs(name: &str) -> impl Iterator<Item = String> {
    EXTERNAL_DNS.into_iter().map(move |prefix| format!("{prefix}{name}"))
}

fn own_first(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(format!("{OWN}{name}")).chain(theirs(name))
}

fn parse_bool(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("\"true\" or \"false\""),
    }
}

fn parse_name(value: &str) -> Result<Name, &'static str> {
    host_name(value).ok_or("a host name")
}

fn parse_target(value: &str) -> Result<Address, &'static str> {
    value.parse().map_err(|_| "an IP address or a host name")
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
            ("external-dns.alpha.kubernetes.io/target", "192.0.2.300, 192.0.2.3"),
        ])
        .unwrap();
        assert!(!read.exclude && read.nodes);
        assert_eq!(read.ttl, Some(Ttl::from_secs(20)));
        assert_eq!(read.targets, ["192.0.2.3".parse().unwrap()]);
        assert_eq!(read.problems.len(), 4);
        assert_eq!(
            read.problems[0],
            "annotation meridian.dev/exclude: \"yes\" is not \"true\" or \"false\"; it is left out"
        );
    }
}
