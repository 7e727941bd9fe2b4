//! Health checks that we make and own at compute: made before the change that needs them, told
//! again as texts when a zone is read, and deleted an hour after the last set stopped using them.
//!
//! A check is called `meridian-<installation>-<hash>`. The hash is of its settings, the managed
//! zone and the name of our generation record there, and the description repeats installation and
//! settings: so sets of a zone with the same settings share one check, a check belongs to one
//! installation and one zone, and one whose name does not follow from its description is not ours.
//!
//! Records do not hang on compute: where it cannot be read, what is in use is believed to be as its
//! name says; where a check cannot be had, the write says so and is planned without it.

use super::{
    check_text::{HealthCheck, patch_of, settings_of, text_of},
    compute::{Compute, Operation, Trouble},
};
use crate::{
    model::Name,
    plan::{Failure, Permitted, RecordSet, SetKey, Unchecked, policy_text},
};
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is known of our checks, from the last read and what was written since.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// By name; also those that only look like ours.
    known: BTreeMap<String, Known>,
    /// Whether the last listing came about, so that what is not known is not there.
    listed: bool,
    /// The URL of the check that each set names.
    used: BTreeMap<SetKey, String>,
    /// Since when nobody uses a check of ours.
    idle: BTreeMap<String, Instant>,
}

#[derive(Clone, Debug)]
struct Known {
    text: String,
    ours: bool,
}

/// What tells our checks for this zone from all others.
#[derive(Debug)]
pub(super) struct Home {
    /// The managed zone, and the name of our generation record in it.
    place: String,
    zone: Name,
}

/// A check that no set has used for that long is deleted.
const KEPT: Duration = Duration::from_secs(3_600);
/// Deleted at once at most.
const MOST_DELETED: usize = 10;
/// How the names that we choose begin.
const PREFIX: &str = "meridian-";
/// How descriptions begin.
const HERITAGE: &str = "heritage=meridian,v=1,owner=";
/// Of an installation's id, characters in a name; a name has 63 at most.
const LONGEST_ID: usize = 30;

impl Home {
    pub(super) fn new(managed_zone: &str, zone: &Name, epoch: &Name) -> Self {
        let place = format!("{managed_zone} {}", epoch.key().to_name());
        Self { place, zone: zone.clone() }
    }

    pub(super) fn of(managed_zone: &str, batch: &Permitted) -> Self {
        Self::new(managed_zone, batch.zone(), &batch.epoch().1.key.name())
    }

    /// The name of our check of that text.
    fn name(&self, id: &str, text: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{text}", self.place).as_bytes());
        let id = id.to_ascii_lowercase();
        let id = &id[..id.floor_char_boundary(LONGEST_ID)];
        format!("{PREFIX}{id}-{}", HEXLOWER.encode(&digest[..10]))
    }

    fn description(&self, id: &str, text: &str) -> String {
        format!("{HERITAGE}{id},zone={}: {text}", self.zone)
    }

    /// Whether a check's name follows from its description, so that we made it.
    fn made(&self, check: &HealthCheck) -> bool {
        let said = check.description.strip_prefix(HERITAGE).and_then(|own| own.split_once(','));
        let Some((id, rest)) = said else { return false };
        let text = rest.split_once(": ").map_or("", |(_, text)| text);
        check.name == self.name(id, text) && check.description == self.description(id, text)
    }

    fn known(&self, check: &HealthCheck) -> Known {
        Known { text: text_of(&check.settings), ours: self.made(check) }
    }
}

impl Checks {
    // === Reading ===

