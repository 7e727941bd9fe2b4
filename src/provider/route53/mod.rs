//! Amazon Route 53: a zone listed page by page, a batch as one ChangeResourceRecordSets, which is
//! a transaction. Never UPSERT: what goes is deleted exactly as it was read and what comes is
//! created, so that the service itself compares and sets.

mod checks;
mod convert;
mod failure;
mod switches;

use super::{Act, Clock, Leave, http};
use crate::{
    model::Name,
    plan::{
        Capabilities, Failure, Listing, Permitted, RecordSet, Report, SetKey, Terms, Versions,
        switch_of,
    },
};
use aws_sdk_route53::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    types::{Change, ChangeAction, ChangeBatch, HostedZone, HostedZoneConfig, RrType},
};
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use checks::Checks;
use std::collections::BTreeSet;
use tokio::sync::{Mutex, OnceCell};

/// Which zone, and where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Route53Settings {
    /// The hosted zone's id; found by the zone's name when `None`.
    pub zone_id: Option<String>,
    /// In place of AWS's own endpoint.
    pub endpoint: Option<String>,
    /// Whether Route 53 checks endpoints itself, by health checks that we make there.
    pub health_checks: bool,
    /// Whether each cluster has a switch there, which takes it out of all names in one call.
    pub cluster_switches: bool,
    /// What the owner chose.
    pub terms: Terms,
}

/// One hosted zone. Credentials come as AWS's tools find them: environment, profile, web identity,
/// container, instance.
#[derive(Debug)]
pub struct Route53 {
    settings: Route53Settings,
    client: OnceCell<Client>,
    zone_id: Mutex<Option<String>>,
    clock: Clock,
    checks: Mutex<Checks>,
}

/// The service has one endpoint for all regions, and signs for this one.
const REGION: &str = "us-east-1";

impl Route53 {
    /// One that is connected to when it is called.
    #[must_use]
    pub fn new(settings: Route53Settings, clock: Clock) -> Self {
        let (zone_id, checks) = (Mutex::default(), Mutex::default());
        Self { settings, client: OnceCell::new(), zone_id, clock, checks }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        match (self.settings.health_checks, self.settings.cluster_switches) {
            (true, _) => Capabilities::ROUTE53_CHECKING,
            (false, true) => Capabilities::ROUTE53_SWITCHING,
            (false, false) => Capabilities::ROUTE53,
        }
    }

    fn has_checks(&self) -> bool {
        self.settings.health_checks || self.settings.cluster_switches
    }

    /// `names` ends with that of our generation record.
    pub(super) async fn read(&self, zone: &Name, names: &[Name]) -> Result<Listing, Failure> {
        let mut sets = match self.list(zone).await {
            Ok(sets) => sets,
            Err(failure) => return Err(self.noticed(failure).await),
        };
        if self.has_checks() {
            let (client, now) = (self.client().await, (self.clock)().mono);
            let id = self.zone_id(zone).await?;
            let mut checks = self.checks.lock().await;
            checks.read(client, zone, now, &mut sets).await?;
            let epoch = names.last().filter(|_| self.settings.cluster_switches);
            sets.extend(epoch.into_iter().flat_map(|epoch| checks.switches(zone, &id, epoch)));
        }
        Ok(Listing::whole(zone.clone(), sets))
    }

    async fn list(&self, zone: &Name) -> Result<Vec<RecordSet>, Failure> {
        let (client, id) = (self.client().await, self.zone_id(zone).await?);
        let mut sets: Vec<RecordSet> = Vec::new();
        let mut from: Option<(String, RrType, Option<String>)> = None;
        loop {
            let mut page = client.list_resource_record_sets().hosted_zone_id(&id);
            if let Some((name, rtype, set)) = from {
                page = page.start_record_name(name).start_record_type(rtype);
                page = page.set_start_record_identifier(set);
            }
            let page = page.send().await.map_err(|error| failure::reading(&error, zone))?;
            sets.extend(page.resource_record_sets().iter().map(convert::read));
            let next = page.next_record_name().map(str::to_owned);
            from = match (page.is_truncated(), next, page.next_record_type()) {
                (false, ..) => return Ok(sets),
                (true, Some(name), Some(rtype)) => {
                    let set = page.next_record_identifier().map(str::to_owned);
                    Some((name, rtype.clone(), set))
                }
                (true, ..) => {
                    let text = format!("the listing of {zone} breaks off without saying where");
                    return Err(Failure::Unavailable(text));
                }
            };
        }
    }

