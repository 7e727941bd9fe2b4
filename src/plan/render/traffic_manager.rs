//! A route as a tree of Traffic Manager profiles (providers.md §3.3, §4), which the record set
//! carries as one text: what the plan compares, and what the wire makes profiles of.
//!
//! | route | profiles | said |
//! | --- | --- | --- |
//! | the same for all | none: plain records | exactly |
//! | shares | `Weighted`, 1 to 1000 | exactly, to a thousandth; a client is drawn anew each time |
//! | places | `Geographic`, `WORLD` for the default | countries and subdivisions of US, CA, AU and GB exactly; continents nearly: Asia takes in the Middle East, which the service has apart, and its borders with Oceania differ; Antarctica not at all |
//! | shares of a place | `Weighted` within the place | exactly, as shares are |
//! | the nearest | `Performance`, each cluster at the Azure region nearest to it | nearly: by the latency that Azure measures, and without bias |
//! | several addresses | `MultiValue` within the above | exactly, up to eight |
//!
//! Only what is to be answered now is in the tree, and nothing in it is checked by the service:
//! our own checks decide. Addresses that are not on the open internet are refused there, so a name
//! that has one keeps plain records.

use super::{
    Fidelity, Notes, native,
    native::{Near, Place, Route},
    profile::{Profile, ProfileEndpoint, ProfileTarget},
    public::is_public,
};
use crate::{
    geo,
    model::{Name, Ttl},
    plan::{Attributes, RecordSet, SetKey},
    policy::{Share, distance_km},
    records::RecordType,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What is written in place of a family's records.
pub(super) enum Said {
    /// An alias with its tree.
    Routed(RecordSet),
    /// Plain records of these addresses: all clients get them.
    Plain(Vec<IpAddr>),
    /// Plain records of whatever is answered to nobody in particular.
    Neutral,
}

/// The set of one family.
pub(super) fn set(name: &Name, ttl: Ttl, v6: bool, route: &Route, notes: &mut Notes) -> Said {
    let mut making = Making { name, ttl: ttl.as_secs(), notes };
    let tree = match route {
        Route::Same(ips) => return Said::Plain(ips.clone()),
        Route::Shares(shares) => making.shares(shares),
        Route::Places { places, default } => making.places(places, default),
        Route::Nearest(all) => making.nearest(all),
    };
    let tree = match tree {
        Target::Profile(tree) => tree.sorted(),
        Target::Addresses(ips) => return Said::Plain(ips),
    };
    if let Some(ip) = tree.addresses().into_iter().find(|ip| !is_public(*ip)) {
        let text = format!(
            "{ip} is not on the open internet, which Traffic Manager refuses: all clients get the \
             records of those whose place is not known"
        );
        notes.note(name, "order", Fidelity::Unsupported, text);
        return Said::Neutral;
    }
    let rtype = if v6 { RecordType::AAAA } else { RecordType::A };
    let more = Attributes::from([(Profile::WORD.into(), tree.text())]);
    let key = SetKey::plain(name, rtype);
    Said::Routed(RecordSet { key, ttl: None, data: Vec::new(), more, version: None })
}

/// What an endpoint, or the whole name, answers.
enum Target {
    Addresses(Vec<IpAddr>),
    Profile(Profile),
}

struct Making<'m> {
    name: &'m Name,
    ttl: u32,
    notes: &'m mut Notes,
}