    /// Learns all checks, and says those of ours that sets name as texts.
    pub(super) async fn read(
        &mut self,
        compute: Compute<'_>,
        home: &Home,
        now: Instant,
        sets: &mut [RecordSet],
    ) {
        match compute.list(PREFIX).await {
            Ok(all) => {
                self.known = all.iter().map(|own| (own.name.clone(), home.known(own))).collect();
                self.listed = true;
            }
            Err(trouble) => {
                self.listed = false;
                let text = trouble.text();
                tracing::warn!("health checks cannot be listed, those in use stay: {text}");
            }
        }
        self.used.clear();
        sets.iter_mut().for_each(|set| self.say(compute.project, set));
        self.age(now);
    }

    /// Takes the check out of a set's policy, and says it as a text where it is ours.
    fn say(&mut self, project: &str, set: &mut RecordSet) {
        let policy = set.more.get("policy").and_then(|text| serde_json::from_str(text).ok());
        let Some(Value::Object(mut policy)) = policy else { return };
        let Some(Value::String(url)) = policy.remove("healthCheck") else { return };
        let text = name_in(&url, project).and_then(|name| match self.known.get(name) {
            Some(own) if own.ours => Some(own.text.clone()),
            None if !self.listed && name.starts_with(PREFIX) => Some(format!("unread {name}")),
            _ => None,
        });
        if let Some(text) = text {
            set.more.insert("policy".into(), policy_text(policy.into()).into());
            set.more.insert("check".into(), text.into());
        }
        self.used.insert(set.key.clone(), url);
    }

    /// Notes since when checks are not used.
    fn age(&mut self, now: Instant) {
        let used: BTreeSet<&str> = self.used.values().filter_map(|url| last(url)).collect();
        let ours = self.known.iter().filter(|(_, own)| own.ours).map(|(name, _)| name);
        let since = |name: &String| self.idle.get(name).copied().unwrap_or(now);
        let idle = ours.filter(|name| !used.contains(name.as_str()));
        self.idle = idle.map(|name| (name.clone(), since(name))).collect();
    }

    // === Writing ===

    /// Makes the checks that a batch needs and that are not there; all are begun before any is
    /// waited for.
    pub(super) async fn provide(
        &mut self,
        compute: Compute<'_>,
        home: &Home,
        batch: &Permitted,
    ) -> Result<(), Failure> {
        let id = owner_of(batch);
        let needed: BTreeSet<&Arc<str>> =
            batch.creates().filter_map(|set| set.more.get("check")).collect();
        let (mut begun, mut lacking) = (Vec::new(), Lacking::default());
        for text in needed {
            if lacking.is_over() {
                lacking.leave(text);
                continue;
            }
            let name = home.name(&id, text);
            match self.begin(compute, home, &id, text).await {
                Ok(None) => self.learn(name, text),
                Ok(Some(operation)) => begun.push((name, text, operation)),
                Err(trouble) => lacking.note(text, trouble),
            }
        }
        let mut stuck = false;
        for (name, text, operation) in begun {
            if stuck {
                // It may be made all the same, and is found then.
                lacking.leave(text);
                continue;
            }
            match compute.done(operation).await {
                Ok(()) => self.learn(name, text),
                Err(trouble) => {
                    stuck = matches!(trouble, Trouble::Unknown(_));
                    lacking.note(text, trouble);
                }
            }
        }
        lacking.outcome()
    }

    fn learn(&mut self, name: String, text: &str) {
        self.known.insert(name, Known { text: text.to_owned(), ours: true });
    }

    /// Has the check of that text made, or put right; `None` where nothing is to be done.
    async fn begin(
        &self,
        compute: Compute<'_>,
        home: &Home,
        id: &str,
        text: &str,
    ) -> Result<Option<Operation>, Trouble> {
        let bad = || Trouble::Refused(format!("`{text}` is no check"));
        let (name, description) = (home.name(id, text), home.description(id, text));
        let settings = settings_of(text).ok_or_else(bad)?;
        let check = HealthCheck { name, description, settings };
        match self.known.get(&check.name) {
            Some(known) => put_right(compute, &check, known, text).await,
            None if !self.listed && self.uses(&check.name) => Ok(None),
            None => insert(compute, home, &check, text).await,
        }
    }