    /// Switches are turned after the batch, so it may stand although not all of them are.
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
        let (client, id) = (self.client().await, self.zone_id(batch.zone()).await?);
        if !self.has_checks() {
            let own = whole(batch, RecordSet::clone, RecordSet::clone)?;
            return self.send(&id, batch, own, leave).await;
        }
        let mut checks = self.checks.lock().await;
        checks.provide(client, &id, batch, leave).await?;
        let coming = |set: &RecordSet| checks.coming(&id, batch, set);
        let own = whole(batch, |set| checks.going(set), coming)?;
        let versions = self.send(&id, batch, own, leave).await?;
        let sets = batch.deletes().chain(batch.creates()).filter(|set| switch_of(set).is_none());
        done.extend(sets.map(|set| set.key.clone()));
        checks.turn(client, &id, batch, leave, done).await?;
        let now = (self.clock)().mono;
        checks.wrote(now, &id, batch);
        checks.sweep(client, now, &id, batch, leave).await;
        Ok(versions)
    }

    async fn send(
        &self,
        id: &str,
        batch: &Permitted,
        own: ChangeBatch,
        leave: &Leave,
    ) -> Result<Versions, Failure> {
        let call = self.client().await.change_resource_record_sets();
        leave.go_on(Act::Records)?;
        match call.hosted_zone_id(id).change_batch(own).send().await {
            Ok(_) => Ok(Versions::new()),
            Err(error) => Err(self.noticed(failure::writing(&error, batch.zone())).await),
        }
    }

    /// The zone's id, looked up once and again after it was found to be gone.
    async fn zone_id(&self, zone: &Name) -> Result<String, Failure> {
        let mut known = self.zone_id.lock().await;
        if let Some(id) = &*known {
            return Ok(id.clone());
        }
        let id = match &self.settings.zone_id {
            Some(id) => self.checked(id, zone).await?,
            None => self.find(zone).await?,
        };
        *known = Some(id.clone());
        Ok(id)
    }

    /// Forgets the zone's id where the zone is gone.
    async fn noticed(&self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Zone(_)) {
            *self.zone_id.lock().await = None;
        }
        failure
    }

    /// The configured id, if it is that zone's.
    async fn checked(&self, id: &str, zone: &Name) -> Result<String, Failure> {
        let found = self.client().await.get_hosted_zone().id(id).send().await;
        let found = found.map_err(|error| failure::reading(&error, zone))?;
        let name = found.hosted_zone().map_or("", HostedZone::name);
        if name != convert::name(zone) {
            let text = format!("the hosted zone {id} is {name}, not {zone}; correct zoneId");
            return Err(Failure::Zone(text));
        }
        Ok(id.to_owned())
    }

    async fn find(&self, zone: &Name) -> Result<String, Failure> {
        let name = convert::name(zone);
        let call = self.client().await.list_hosted_zones_by_name().dns_name(&name);
        let page = call.send().await.map_err(|error| failure::reading(&error, zone))?;
        // The listing begins at the name, so all of one name stand first.
        let own = page.hosted_zones().iter().filter(|one| one.name() == name);
        match own.collect::<Vec<_>>()[..] {
            [one] => Ok(bare_id(one)),
            [] => Err(Failure::Zone(format!(
                "Route 53 has no hosted zone {zone} in this account; create it, or check the \
                 credentials' account"
            ))),
            ref many => {
                let shown: Vec<_> = many.iter().map(|one| described(one)).collect();
                Err(Failure::Zone(format!(
                    "Route 53 has {} hosted zones {zone}: {}; say which with zoneId",
                    many.len(),
                    shown.join(", ")
                )))
            }
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> Client {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Tls::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(http::CONNECT)
            .operation_timeout(http::PATIENCE)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .http_client(http)
            // Retries are the writer's: it counts calls, and knows what may have been carried out.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &self.settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Client::new(&loader.load().await)
    }
}

/// A batch in the service's words, what goes before what comes.
fn whole(
    batch: &Permitted,
    going: impl Fn(&RecordSet) -> RecordSet,
    coming: impl Fn(&RecordSet) -> RecordSet,
) -> Result<ChangeBatch, Failure> {
    let mut changes = Vec::new();
    let record = |set: &&RecordSet| switch_of(set).is_none();
    for set in batch.deletes().filter(record) {
        changes.push(change(ChangeAction::Delete, &going(set))?);
    }
    for set in batch.creates().filter(record) {
        changes.push(change(ChangeAction::Create, &coming(set))?);
    }
    let comment = format!("meridian generation {}", batch.generation());
    let whole = ChangeBatch::builder().set_changes(Some(changes)).comment(comment).build();
    whole.map_err(|error| Failure::Rejected(error.to_string()))
}

fn change(action: ChangeAction, set: &RecordSet) -> Result<Change, Failure> {
    let set = convert::write(set).map_err(Failure::Rejected)?;
    let change = Change::builder().action(action).resource_record_set(set).build();
    change.map_err(|error| Failure::Rejected(error.to_string()))
}

fn bare_id(zone: &HostedZone) -> String {
    zone.id().trim_start_matches("/hostedzone/").to_owned()
}

fn described(zone: &HostedZone) -> String {
    let private = zone.config().is_some_and(HostedZoneConfig::private_zone);
    format!("{} ({})", bare_id(zone), if private { "private" } else { "public" })
}
