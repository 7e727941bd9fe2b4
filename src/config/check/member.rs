//! Checks a MemberCluster: how it is reached and where it is.

use super::{Checked, Findings, is_label};
use crate::{
    config::{
        MemberConfig,
        files::{beside, placed, real},
        spec::{AccessSpec, DrainSpec, LocationSpec, MemberClusterSpec},
    },
    model::{Drain, Locality, Location, Member, Weight},
    source::Access,
};
use std::path::Path;

pub(in crate::config) fn member(spec: &MemberClusterSpec, file: &Path) -> Checked<MemberConfig> {
    let mut findings = Findings::default();
    let access = access(&mut findings, &spec.access, file);
    let member = Member {
        localities: localities(&mut findings, spec),
        location: spec.location.as_ref().and_then(|own| location(&mut findings, own)),
        weight: weight(&mut findings, spec.weight),
        drain: spec.drain.as_ref().and_then(|own| drain(&mut findings, own)),
    };
    findings.finish(access.map(|access| MemberConfig { member, access }))
}

fn access(findings: &mut Findings, spec: &AccessSpec, file: &Path) -> Option<Access> {
    match (&spec.kubeconfig, &spec.directory, &spec.kubeconfig_secret_ref) {
        (Some(own), None, None) => Some(Access::Kubeconfig {
            path: own.path.as_deref().map(|path| beside(file, path)),
            context: own.context.clone(),
            trusted: spec.trusted.unwrap_or(false),
        }),
        (None, Some(directory), None) => manifests(findings, directory, file),
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

/// All of it is the cluster's, so it cannot hold the configuration too.
fn manifests(findings: &mut Findings, directory: &str, file: &Path) -> Option<Access> {
    let path = beside(file, directory);
    let own = !placed(file).starts_with(real(&path));
    let expected = "a directory of manifests alone: it holds this file too";
    findings.take(
        "spec.access.directory",
        directory,
        expected,
        own.then_some(Access::Directory(path)),
    )
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
            let number =
                |own: Option<f64>| own.map_or("not given".to_owned(), |own| own.to_string());
            findings.error(format!(
                "spec.location: latitude is {} and longitude is {}; expected both, from -90 to 90 \
                 and from -180 to 180",
                number(spec.latitude),
                number(spec.longitude)
            ));
            None
        }
    };
    let upper = |own: &Option<String>| own.as_deref().map(str::to_uppercase);
    let own = spec.country.as_ref();
    let country = own.and_then(|own| findings.country("spec.location.country", own));
    let own = spec.continent.as_ref();
    let continent = own.and_then(|own| findings.continent("spec.location.continent", own));
    if spec.subdivision.is_some() && spec.country.is_none() {
        findings
            .error("spec.location.subdivision: needs spec.location.country beside it".to_owned());
    }
    Some(Location {
        continent,
        country,
        subdivision: upper(&spec.subdivision).map(Into::into),
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