    fn uses(&self, name: &str) -> bool {
        self.used.values().any(|url| last(url) == Some(name))
    }

    /// A set that goes, with the very check that it names.
    pub(super) fn going(&self, set: &RecordSet) -> RecordSet {
        with_url(set, self.used.get(&set.key).cloned())
    }

    /// A set that comes, with the check that its text asks for.
    pub(super) fn coming(
        &self,
        project: &str,
        home: &Home,
        batch: &Permitted,
        set: &RecordSet,
    ) -> RecordSet {
        let text = set.more.get("check");
        with_url(set, text.map(|text| url(project, &home.name(&owner_of(batch), text))))
    }

    /// Takes note of a batch that was carried out.
    pub(super) fn wrote(&mut self, now: Instant, project: &str, home: &Home, batch: &Permitted) {
        for set in batch.deletes() {
            self.used.remove(&set.key);
        }
        let id = owner_of(batch);
        for set in batch.creates() {
            if let Some(text) = set.more.get("check") {
                self.used.insert(set.key.clone(), url(project, &home.name(&id, text)));
            }
        }
        self.age(now);
    }

    /// Deletes checks of ours that nobody has used for long. Only after a batch was carried out:
    /// it proves that what is known of the zone is so, and that writing is allowed.
    pub(super) async fn sweep(&mut self, compute: Compute<'_>, now: Instant) {
        for name in self.old(now) {
            match compute.delete(&name, &request_id()).await {
                Ok(_) | Err(Trouble::Missing) => {}
                Err(trouble) => {
                    let text = trouble.text();
                    tracing::warn!("health check {name} is not used any more, and stays: {text}");
                    self.idle.insert(name, now);
                    return;
                }
            }
            self.known.remove(&name);
            self.idle.remove(&name);
        }
    }

    fn old(&self, now: Instant) -> Vec<String> {
        let old = self.idle.iter().filter(|(_, since)| now.duration_since(**since) >= KEPT);
        old.map(|(name, _)| name.clone()).take(MOST_DELETED).collect()
    }
}

/// One that is there: as it should be, changed by somebody, or not ours.
async fn put_right(
    compute: Compute<'_>,
    check: &HealthCheck,
    known: &Known,
    text: &str,
) -> Result<Option<Operation>, Trouble> {
    match known.ours {
        true if known.text == text => Ok(None),
        true => {
            let settings = patch_of(check.settings.clone());
            let patch = HealthCheck { settings, ..check.clone() };
            compute.patch(&patch, &request_id()).await.map(Some)
        }
        false => Err(Trouble::Refused(format!(
            "there is a health check {} that this installation did not make; delete it, if nobody \
             needs it",
            check.name
        ))),
    }
}

async fn insert(
    compute: Compute<'_>,
    home: &Home,
    check: &HealthCheck,
    text: &str,
) -> Result<Option<Operation>, Trouble> {
    let request = request_id();
    let mut outcome = compute.insert(check, &request).await;
    if let Err(Trouble::Unknown(_)) = outcome {
        // The same request once more: it is made once.
        outcome = compute.insert(check, &request).await;
    }
    match outcome {
        Ok(operation) => Ok(Some(operation)),
        Err(Trouble::Exists) => {
            let found = compute.get(&check.name).await?;
            put_right(compute, check, &home.known(&found), text).await
        }
        Err(trouble) => Err(trouble),
    }
}

/// What a batch cannot have.
#[derive(Default)]
struct Lacking {
    texts: BTreeSet<Arc<str>>,
    /// The first reason.
    reason: Option<Unchecked>,
    /// In place of all else.
    wait: Option<Failure>,
    over: bool,
}

