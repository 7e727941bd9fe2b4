//! Checks at Cloud DNS (providers.md §2): which policies' addresses Google checks, how, and what of
//! our own check gets lost. One check is for all addresses of a set, so that all of them are checked
//! or none is. It is a text; the provider's wire makes one of compute's health checks of it:
//!
//! ```text
//! http://*:80/healthz host=shop.example interval=30 timeout=3 fall=3 rise=2 from=<three regions>
//! https://*:443/ host=shop.example interval=30 timeout=3 fall=3 rise=2 from=… body=<to the end>
//! tcp://*:443 interval=30 timeout=3 fall=3 rise=2 from=…
//! ```

use super::{Fidelity, Notes, checks, cloud_dns, native};
use crate::{
    geo,
    health::{Check, Http, Method, Protocol, Statuses},
    model::{ClusterName, Name, Ttl},
    plan::{RecordSet, Wanted},
    policy::{Order, Share, Steering, distance_km},
    records::RecordType,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// One name whose addresses Google may check.
pub(super) struct Checks<'c> {
    pub(super) name: &'c Name,
    pub(super) wanted: &'c Wanted,
    /// Whether the zone is signed.
    pub(super) signed: bool,
}

impl Checks<'_> {
    /// Has the addresses of a steered set checked, where that can be said.
    pub(super) fn put(&self, steering: &Steering, set: &mut RecordSet, notes: &mut Notes) {
        let Some(mut policy) = policy_of(set) else {
            return self.put_alone(steering, set, notes);
        };
        let answers: Vec<Vec<IpAddr>> = items(&mut policy).iter().map(addresses).collect();
        let Some(check) = self.judge(&answers, notes) else { return };
        items(&mut policy).iter_mut().for_each(put_targets);
        if policy["geo"].is_object() {
            self.confine(steering, &mut policy, notes);
        }
        set.more.insert("policy".into(), cloud_dns::policy_text(policy).into());
        set.more.insert("check".into(), check.into());
    }

    /// What all clients get: several addresses are checked, one has nothing to go to.
    fn put_alone(&self, steering: &Steering, set: &mut RecordSet, notes: &mut Notes) {
        let v6 = set.key.rtype == RecordType::AAAA;
        let ips: Vec<IpAddr> = checks::addresses(set).collect();
        match ips.as_slice() {
            [only] if !self.wanted.checks.contains_key(only) => {}
            // Of a list that has more it was said before why that is not checked.
            [_] if native::tiers(steering, v6).is_some() => {}
            [_] => {
                let text = "not checked by Google, which has one answer for all clients";
                self.note(notes, Fidelity::Unsupported, text);
            }
            _ => {
                let shared = self.shared(v6, set.ttl.unwrap_or(Ttl::WRITTEN), &ips, notes);
                *set = shared.unwrap_or_else(|| set.clone());
            }
        }
    }

    /// Clients of a place whose addresses all fail are sent on, but not out of a fence.
    fn confine(&self, steering: &Steering, policy: &mut Value, notes: &mut Notes) {
        if !steering.steer.fence.is_empty() {
            policy["geo"]["enableFencing"] = json!(true);
            let text = "where all addresses of a place fail Google's checks, its clients are kept \
                        there until they may be sent elsewhere, which is written anew";
            self.note(notes, Fidelity::Approximate, text);
        } else if matches!(steering.steer.order, Order::Geo(_)) {
            let text = "clients of a place that fails Google's checks go to the nearest that does \
                        not, whatever the policy's order, until it is written anew";
            self.note(notes, Fidelity::Approximate, text);
        }
    }

    /// A failover list as what is answered now and what Google turns to by itself.
    pub(super) fn failover(
        &self,
        ttl: Ttl,
        v6: bool,
        steering: &Steering,
        notes: &mut Notes,
    ) -> Option<RecordSet> {
        let tiers = native::tiers(steering, v6)?;
        let backup = by_place(steering, &tiers.next);
        let first = &tiers.first.addresses;
        let answers: Vec<_> = [first].into_iter().chain(backup.values()).cloned().collect();
        let check = self.judge(&answers, notes)?;
        if tiers.more {
            let text = "Google turns between two tiers; those behind them are written when they \
                        are needed";
            notes.note(self.name, "order.failover", Fidelity::Approximate, text.to_owned());
        }
        if tiers.next.len() > 1 {
            let text = "clients that Google sends to the second tier go to the nearest cluster of \
                        it, without weights";
            notes.note(self.name, "weights", Fidelity::Approximate, text.to_owned());
        }
        let item = |(place, ips): (&&str, &Vec<IpAddr>)| json!({"location": place, "healthCheckedTargets": targets(ips)});
        let items: Vec<Value> = backup.iter().map(item).collect();
        let pair = json!({"primaryTargets": targets(first), "backupGeoTargets": {"items": items}});
        self.set(v6, ttl, json!({"primaryBackup": pair}), check)
    }

    /// Addresses that all clients get: one place, which is nearest to all, and fenced in, so that
    /// all of them are answered where all fail.
    pub(super) fn shared(
        &self,
        v6: bool,
        ttl: Ttl,
        ips: &[IpAddr],
        notes: &mut Notes,
    ) -> Option<RecordSet> {
        let check = self.judge(&[ips.to_vec()], notes)?;
        let item = json!({"location": ANYWHERE, "healthCheckedTargets": targets(ips)});
        let geo = json!({"geo": {"enableFencing": true, "items": [item]}});
        self.set(v6, ttl, geo, check)
    }

    fn set(&self, v6: bool, ttl: Ttl, policy: Value, check: String) -> Option<RecordSet> {
        let mut set = cloud_dns::routed(self.name, ttl, v6, policy)?;
        set.more.insert("check".into(), check.into());
        Some(set)
    }

    /// The one check of all these answers; `None` where some cannot be checked, which is said.
    fn judge(&self, answers: &[Vec<IpAddr>], notes: &mut Notes) -> Option<String> {
        let all = || answers.iter().flatten();
        let own = all().find_map(|ip| self.wanted.checks.get(ip))?;
        let no = |text: &str, notes: &mut Notes| self.note(notes, Fidelity::Unsupported, text);
        if all().any(|ip| self.wanted.checks.get(ip).is_none_or(|other| other != own)) {
            no("not all of its addresses are checked alike, which Google's checks are for", notes);
            return None;
        }
        if self.signed && answers.iter().any(|ips| ips.len() > 1) {
            no(
                "not checked by Google: in a signed zone (DNSSEC) it checks one address an answer",
                notes,
            );
            return None;
        }
        if let Some(ip) = all().find(|ip| !checks::is_public(**ip)) {
            no(&format!("Google does not check {ip}: it is not a public address"), notes);
            return None;
        }
        match text(own) {
            Ok((text, lost)) => {
                lost.iter().for_each(|text| self.note(notes, Fidelity::Approximate, text));
                Some(text)
            }
            Err(why) => {
                no(&why, notes);
                None
            }
        }
    }

    fn note(&self, notes: &mut Notes, fidelity: Fidelity, text: &str) {
        notes.note(self.name, "health", fidelity, text.to_owned());
    }
}

