//! Google Cloud DNS: a zone listed page by page, a batch as one change, which is a transaction.
//! What goes is deleted exactly as it was read and what comes is added, so that the service itself
//! compares and sets; never a PATCH, which compares nothing.

mod call;
mod check_text;
mod checks;
mod compute;
mod convert;
mod credentials;
mod failure;
mod tokens;

pub use credentials::GoogleCredentials;

use super::Clock;
use crate::{
    model::Name,
    plan::{Capabilities, Checking, Failure, Listing, Permitted, RecordSet, Unchecked, Versions},
};
use call::Clients;
use checks::{Checks, Home};
use compute::Compute;
use convert::Rrset;
use failure::{Asked, Failed};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};
use tokens::Tokens;
use tokio::sync::{Mutex, OnceCell};

/// Which zone, and where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CloudDnsSettings {
    /// The project; that of the credentials when `None`.
    pub project: Option<String>,
    /// The managed zone's name; found by its DNS name when `None`.
    pub zone_id: Option<String>,
    /// In place of Google's own endpoint.
    pub endpoint: Option<String>,
    /// The key of a service account, or an external account; when `None`, as Google's tools find
    /// them: `GOOGLE_APPLICATION_CREDENTIALS`, else the metadata server.
    pub credentials_file: Option<PathBuf>,
    /// Whether addresses are checked by Google, too.
    pub health_checks: bool,
    /// In place of Google's own endpoint for health checks.
    pub compute_endpoint: Option<String>,
}

/// One managed zone.
#[derive(Debug)]
pub struct CloudDns {
    settings: CloudDnsSettings,
    tokens: Tokens,
    clients: OnceCell<Clients>,
    place: Mutex<Option<Place>>,
    /// Whether the zone was signed when it was read last.
    signed: AtomicBool,
    clock: Clock,
    checks: Mutex<Checks>,
}

/// Where the zone is.
#[derive(Clone, Debug)]
struct Place {
    project: String,
    zone: String,
}

/// One page of record sets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sets {
    #[serde(default)]
    rrsets: Vec<Rrset>,
    next_page_token: Option<String>,
}

/// One page of zones.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zones {
    #[serde(default)]
    managed_zones: Vec<Zone>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    name: String,
    dns_name: String,
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default)]
    dnssec_config: Option<DnssecConfig>,
}

/// A `ManagedZoneDnsSecConfig`.
#[derive(Deserialize)]
struct DnssecConfig {
    #[serde(default)]
    state: String,
}

/// A `Change`.
#[derive(Serialize)]
struct Change {
    additions: Vec<Rrset>,
    deletions: Vec<Rrset>,
}

const ENDPOINT: &str = "https://dns.googleapis.com";
/// The most that a page holds.
const PAGE: &str = "1000";

impl CloudDns {
    /// One that is connected to when it is called.
    #[must_use]
    pub fn new(settings: CloudDnsSettings, clock: Clock) -> Self {
        let file = settings.credentials_file.clone();
        let tokens = Tokens::new(file, settings.health_checks, clock);
        let (clients, place) = (OnceCell::new(), Mutex::default());
        let (signed, checks) = (AtomicBool::default(), Mutex::default());
        Self { settings, tokens, clients, place, signed, clock, checks }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        if !self.settings.health_checks {
            return Capabilities::CLOUD_DNS;
        }
        let checks = Checking::Policies { signed: self.signed.load(Ordering::Relaxed) };
        Capabilities { checks, ..Capabilities::CLOUD_DNS_CHECKING }
    }

    /// `names` ends with that of our generation record.
    pub(super) async fn read(&self, zone: &Name, names: &[Name]) -> Result<Listing, Failure> {
        let outcome = self.list(zone).await;
        let mut sets = self.noted(outcome).await?;
        if let Some(epoch) = names.last().filter(|_| self.settings.health_checks) {
            let outcome = self.look_at(zone).await;
            let place = self.noted(outcome).await?;
            let (compute, home) = (self.compute(&place), Home::new(&place.zone, zone, epoch));
            let now = (self.clock)().mono;
            self.checks.lock().await.read(compute, &home, now, &mut sets).await;
        }
        Ok(Listing::whole(zone.clone(), sets))
    }

    pub(super) async fn write(&self, batch: &Permitted) -> Result<Versions, Failure> {
        if self.settings.health_checks {
            return self.write_checked(batch).await;
        }
        let change = change(batch, RecordSet::clone, RecordSet::clone);
        let change = change.map_err(Failure::Rejected)?;
        let outcome = self.send(batch.zone(), &change).await;
        self.noted(outcome).await
    }