impl Lacking {
    fn note(&mut self, text: &Arc<str>, trouble: Trouble) {
        self.leave(text);
        self.over |= !matches!(trouble, Trouble::Refused(_));
        let for_all = matches!(trouble, Trouble::Denied(_));
        let lasting = matches!(trouble, Trouble::Full(_) | Trouble::Refused(_));
        match trouble {
            Trouble::Wait(failure) => self.wait = Some(failure),
            // It is being made, or deleted, by somebody.
            Trouble::Exists | Trouble::Missing | Trouble::Used => {
                let text = format!("health checks are changing: {}", trouble.text());
                self.wait = Some(Failure::Unavailable(text));
            }
            other if self.reason.is_none() => {
                let (reason, which) = (other.text(), (!for_all).then(BTreeSet::new));
                self.reason = Some(Unchecked { which, reason, lasting });
            }
            _ => {}
        }
    }

    fn leave(&mut self, text: &Arc<str>) {
        self.texts.insert(text.clone());
    }

    /// Whether others need not be tried.
    fn is_over(&self) -> bool {
        self.over
    }

    fn outcome(self) -> Result<(), Failure> {
        if let Some(failure) = self.wait {
            return Err(failure);
        }
        let Some(first) = self.reason else { return Ok(()) };
        let reason = format!("not checked by Google: {}", first.reason);
        tracing::warn!("{reason}; records are written without checks meanwhile");
        let which = first.which.map(|_| self.texts);
        Err(Failure::Unchecked(Unchecked { which, reason, ..first }))
    }
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            Self::Wait(failure) => failure.to_string(),
            Self::Missing => "there is no such health check".to_owned(),
            Self::Exists => "there is a health check of that name".to_owned(),
            Self::Used => "something uses the health check".to_owned(),
            Self::Unknown(text) | Self::Denied(text) | Self::Full(text) | Self::Refused(text) => {
                text.clone()
            }
        }
    }
}

// === Names ===

/// The installation's id, as its generation record says it.
fn owner_of(batch: &Permitted) -> String {
    let texts: Vec<String> = batch.epoch().1.texts().collect();
    let fields = texts.iter().flat_map(|text| text.split(','));
    fields.filter_map(|field| field.strip_prefix("owner=")).next().unwrap_or_default().to_owned()
}

/// As record sets name a check (dns.v1, `RRSetRoutingPolicy.healthCheck`).
fn url(project: &str, name: &str) -> String {
    format!("https://www.googleapis.com/compute/v1/projects/{project}/global/healthChecks/{name}")
}

/// The name of a check of that project.
fn name_in<'u>(url: &'u str, project: &str) -> Option<&'u str> {
    let (_, rest) = url.split_once("/projects/")?;
    rest.strip_prefix(project)?.strip_prefix("/global/healthChecks/")
}

fn last(url: &str) -> Option<&str> {
    url.rsplit('/').next()
}

fn with_url(set: &RecordSet, url: Option<String>) -> RecordSet {
    let mut set = set.clone();
    let policy = set.more.get("policy").and_then(|text| serde_json::from_str(text).ok());
    if let (Some(Value::Object(mut policy)), Some(url)) = (policy, url) {
        set.more.remove("check");
        policy.insert("healthCheck".to_owned(), url.into());
        set.more.insert("policy".into(), policy_text(policy.into()).into());
    }
    set
}

