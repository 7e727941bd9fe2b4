//! Checks a Federation: its zone, its name servers, its static records.

use super::{Checked, Findings, all_down, is_label, networks};
use crate::{
    config::{
        FederationConfig,
        spec::{FederationSpec, NameServerSpec, OfflinePolicy, OfflineSpec, SoaSpec},
        zone,
    },
    model::{
        AddressRules, Federation, FederationName, Name, NameServer, Offline, Serial,
        ServiceSelector, SoaValues, Ttl, parse_duration,
    },
    records::generated,
};
use std::{net::IpAddr, path::Path, sync::Arc};

pub(in crate::config) fn federation(
    name: &str,
    spec: &FederationSpec,
    folder: &Path,
) -> Checked<FederationConfig> {
    let mut findings = Findings::default();
    if !is_label(name) {
        findings.error(format!(
            "metadata.name: {name:?} is not a DNS label of 1 to 63 lower-case letters, digits and \
             hyphens; it becomes part of every name"
        ));
    }
    let Some(zone) = findings.name("spec.zone", &spec.zone) else { return findings.finish(None) };
    if zone.is_root() {
        findings.error("spec.zone: \".\" is the root; expected a zone of your own".to_owned());
        return findings.finish(None);
    }
    let served = spec.serve.unwrap_or(true);
    let default = if served { Ttl::SERVED } else { Ttl::WRITTEN };
    let ttl = findings.ttl("spec.ttl", spec.ttl).unwrap_or(default);
    let min_ttl = min_ttl(&mut findings, spec.min_ttl, ttl);
    let federation = Federation {
        name: FederationName(name.into()),
        served,
        ttl,
        min_ttl,
        clusters: spec
            .clusters
            .as_ref()
            .map(|names| names.iter().map(|name| name.as_str().into()).collect()),
        services: selector(spec),
        targets: AddressRules {
            allow: networks(&mut findings, "spec.allowTargets", &spec.allow_targets),
        },
        offline: offline(&mut findings, spec.offline.as_ref()),
        all_down: all_down(&mut findings, spec.all_down.as_ref()).unwrap_or_default(),
        zone,
    };
    let dnssec = super::dnssec::dnssec(&mut findings, spec, &federation, folder);
    let base = base_zone(&mut findings, spec, &federation, folder, dnssec.as_ref());
    super::dnssec::fits(&mut findings, dnssec.as_ref(), base.as_ref(), ttl);
    let publish = super::publish::publish(&mut findings, spec, folder);
    let transfer = super::transfer::transfer(&mut findings, spec);
    if !served && publish.is_empty() {
        findings.warnings.push(
            "spec.serve: false, and spec.publish names no provider: the zone is nowhere".to_owned(),
        );
    }
    let base = base.map(Arc::new);
    let master_file = spec.master_file.as_ref().map(|own| folder.join(own));
    findings.finish(base.map(|base| FederationConfig {
        federation: Arc::new(federation),
        base,
        master_file,
        publish,
        dnssec,
        transfer,
    }))
}

/// The least that health may shorten a TTL to.
fn min_ttl(findings: &mut Findings, seconds: Option<u32>, ttl: Ttl) -> Ttl {
    let own = findings.ttl("spec.minTtl", seconds);
    if let Some(own) = own.filter(|own| *own > ttl) {
        findings.error(format!("spec.minTtl: \"{own}\" is not at most spec.ttl, which is {ttl}"));
    }
    own.unwrap_or(Ttl::LEAST.min(ttl))
}

