//! Amazon Route 53: a zone listed page by page, a batch as one ChangeResourceRecordSets, which is
//! a transaction. Never UPSERT: what goes is deleted exactly as it was read and what comes is
//! created, so that the service itself compares and sets.

mod convert;
mod failure;

use crate::{
    model::Name,
    plan::{Failure, Listing, Permitted, RecordSet, Versions},
};
use aws_sdk_route53::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    types::{Change, ChangeAction, ChangeBatch, HostedZone, HostedZoneConfig, RrType},
};
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Which zone, and where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Route53Settings {
    /// The hosted zone's id; found by the zone's name when `None`.
    pub zone_id: Option<String>,
    /// In place of AWS's own endpoint.
    pub endpoint: Option<String>,
}

/// One hosted zone. Credentials come as AWS's tools find them: environment, profile, web identity,
/// container, instance.
#[derive(Debug)]
pub struct Route53 {
    settings: Route53Settings,
    client: OnceCell<Client>,
    zone_id: OnceCell<String>,
}

/// A call that takes longer has no answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The service has one endpoint for all regions, and signs for this one.
const REGION: &str = "us-east-1";

impl Route53 {
    /// One that is connected to when it is called.
    #[must_use]
    pub fn new(settings: Route53Settings) -> Self {
        Self { settings, client: OnceCell::new(), zone_id: OnceCell::new() }
    }

    pub(super) async fn read(&self, zone: &Name) -> Result<Listing, Failure> {
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
                (false, ..) => return Ok(Listing::whole(zone.clone(), sets)),
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

    pub(super) async fn write(&self, batch: &Permitted) -> Result<Versions, Failure> {
        let id = self.zone_id(batch.zone()).await?;
        let mut changes = Vec::new();
        for set in batch.deletes() {
            changes.push(change(ChangeAction::Delete, set)?);
        }
        for set in batch.creates() {
            changes.push(change(ChangeAction::Create, set)?);
        }
        let comment = format!("meridian generation {}", batch.generation());
        let whole = ChangeBatch::builder().set_changes(Some(changes)).comment(comment).build();
        let whole = whole.map_err(|error| Failure::Rejected(error.to_string()))?;
        let call = self.client().await.change_resource_record_sets();
        let sent = call.hosted_zone_id(id).change_batch(whole).send().await;
        sent.map(|_| Versions::new()).map_err(|error| failure::writing(&error, batch.zone()))
    }

    /// The zone's id: as configured, or the one hosted zone of that name.
    async fn zone_id(&self, zone: &Name) -> Result<String, Failure> {
        if let Some(id) = &self.settings.zone_id {
            return Ok(id.clone());
        }
        self.zone_id.get_or_try_init(|| self.find(zone)).await.cloned()
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
            .connect_timeout(Duration::from_secs(5))
            .operation_timeout(PATIENCE)
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