impl Making<'_> {
    /// Weights 1 to 1000 in the ratio of the shares; those with the same addresses are one.
    fn shares(&mut self, shares: &[Share]) -> Target {
        let mut all: Vec<Share> = Vec::new();
        for share in shares {
            match all.iter_mut().find(|own| as_set(&own.addresses) == as_set(&share.addresses)) {
                Some(same) => {
                    same.part += share.part;
                    same.clusters.extend(share.clusters.iter().cloned());
                }
                None => all.push(share.clone()),
            }
        }
        if let [only] = all.as_slice() {
            return Target::Addresses(only.addresses.clone());
        }
        let most = all.iter().map(|share| share.part).fold(f64::MIN_POSITIVE, f64::max);
        let mut profile = Profile::new("Weighted", self.ttl);
        for share in &all {
            let clusters: Vec<_> = share.clusters.iter().map(ToString::to_string).collect();
            let target = Target::Addresses(share.addresses.clone());
            let mut endpoint = self.endpoint(&mut profile, clusters.join("_"), target);
            endpoint.weight = Some(thousandths(share.part / most));
            profile.endpoints.push(endpoint);
        }
        Target::Profile(profile.sorted())
    }

    /// One endpoint for each answer, with all places that get it: the service wants a place once.
    fn places(&mut self, places: &BTreeMap<Place, Vec<Share>>, default: &[Share]) -> Target {
        let mut answers: Vec<(Answer, BTreeSet<String>)> =
            vec![(answer(default), BTreeSet::from(["WORLD".to_owned()]))];
        let mut shown = BTreeMap::from([(answer(default), default)]);
        for (place, shares) in places {
            let (own, codes) = (answer(shares), self.codes(place));
            match answers.iter_mut().find(|(other, _)| *other == own) {
                Some((_, all)) => all.extend(codes),
                None => answers.push((own.clone(), codes.into_iter().collect())),
            }
            shown.insert(own, shares);
        }
        answers.retain(|(_, codes)| !codes.is_empty());
        if let [(only, _)] = answers.as_slice() {
            return self.shares(shown[only]);
        }
        let mut profile = Profile::new("Geographic", self.ttl);
        for (own, codes) in answers {
            let target = self.shares(shown[&own]);
            let geo: Vec<String> = codes.into_iter().collect();
            // The default's endpoint keeps its name, whatever places share it.
            let name = geo.iter().find(|code| *code == "WORLD").unwrap_or(&geo[0]).clone();
            let mut endpoint = self.endpoint(&mut profile, name, target);
            endpoint.geo = geo;
            profile.endpoints.push(endpoint);
        }
        Target::Profile(profile.sorted())
    }

    fn nearest(&mut self, all: &[Near]) -> Target {
        let distinct: BTreeSet<_> = all.iter().map(|near| as_set(&near.addresses)).collect();
        if distinct.len() < 2 {
            let ips = all.first().map(|near| near.addresses.clone());
            return Target::Addresses(ips.unwrap_or_default());
        }
        let text = "each client gets the cluster whose nearest Azure region answers it soonest";
        self.note("order.proximity", Fidelity::Approximate, text.to_owned());
        if all.iter().any(|near| near.bias.abs() > 0.0) {
            let text = "Traffic Manager knows no bias: it is left out";
            self.note("order.proximity.bias", Fidelity::Unsupported, text.to_owned());
        }
        let mut profile = Profile::new("Performance", self.ttl);
        for near in all {
            let target = Target::Addresses(near.addresses.clone());
            let mut endpoint = self.endpoint(&mut profile, near.cluster.to_string(), target);
            endpoint.location = nearest_region(near.point).map(str::to_owned);
            profile.endpoints.push(endpoint);
        }
        Target::Profile(profile.sorted())
    }

    /// An endpoint: an address, or a profile where there are several, or where a sibling has the
    /// address (the service takes a target once).
    fn endpoint(&mut self, parent: &mut Profile, name: String, target: Target) -> ProfileEndpoint {
        let has = |ip: &IpAddr| {
            let own = ProfileTarget::Address(*ip);
            parent.endpoints.iter().any(|sibling| sibling.target == own)
        };
        let target = match target {
            Target::Profile(profile) => ProfileTarget::Profile(profile),
            Target::Addresses(ips) => match ips[..] {
                [ip] if !has(&ip) => ProfileTarget::Address(ip),
                _ => ProfileTarget::Profile(self.many(&ips)),
            },
        };
        ProfileEndpoint::new(name, target)
    }

    /// All of them at once, eight at most.
    fn many(&mut self, ips: &[IpAddr]) -> Profile {
        if ips.len() > MOST_VALUES {
            let text =
                format!("{} addresses, of which Traffic Manager answers {MOST_VALUES}", ips.len());
            self.note("limit", Fidelity::Approximate, text);
        }
        let mut profile = Profile::new("MultiValue", self.ttl);
        for ip in ips.iter().take(MOST_VALUES) {
            // Names of endpoints have no colons.
            let name = ip.to_string().replace(':', "-");
            profile.endpoints.push(ProfileEndpoint::new(name, ProfileTarget::Address(*ip)));
        }
        profile.most = Some(profile.endpoints.len() as u64);
        profile.sorted()
    }

    /// The service's codes for a place; none where it has no word for it.
    fn codes(&mut self, place: &Place) -> Vec<String> {
        let codes: &[&str] = match place {
            Place::Continent(own) => match own.as_str() {
                "AF" => &["GEO-AF"],
                "AS" => {
                    let text = "Asia is Traffic Manager's Asia and Middle East; islands towards \
                                Australia count to Oceania there";
                    self.note("order.geo.continents", Fidelity::Approximate, text.to_owned());
                    &["GEO-AS", "GEO-ME"]
                }
                "EU" => &["GEO-EU"],
                "NA" => &["GEO-NA"],
                "SA" => &["GEO-SA"],
                "OC" => {
                    let text = "Oceania is Traffic Manager's Australia / Pacific, to which some \
                                islands of Asia count";
                    self.note("order.geo.continents", Fidelity::Approximate, text.to_owned());
                    &["GEO-AP"]
                }
                other => return self.unknown("order.geo.continents", other, "the world"),
            },
            Place::Country(own) if COUNTRIES_WITHOUT.contains(&own.as_str()) => {
                return self.unknown("order.geo.countries", own, "the world");
            }
            Place::Country(own) => return vec![own.clone()],
            Place::Part(own, part) => {
                let known = PARTS.iter().find(|(country, _)| country == own);
                if known.is_some_and(|(_, all)| all.split(' ').any(|one| one == part)) {
                    return vec![format!("{own}-{part}")];
                }
                let text = format!("{own}-{part}");
                return self.unknown("order.geo.subdivisions", &text, own);
            }
        };
        codes.iter().map(|code| (*code).to_owned()).collect()
    }

    fn unknown(&mut self, clause: &'static str, place: &str, whole: &str) -> Vec<String> {
        let text = format!(
            "Traffic Manager does not tell {place} apart: it is taken as a part of {whole}"
        );
        self.note(clause, Fidelity::Unsupported, text);
        Vec::new()
    }

    fn note(&mut self, clause: &'static str, fidelity: Fidelity, text: String) {
        self.notes.note(self.name, clause, fidelity, text);
    }
}

