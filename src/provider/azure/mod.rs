//! Azure DNS: a zone listed page by page, a batch as one call for each set, since the service has
//! no transactions. Every call is conditional: what is replaced or deleted must have the version
//! that was read, and what comes must not be there, so that the service itself compares and sets.

mod call;
mod convert;
mod failure;
mod order;
mod token;
mod traffic_manager;
mod traffic_manager_convert;

use super::{Clock, Leave};
use crate::{
    model::Name,
    plan::{Failure, Listing, Permitted, RecordSet, Report, SetKey, Versions},
};
use call::{Api, Condition};
use order::Call;
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
};
use traffic_manager::Work;

/// Which zone, and who asks.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct AzureSettings {
    /// The subscription that the zone is in.
    pub subscription_id: String,
    /// The resource group that the zone is in; found by the zone's name when `None`.
    pub resource_group: Option<String>,
    /// The directory of the identity.
    pub tenant_id: Option<String>,
    /// The identity.
    pub client_id: Option<String>,
    /// Its secret; the cluster's or the machine's own identity is used when `None`.
    pub secret: Option<String>,
    /// In place of the public cloud's own.
    pub endpoint: Option<String>,
}

impl AzureSettings {
    /// Subscription and resource group: zones of one name are told apart by them.
    pub(super) fn place(&self) -> String {
        let group = self.resource_group.as_deref();
        [Some(self.subscription_id.as_str()), group].map(Option::unwrap_or_default).join("/")
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/')
    }
}

/// The secret stays out of logs.
impl fmt::Debug for AzureSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureSettings")
            .field("subscription_id", &self.subscription_id)
            .field("resource_group", &self.resource_group)
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("endpoint", &self.endpoint)
            .finish()
    }
}

/// One zone.
#[derive(Debug)]
pub struct Azure {
    settings: AzureSettings,
    api: Api,
    /// The zone's id, once it was found.
    found: Mutex<Option<String>>,
    profiles: Box<Mutex<traffic_manager::Known>>,
}

impl Azure {
    /// One that is connected to when it is called. `AZURE_AUTHORITY_HOST`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST` are honoured.
    #[must_use]
    pub fn new(settings: AzureSettings, clock: Clock) -> Self {
        let environment = token::Environment::read();
        let tokens = token::Tokens::new(settings.clone(), environment, clock);
        let api = Api::new(settings.endpoint(), tokens);
        Self { settings, api, found: Mutex::default(), profiles: Box::default() }
    }

    pub(super) async fn read(&self, zone: &Name) -> Result<Listing, Failure> {
        let id = self.id(zone).await?;
        let sets: Vec<convert::Set> = self.all(zone, &format!("{id}/recordsets"), PAGE).await?;
        let sets = sets.iter().map(|set| convert::read(set, zone)).collect();
        let sets = Work::of(self, zone, &id, &Leave::always()).read(sets).await?;
        Ok(Listing::whole(zone.clone(), sets))
    }

    /// What stands when it breaks off is said.
    pub(super) async fn write(&self, batch: &Permitted, leave: &Leave) -> Report {
        let mut done = BTreeSet::new();
        let outcome = self.carry_out(batch, leave, &mut done).await;
        Report { done, ..outcome.into() }
    }

    async fn carry_out(
        &self,
        batch: &Permitted,
        leave: &Leave,
        done: &mut BTreeSet<SetKey>,
    ) -> Result<Versions, Failure> {
        let (zone, calls) = (batch.zone(), order::calls(batch));
        let id = self.id(zone).await?;
        let profiles = Work::of(self, zone, &id, leave);
        // What cannot be said is found before anything is done.
        let prepared = calls.iter().map(|call| prepare(call, zone, &profiles));
        let prepared: Result<Vec<_>, _> = prepared.collect();
        let prepared = prepared.map_err(Failure::Rejected)?;
        let mut versions = Versions::new();
        for (call, (path, body)) in calls.iter().zip(prepared) {
            let path = format!("{id}/{path}");
            let stands = profiles.before(call).await?;
            match call {
                Call::Replace(old, set) if stands => {
                    versions.extend(old.version.iter().map(|own| (set.key.clone(), own.clone())));
                }
                Call::Create(set) => {
                    let version = self.api.put(zone, &path, &body, Condition::New, leave).await?;
                    versions.push((set.key.clone(), version));
                }
                Call::Replace(old, set) => {
                    let condition = condition(old)?;
                    let version = self.api.put(zone, &path, &body, condition, leave).await?;
                    versions.push((set.key.clone(), version));
                }
                Call::Delete(old) => {
                    self.api.delete(zone, &path, condition(old)?, leave).await?;
                }
            }
            done.insert(call.key().clone());
            profiles.after(call).await?;
        }
        Ok(versions)
    }

