//! Health checks that we make and own at Route 53: made before the batch that needs them, told
//! again as texts when a zone is read, and deleted an hour after the last set stopped using them.
//!
//! A caller reference is `meridian/<hash>/<nonce>`. The hash is of the check's text, the zone's id
//! and the name of our generation record there: so a check belongs to one installation and one
//! zone, and nobody else's batch can need it. The nonce is there because Route 53 takes no
//! reference twice, not even that of a check that is gone.

use super::{failure, switches};
use crate::{
    model::Name,
    plan::{Failure, Permitted, RecordSet, SetKey},
    provider::{Act, Leave},
};
use aws_sdk_route53::{
    Client,
    types::{HealthCheck, HealthCheckConfig, HealthCheckType},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What is known of our checks, from the last read and what was written since.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// By id; also those of other installations, which are told as texts too.
    pub(super) known: BTreeMap<String, Known>,
    /// Which check each set names, by id.
    used: BTreeMap<SetKey, String>,
    /// Since when nobody uses a check.
    idle: BTreeMap<String, Instant>,
    /// References that were sent, and of which nobody knows what became, by text.
    sent: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) reference: String,
    pub(super) text: String,
    /// Of a cluster's switch: whether it is off.
    pub(super) off: bool,
    /// What Route 53 counts changes with.
    pub(super) version: i64,
}

/// A check that no set has used for that long is deleted.
const KEPT: Duration = Duration::from_secs(3_600);
/// Deleted at once at most.
const MOST_DELETED: usize = 10;
/// How the references that we choose begin.
const PREFIX: &str = "meridian/";

impl Checks {
    // === Reading ===

    /// Learns all checks, and says those of ours that sets name as texts.
    pub(super) async fn read(
        &mut self,
        client: &Client,
        zone: &Name,
        now: Instant,
        sets: &mut [RecordSet],
    ) -> Result<(), Failure> {
        self.known = list(client, zone).await?;
        self.used.clear();
        for set in sets {
            let Some(id) = set.more.get_mut("check") else { continue };
            self.used.insert(set.key.clone(), id.to_string());
            if let Some(own) = self.known.get(&**id) {
                *id = own.text.as_str().into();
            }
        }
        self.age(now);
        Ok(())
    }

    /// Notes since when checks are not used.
    fn age(&mut self, now: Instant) {
        let used: BTreeSet<&String> = self.used.values().collect();
        let idle = self.known.keys().filter(|id| !used.contains(id));
        let since = |id: &String| self.idle.get(id).copied().unwrap_or(now);
        self.idle = idle.map(|id| (id.clone(), since(id))).collect();
    }

    // === Writing ===

    /// Makes the checks that a batch needs and that are not there.
    pub(super) async fn provide(
        &mut self,
        client: &Client,
        zone_id: &str,
        batch: &Permitted,
        leave: &Leave,
    ) -> Result<(), Failure> {
        let home = home(zone_id, batch);
        // Name by name, so that where the quota ends, few names have half of their checks.
        for text in batch.creates().filter_map(switches::needed) {
            if self.own(&home, &text).is_none() {
                leave.go_on(Act::Make)?;
                self.make(client, batch.zone(), &home, text).await?;
            }
        }
        Ok(())
    }

    async fn make(
        &mut self,
        client: &Client,
        zone: &Name,
        home: &str,
        text: String,
    ) -> Result<(), Failure> {
        let config = config_of(&text);
        let config = config.ok_or_else(|| Failure::Rejected(format!("`{text}` is no check")))?;
        // One that was sent without an answer is sent again as it was: it is made once.
        let new = || format!("{}{:08x}", begin(home, &text), fastrand::u32(..));
        let reference = self.sent.entry(text.clone()).or_insert_with(new).clone();
        let call = client.create_health_check().caller_reference(&reference);
        let made = call.health_check_config(config).send().await;
        match made.map_err(|error| failure::reading(&error, zone)) {
            Ok(made) => {
                let id = made.health_check().map_or("", HealthCheck::id).to_owned();
                self.sent.remove(&text);
                self.known.insert(id, Known { reference, text, off: false, version: 1 });
                Ok(())
            }
            Err(failure) => {
                if matches!(failure, Failure::Lost(_) | Failure::Rejected(_)) {
                    self.sent.remove(&text);
                }
                Err(failure)
            }
        }
    }

    /// The id of our check of that text.
    pub(super) fn own(&self, home: &str, text: &str) -> Option<&String> {
        let begin = begin(home, text);
        let same = |own: &Known| own.text == text && own.reference.starts_with(&begin);
        self.known.iter().find(|(_, own)| same(own)).map(|(id, _)| id)
    }

    /// A set that goes, with the very id that it names.
    pub(super) fn going(&self, set: &RecordSet) -> RecordSet {
        named(set, self.used.get(&set.key))
    }