// === Policies ===

fn policy_of(set: &RecordSet) -> Option<Value> {
    serde_json::from_str(set.more.get("policy")?).ok()
}

/// The answers of a policy by place or by share.
fn items(policy: &mut Value) -> &mut [Value] {
    let kind = if policy["geo"].is_object() { "geo" } else { "wrr" };
    policy[kind]["items"].as_array_mut().map_or(&mut [], Vec::as_mut_slice)
}

fn addresses(item: &Value) -> Vec<IpAddr> {
    let list = item["rrdatas"].as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str()?.parse().ok()).collect()
}

/// What was plain data is checked: both beside each other are not allowed.
fn put_targets(item: &mut Value) {
    let Some(fields) = item.as_object_mut() else { return };
    if let Some(data) = fields.remove("rrdatas") {
        fields.insert("healthCheckedTargets".to_owned(), json!({"externalEndpoints": data}));
    }
}

fn targets(ips: &[IpAddr]) -> Value {
    json!({"externalEndpoints": cloud_dns::texts(ips)})
}

/// The addresses of each share, at the Google Cloud region nearest to its cluster.
fn by_place(steering: &Steering, shares: &[Share]) -> BTreeMap<&'static str, Vec<IpAddr>> {
    let mut places: BTreeMap<&'static str, Vec<IpAddr>> = BTreeMap::new();
    for share in shares {
        let place = share.clusters.first().and_then(|own| nearest_region(steering, own));
        let own = places.entry(place.unwrap_or(ANYWHERE)).or_default();
        let new = share.addresses.iter().filter(|ip| !own.contains(ip)).copied();
        let new: Vec<IpAddr> = new.collect();
        own.extend(new);
    }
    places
}