    /// What sets need is made before them, and what they leave is deleted after them.
    async fn write_checked(&self, batch: &Permitted) -> Result<Versions, Failure> {
        let place = self.place(batch.zone()).await;
        let place = self.noted(place).await?;
        let (compute, home) = (self.compute(&place), Home::of(&place.zone, batch));
        let mut checks = self.checks.lock().await;
        checks.provide(compute, &home, batch).await?;
        let coming = |set: &RecordSet| checks.coming(&place.project, &home, batch, set);
        let change = change(batch, |set| checks.going(set), coming).map_err(Failure::Rejected)?;
        let outcome = self.send(batch.zone(), &change).await;
        let needs = batch.creates().any(|set| set.more.contains_key("check"));
        let outcome = outcome.map_err(|failure| if needs { bare(failure) } else { failure });
        let versions = self.noted(outcome).await?;
        let now = (self.clock)().mono;
        checks.wrote(now, &place.project, &home, batch);
        checks.sweep(compute, now).await;
        Ok(versions)
    }

    fn compute<'c>(&'c self, place: &'c Place) -> Compute<'c> {
        Compute { dns: self, project: &place.project }
    }

    /// Whether the zone is signed may change at any time, and says what can be checked.
    async fn look_at(&self, zone: &Name) -> Result<Place, Failure> {
        let place = self.place(zone).await?;
        let url = self.url(&place.project, &["managedZones", &place.zone], &[])?;
        let found: Zone = self.get(url, place.asked()).await?;
        self.signed.store(found.is_signed(), Ordering::Relaxed);
        Ok(place)
    }