    /// A set that comes, with the id of the check that its text asks for.
    pub(super) fn coming(&self, zone_id: &str, batch: &Permitted, set: &RecordSet) -> RecordSet {
        let home = home(zone_id, batch);
        named(set, set.more.get("check").and_then(|text| self.own(&home, text)))
    }

    /// Takes note of a batch that was carried out.
    pub(super) fn wrote(&mut self, now: Instant, zone_id: &str, batch: &Permitted) {
        for set in batch.deletes() {
            self.used.remove(&set.key);
        }
        for set in batch.creates() {
            if let Some(id) = self.coming(zone_id, batch, set).more.get("check") {
                self.used.insert(set.key.clone(), id.to_string());
            }
        }
        self.age(now);
    }

    /// Deletes checks of ours that nobody has used for long. Only after a batch was carried out:
    /// it proves that what is known of the zone is so, and that writing is allowed.
    pub(super) async fn sweep(
        &mut self,
        client: &Client,
        now: Instant,
        zone_id: &str,
        batch: &Permitted,
        leave: &Leave,
    ) {
        let home = home(zone_id, batch);
        for id in self.old(now, &home).into_iter().take(leave.drops()) {
            if leave.go_on(Act::Drop).is_err() {
                return;
            }
            let gone = client.delete_health_check().health_check_id(&id).send().await;
            match gone.map_err(|error| failure::reading(&error, batch.zone())) {
                // Of one that is gone already it is said that the zone is not as it was read.
                Ok(_) | Err(Failure::Lost(_)) => {}
                Err(error) => {
                    tracing::warn!("health check {id} is not used any more, and stays: {error}");
                    return;
                }
            }
            self.known.remove(&id);
            self.idle.remove(&id);
        }
    }

    fn old(&self, now: Instant, home: &str) -> Vec<String> {
        let ours = |id: &String| {
            let own = self.known.get(id);
            own.is_some_and(|own| own.reference.starts_with(&begin(home, &own.text)))
        };
        let old = self.idle.iter().filter(|(_, since)| now.duration_since(**since) >= KEPT);
        old.map(|(id, _)| id).filter(|id| ours(id)).take(MOST_DELETED).cloned().collect()
    }
}

async fn list(client: &Client, zone: &Name) -> Result<BTreeMap<String, Known>, Failure> {
    let mut known = BTreeMap::new();
    let mut from: Option<String> = None;
    loop {
        let page = client.list_health_checks().set_marker(from).send().await;
        let page = page.map_err(|error| failure::reading(&error, zone))?;
        for own in page.health_checks().iter().filter(is_ours) {
            let Some(config) = own.health_check_config() else { continue };
            let reference = own.caller_reference().to_owned();
            let switch = switches::text_of(&reference, config);
            if let Some(text) = switch.or_else(|| text_of(config)) {
                let off = config.health_threshold().is_some_and(|threshold| threshold > 0);
                let version = own.health_check_version();
                known.insert(own.id().to_owned(), Known { reference, text, off, version });
            }
        }
        from = match (page.is_truncated(), page.next_marker()) {
            (false, _) => return Ok(known),
            (true, Some(next)) => Some(next.to_owned()),
            (true, None) => {
                let text = "the listing of health checks breaks off without saying where";
                return Err(Failure::Unavailable(text.to_owned()));
            }
        };
    }
}

fn is_ours(check: &&HealthCheck) -> bool {
    check.caller_reference().starts_with(PREFIX)
}

fn named(set: &RecordSet, id: Option<&String>) -> RecordSet {
    let mut set = set.clone();
    if let (Some(check), Some(id)) = (set.more.get_mut("check"), id) {
        *check = id.as_str().into();
    }
    set
}

/// What tells our checks for this zone from all others.
pub(super) fn home(zone_id: &str, batch: &Permitted) -> String {
    format!("{zone_id} {}", batch.epoch().1.key)
}

/// How the reference of our check of that text begins.
fn begin(home: &str, text: &str) -> String {
    match switches::cluster_of(text) {
        Some(cluster) => format!("{PREFIX}switch/{cluster}/{}/", &hash(home, text)[..8]),
        None => format!("{PREFIX}{}/", hash(home, text)),
    }
}

fn hash(home: &str, text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(format!("{home}\n{text}").as_bytes())[..10])
}

// === Texts ===

