//! The hosted zone of an AWS service's host name, without which Route 53 makes no ALIAS: from the
//! table beside this file, and from what the zone's owner says of hosts that it does not have.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// What an ALIAS says of its target beside the name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct HostedZone {
    pub(super) id: String,
    /// Whether the target's own health counts; for `CloudFront` it must not be asked for (API
    /// reference, `AliasTarget`: `EvaluateTargetHealth`).
    pub(super) evaluate: bool,
}

/// The zone of a host in lower case, without its final dot; `None` for others' hosts.
pub(super) fn of(host: &str, own: &BTreeMap<String, String>) -> Option<HostedZone> {
    let mut fitting: Vec<_> = own.iter().filter(|(suffix, _)| is_below(host, suffix)).collect();
    fitting.sort_by_key(|(suffix, _)| suffix.len());
    let id = fitting.last().map(|(_, id)| id.as_str()).or_else(|| known(host))?;
    Some(HostedZone { id: id.to_owned(), evaluate: id != CLOUD_FRONT })
}

fn known(host: &str) -> Option<&'static str> {
    if is_below(host, "cloudfront.net") {
        return Some(CLOUD_FRONT);
    }
    if is_below(host, "awsglobalaccelerator.com") {
        return Some(GLOBAL_ACCELERATOR);
    }
    let own = host.strip_suffix(".amazonaws.com").or(host.strip_suffix(".amazonaws.com.cn"))?;
    let labels: Vec<&str> = own.split('.').collect();
    let (region, network) = match labels[..] {
        [_, .., "elb", region] => (region, true),
        [_, .., region, "elb"] => (region, false),
        _ => return None,
    };
    let row = ELB.get(region)?;
    Some(if network { row.1 } else { row.0 })
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// By region: of application and classic load balancers, of network load balancers.
static ELB: LazyLock<HashMap<&'static str, (&'static str, &'static str)>> = LazyLock::new(|| {
    let lines = include_str!("hosted_zones.csv").lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let (region, zones) = line.split_once(',')?;
        Some((region, zones.split_once(',')?))
    };
    lines.filter_map(row).collect()
});

/// For all distributions (API reference, `AliasTarget`: `HostedZoneId`).
const CLOUD_FRONT: &str = "Z2FDTNDATAQYW2";
/// For all accelerators (the same).
const GLOBAL_ACCELERATOR: &str = "Z2BJ6XQ5FK7U4H";

#[cfg(test)]
mod tests {
    use super::*;

    fn said(host: &str) -> Option<(String, bool)> {
        of(host, &BTreeMap::new()).map(|zone| (zone.id, zone.evaluate))
    }

    #[test]
    fn every_row_is_a_known_region_with_two_zones_of_its_own() {
        let mut ids: Vec<&str> = ELB.values().flat_map(|(one, other)| [*one, *other]).collect();
        ids.extend([CLOUD_FRONT, GLOBAL_ACCELERATOR]);
        let form = |id: &&str| {
            let good = |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit();
            id.starts_with('Z') && (12..=32).contains(&id.len()) && id.bytes().all(good)
        };
        assert!(ids.iter().all(form), "{ids:?}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ELB.len(), ids.len()), (38, count), "no zone is there twice");
        let aws = |name: &str| crate::geo::region(name).is_some_and(|own| own.provider == "aws");
        assert!(ELB.keys().all(|region| aws(region)));
        // What the table of regions has more than this one.
        let all = crate::geo::regions().filter(|own| own.provider == "aws");
        let more: Vec<_> = all.map(|own| own.name).filter(|own| !ELB.contains_key(own)).collect();
        assert_eq!(more, ["eusc-de-east-1"]);
    }

    #[test]
    fn hosts_are_told_by_their_end() {
        let is = |id: &str, evaluate| Some((id.to_owned(), evaluate));
        assert_eq!(said("lb-1.us-east-1.elb.amazonaws.com"), is("Z35SXDOTRQ7X7K", true));
        assert_eq!(said("dualstack.lb-1.eu-west-1.elb.amazonaws.com"), is("Z32O12XQLNTSW2", true));
        assert_eq!(
            said("lb-1.elb.ap-southeast-7.amazonaws.com"),
            is("Z054363131YWATEMWRG5L", true)
        );
        assert_eq!(said("lb.elb.cn-north-1.amazonaws.com.cn"), is("Z3QFB96KMJ7ED6", true));
        assert_eq!(said("a1.awsglobalaccelerator.com"), is(GLOBAL_ACCELERATOR, true));
        assert_eq!(said("d1.cloudfront.net"), is(CLOUD_FRONT, false));
        for other in
            ["elb.amazonaws.com", "lb.mars-1.elb.amazonaws.com", "evilcloudfront.net", "x.test"]
        {
            assert_eq!(said(other), None, "{other}");
        }
    }

    #[test]
    fn the_owner_s_word_comes_first_and_the_longest_most_of_all() {
        let own = [
            ("vpce.amazonaws.com", "Z1AAAAAAAAAAA"),
            ("eu-west-2.vpce.amazonaws.com", "Z2AAAAAAAAAAA"),
            ("us-east-1.elb.amazonaws.com", "Z3AAAAAAAAAAA"),
        ];
        let own = own.map(|(suffix, id)| (suffix.to_owned(), id.to_owned())).into();
        let id = |host: &str| of(host, &own).map(|zone| zone.id).unwrap_or_default();
        assert_eq!(id("a.eu-west-2.vpce.amazonaws.com"), "Z2AAAAAAAAAAA");
        assert_eq!(id("a.eu-west-1.vpce.amazonaws.com"), "Z1AAAAAAAAAAA");
        assert_eq!(id("lb.us-east-1.elb.amazonaws.com"), "Z3AAAAAAAAAAA");
        assert_eq!(id("lb.us-east-2.elb.amazonaws.com"), "Z3AADJGX6KTTL2");
    }
}