fn nearest_region(steering: &Steering, cluster: &ClusterName) -> Option<&'static str> {
    let site = steering.shape.sites.iter().find(|site| site.cluster == *cluster)?;
    let point = site.location.coordinates?;
    let regions = geo::regions().filter(|region| region.provider == "gcp");
    let far = |region: &geo::Region| {
        region.location().coordinates.map_or(f64::MAX, |there| distance_km(point, there))
    };
    // Of two as near, always the same.
    let order = |one: &geo::Region, other: &geo::Region| {
        far(one).total_cmp(&far(other)).then_with(|| one.name.cmp(other.name))
    };
    regions.min_by(order).map(|region| region.name)
}

/// Where it does not matter which region.
const ANYWHERE: &str = "us-central1";

// === Texts ===

/// The check as a text, and what it does not say; or why Google cannot make it.
fn text(check: &Check) -> Result<(String, Vec<String>), String> {
    let port = check.port;
    let mut lost = Vec::new();
    let (head, tail) = match &check.protocol {
        Protocol::Tcp => (format!("tcp://*:{port}"), String::new()),
        Protocol::Http(http) => asked("http", port, http, &mut lost)?,
        Protocol::Https(http, tls) => {
            if !tls.insecure {
                lost.push("Google's checks do not verify certificates".to_owned());
            }
            asked("https", port, http, &mut lost)?
        }
        Protocol::Grpc(..) => {
            return Err("Google has no checks by gRPC from outside of its networks".to_owned());
        }
    };
    let interval = seconds("an interval", check.interval, 30, &mut lost);
    let timeout = seconds("a timeout", check.timeout, 1, &mut lost);
    let timeout = timeout.min(interval);
    let (fall, rise) =
        (count("failures", check.fall, &mut lost), count("successes", check.rise, &mut lost));
    let numbers = format!("interval={interval} timeout={timeout} fall={fall} rise={rise}");
    Ok((format!("{head} {numbers} from={}{tail}", FROM.join("+")), lost))
}

/// What stands before the interval, and what behind the regions.
fn asked(
    scheme: &str,
    port: u16,
    http: &Http,
    lost: &mut Vec<String>,
) -> Result<(String, String), String> {
    let body = http.body.as_deref().filter(|body| !body.is_empty());
    let parts = [Some(&*http.path), Some(&*http.host), body];
    if parts.iter().flatten().any(|part| part.len() > LONGEST || !part.is_ascii()) {
        return Err(format!(
            "for checks at Google, path, host and text may have {LONGEST} characters of ASCII"
        ));
    }
    let odd = |text: &str| text.contains(|c: char| c.is_whitespace() || c.is_control());
    if odd(&http.path) || odd(&http.host) || !http.path.starts_with('/') || http.host.is_empty() {
        return Err("checks at Google need a host, and a path that begins with a slash".to_owned());
    }
    if !http.statuses.admit(200) {
        return Err("Google's checks take no status but 200 for a success".to_owned());
    }
    if http.statuses != Statuses(vec![(200, 200)]) {
        lost.push("Google's checks take no status but 200 for a success".to_owned());
    }
    if http.method != Method::Get {
        lost.push("Google's checks ask by GET".to_owned());
    }
    if body.is_some() {
        lost.push("Google's checks look at the first 1,024 octets of a body".to_owned());
    }
    let tail = body.map(|body| format!(" body={body}")).unwrap_or_default();
    Ok((format!("{scheme}://*:{port}{} host={}", http.path, http.host), tail))
}

