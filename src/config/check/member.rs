//! Checks a MemberCluster: how it is reached and where it is.

use super::{Checked, Findings, is_label};
use crate::{
    config::{
        MemberConfig,
        spec::{AccessSpec, DrainSpec, LocationSpec, MemberClusterSpec},
    },
    model::{Drain, Locality, Location, Member, Weight},
    source::Access,
};
use std::{path::PathBuf, sync::Arc};

pub(in crate::config) fn member(
    spec: &MemberClusterSpec,
    beside: impl Fn(&str) -> PathBuf,
) -> Checked<MemberConfig> {
    let mut findings = Findings::default();
    let access = access(&mut findings, &spec.access, beside);
    let member = Member {
        localities: localities(&mut findings, spec),
        location: spec.location.as_ref().and_then(|own| location(&mut findings, own)),
        weight: weight(&mut findings, spec.weight),
        drain: spec.drain.as_ref().and_then(|own| drain(&mut findings, own)),
    };
    findings.finish(access.map(|access| MemberConfig { member, access }))
}

fn access(
    findings: &mut Findings,
    spec: &AccessSpec,
    beside: impl Fn(&str) -> PathBuf,
) -> Option<Access> {
    match (&spec.kubeconfig, &spec.directory, &spec.kubeconfig_secret_ref) {
        (Some(own), None, None) => Some(Access::Kubeconfig {
            path: own.path.as_deref().map(beside),
            context: own.context.clone(),
            trusted: spec.trusted.unwrap_or(false),
        }),
        (None, Some(directory), None) => Some(Access::Directory(beside(directory))),
        (None, None, Some(_)) => {
            findings.error(
                "spec.access.kubeconfigSecretRef: Secrets are read in a hub cluster only; expected \
                 kubeconfig or directory here"
                    .to_owned(),
            );
            None
        }
        _ => {
            findings.error(
                "spec.access: expected exactly one of kubeconfig, directory and kubeconfigSecretRef"
                    .to_owned(),
            );
            None
        }
    }
}

fn localities(findings: &mut Findings, spec: &MemberClusterSpec) -> Option<Vec<Locality>> {
    let Some(region) = &spec.region else {
        if !spec.zones.is_empty() {
            findings.error("spec.zones: needs spec.region beside it".to_owned());
        }
        return None;
    };
    for label in std::iter::once(region).chain(&spec.zones) {
        if !is_label(&label.to_lowercase()) {
            findings.error(format!("spec.region, spec.zones: {label:?} is not a DNS label"));
        }
    }
    let locality = |zone: Option<&String>| Locality {
        region: region.to_lowercase().into(),
        zone: zone.map(|zone| zone.to_lowercase().into()),
    };
    match spec.zones.is_empty() {
        true => Some(vec![locality(None)]),
        false => Some(spec.zones.iter().map(|zone| locality(Some(zone))).collect()),
    }
}

fn location(findings: &mut Findings, spec: &LocationSpec) -> Option<Location> {
    let coordinates = match (spec.latitude, spec.longitude) {
        (None, None) => None,
        (Some(north), Some(east)) if north.abs() <= 90.0 && east.abs() <= 180.0 => {
            Some((north, east))
        }
        _ => {
            findings.error(
                "spec.location: latitude (-90 to 90) and longitude (-180 to 180) go together"
                    .to_owned(),
            );
            None
        }
    };
    let text = |own: &Option<String>| own.as_deref().map(|own| own.to_uppercase().into());
    let continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
    let (continent, country) = (text(&spec.continent), text(&spec.country));
    if continent.as_ref().is_some_and(|own: &Arc<str>| !continents.contains(&&**own)) {
        findings
            .error(format!("spec.location.continent: expected one of {}", continents.join(", ")));
    }
    if country.as_ref().is_some_and(|own: &Arc<str>| own.len() != 2) {
        findings
            .error("spec.location.country: expected two letters (ISO 3166-1), as in DE".to_owned());
    }
    Some(Location {
        continent,
        country,
        subdivision: text(&spec.subdivision),
        coordinates,
        approximate: false,
    })
}

fn weight(findings: &mut Findings, weight: Option<u32>) -> Weight {
    let Some(number) = weight else { return Weight::default() };
    let read = Weight::new(number);
    findings.take("spec.weight", &number.to_string(), "from 0 to 1048576", read).unwrap_or_default()
}

fn drain(findings: &mut Findings, spec: &DrainSpec) -> Option<Drain> {
    let until = match &spec.until {
        None => None,
        Some(text) => {
            let expected = "a time such as 2026-01-31T18:00:00Z";
            Some(findings.take("spec.drain.until", text, expected, text.parse().ok())?)
        }
    };
    Some(Drain { reason: spec.reason.clone(), until })
}
