//! A route as Route 53's sets: weighted, by place, by distance (providers.md §1.4), and aliases of
//! AWS's own hosts.

use super::{
    Fidelity, Notes, hosted_zones, native,
    native::{Near, Place, Route},
};
use crate::{
    model::{Name, Ttl},
    plan::{RecordSet, SET_PREFIX},
    policy::Share,
    records::{RecordType, Rrset},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Sets of one name and type beside each other: 30 by distance, 100 otherwise (§1.2).
const MOST_NEAR: usize = 30;
pub(super) const MOST: usize = 100;
/// Characters of a set identifier.
const LONGEST_ID: usize = 128;

/// The sets of one family.
pub(super) fn sets(
    name: &Name,
    ttl: Ttl,
    v6: bool,
    route: &Route,
    notes: &mut Notes,
) -> Vec<RecordSet> {
    let of = |ips: &[IpAddr]| plain(name, ttl, v6, ips);
    let sets: Vec<RecordSet> = match route {
        Route::Same(ips) => of(ips).into_iter().collect(),
        Route::Shares(shares) => weighted(name, shares, &of, notes),
        Route::Places { places, default } => {
            let rest = of(&native::merged(name, default, notes));
            let rest = rest.map(|set| routed(set, "default", [("geo", "country/*".into())]));
            let own = places.iter().filter_map(|(place, shares)| {
                let ips = native::merged(name, shares, notes);
                let (id, geo) = place_words(name, place, notes)?;
                Some(routed(of(&ips)?, &id, [("geo", geo)]))
            });
            own.chain(rest).collect()
        }
        Route::Nearest(all) => {
            let all = at_points(name, all, notes);
            all.iter().filter_map(|near| at_point(of(&near.addresses)?, near)).collect()
        }
    };
    let most = if matches!(route, Route::Nearest(_)) { MOST_NEAR } else { MOST };
    if sets.len() > most {
        let text = format!("{} answers, of which Route 53 takes {most} for a name", sets.len());
        notes.note(name, "order", Fidelity::Approximate, text);
    }
    sets.into_iter().take(most).collect()
}

/// What is answered now, and what Route 53 answers by itself once a check of that fails.
pub(super) fn failover(name: &Name, ttl: Ttl, v6: bool, pair: &[Share; 2]) -> Vec<RecordSet> {
    let roles = [("primary", "PRIMARY"), ("secondary", "SECONDARY")];
    let set = |(share, (id, role)): (&Share, (&str, &str))| {
        let set = plain(name, ttl, v6, &share.addresses)?;
        Some(routed(set, id, [("failover", role.to_owned())]))
    };
    pair.iter().zip(roles).filter_map(set).collect()
}

/// A set for each address, of which Route 53 answers up to eight that are healthy.
pub(super) fn multivalue(name: &Name, rrset: &Rrset) -> Vec<RecordSet> {
    let one = |data: &[u8]| {
        let set = RecordSet::plain(name, rrset.rtype, rrset.ttl, [data]);
        let id = set.texts_of_data().next().unwrap_or_default();
        routed(set, &id, [("multivalue", "true".to_owned())])
    };
    rrset.rdata().map(one).collect()
}

pub(super) fn plain(name: &Name, ttl: Ttl, v6: bool, ips: &[IpAddr]) -> Option<RecordSet> {
    let all = ips.iter().copied();
    let rrset = if v6 { Rrset::aaaa(ttl, all) } else { Rrset::a(ttl, all) };
    rrset.map(|rrset| RecordSet::of(name, &rrset))
}

pub(super) fn routed<const N: usize>(
    mut set: RecordSet,
    id: &str,
    words: [(&str, String); N],
) -> RecordSet {
    set.key.id = Some(identifier(id));
    set.more = words.into_iter().map(|(word, value)| (word.into(), value.into())).collect();
    set
}

/// What is too long is cut, and told apart by a hash of the whole.
fn identifier(id: &str) -> Arc<str> {
    let whole = format!("{SET_PREFIX}{id}");
    if whole.len() <= LONGEST_ID {
        return whole.into();
    }
    let hash = HEXLOWER.encode(&Sha256::digest(whole.as_bytes())[..8]);
    let end = whole.floor_char_boundary(LONGEST_ID - hash.len() - 1);
    format!("{}~{hash}", &whole[..end]).into()
}

/// Weights 0 to 255 in the ratio of the shares; whoever has a share has a weight. A weighted set
/// holds one address (providers.md §1.4), so that a cluster with several has as many sets.
fn weighted(
    name: &Name,
    shares: &[Share],
    of: &dyn Fn(&[IpAddr]) -> Option<RecordSet>,
    notes: &mut Notes,
) -> Vec<RecordSet> {
    if shares.iter().any(|share| share.addresses.len() > 1) {
        let text = "clients get one address of their cluster, not all: Route 53 weighs each alone";
        notes.note(name, "weights", Fidelity::Approximate, text.to_owned());
    }
    let most = shares.iter().map(each).fold(f64::MIN_POSITIVE, f64::max);
    let one = |share: &Share| {
        let clusters: Vec<_> = share.clusters.iter().map(ToString::to_string).collect();
        let weight = (each(share) / most * 255.0).round().clamp(1.0, 255.0);
        let set = |ip: &IpAddr| {
            let id = match share.addresses.len() {
                1 => clusters.join("+"),
                _ => format!("{}/{ip}", clusters.join("+")),
            };
            Some(routed(of(&[*ip])?, &id, [("weight", format!("{weight:.0}"))]))
        };
        share.addresses.iter().filter_map(set).collect::<Vec<_>>()
    };
    shares.iter().flat_map(one).collect()
}

/// What of a share falls to each of its addresses.
#[allow(clippy::cast_precision_loss)] // hundreds at most
fn each(share: &Share) -> f64 {
    share.part / share.addresses.len().max(1) as f64
}

/// Set identifier and location; subdivisions are those of the United States alone.
fn place_words(name: &Name, place: &Place, notes: &mut Notes) -> Option<(String, String)> {
    Some(match place {
        Place::Continent(own) => (own.clone(), format!("continent/{own}")),
        Place::Country(own) => (format!("country-{own}"), format!("country/{own}")),
        Place::Part(own, part) if own == "US" => {
            (format!("{own}-{part}"), format!("country/{own}/{part}"))
        }
        Place::Part(own, part) => {
            let text = format!("{own}-{part} is taken as a part of {own}");
            notes.note(name, "order.geo.subdivisions", Fidelity::Unsupported, text);
            return None;
        }
    })
}

/// One set for a point: Route 53 takes no two of them.
fn at_points(name: &Name, all: &[Near], notes: &mut Notes) -> Vec<Near> {
    let mut points: Vec<Near> = Vec::new();
    for near in all {
        let same = points.iter_mut().find(|own| point(own) == point(near));
        let Some(same) = same else {
            points.push(near.clone());
            continue;
        };
        let text = format!(
            "clusters {} and {} are at one place: clients near it get the addresses of both",
            same.cluster, near.cluster
        );
        notes.note(name, "order.proximity", Fidelity::Approximate, text);
        for ip in &near.addresses {
            if !same.addresses.contains(ip) {
                same.addresses.push(*ip);
            }
        }
    }
    points
}

/// Two decimals at most (§1.2).
fn point(near: &Near) -> String {
    format!("coordinates/{:.2}/{:.2}", near.point.0, near.point.1)
}

fn at_point(set: RecordSet, near: &Near) -> Option<RecordSet> {
    let bias = format!("{:.0}", near.bias.clamp(-99.0, 99.0));
    Some(routed(set, &near.cluster.to_string(), [("near", point(near)), ("bias", bias)]))
}

// === Load balancers ===

/// The alias of an AWS load balancer in place of a CNAME: it costs no second look-up, and may
/// stand at the apex. `None` for other targets.
pub(super) fn alias(
    name: &Name,
    target: &Name,
    own: &BTreeMap<String, String>,
) -> Option<RecordSet> {
    let host = target.without_dot().to_lowercase();
    let zone = hosted_zones::of(&host, own)?;
    let mut set = RecordSet::plain(name, RecordType::A, Ttl::WRITTEN, [[0_u8; 0]; 0]);
    set.ttl = None;
    let words: [(&str, Arc<str>); 2] = [
        ("alias", format!("{}/{host}.", zone.id).into()),
        ("evaluate", zone.evaluate.to_string().into()),
    ];
    set.more = words.into_iter().map(|(word, value)| (word.into(), value)).collect();
    Some(set)
}