/// Whole seconds that Google takes.
fn seconds(what: &str, own: Duration, least: u64, lost: &mut Vec<String>) -> u64 {
    let whole = own.as_secs() + u64::from(own.subsec_nanos() > 0);
    let there = whole.clamp(least, LONGEST_PAUSE);
    if own != Duration::from_secs(there) {
        let own = own.as_secs_f64();
        lost.push(format!("Google's checks have {what} of {there} s instead of {own} s"));
    }
    there
}

fn count(what: &str, own: u8, lost: &mut Vec<String>) -> u8 {
    let there = own.clamp(1, MOST);
    if there != own {
        lost.push(format!("Google's checks count {there} {what} instead of {own}"));
    }
    there
}

/// Where Google checks from: three regions, no more and no fewer, far from each other.
const FROM: [&str; 3] = ["asia-east1", "europe-west1", "us-central1"];
/// Characters of a path, a host and a searched text.
const LONGEST: usize = 255;
/// Seconds of an interval or a timeout.
const LONGEST_PAUSE: u64 = 300;
/// Failures or successes in a row.
const MOST: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Grpc, Tls};

    fn http(path: &str) -> Http {
        Http {
            method: Method::Get,
            path: path.into(),
            host: "shop.example".into(),
            statuses: Statuses(vec![(200, 200)]),
            body: None,
        }
    }

    #[test]
    fn a_check_is_one_text_for_all_addresses() {
        let every = |check: Check| Check { interval: Duration::from_secs(30), ..check };
        let check = every(Check::new(Protocol::Http(http("/healthz")), 80));
        let words = "http://*:80/healthz host=shop.example interval=30 timeout=3 fall=3 rise=2 \
                     from=asia-east1+europe-west1+us-central1";
        assert_eq!(text(&check), Ok((words.to_owned(), vec![])));
        let own = Http { body: Some("all is well".into()), ..http("/") };
        let check = Check::new(Protocol::Https(own, Tls::default()), 443);
        let timeout = Duration::from_millis(2_500);
        let (words, lost) = text(&Check { fall: 20, timeout, ..check }).unwrap();
        assert!(
            words.starts_with("https://*:443/ host=shop.example interval=30 timeout=3 fall=10")
        );
        assert!(words.ends_with(" body=all is well"), "{words}");
        for said in [
            "certificates",
            "1,024",
            "interval of 30 s instead of 10 s",
            "a timeout of 3 s",
            "10 failures",
        ] {
            assert!(lost.iter().any(|own| own.contains(said)), "{said} in {lost:?}");
        }
        assert_eq!(lost.len(), 5);
    }

    #[test]
    fn what_google_cannot_check_is_said() {
        let no = |protocol: Protocol| text(&Check::new(protocol, 443)).unwrap_err();
        let own = Grpc { service: "".into(), host: "".into() };
        assert!(no(Protocol::Grpc(own, None)).contains("gRPC"));
        assert!(no(Protocol::Http(http(&"/a".repeat(200)))).contains("255"));
        assert!(no(Protocol::Http(http("/a b"))).contains("path"));
        let created = Http { statuses: Statuses(vec![(201, 204)]), ..http("/") };
        assert!(no(Protocol::Http(created)).contains("no status but 200"));
        let said = Http { body: Some("schön".into()), ..http("/") };
        assert!(no(Protocol::Http(said)).contains("ASCII"));
        let (_, lost) = text(&Check::new(
            Protocol::Http(Http { statuses: Statuses::default(), ..http("/") }),
            80,
        ))
        .unwrap();
        assert!(lost.iter().any(|own| own.contains("no status but 200")), "{lost:?}");
    }

    #[test]
    fn the_regions_that_check_are_three_that_google_has() {
        for place in FROM {
            assert!(geo::region(place).is_some_and(|own| own.provider == "gcp"), "{place}");
        }
        assert!(geo::region(ANYWHERE).is_some());
    }
}