fn base_zone(
    findings: &mut Findings,
    spec: &FederationSpec,
    federation: &Federation,
    folder: &Path,
    dnssec: Option<&crate::dnssec::Settings>,
) -> Option<crate::records::Zone> {
    let servers = name_servers(findings, &spec.name_servers, &federation.zone, federation.served)?;
    let mut soa = soa(findings, spec.soa.as_ref(), &federation.zone, &servers, federation.ttl)?;
    super::dnssec::expire(findings, dnssec, spec, &mut soa);
    let generated = generated(&federation.zone, &soa, &servers, Serial(1), federation.ttl);
    let Some(file) = &spec.master_file else { return Some(generated) };
    match zone::read_over(&folder.join(file), file, &generated) {
        Ok(parsed) => {
            findings.warnings.extend(parsed.warnings.iter().map(ToString::to_string));
            Some(super::dnssec::expire_of_file(dnssec, &generated, parsed.zone))
        }
        Err(faults) => {
            faults.0.iter().for_each(|fault| findings.error(format!("spec.masterFile: {fault}")));
            None
        }
    }
}

fn name_servers(
    findings: &mut Findings,
    specs: &[NameServerSpec],
    zone: &Name,
    served: bool,
) -> Option<Vec<NameServer>> {
    if specs.is_empty() {
        let name = zone.prepend(b"ns1").ok()?;
        if !served {
            return Some(vec![NameServer { name, addresses: Vec::new() }]);
        }
        findings.warnings.push(format!(
            "spec.nameServers: none given, so NS is {name} without an address; give the names and \
             addresses of your name servers before the zone is delegated"
        ));
        return Some(vec![NameServer { name, addresses: Vec::new() }]);
    }
    let mut servers = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        let field = format!("spec.nameServers[{at}]");
        let Some(name) = findings.name(&format!("{field}.name"), &spec.name) else { continue };
        let mut addresses = Vec::new();
        for text in &spec.addresses {
            let read: Option<IpAddr> = text.parse().ok();
            addresses.extend(findings.take(
                &format!("{field}.addresses"),
                text,
                "an IP address",
                read,
            ));
        }
        if name.is_within(zone) && addresses.is_empty() {
            findings.warnings.push(format!(
                "{field}: {name} lies inside the zone but has no addresses; resolvers cannot reach \
                 it without glue"
            ));
        }
        servers.push(NameServer { name, addresses });
    }
    Some(servers)
}

fn soa(
    findings: &mut Findings,
    spec: Option<&SoaSpec>,
    zone: &Name,
    servers: &[NameServer],
    ttl: Ttl,
) -> Option<SoaValues> {
    let spec = spec.cloned().unwrap_or_default();
    let mname = match &spec.mname {
        Some(text) => findings.name("spec.soa.mname", text)?,
        None => servers.first().map_or_else(|| zone.clone(), |server| server.name.clone()),
    };
    let rname = match &spec.rname {
        Some(text) => findings.name("spec.soa.rname", text)?,
        None => zone.prepend(b"hostmaster").ok()?,
    };
    Some(SoaValues {
        mname,
        rname,
        refresh: spec.refresh.unwrap_or(7_200),
        retry: spec.retry.unwrap_or(900),
        expire: spec.expire.unwrap_or(1_209_600),
        minimum: spec.minimum.unwrap_or(30),
        ttl: findings.ttl("spec.soa.ttl", spec.ttl).unwrap_or(ttl),
    })
}

fn selector(spec: &FederationSpec) -> ServiceSelector {
    let pair = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
    match &spec.service_selector {
        Some(selector) => ServiceSelector::Labels(selector.match_labels.iter().map(pair).collect()),
        None => ServiceSelector::All,
    }
}

fn offline(findings: &mut Findings, spec: Option<&OfflineSpec>) -> Offline {
    let Some(spec) = spec else { return Offline::Keep };
    match spec.policy {
        OfflinePolicy::Keep => Offline::Keep,
        OfflinePolicy::Drop => Offline::Drop,
        OfflinePolicy::DrainAfter => {
            let text = spec.after.as_deref().unwrap_or_default();
            let read = parse_duration(text).filter(|delay| !delay.is_zero());
            let read = findings.take("spec.offline.after", text, "a duration such as 10m", read);
            read.map_or(Offline::Keep, Offline::DrainAfter)
        }
    }
}
