//! A switch for each cluster at Route 53: a calculated health check without children, which is
//! healthy as long as none needs to be, and not once one would. Every routed set of the cluster names
//! it, so one call takes the cluster out of all answers (providers.md §1.5, §4.3).
//!
//! Its caller reference is `meridian/switch/<cluster>/<hash>/<nonce>`.

use super::{
    checks::{Checks, home},
    failure,
};
use crate::{
    model::Name,
    plan::{Failure, Permitted, RecordSet, SetKey, switch_of, switch_set},
    provider::{Act, Leave},
};
use aws_sdk_route53::{
    Client,
    types::{HealthCheck, HealthCheckConfig, HealthCheckType},
};
use std::collections::BTreeSet;

/// The check that a set needs to be there: the one that it names, or the one that it is.
pub(super) fn needed(set: &RecordSet) -> Option<String> {
    let named = set.more.get("check").map(ToString::to_string);
    named.or_else(|| switch_of(set).map(|(cluster, _)| format!("switch {cluster}")))
}

/// The cluster of a text `switch <cluster>`.
pub(super) fn cluster_of(text: &str) -> Option<&str> {
    text.strip_prefix("switch ")
}

/// What a calculated check of ours is a switch of.
pub(super) fn text_of(reference: &str, config: &HealthCheckConfig) -> Option<String> {
    let calculated = *config.r#type() == HealthCheckType::Calculated;
    let cluster = reference.strip_prefix("meridian/switch/")?.split('/').next()?;
    calculated.then(|| format!("switch {cluster}"))
}

/// A switch that is on.
pub(super) fn config() -> Option<HealthCheckConfig> {
    let config = HealthCheckConfig::builder().r#type(HealthCheckType::Calculated);
    config.health_threshold(ON).build().ok()
}

const ON: i32 = 0;
const OFF: i32 = 1;

impl Checks {
    /// How our switches stand, as a listing holds them.
    pub(super) fn switches(&self, zone: &Name, zone_id: &str, epoch: &Name) -> Vec<RecordSet> {
        let key = crate::plan::SetKey::plain(epoch, crate::records::RecordType::TXT);
        let home = format!("{zone_id} {key}");
        let ours = self.known.iter().filter_map(|(id, own)| {
            let cluster = cluster_of(&own.text)?;
            (self.own(&home, &own.text) == Some(id)).then(|| switch_set(zone, cluster, own.off))
        });
        ours.collect()
    }

    /// Turns the switches that a batch turns; they are there.
    pub(super) async fn turn(
        &mut self,
        client: &Client,
        zone_id: &str,
        batch: &Permitted,
        leave: &Leave,
        done: &mut BTreeSet<SetKey>,
    ) -> Result<(), Failure> {
        let home = home(zone_id, batch);
        for set in batch.creates() {
            let Some((cluster, off)) = switch_of(set) else { continue };
            let Some(id) = self.own(&home, &format!("switch {cluster}")).cloned() else { continue };
            let Some(own) = self.known.get_mut(&id).filter(|own| own.off != off) else { continue };
            leave.go_on(Act::Turn)?;
            let call = client.update_health_check().health_check_id(&id);
            let call = call.health_check_version(own.version);
            let turned = call.health_threshold(if off { OFF } else { ON }).send().await;
            let turned = turned.map_err(|error| failure::writing(&error, batch.zone()))?;
            own.off = off;
            done.insert(set.key.clone());
            own.version =
                turned.health_check().map_or(own.version + 1, HealthCheck::health_check_version);
            tracing::warn!(
                "cluster {cluster} is switched {} in {}",
                if off { "off" } else { "on" },
                batch.zone()
            );
        }
        Ok(())
    }
}