    /// The zone's id: as configured, or that of the one zone of that name in the subscription.
    async fn id(&self, zone: &Name) -> Result<String, Failure> {
        let subscription = token::percent(&self.settings.subscription_id);
        if let Some(group) = &self.settings.resource_group {
            let (group, zone) = (token::percent(group), token::percent(&zone.without_dot()));
            return Ok(format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/{DNS}/{zone}"
            ));
        }
        let found = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = found().clone() {
            return Ok(id);
        }
        let path = format!("/subscriptions/{subscription}/providers/{DNS}");
        let id = one_of_name(&self.all(zone, &path, PAGE).await?, zone)?;
        *found() = Some(id.clone());
        Ok(id)
    }

    /// Every page of a list.
    async fn all<T: DeserializeOwned>(
        &self,
        zone: &Name,
        path: &str,
        top: usize,
    ) -> Result<Vec<T>, Failure> {
        let mut next = Some(self.api.url(&format!("{path}?$top={top}&"))?);
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        while let Some(url) = next.take() {
            if !seen.insert(url.to_string()) {
                return Err(Failure::Unavailable(format!("the listing of {zone} does not end")));
            }
            let page = self.api.get(zone, url).await.map_err(|failure| {
                if failure.kind() == crate::plan::FailureKind::Zone {
                    // It may have moved to another resource group.
                    self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
                }
                failure::reading(failure)
            })?;
            let page: convert::Page<T> = serde_json::from_slice(&page).map_err(|error| {
                Failure::Unavailable(format!("the listing of {zone} cannot be read: {error}"))
            })?;
            all.extend(page.value);
            let link = page.next_link.filter(|link| !link.is_empty());
            next = link.map(|link| self.api.link(&link)).transpose()?;
        }
        Ok(all)
    }
}

/// Where below the zone a set is, and what it is to hold.
fn prepare(
    call: &Call<'_>,
    zone: &Name,
    profiles: &Work<'_>,
) -> Result<(String, convert::Properties), String> {
    let (set, body) = match call {
        Call::Create(set) | Call::Replace(_, set) => (set, convert::write(&*profiles.alias(set)?)?),
        Call::Delete(set) => (set, convert::Properties::default()),
    };
    let name = convert::relative(&set.key.name(), zone)?;
    Ok((format!("{}/{name}", set.key.rtype), body))
}

/// What is there must be what was read.
fn condition(old: &RecordSet) -> Result<Condition<'_>, Failure> {
    let unknown = || Failure::Lost(format!("the version of {} is not known", old.key));
    old.version.as_deref().map(Condition::Is).ok_or_else(unknown)
}

fn one_of_name(zones: &[convert::Zone], zone: &Name) -> Result<String, Failure> {
    let name = zone.without_dot();
    let own = zones.iter().filter(|one| one.name.eq_ignore_ascii_case(&name));
    match own.map(|one| one.id.as_str()).collect::<Vec<_>>()[..] {
        [id] => Ok(id.to_owned()),
        [] => Err(Failure::Zone(format!(
            "Azure DNS has no zone {zone} in this subscription that this identity may see; create \
             it, or check subscriptionId and the identity's role"
        ))),
        ref many => Err(Failure::Zone(format!(
            "Azure DNS has {} zones {zone}: {}; say which with resourceGroup",
            many.len(),
            many.join(", ")
        ))),
    }
}

const ENDPOINT: &str = "https://management.azure.com";
const DNS: &str = "Microsoft.Network/dnsZones";
/// Record sets a page: lists of one zone are limited to 60 a minute.
const PAGE: usize = 500;

#[cfg(test)]
mod tests;
