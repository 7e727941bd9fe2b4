//! Google Cloud DNS: a zone listed page by page, a batch as one change, which is a transaction.
//! What goes is deleted exactly as it was read and what comes is added, so that the service itself
//! compares and sets; never a PATCH, which compares nothing.

mod call;
mod convert;
mod credentials;
mod failure;
mod tokens;

pub use credentials::GoogleCredentials;

use super::{Act, Clock, Leave};
use crate::{
    model::Name,
    plan::{Failure, Listing, Permitted, RecordSet, Versions},
};
use call::Clients;
use convert::Rrset;
use failure::{Asked, Failed};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;
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
}

/// One managed zone.
#[derive(Debug)]
pub struct CloudDns {
    settings: CloudDnsSettings,
    tokens: Tokens,
    clients: OnceCell<Clients>,
    place: Mutex<Option<Place>>,
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
        let tokens = Tokens::new(settings.credentials_file.clone(), clock);
        Self { settings, tokens, clients: OnceCell::new(), place: Mutex::new(None) }
    }

    pub(super) async fn read(&self, zone: &Name) -> Result<Listing, Failure> {
        let outcome = self.list(zone).await;
        self.noted(outcome).await
    }

    pub(super) async fn write(
        &self,
        batch: &Permitted,
        leave: &Leave,
    ) -> Result<Versions, Failure> {
        let change = change(batch).map_err(Failure::Rejected)?;
        let outcome = self.send(batch.zone(), &change, leave).await;
        self.noted(outcome).await
    }

    /// Where the zone is, is looked up again once it is not there, or not ours.
    async fn noted<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Zone(_) | Failure::Denied(_)) = outcome {
            *self.place.lock().await = None;
        }
        outcome
    }

    async fn list(&self, zone: &Name) -> Result<Listing, Failure> {
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
                return Ok(Listing::whole(zone.clone(), sets));
            }
        }
    }

    async fn send(&self, zone: &Name, change: &Change, leave: &Leave) -> Result<Versions, Failure> {
        let place = self.place(zone).await?;
        let url = self.url(&place.project, &["managedZones", &place.zone, "changes"], &[])?;
        let sent = self.call(Some(leave), |client| client.post(url.clone()).json(change)).await;
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
        let answer = self.call(None, |client| client.get(url.clone())).await;
        let answer = answer.map_err(failed)?;
        call::body(answer).await.map_err(failed)
    }

    /// Calls with a token; with a new one, where one that was kept is not good any more.
    async fn call(
        &self,
        leave: Option<&Leave>,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, Failed> {
        let clients = self.clients().await.map_err(Failed::Before)?;
        let mut again = true;
        loop {
            let token = self.tokens.bearer(clients).await.map_err(Failed::Before)?;
            leave.map_or(Ok(()), |leave| leave.go_on(Act::Records)).map_err(Failed::Before)?;
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
        let mut url = Url::parse(base).map_err(|_| wrong())?;
        {
            let mut segments = url.path_segments_mut().map_err(|()| wrong())?;
            segments.pop_if_empty().extend(["dns", "v1", "projects", project]).extend(path);
        }
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

fn change(batch: &Permitted) -> Result<Change, String> {
    let deletions = batch.deletes().map(convert::write).collect::<Result<_, _>>()?;
    let additions = batch.creates().map(convert::write).collect::<Result<_, _>>()?;
    Ok(Change { additions, deletions })
}