    /// Where the zone is, is looked up again once it is not there, or not ours.
    async fn noted<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Zone(_) | Failure::Denied(_)) = outcome {
            *self.place.lock().await = None;
        }
        outcome
    }

    async fn list(&self, zone: &Name) -> Result<Vec<RecordSet>, Failure> {
        let place = self.place(zone).await?;
        let mut sets: Vec<RecordSet> = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let mut query = vec![("maxResults", PAGE)];
            query.extend(from.as_deref().map(|from| ("pageToken", from)));
            let url = self.url(&place.project, &["managedZones", &place.zone, "rrsets"], &query)?;
            let page: Sets = self.get(url, place.asked()).await?;
            sets.extend(page.rrsets.into_iter().map(convert::read));
            from = next(page.next_page_token, from.as_deref(), zone)?;
            if from.is_none() {
                return Ok(sets);
            }
        }
    }

    async fn send(&self, zone: &Name, change: &Change) -> Result<Versions, Failure> {
        let place = self.place(zone).await?;
        let url = self.url(&place.project, &["managedZones", &place.zone, "changes"], &[])?;
        let sent = self.call(|client| client.post(url.clone()).json(change)).await;
        let answer = sent.map_err(|failed| failure::writing(failed, place.asked()))?;
        // The change is made once its answer begins; the rest is read so that the connection stays
        // good, and says no more than that it will be served everywhere later.
        drop(answer.bytes().await);
        Ok(Versions::new())
    }

    /// The zone as configured, or the one public zone of that name.
    async fn place(&self, zone: &Name) -> Result<Place, Failure> {
        let mut known = self.place.lock().await;
        if let Some(place) = &*known {
            return Ok(place.clone());
        }
        let project = match &self.settings.project {
            Some(project) => project.clone(),
            None => self.tokens.project(self.clients().await?).await?,
        };
        let zone = match &self.settings.zone_id {
            Some(id) => self.check(zone, &project, id).await?,
            None => self.find(zone, &project).await?,
        };
        let place = Place { project, zone };
        *known = Some(place.clone());
        Ok(place)
    }

    async fn find(&self, zone: &Name, project: &str) -> Result<String, Failure> {
        let name = zone.to_lowercase().to_string();
        let (mut found, mut from): (Vec<Zone>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![("dnsName", name.as_str())];
            query.extend(from.as_deref().map(|from| ("pageToken", from)));
            let url = self.url(project, &["managedZones"], &query)?;
            let page: Zones = self.get(url, Asked { project, zone: &name }).await?;
            found.extend(page.managed_zones.into_iter().filter(|own| own.is(zone)));
            from = next(page.next_page_token, from.as_deref(), zone)?;
            if from.is_none() {
                break;
            }
        }
        let private = found.len();
        found.retain(Zone::is_public);
        let private = private - found.len();
        match found.as_slice() {
            [one] => Ok(one.name.clone()),
            [] => Err(Failure::Zone(format!(
                "Cloud DNS has no public managed zone {zone} in project {project}{}; create it, or \
                 check project",
                if private > 0 { ", only a private one" } else { "" }
            ))),
            many => {
                let shown: Vec<_> = many.iter().map(|one| one.name.as_str()).collect();
                Err(Failure::Zone(format!(
                    "Cloud DNS has {} public managed zones {zone} in project {project}: {}; say \
                     which with zoneId",
                    many.len(),
                    shown.join(", ")
                )))
            }
        }
    }

    /// The managed zone of that name, which is to be of that DNS name.
    async fn check(&self, zone: &Name, project: &str, id: &str) -> Result<String, Failure> {
        let url = self.url(project, &["managedZones", id], &[])?;
        let found: Zone = self.get(url, Asked { project, zone: id }).await?;
        if found.is(zone) {
            return Ok(found.name);
        }
        Err(Failure::Zone(format!(
            "managed zone {id} in project {project} is {}, not {zone}; check zoneId",
            found.dns_name
        )))
    }

    async fn get<T: DeserializeOwned>(&self, url: Url, asked: Asked<'_>) -> Result<T, Failure> {
        let failed = |failed: Failed| failure::reading(failed, asked);
        let answer = self.call(|client| client.get(url.clone())).await.map_err(failed)?;
        call::body(answer).await.map_err(failed)
    }

    /// Calls with a token; with a new one, where one that was kept is not good any more.
    async fn call(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Response, Failed> {
        let clients = self.clients().await.map_err(Failed::Before)?;
        let mut again = true;
        loop {
            let token = self.tokens.bearer(clients).await.map_err(Failed::Before)?;
            match call::send(request(&clients.outside).bearer_auth(token)).await {
                Err(Failed::Refused(refusal)) if refusal.status == 401 => {
                    self.tokens.forget().await;
                    if !again {
                        return Err(Failed::Refused(refusal));
                    }
                    again = false;
                }
                outcome => return outcome,
            }
        }
    }

    async fn clients(&self) -> Result<&Clients, Failure> {
        self.clients.get_or_try_init(|| async { Clients::new() }).await
    }

    fn url(&self, project: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let base = self.settings.endpoint.as_deref().unwrap_or(ENDPOINT);
        let wrong = || Failure::Zone(format!("{base} is not an endpoint; check endpoint"));
        let segments = ["dns", "v1", "projects", project];
        let mut url = call::url(base, segments.iter().chain(path)).ok_or_else(wrong)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

impl Place {
    fn asked(&self) -> Asked<'_> {
        Asked { project: &self.project, zone: &self.zone }
    }
}

impl Zone {
    fn is(&self, zone: &Name) -> bool {
        self.dns_name.parse::<Name>().is_ok_and(|own| own == *zone)
    }

    fn is_signed(&self) -> bool {
        self.dnssec_config.as_ref().is_some_and(|own| !own.state.eq_ignore_ascii_case("off"))
    }

    fn is_public(&self) -> bool {
        self.visibility.as_deref().is_none_or(|own| own.eq_ignore_ascii_case("public"))
    }
}

/// Where the next page begins; a listing that does not move on is none.
fn next(next: Option<String>, last: Option<&str>, zone: &Name) -> Result<Option<String>, Failure> {
    let next = next.filter(|next| !next.is_empty());
    if next.is_some() && next.as_deref() == last {
        let text = format!("the listing of {zone} comes back to the same page");
        return Err(Failure::Unavailable(text));
    }
    Ok(next)
}

/// Who may write records may be denied the use of health checks: it is tried without them, and if
/// that is not allowed either, that is what is told.
fn bare(failure: Failure) -> Failure {
    let Failure::Denied(text) = failure else { return failure };
    let reason = format!("Cloud DNS does not take it with health checks: {text}");
    Failure::Unchecked(Unchecked { which: None, reason, lasting: false })
}

/// A batch in the service's words. A set that goes and comes just the same stays.
fn change(
    batch: &Permitted,
    going: impl Fn(&RecordSet) -> RecordSet,
    coming: impl Fn(&RecordSet) -> RecordSet,
) -> Result<Change, String> {
    let written = |set: RecordSet| convert::write(&set);
    let deletions = batch.deletes().map(|set| written(going(set)));
    let mut deletions = deletions.collect::<Result<Vec<_>, _>>()?;
    let additions = batch.creates().map(|set| written(coming(set)));
    let mut additions = additions.collect::<Result<Vec<_>, _>>()?;
    let same: Vec<Rrset> =
        deletions.iter().filter(|set| additions.contains(set)).cloned().collect();
    deletions.retain(|set| !same.contains(set));
    additions.retain(|set| !same.contains(set));
    Ok(Change { additions, deletions })
}