/// Says that places share their clients anew with each query, where they do.
pub(super) fn note_shares(name: &Name, route: &Route, notes: &mut Notes) {
    let Route::Places { places, default } = route else { return };
    if places.values().map(Vec::as_slice).chain([default.as_slice()]).any(|all| all.len() > 1) {
        native::note_draws(name, notes);
    }
}

/// What tells one answer from another: each share's addresses and its weight.
type Answer = Vec<(BTreeSet<IpAddr>, u64)>;

fn answer(shares: &[Share]) -> Answer {
    let mut all: Answer =
        shares.iter().map(|share| (as_set(&share.addresses), thousandths(share.part))).collect();
    all.sort();
    all
}

fn as_set(ips: &[IpAddr]) -> BTreeSet<IpAddr> {
    ips.iter().copied().collect()
}

/// Whoever has a share has a weight.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1 to 1000
fn thousandths(part: f64) -> u64 {
    (part * 1000.0).round().clamp(1.0, 1000.0) as u64
}

/// Of the public cloud's regions; where two are equally near, the first by name.
fn nearest_region(point: (f64, f64)) -> Option<&'static str> {
    let public = |name: &str| !SOVEREIGN.iter().any(|prefix| name.starts_with(prefix));
    let all = geo::regions().filter(|own| own.provider == "azure" && public(own.name));
    let far = |own: &geo::Region| own.location().coordinates.map(|at| distance_km(at, point));
    let all = all.filter_map(|own| Some((far(&own)?, own.name)));
    all.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(other.1))).map(|own| own.1)
}

/// Addresses that one answer holds.
const MOST_VALUES: usize = 8;
/// How regions of clouds apart from the public one begin.
const SOVEREIGN: [&str; 2] = ["china", "usgov"];
/// Countries that are in none of the service's groups.
const COUNTRIES_WITHOUT: [&str; 4] = ["AQ", "BV", "HM", "TF"];
/// Subdivisions that the service tells apart (ISO 3166-2).
const PARTS: [(&str, &str); 4] = [
    ("AU", "ACT NSW NT QLD SA TAS VIC WA"),
    ("CA", "AB BC MB NB NL NS NT NU ON PE QC SK YT"),
    ("GB", "ENG NIR SCT WLS"),
    (
        "US",
        "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND \
         NE NH NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY",
    ),
];

#[cfg(test)]
mod tests;