/// As `plan` writes it; `None` for a check of another kind than ours. What somebody changed shows.
fn text_of(config: &HealthCheckConfig) -> Option<String> {
    let scheme = match config.r#type() {
        HealthCheckType::Http | HealthCheckType::HttpStrMatch => "http",
        HealthCheckType::Https | HealthCheckType::HttpsStrMatch => "https",
        HealthCheckType::Tcp => "tcp",
        _ => return None,
    };
    let ip = config.ip_address()?.parse().ok()?;
    let place = SocketAddr::new(ip, u16::try_from(config.port()?).ok()?);
    let mut text = format!("{scheme}://{place}{}", config.resource_path().unwrap_or_default());
    if let Some(host) = config.fully_qualified_domain_name() {
        text += &format!(" host={host}");
    }
    let (interval, threshold) = (config.request_interval()?, config.failure_threshold()?);
    text += &format!(" interval={interval} threshold={threshold}");
    for (word, said) in [("disabled", config.disabled()), ("inverted", config.inverted())] {
        if said == Some(true) {
            text += &format!(" {word}");
        }
    }
    if let Some(body) = config.search_string() {
        text += &format!(" body={body}");
    }
    Some(text)
}

/// What a text asks for; `None` when it is no such text.
fn config_of(text: &str) -> Option<HealthCheckConfig> {
    if switches::cluster_of(text).is_some() {
        return switches::config();
    }
    let (head, body) = match text.split_once(" body=") {
        Some((head, body)) => (head, Some(body.to_owned())),
        None => (text, None),
    };
    let mut words = head.split(' ');
    let (scheme, rest) = words.next()?.split_once("://")?;
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let place: SocketAddr = place.parse().ok()?;
    let kind = match (scheme, &body) {
        ("tcp", None) => HealthCheckType::Tcp,
        ("http", None) => HealthCheckType::Http,
        ("http", Some(_)) => HealthCheckType::HttpStrMatch,
        ("https", None) => HealthCheckType::Https,
        ("https", Some(_)) => HealthCheckType::HttpsStrMatch,
        _ => return None,
    };
    let mut config = HealthCheckConfig::builder()
        .r#type(kind)
        .ip_address(place.ip().to_string())
        .port(i32::from(place.port()))
        .set_resource_path(Some(path.to_owned()).filter(|path| !path.is_empty()))
        .set_enable_sni((scheme == "https").then_some(true))
        .set_search_string(body);
    for word in words {
        config = match word.split_once('=')? {
            ("host", host) => config.fully_qualified_domain_name(host),
            ("interval", seconds) => config.request_interval(seconds.parse().ok()?),
            ("threshold", count) => config.failure_threshold(count.parse().ok()?),
            _ => return None,
        };
    }
    config.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_from_the_check_that_it_asks_for() {
        for text in [
            "tcp://1.2.3.4:443 interval=10 threshold=3",
            "http://1.2.3.4:80/healthz host=shop.example interval=10 threshold=3",
            "https://[2600::1]:443/a?b=c host=x.test interval=30 threshold=10 body=so = so, well",
        ] {
            let config = config_of(text).unwrap();
            assert_eq!(text_of(&config).as_deref(), Some(text));
        }
        assert_eq!(config_of("0a1b2c3d-1111-4000-8000-000000000001"), None);
    }

    #[test]
    fn what_somebody_changed_by_hand_shows() {
        let mut off = config_of("tcp://1.2.3.4:443 interval=10 threshold=3").unwrap();
        off.disabled = Some(true);
        let said = text_of(&off).unwrap();
        assert_eq!(said, "tcp://1.2.3.4:443 interval=10 threshold=3 disabled");
        assert_eq!(config_of(&said), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // some instant to begin with
    fn a_check_goes_an_hour_after_its_last_use_and_only_where_it_is_ours() {
        let text = "tcp://1.2.3.4:443 interval=10 threshold=3";
        let of = |home: &str| Known {
            reference: format!("{PREFIX}{}/00000001", hash(home, text)),
            text: text.to_owned(),
            off: false,
            version: 1,
        };
        let name: Name = "x.test".parse().unwrap();
        let key = SetKey::plain(&name, crate::records::RecordType::A);
        let mut checks = Checks::default();
        checks.known.insert("ours".to_owned(), of("Z1 a"));
        checks.known.insert("theirs".to_owned(), of("Z1 b"));
        checks.used.insert(key.clone(), "ours".to_owned());
        let start = Instant::now();
        let after = |minutes: u64| start + Duration::from_secs(minutes * 60);
        checks.age(start);
        checks.used.remove(&key);
        checks.age(after(120));
        checks.age(after(150));
        assert_eq!(checks.old(after(179), "Z1 a"), [""; 0]);
        assert_eq!(checks.old(after(180), "Z1 a"), ["ours"]);
        // Used again in between, it begins anew.
        checks.used.insert(key.clone(), "ours".to_owned());
        checks.age(after(181));
        assert_eq!(checks.old(after(500), "Z1 a"), [""; 0]);
    }

    #[test]
    fn a_hash_is_of_one_home() {
        assert_ne!(hash("Z1 a", "tcp"), hash("Z2 a", "tcp"));
        assert!(PREFIX.len() + hash("Z1 a", "tcp").len() + 9 <= 64);
    }
}
