//! What Cloud DNS refuses in one record set, before it looks at the zone.

use super::{
    places,
    refusal::Refusal,
    state::State,
    values,
    wire::{Checked, Geo, Item, Policy, Rrset},
};
use std::collections::BTreeSet;

/// One record set of a request, and by what path an answer speaks of it.
pub(super) struct Reader<'a> {
    pub(super) state: &'a State,
    pub(super) path: String,
}

impl Reader<'_> {
    /// The set in its one form, or why it cannot be one. `zone` is the zone's name.
    pub(super) fn read(&self, mut set: Rrset, zone: &str) -> Result<Rrset, Refusal> {
        let path = &self.path;
        if set.name.is_empty() {
            return Err(Refusal::required(&format!("{path}.name")));
        }
        if set.rtype.is_empty() {
            return Err(Refusal::required(&format!("{path}.type")));
        }
        let good = values::name(&set.name).filter(|name| values::within(name, zone));
        set.name = good.ok_or_else(|| Refusal::invalid(&format!("{path}.name"), &set.name))?;
        if !values::TYPES.contains(&set.rtype.as_str()) {
            return Err(Refusal::invalid(&format!("{path}.type"), &set.rtype));
        }
        self.apex(&set, zone)?;
        match set.ttl {
            None => return Err(Refusal::required(&format!("{path}.ttl"))),
            Some(ttl) if ttl < 0 => {
                return Err(Refusal::invalid(&format!("{path}.ttl"), &ttl.to_string()));
            }
            Some(_) => {}
        }
        match (set.rrdatas.take().filter(|list| !list.is_empty()), set.routing_policy.take()) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid(&format!("{path}.rrdata"), "routing_policy"));
            }
            (None, None) => return Err(Refusal::invalid(&format!("{path}.rrdata"), "")),
            (Some(list), None) => set.rrdatas = Some(self.list(&set.rtype, &list, "rrdata")?),
            (None, Some(policy)) => set.routing_policy = Some(self.policy(&set.rtype, policy)?),
        }
        set.mark();
        Ok(set)
    }

    /// What may be at the top of a zone, below it, and at a wildcard.
    fn apex(&self, set: &Rrset, zone: &str) -> Result<(), Refusal> {
        let path = &self.path;
        let at_apex = set.name == zone;
        match set.rtype.as_str() {
            "CNAME" if at_apex => Err(Refusal::new(
                400,
                "recordTypeDisallowedAtZoneApex",
                &format!(
                    "The resource record set '{path}' of type 'CNAME' is not allowed at the zone apex."
                ),
            )),
            "SOA" if !at_apex => Err(Refusal::new(
                400,
                "invalidZoneApex",
                &format!(
                    "The resource record set '{path}' is invalid because a zone must contain exactly \
                     one resource record set of type 'SOA' at the apex."
                ),
            )),
            "ALIAS" if !at_apex => Err(Refusal::invalid(&format!("{path}.type"), "ALIAS")),
            "NS" if set.name.starts_with("*.") => Err(Refusal::new(
                400,
                "wildcardNotAllowed",
                &format!("The resource record set '{path}' of type 'NS' must not be a wildcard."),
            )),
            _ => Ok(()),
        }
    }

    /// Record data in their one form, each once.
    fn list(&self, rtype: &str, list: &[String], field: &str) -> Result<Vec<String>, Refusal> {
        let path = format!("{}.{field}", self.path);
        if matches!(rtype, "CNAME" | "SOA" | "ALIAS") && list.len() > 1 {
            let message = format!(
                "The resource record set '{}' is only permitted to have one record because it is of \
                 type '{rtype}'.",
                self.path
            );
            return Err(Refusal::new(400, "invalidRecordCount", &message));
        }
        let limit =
            if rtype == "NS" { "nameserversPerDelegation" } else { "resourceRecordsPerRrset" };
        if list.len() as u64 > self.state.quota(limit) {
            return Err(Refusal::quota("resource records per resource record set"));
        }
        let mut seen = BTreeSet::new();
        let mut good = Vec::new();
        for (at, text) in list.iter().enumerate() {
            let value = values::value(rtype, text).filter(|value| seen.insert(value.clone()));
            good.push(value.ok_or_else(|| Refusal::invalid(&format!("{path}[{at}]"), text))?);
        }
        Ok(good)
    }

    fn policy(&self, rtype: &str, mut policy: Policy) -> Result<Policy, Refusal> {
        let wrong = |field: &str, value: &str| self.wrong(field, value);
        if !values::ROUTED.contains(&rtype) {
            return Err(wrong("", rtype));
        }
        let chosen = [policy.geo.is_some(), policy.wrr.is_some(), policy.primary_backup.is_some()];
        if chosen.into_iter().filter(|is| *is).count() != 1 {
            return Err(wrong("", "exactly one of geo, wrr and primaryBackup"));
        }
        let mut checked = Vec::new();
        if let Some(geo) = &mut policy.geo {
            self.geo(rtype, geo, "geo", &mut checked)?;
        }
        if let Some(wrr) = &mut policy.wrr {
            self.count(wrr.items.len(), "wrr.items")?;
            for (at, item) in wrr.items.iter_mut().enumerate() {
                let path = format!("wrr.items[{at}]");
                let weight = item.weight.ok_or_else(|| {
                    Refusal::required(&format!("{}.routingPolicy.{path}.weight", self.path))
                })?;
                if !weight.is_finite() || weight < 0.0 {
                    return Err(wrong(&format!(".{path}.weight"), &weight.to_string()));
                }
                if item.location.is_some() {
                    return Err(wrong(&format!(".{path}.location"), "not of a wrr policy"));
                }
                if item.rrdatas.is_some() && item.health_checked_targets.is_some() {
                    return Err(wrong(&format!(".{path}"), "rrdatas and healthCheckedTargets"));
                }
                self.item(rtype, item, &path, &mut checked)?;
            }
        }
        if let Some(pair) = &mut policy.primary_backup {
            let path = "primaryBackup";
            let missing = |field: &str| {
                Refusal::required(&format!("{}.routingPolicy.{path}.{field}", self.path))
            };
            let primary = pair.primary_targets.as_mut().ok_or_else(|| missing("primaryTargets"))?;
            self.checked(rtype, primary, &format!("{path}.primaryTargets"), &mut checked)?;
            let backup =
                pair.backup_geo_targets.as_mut().ok_or_else(|| missing("backupGeoTargets"))?;
            self.geo(rtype, backup, &format!("{path}.backupGeoTargets"), &mut checked)?;
            if let Some(trickle) = pair.trickle_traffic.filter(|own| !(0.0..=1.0).contains(own)) {
                return Err(wrong(&format!(".{path}.trickleTraffic"), &trickle.to_string()));
            }
        }
        match (&policy.health_check, checked.is_empty()) {
            (None, false) => {
                Err(Refusal::required(&format!("{}.routingPolicy.healthCheck", self.path)))
            }
            (Some(url), true) => Err(wrong(".healthCheck", url)),
            (Some(url), false) if !self.state.checks_endpoints(url) => {
                Err(wrong(".healthCheck", url))
            }
            _ => Ok(()),
        }?;
        Ok(policy)
    }

    fn geo(
        &self,
        rtype: &str,
        geo: &mut Geo,
        path: &str,
        checked: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        self.count(geo.items.len(), &format!("{path}.items"))?;
        let mut seen = BTreeSet::new();
        for (at, item) in geo.items.iter_mut().enumerate() {
            let path = format!("{path}.items[{at}]");
            let location = item.location.clone().unwrap_or_default();
            if !places::is_region(&location) || !seen.insert(location.clone()) {
                return Err(self.wrong(&format!(".{path}.location"), &location));
            }
            if item.weight.is_some() {
                return Err(self.wrong(&format!(".{path}.weight"), "not of a geo policy"));
            }
            self.item(rtype, item, &path, checked)?;
        }
        Ok(())
    }

    fn item(
        &self,
        rtype: &str,
        item: &mut Item,
        path: &str,
        checked: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        let list = item.rrdatas.take().filter(|list| !list.is_empty());
        if list.is_none() && item.health_checked_targets.is_none() {
            return Err(self.wrong(&format!(".{path}.rrdata"), ""));
        }
        if let Some(list) = list {
            item.rrdatas =
                Some(self.list(rtype, &list, &format!("routingPolicy.{path}.rrdata"))?);
        }
        match &mut item.health_checked_targets {
            Some(targets) => {
                self.checked(rtype, targets, &format!("{path}.healthCheckedTargets"), checked)
            }
            None => Ok(()),
        }
    }

    /// Targets that are checked: addresses on the Internet, for a public zone has no others.
    fn checked(
        &self,
        rtype: &str,
        targets: &mut Checked,
        path: &str,
        checked: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        if !matches!(rtype, "A" | "AAAA") {
            return Err(self.wrong(&format!(".{path}"), rtype));
        }
        if !targets.internal_load_balancers.is_empty() {
            return Err(self.wrong(&format!(".{path}.internalLoadBalancers"), "in a public zone"));
        }
        if targets.external_endpoints.is_empty() {
            return Err(self.wrong(&format!(".{path}.externalEndpoints"), ""));
        }
        let field = format!("routingPolicy.{path}.externalEndpoints");
        let list = std::mem::take(&mut targets.external_endpoints);
        targets.external_endpoints = self.list(rtype, &list, &field)?;
        checked.extend(targets.external_endpoints.iter().cloned());
        Ok(())
    }

    fn count(&self, items: usize, path: &str) -> Result<(), Refusal> {
        if items == 0 {
            return Err(self.wrong(&format!(".{path}"), ""));
        }
        let many = items as u64 > self.state.quota("itemsPerRoutingPolicy");
        if many { Err(Refusal::quota("items per routing policy")) } else { Ok(()) }
    }

    fn wrong(&self, field: &str, value: &str) -> Refusal {
        Refusal::invalid(&format!("{}.routingPolicy{field}", self.path), value)
    }
}