/// What compute tells requests apart by: a UUID of version 4 (RFC 9562 §5.4).
fn request_id() -> String {
    let random = fastrand::u128(..);
    let hex =
        format!("{:032x}", (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Ttl, records::RecordType};

    const TEXT: &str = "tcp://*:443 interval=30 timeout=3 fall=3 rise=2 from=a+b+c";

    fn home(zone: &str) -> Home {
        let name = |text: &str| text.parse::<Name>().unwrap();
        Home::new(zone, &name("z.test"), &name("_meridian-writer-x.z.test"))
    }

    fn check(home: &Home) -> HealthCheck {
        HealthCheck {
            name: home.name("0a1b2c3d4e5f", TEXT),
            description: home.description("0a1b2c3d4e5f", TEXT),
            settings: settings_of(TEXT).unwrap(),
        }
    }

    #[test]
    fn a_check_is_ours_where_its_name_follows_from_its_description() {
        let (home, other) = (home("z-test"), home("other"));
        let own = check(&home);
        assert!(own.name.starts_with("meridian-0a1b2c3d4e5f-") && own.name.len() <= 63);
        assert!(home.made(&own) && !other.made(&own));
        // Whoever changes what is checked changes nothing of whose it is; it shows in the text.
        let settings = settings_of(&TEXT.replace("443", "80")).unwrap();
        let changed = home.known(&HealthCheck { settings, ..own.clone() });
        assert!(changed.ours && changed.text.contains("*:80"));
        for description in ["", "web", "heritage=meridian,v=1,owner=x,zone=z.test.: tcp://*:1"] {
            assert!(
                !home.made(&HealthCheck { description: description.to_owned(), ..own.clone() })
            );
        }
        let renamed = HealthCheck { name: "meridian-web".to_owned(), ..own };
        assert!(!home.made(&renamed));
        assert!(home.name(&"X".repeat(63), TEXT).len() <= 63);
    }

    #[test]
    fn what_a_set_names_is_said_as_text_and_put_back_as_it_was() {
        let home = home("z-test");
        let own = check(&home);
        let mut checks = Checks { listed: true, ..Checks::default() };
        checks.known.insert(own.name.clone(), home.known(&own));
        let set = |url: &str| {
            let name: Name = "shop.z.test".parse().unwrap();
            let mut set = RecordSet::plain(&name, RecordType::A, Ttl::SERVED, [[0_u8; 0]; 0]);
            let policy = serde_json::json!({"healthCheck": url, "wrr": {"items": []}});
            set.more.insert("policy".into(), policy_text(policy).into());
            set
        };
        let link = url("p", &own.name).replace("www", "compute");
        let mut read = set(&link);
        checks.say("p", &mut read);
        assert_eq!(read.more.get("check").map(|own| &**own), Some(TEXT));
        assert_eq!(read.more.get("policy").map(|own| &**own), Some(r#"{"wrr":{"items":[]}}"#));
        assert_eq!(checks.going(&read), set(&link));
        // Another project's, and one that we did not make, stay as they are.
        for theirs in [url("q", &own.name), url("p", "meridian-theirs"), url("p", "web")] {
            let mut read = set(&theirs);
            checks.say("p", &mut read);
            assert_eq!(read, set(&theirs));
        }
        // Unread, it is not taken for another's.
        checks.listed = false;
        checks.known.clear();
        let mut read = set(&link);
        checks.say("p", &mut read);
        assert!(read.more["check"].starts_with("unread meridian-"), "{read}");
        assert_eq!(checks.going(&read), set(&link));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // some instant to begin with
    fn a_check_goes_an_hour_after_its_last_use_and_only_where_it_is_ours() {
        let start = Instant::now();
        let after = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let known = |ours: bool| Known { text: TEXT.to_owned(), ours };
        let mut checks = Checks::default();
        checks.known.insert("meridian-ours".to_owned(), known(true));
        checks.known.insert("meridian-theirs".to_owned(), known(false));
        let key = SetKey::plain(&"x.test".parse().unwrap(), RecordType::A);
        checks.used.insert(key.clone(), url("p", "meridian-ours"));
        checks.age(start);
        checks.used.remove(&key);
        checks.age(after(120));
        assert_eq!(checks.old(after(179)), [""; 0]);
        assert_eq!(checks.old(after(180)), ["meridian-ours"]);
        checks.used.insert(key, url("p", "meridian-ours"));
        checks.age(after(181));
        assert_eq!(checks.old(after(500)), [""; 0]);
    }

    #[test]
    fn a_request_is_told_apart_by_a_uuid() {
        let id = request_id();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, request_id());
    }
}
